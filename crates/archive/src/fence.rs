//! Takes an archive over: one empty segment that ends the reign of the writer before.
//!
//! Does not: replay the archive; the caller has done so up to the head it hands in.

use vmrewind_model::{ResumeEntry, Timestamp};

use crate::{Archive, ArchiveError, Cpu, Head, Now, Writer};

/// What a new owner writes into its first segment.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Drawn at random by the caller, for each attempt to become the owner anew; the same when one attempt is repeated.
    pub nonce: [u8; 16],
    /// Name and version of the program.
    pub software: String,
    /// Now. Raised to the head's instant if it lies before it.
    pub t: Timestamp,
    /// What is known of every resource: the complete resume map.
    pub resume: Vec<ResumeEntry>,
}

/// How an attempt to take over ended.
#[derive(Debug)]
pub enum FenceOutcome {
    /// The caller owns the archive.
    Owner(Writer),
    /// Somebody else's segment is the new head: replay it and try again, under a lease that is still held.
    Taken(Head),
}

impl Writer {
    /// Creates the segment after `head` as a fence. Refuses a store that lets `archive.json` be created twice.
    ///
    /// Safe to call again with the same arguments after [`ArchiveError::Unavailable`].
    ///
    /// # Errors
    /// Those of the store, and [`ArchiveError::UnsafeStore`] and [`ArchiveError::Unsupported`].
    pub async fn fence(
        _archive: &Archive,
        _head: &Head,
        _fence: Fence,
        _cpu: Cpu,
        _now: Now<'_>,
    ) -> Result<FenceOutcome, ArchiveError> {
        Err(ArchiveError::Bug("fence is being written".into()))
    }
}
