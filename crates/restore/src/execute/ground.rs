//! Whether what a plan leaves alone is still what was judged: before a resumed run writes, and before power.
//!
//! Does not: compare contents; verification does.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use vmrewind_model::ObjectKey;

use super::Run;
use crate::{
    error::RestoreError,
    journal::{Journal, Progressed},
    json::{is_deleting, machine_path, text, uid},
    plan::{Action, RestorePlan, Step},
    volumes::{data_volume_key, volume_key},
    world::World,
};

/// Reads at the same time.
const CONCURRENCY: usize = 16;

/// Tells whether a step may start a machine.
pub(super) fn starts(step: &Step) -> bool {
    match step.action {
        Action::Power | Action::Start => true,
        // Other machines have no switch: they run as soon as they exist. A VirtualMachine is created switched off.
        Action::Create => machine_path(&step.key).is_some() && step.key.kind != "VirtualMachine",
        _ => false,
    }
}

/// Checks everything that the plan keeps or found unchanged, and every disk that was restored already.
///
/// # Errors
/// [`RestoreError::Drifted`] that names all that is another object now, or is being deleted.
pub(super) async fn check_kept(plan: &RestorePlan, run: &Run<'_>, journal: &Journal) -> Result<(), RestoreError> {
    let judged = plan.steps.iter().filter_map(|step| Some((step, judged_uid(step, journal)?)));
    check(judged.collect(), run).await
}

/// Lists the disks of the machine that a step starts, each with the uid that it must have.
pub(super) fn disks<'p>(
    plan: &'p RestorePlan,
    world: &World,
    journal: &Journal,
    machine: &Step,
) -> Vec<(&'p Step, String)> {
    let mut disks: BTreeSet<ObjectKey> = BTreeSet::new();
    for volume in plan.volumes.iter().filter(|volume| volume.vm.as_ref() == Some(&machine.from)) {
        disks.insert(data_volume_key(&volume.claim.namespace, &volume.claim.name));
        disks.insert(volume.claim.clone());
    }
    let claims = plan.steps.iter().filter(|step| step.key.kind == "PersistentVolumeClaim" && disks.contains(&step.key));
    let volumes: BTreeSet<ObjectKey> = claims.filter_map(|step| volume_key(world, &step.from)).collect();
    let judged = plan.steps.iter().filter(|step| disks.contains(&step.key) || volumes.contains(&step.from));
    judged.filter_map(|step| Some((step, judged_uid(step, journal)?))).collect()
}

/// Returns the uid that an object must have: the one that was planned with, or the one that the restore got.
fn judged_uid(step: &Step, journal: &Journal) -> Option<String> {
    match step.action {
        Action::Keep | Action::Unchanged => Some(step.live.as_ref()?.uid.clone()),
        Action::Create | Action::Recreate if is_disk(&step.key) => {
            let done = journal.progressed(step.id) == Progressed::Done;
            journal.result(step.id).filter(|_| done).map(|(uid, _)| uid.to_owned())
        }
        _ => None,
    }
}

fn is_disk(key: &ObjectKey) -> bool {
    key.is("", "PersistentVolumeClaim") || key.is("cdi.kubevirt.io", "DataVolume")
}

/// Reads objects and compares their uids.
///
/// # Errors
/// [`RestoreError::Drifted`] that names all that is another object now, or is being deleted.
pub(super) async fn check(judged: Vec<(&Step, String)>, run: &Run<'_>) -> Result<(), RestoreError> {
    let looks = judged.into_iter().map(|(step, judged)| async move {
        let read = run.target.get(&step.key).await;
        let live = read.map_err(|source| RestoreError::target("read", &step.key, source))?;
        Ok::<_, RestoreError>(moved(live.as_ref(), &judged).map(|what| format!("{}: {what}", step.key)))
    });
    let found: Vec<Option<String>> = stream::iter(looks).buffered(CONCURRENCY).try_collect().await?;
    let changes: Vec<String> = found.into_iter().flatten().collect();
    if changes.is_empty() { Ok(()) } else { Err(RestoreError::Drifted { changes }) }
}

/// Says how an object is not the one that was judged.
fn moved(live: Option<&Value>, judged: &str) -> Option<&'static str> {
    let Some(live) = live else { return Some("it does not exist any more") };
    if uid(live) != judged {
        Some("another object is in its place")
    } else if is_deleting(live) {
        Some("it is being deleted")
    } else if text(live, "kind") == "PersistentVolumeClaim" && text(live, "status.phase") == "Lost" {
        Some("it has lost its persistent volume")
    } else {
        None
    }
}
