//! What an answer begins with in place of everything up to a slot: a checkpoint, if one may be used: `spec/checkpoints.md`, section 4.
//!
//! Does not: read what comes behind it.

use vmrewind_model::{Digest, Seq};

use super::{At, holes};
use crate::{
    Archive, ArchiveError,
    format::{bundle::Point, line::Line, link::Before},
    manifest::Rolled,
    read,
    timeline::Gaps,
    window::{self, Opened},
};

/// A checkpoint of which the end of the first part was read.
pub(super) struct Start {
    pub(super) rolled: Rolled,
    pub(super) point: Point,
    pub(super) first: Opened,
}

impl Start {
    /// The last slot that it stands for.
    pub(super) fn slot(&self) -> u64 {
        self.rolled.window.slots[1]
    }

    /// What the next segment follows.
    pub(super) fn end(&self) -> Before {
        Before { head: self.first.bundle.head(), digest_known: true }
    }
}

/// Tells whether a checkpoint stands for nothing behind the moment asked for.
pub(super) fn is_before(rolled: &Rolled, at: At) -> bool {
    match at {
        At::Latest => true,
        At::Time(t) => rolled.window.times[1] <= t,
        // Of its last record the time is known, which may be before the end of its slot.
        At::Seq(seq) => {
            let ends = rolled.point.as_ref().is_some_and(|point| point.t == rolled.window.times[1]);
            rolled.window.seqs.last < seq || rolled.window.seqs.last == seq && ends
        }
    }
}

/// Looks for a checkpoint to begin with, the newest first.
pub(super) struct Search<'a> {
    pub(super) archive: &'a Archive,
    /// All windows there are.
    pub(super) windows: &'a [Rolled],
    /// Those before the moment asked for, the newest first, that were not looked at yet.
    pub(super) checkpoints: std::vec::IntoIter<&'a Rolled>,
    /// The first slot that was put back, once it was looked for.
    pub(super) put_back: Option<Option<u64>>,
}

impl Search<'_> {
    /// Opens the next one that can be begun with, as far as can be told without the lines behind it.
    pub(super) async fn next(&mut self, refusal: &Refusal) -> Result<Option<Start>, ArchiveError> {
        while let Some(rolled) = self.checkpoints.next() {
            let Some(point) = rolled.point.clone() else { continue };
            let slot = rolled.window.slots[1];
            if refusal.is_of(rolled.window.seqs.last, &point) || refusal.passed_with(slot, &point) {
                continue;
            }
            let put_back = match self.put_back {
                Some(known) => known,
                None => *self.put_back.insert(holes::first_put_back(self.archive, self.windows, slot).await?),
            };
            if put_back.is_some_and(|hole| hole <= slot) || holes::can_be_read(self.archive, &point).await? {
                continue;
            }
            match window::open(self.archive, rolled, 0).await {
                Ok(first) => {
                    let start = Start { rolled: rolled.clone(), point, first };
                    if self.is_followed(&start).await? {
                        return Ok(Some(start));
                    }
                }
                Err(ArchiveError::Damaged(damage)) => {
                    tracing::warn!(%damage, "a checkpoint cannot be read; what it stands for is read instead");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Tells whether what stands behind it follows it, as far as that can be read.
    async fn is_followed(&self, start: &Start) -> Result<bool, ArchiveError> {
        let (next, window) = (start.slot() + 1, &start.rolled.window);
        let holds = |rolled: &&Rolled| (rolled.window.slots[0]..=rolled.window.slots[1]).contains(&next);
        if let Some(rolled) = self.windows.iter().find(holds) {
            let anew = rolled.window.prev == Digest([0; 32]);
            return Ok(rolled.window.slots[0] < next || anew || rolled.window.prev == window.head);
        }
        let own = read::summary(self.archive, next).await?;
        Ok(own.is_none_or(|own| start.end().check(&own).is_ok()))
    }
}

/// What was met behind a checkpoint that tells which ones cannot be begun with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The least seq that a line behind it counts from, of those before its ends.
    counts_from: Option<Seq>,
    /// The least seq of a gap that is told of again and is not known.
    opened: Option<Seq>,
    /// Slots that were passed over as damaged, if that is known.
    passed: Vec<(u64, u64)>,
    known: bool,
}

impl Refusal {
    /// Tells whether a checkpoint with this last seq does not hold what lines or gaps need.
    fn is_of(&self, last: Seq, point: &Point) -> bool {
        self.counts_from.is_some_and(|from| from < point.ends_from) || self.opened.is_some_and(|opened| opened <= last)
    }

    /// Tells whether a checkpoint at a slot was made without other slots than those that were passed over.
    fn passed_with(&self, slot: u64, point: &Point) -> bool {
        self.known && holes::merged(self.passed.clone(), slot) != point.without
    }
}

/// What is known of the checkpoint that was begun with.
pub(super) struct Begun {
    seq: Seq,
    slot: u64,
    point: Point,
    refusal: Refusal,
}

impl Begun {
    pub(super) fn with(start: &Start) -> Self {
        let (window, point) = (&start.rolled.window, start.point.clone());
        Self { seq: window.seqs.last, slot: window.slots[1], point, refusal: Refusal::default() }
    }

    /// Tells whether a line comes behind it.
    pub(super) fn is_behind(&self, line: &Line) -> bool {
        line.head.seq > self.seq
    }

    /// Looks at lines behind it, given the gaps that are known before them.
    pub(super) fn gaps(&mut self, lines: &[Line], known: &Gaps) {
        let named = lines.iter().filter_map(|line| line.head.gap.as_ref().and_then(|gap| gap.opened));
        let unknown = named.filter(|opened| *opened <= self.seq && !known.knows(*opened));
        self.refusal.opened = self.refusal.opened.into_iter().chain(unknown).min();
    }

    /// Looks at a line behind it that counts for the answer.
    pub(super) fn line(&mut self, line: &Line) {
        let from = line.head.counts_from();
        if line.head.op.is_some() && from < self.point.ends_from {
            self.refusal.counts_from = self.refusal.counts_from.into_iter().chain([from]).min();
        }
    }

    /// Says why it cannot be used, if so; `passed` are the slots that were passed over as damaged.
    pub(super) fn refused(&self, passed: &[(u64, u64)]) -> Option<Refusal> {
        let refusal = Refusal { passed: passed.to_vec(), known: true, ..self.refusal.clone() };
        let refused = refusal.is_of(self.seq, &self.point) || refusal.passed_with(self.slot, &self.point);
        refused.then_some(refusal)
    }
}
