//! One step for one captured object.
//!
//! Does not: decide about data; `storage` turns those decisions into steps.

use serde_json::Value;
use vmrewind_graph as graph;
use vmrewind_model::ObjectKey;

use super::{Draft, existing::PowerOf};
use crate::{
    error::RestoreError,
    identity,
    json::{annotation, group_of, is_deleting, text, uid},
    mutation::Mutation,
    plan::{Action, DataSource, LiveRef, RefusalKind, Step},
    power::{self, Power},
    realise::{digest, make},
    survey::Candidate,
};

const VOLUME_SNAPSHOTS: [&str; 2] = ["snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io"];

impl Draft<'_> {
    /// Adds the step of an object.
    pub(super) fn object(&mut self, key: &ObjectKey, candidate: &Candidate) -> Result<(), RestoreError> {
        match candidate {
            Candidate::Skip { rule, reason } => {
                self.note(key, Action::Skip, format!("{rule}: {reason}"));
                Ok(())
            }
            Candidate::Withheld => {
                self.withheld(key);
                Ok(())
            }
            Candidate::Restore => self.restorable(key),
        }
    }

    fn restorable(&mut self, key: &ObjectKey) -> Result<(), RestoreError> {
        let place = self.places.of(key);
        let live = self.view.live(&place).is_some();
        if key.is("", "PersistentVolumeClaim") {
            return self.claim(key);
        }
        if key.is("cdi.kubevirt.io", "DataVolume") {
            return self.data_volume(key);
        }
        if key.is("", "PersistentVolume") || VOLUME_SNAPSHOTS.contains(&key.group.as_str()) {
            if self.view.live(&place).is_some_and(is_deleting) {
                self.note(key, Action::Skip, "volume: it is being deleted; see `volumes` for where data comes from");
            } else if live {
                self.note(key, Action::Keep, "it exists and stays as it is");
            } else if key.kind == "PersistentVolume" {
                self.note(
                    key,
                    Action::Skip,
                    "volume: a provisioner makes volumes; see `volumes` for where data comes from",
                );
            } else {
                self.note(key, Action::Skip, "snapshot: one made now would hold today's data, not the captured data");
            }
            return Ok(());
        }
        if key.namespace.is_empty() {
            return self.cluster_scoped(key, live);
        }
        self.write(key, Vec::new(), !self.survey.is_needed(key))
    }

    fn cluster_scoped(&mut self, key: &ObjectKey, live: bool) -> Result<(), RestoreError> {
        let place = self.places.of(key);
        if live {
            self.note(key, Action::Keep, "it exists; objects without a namespace are never changed");
            return Ok(());
        }
        if key.is("", "Namespace") {
            return if self.request.create_namespace {
                self.write(key, Vec::new(), false)
            } else {
                self.note(key, Action::Refuse, "the target lacks the namespace");
                self.refuse_namespace(&place);
                Ok(())
            };
        }
        if self.request.cluster_scoped {
            return self.write(key, Vec::new(), false);
        }
        if self.survey.is_needed(key) && !self.request.allow_missing {
            self.note(
                key,
                Action::Refuse,
                "the target lacks it, and objects without a namespace are created only on request",
            );
            self.refuse(
                RefusalKind::MissingPrerequisite,
                &place,
                format!("the target lacks {place}"),
                "Create it yourself, add --cluster-scoped to restore it too, or go on without it with --allow-missing.",
            );
        } else {
            self.note(key, Action::Skip, "cluster-scoped: created only on request (--cluster-scoped)");
        }
        Ok(())
    }

    pub(super) fn refuse_namespace(&mut self, place: &ObjectKey) {
        let message = format!("the target has no namespace {}", place.name);
        let hint =
            "Add --create-namespace to create it with its captured labels and annotations, or create it yourself.";
        self.refuse(RefusalKind::MissingNamespace, place, message, hint);
    }

    fn withheld(&mut self, key: &ObjectKey) {
        let place = self.places.of(key);
        if self.view.live(&place).is_some() {
            self.note(key, Action::Keep, "the archive withholds its content; the live one is used");
        } else if self.survey.is_needed(key) && !self.request.allow_missing {
            self.note(key, Action::Refuse, "the archive withholds its content, and the target has none");
            self.refuse(
                RefusalKind::Withheld,
                &place,
                format!("the archive withholds the content of {key}, and the target has none"),
                "Create it yourself, or go on without it with --allow-missing.",
            );
        } else {
            self.note(key, Action::Skip, "withheld: the archive does not hold its content");
        }
    }

    /// Adds the step that writes an object, or leaves it alone. `keep` says that a live one is never touched.
    pub(super) fn write(&mut self, key: &ObjectKey, marks: Vec<Mutation>, keep: bool) -> Result<(), RestoreError> {
        let Some(captured) = self.world.value(key) else {
            return Err(RestoreError::Bug(format!("{key} is restored but not held")));
        };
        let place = self.places.of(key);
        let Some(served) = self.view.served(&key.group, &key.kind) else {
            self.note(key, Action::Refuse, "the target does not serve the kind");
            let message = format!("the target does not serve {}.{}", key.kind, key.group);
            let hint = "Install what defines it (KubeVirt, CDI, Multus …) in the target first.";
            self.refuse(RefusalKind::MissingKind, &place, message, hint);
            return Ok(());
        };
        let (sanitised, _) = make(captured, &[]);
        let mut effective = Effective { object: sanitised, mutations: Vec::new() };
        let version = text(captured, "apiVersion");
        let of_version = version.rsplit('/').next().unwrap_or_default();
        if !served.versions.iter().any(|known| known == of_version) {
            let group = group_of(version);
            let prefix = if group.is_empty() { String::new() } else { format!("{group}/") };
            effective.add(Mutation::ApiVersion { to: format!("{prefix}{}", served.preferred) });
        }
        effective.add(Mutation::Namespaces { map: self.request.mutations.namespace_map.clone() });
        effective.add(Mutation::StorageClasses { map: self.request.mutations.storage_class_map.clone() });
        let identity = identity::decide(key, &place, &effective.object, &self.request.mutations, &mut self.taken)?;
        let state = self.source_of_state(key);
        let orphans_state = identity.new_uuid
            && graph::mutate::has_persistent_tpm(&effective.object)
            && matches!(state, Some(DataSource::Keep | DataSource::Rebind));
        identity.mutations.into_iter().chain(marks).for_each(|mutation| effective.add(mutation));
        let machine = key.is("kubevirt.io", "VirtualMachine");
        let power = if machine {
            let was_running = power::was_running(self.world, key);
            power::decide(&effective.object, &self.request.mutations.run_strategy, was_running)
        } else if key.is("pool.kubevirt.io", "VirtualMachinePool") {
            power::decide_pool(&effective.object)
        } else {
            Power::default()
        };
        let mut object = effective.object.clone();
        power.set.iter().for_each(|mutation| mutation.apply(&mut object));
        let action = self.action(key, &place, &object, keep, &power)?;
        let Some(mut decided) = action else { return Ok(()) };
        if self.request.mutations.mark && matches!(decided.action, Action::Create | Action::Replace) {
            let archive = self.world.archive();
            effective.add(Mutation::Mark { value: format!("{} seq {} {}", archive.uuid, archive.seq, archive.t) });
        }
        if !effective.mutations.is_empty() && !annotation(captured, LAST_APPLIED).is_empty() {
            effective.add(Mutation::DropLastApplied);
        }
        match (&decided.power, power.set.clone()) {
            (PowerOf::Last, _) if power.halt => effective.add(Mutation::Halt),
            (PowerOf::Last, _) if power.pause => effective.add(Mutation::Paused { to: Some(true) }),
            (_, Some(mutation)) => effective.add(mutation),
            (_, None) => {}
        }
        let (object, rules) = make(captured, &effective.mutations);
        decided.step.object_digest = Some(digest(&object)?);
        decided.step.rules = rules;
        decided.step.mutations = effective.mutations;
        let writes = matches!(decided.action, Action::Create | Action::Replace | Action::Recreate);
        if writes {
            self.out.identities.extend(identity.rows);
            self.check_storage_classes(key, &place, &object);
            self.ties(key, &place, &object);
            self.guest(key, &place, &object, identity.new_uuid);
        }
        decided.step.action = decided.action;
        self.out.steps.push(decided.step);
        if writes && orphans_state {
            self.refuse(
                RefusalKind::VtpmIdentity,
                &place,
                "a new firmware UUID would orphan the state of its persistent vTPM",
                format!(
                    "Keep the UUID (--firmware-uuid=keep), or give up the state with --volumes {},{}/persistent-state=blank.",
                    self.request.mutations.volumes, key.name
                ),
            );
        }
        if writes && matches!(decided.power, PowerOf::Last) {
            self.power_steps(key, &place, &power);
        }
        Ok(())
    }

    fn power_steps(&mut self, key: &ObjectKey, place: &ObjectKey, power: &Power) {
        if let Some(warning) = &power.warning {
            self.warn(place, warning.clone());
        }
        if !power.halt && !power.pause {
            return;
        }
        if let Some(mutation) = &power.set {
            let mut step = self.step(key);
            step.action = Action::Power;
            step.source = None;
            step.mutations = vec![mutation.clone()];
            self.out.steps.push(step);
        }
        if power.start {
            let mut step = self.step(key);
            step.action = Action::Start;
            step.source = None;
            step.notes.push("it was running when it was captured".to_owned());
            self.out.steps.push(step);
        }
    }

    /// Makes the beginning of a step.
    pub(super) fn step(&self, key: &ObjectKey) -> Step {
        Step {
            id: 0,
            wave: 0,
            action: Action::Skip,
            key: self.places.of(key),
            from: key.clone(),
            source: self.world.source(key),
            object_digest: None,
            live: None,
            owner: None,
            rules: Vec::new(),
            mutations: Vec::new(),
            notes: Vec::new(),
            effects: Vec::new(),
            check: None,
        }
    }

    /// Adds a step that writes nothing.
    pub(super) fn note(&mut self, key: &ObjectKey, action: Action, note: impl Into<String>) {
        let mut step = self.step(key);
        step.action = action;
        step.notes.push(note.into());
        if action == Action::Keep {
            step.live = self.view.live(&step.key).map(|live| LiveRef { uid: uid(live).to_owned(), digest: None });
        }
        self.out.steps.push(step);
    }
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object and the mutations that really changed it.
struct Effective {
    object: Value,
    mutations: Vec<Mutation>,
}

impl Effective {
    fn add(&mut self, mutation: Mutation) {
        let mut changed = self.object.clone();
        mutation.apply(&mut changed);
        if changed != self.object {
            self.object = changed;
            self.mutations.push(mutation);
        }
    }
}
