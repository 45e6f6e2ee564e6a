//! The one write sequence: build a segment, create its slot, confirm.
//!
//! Does not: retry with other bytes, overwrite, or go on after it was fenced.

use vmrewind_model::{Digest, Record, ResumeEntry, Seq, Timestamp};

use crate::{ArchiveError, Head};

/// A clock that never goes back while a writer lives, for the stall rule.
pub type Now<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// What one segment is to hold.
#[derive(Clone, Debug, Default)]
pub struct SegmentInput {
    /// At least one record; `seq` goes on from the head without holes, `t` increases strictly.
    pub records: Vec<Record>,
    /// What is now known of the resources that changed, or of every resource.
    pub resume: Vec<ResumeEntry>,
    /// True if `resume` holds every resource: those it lacks are then no longer captured.
    pub complete: bool,
}

/// A committed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRef {
    /// Its slot.
    pub segment: u64,
    /// Its first and last record.
    pub first: Seq,
    /// See `first`.
    pub last: Seq,
    /// Everything observed up to this instant is in the archive.
    pub t: Timestamp,
    /// SHA-256 of all its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// Size of its lines in bytes, before compression.
    pub raw: u64,
}

/// Proof that something is durable. Only the store can make one; acknowledge nothing without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// Returns what is durable.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// The owner of an archive, and the only one who can append to it.
#[derive(Debug)]
pub struct Writer {
    head: Head,
}

impl Writer {
    /// Returns the newest segment that is confirmed.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Returns the slot that is written but not confirmed, if there is one: call [`Self::resume_commit`].
    #[must_use]
    pub fn pending(&self) -> Option<u64> {
        None
    }

    /// Appends one segment. Its bytes are fixed by the first attempt to store them.
    ///
    /// # Errors
    /// [`ArchiveError::Input`] if the input breaks its contract: nothing was written.
    /// [`ArchiveError::Unavailable`] or [`ArchiveError::Denied`]: it is not known whether the segment is stored; call
    /// [`Self::resume_commit`] until it is. After any other error ([`ArchiveError::ends_writer`]) this writer can never write again.
    pub async fn commit(&mut self, _input: SegmentInput, _now: Now<'_>) -> Result<Durable<SegmentRef>, ArchiveError> {
        Err(ArchiveError::Bug("commit is being written".into()))
    }

    /// Finishes the segment that a failed [`Self::commit`] left, with the same bytes.
    ///
    /// # Errors
    /// As [`Self::commit`]; [`ArchiveError::Input`] if no segment is left.
    pub async fn resume_commit(&mut self, _now: Now<'_>) -> Result<Durable<SegmentRef>, ArchiveError> {
        Err(ArchiveError::Bug("commit is being written".into()))
    }

    /// Looks whether this writer still leads, when there was nothing to commit for a while. Resets the stall rule.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn confirm(&mut self, _now: Now<'_>) -> Result<(), ArchiveError> {
        Err(ArchiveError::Bug("commit is being written".into()))
    }
}
