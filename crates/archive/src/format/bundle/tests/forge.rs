//! Makes bundles that are wrong in one place and right everywhere else.

use bytes::Bytes;
use vmrewind_model::{Digest, Epoch, Record, Seq};

use super::super::{
    Draft, Earliest, Known, Leaves, Point, Public, SortKey, Window, filter,
    meta::{Meta, Own},
};
use crate::{
    format::{
        HISTORY_VERSION, SeqRange,
        encode::INDEX_NAME,
        footer::{Footer, Kind, LEN, flag},
        frame::Packer,
        index::{self, FrameEntry, Index},
        line::{self, Line},
        meta::{self, hex},
        public, tarball,
    },
    manifest::{PartRef, Rolled, Unknown},
    samples,
};

type Hook<T> = Box<dyn Fn(&mut T)>;

fn nothing<T>() -> Hook<T> {
    Box::new(|_| {})
}

/// The lines of records, in any order.
pub(in crate::format) fn lines(records: &[Record]) -> Vec<Line> {
    let line = |record: &Record| {
        let mut text = Vec::new();
        line::write(&mut text, record).expect("a good record");
        parse(std::str::from_utf8(&text).expect("UTF-8").trim_end_matches('\n'))
    };
    records.iter().map(line).collect()
}

/// Reads a line without its line feed.
pub(in crate::format) fn parse(text: &str) -> Line {
    line::parse(&Bytes::copy_from_slice(text.as_bytes()), 0, text).expect("a good line")
}

/// The lines of records, in the order of a bundle.
pub(in crate::format) fn sorted(records: &[Record]) -> Vec<Line> {
    let mut lines = lines(records);
    lines.sort_by_cached_key(|line| (SortKey::of(line), line.head.seq));
    lines
}

/// A draft of the window of these lines, whose seqs are contiguous: slots 2 and 3, level 2.
pub(in crate::format) fn draft(lines: &[Line]) -> Draft {
    let mut earliest = Earliest::default();
    lines.iter().for_each(|line| earliest.add(line));
    let by_seq = |line: &&Line| line.head.seq;
    let first = lines.iter().min_by_key(by_seq).expect("a line");
    let last = lines.iter().max_by_key(by_seq).expect("a line");
    let known = |resource: &str, since: Option<i64>, named, current| Known {
        entry: vmrewind_model::ResumeEntry {
            proven_at: since.map(|_| samples::t(1)),
            ..samples::resume(resource, 9, 1)
        },
        since: since.map(samples::t),
        named: Seq(named),
        current,
    };
    Draft {
        home: samples::ARCHIVE.into(),
        window: Window {
            level: 2,
            slots: [2, 3],
            seqs: SeqRange::new(first.head.seq, last.head.seq),
            times: [first.head.t, last.head.t],
            prev: Digest::of(b"before"),
            head: Digest::of(b"last"),
            earliest,
        },
        point: None,
        epoch: Epoch(1),
        nonce: [7; 16],
        known: vec![known("datavolumes", None, 0, false), known("virtualmachines", Some(0), 3, true)],
        salt: [5; 16],
        software: "test 1".into(),
    }
}

/// A member of lines.
pub(in crate::format) struct Member {
    name: String,
    pub(in crate::format) text: Vec<u8>,
}

/// A frame, and what the index says of its lines.
pub(in crate::format) struct Frame {
    pub(in crate::format) members: Vec<Member>,
    said: FrameEntry,
}

/// A bundle in parts, and what is done to each part before the hashes over it are made.
pub(in crate::format) struct Forge {
    pub(in crate::format) footer: Footer,
    pub(in crate::format) window: Window,
    pub(in crate::format) point: Option<Point>,
    pub(in crate::format) known: Vec<Known>,
    pub(in crate::format) frames: Vec<Frame>,
    /// True if `meta.json` shares the first frame with lines.
    pub(in crate::format) shared: bool,
    filter: Vec<u8>,
    pub(in crate::format) part: u32,
    pub(in crate::format) on_meta: Hook<Vec<u8>>,
    pub(in crate::format) on_content: Hook<Vec<u8>>,
    pub(in crate::format) on_frame: Hook<Vec<u8>>,
    pub(in crate::format) on_index: Hook<Index>,
    pub(in crate::format) on_index_bytes: Hook<Vec<u8>>,
    pub(in crate::format) on_index_content: Hook<Vec<u8>>,
    pub(in crate::format) on_json: Hook<String>,
    pub(in crate::format) on_public: Hook<Vec<u8>>,
    pub(in crate::format) on_footer: Hook<Footer>,
    pub(in crate::format) on_footer_bytes: Hook<[u8; LEN]>,
    pub(in crate::format) on_object: Hook<Vec<u8>>,
}

