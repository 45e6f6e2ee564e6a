//! What of a damaged segment is provably as it was written.
//!
//! Does not: repair; a frame is used whole or not at all.

use bytes::Bytes;
use vmrewind_model::{Digest, Epoch, Seq, Timestamp};
use zstd::zstd_safe::find_frame_compressed_size;

use super::{
    ResumeMap, Segment, SegmentSummary, SeqRange, decode,
    footer::{self, Footer},
    frame::{FrameHeader, Unpacker},
    home::Home,
    index::FrameEntry,
    limits,
    line::Line,
    meta::{self, Meta},
    public,
    root::Tree,
    tarball,
};

/// Reads what is left of the damaged segment that should stand in `slot` of `archive`: none if not even that much is
/// left that it is known what it was. Its lines are those of wholly valid frames; its resume map is empty if it is
/// damaged. See `spec/format.md`, section 12.
pub(crate) fn salvage(bytes: &Bytes, home: &Home, slot: u64) -> Option<Segment> {
    if bytes.len() as u64 > limits::SEGMENT {
        return None;
    }
    let mut unpacker = Unpacker::new().ok()?;
    let footer = decode::footer(bytes, bytes.len() as u64);
    let footer = footer.ok().filter(|footer| decode::belongs(footer, home, slot).is_ok());
    let body = match &footer {
        Some(footer) => home.body_left(bytes, footer).ok()?,
        // Where an encrypted body ends, only its footer tells.
        None if home.is_sealed() => return None,
        None => bytes.clone(),
    };
    let index = |footer| decode::index(&body, bytes, footer, home, &mut unpacker).ok();
    let index = footer.as_ref().and_then(index);
    // Recipients are public: that a body opens says nothing of who wrote it. The index alone vouches for it, for the footer and for
    // the resume map.
    if home.is_sealed() && index.is_none() {
        return None;
    }
    let frames = match &index {
        Some(index) => index.frames.iter().filter_map(|entry| indexed(&body, entry, &mut unpacker)).collect(),
        None => walked(&body, &mut unpacker),
    };
    let meta = frames.first().and_then(|frame| frame.meta.clone());
    let meta = meta.filter(|meta| meta.archive == home.archive.hyphenated().to_string() && meta.segment == slot);
    let (mut summary, software) = match (&footer, meta) {
        (Some(footer), meta) => {
            let software = meta.map(|meta| meta.software).unwrap_or_default();
            (SegmentSummary::of(footer, bytes.len() as u64), software)
        }
        (None, meta) => told(&meta?, bytes.len() as u64)?,
    };
    let lines = in_order(frames, &summary);
    let whole = lines.len() as u64 == summary.records;
    if whole && home.root(root(&lines)).ok()? != summary.root {
        return None;
    }
    if footer.is_none() {
        let any = |test: fn(&Line) -> bool| !whole || lines.iter().any(test);
        summary.gaps = any(|line| line.head.gap.is_some());
        summary.late = any(|line| line.head.lo.is_some());
        summary.back_dated = any(|line| line.head.from.is_some());
    }
    let resume = footer.as_ref().and_then(|footer| resume(bytes, footer)).unwrap_or_default();
    Some(Segment { summary, digest: Digest::of(bytes), resume, software, lines })
}

/// Returns the seqs of the lines, joined where they go on.
pub(crate) fn ranges(lines: &[Line]) -> Vec<SeqRange> {
    let mut ranges: Vec<SeqRange> = Vec::new();
    for Seq(seq) in lines.iter().map(|line| line.head.seq) {
        match ranges.last_mut() {
            Some(last) if last.last.0.checked_add(1) == Some(seq) => last.last = Seq(seq),
            _ => ranges.push(SeqRange::new(Seq(seq), Seq(seq))),
        }
    }
    ranges
}

/// What a wholly valid frame holds.
#[derive(Default)]
struct Frame {
    meta: Option<Meta>,
    lines: Vec<Line>,
}

/// Reads a frame that the index describes: its hash, its content and its lines are as the index says.
fn indexed(bytes: &Bytes, entry: &FrameEntry, unpacker: &mut Unpacker) -> Option<Frame> {
    let start = usize::try_from(entry.offset).ok()?;
    let stored = bytes.get(start..start.checked_add(entry.length as usize)?)?;
    if Digest::of(stored).0 != entry.sha256 {
        return None;
    }
    let frame = content(&Bytes::from(unpacker.unpack(stored, u64::from(entry.content)).ok()?))?;
    let ends = |line: &Line| (line.head.seq.0, line.head.t.micros());
    let first = frame.lines.first().map_or((0, 0), ends);
    let last = frame.lines.last().map_or((0, 0), ends);
    let same = frame.lines.len() as u64 == u64::from(entry.records)
        && first == (entry.first_seq, entry.first_time)
        && last == (entry.last_seq, entry.last_time);
    same.then_some(frame)
}

