//! The last 384 bytes of a bundle: plain, fixed, and enough to know what the bundle is.
//!
//! Does not: look at the bytes before it.

mod check;

use uuid::Uuid;
use vmrewind_model::Digest;

use super::{
    Code, FormatVersion,
    fault::{Checked, demand},
};

/// Length of a footer.
pub(crate) const LEN: usize = 384;

/// Length of a footer without its skippable header.
const REST: u32 = 376;

const SKIPPABLE: u32 = 0x184D_2A5D;
const MAGIC: [u8; 8] = *b"KVBFOOT1";

/// What a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A segment of the log.
    Log,
    /// Part of a window of history.
    History,
    /// Part of a checkpoint.
    Checkpoint,
}

impl Kind {
    /// The number that stands in the footer.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Log => 1,
            Self::History => 2,
            Self::Checkpoint => 3,
        }
    }

    fn version(self) -> FormatVersion {
        match self {
            Self::Log => super::VERSION,
            Self::History | Self::Checkpoint => super::HISTORY_VERSION,
        }
    }
}

/// Flags of a footer.
pub(crate) mod flag {
    pub(crate) const ENCRYPTED: u32 = 1;
    pub(crate) const SIGNED: u32 = 1 << 1;
    pub(crate) const FENCE: u32 = 1 << 2;
    pub(crate) const COMPLETE: u32 = 1 << 3;
    pub(crate) const GAPS: u32 = 1 << 4;
    pub(crate) const LATE: u32 = 1 << 5;
    pub(crate) const BACK_DATED: u32 = 1 << 6;
    pub(crate) const KNOWN: u32 = (1 << 7) - 1;
}

/// The fields of a footer, in the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) version: FormatVersion,
    pub(crate) kind: u16,
    pub(crate) level: u16,
    pub(crate) shard: u32,
    pub(crate) flags: u32,
    pub(crate) features: u64,
    pub(crate) archive: Uuid,
    pub(crate) epoch: u64,
    pub(crate) slots: [u64; 2],
    pub(crate) seqs: [u64; 2],
    pub(crate) records: u64,
    pub(crate) members: u64,
    pub(crate) times: [i64; 2],
    pub(crate) index_offset: u64,
    pub(crate) index_length: u32,
    pub(crate) index_content: u32,
    pub(crate) body_length: u64,
    pub(crate) encryption_header: u32,
    pub(crate) signer: u32,
    pub(crate) body_sha256: Digest,
    pub(crate) prev: Digest,
    pub(crate) root: Digest,
    pub(crate) index_sha256: Digest,
    pub(crate) nonce: [u8; 16],
    pub(crate) signature: [u8; 64],
}

/// What of a log segment's footer is not the same in all of them.
pub(crate) struct Log {
    pub(crate) archive: Uuid,
    pub(crate) slot: u64,
    pub(crate) epoch: u64,
    pub(crate) nonce: [u8; 16],
    pub(crate) flags: u32,
    pub(crate) seqs: [u64; 2],
    pub(crate) records: u64,
    pub(crate) members: u64,
    pub(crate) times: [i64; 2],
    pub(crate) index_offset: u64,
    pub(crate) index_length: u32,
    pub(crate) index_content: u32,
    pub(crate) body_sha256: Digest,
    pub(crate) prev: Digest,
    pub(crate) root: Digest,
    pub(crate) index_sha256: Digest,
}

impl Footer {
    /// Makes the footer of a log segment.
    pub(crate) fn log(log: &Log) -> Self {
        Self {
            version: super::VERSION,
            kind: Kind::Log.number(),
            level: 0,
            shard: 0,
            flags: log.flags,
            features: 0,
            archive: log.archive,
            epoch: log.epoch,
            slots: [log.slot, log.slot],
            seqs: log.seqs,
            records: log.records,
            members: log.members,
            times: log.times,
            index_offset: log.index_offset,
            index_length: log.index_length,
            index_content: log.index_content,
            body_length: log.index_offset + u64::from(log.index_length),
            encryption_header: 0,
            signer: 0,
            body_sha256: log.body_sha256,
            prev: log.prev,
            root: log.root,
            index_sha256: log.index_sha256,
            nonce: log.nonce,
            signature: [0; 64],
        }
    }

