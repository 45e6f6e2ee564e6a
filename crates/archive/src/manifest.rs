//! Which windows of the log have been rolled up, and where. See `spec/manifests.md`.
//!
//! Does not: read bundles, or decide what to roll up; see `crate::maintain`.

mod find;
mod text;

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;
use vmrewind_model::{Digest, Timestamp};

use crate::format::{
    Code,
    bundle::{Point, Window},
    fault::{Checked, demand},
    footer::Kind,
    limits,
};
use crate::paths;

#[cfg(test)]
pub(crate) use find::listed;
pub(crate) use find::newest;

/// The longest windows: a day.
pub(crate) const LEVELS: std::ops::RangeInclusive<u16> = 1..=4;

/// The digest of what stands before the first segment, and before one that begins anew.
const NOTHING: Digest = Digest([0; 32]);

/// Bytes of a footer: no bundle is smaller.
const LEAST_PART: u64 = 384;

/// Members that this version does not know, kept for whoever does.
pub(crate) type Unknown = BTreeMap<String, Value>;

/// A manifest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) archive: Uuid,
    pub(crate) n: u64,
    /// Digest of the manifest before; zeros in the first.
    pub(crate) prev: Digest,
    pub(crate) software: String,
    /// In the order of their slots, without overlap.
    pub(crate) windows: Vec<Rolled>,
    /// In the order of their slots.
    pub(crate) checkpoints: Vec<Rolled>,
    pub(crate) written: Timestamp,
    pub(crate) unknown: Unknown,
}

/// A window, or a checkpoint, and where its lines lie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rolled {
    pub(crate) window: Window,
    /// What a checkpoint says besides; none if this is a window.
    pub(crate) point: Option<Point>,
    /// Event root over all its lines, in the order of their seqs.
    pub(crate) root: Digest,
    /// In the order of their lines.
    pub(crate) parts: Vec<PartRef>,
    /// True if a slot before it was rolled up only later: what it says of the resources lacks what that one said.
    pub(crate) stale: bool,
    pub(crate) unknown: Unknown,
}

/// Where a part of a window or of a checkpoint lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartRef {
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) records: u64,
    pub(crate) unknown: Unknown,
}

/// A manifest that was found, and the digest of its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
}

impl PartRef {
    /// Returns its name.
    pub(crate) fn name(&self) -> String {
        paths::bundle(self.kind, &self.digest)
    }
}

impl Rolled {
    /// What its parts are.
    pub(crate) fn kind(&self) -> Kind {
        Point::kind(self.point.as_ref())
    }

    /// Tells whether it says the same as another one, where both begin or end with the same slot.
    fn agrees(&self, other: &Self) -> bool {
        let (one, two) = (&self.window, &other.window);
        let begin = |window: &Window| (window.prev, window.seqs.first, window.times[0]);
        let end = |window: &Window| (window.head, window.seqs.last, window.times[1]);
        (one.slots[0] != two.slots[0] || begin(one) == begin(two))
            && (one.slots[1] != two.slots[1] || end(one) == end(two))
            && (one.slots != two.slots || self.root == other.root)
    }

    /// Checks that a window can be.
    fn check_window(&self) -> Checked<()> {
        let window = &self.window;
        sound(LEVELS.contains(&window.level), "the level of a window is not known")?;
        self.check_common()?;
        let first = window.slots[0] > 1 || window.prev == NOTHING && window.seqs.first.0 == 1;
        sound(first, "there is something before slot 1")?;
        sound(window.records() <= limits::WINDOW_RECORDS, "a window has too many records")?;
        sound(self.records() == Some(window.records()), "the parts of a window hold another number of records")
    }

    /// Checks that a checkpoint can be.
    pub(crate) fn check_checkpoint(&self) -> Checked<()> {
        self.check_common()?;
        let records = self.records().is_some_and(|all| all <= self.window.records().min(limits::WINDOW_RECORDS));
        sound(records, "the parts of a checkpoint hold more records than there are")?;
        self.point.as_ref().map_or(Ok(()), |point| point.check(&self.window, Code::Manifest))
    }

    fn check_common(&self) -> Checked<()> {
        let window = &self.window;
        let number = |number: u64| (1..=limits::NUMBER).contains(&number);
        sound(window.slots[0] <= window.slots[1], "a window ends before it begins")?;
        sound(window.slots.into_iter().all(number), "a slot is out of range")?;
        sound(window.seqs.first <= window.seqs.last, "a window has no records")?;
        sound([window.seqs.first.0, window.seqs.last.0].into_iter().all(number), "a seq is out of range")?;
        sound(window.times[0] <= window.times[1], "the times of a window descend")?;
        let parts = !self.parts.is_empty() && self.parts.len() <= limits::PARTS;
        sound(parts, "a window has no parts, or too many")?;
        sound(self.parts.iter().all(|part| part.records > 0), "a part has no records")?;
        let sizes = self.parts.iter().all(|part| (LEAST_PART..=limits::SEGMENT).contains(&part.size));
        sound(sizes, "a part has a size that no bundle has")
    }

