//! Whether what exists equals the plan, object by object.
//!
//! Does not: repair anything.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde_json::Value;
use vmrewind_graph as graph;
use vmrewind_model::ObjectKey;

use crate::{
    error::RestoreError,
    execute::Run,
    json::{is_deleting, list, uid},
    key_text,
    ownership::{is_gone, owner_key},
    plan::{Action, RestorePlan, Step},
    realise::realise,
    target::TargetError,
    view::ServedKind,
};

/// Reads at the same time.
const CONCURRENCY: usize = 16;

/// What was found about each object of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// One per object that is in the target when the plan is done, in the order of the plan.
    pub objects: Vec<ObjectCheck>,
}

/// What was found about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectCheck {
    /// Which.
    #[serde(with = "key_text")]
    pub key: ObjectKey,
    /// What was planned for it.
    pub action: Action,
    /// Paths at which the live object is not as planned. `metadata.uid` means that another object is in its place,
    /// an empty path that there is none.
    pub differs: Vec<String>,
    /// Paths that the live object has and the plan does not: filled in by the server or by controllers.
    pub added: Vec<String>,
}

impl Verification {
    /// Tells whether everything is as planned.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.objects.iter().all(|object| object.differs.is_empty())
    }

    /// Returns what is not as planned.
    pub fn bad(&self) -> impl Iterator<Item = &ObjectCheck> {
        self.objects.iter().filter(|object| !object.differs.is_empty())
    }
}

/// Reads every object of the plan again and compares.
///
/// # Errors
/// [`RestoreError::Target`] if an object cannot be read; [`RestoreError::OtherBytes`] if the archive does not yield
/// the planned object.
pub async fn verify(plan: &RestorePlan, run: &Run<'_>) -> Result<Verification, RestoreError> {
    let there = |step: &&Step| {
        let action = step.action;
        action.of_object() && (action.writes() || matches!(action, Action::Unchanged | Action::Keep))
    };
    let steps: Vec<&Step> = plan.steps.iter().filter(there).collect();
    run.progress.begin("verify", steps.len());
    let kinds = run.target.kinds().await.map_err(|source| RestoreError::Observe { source })?;
    let objects = stream::iter(steps.into_iter().map(|step| check(plan, step, run, &kinds)))
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(Verification { objects })
}

async fn check(
    plan: &RestorePlan,
    step: &Step,
    run: &Run<'_>,
    kinds: &[ServedKind],
) -> Result<ObjectCheck, RestoreError> {
    let read = run.target.get(&step.key).await;
    let live = read.map_err(|source| RestoreError::target("read", &step.key, source))?;
    let mut check = ObjectCheck { key: step.key.clone(), action: step.action, differs: Vec::new(), added: Vec::new() };
    let Some(live) = live else {
        check.differs.push(String::new());
        run.progress.tick();
        return Ok(check);
    };
    let same = matches!(step.action, Action::Unchanged | Action::Keep | Action::Replace);
    if same && step.live.as_ref().is_some_and(|planned| planned.uid != uid(&live)) {
        check.differs.push("metadata.uid".to_owned());
    }
    if let Some(wanted) = realise(run.world, step)? {
        for difference in graph::differences(&with_power(plan, step, wanted), &live) {
            let list = if difference.recorded.is_some() { &mut check.differs } else { &mut check.added };
            list.push(difference.path);
        }
    }
    for repair in plan.steps.iter().filter(|repair| repair.action == Action::PatchOwner && repair.key == step.key) {
        let Some(owner_key) = &repair.owner else { continue };
        let read = run.target.get(owner_key).await;
        let owner = read.map_err(|source| RestoreError::target("read", owner_key, source))?;
        let owned = owner.as_ref().is_some_and(|owner| {
            list(&live, "metadata.ownerReferences").iter().any(|reference| reference["uid"] == uid(owner))
        });
        if !owned {
            check.differs.push("metadata.ownerReferences".to_owned());
        }
    }
    if is_deleting(&live) {
        check.differs.push("metadata.deletionTimestamp".to_owned());
    }
    let path = "metadata.ownerReferences";
    if !check.differs.iter().any(|differs| differs == path) && has_dead_owner(run, kinds, &step.key, &live).await? {
        check.differs.push(path.to_owned());
    }
    run.progress.tick();
    Ok(check)
}

/// Tells whether an owner of an object is gone: the garbage collector would delete the object.
async fn has_dead_owner(
    run: &Run<'_>,
    kinds: &[ServedKind],
    key: &ObjectKey,
    live: &Value,
) -> Result<bool, RestoreError> {
    for reference in list(live, "metadata.ownerReferences") {
        let Some(owner_key) = owner_key(kinds, &key.namespace, reference) else { continue };
        match run.target.get(&owner_key).await {
            Ok(owner) if is_gone(reference, owner.as_ref()) => return Ok(true),
            Err(TargetError::NotFound(_)) => return Ok(true),
            // An owner that may not be read: the plan has warned of it.
            Ok(_) | Err(TargetError::Forbidden(_)) => {}
            Err(source) => return Err(RestoreError::target("read", &owner_key, source)),
        }
    }
    Ok(false)
}

/// Returns the object as it is when the plan is done: with its power state.
fn with_power(plan: &RestorePlan, step: &Step, mut object: Value) -> Value {
    for power in plan.steps.iter().filter(|other| other.action == Action::Power && other.key == step.key) {
        power.mutations.iter().for_each(|mutation| mutation.apply(&mut object));
    }
    object
}