    /// Returns the bytes, with their own check filled in.
    pub(crate) fn to_bytes(&self) -> [u8; LEN] {
        let mut out = Vec::with_capacity(LEN);
        out.extend_from_slice(&SKIPPABLE.to_le_bytes());
        out.extend_from_slice(&REST.to_le_bytes());
        out.extend_from_slice(&MAGIC);
        for number in [self.version.major, self.version.minor, self.kind, self.level] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.shard.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.features.to_le_bytes());
        out.extend_from_slice(self.archive.as_bytes());
        let [first_slot, last_slot] = self.slots;
        let [first_seq, last_seq] = self.seqs;
        for number in [self.epoch, first_slot, last_slot, first_seq, last_seq, self.records, self.members] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in self.times {
            out.extend_from_slice(&time.to_le_bytes());
        }
        out.extend_from_slice(&self.index_offset.to_le_bytes());
        out.extend_from_slice(&self.index_length.to_le_bytes());
        out.extend_from_slice(&self.index_content.to_le_bytes());
        out.extend_from_slice(&self.body_length.to_le_bytes());
        out.extend_from_slice(&self.encryption_header.to_le_bytes());
        out.extend_from_slice(&self.signer.to_le_bytes());
        for Digest(digest) in [self.body_sha256, self.prev, self.root, self.index_sha256] {
            out.extend_from_slice(&digest);
        }
        out.extend_from_slice(&self.nonce);
        let Digest(check) = Digest::of(&out);
        out.extend_from_slice(&check[..16]);
        out.extend_from_slice(&self.signature);
        out.try_into().expect("the fields of a footer take 384 bytes")
    }

    /// Reads the footer of a bundle of some kind: magic, check, version and features, in the order that the specification
    /// demands.
    pub(crate) fn parse(bytes: &[u8; LEN], kind: Kind) -> Checked<Self> {
        let mut fields = Fields(bytes);
        let framed = fields.u32() == SKIPPABLE && fields.u32() == REST && fields.take() == MAGIC;
        demand(framed, Code::FooterMagic, "it does not end in a footer: it was cut, or bytes were appended")?;
        let Digest(check) = Digest::of(&bytes[..304]);
        demand(check[..16] == bytes[304..320], Code::FooterCheck, "the footer was changed")?;
        let footer = Self {
            version: FormatVersion { major: fields.u16(), minor: fields.u16() },
            kind: fields.u16(),
            level: fields.u16(),
            shard: fields.u32(),
            flags: fields.u32(),
            features: fields.u64(),
            archive: Uuid::from_bytes(fields.take()),
            epoch: fields.u64(),
            slots: [fields.u64(), fields.u64()],
            seqs: [fields.u64(), fields.u64()],
            records: fields.u64(),
            members: fields.u64(),
            times: [i64::from_le_bytes(fields.take()), i64::from_le_bytes(fields.take())],
            index_offset: fields.u64(),
            index_length: fields.u32(),
            index_content: fields.u32(),
            body_length: fields.u64(),
            encryption_header: fields.u32(),
            signer: fields.u32(),
            body_sha256: Digest(fields.take()),
            prev: Digest(fields.take()),
            root: Digest(fields.take()),
            index_sha256: Digest(fields.take()),
            nonce: fields.take(),
            signature: {
                fields.take::<16>();
                fields.take()
            },
        };
        footer.check_known(kind)?;
        Ok(footer)
    }
}

/// Reads fields one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the fields of a footer take 384 bytes");
        self.0 = rest;
        *field
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
