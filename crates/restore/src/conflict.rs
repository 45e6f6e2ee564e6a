//! What differs between two objects, whether it can be changed, and when a change takes effect.
//!
//! Does not: decide what to do about it.

use serde_json::Value;
use vmrewind_graph as graph;
use vmrewind_model::ObjectKey;

use crate::{json::at, plan::Effect};

#[cfg(test)]
mod tests;

/// Returns the paths at which a live object differs from what would be restored, in their comparable forms, apart
/// from what servers are known to fill in.
pub(crate) fn compare(desired: &Value, live: &Value) -> Vec<String> {
    graph::differences(desired, live).into_iter().map(|difference| difference.path).collect()
}

/// Tells which difference cannot be changed in place, if one cannot.
pub(crate) fn immutable<'a>(key: &ObjectKey, paths: &'a [String], live: &Value) -> Option<&'a str> {
    let fixed = |path: &str| match (key.group.as_str(), key.kind.as_str()) {
        ("", "PersistentVolumeClaim") => path.starts_with("spec") && !path.starts_with("spec.resources"),
        ("cdi.kubevirt.io", "DataVolume") | ("kubevirt.io", "VirtualMachineInstance") => path.starts_with("spec"),
        ("apps", "ControllerRevision") => path.starts_with("data") || path == "revision",
        ("", "Secret") => path == "type" || (is_frozen(live) && !path.starts_with("metadata")),
        ("", "ConfigMap") => is_frozen(live) && !path.starts_with("metadata"),
        _ => false,
    };
    paths.iter().map(String::as_str).find(|path| fixed(path))
}

fn is_frozen(live: &Value) -> bool {
    at(live, "immutable") == Some(&Value::Bool(true))
}

/// Says when each difference takes effect if a machine runs: its template counts from the next start on.
pub(crate) fn effects(key: &ObjectKey, paths: &[String], runs: bool) -> Vec<Effect> {
    let at_restart = |path: &str| {
        runs && key.is("kubevirt.io", "VirtualMachine")
            && ["spec.template", "spec.instancetype", "spec.preference"].iter().any(|part| path.starts_with(part))
    };
    let when = |path: &str| if at_restart(path) { "restart" } else { "now" };
    paths.iter().map(|path| Effect { path: path.clone(), when: when(path).to_owned() }).collect()
}
