//! The order of steps: what others need comes first, power comes last.
//!
//! Does not: wait for anything.

use vmrewind_graph::wave;

use crate::plan::{Action, Step};

/// After every object.
const POWER: u32 = 1000;

/// Sorts the steps and numbers them.
pub(crate) fn arrange(steps: &mut [Step]) {
    for step in steps.iter_mut() {
        let object = wave(&step.key.group, &step.key.kind);
        let owner = step.owner.as_ref().map_or(0, |owner| wave(&owner.group, &owner.kind));
        step.wave = match step.action {
            // Before anything else: the garbage collector may come at any moment.
            Action::ReleaseOwner => 0,
            // Before the machine, and before the claim, that they make room for.
            Action::Stop => object - 1,
            Action::ReleaseVolume => owner - 1,
            // After both are there.
            Action::PatchOwner => object.max(owner) + 1,
            Action::Power => POWER,
            Action::Start => POWER + 1,
            _ => object,
        };
    }
    steps.sort_by(|a, b| {
        (a.wave, a.action, &a.key, &a.from, &a.owner).cmp(&(b.wave, b.action, &b.key, &b.from, &b.owner))
    });
    for (id, step) in (1..).zip(steps) {
        step.id = id;
    }
}
