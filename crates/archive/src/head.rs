//! The newest segment of an archive, and how it is found.
//!
//! Does not: trust a listing, other than to find out that something is missing.

use vmrewind_model::{Digest, Epoch, Seq, Timestamp};

use crate::{
    ArchiveError, SegmentSummary, Store,
    format::{Code, bundle::Window, fault::Fault, limits},
    paths,
};

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

/// How often the search starts again because segments were written meanwhile.
const ROUNDS: usize = 64;

/// Finds the largest slot that is taken, starting from one that is known to be (or 0).
///
/// # Errors
/// Those of the store, and [`ArchiveError::Damaged`] if a segment is missing before another.
pub(crate) async fn find(store: &Store, known: u64) -> Result<u64, ArchiveError> {
    let mut head = known;
    for _ in 0..ROUNDS {
        head = gallop(head, |slot| taken(store, slot)).await?;
        let Some(later) = store.first_slot_after(head).await? else { return Ok(head) };
        if taken(store, head + 1).await? {
            head += 1;
            continue;
        }
        let detail = format!("it is missing, but segment {later} is there");
        return Err(Fault::new(Code::Missing, detail).in_object(paths::segment(head + 1), Some(head + 1)).into());
    }
    let source = "segments are written faster than they can be followed".into();
    Err(ArchiveError::Unavailable { what: "find the newest segment".into(), source })
}

/// As [`find`], but goes on behind segments that are missing, as far as the store lists what is there.
///
/// # Errors
/// Those of the store.
pub(crate) async fn find_behind_holes(store: &Store, known: u64) -> Result<u64, ArchiveError> {
    let mut known = known;
    for _ in 0..ROUNDS {
        match find(store, known).await {
            Err(ArchiveError::Damaged(_)) => known = known.max(store.last_slot().await?),
            found => return found,
        }
    }
    let source = "more and more segments are missing".into();
    Err(ArchiveError::Unavailable { what: "find the newest segment".into(), source })
}

/// The end of the log if its newest segment cannot be read: what is known of it, or else what it cannot exceed. The
/// segment after it is a fence that names no predecessor.
pub(crate) fn behind_damage(slot: u64, own: Option<&SegmentSummary>, earlier: Option<&SegmentSummary>) -> Head {
    if let Some(own) = own {
        return own.head(Head::EMPTY.digest);
    }
    let earlier = earlier.map_or(Head::EMPTY, |earlier| earlier.head(Head::EMPTY.digest));
    let unknown = slot - earlier.segment;
    Head {
        segment: slot,
        epoch: Epoch(earlier.epoch.0.saturating_add(unknown)),
        seq: Seq(earlier.seq.0.saturating_add(unknown.saturating_mul(limits::RECORDS))),
        ..earlier
    }
}

/// Raises what is known of the end of a log whose newest segments cannot be read to what was rolled up of it.
pub(crate) fn not_before(head: Head, rolled: Option<&Window>) -> Head {
    let Some(window) = rolled else { return head };
    let unknown = head.segment.saturating_sub(window.slots[1]);
    let seq = window.seqs.last.0.saturating_add(unknown.saturating_mul(limits::RECORDS));
    Head { seq: head.seq.max(Seq(seq)), t: head.t.max(window.times[1]), ..head }
}

/// Finds the last number that is taken, from one that is (or 0): doubles the step while numbers are taken, then halves the
/// interval, since they are contiguous.
pub(crate) async fn gallop<F: Future<Output = Result<bool, ArchiveError>>>(
    known: u64,
    taken: impl Fn(u64) -> F,
) -> Result<u64, ArchiveError> {
    let (mut low, mut step) = (known, 1_u64);
    let mut high = loop {
        let next = low.saturating_add(step);
        if !taken(next).await? {
            break next;
        }
        (low, step) = (next, step.saturating_mul(2));
    };
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if taken(middle).await? { low = middle } else { high = middle }
    }
    Ok(low)
}

async fn taken(store: &Store, slot: u64) -> Result<bool, ArchiveError> {
    Ok(store.size(&paths::segment(slot)).await?.is_some())
}
