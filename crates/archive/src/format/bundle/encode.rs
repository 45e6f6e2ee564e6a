//! Sorted lines to the parts of a window.
//!
//! Does not: sort, or hold more than one part.

use std::sync::Arc;

use bytes::Bytes;
use vmrewind_model::Digest;

use super::{
    Draft, Leaves, Public, SortKey, filter,
    meta::{Meta, Own},
};
use crate::format::{
    HISTORY_VERSION,
    encode::{INDEX_NAME, finish},
    footer::{Footer, flag},
    frame::Packer,
    index::{self, FrameEntry, Index},
    limits,
    line::Line,
    meta::{self, hex},
    public, tarball,
};

/// Where a writer cuts. A reader takes every cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Bytes of lines after which a home goes on in another member.
    pub(crate) member: usize,
    /// Bytes as stored at which a frame is full.
    pub(crate) stored: usize,
    /// Bytes of content at which a frame is full, however well they compress.
    pub(crate) content: usize,
    /// Bytes as stored at which a part is full.
    pub(crate) part: usize,
}

impl Cut {
    /// How history is cut.
    pub(crate) const USUAL: Self = Self { member: limits::CUT, stored: 64 << 10, content: 8 << 20, part: 16 << 20 };
}

/// A part with this much content is full, however small it is as stored.
const MOST_CONTENT: u64 = limits::HISTORY_CONTENT / 2;

/// The bytes of a part.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    /// Its name.
    pub(crate) digest: Digest,
    pub(crate) records: u64,
    /// Event root over its lines.
    pub(crate) root: Digest,
}

/// Makes the parts of a window out of its lines, which come in order.
pub(crate) struct Writer {
    draft: Arc<Draft>,
    cut: Cut,
    packer: Packer,
    part: u32,
    /// The line before, for the order.
    last: Option<(SortKey, u64)>,
    bundle: Building,
    frame: Frame,
    /// Lines of the member that is being filled.
    member: Vec<u8>,
    /// How many bytes of content came to one byte as stored, in the frame before.
    ratio: usize,
}

/// A part that is being filled.
#[derive(Default)]
struct Building {
    frames: Vec<u8>,
    /// Content of the frames so far.
    content: u64,
    entries: Vec<FrameEntry>,
    /// Members of lines so far.
    members: u64,
    records: u64,
    flags: u32,
    filter: filter::Entries,
    leaves: Leaves,
}

/// A frame that is being filled.
#[derive(Default)]
struct Frame {
    content: Vec<u8>,
    members: u32,
    records: u32,
    /// Seq and time of its smallest and of its largest line.
    ends: Option<[(u64, i64); 2]>,
    keys: Option<[SortKey; 2]>,
}

fn failed(error: &std::io::Error) -> String {
    format!("compression failed: {error}")
}

impl Writer {
    pub(crate) fn new(draft: Arc<Draft>, cut: Cut) -> Result<Self, String> {
        Ok(Self {
            draft,
            cut,
            packer: Packer::for_history().map_err(|error| failed(&error))?,
            part: 1,
            last: None,
            bundle: Building::default(),
            frame: Frame::default(),
            member: Vec::new(),
            ratio: 16,
        })
    }

