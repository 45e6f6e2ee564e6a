//! Creating and replacing objects.
//!
//! Does not: choose between them.

use std::time::Duration;

use serde_json::{Value, json};
use vmrewind_graph as graph;

use super::{ATTEMPTS, Executor, RACES, after_race, drifted};
use crate::{
    conflict,
    error::RestoreError,
    journal::Progressed,
    json::{list, uid},
    plan::Step,
    realise::{digest, realise},
    target::{DeleteGuard, TargetError, Write},
};

/// How long a deletion may take before creating again is given up.
const DELETION_SECONDS: u32 = 60;

impl Executor<'_, '_> {
    pub(super) fn object(&self, step: &Step) -> Result<Value, RestoreError> {
        realise(self.run.world, step)?
            .ok_or_else(|| RestoreError::Bug(format!("step {} writes {} but has no object", step.id, step.key)))
    }

    /// Creates. If an object of the name exists it is ours only if we may have made it: an answer of ours was lost,
    /// and the object is the one that we wanted.
    pub(super) async fn create(&self, step: &Step) -> Result<(), RestoreError> {
        let object = self.object(step)?;
        let mut lost = self.progressed(step) == Progressed::Begun;
        if !lost {
            self.intent(step, None)?;
        }
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            match self.run.target.create(&object, Write::default()).await {
                Ok((created, warnings)) => return self.done(step, &created, warnings),
                Err(TargetError::AlreadyExists(detail)) if lost => {
                    let Some(live) = self.read(&step.key).await? else { continue };
                    if conflict::compare(&object, &live).is_empty() {
                        let note = "an earlier answer was lost; the object is there as wanted".to_owned();
                        return self.done(step, &live, vec![note]);
                    }
                    return Err(RestoreError::target("create", &step.key, TargetError::AlreadyExists(detail)));
                }
                Err(TargetError::Ambiguous(detail)) => {
                    lost = true;
                    self.run.progress.note(&format!("{}: {detail}; looking", step.key));
                    self.run.target.pause(Duration::from_secs(1)).await;
                }
                Err(TargetError::Unreachable(detail)) => {
                    self.later(step, &detail).await;
                    refused = Some(detail);
                }
                // What went before (a lost create, the deletion of a recreate) may have changed something.
                Err(error) if lost => return Err(RestoreError::target("create", &step.key, error)),
                Err(error) => return Err(self.failed(step, "create", error)),
            }
        }
        if let Some(detail) = refused.filter(|_| !lost) {
            return Err(self.failed(step, "create", TargetError::Unreachable(detail)));
        }
        let source = TargetError::Ambiguous("no attempt was answered".to_owned());
        Err(RestoreError::target("create", &step.key, source))
    }

    /// Replaces the live object that the plan was made against, and no other.
    pub(super) async fn replace(&self, step: &Step) -> Result<(), RestoreError> {
        let object = self.object(step)?;
        let begun = self.progressed(step) == Progressed::Begun;
        let mut lost = begun;
        let (mut unanswered, mut races) = (0, 0);
        while unanswered < ATTEMPTS {
            let live = self.read_there(&step.key).await?;
            if lost && conflict::compare(&object, &live).is_empty() {
                return self.done(step, &live, vec!["an earlier answer was lost; the object is as wanted".to_owned()]);
            }
            self.check_live(step, &live)?;
            if unanswered + races == 0 && !begun {
                self.intent(step, Some(&live))?;
            }
            match self.run.target.replace(&over(&object, &live), Write::default()).await {
                Ok((replaced, warnings)) => return self.done(step, &replaced, warnings),
                // Its status may have moved; whether it matters is looked at again.
                Err(TargetError::Conflict(_)) if races < RACES => {
                    self.run.target.pause(after_race(races)).await;
                    races += 1;
                    continue;
                }
                Err(TargetError::Ambiguous(detail)) => {
                    lost = true;
                    self.run.progress.note(&format!("{}: {detail}; looking", step.key));
                    self.run.target.pause(Duration::from_secs(1)).await;
                }
                Err(TargetError::Unreachable(detail)) => self.later(step, &detail).await,
                Err(error) if lost => return Err(RestoreError::target("replace", &step.key, error)),
                Err(error) => return Err(self.failed(step, "replace", error)),
            }
            unanswered += 1;
        }
        let source = TargetError::Ambiguous("no attempt was answered".to_owned());
        Err(RestoreError::target("replace", &step.key, source))
    }

    /// Deletes the live object and creates the wanted one.
    pub(super) async fn recreate(&self, step: &Step) -> Result<(), RestoreError> {
        let planned = step.live.as_ref().map(|live| live.uid.clone()).unwrap_or_default();
        let mut asked = self.progressed(step) == Progressed::Begun;
        if !asked {
            let live = self.read_there(&step.key).await?;
            self.check_live(step, &live)?;
            self.intent(step, Some(&live))?;
        }
        for _ in 0..DELETION_SECONDS {
            let Some(live) = self.read(&step.key).await? else { break };
            if uid(&live) != planned {
                break;
            }
            let guard = DeleteGuard { uid: planned.clone(), dry_run: false };
            match self.run.target.delete(&step.key, &guard).await {
                Ok(()) | Err(TargetError::NotFound(_) | TargetError::Ambiguous(_)) => asked = true,
                Err(TargetError::Unreachable(_)) => {}
                // A deletion that was taken before may yet happen.
                Err(error) if asked => return Err(RestoreError::target("delete", &step.key, error)),
                Err(error) => return Err(self.failed(step, "delete", error)),
            }
            if self.read(&step.key).await?.is_none() {
                break;
            }
            self.run.target.pause(Duration::from_secs(1)).await;
        }
        // The step counts as begun, so an object that is there as wanted is taken for ours.
        self.create(step).await
    }

    /// The server took nothing: it is asked again a little later (429, or it is starting).
    pub(super) async fn later(&self, step: &Step, detail: &str) {
        self.run.progress.note(&format!("{}: {detail}; waiting a little", step.key));
        self.run.target.pause(Duration::from_secs(1)).await;
    }

    /// Refuses a live object other than the one that the plan was made against.
    fn check_live(&self, step: &Step, live: &Value) -> Result<(), RestoreError> {
        let Some(planned) = &step.live else {
            return Err(RestoreError::Bug(format!("step {} names no live object", step.id)));
        };
        // A stop of ours changes the power state on purpose.
        let stopped = self.plan.steps.iter().any(|other| other.action == crate::Action::Stop && other.key == step.key);
        if uid(live) != planned.uid {
            return Err(drifted(&step.key, "another object is in its place"));
        }
        if !stopped && planned.digest.is_some_and(|planned| digest(&graph::comparable(live)).ok() != Some(planned)) {
            return Err(drifted(&step.key, "the live object changed"));
        }
        Ok(())
    }
}

/// Puts an object over a live one: what the server and controllers keep there stays.
pub(crate) fn over(object: &Value, live: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    object["metadata"]["uid"] = live["metadata"]["uid"].clone();
    if let Some(owners) = live["metadata"].get("ownerReferences") {
        object["metadata"]["ownerReferences"] = owners.clone();
    }
    let mut finalizers = list(&object, "metadata.finalizers").to_vec();
    for finalizer in list(live, "metadata.finalizers") {
        if !finalizers.contains(finalizer) {
            finalizers.push(finalizer.clone());
        }
    }
    if !finalizers.is_empty() {
        object["metadata"]["finalizers"] = json!(finalizers);
    }
    if let Some(status) = live.get("status") {
        object["status"] = status.clone();
    }
    object
}
