//! From a captured object to the object that is written: rules, then mutations, in the order of the plan.
//!
//! Does not: decide; it repeats what a plan says.

use serde_json::{Value, json};
use vmrewind_graph as graph;
use vmrewind_model::{Digest, canonical};

use crate::{
    error::RestoreError,
    mutation::Mutation,
    plan::{AppliedRule, Step},
    world::World,
};

/// Returns the object that a step writes (for `unchanged`: would have written): the archived bytes, sanitised and
/// mutated as the plan says. None for steps that write no object of their own.
///
/// # Errors
/// [`RestoreError::OtherBytes`] if the archive does not hold the bytes that the plan was made from, or if the
/// result is not the one that the plan was made with.
pub fn realise(world: &World, step: &Step) -> Result<Option<Value>, RestoreError> {
    let Some(planned) = step.object_digest.filter(|_| step.action.of_object()) else { return Ok(None) };
    let other =
        |planned: String, found: String| RestoreError::OtherBytes { key: Box::new(step.from.clone()), planned, found };
    let object = match &step.source {
        None => bare_namespace(&step.key.name),
        Some(source) => {
            let held = world.source(&step.from);
            if held.as_ref() != Some(source) {
                let found = held.map_or_else(|| "nothing".to_owned(), |held| held.content_id.to_string());
                return Err(other(source.content_id.to_string(), found));
            }
            world.check_readable(&step.from)?;
            let Some(captured) = world.value(&step.from) else {
                return Err(other(source.content_id.to_string(), "nothing".to_owned()));
            };
            make(captured, &step.mutations).0
        }
    };
    let found = digest(&object)?;
    if found == planned { Ok(Some(object)) } else { Err(other(planned.to_string(), found.to_string())) }
}

/// Sanitises and mutates.
pub(crate) fn make(captured: &Value, mutations: &[Mutation]) -> (Value, Vec<AppliedRule>) {
    let mut object = captured.clone();
    let rules = graph::sanitise(&mut object)
        .into_iter()
        .map(|applied| AppliedRule {
            rule: applied.rule.to_owned(),
            path: applied.path,
            reason: applied.reason.to_owned(),
        })
        .collect();
    mutations.iter().for_each(|mutation| mutation.apply(&mut object));
    (object, rules)
}

/// The namespace object for one that the archive does not hold.
pub(crate) fn bare_namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Returns the digest of the canonical form.
///
/// # Errors
/// [`RestoreError::Bug`] if it has no canonical form.
pub(crate) fn digest(object: &Value) -> Result<Digest, RestoreError> {
    let bytes = serde_json::to_vec(object).map_err(|error| RestoreError::Bug(error.to_string()))?;
    let canonical = canonical::canonicalize(&bytes).map_err(|error| RestoreError::Bug(error.to_string()))?;
    Ok(Digest::of(&canonical))
}