    /// Adds the next line in order; returns a part if the one before it ends here.
    ///
    /// # Errors
    /// If the line is out of order, or what is made breaks a limit.
    pub(crate) fn push(&mut self, line: &Line) -> Result<Option<Encoded>, String> {
        let (key, seq) = (SortKey::of(line), line.head.seq.0);
        let mut full = None;
        if let Some((last, before)) = &self.last {
            if (&key, seq) <= (last, *before) {
                return Err(format!("line {seq} comes after line {before}, which belongs behind it"));
            }
            if !key.shares_member(last) || self.member.len() >= self.cut.member {
                self.end_member()?;
                let filled = self.bundle.frames.len() >= self.cut.part || self.bundle.content >= MOST_CONTENT;
                if filled && self.frame.records == 0 {
                    full = Some(self.end_part()?);
                }
            }
        }
        self.member.extend_from_slice(&line.text);
        self.member.push(b'\n');
        self.bundle.filter.add(&key);
        self.bundle.leaves.add(line);
        let head = &line.head;
        let set = [
            (flag::GAPS, head.op == Some(vmrewind_model::Op::Gap)),
            (flag::LATE, head.lo.is_some()),
            (flag::BACK_DATED, head.from.is_some()),
        ];
        self.bundle.flags |= set.iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag);
        self.bundle.records += 1;
        let end = (seq, head.t.micros());
        let [first, last] = self.frame.ends.unwrap_or([end; 2]);
        self.frame.ends = Some([first.min(end), last.max(end)]);
        self.frame.records += 1;
        match &mut self.frame.keys {
            Some([_, last]) => last.clone_from(&key),
            keys => *keys = Some([key.clone(), key.clone()]),
        }
        self.last = Some((key, seq));
        Ok(full)
    }

    /// Returns the last part.
    ///
    /// # Errors
    /// If there is no line, or what is made breaks a limit.
    pub(crate) fn finish(mut self) -> Result<Encoded, String> {
        if self.last.is_none() {
            return Err("a window without lines has no part".into());
        }
        self.end_member()?;
        self.end_part()
    }

    fn end_member(&mut self) -> Result<(), String> {
        let Some((key, _)) = &self.last else { return Ok(()) };
        self.bundle.members += 1;
        tarball::append(&mut self.frame.content, &key.member_name(self.bundle.members), &self.member);
        self.frame.members += 1;
        self.member.clear();
        let full = self.cut.stored.saturating_mul(self.ratio).min(self.cut.content);
        if self.frame.content.len() >= full {
            self.end_frame()?;
        }
        Ok(())
    }

    fn end_frame(&mut self) -> Result<(), String> {
        let Frame { content, members, records, ends, keys } = std::mem::take(&mut self.frame);
        let (Some([first, last]), Some([first_key, last_key])) = (ends, keys) else { return Ok(()) };
        let stored = self.packer.pack(&content).map_err(|error| failed(&error))?;
        self.ratio = (content.len() / stored.len().max(1)).max(1);
        self.bundle.entries.push(FrameEntry {
            offset: self.bundle.frames.len() as u64,
            length: small(stored.len())?,
            content: small(content.len())?,
            members,
            records,
            first_seq: first.0,
            last_seq: last.0,
            first_time: first.1,
            last_time: last.1,
            sha256: Digest::of(&stored).0,
            first_key: first_key.text().to_vec(),
            last_key: last_key.text().to_vec(),
        });
        self.bundle.frames.extend_from_slice(&stored);
        self.bundle.content += content.len() as u64;
        Ok(())
    }

    /// Puts a part together: `meta.json`, the frames, index, public frame, footer.
    fn end_part(&mut self) -> Result<Encoded, String> {
        self.end_frame()?;
        let Building { frames, entries, members, records, flags, filter, mut leaves, .. } =
            std::mem::take(&mut self.bundle);
        let mut footer = self.footer(flags, records, members + 1);
        footer.root = self.draft.home.root(leaves.root()).map_err(|fault| fault.detail)?;
        let own = Own { part: self.part, salt: hex(&self.draft.salt), software: self.draft.software.clone() };
        let meta = Meta::of(&footer, self.draft.window.head, own).to_bytes();
        if meta.len() > limits::META {
            return Err("the name of the program is too long".into());
        }
        let mut content = Vec::new();
        tarball::append(&mut content, meta::NAME, &meta);
        let mut out = self.packer.pack(&content).map_err(|error| failed(&error))?;
        let mut all = vec![meta_entry(&out, content.len())?];
        let shift = out.len() as u64;
        all.extend(entries.into_iter().map(|entry| FrameEntry { offset: entry.offset + shift, ..entry }));
        out.extend_from_slice(&frames);
        let filter = filter.filter();
        let index = Index {
            magic: index::MAGIC,
            members: footer.members,
            records,
            filter_probes: filter::PROBES,
            filter_bits: filter.len() as u64 * 8,
            filter,
            frames: all,
        };
        let mut content = Vec::new();
        let encoded = index::encode(&index)?;
        if encoded.len() as u64 > limits::MEMBER - 4096 {
            return Err("the index of a part is too large".into());
        }
        tarball::append(&mut content, INDEX_NAME, &encoded);
        content.extend_from_slice(&tarball::END);
        let frame = self.packer.pack(&content).map_err(|error| failed(&error))?;
        footer.index_offset = out.len() as u64;
        footer.index_length = small(frame.len())?;
        footer.index_content = small(content.len())?;
        out.extend_from_slice(&frame);
        let (mut out, footer) = finish(&self.draft.home, out, &public::wrap(&self.public())?, footer)?;
        out.extend_from_slice(&footer.to_bytes());
        if out.len() as u64 > limits::SEGMENT {
            return Err(format!("a part of {} bytes is too large", out.len()));
        }
        self.part += 1;
        let bytes = Bytes::from(out);
        Ok(Encoded { digest: Digest::of(&bytes), bytes, records, root: footer.root })
    }

    fn public(&self) -> Public {
        let window = &self.draft.window;
        let mut entries = self.draft.known.clone();
        if self.draft.home.is_sealed() {
            // As in segments: texts for people may name an object.
            entries.iter_mut().for_each(|known| known.entry.detail.clear());
        }
        let checkpoint = self.draft.point.clone();
        Public { complete: true, entries, head: window.head.hex(), earliest: window.earliest, checkpoint }
    }

    fn footer(&self, flags: u32, records: u64, members: u64) -> Footer {
        let Draft { home, window, epoch, nonce, .. } = &*self.draft;
        Footer {
            version: HISTORY_VERSION,
            kind: self.draft.kind().number(),
            level: window.level,
            shard: 0,
            flags: flags | flag::COMPLETE,
            features: 0,
            archive: home.archive,
            epoch: epoch.0,
            slots: window.slots,
            seqs: [window.seqs.first.0, window.seqs.last.0],
            records,
            members,
            times: window.times.map(vmrewind_model::Timestamp::micros),
            index_offset: 0,
            index_length: 0,
            index_content: 0,
            body_length: 0,
            encryption_header: 0,
            signer: 0,
            body_sha256: Digest([0; 32]),
            prev: window.prev,
            root: Digest([0; 32]),
            index_sha256: Digest([0; 32]),
            nonce: *nonce,
            signature: [0; 64],
        }
    }
}

/// What the index says of the frame that holds `meta.json` and no lines.
fn meta_entry(stored: &[u8], content: usize) -> Result<FrameEntry, String> {
    Ok(FrameEntry {
        offset: 0,
        length: small(stored.len())?,
        content: small(content)?,
        members: 1,
        records: 0,
        first_seq: 0,
        last_seq: 0,
        first_time: 0,
        last_time: 0,
        sha256: Digest::of(stored).0,
        first_key: Vec::new(),
        last_key: Vec::new(),
    })
}

fn small(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| format!("{length} bytes are too many for a frame"))
}
