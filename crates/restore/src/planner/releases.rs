//! Live objects that a plan relies on and that are about to be deleted: freed of owners that are gone, or refused.
//!
//! Does not: free what the plan does not rely on.

use vmrewind_model::ObjectKey;

use super::Draft;
use crate::{
    json::{is_deleting, uid},
    ownership::{Owners, ancestors},
    plan::{Action, DataSource, LiveRef, RefusalKind, Step},
    volumes::{Fate, data_volume_key},
};

impl Draft<'_> {
    /// Adds a step for each live disk that the plan relies on and the archive does not hold.
    pub(super) fn uncaptured_disks(&mut self) {
        for one in self.claims.uses.clone() {
            let Some(decision) = self.claims.of(&one.claim).cloned() else { continue };
            if decision.source == DataSource::None || decision.claim != Fate::Keep {
                continue;
            }
            for key in [one.claim.clone(), data_volume_key(&one.claim.namespace, &one.claim.name)] {
                let listed = self.out.steps.iter().any(|step| step.from == key);
                if !listed && self.view.live(&self.places.of(&key)).is_some() {
                    self.note(&key, Action::Keep, "it stays as it is");
                }
            }
        }
    }

    /// Adds a step for each owner that is gone of an object that stays, and refuses objects that are being deleted.
    pub(super) fn releases(&mut self) {
        let mut releases: Vec<Step> = Vec::new();
        let mut going: Vec<(usize, ObjectKey)> = Vec::new();
        let mut unknown: Vec<(ObjectKey, ObjectKey)> = Vec::new();
        for (index, step) in self.out.steps.iter().enumerate() {
            let Some(live) = self.view.live(&step.key).filter(|_| self.relies_on(step)) else { continue };
            // Of a volume, what its end means was decided with the data of its claim.
            if is_deleting(live) && !step.key.is("", "PersistentVolume") {
                going.push((index, step.key.clone()));
                continue;
            }
            let own = (step.from.clone(), step.key.clone());
            // What owns it goes with its own owners, and takes it along.
            let others = ancestors(self.view, &step.key).into_iter().map(|key| (key.clone(), key));
            for (from, key) in std::iter::once(own).chain(others) {
                self.release_from_gone(&from, &key, &step.key, &mut releases, &mut unknown);
            }
        }
        self.out.steps.extend(releases);
        for (index, key) in going {
            self.out.steps[index].action = Action::Refuse;
            self.out.steps[index].notes.push("the live object is being deleted".to_owned());
            let message = format!("{key} is being deleted");
            self.refuse(RefusalKind::BeingDeleted, &key, message, "Wait until it is gone, then plan again.");
        }
        for (key, owner) in unknown {
            let message = format!("its owner {owner} could not be read: if that is gone, this object will be deleted");
            self.warn(&key, message);
        }
    }

    /// Adds a step for each owner that is gone of an object that `relied_on` is, or is owned by.
    fn release_from_gone(
        &self,
        from: &ObjectKey,
        key: &ObjectKey,
        relied_on: &ObjectKey,
        releases: &mut Vec<Step>,
        unknown: &mut Vec<(ObjectKey, ObjectKey)>,
    ) {
        let Some(live) = self.view.live(key) else { return };
        let owners = Owners::of(self.view, key, live);
        unknown.extend(owners.unknown.into_iter().map(|owner| (relied_on.clone(), owner)));
        for owner in owners.gone {
            if releases.iter().any(|known| known.key == *key && known.owner.as_ref() == Some(&owner)) {
                continue;
            }
            let mut release = self.step(from);
            release.action = Action::ReleaseOwner;
            release.key = key.clone();
            release.source = None;
            release.live = Some(LiveRef { uid: uid(live).to_owned(), digest: None });
            let along = if key == relied_on { String::new() } else { format!(", and with it {relied_on}") };
            release.notes.push(format!("its owner {owner} is gone: the garbage collector would delete it{along}"));
            release.owner = Some(owner);
            releases.push(release);
        }
    }

    /// Tells whether a live object stays and is part of what the plan ends with.
    fn relies_on(&self, step: &Step) -> bool {
        match step.action {
            Action::Unchanged | Action::Keep | Action::Replace => true,
            // Left because it differs; what the plan restores uses it as it is.
            Action::Skip => self.survey.is_restored(&step.from),
            _ => false,
        }
    }
}