/// Reads frames from the beginning on as long as it can be told where the next one begins. Each has a checksum of its own.
fn walked(bytes: &Bytes, unpacker: &mut Unpacker) -> Vec<Frame> {
    let (mut at, mut total) = (0, 0_u64);
    let mut frames = Vec::new();
    while let Some(rest) = bytes.get(at..) {
        let (Ok(header), Ok(length)) = (FrameHeader::parse(rest), find_frame_compressed_size(rest)) else { break };
        total = total.saturating_add(header.content);
        if header.content > limits::FRAME || total > limits::CONTENT {
            break;
        }
        let unpacked = rest.get(..length).and_then(|stored| unpacker.unpack(stored, header.content).ok());
        frames.push(unpacked.and_then(|unpacked| content(&Bytes::from(unpacked))).unwrap_or_default());
        at += length;
    }
    frames
}

/// Reads all members of a frame; none if anything is wrong with any of them.
fn content(content: &Bytes) -> Option<Frame> {
    let mut frame = Frame::default();
    let mut at = 0;
    while at < content.len() {
        let member = tarball::member(content, at).ok()?;
        if member.name == meta::NAME {
            frame.meta = Some(Meta::parse(&content[member.content.clone()]).ok()?);
        } else if member.name.starts_with("events") {
            for line in decode::lines(content, &member).ok()? {
                frame.lines.push(line.ok()?);
            }
        } else {
            // The index: it ends with zeros that are no member, and holds no lines.
            return Some(Frame::default());
        }
        at = member.end;
    }
    Some(frame)
}

/// Takes the lines of frames that go on from each other within what the segment says that it holds.
fn in_order(frames: Vec<Frame>, summary: &SegmentSummary) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for frame in frames {
        let before = lines.last();
        let follows =
            |line: &Line| before.is_none_or(|last| last.head.seq < line.head.seq && last.head.t < line.head.t);
        let inside = |line: &Line| {
            summary.seqs.contains(line.head.seq) && summary.t_first <= line.head.t && line.head.t <= summary.t_last
        };
        let chained = frame
            .lines
            .windows(2)
            .all(|pair| pair[0].head.seq.next() == pair[1].head.seq && pair[0].head.t < pair[1].head.t);
        if frame.lines.first().is_some_and(follows) && frame.lines.iter().all(inside) && chained {
            lines.extend(frame.lines);
        }
    }
    lines
}

fn root(lines: &[Line]) -> Digest {
    let mut tree = Tree::default();
    lines.iter().for_each(|line| tree.push(line.leaf));
    tree.root()
}

/// Says what `meta.json` says, which repeats the footer.
fn told(meta: &Meta, bytes: u64) -> Option<(SegmentSummary, String)> {
    let time = |micros| Timestamp::from_micros(micros).ok();
    let hash = |text: &str| format!("sha256:{text}").parse().ok();
    let summary = SegmentSummary {
        segment: meta.segment,
        epoch: Epoch(meta.epoch),
        nonce: meta::nonce(&meta.nonce)?,
        seqs: SeqRange::new(Seq(meta.first_seq), Seq(meta.last_seq)),
        t_first: time(meta.first_time)?,
        t_last: time(meta.last_time)?,
        records: meta.records,
        fence: meta.fence,
        complete: meta.fence,
        gaps: true,
        late: true,
        back_dated: true,
        prev: hash(&meta.prev)?,
        root: hash(&meta.root)?,
        bytes,
    };
    let held = meta.last_seq.checked_add(1)?.checked_sub(meta.first_seq)?;
    let sane = held == meta.records && summary.t_first <= summary.t_last && meta.fence == (meta.records == 0);
    sane.then(|| (summary, meta.software.clone()))
}

fn resume(bytes: &Bytes, footer: &Footer) -> Option<ResumeMap> {
    let body = usize::try_from(footer.body_length).ok()?;
    let end = bytes.len().checked_sub(footer::LEN).filter(|end| body <= *end)?;
    public::decode(&bytes.slice(body..end)).ok()
}
