//! Records to the bytes of a segment.
//!
//! Does not: decide what goes into a segment, or store it.

use bytes::Bytes;
use vmrewind_model::{Change, Digest, Epoch, Record, Seq, Timestamp};

use super::{
    ResumeMap, SegmentSummary,
    footer::{Footer, Log, flag},
    frame::Packer,
    home::{Home, Stored},
    index::{self, FrameEntry, Index},
    limits, line,
    meta::{self, Meta},
    public,
    root::Tree,
    tarball,
};

/// All that a segment is made of.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The archive it is for, and how its bodies are written.
    pub(crate) home: Home,
    pub(crate) slot: u64,
    pub(crate) epoch: Epoch,
    pub(crate) nonce: [u8; 16],
    /// Digest of the segment before.
    pub(crate) prev: Digest,
    /// The newest record before this segment, and the watermark before it.
    pub(crate) after: (Seq, Timestamp),
    /// Instant of a fence; a segment that is none has records.
    pub(crate) fence: Option<Timestamp>,
    pub(crate) software: String,
    pub(crate) records: Vec<Record>,
    pub(crate) resume: ResumeMap,
}

/// The bytes of a segment, and what they say.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
    pub(crate) summary: SegmentSummary,
    /// Size of the lines.
    pub(crate) raw: u64,
}

/// Lines that become one tar member in one frame.
#[derive(Default)]
struct Member {
    lines: Vec<u8>,
    records: u32,
    seqs: [u64; 2],
    times: [i64; 2],
}

/// Makes the bytes of a segment. The same draft always gives the same content; compressed bytes depend on the
/// version of zstd.
///
/// # Errors
/// Which rule of the format the draft breaks.
pub(crate) fn encode(draft: &Draft) -> Result<Encoded, String> {
    check_order(draft)?;
    let (members, root) = lines(&draft.records)?;
    let root = draft.home.root(root).map_err(|fault| fault.detail)?;
    let raw = members.iter().map(|member| member.lines.len() as u64).sum();
    let watermark = draft.fence.unwrap_or(draft.after.1);
    let (first_time, last_time) = match (draft.records.first(), draft.records.last()) {
        (Some(first), Some(last)) => (first.t, last.t),
        _ => (watermark, watermark),
    };
    let mut log = Log {
        archive: draft.home.archive,
        slot: draft.slot,
        epoch: draft.epoch.0,
        nonce: draft.nonce,
        flags: flags(draft),
        seqs: [draft.after.0.0 + 1, draft.after.0.0 + draft.records.len() as u64],
        records: draft.records.len() as u64,
        members: members.len() as u64 + 1,
        times: [first_time.micros(), last_time.micros()],
        index_offset: 0,
        index_length: 0,
        index_content: 0,
        body_sha256: Digest([0; 32]),
        prev: draft.prev,
        root,
        index_sha256: Digest([0; 32]),
    };
    let meta = Meta::of(&Footer::log(&log), &draft.software).to_bytes();
    if meta.len() > limits::META {
        return Err("the name of the program is too long".into());
    }
    let body = frames(&meta, &members, &mut log)?;
    let footer = Footer::log(&log);
    let public = match draft.home.is_sealed() {
        true => public::encode(&public::silenced(&draft.resume))?,
        false => public::encode(&draft.resume)?,
    };
    let (mut out, footer) = finish(&draft.home, body, &public, footer)?;
    out.extend_from_slice(&footer.to_bytes());
    let bytes = Bytes::from(out);
    Ok(Encoded { digest: Digest::of(&bytes), summary: SegmentSummary::of(&footer, bytes.len() as u64), raw, bytes })
}

/// Puts body and public frame together as they are stored, and fills in what the footer says of them.
pub(super) fn finish(
    home: &Home,
    body: Vec<u8>,
    public: &[u8],
    mut footer: Footer,
) -> Result<(Vec<u8>, Footer), String> {
    let index = usize::try_from(footer.index_offset).map_err(|error| error.to_string())?;
    let index = body.get(index..).ok_or("the index lies behind the body")?.to_vec();
    let Stored { bytes: mut out, header } = home.seal(body)?;
    footer.body_length = out.len() as u64;
    if header > 0 {
        footer.encryption_header = header;
        footer.flags |= flag::ENCRYPTED;
    }
    out.extend_from_slice(public);
    footer.body_sha256 = Digest::of(&out);
    footer.index_sha256 = home.index_hash(&footer, public, &index).map_err(|fault| fault.detail)?;
    Ok((out, footer))
}

