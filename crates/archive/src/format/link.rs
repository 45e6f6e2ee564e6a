//! Whether a segment follows another.
//!
//! Does not: read segments.

use vmrewind_model::{Digest, Epoch};

use super::{
    Code, SegmentSummary,
    fault::{Checked, demand},
};
use crate::Head;

/// What is known of the segment before.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) head: Head,
    /// False if only the end of the segment was read, so that its digest is not known.
    pub(crate) digest_known: bool,
}

impl Before {
    /// What stands before the first segment.
    pub(crate) fn first() -> Self {
        Self { head: Head::EMPTY, digest_known: true }
    }

    /// What stands before the segment after `summary`.
    pub(crate) fn of(summary: &SegmentSummary, digest: Option<Digest>) -> Self {
        Self { head: summary.head(digest.unwrap_or(Head::EMPTY.digest)), digest_known: digest.is_some() }
    }

    /// Checks that `next` follows: slot, predecessor, epoch, seq, time.
    pub(crate) fn check(&self, next: &SegmentSummary) -> Checked<()> {
        let head = &self.head;
        demand(next.segment == head.segment + 1, Code::Missing, "a segment is missing before it")?;
        // A fence that was written after a damaged segment names no predecessor.
        let anew = next.fence && head.segment > 0 && next.prev == Head::EMPTY.digest;
        let known = !self.digest_known || next.prev == head.digest || anew;
        demand(known, Code::Chain, "it does not follow the segment before it")?;
        let follows = if anew {
            next.epoch > head.epoch && next.nonce != head.nonce
        } else if next.fence {
            next.epoch.0 == head.epoch.0 + 1 && next.nonce != head.nonce
        } else {
            next.epoch != Epoch(0) && next.epoch == head.epoch && next.nonce == head.nonce
        };
        // A nonce of zeros is as good as any other in the first slot, where there is none before.
        let first = head.segment == 0 && next.fence && next.epoch == Epoch(1);
        demand(follows || first, Code::Epoch, "its writer does not follow the one before")?;
        let joined = next.seqs.first == head.seq.next() || anew && next.seqs.first > head.seq;
        demand(joined, Code::Seq, "its records do not follow those before")?;
        let later = if next.fence { head.t <= next.t_first } else { head.t < next.t_first };
        demand(later, Code::Time, "its records are not later than those before")
    }
}
