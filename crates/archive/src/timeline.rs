//! What the ends of the segments tell: who wrote when, what is proven, what is missing.
//!
//! Does not: read records, other than those of gaps.

use vmrewind_model::{Epoch, ResumeEntry, Timestamp};

use crate::{Damage, GapSpan, Head, Proof, SegmentSummary};

/// The whole archive from far away.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The end of the log.
    pub head: Head,
    /// The instant of the first record; none in an archive without any.
    pub first: Option<Timestamp>,
    /// How many records there are.
    pub records: u64,
    /// How many bytes the segments take.
    pub bytes: u64,
    /// Every readable segment in order.
    pub segments: Vec<SegmentSummary>,
    /// The writers in order.
    pub reigns: Vec<Reign>,
    /// What is known of each resource that was ever captured.
    pub proofs: Vec<Proof>,
    /// Every gap, in the order in which they opened.
    pub gaps: Vec<GapSpan>,
    /// What is damaged; empty unless it was made by [`crate::Archive::survey`].
    pub damage: Vec<Damage>,
}

impl Timeline {
    /// Returns the newest resume map: what a new owner puts into its fence, and where its watches go on.
    #[must_use]
    pub fn resume(&self) -> Vec<ResumeEntry> {
        self.proofs.iter().filter(|proof| proof.current).map(|proof| proof.entry.clone()).collect()
    }
}

/// The time in which one writer led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Its number.
    pub epoch: Epoch,
    /// The writer's nonce.
    pub nonce: [u8; 16],
    /// Slot of its fence.
    pub first: u64,
    /// Its newest slot.
    pub last: u64,
    /// Instant of its fence.
    pub from: Timestamp,
    /// Instant of its newest segment.
    pub to: Timestamp,
}
