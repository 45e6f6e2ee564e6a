//! Steps around objects: stop, free a volume, owners, power, start.
//!
//! Does not: write whole objects.

use std::time::Duration;

use serde_json::{Value, json};
use vmrewind_graph::mutate;
use vmrewind_model::ObjectKey;

use super::{ATTEMPTS, Executor, RACES, after_race, drifted};
use crate::{
    error::RestoreError,
    journal::Progressed,
    json::{group_of, is_deleting, list, text, uid},
    mutation::Mutation,
    ownership::is_gone,
    plan::Step,
    power,
    target::{Target, TargetError, Write},
};

/// How long a machine may take to stop.
const STOP_SECONDS: u32 = 300;

impl Executor<'_, '_> {
    /// Switches a machine off and waits until its instance is gone.
    pub(super) async fn stop(&self, step: &Step) -> Result<(), RestoreError> {
        self.change(step, |vm| {
            let mut off = vm.clone();
            drop(mutate::halt(&mut off));
            Ok(power_patch(&off))
        })
        .await?;
        let cancelled = self.run.cancelled;
        self.run.progress.note(&format!("waiting until {} has stopped", step.key));
        if wait_until_stopped(self.run.target, &step.key, cancelled).await? {
            let live = self.read_there(&step.key).await?;
            return self.done(step, &live, Vec::new());
        }
        if cancelled() {
            return Err(RestoreError::Cancelled { done: 0, total: 0 });
        }
        let source = TargetError::Other(format!("it did not stop within {STOP_SECONDS} s"));
        Err(RestoreError::target("stop", &step.key, source))
    }