    /// Returns how many lines its parts hold; none if that is no number.
    fn records(&self) -> Option<u64> {
        self.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.records))
    }

    /// Tells whether a checkpoint says the same as one of the same slot in the manifest before.
    fn continues(&self, old: &Self) -> bool {
        let (Some(new_point), Some(old_point)) = (&self.point, &old.point) else { return false };
        let end = |rolled: &Self, point: &Point| {
            (rolled.window.head, rolled.window.seqs.last, rolled.window.times[1], point.t)
        };
        let same_kept = new_point == old_point;
        end(self, new_point) == end(old, old_point) && (!same_kept || self.root == old.root)
    }
}

fn sound(holds: bool, detail: &str) -> Checked<()> {
    demand(holds, Code::Manifest, detail)
}

impl Manifest {
    /// Checks that windows and checkpoints can be: each by itself, and each against the one before.
    fn check(&self) -> Checked<()> {
        for rolled in &self.windows {
            rolled.check_window()?;
        }
        for pair in self.windows.windows(2) {
            let (before, next) = (&pair[0].window, &pair[1].window);
            sound(before.slots[1] < next.slots[0], "windows overlap, or are not sorted")?;
            sound(before.seqs.last < next.seqs.first, "the seqs of windows overlap")?;
            sound(before.times[1] <= next.times[0], "the times of windows overlap")?;
            if before.slots[1] + 1 == next.slots[0] && next.prev != NOTHING {
                demand(before.head == next.prev, Code::Chain, "a window does not follow the one before it")?;
                let joined = before.seqs.last.next() == next.seqs.first;
                demand(joined, Code::Seq, "records between two windows are missing")?;
            }
        }
        self.check_checkpoints()
    }

    fn check_checkpoints(&self) -> Checked<()> {
        for rolled in &self.checkpoints {
            rolled.check_checkpoint()?;
            let end = |window: &Window| (window.seqs.last, window.times[1], window.head);
            let same = self.windows.iter().find(|other| other.window.slots[1] == rolled.window.slots[1]);
            let agrees = same.is_none_or(|other| end(&other.window) == end(&rolled.window));
            sound(agrees, "a checkpoint ends otherwise than the window that ends with its slot")?;
        }
        for pair in self.checkpoints.windows(2) {
            let (before, next) = (&pair[0].window, &pair[1].window);
            let ordered = before.slots[1] < next.slots[1] && before.seqs.last < next.seqs.last;
            sound(ordered && before.times[1] <= next.times[1], "checkpoints are not sorted")?;
        }
        Ok(())
    }

    /// Checks that it follows another: number, digest, time, and that nothing that was rolled up is so no more.
    pub(crate) fn follows(&self, before: &Found) -> Checked<()> {
        demand(self.n == before.manifest.n + 1, Code::Missing, "a manifest is missing before it")?;
        demand(self.prev == before.digest, Code::Chain, "it does not follow the manifest before it")?;
        demand(self.written >= before.manifest.written, Code::Time, "it is older than the manifest before it")?;
        let kept = before.manifest.windows.iter().all(|old| self.keeps(old));
        demand(kept, Code::Manifest, "what was rolled up before is missing, or is something else")?;
        let at = |slot: u64| self.checkpoints.iter().find(|new| new.window.slots[1] == slot);
        let agrees = |old: &Rolled| at(old.window.slots[1]).is_none_or(|new| new.continues(old));
        let same = before.manifest.checkpoints.iter().all(agrees);
        demand(same, Code::Manifest, "a checkpoint is something else than before")
    }

    /// Tells whether all slots of an older window lie in windows, and whether these agree with it: one that holds all of it, or
    /// several that lie in it and follow each other.
    fn keeps(&self, old: &Rolled) -> bool {
        let [first, last] = old.window.slots;
        let at = self.windows.partition_point(|new| new.window.slots[1] < first);
        let mut next = first;
        for new in self.windows[at..].iter().take_while(|new| new.window.slots[0] <= last) {
            let [begin, end] = new.window.slots;
            let nested = begin <= first && last <= end || first <= begin && end <= last;
            let joined = begin <= first || new.window.prev != NOTHING;
            let stays = !old.stale || new.stale || new.parts != old.parts;
            if begin > next || !(nested && joined && stays && new.agrees(old)) {
                return false;
            }
            next = end + 1;
        }
        next > last
    }
}

#[cfg(test)]
mod tests;
