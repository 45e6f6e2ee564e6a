//! Owner references, repaired with the uids that the owners get.
//!
//! Does not: know the uids; the executor fills them in after the owner exists.

use vmrewind_model::ObjectKey;

use super::Draft;
use crate::{
    json::{group_of, list, text, uid},
    plan::{Action, Step},
};

impl Draft<'_> {
    /// Adds a step for each captured owner reference whose owner is in the target when the plan is done.
    ///
    /// Live claims and DataVolumes are left to their controllers, which adopt them; a live ControllerRevision is
    /// adopted by nobody (`kubevirt/kubevirt: pkg/instancetype/revision/store.go`).
    pub(super) fn owners(&mut self) {
        let mut repairs = Vec::new();
        for step in self.out.steps.iter().filter(|step| step.action.of_object()) {
            let Some(captured) = self.world.value(&step.from) else { continue };
            for reference in list(captured, "metadata.ownerReferences") {
                let (kind, name) = (text(reference, "kind"), text(reference, "name"));
                let group = group_of(text(reference, "apiVersion"));
                let owner = [step.from.namespace.as_str(), ""]
                    .map(|namespace| ObjectKey::new(group, kind, namespace, name))
                    .into_iter()
                    .find_map(|key| self.out.steps.iter().find(|step| step.from == key && step.action.of_object()));
                // A reference to an earlier object of that name was dead when it was captured.
                let alive = |owner: &&Step| {
                    self.world
                        .value(&owner.from)
                        .is_some_and(|held| text(held, "metadata.uid") == text(reference, "uid"))
                };
                if let Some(owner) = owner.filter(alive).filter(|owner| self.needs_repair(step, owner)) {
                    repairs.push((step.from.clone(), owner.key.clone()));
                }
            }
        }
        for (object, owner) in repairs {
            let mut step = self.step(&object);
            step.action = Action::PatchOwner;
            step.source = None;
            step.notes.push(format!("owned by {owner} with its new uid"));
            step.owner = Some(owner);
            self.out.steps.push(step);
        }
    }

    fn needs_repair(&self, object: &Step, owner: &Step) -> bool {
        let written = |step: &Step| matches!(step.action, Action::Create | Action::Replace | Action::Recreate);
        let there = written(owner) || matches!(owner.action, Action::Unchanged | Action::Keep);
        match object.action {
            Action::Create | Action::Recreate => there,
            Action::Unchanged | Action::Keep | Action::Replace => {
                // Another object may have had the owner's name.
                let alive = self.view.live(&owner.key).map(uid);
                let owned = alive.is_some_and(|alive| {
                    let live = self.view.live(&object.key);
                    let references = live.map_or(&[][..], |live| list(live, "metadata.ownerReferences"));
                    references.iter().any(|reference| text(reference, "uid") == alive)
                });
                let adopted = matches!(object.key.kind.as_str(), "PersistentVolumeClaim" | "DataVolume");
                there && !owned && !adopted
            }
            Action::Skip
            | Action::Refuse
            | Action::ReleaseOwner
            | Action::Stop
            | Action::ReleaseVolume
            | Action::PatchOwner
            | Action::Power
            | Action::Start => false,
        }
    }
}
