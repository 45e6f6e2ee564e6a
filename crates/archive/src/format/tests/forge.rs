//! Makes segments that are wrong in one place and right everywhere else.

use bytes::Bytes;
use vmrewind_model::{Digest, Record};

use super::super::{
    encode::{INDEX_NAME, encode, lines_name},
    footer::{Footer, Kind, LEN},
    frame::Packer,
    index::{self, FrameEntry, Index},
    line,
    meta::{self, Meta},
    public, tarball,
};
use crate::samples;

type Hook<T> = Box<dyn Fn(&mut T)>;

/// A segment in parts, and what is done to each part before the hashes over it are made.
pub(super) struct Forge {
    pub(super) footer: Footer,
    pub(super) lines: Vec<Vec<u8>>,
    /// What the index says of the lines of each frame: how many, first and last seq, first and last time.
    said: Vec<(u32, [u64; 2], [i64; 2])>,
    public: Vec<u8>,
    pub(super) on_meta: Hook<Vec<u8>>,
    pub(super) on_content: Hook<Vec<u8>>,
    pub(super) on_frame: Hook<Vec<u8>>,
    pub(super) on_index: Hook<Index>,
    pub(super) on_index_bytes: Hook<Vec<u8>>,
    pub(super) on_index_content: Hook<Vec<u8>>,
    pub(super) on_public: Hook<Vec<u8>>,
    pub(super) on_footer: Hook<Footer>,
    pub(super) on_footer_bytes: Hook<[u8; LEN]>,
    pub(super) on_object: Hook<Vec<u8>>,
}

fn nothing<T>() -> Hook<T> {
    Box::new(|_| {})
}

impl Forge {
    pub(super) fn new(records: &[Record]) -> Self {
        let draft = samples::draft(records.to_vec());
        let good = encode(&draft).expect("good records");
        let footer = Footer::parse(good.bytes.last_chunk().expect("a footer"), Kind::Log).expect("a good footer");
        let mut lines = Vec::new();
        for record in records {
            line::write(&mut lines, record).expect("a good record");
        }
        Self {
            said: vec![(small(records.len()), footer.seqs, footer.times)],
            footer,
            lines: vec![lines],
            public: public::encode(&draft.resume).expect("a good map"),
            on_meta: nothing(),
            on_content: nothing(),
            on_frame: nothing(),
            on_index: nothing(),
            on_index_bytes: nothing(),
            on_index_content: nothing(),
            on_public: nothing(),
            on_footer: nothing(),
            on_footer_bytes: nothing(),
            on_object: nothing(),
        }
    }

    /// Cuts the lines into two members behind the first `at` records.
    pub(super) fn cut(mut self, records: &[Record], at: usize) -> Self {
        let parts = [&records[..at], &records[at..]];
        self.lines = parts
            .map(|part| {
                let mut lines = Vec::new();
                part.iter().for_each(|record| {
                    line::write(&mut lines, record).expect("a good record");
                });
                lines
            })
            .to_vec();
        let ends = |part: &[Record]| [part[0].clone(), part[part.len() - 1].clone()];
        self.said = parts
            .map(|part| (small(part.len()), ends(part).map(|r| r.seq.0), ends(part).map(|r| r.t.micros())))
            .to_vec();
        self.footer.members = 3;
        self
    }

    pub(super) fn build(mut self) -> Bytes {
        let mut packer = Packer::new().expect("zstd");
        let mut meta = Meta::of(&self.footer, "test 1").to_bytes();
        (self.on_meta)(&mut meta);
        let (mut out, mut entries) = (Vec::new(), Vec::new());
        for (n, lines) in self.lines.iter().enumerate() {
            let mut content = Vec::new();
            if n == 0 {
                tarball::append(&mut content, meta::NAME, &meta);
            }
            tarball::append(&mut content, &lines_name(n, self.lines.len()), lines);
            (self.on_content)(&mut content);
            let mut frame = packer.pack(&content).expect("zstd");
            (self.on_frame)(&mut frame);
            let (records, [first_seq, last_seq], [first_time, last_time]) = self.said[n];
            entries.push(FrameEntry {
                offset: out.len() as u64,
                length: small(frame.len()),
                content: small(content.len()),
                members: 1 + u32::from(n == 0),
                records,
                first_seq,
                last_seq,
                first_time,
                last_time,
                sha256: Digest::of(&frame).0,
                first_key: vec![],
                last_key: vec![],
            });
            out.extend_from_slice(&frame);
        }
        let mut index = Index {
            magic: index::MAGIC,
            members: self.footer.members,
            records: self.footer.records,
            filter_probes: 0,
            filter_bits: 0,
            filter: vec![],
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
        self.footer.index_offset = out.len() as u64;
        self.footer.index_length = small(frame.len());
        self.footer.index_content = small(content.len());
        self.footer.index_sha256 = Digest::of(&frame);
        out.extend_from_slice(&frame);
        self.footer.body_length = out.len() as u64;
        (self.on_public)(&mut self.public);
        out.extend_from_slice(&self.public);
        self.footer.body_sha256 = Digest::of(&out);
        (self.on_footer)(&mut self.footer);
        let mut footer = self.footer.to_bytes();
        (self.on_footer_bytes)(&mut footer);
        out.extend_from_slice(&footer);
        (self.on_object)(&mut out);
        out.into()
    }
}

fn small(length: usize) -> u32 {
    u32::try_from(length).expect("samples are small")
}

/// Replaces `from`, which must occur, by `to` of any length.
pub(super) fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("what is to be replaced occurs");
    bytes.splice(at..at + from.len(), to.iter().copied());
}
