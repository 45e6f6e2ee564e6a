//! Whether a VirtualMachine runs, in the two fields that may tell.
//!
//! Does not: know whether an instance exists; `Manual` and `Once` depend on it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Changed, remove, set};
use crate::{names, template, view};

/// The power field of a VirtualMachine: what stands in which of the two fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Power {
    /// `spec.running`.
    Running(bool),
    /// `spec.runStrategy`: `Always`, `RerunOnFailure`, `Manual`, `Halted`, `Once`, `WaitAsReceiver`.
    RunStrategy(String),
    /// Neither is set.
    Unset,
}

/// Reads the power field. Where both are set, which the server refuses, the strategy counts.
#[must_use]
pub fn power(vm: &Value) -> Power {
    match (view::text(vm, "spec.runStrategy"), view::at(vm, "spec.running").and_then(Value::as_bool)) {
        ("", Some(running)) => Power::Running(running),
        ("", None) => Power::Unset,
        (strategy, _) => Power::RunStrategy(strategy.to_owned()),
    }
}

/// Sets the power field, and removes the other one. Only on a VirtualMachine.
pub fn set_power(vm: &mut Value, to: &Power) -> Vec<Changed> {
    if !template::is(vm, names::VM) {
        return Vec::new();
    }
    let (field, value, other) = match to {
        Power::Running(running) => ("spec.running", Value::from(*running), "spec.runStrategy"),
        Power::RunStrategy(strategy) => ("spec.runStrategy", strategy.as_str().into(), "spec.running"),
        Power::Unset => {
            let mut changed = remove(vm, "spec.running");
            changed.extend(remove(vm, "spec.runStrategy"));
            return changed;
        }
    };
    let mut changed = remove(vm, other);
    changed.extend(set(vm, field, value));
    changed
}

/// Sets `runStrategy`, and removes `running`.
pub fn set_run_strategy(vm: &mut Value, strategy: &str) -> Vec<Changed> {
    set_power(vm, &Power::RunStrategy(strategy.to_owned()))
}

/// Keeps the machine from starting, in the field it uses. Give the [`power`] it had before to [`set_power`] to
/// power it on again.
pub fn halt(vm: &mut Value) -> Vec<Changed> {
    match power(vm) {
        Power::Running(_) => set_power(vm, &Power::Running(false)),
        Power::RunStrategy(_) | Power::Unset => set_run_strategy(vm, "Halted"),
    }
}
