//! Asking the server what it would say, without storing anything.
//!
//! Does not: change the plan but for what the server said.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    error::RestoreError,
    execute::over,
    plan::{Action, Check, RestorePlan, Step},
    progress::Progress,
    realise::realise,
    target::{Target, TargetError, Write},
    world::World,
};

/// Requests at the same time.
const CONCURRENCY: usize = 8;

/// Sends every object of the plan to the server as a dry run and notes in each step what it said.
///
/// # Errors
/// [`RestoreError::Observe`] if the server does not answer; what it refuses stands in the steps.
pub async fn dry_run(
    plan: &mut RestorePlan,
    world: &World,
    target: &dyn Target,
    progress: &dyn Progress,
) -> Result<(), RestoreError> {
    let created: BTreeSet<String> = plan
        .steps
        .iter()
        .filter(|step| step.action == Action::Create && step.key.is("", "Namespace"))
        .map(|step| step.key.name.clone())
        .collect();
    progress.begin("dry run", plan.writes().count());
    let checks: Vec<Option<Check>> = stream::iter(plan.steps.iter().map(|step| async {
        let check = check(step, &created, world, target).await;
        if step.action.writes() {
            progress.tick();
        }
        check
    }))
    .buffered(CONCURRENCY)
    .try_collect()
    .await?;
    for (step, check) in plan.steps.iter_mut().zip(checks) {
        step.check = check;
    }
    Ok(())
}

async fn check(
    step: &Step,
    created: &BTreeSet<String>,
    world: &World,
    target: &dyn Target,
) -> Result<Option<Check>, RestoreError> {
    let not_yet = |reason: String| Ok(Some(Check::NotCheckableYet { reason }));
    match step.action {
        Action::Create | Action::Replace => {}
        Action::Recreate => return not_yet("the live object must be deleted first".to_owned()),
        Action::ReleaseOwner
        | Action::Stop
        | Action::ReleaseVolume
        | Action::PatchOwner
        | Action::Power
        | Action::Start => {
            return not_yet("it depends on steps before it".to_owned());
        }
        Action::Unchanged | Action::Keep | Action::Skip | Action::Refuse => return Ok(None),
    }
    if created.contains(&step.key.namespace) {
        return not_yet(format!("namespace {} is created by this plan", step.key.namespace));
    }
    let Some(object) = realise(world, step)? else { return Ok(None) };
    let write = Write { dry_run: true, strict: false };
    let answer = if step.action == Action::Create {
        target.create(&object, write).await
    } else {
        match target.get(&step.key).await {
            Ok(Some(live)) => target.replace(&over(&object, &live), write).await,
            Ok(None) => Err(TargetError::NotFound("it does not exist any more".to_owned())),
            Err(error) => Err(error),
        }
    };
    match answer {
        Ok((_, warnings)) => Ok(Some(of_warnings(warnings))),
        Err(error @ (TargetError::Ambiguous(_) | TargetError::Unreachable(_))) => {
            Err(RestoreError::target("dry run of", &step.key, error))
        }
        Err(error) => Ok(Some(Check::Refused { reason: error.to_string() })),
    }
}

/// Tells fields that the server would drop from its other warnings
/// (`kubernetes/kubernetes: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/create.go`).
fn of_warnings(warnings: Vec<String>) -> Check {
    let (unknown, warnings): (Vec<String>, Vec<String>) =
        warnings.into_iter().partition(|warning| warning.starts_with("unknown field "));
    let field = |text: String| text.trim_start_matches("unknown field ").trim_matches('"').to_owned();
    Check::Ok { pruned: unknown.into_iter().map(field).collect(), warnings }
}
