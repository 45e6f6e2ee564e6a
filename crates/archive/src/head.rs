//! The newest segment of an archive, and how it is found.
//!
//! Does not: trust a listing; see [`crate::Archive::head`].

use vmrewind_model::{Digest, Epoch, Seq, Timestamp};

/// The end of the log: what the next segment must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Slot of the newest segment; 0 in an archive without any.
    pub segment: u64,
    /// Epoch of its writer; 0 in an archive without any segment.
    pub epoch: Epoch,
    /// Nonce of its writer.
    pub nonce: [u8; 16],
    /// Seq of the newest record; 0 in an archive without any. The next record has the seq after it.
    pub seq: Seq,
    /// Everything observed up to this instant is in the archive. The next record has a later one.
    pub t: Timestamp,
    /// SHA-256 of the whole newest segment; zeros in an archive without any.
    pub digest: Digest,
}

impl Head {
    /// The head of an archive without any segment.
    pub const EMPTY: Self =
        Self { segment: 0, epoch: Epoch(0), nonce: [0; 16], seq: Seq(0), t: Timestamp::MIN, digest: Digest([0; 32]) };
}