/// Checks that the records go on from the segment before, without holes.
fn check_order(draft: &Draft) -> Result<(), String> {
    if draft.fence.is_some() != draft.records.is_empty() {
        return Err("a segment has records, unless it is a fence".into());
    }
    let (mut seq, mut t) = draft.after;
    for record in &draft.records {
        if record.seq != seq.next() {
            return Err(format!("record {} follows record {seq}", record.seq));
        }
        if record.t <= t {
            return Err(format!("record {} is of {}, not after {t}", record.seq, record.t));
        }
        (seq, t) = (record.seq, record.t);
    }
    Ok(())
}

fn flags(draft: &Draft) -> u32 {
    let any = |test: fn(&Record) -> bool| draft.records.iter().any(test);
    let set = [
        (flag::FENCE, draft.fence.is_some()),
        (flag::COMPLETE, draft.resume.complete),
        (flag::GAPS, any(|record| matches!(record.change, Change::Gap(_)))),
        (flag::LATE, any(|record| record.lo.is_some())),
        (flag::BACK_DATED, any(|record| record.change.back_dated_to().is_some())),
    ];
    set.into_iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag)
}

/// Writes the lines, cut into members, and their event root.
fn lines(records: &[Record]) -> Result<(Vec<Member>, Digest), String> {
    let mut members: Vec<Member> = Vec::new();
    let mut tree = Tree::default();
    let mut raw = 0;
    for record in records {
        if members.last().is_none_or(|member| member.lines.len() >= limits::CUT) {
            members.push(Member { seqs: [record.seq.0; 2], times: [record.t.micros(); 2], ..Member::default() });
        }
        let member = members.last_mut().expect("a member was just made sure of");
        let before = member.lines.len();
        let leaf = line::write(&mut member.lines, record).map_err(|error| format!("record {}: {error}", record.seq))?;
        tree.push(leaf);
        raw += (member.lines.len() - before) as u64;
        // What meta.json, headers and padding add stays far below a MiB.
        if raw > limits::CONTENT - (1 << 20) {
            return Err(format!(
                "the records take more than {} bytes: make several segments",
                limits::CONTENT - (1 << 20)
            ));
        }
        member.records += 1;
        member.seqs[1] = record.seq.0;
        member.times[1] = record.t.micros();
    }
    Ok((members, tree.root()))
}

/// Writes the body: data frames and index frame. Fills in where the index is.
fn frames(meta: &[u8], members: &[Member], log: &mut Log) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("compression failed: {error}");
    let mut packer = Packer::new().map_err(failed)?;
    let mut out = Vec::new();
    let mut entries = Vec::new();
    let none = Member::default();
    for n in 0..members.len().max(1) {
        let member = members.get(n).unwrap_or(&none);
        let mut content = Vec::with_capacity(member.lines.len() + meta.len() + 4096);
        if n == 0 {
            tarball::append(&mut content, meta::NAME, meta);
        }
        if member.records > 0 {
            tarball::append(&mut content, &lines_name(n, members.len()), &member.lines);
        }
        let frame = packer.pack(&content).map_err(failed)?;
        entries.push(FrameEntry {
            offset: out.len() as u64,
            length: small(frame.len())?,
            content: small(content.len())?,
            members: u32::from(n == 0) + u32::from(member.records > 0),
            records: member.records,
            first_seq: member.seqs[0],
            last_seq: member.seqs[1],
            first_time: member.times[0],
            last_time: member.times[1],
            sha256: Digest::of(&frame).0,
            first_key: Vec::new(),
            last_key: Vec::new(),
        });
        out.extend_from_slice(&frame);
    }
    let index = Index {
        magic: index::MAGIC,
        members: log.members,
        records: log.records,
        filter_probes: 0,
        filter_bits: 0,
        filter: Vec::new(),
        frames: entries,
    };
    let mut content = Vec::new();
    tarball::append(&mut content, INDEX_NAME, &index::encode(&index)?);
    content.extend_from_slice(&tarball::END);
    let frame = packer.pack(&content).map_err(failed)?;
    log.index_offset = out.len() as u64;
    log.index_length = small(frame.len())?;
    log.index_content = small(content.len())?;
    out.extend_from_slice(&frame);
    Ok(out)
}

/// Name of the index member.
pub(crate) const INDEX_NAME: &str = ".index";

/// Returns the name of the `n`th of `count` members of lines.
pub(crate) fn lines_name(n: usize, count: usize) -> String {
    if count == 1 { "events.jsonl".into() } else { format!("events-{n:04}.jsonl") }
}

fn small(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| format!("{length} bytes are too many for a frame"))
}
