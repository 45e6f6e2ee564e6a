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
    bundle::Window,
    fault::{Checked, demand},
    limits,
};

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
    pub(crate) written: Timestamp,
    pub(crate) unknown: Unknown,
}

/// A window, and where its lines lie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rolled {
    pub(crate) window: Window,
    /// Event root over all its lines, in the order of their seqs.
    pub(crate) root: Digest,
    /// In the order of their lines.
    pub(crate) parts: Vec<PartRef>,
    /// True if a slot before it was rolled up only later: what it says of the resources lacks what that one said.
    pub(crate) stale: bool,
    pub(crate) unknown: Unknown,
}

/// Where a part of a window lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartRef {
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

impl Rolled {
    /// Tells whether it says the same as another one, where both begin or end with the same slot.
    fn agrees(&self, other: &Self) -> bool {
        let (one, two) = (&self.window, &other.window);
        let begin = |window: &Window| (window.prev, window.seqs.first, window.times[0]);
        let end = |window: &Window| (window.head, window.seqs.last, window.times[1]);
        (one.slots[0] != two.slots[0] || begin(one) == begin(two))
            && (one.slots[1] != two.slots[1] || end(one) == end(two))
            && (one.slots != two.slots || self.root == other.root)
    }
}

impl Manifest {
    /// Checks that the windows can be: each by itself, and each against the one before.
    fn check_windows(&self) -> Checked<()> {
        let sound = |holds: bool, detail: &str| demand(holds, Code::Manifest, detail);
        for rolled in &self.windows {
            let window = &rolled.window;
            let number = |number: u64| (1..=limits::NUMBER).contains(&number);
            sound(LEVELS.contains(&window.level), "the level of a window is not known")?;
            sound(window.slots[0] <= window.slots[1], "a window ends before it begins")?;
            sound(window.slots.into_iter().all(number), "a slot is out of range")?;
            sound(window.seqs.first <= window.seqs.last, "a window has no records")?;
            sound([window.seqs.first.0, window.seqs.last.0].into_iter().all(number), "a seq is out of range")?;
            sound(window.times[0] <= window.times[1], "the times of a window descend")?;
            sound(
                !rolled.parts.is_empty() && rolled.parts.len() <= limits::PARTS,
                "a window has no parts, or too many",
            )?;
            let records = rolled.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.records));
            let counted = rolled.parts.iter().all(|part| part.records > 0);
            sound(
                counted && records == Some(window.records()),
                "the parts of a window hold another number of records",
            )?;
            let first = window.slots[0] > 1 || window.prev == NOTHING && window.seqs.first.0 == 1;
            sound(first, "there is something before slot 1")?;
            sound(window.records() <= limits::WINDOW_RECORDS, "a window has too many records")?;
            let sizes = rolled.parts.iter().all(|part| (LEAST_PART..=limits::SEGMENT).contains(&part.size));
            sound(sizes, "a part has a size that no bundle has")?;
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
        Ok(())
    }

    /// Checks that it follows another: number, digest, time, and that nothing that was rolled up is so no more.
    pub(crate) fn follows(&self, before: &Found) -> Checked<()> {
        demand(self.n == before.manifest.n + 1, Code::Missing, "a manifest is missing before it")?;
        demand(self.prev == before.digest, Code::Chain, "it does not follow the manifest before it")?;
        demand(self.written >= before.manifest.written, Code::Time, "it is older than the manifest before it")?;
        let kept = before.manifest.windows.iter().all(|old| self.keeps(old));
        demand(kept, Code::Manifest, "what was rolled up before is missing, or is something else")
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
