//! Windows that cannot stay as they are: a bundle is damaged, or what they say of the resources is stale.
//!
//! Does not: write anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::TryStreamExt as _;
use vmrewind_model::Digest;

use crate::{
    Archive, ArchiveError, Code, Damage, Part, SegmentSummary,
    format::{
        bundle::{Bundle, Leaves},
        fault::Fault,
    },
    manifest::Rolled,
    read, window,
};

/// What was found out in this run, by the first slots of the windows.
#[derive(Default)]
pub(super) struct Broken {
    /// Windows with a damaged bundle.
    found: BTreeMap<u64, Damage>,
    /// Windows that cannot be made anew, and why.
    hopeless: BTreeMap<u64, Vec<Damage>>,
    /// Windows that were made anew.
    remade: BTreeSet<u64>,
    /// How often a checkpoint at a slot was damaged.
    checkpoints: BTreeMap<u64, u32>,
}

impl Broken {
    /// A bundle of this window is damaged.
    pub(super) fn add(&mut self, rolled: &Rolled, damage: Damage) {
        if self.remade.contains(&rolled.window.slots[0]) {
            // Once is enough: what is written does not stay as it is.
            return self.give_up(rolled, damage);
        }
        self.found.entry(rolled.window.slots[0]).or_insert(damage);
    }

    /// A checkpoint at this slot is damaged.
    pub(super) fn add_checkpoint(&mut self, slot: u64) {
        *self.checkpoints.entry(slot).or_default() += 1;
    }

    /// Tells whether no more checkpoints are made at a slot: once is enough, as for windows.
    pub(super) fn gave_up_checkpoint(&self, slot: u64) -> bool {
        self.checkpoints.get(&slot).is_some_and(|times| *times > 1)
    }

    /// Another maintainer was faster, and may have made anew what was broken.
    pub(super) fn forget(&mut self) {
        self.found.clear();
        self.hopeless.clear();
    }

    /// A window cannot be made anew.
    pub(super) fn give_up(&mut self, rolled: &Rolled, why: Damage) {
        let first = rolled.window.slots[0];
        let known = self.found.remove(&first);
        self.hopeless.insert(first, known.into_iter().chain([why]).collect());
    }

    /// A window was made anew.
    pub(super) fn remade(&mut self, rolled: &Rolled) {
        self.found.remove(&rolled.window.slots[0]);
        self.remade.insert(rolled.window.slots[0]);
    }

    /// Returns the first window that is to be made anew.
    pub(super) fn next(&self, windows: &[Rolled]) -> Option<usize> {
        windows.iter().position(|rolled| {
            let first = rolled.window.slots[0];
            (rolled.stale || self.found.contains_key(&first)) && !self.hopeless.contains_key(&first)
        })
    }

    /// Tells whether a window has to stay as it is.
    pub(super) fn bars(&self, rolled: &Rolled) -> bool {
        let first = rolled.window.slots[0];
        rolled.stale || self.found.contains_key(&first) || self.hopeless.contains_key(&first)
    }

    /// Returns what is wrong with windows that cannot be made anew.
    pub(super) fn hopeless(self) -> impl Iterator<Item = Damage> {
        self.hopeless.into_values().flatten()
    }
}

/// Tells whether damage is that of a bundle of this window.
pub(super) fn names(rolled: &Rolled, damage: &Damage) -> bool {
    rolled.parts.iter().any(|part| part.name() == damage.object)
}

/// Where reading the log begins so that all that is known of the resources is known at some slot.
pub(super) struct Start {
    /// The window before it; none if it begins with slot 1.
    pub(super) bundle: Option<Arc<Bundle>>,
    /// The slot behind it.
    pub(super) slot: u64,
}

/// Finds the newest of some windows that is not stale and can be read, and notes those that cannot.
pub(super) async fn start(archive: &Archive, windows: &[Rolled], broken: &mut Broken) -> Result<Start, ArchiveError> {
    for rolled in windows.iter().rev().filter(|rolled| !rolled.stale) {
        match window::open(archive, rolled, 0).await {
            Ok(opened) => {
                return Ok(Start { bundle: Some(opened.bundle), slot: rolled.window.slots[1] + 1 });
            }
            Err(ArchiveError::Damaged(damage)) => broken.add(rolled, *damage),
            Err(error) => return Err(error),
        }
    }
    Ok(Start { bundle: None, slot: 1 })
}

/// Says what is wrong with the segments of a window, or with what a manifest says of it, if they do not make the same window again.
pub(super) async fn unreadable(archive: &Archive, rolled: &Rolled) -> Result<Option<Damage>, ArchiveError> {
    let window = &rolled.window;
    let [first, last] = window.slots;
    let mut parts = std::pin::pin!(read::parts_behind(archive.clone(), first..=last, None));
    let mut ends: Option<(SegmentSummary, SegmentSummary, Digest)> = None;
    let mut leaves = Leaves::default();
    while let Some(part) = parts.try_next().await? {
        match part {
            Part::Whole(segment) => {
                segment.lines.iter().for_each(|line| leaves.add(line));
                let first = ends.map_or_else(|| segment.summary.clone(), |(first, ..)| first);
                ends = Some((first, segment.summary, segment.digest));
            }
            Part::Damaged(damage, _) => return Ok(Some(*damage)),
        }
    }
    let wrong = |detail: &str| Ok(Some(window::damaged(&rolled.parts[0], Fault::new(Code::Chain, detail))));
    let Some((begin, end, head)) = ends else { return wrong("it has no segments") };
    let begins = (begin.prev, begin.seqs.first, begin.t_first) == (window.prev, window.seqs.first, window.times[0]);
    let ended = (head, end.seqs.last, end.t_last) == (window.head, window.seqs.last, window.times[1]);
    if !begins || !ended {
        return wrong("the manifest says something else of its window than the segments");
    }
    let root = archive.cpu.run(move || leaves.root()).await?;
    if root == rolled.root { Ok(None) } else { wrong("its segments hold other records than the manifest says") }
}
