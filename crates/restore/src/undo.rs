//! Taking an execution back: what was replaced is put back, what was created is deleted, in reverse order.
//!
//! Nothing that the execution did not make is touched: objects are deleted by uid, what they own is orphaned (a
//! DataVolume may have adopted a claim that was there before), and what somebody changed since is left.
//!
//! Does not: need the archive; the journal holds what was there before.

use serde::Serialize;
use serde_json::{Value, json};
use vmrewind_graph::{self as graph, mutate};
use vmrewind_model::ObjectKey;

use crate::{
    error::RestoreError,
    execute::{Run, check_cluster, over, power_patch, wait_until_stopped},
    journal::{Entry, Event, Journal, Progressed},
    json::{is_deleting, list, text, uid},
    key_text,
    plan::{Action, Step},
    progress::StepState,
    realise::digest,
    target::{DeleteGuard, TargetError, Write},
};

/// What came of an undo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UndoOutcome {
    /// What was taken back, and how.
    pub undone: Vec<Undone>,
    /// What was not, and why.
    pub left: Vec<Undone>,
}

/// One thing that was or was not taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// Which step of the plan.
    pub step: u32,
    /// Which object.
    #[serde(with = "key_text")]
    pub key: ObjectKey,
    /// How, or why not.
    pub note: String,
}

/// What may be taken back besides what is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UndoOptions {
    /// Take back as well what was changed since, and claims that are bound and may hold data.
    pub force: bool,
}

enum Taken {
    Undone(String),
    Left(String),
}

/// Lists what an undo will look at, in its order, with what it does there unless it finds a reason to leave it.
#[must_use]
pub fn undo_preview(journal: &Journal) -> Vec<Undone> {
    let steps = to_undo(journal).into_iter().rev().map(|step| {
        let note = match step.action {
            Action::Create if step.key.is("", "Namespace") => "left",
            Action::Create => "deleted",
            Action::Replace | Action::Recreate => "put back",
            Action::Power if step.key.kind == "VirtualMachinePool" => "paused",
            Action::Power => "switched off",
            _ => "taken back",
        };
        Undone { step: step.id, key: step.key.clone(), note: note.to_owned() }
    });
    steps.collect()
}

fn to_undo(journal: &Journal) -> Vec<&Step> {
    let open = |step: &&Step| matches!(journal.progressed(step.id), Progressed::Done | Progressed::Begun);
    journal.plan().writes().filter(open).collect()
}

/// Takes an execution back as far as possible, and says what it left. Can be repeated. As [`undo_with`] without
/// options.
///
/// # Errors
/// As [`undo_with`].
pub async fn undo(run: &Run<'_>, journal: &mut Journal) -> Result<UndoOutcome, RestoreError> {
    undo_with(run, journal, UndoOptions::default()).await
}

/// Takes an execution back as far as possible, and says what it left. Can be repeated.
///
/// What was changed since the restore and claims that are bound are left, unless `options` say otherwise. What is
/// deleted or replaced is journaled first. `run.world` is not used: [`crate::World::none`] will do.
///
/// # Errors
/// [`RestoreError::OtherCluster`] for another cluster; [`RestoreError::Target`] if the server does not answer; what
/// was taken back by then is journaled.
pub async fn undo_with(
    run: &Run<'_>,
    journal: &mut Journal,
    options: UndoOptions,
) -> Result<UndoOutcome, RestoreError> {
    let (cluster, _) = run.target.identity().await.map_err(|source| RestoreError::Observe { source })?;
    check_cluster(journal.plan(), &cluster)?;
    let plan = journal.plan().clone();
    let steps: Vec<Step> = to_undo(journal).into_iter().cloned().collect();
    run.progress.begin("undo", steps.len());
    let mut outcome = UndoOutcome::default();
    for step in steps.iter().rev() {
        if (run.cancelled)() {
            let (done, total) = (outcome.undone.len(), plan.writes().count());
            return Err(RestoreError::Cancelled { done, total });
        }
        run.progress.step(step, StepState::Started);
        let (list, note) = match undo_step(step, run, journal, options).await? {
            Taken::Undone(note) => {
                let event = Event::Undone { note: note.clone() };
                journal.append(Entry { t: (run.now)(), step: step.id, key: step.key.clone(), event })?;
                run.progress.step(step, StepState::Done);
                (&mut outcome.undone, note)
            }
            Taken::Left(note) => {
                run.progress.step(step, StepState::Left);
                (&mut outcome.left, note)
            }
        };
        list.push(Undone { step: step.id, key: step.key.clone(), note });
    }
    for volume in plan.volumes.iter().filter(|volume| volume.data_source == crate::DataSource::Reimport) {
        if read(run, &volume.claim).await?.is_some() {
            let note =
                "made by an import, not by the restore itself: delete it yourself if it is not wanted".to_owned();
            outcome.left.push(Undone { step: 0, key: volume.claim.clone(), note });
        }
    }
    Ok(outcome)
}

