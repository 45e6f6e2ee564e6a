//! Looks at checkpoints: at the ends of their parts, or at all of them, and whether the log comes to the same: `spec/checkpoints.md`,
//! section 6.
//!
//! Does not: hold more of the log than a short entry for each object and each gap.

use std::collections::{BTreeMap, VecDeque};

use vmrewind_model::{Digest, ObjectKey, Seq, Timestamp};

use super::{
    super::{
        Slots,
        look::{Look, Seen},
    },
    look::{self, Found},
};
use crate::{
    Archive, ArchiveError, SegmentSummary,
    format::{
        Code,
        bundle::{Known, Leaves},
        fault::Fault,
        line::Line,
    },
    kept::{Candidate, GapLines},
    manifest::Rolled,
    state::holes,
    timeline::Gaps,
};

/// Seq, time and leaf of a line.
type Leaf = (u64, i64, [u8; 32]);

fn leaf(line: &Line) -> Leaf {
    (line.head.seq.0, line.head.t.micros(), line.leaf)
}

/// What the log says, slot after slot.
#[derive(Default)]
struct Replayed {
    objects: BTreeMap<ObjectKey, Candidate<Leaf, Leaf>>,
    lines: GapLines<Leaf>,
    gaps: Gaps,
    /// The newest line.
    last: Option<(Seq, Timestamp)>,
    /// The segment before, if it could be read.
    end: Option<(SegmentSummary, Digest)>,
    /// Slots that are damaged or missing.
    damaged: Vec<(u64, u64)>,
    /// True if something was not read in full.
    unread: bool,
}

impl Replayed {
    fn lines(&mut self, lines: &[Line]) {
        self.gaps.add(lines);
        for line in lines {
            self.last = self.last.max(Some((line.head.seq, line.head.t)));
            self.lines.take(&line.head, || leaf(line));
            if let Some(key) = &line.head.key {
                let candidate = self.objects.entry(key.object.clone()).or_default();
                candidate.take(&line.head, || leaf(line), || leaf(line));
            }
        }
    }

    fn take(&mut self, look: &Look) {
        self.end = None;
        match &look.seen {
            Seen::End(end) => self.unread |= end.0.records > 0,
            Seen::Whole(segment, _) => {
                self.lines(&segment.lines);
                self.end = Some((segment.summary.clone(), segment.digest));
            }
            Seen::Damaged(.., left) => {
                self.damaged.push((look.slot, look.slot));
                if let Some(left) = left {
                    self.lines(&left.lines);
                }
            }
        }
    }

    /// Returns what is wrong with a checkpoint at the slot that was taken last; none if that cannot be told.
    fn compare(
        &self,
        rolled: &Rolled,
        found: &Found,
        known: Option<&[Known]>,
        archive: &Archive,
    ) -> Option<Vec<Fault>> {
        let (point, bundle, window) = (rolled.point.as_ref()?, found.bundle.as_ref()?, &rolled.window);
        let without = holes::merged(self.gaps.damaged_slots(Seq(u64::MAX)), window.slots[1]);
        let damaged = holes::merged(self.damaged.clone(), window.slots[1]);
        if self.unread || damaged != without {
            return None;
        }
        let mut wrong = Vec::new();
        let mut demand = |holds: bool, code: Code, detail: &str| {
            if !holds {
                wrong.push(Fault::new(code, detail));
            }
        };
        let last = self.last == Some((window.seqs.last, point.t));
        demand(last, Code::Public, "its last record is another one than that of its slot");
        demand(without == point.without, Code::Public, "it was made without other slots than the log was passed over");
        if let Some((summary, digest)) = &self.end {
            let same = (summary.t_last, *digest) == (window.times[1], window.head)
                && (summary.epoch, summary.nonce) == (bundle.epoch, bundle.nonce);
            demand(same, Code::Chain, "it ends otherwise than the segment in its slot");
        }
        let known = known.is_none_or(|known| known == bundle.known);
        demand(known, Code::Public, "what is known of the resources is not what the segments up to its slot say");
        let mut leaves = Leaves::default();
        for candidate in self.objects.values() {
            candidate.kept(point.ends_from).for_each(|leaf| leaves.push(*leaf));
        }
        self.lines.kept(window.times[1]).for_each(|leaf| leaves.push(*leaf));
        let root = archive.home().root(leaves.root());
        let same = root.is_ok_and(|root| root == rolled.root);
        demand(same, Code::Root, "replaying the log comes to another state root");
        Some(wrong)
    }
}

/// The checkpoints of an archive, which are looked at as soon as all their slots were.
pub(super) struct Checkpoints {
    waiting: VecDeque<Rolled>,
    deep: bool,
    replayed: Replayed,
    /// How many could not be compared with the log.
    pub(super) alone: u64,
}

impl Checkpoints {
    pub(super) fn new(deep: bool, checkpoints: Vec<Rolled>) -> Self {
        Self { waiting: checkpoints.into(), deep, replayed: Replayed::default(), alone: 0 }
    }

    /// Takes what was seen of the next slot.
    pub(super) fn take(&mut self, look: &Look) {
        if self.deep && !self.waiting.is_empty() {
            self.replayed.take(look);
        }
    }

    /// Some slots are missing.
    pub(super) fn missing(&mut self, first: u64, last: u64) {
        self.replayed.end = None;
        self.replayed.damaged.push((first, last));
    }

    /// Tells whether a checkpoint ends before `slot`.
    pub(super) fn is_due(&self, slot: u64) -> bool {
        self.waiting.front().is_some_and(|rolled| rolled.window.slots[1] < slot)
    }

    /// Looks at the next checkpoint if it ends before `slot`, in full if its last slot is in `whole`; `known` is what is known of
    /// the resources there.
    pub(super) async fn next(
        &mut self,
        archive: &Archive,
        slot: u64,
        whole: &Slots,
        known: Option<&[Known]>,
    ) -> Result<Option<(Found, bool)>, ArchiveError> {
        let Some(rolled) = self.waiting.pop_front_if(|rolled| rolled.window.slots[1] < slot) else { return Ok(None) };
        let full = whole.contains(rolled.window.slots[1]);
        let mut found = if full { look::all(archive, &rolled).await? } else { look::ends(archive, &rolled).await? };
        if self.deep && found.problems.is_empty() {
            match self.replayed.compare(&rolled, &found, known, archive) {
                Some(wrong) => found.problems.extend(wrong.into_iter().map(|fault| look::problem(&rolled, 0, fault))),
                None => self.alone += 1,
            }
        }
        Ok(Some((found, full)))
    }
}