impl Forge {
    /// The bundle of a window with one part, in two frames of lines: one of what stands first, one of the rest.
    pub(in crate::format) fn new(records: &[Record]) -> Self {
        let lines = sorted(records);
        let window = draft(&lines).window;
        Self::part(window, &split(&lines, 2))
    }

    /// A bundle that holds these lines in this order, cut into frames; members are cut where the homes are.
    pub(in crate::format) fn part(window: Window, frames: &[&[Line]]) -> Self {
        let all: Vec<&Line> = frames.iter().copied().flatten().collect();
        let (mut leaves, mut entries, mut flags) = (Leaves::default(), filter::Entries::default(), flag::COMPLETE);
        for line in &all {
            leaves.add(line);
            entries.add(&SortKey::of(line));
            let is_gap = line.head.op == Some(vmrewind_model::Op::Gap);
            flags |= if is_gap { flag::GAPS } else { 0 };
            flags |= if line.head.lo.is_some() { flag::LATE } else { 0 };
            flags |= if line.head.from.is_some() { flag::BACK_DATED } else { 0 };
        }
        let mut number = 0;
        let frames: Vec<Frame> = frames.iter().map(|lines| frame(lines, &mut number)).collect();
        let draft = draft(&all.into_iter().cloned().collect::<Vec<_>>());
        Self {
            footer: Footer {
                version: HISTORY_VERSION,
                kind: Kind::History.number(),
                level: window.level,
                shard: 0,
                flags,
                features: 0,
                archive: draft.home.archive,
                epoch: draft.epoch.0,
                slots: window.slots,
                seqs: [window.seqs.first.0, window.seqs.last.0],
                records: frames.iter().map(|frame| u64::from(frame.said.records)).sum(),
                members: number + 1,
                times: window.times.map(vmrewind_model::Timestamp::micros),
                index_offset: 0,
                index_length: 0,
                index_content: 0,
                body_length: 0,
                encryption_header: 0,
                signer: 0,
                body_sha256: Digest([0; 32]),
                prev: window.prev,
                root: leaves.root(),
                index_sha256: Digest([0; 32]),
                nonce: draft.nonce,
                signature: [0; 64],
            },
            window,
            point: None,
            known: draft.known,
            frames,
            shared: false,
            filter: entries.filter(),
            part: 1,
            on_meta: nothing(),
            on_content: nothing(),
            on_frame: nothing(),
            on_index: nothing(),
            on_index_bytes: nothing(),
            on_index_content: nothing(),
            on_json: nothing(),
            on_public: nothing(),
            on_footer: nothing(),
            on_footer_bytes: nothing(),
            on_object: nothing(),
        }
    }

    /// The bytes of all lines, to be changed; the index goes on to speak of those that were there.
    pub(in crate::format) fn replace(&mut self, from: &[u8], to: &[u8]) {
        let holds = |member: &&mut Member| member.text.windows(from.len()).any(|window| window == from);
        let mut members = self.frames.iter_mut().flat_map(|frame| &mut frame.members);
        let text = &mut members.find(holds).expect("what is to be replaced occurs").text;
        let at = text.windows(from.len()).position(|window| window == from).expect("it does");
        text.splice(at..at + from.len(), to.iter().copied());
    }

    /// What a manifest says of the window, if `object` is its only part.
    pub(in crate::format) fn rolled(&self, object: &[u8]) -> Rolled {
        let part = PartRef {
            kind: Point::kind(self.point.as_ref()),
            digest: Digest::of(object),
            size: (object.len() as u64).max(LEN as u64),
            records: self.footer.records,
            unknown: Unknown::new(),
        };
        Rolled {
            window: self.window.clone(),
            point: self.point.clone(),
            root: self.footer.root,
            parts: vec![part],
            stale: false,
            unknown: Unknown::new(),
        }
    }