async fn undo_step(
    step: &Step,
    run: &Run<'_>,
    journal: &mut Journal,
    options: UndoOptions,
) -> Result<Taken, RestoreError> {
    let live = read(run, &step.key).await?;
    let Some(live) = live else {
        return match step.action {
            Action::Replace | Action::Recreate => put_back(step, run, journal).await,
            _ => Ok(Taken::Undone("it is gone already".to_owned())),
        };
    };
    let result = journal.result(step.id).map(|(made, left_as)| (made.to_owned(), left_as));
    let Some((made, left_as)) = result else {
        // Begun, and its end is not known: the object may be ours or somebody's.
        return match step.action {
            Action::Create => {
                Ok(Taken::Left("it is not known whether the restore made it: look at it yourself".to_owned()))
            }
            Action::Replace if journal.previous(step.id).is_some_and(|previous| same(previous, &live)) => {
                Ok(Taken::Undone("it had not been replaced".to_owned()))
            }
            Action::Recreate
                if !is_deleting(&live) && journal.previous(step.id).is_some_and(|previous| same(previous, &live)) =>
            {
                Ok(Taken::Undone("it had not been deleted".to_owned()))
            }
            Action::Replace | Action::Recreate => {
                Ok(Taken::Left("it is not known how far it came: look at it yourself".to_owned()))
            }
            _ => back(step, run, journal, &live).await,
        };
    };
    if made != uid(&live) {
        return Ok(Taken::Left("another object is in its place".to_owned()));
    }
    if !matches!(step.action, Action::Create | Action::Replace | Action::Recreate) {
        return back(step, run, journal, &live).await;
    }
    if step.action == Action::Create && step.key.is("", "Namespace") {
        let name = &step.key.name;
        return Ok(Taken::Left(format!(
            "deleting a namespace deletes all that is in it: look at `kubectl get all,vm,pvc,dv -n {name}`, \
             then run `kubectl delete namespace {name}` if nothing in it is wanted"
        )));
    }
    // What a later step of the same execution did (power, owners) was taken back before this one.
    let changed = left_as.is_some_and(|left_as| digest(&graph::comparable(&live)).ok() != Some(left_as));
    let holds_data = step.action == Action::Create && is_bound_claim(&step.key, &live);
    if holds_data && !options.force {
        let note = "it is bound, and may hold data that was written since: delete it yourself, or undo with force";
        return Ok(Taken::Left(note.to_owned()));
    }
    if changed && !options.force {
        return Ok(Taken::Left("it was changed after the restore: look at it yourself, or undo with force".to_owned()));
    }
    let event = Event::Intent { previous: Some(live.clone()) };
    journal.append(Entry { t: (run.now)(), step: step.id, key: step.key.clone(), event })?;
    match step.action {
        Action::Create => delete(step, run, &made).await,
        Action::Replace => put_over(step, run, journal, &live).await,
        _ => match delete(step, run, &made).await? {
            Taken::Undone(_) => put_back(step, run, journal).await,
            left @ Taken::Left(_) => Ok(left),
        },
    }
}

fn is_bound_claim(key: &ObjectKey, live: &Value) -> bool {
    key.is("", "PersistentVolumeClaim") && !text(live, "spec.volumeName").is_empty()
}

