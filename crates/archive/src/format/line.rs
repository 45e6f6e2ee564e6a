//! Records as text: one JSON object per line, the object's bytes last.
//!
//! Does not: parse objects; their bytes are copied in and sliced out.

mod parse;
mod write;

use bytes::Bytes;
use vmrewind_model::{Era, Gap, Op, RecordKey, Rv, Seq, Timestamp};

pub(crate) use parse::parse;
pub(crate) use write::{check_text, write};

/// What separates the head of a line from its object.
const OBJECT: &str = r#","obj":"#;

/// What a line says, apart from the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineHead {
    pub(crate) seq: Seq,
    pub(crate) t: Timestamp,
    /// What happened; none if the op is not known and the line says that it may be passed over.
    pub(crate) op: Option<Op>,
    pub(crate) key: Option<RecordKey>,
    pub(crate) era: Era,
    pub(crate) lo: Option<Timestamp>,
    pub(crate) inferred: bool,
    pub(crate) from: Option<Seq>,
    pub(crate) rv: Option<Rv>,
    pub(crate) reason: Option<String>,
    pub(crate) gap: Option<Gap>,
}

/// A line that was read.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) head: LineHead,
    /// The bytes of the object, a slice of the frame.
    pub(crate) object: Option<Bytes>,
    /// All bytes of the line but the line feed, a slice of the frame.
    pub(crate) text: Bytes,
    /// See `spec/format.md`, section 7.
    pub(crate) leaf: [u8; 32],
}

impl Line {
    /// Returns the line with bytes of its own, so that keeping it does not keep the whole frame.
    pub(crate) fn detached(&self) -> Self {
        let text = Bytes::copy_from_slice(&self.text);
        let object = self.object.as_ref().map(|object| {
            let end = text.len() - 1;
            text.slice(end - object.len()..end)
        });
        Self { head: self.head.clone(), object, text, leaf: self.leaf }
    }
}

impl LineHead {
    /// Returns the seq from which on the record counts.
    pub(crate) fn counts_from(&self) -> Seq {
        self.from.unwrap_or(self.seq)
    }
}

#[cfg(test)]
mod tests;
