//! Bundles: lines of many segments, byte for byte, sorted by object: all of a window (`spec/bundles.md`), or those that still
//! matter at a slot (`spec/checkpoints.md`).
//!
//! Does not: say where they lie or which there are; see `crate::manifest`.

mod decode;
mod encode;
mod filter;
mod key;
mod meta;
mod point;

use serde::{Deserialize, Serialize};
use vmrewind_model::{Digest, Epoch, ResumeEntry, Seq, Timestamp};

use super::{
    Code, SeqRange,
    fault::{Checked, demand},
    footer::Kind,
    home::Home,
    line::Line,
    root::Tree,
};

pub(crate) use decode::{Bundle, Peek, peek, whole};
pub(crate) use encode::{Cut, Encoded, Writer};
pub(crate) use key::SortKey;
pub(crate) use point::Point;

/// What is the same in all parts of a window, and stands in its manifest. A checkpoint has one as well: all slots up to its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// How long it is: 1 to 4; 0 for a checkpoint.
    pub(crate) level: u16,
    /// First and last slot.
    pub(crate) slots: [u64; 2],
    pub(crate) seqs: SeqRange,
    /// First time of its first segment, watermark of its last one.
    pub(crate) times: [Timestamp; 2],
    /// Digest of the segment before it.
    pub(crate) prev: Digest,
    /// Digest of its last segment.
    pub(crate) head: Digest,
    pub(crate) earliest: Earliest,
}

impl Window {
    /// Returns how many records it has.
    pub(crate) fn records(&self) -> u64 {
        self.seqs.last.0 + 1 - self.seqs.first.0
    }
}

/// How far back lines reach that were written later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Earliest {
    /// The smallest `from` of a line.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(crate) from: Option<Seq>,
    /// The smallest `from` of a gap.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(crate) gap: Option<Timestamp>,
    /// The smallest `lo` of a line.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(crate) lo: Option<Timestamp>,
}

impl Earliest {
    /// Takes one more line.
    pub(crate) fn add(&mut self, line: &Line) {
        let head = &line.head;
        self.join(Self { from: head.from, gap: head.gap.as_ref().map(|gap| gap.from), lo: head.lo });
    }

    /// Takes what others reach back to.
    pub(crate) fn join(&mut self, other: Self) {
        self.from = least(self.from, other.from);
        self.gap = least(self.gap, other.gap);
        self.lo = least(self.lo, other.lo);
    }

    /// Tells whether all of `other` is reached back to as well.
    fn holds(self, other: Self) -> bool {
        let mut both = self;
        both.join(other);
        both == self
    }
}

/// Reads a member that is there: null is none.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(member: D) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The leaves of lines that come in any order: of each its seq and its time as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaves(Vec<(u64, i64, [u8; 32])>);

impl Leaves {
    /// None yet, with room for as many.
    pub(crate) fn with_room(lines: u64) -> Self {
        Self(Vec::with_capacity(usize::try_from(lines).unwrap_or_default()))
    }

    /// Tells whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one more line.
    pub(crate) fn add(&mut self, line: &Line) {
        self.push((line.head.seq.0, line.head.t.micros(), line.leaf));
    }

    /// Takes seq, time and leaf of one more line.
    pub(crate) fn push(&mut self, leaf: (u64, i64, [u8; 32])) {
        self.0.push(leaf);
    }

    /// Checks that no seq is there twice, and that times increase with seqs.
    pub(crate) fn check(&mut self) -> Checked<()> {
        self.0.sort_unstable();
        let pairs = || self.0.iter().zip(self.0.iter().skip(1));
        demand(pairs().all(|(one, next)| one.0 < next.0), Code::Seq, "a seq is there twice")?;
        demand(pairs().all(|(one, next)| one.1 < next.1), Code::Time, "a time is not after the one before")
    }

    /// Returns seq, time and leaf of each, in the order of their seqs.
    pub(crate) fn sorted(mut self) -> Vec<(u64, i64, [u8; 32])> {
        self.0.sort_unstable();
        self.0
    }

    /// Takes other lines.
    pub(crate) fn join(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Returns the event root over them in the order of their seqs.
    pub(crate) fn root(&mut self) -> Digest {
        self.0.sort_unstable();
        let mut tree = Tree::default();
        self.0.iter().for_each(|(.., leaf)| tree.push(*leaf));
        tree.root()
    }
}

/// What is known of one resource at the end of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    #[serde(flatten)]
    pub(crate) entry: ResumeEntry,
    /// The first instant for which it was proven.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(crate) since: Option<Timestamp>,
    /// The last seq of the segment that first named it.
    pub(crate) named: Seq,
    /// Whether the newest complete map still holds it.
    pub(crate) current: bool,
}

/// All that the parts of a window say besides their lines.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The archive it is for, and how its bodies are written.
    pub(crate) home: Home,
    pub(crate) window: Window,
    /// What a checkpoint says besides; none if this is a window of history.
    pub(crate) point: Option<Point>,
    /// Of its last segment.
    pub(crate) epoch: Epoch,
    /// Of its last segment.
    pub(crate) nonce: [u8; 16],
    /// In the order of the resources, each once.
    pub(crate) known: Vec<Known>,
    /// Drawn at random, so that the name of a part was never used before.
    pub(crate) salt: [u8; 16],
    pub(crate) software: String,
}

impl Draft {
    /// What its parts are.
    fn kind(&self) -> Kind {
        Point::kind(self.point.as_ref())
    }
}

/// The public frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Public {
    complete: bool,
    entries: Vec<Known>,
    head: String,
    earliest: Earliest,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    checkpoint: Option<Point>,
}

/// Reads 64 lower-case hex digits.
pub(crate) fn digest(text: &str) -> Option<Digest> {
    let digest = format!("sha256:{text}").parse::<Digest>().ok()?;
    (digest.hex() == text).then_some(digest)
}

#[cfg(test)]
pub(super) mod tests;