/// Takes back a step that patched.
async fn back(step: &Step, run: &Run<'_>, journal: &Journal, live: &Value) -> Result<Taken, RestoreError> {
    let previous = journal.previous(step.id);
    match (step.action, previous) {
        (Action::ReleaseOwner, _) => {
            Ok(Taken::Undone("not put back: with an owner that is gone it would be deleted".to_owned()))
        }
        (Action::Start, _) => Ok(Taken::Undone("it is stopped with its power state".to_owned())),
        // Its machines stay: they are taken back themselves if the restore made them.
        (Action::Power, _) if step.key.kind == "VirtualMachinePool" => {
            let patch = json!({"spec": {"paused": true}});
            let done = || Taken::Undone("paused, so that it neither makes nor deletes machines".to_owned());
            Ok(patch_live(step, run, live, patch).await?.unwrap_or_else(done))
        }
        (Action::Power, _) => {
            let mut off = live.clone();
            drop(mutate::halt(&mut off));
            if let Some(patch) = power_patch(&off)
                && let Some(left) = patch_live(step, run, live, patch).await?
            {
                return Ok(left);
            }
            run.progress.note(&format!("waiting until {} has stopped", step.key));
            if wait_until_stopped(run.target, &step.key, run.cancelled).await? {
                Ok(Taken::Undone("switched off".to_owned()))
            } else {
                Ok(Taken::Left("it did not stop in time".to_owned()))
            }
        }
        (Action::Stop, Some(previous)) => match power_patch(previous) {
            Some(patch) => Ok(patch_live(step, run, live, patch)
                .await?
                .unwrap_or_else(|| Taken::Undone("its power state is as before".to_owned()))),
            None => Ok(Taken::Undone("nothing had been changed".to_owned())),
        },
        (Action::ReleaseVolume, Some(previous)) => {
            let patch = json!({"spec": {"claimRef": previous["spec"]["claimRef"]}});
            Ok(patch_live(step, run, live, patch)
                .await?
                .unwrap_or_else(|| Taken::Undone("it refers to its old claim again".to_owned())))
        }
        (Action::PatchOwner, Some(previous)) => {
            let before = list(previous, "metadata.ownerReferences");
            let ours = |reference: &&Value| {
                let owner = step.owner.as_ref();
                owner.is_some_and(|owner| reference["kind"] == owner.kind && reference["name"] == owner.name)
                    && !before.iter().any(|old| old["uid"] == reference["uid"])
            };
            let references = list(live, "metadata.ownerReferences");
            let rest: Vec<Value> = references.iter().filter(|reference| !ours(reference)).cloned().collect();
            if rest.len() == references.len() {
                return Ok(Taken::Undone("it has no such owner".to_owned()));
            }
            let patch = json!({"metadata": {"ownerReferences": rest}});
            Ok(patch_live(step, run, live, patch)
                .await?
                .unwrap_or_else(|| Taken::Undone("it has no owner through the restore any more".to_owned())))
        }
        (_, _) => Ok(Taken::Left("the journal does not tell what was there before".to_owned())),
    }
}

/// Patches the state that was read. Some if it was left.
async fn patch_live(step: &Step, run: &Run<'_>, live: &Value, mut patch: Value) -> Result<Option<Taken>, RestoreError> {
    patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    match run.target.patch(&step.key, &patch, Write::default()).await {
        Ok(_) => Ok(None),
        Err(error) => left(step, "patch", error).map(Some),
    }
}

async fn delete(step: &Step, run: &Run<'_>, made: &str) -> Result<Taken, RestoreError> {
    let guard = DeleteGuard { uid: made.to_owned(), dry_run: false };
    match run.target.delete(&step.key, &guard).await {
        Ok(()) | Err(TargetError::NotFound(_)) => Ok(Taken::Undone("deleted; what it owned stays".to_owned())),
        Err(error) => left(step, "delete", error),
    }
}

/// Puts the previous object over the one of the restore.
async fn put_over(step: &Step, run: &Run<'_>, journal: &Journal, live: &Value) -> Result<Taken, RestoreError> {
    let Some(previous) = journal.previous(step.id) else {
        return Ok(Taken::Left("the journal does not tell what was there before".to_owned()));
    };
    let mut object = previous.clone();
    drop(graph::sanitise(&mut object));
    match run.target.replace(&over(&object, live), Write::default()).await {
        Ok(_) => Ok(Taken::Undone("the previous object is back".to_owned())),
        Err(error) => left(step, "replace", error),
    }
}

/// Creates the previous object again.
async fn put_back(step: &Step, run: &Run<'_>, journal: &Journal) -> Result<Taken, RestoreError> {
    let Some(previous) = journal.previous(step.id) else {
        return Ok(Taken::Left("the journal does not tell what was there before".to_owned()));
    };
    let mut object = previous.clone();
    drop(graph::sanitise(&mut object));
    // Its owners are alive: nothing of theirs was deleted.
    if let Some(owners) = previous["metadata"].get("ownerReferences") {
        object["metadata"]["ownerReferences"] = owners.clone();
    }
    match run.target.create(&object, Write::default()).await {
        Ok(_) => Ok(Taken::Undone("the previous object is back, under a new uid".to_owned())),
        Err(error) => left(step, "create", error),
    }
}

/// An error that says no leaves the object; one that says nothing ends the undo, which can be repeated.
fn left(step: &Step, doing: &'static str, error: TargetError) -> Result<Taken, RestoreError> {
    match error {
        TargetError::Ambiguous(_) | TargetError::Unreachable(_) | TargetError::Other(_) => {
            Err(RestoreError::target(doing, &step.key, error))
        }
        refused => Ok(Taken::Left(refused.to_string())),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    graph::comparable(one) == graph::comparable(other) && uid(one) == uid(other)
}

async fn read(run: &Run<'_>, key: &ObjectKey) -> Result<Option<Value>, RestoreError> {
    match run.target.get(key).await {
        Ok(live) => Ok(live),
        Err(TargetError::NotFound(_)) => Ok(None),
        Err(source) => Err(RestoreError::target("read", key, source)),
    }
}