    /// Lets a retained volume be bound by the claim that is created next.
    pub(super) async fn release_volume(&self, step: &Step) -> Result<(), RestoreError> {
        let Some(claim) = step.owner.clone() else {
            return Err(RestoreError::Bug(format!("step {} names no claim", step.id)));
        };
        let planned = step.live.as_ref().map(|live| live.uid.clone());
        let key = step.key.clone();
        let live = self
            .change(step, |volume| {
                if planned.as_deref() != Some(uid(volume)) {
                    return Err(drifted(&key, "another volume is in its place"));
                }
                Ok(Some(json!({"spec": {"claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                    "namespace": claim.namespace, "name": claim.name, "uid": null, "resourceVersion": null}}})))
            })
            .await?;
        self.done(step, &live, Vec::new())
    }

    /// Removes the references to an owner that is gone. The write needs the version that was read, so that it cannot
    /// hide that the garbage collector was faster.
    pub(super) async fn release_owner(&self, step: &Step) -> Result<(), RestoreError> {
        let Some(owner_key) = step.owner.clone() else {
            return Err(RestoreError::Bug(format!("step {} names no owner", step.id)));
        };
        let owner = self.read(&owner_key).await?;
        let planned = step.live.as_ref().map(|live| live.uid.clone());
        let key = step.key.clone();
        let dead = |reference: &Value| {
            group_of(text(reference, "apiVersion")) == owner_key.group
                && text(reference, "kind") == owner_key.kind
                && text(reference, "name") == owner_key.name
                && is_gone(reference, owner.as_ref())
        };
        let live = self
            .change(step, |object| {
                if planned.as_deref() != Some(uid(object)) {
                    return Err(drifted(&key, "another object is in its place"));
                }
                if is_deleting(object) {
                    return Err(drifted(&key, "it is being deleted"));
                }
                let references = list(object, "metadata.ownerReferences");
                let rest: Vec<Value> = references.iter().filter(|reference| !dead(reference)).cloned().collect();
                let changed = rest.len() != references.len();
                Ok(changed.then(|| json!({"metadata": {"ownerReferences": rest}})))
            })
            .await?;
        self.done(step, &live, Vec::new())
    }

    /// Adds the owner reference as captured, with the owner's uid of today.
    pub(super) async fn patch_owner(&self, step: &Step) -> Result<(), RestoreError> {
        let Some(owner_key) = step.owner.clone() else {
            return Err(RestoreError::Bug(format!("step {} names no owner", step.id)));
        };
        let owner = self.read_there(&owner_key).await?;
        let same =
            |reference: &&Value| text(reference, "kind") == owner_key.kind && text(reference, "name") == owner_key.name;
        let captured = self.run.world.value(&step.from);
        let captured = captured.and_then(|object| list(object, "metadata.ownerReferences").iter().find(same));
        let mut wanted = json!({"apiVersion": owner["apiVersion"], "kind": owner_key.kind, "name": owner_key.name,
            "uid": uid(&owner)});
        for flag in ["controller", "blockOwnerDeletion"] {
            if let Some(value) = captured.and_then(|reference| reference.get(flag)) {
                wanted[flag] = value.clone();
            }
        }
        let live = self
            .change(step, |object| {
                let present = list(object, "metadata.ownerReferences");
                if present.iter().any(|reference| reference["uid"] == wanted["uid"]) {
                    return Ok(None);
                }
                // What names an earlier incarnation of the same owner is dead.
                let mut references: Vec<Value> = present.iter().filter(|reference| !same(reference)).cloned().collect();
                let mut wanted = wanted.clone();
                if references.iter().any(|reference| reference["controller"] == true) {
                    wanted["controller"] = json!(false);
                }
                references.push(wanted);
                Ok(Some(json!({"metadata": {"ownerReferences": references}})))
            })
            .await?;
        self.done(step, &live, Vec::new())
    }

    /// Puts the power state back.
    pub(super) async fn power(&self, step: &Step) -> Result<(), RestoreError> {
        let mutations = step.mutations.clone();
        let live = self
            .change(step, |vm| {
                let mut on = vm.clone();
                mutations.iter().for_each(|mutation: &Mutation| mutation.apply(&mut on));
                Ok(if on["spec"] == vm["spec"] { None } else { power_patch(&on) })
            })
            .await?;
        self.done(step, &live, Vec::new())
    }

    /// Asks for a start.
    pub(super) async fn start(&self, step: &Step) -> Result<(), RestoreError> {
        let begun = self.progressed(step) == Progressed::Begun;
        let vm = self.read_there(&step.key).await?;
        if !begun {
            self.intent(step, None)?;
        }
        for _ in 0..ATTEMPTS {
            if self.read(&instance_of(&step.key)).await?.is_some_and(|instance| power::is_running(&instance)) {
                return self.done(step, &vm, vec!["it runs already".to_owned()]);
            }
            match self.run.target.start(&step.key).await {
                Ok(()) => return self.done(step, &vm, Vec::new()),
                Err(TargetError::Ambiguous(_)) => self.run.target.pause(Duration::from_secs(1)).await,
                Err(TargetError::Unreachable(detail)) => self.later(step, &detail).await,
                Err(error) => return Err(self.failed(step, "start", error)),
            }
        }
        let source = TargetError::Ambiguous("no attempt was answered".to_owned());
        Err(RestoreError::target("start", &step.key, source))
    }

    /// Reads, journals, and patches what was read; none from `patch` means that it is as wanted. Repeatable: after a
    /// lost answer the object is read again, and what is wanted already is not written twice.
    async fn change(
        &self,
        step: &Step,
        patch: impl Fn(&Value) -> Result<Option<Value>, RestoreError>,
    ) -> Result<Value, RestoreError> {
        let mut begun = self.progressed(step) == Progressed::Begun;
        let (mut unanswered, mut races) = (0, 0);
        while unanswered < ATTEMPTS {
            let live = self.read_there(&step.key).await?;
            let change = patch(&live)?;
            if !begun {
                self.intent(step, Some(&live))?;
                begun = true;
            }
            let Some(mut change) = change else { return Ok(live) };
            change["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
            match self.run.target.patch(&step.key, &change, Write::default()).await {
                Ok(changed) => return Ok(changed),
                Err(TargetError::Conflict(_)) if races < RACES => {
                    self.run.target.pause(after_race(races)).await;
                    races += 1;
                    continue;
                }
                Err(TargetError::Ambiguous(_)) => self.run.target.pause(Duration::from_secs(1)).await,
                Err(TargetError::Unreachable(detail)) => self.later(step, &detail).await,
                Err(error) => return Err(self.failed(step, "patch", error)),
            }
            unanswered += 1;
        }
        let source = TargetError::Ambiguous("no attempt was answered".to_owned());
        Err(RestoreError::target("patch", &step.key, source))
    }
}

/// Returns the merge patch that sets the power fields as they are in a machine, or whether a pool is paused.
pub(crate) fn power_patch(object: &Value) -> Option<Value> {
    let field = |name: &str| object["spec"].get(name).cloned().unwrap_or(Value::Null);
    if object["kind"] == "VirtualMachinePool" {
        return Some(json!({"spec": {"paused": field("paused")}}));
    }
    Some(json!({"spec": {"running": field("running"), "runStrategy": field("runStrategy")}}))
}

/// Returns the key of a machine's instance.
pub(crate) fn instance_of(vm: &ObjectKey) -> ObjectKey {
    ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &vm.namespace, &vm.name)
}

/// Waits until a machine's instance is gone or has ended. False if it still runs when the time is over, or when the
/// user wants to stop.
pub(crate) async fn wait_until_stopped(
    target: &dyn Target,
    vm: &ObjectKey,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<bool, RestoreError> {
    let instance = instance_of(vm);
    for _ in 0..STOP_SECONDS {
        let read = target.get(&instance).await;
        let live = read.map_err(|source| RestoreError::target("read", &instance, source))?;
        let ended = |live: &Value| matches!(text(live, "status.phase"), "Succeeded" | "Failed");
        if live.as_ref().is_none_or(ended) {
            return Ok(true);
        }
        if cancelled() {
            return Ok(false);
        }
        target.pause(Duration::from_secs(1)).await;
    }
    Ok(false)
}
