//! Looks at windows that were rolled up: at the ends of their bundles, or at all of them, and at their segments beside them.
//!
//! Does not: look at more than one window at a time.

mod beside;
mod checkpoints;
mod look;

use std::collections::VecDeque;

use super::{Depth, Look, Slots, checker::Checker};
use crate::{Archive, ArchiveError, manifest::Rolled};
use beside::Beside;
use checkpoints::Checkpoints;

/// How much of what was rolled up was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryChecked {
    /// Manifests there are.
    pub manifests: u64,
    /// The number of the newest one; 0 if there is none.
    pub newest: u64,
    /// Windows that the newest one names, and those of them that were read in full.
    pub windows: u64,
    /// Windows that were read in full.
    pub windows_read: u64,
    /// Checkpoints that the newest one names.
    pub checkpoints: u64,
    /// Checkpoints that were read in full.
    pub checkpoints_read: u64,
    /// Checkpoints that could not be compared with the log, because something up to their slots is damaged or was not read.
    pub checkpoints_alone: u64,
    /// The slots that lie in windows.
    pub slots: Slots,
    /// Bundles of windows and checkpoints that the newest manifest names.
    pub bundles: u64,
    /// Bytes of them, as the manifest says.
    pub bytes: u64,
    /// Bytes that were read of them.
    pub read: u64,
    /// Bundles that older manifests name and the newest one does not, and their bytes.
    pub replaced: (u64, u64),
    /// Bundles that no manifest names, and their bytes.
    pub unnamed: (u64, u64),
}

/// The windows of an archive, which are looked at as soon as all their slots were.
pub(super) struct Windows<'a> {
    archive: &'a Archive,
    depth: Depth,
    waiting: VecDeque<Rolled>,
    beside: Beside,
    checkpoints: Checkpoints,
    pub(super) checked: HistoryChecked,
}

impl<'a> Windows<'a> {
    pub(super) fn new(archive: &'a Archive, depth: Depth, windows: Vec<Rolled>, checkpoints: Vec<Rolled>) -> Self {
        let mut checked = HistoryChecked {
            windows: windows.len() as u64,
            checkpoints: checkpoints.len() as u64,
            ..HistoryChecked::default()
        };
        for rolled in &windows {
            checked.slots.insert_all(rolled.window.slots[0]..=rolled.window.slots[1]);
        }
        for rolled in windows.iter().chain(&checkpoints) {
            checked.bundles += rolled.parts.len() as u64;
            checked.bytes += rolled.parts.iter().map(|part| part.size).sum::<u64>();
        }
        let checkpoints = Checkpoints::new(depth == Depth::Deep, checkpoints);
        Self { archive, depth, waiting: windows.into(), beside: Beside::default(), checkpoints, checked }
    }

    /// Takes what was seen of the next slot.
    pub(super) fn take(&mut self, look: &Look) {
        self.checkpoints.take(look);
        if self.depth == Depth::Deep {
            let next = self.waiting.front().map(|rolled| rolled.window.slots);
            self.beside.take(look, next);
        }
    }

    /// Some slots are missing.
    pub(super) fn missing(&mut self, first: u64, last: u64) {
        self.checkpoints.missing(first, last);
        self.beside.missing();
    }

    /// Looks at the windows that end before `slot`; those whose last slot is in `whole` are read in full.
    pub(super) async fn until(&mut self, slot: u64, whole: &Slots, checker: &mut Checker) -> Result<(), ArchiveError> {
        while let Some(rolled) = self.waiting.pop_front_if(|rolled| rolled.window.slots[1] < slot) {
            let full = whole.contains(rolled.window.slots[1]);
            let mut found =
                if full { look::all(self.archive, &rolled).await? } else { look::ends(self.archive, &rolled).await? };
            self.checked.read += found.read;
            self.checked.windows_read += u64::from(full);
            if full && found.problems.is_empty() {
                checker.stands_in_a_window(rolled.window.slots);
            }
            let beside = self.beside.end();
            if self.depth == Depth::Deep {
                let wrong = beside.compare(&rolled, &found).into_iter();
                found.problems.extend(wrong.map(|(part, fault)| look::problem(&rolled, part, fault)));
            }
            found.problems.into_iter().for_each(|problem| checker.problem(problem));
        }
        let known = if self.checkpoints.is_due(slot) { self.beside.known() } else { None };
        while let Some((found, full)) = self.checkpoints.next(self.archive, slot, whole, known.as_deref()).await? {
            self.checked.read += found.read;
            self.checked.checkpoints_read += u64::from(full);
            self.checked.checkpoints_alone = self.checkpoints.alone;
            found.problems.into_iter().for_each(|problem| checker.problem(problem));
        }
        Ok(())
    }
}
