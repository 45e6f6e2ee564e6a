//! Claims, DataVolumes, namespaces and storage classes: decisions about data turned into steps.
//!
//! Does not: decide where data comes from; `volumes` does.

use std::collections::BTreeSet;

use serde_json::Value;
use vmrewind_model::ObjectKey;

use super::Draft;
use crate::{
    conflict,
    error::RestoreError,
    json::{is_deleting, list, text},
    mutation::Mutation,
    namespace::namespace_key,
    plan::{Action, DataSource, LiveRef, RefusalKind},
    realise::{bare_namespace, digest, make},
    volumes::{Decision, Fate, data_volume_key, volume_key},
};

impl Draft<'_> {
    /// Adds the step of a claim.
    pub(super) fn claim(&mut self, key: &ObjectKey) -> Result<(), RestoreError> {
        let Some(decision) = self.claims.of(key).cloned() else {
            return Err(RestoreError::Bug(format!("nothing was decided about {key}")));
        };
        if self.refused(key, &decision) {
            return Ok(());
        }
        // Whoever makes the DataVolume (this plan, or the machine's controller from its template) finds the mark.
        let adopted = decision.data_volume == Fate::Adopt && self.has_data_volume(key);
        let mut marks = Vec::new();
        if adopted {
            marks.push(Mutation::Populated { data_volume: key.name.clone() });
        }
        match decision.claim {
            Fate::Keep => {
                self.keep(key, &decision.why);
                Ok(())
            }
            Fate::AsCaptured => self.write(key, Vec::new(), false),
            Fate::Empty => self.write(key, marks, false),
            Fate::Adopt => {
                if let Some(volume) = volume_key(self.world, key) {
                    marks.insert(0, Mutation::VolumeName { to: volume.name.clone() });
                    self.release(&volume, key);
                }
                self.write(key, marks, false)
            }
            Fate::Import => {
                self.note(key, Action::Skip, "imported: CDI makes the claim when it imports");
                Ok(())
            }
            Fate::Skip => {
                self.note(key, Action::Skip, format!("claim: {}", decision.why));
                Ok(())
            }
        }
    }

    /// Adds the step of a DataVolume.
    pub(super) fn data_volume(&mut self, key: &ObjectKey) -> Result<(), RestoreError> {
        let Some(decision) = self.claims.of_data_volume(self.world, key).cloned() else {
            return Err(RestoreError::Bug(format!("nothing was decided about {key}")));
        };
        if self.refused(key, &decision) {
            return Ok(());
        }
        if self.view.live(&self.places.of(key)).is_some() {
            self.keep(key, "the live DataVolume stays as it is");
            return Ok(());
        }
        match decision.data_volume {
            Fate::Adopt => self.write(key, vec![Mutation::Prepopulated { claim: key.name.clone() }], false),
            Fate::Import | Fate::AsCaptured => self.write(key, Vec::new(), false),
            Fate::Keep | Fate::Empty | Fate::Skip => {
                self.note(key, Action::Skip, format!("claim: {}", decision.why));
                Ok(())
            }
        }
    }

    fn refused(&mut self, key: &ObjectKey, decision: &Decision) -> bool {
        let refused = decision.source == DataSource::None;
        if refused {
            self.note(key, Action::Refuse, decision.why.clone());
        }
        refused
    }

    fn has_data_volume(&self, claim: &ObjectKey) -> bool {
        let template = |vm: &ObjectKey| {
            let templates = self.world.value(vm).map_or(&[][..], |vm| list(vm, "spec.dataVolumeTemplates"));
            templates.iter().any(|template| text(template, "metadata.name") == claim.name)
        };
        self.survey.is_restored(&data_volume_key(&claim.namespace, &claim.name))
            || self.claims.uses.iter().filter(|one| one.claim == *claim).filter_map(|one| one.vm.as_ref()).any(template)
    }

    /// Leaves a live claim or DataVolume alone, and says how it differs.
    fn keep(&mut self, key: &ObjectKey, why: &str) {
        let place = self.places.of(key);
        let paths = match (self.world.value(key), self.view.live(&place)) {
            (Some(captured), Some(live)) => {
                let mutations = [
                    Mutation::Namespaces { map: self.request.mutations.namespace_map.clone() },
                    Mutation::StorageClasses { map: self.request.mutations.storage_class_map.clone() },
                ];
                conflict::compare(&make(captured, &mutations).0, live)
            }
            _ => Vec::new(),
        };
        let note = if paths.is_empty() {
            why.to_owned()
        } else {
            format!("{why}; it differs at {}", super::existing::shown(&paths))
        };
        self.note(key, Action::Keep, note);
    }

    /// Adds the step that frees a retained volume for a claim.
    fn release(&mut self, volume: &ObjectKey, claim: &ObjectKey) {
        let mut step = self.step(volume);
        step.action = Action::ReleaseVolume;
        step.source = None;
        step.owner = Some(self.places.of(claim));
        step.live =
            self.view.live(volume).map(|live| LiveRef { uid: text(live, "metadata.uid").to_owned(), digest: None });
        step.notes.push("its claim reference loses the uid of the claim that is gone".to_owned());
        self.out.steps.push(step);
    }

    /// Refuses storage classes that the target lacks, for what would be provisioned.
    pub(super) fn check_storage_classes(&mut self, key: &ObjectKey, place: &ObjectKey, object: &Value) {
        let mut classes = BTreeSet::new();
        if key.is("", "PersistentVolumeClaim") {
            // A claim on a retained volume provisions nothing; its class is a mere label then.
            if text(object, "spec.volumeName").is_empty() {
                classes.insert(text(object, "spec.storageClassName"));
            }
        } else if key.is("cdi.kubevirt.io", "DataVolume") {
            let adopts = self.claims.of_data_volume(self.world, key).is_some_and(|one| one.data_volume == Fate::Adopt);
            if !adopts {
                classes.extend(
                    ["spec.storage.storageClassName", "spec.pvc.storageClassName"].map(|path| text(object, path)),
                );
            }
        } else {
            for template in list(object, "spec.dataVolumeTemplates") {
                let claim =
                    ObjectKey::new("", "PersistentVolumeClaim", &key.namespace, text(template, "metadata.name"));
                if self.claims.of(&claim).is_some_and(|one| one.source == DataSource::Reimport) {
                    classes.extend(
                        ["spec.storage.storageClassName", "spec.pvc.storageClassName"].map(|path| text(template, path)),
                    );
                }
            }
        }
        for class in classes.into_iter().filter(|class| !class.is_empty()) {
            let wanted = ObjectKey::new("storage.k8s.io", "StorageClass", "", class);
            let created = self.request.cluster_scoped
                && self.survey.candidates.keys().any(|candidate| self.places.of(candidate) == wanted);
            if self.view.live(&wanted).is_none() && !created {
                let message = format!("{place} needs storage class {class}, which the target lacks");
                let hint = "Map it with --storage-class-map, or create it.";
                self.refuse(RefusalKind::MissingStorageClass, place, message, hint);
            }
        }
    }

    /// Adds the namespaces that the plan needs and the target lacks, or refuses them.
    pub(super) fn namespaces(&mut self) -> Result<(), RestoreError> {
        let written = |action| matches!(action, Action::Create | Action::Replace | Action::Recreate);
        let needed: BTreeSet<String> = self
            .out
            .steps
            .iter()
            .filter(|step| written(step.action) && !step.key.namespace.is_empty())
            .map(|step| step.key.namespace.clone())
            .collect();
        let captured: BTreeSet<String> = self.out.steps.iter().map(|step| step.from.namespace.clone()).collect();
        self.refuse_going_namespaces();
        for name in needed {
            let place = namespace_key(&name);
            if self.view.live(&place).is_some() || self.out.steps.iter().any(|step| step.key == place) {
                continue;
            }
            if !self.request.create_namespace {
                self.refuse_namespace(&place);
                continue;
            }
            let sources = self.places.captured_namespaces(&name, &captured);
            match sources.iter().map(|name| namespace_key(name)).find(|key| self.world.value(key).is_some()) {
                Some(key) => self.write(&key, Vec::new(), false)?,
                None => {
                    let mut step = self.step(&place);
                    step.action = Action::Create;
                    step.key = place.clone();
                    step.source = None;
                    step.object_digest = Some(digest(&bare_namespace(&name))?);
                    step.notes.push("the archive does not hold the namespace: it is created without labels".to_owned());
                    self.out.steps.push(step);
                }
            }
        }
        Ok(())
    }

    /// Refuses what lies in a namespace that is being deleted: nothing can be created there, and what is kept goes.
    fn refuse_going_namespaces(&mut self) {
        let left = |action| matches!(action, Action::Skip | Action::Refuse);
        let steps = self.out.steps.iter().filter(|step| !left(step.action) && !step.key.namespace.is_empty());
        let names: BTreeSet<&str> = steps.map(|step| step.key.namespace.as_str()).collect();
        let places = names.into_iter().map(namespace_key);
        let going: Vec<_> = places.filter(|place| self.view.live(place).is_some_and(is_deleting)).collect();
        for place in going {
            let message = format!("{place} is being deleted");
            let hint = "Wait until it is gone and restore with --create-namespace, or restore into another namespace.";
            self.refuse(RefusalKind::BeingDeleted, &place, message, hint);
        }
    }
}