    pub(in crate::format) fn build(&self) -> Bytes {
        let mut footer = self.footer.clone();
        let mut packer = Packer::new().expect("zstd");
        let own = Own { part: self.part, salt: hex(&[5; 16]), software: "test 1".into() };
        let mut meta = Meta::of(&footer, self.window.head, own).to_bytes();
        (self.on_meta)(&mut meta);
        let mut contents: Vec<(Vec<u8>, FrameEntry)> = Vec::new();
        let mut first = Vec::new();
        tarball::append(&mut first, meta::NAME, &meta);
        if !self.shared {
            contents.push((std::mem::take(&mut first), said(0, &[])));
        }
        for frame in &self.frames {
            let mut content = std::mem::take(&mut first);
            let more = u32::from(!content.is_empty());
            for member in &frame.members {
                tarball::append(&mut content, &member.name, &member.text);
            }
            contents.push((content, FrameEntry { members: frame.said.members + more, ..frame.said.clone() }));
        }
        let (mut out, mut entries) = (Vec::new(), Vec::new());
        let last = contents.len() - 1;
        for (n, (mut content, said)) in contents.into_iter().enumerate() {
            if n == last {
                (self.on_content)(&mut content);
            }
            let mut frame = packer.pack(&content).expect("zstd");
            if n == last {
                (self.on_frame)(&mut frame);
            }
            let (offset, length, content) = (out.len() as u64, small(frame.len()), small(content.len()));
            entries.push(FrameEntry { offset, length, content, sha256: Digest::of(&frame).0, ..said });
            out.extend_from_slice(&frame);
        }
        let mut index = Index {
            magic: index::MAGIC,
            members: footer.members,
            records: footer.records,
            filter_probes: filter::PROBES,
            filter_bits: self.filter.len() as u64 * 8,
            filter: self.filter.clone(),
            frames: entries,
        };
        (self.on_index)(&mut index);
        let mut bytes = index::encode(&index).expect("small");
        (self.on_index_bytes)(&mut bytes);
        let mut content = Vec::new();
        tarball::append(&mut content, INDEX_NAME, &bytes);
        content.extend_from_slice(&tarball::END);
        (self.on_index_content)(&mut content);
        let frame = packer.pack(&content).expect("zstd");
        footer.index_offset = out.len() as u64;
        (footer.index_length, footer.index_content) = (small(frame.len()), small(content.len()));
        footer.index_sha256 = Digest::of(&frame);
        out.extend_from_slice(&frame);
        footer.body_length = out.len() as u64;
        out.extend_from_slice(&self.public());
        footer.body_sha256 = Digest::of(&out);
        (self.on_footer)(&mut footer);
        let mut footer = footer.to_bytes();
        (self.on_footer_bytes)(&mut footer);
        out.extend_from_slice(&footer);
        (self.on_object)(&mut out);
        out.into()
    }

    fn public(&self) -> Vec<u8> {
        let (head, earliest) = (self.window.head.hex(), self.window.earliest);
        let content =
            Public { complete: true, entries: self.known.clone(), head, earliest, checkpoint: self.point.clone() };
        let mut json = serde_json::to_string(&content).expect("serialisable");
        (self.on_json)(&mut json);
        let mut frame = public::wrap(&content).expect("small")[..16].to_vec();
        frame[4..8].copy_from_slice(&small(json.len() + 40).to_le_bytes());
        frame.extend_from_slice(&Digest::of(json.as_bytes()).0);
        frame.extend_from_slice(json.as_bytes());
        (self.on_public)(&mut frame);
        frame
    }
}

/// Cuts lines into two, in front of the `members`-th home.
pub(in crate::format) fn split(lines: &[Line], members: usize) -> [&[Line]; 2] {
    let starts = (1..lines.len()).filter(|n| !SortKey::of(&lines[n - 1]).shares_member(&SortKey::of(&lines[*n])));
    let at = starts.clone().nth(members - 1).or(starts.last()).expect("several homes");
    let (one, other) = lines.split_at(at);
    [one, other]
}

/// Puts lines into members, one for each run of a home. `number` counts the members of the bundle.
fn frame(lines: &[Line], number: &mut u64) -> Frame {
    let before = *number;
    let mut members: Vec<Member> = Vec::new();
    let mut last: Option<SortKey> = None;
    for line in lines {
        let key = SortKey::of(line);
        if last.as_ref().is_none_or(|last| !last.shares_member(&key)) {
            *number += 1;
            members.push(Member { name: key.member_name(*number), text: Vec::new() });
        }
        let text = &mut members.last_mut().expect("one").text;
        text.extend_from_slice(&line.text);
        text.push(b'\n');
        last = Some(key);
    }
    Frame { members, said: said(*number - before, lines) }
}

/// What the index says of a frame with these lines, but for its place and hash.
fn said(members: u64, lines: &[Line]) -> FrameEntry {
    let ends = |line: &Line| (line.head.seq.0, line.head.t.micros());
    let first = lines.iter().map(ends).min().unwrap_or_default();
    let last = lines.iter().map(ends).max().unwrap_or_default();
    let key = |line: Option<&Line>| line.map(SortKey::of).unwrap_or_default().text().to_vec();
    FrameEntry {
        offset: 0,
        length: 0,
        content: 0,
        members: u32::try_from(members).expect("few").max(1),
        records: small(lines.len()),
        first_seq: first.0,
        last_seq: last.0,
        first_time: first.1,
        last_time: last.1,
        sha256: [0; 32],
        first_key: key(lines.first()),
        last_key: key(lines.last()),
    }
}

fn small(length: usize) -> u32 {
    u32::try_from(length).expect("samples are small")
}
