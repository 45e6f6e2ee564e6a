//! Reading untyped JSON: what is not there, or has another shape, reads as nothing.
//!
//! Does not: change anything.

use serde_json::Value;
use vmrewind_model::ObjectKey;

/// Reads the text at a dotted path; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// Follows a dotted path of members.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|member| !member.is_empty()).try_fold(value, |value, member| value.get(member))
}

/// Reads the list at a dotted path; empty if there is none.
pub(crate) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Reads an annotation; empty if there is none.
pub(crate) fn annotation<'a>(value: &'a Value, name: &str) -> &'a str {
    at(value, "metadata.annotations").and_then(|all| all.get(name)?.as_str()).unwrap_or_default()
}

/// Reads `metadata.uid`.
pub(crate) fn uid(value: &Value) -> &str {
    text(value, "metadata.uid")
}

/// Tells whether the object is being deleted.
pub(crate) fn is_deleting(value: &Value) -> bool {
    !text(value, "metadata.deletionTimestamp").is_empty()
}

/// Returns the path of the machine's spec inside an object of this kind; none if it is no machine.
pub(crate) fn machine_path(key: &ObjectKey) -> Option<&'static str> {
    match (key.group.as_str(), key.kind.as_str()) {
        ("kubevirt.io", "VirtualMachine" | "VirtualMachineInstanceReplicaSet") => Some("spec.template.spec"),
        ("kubevirt.io", "VirtualMachineInstance") => Some("spec"),
        ("pool.kubevirt.io", "VirtualMachinePool") => Some("spec.virtualMachineTemplate.spec.template.spec"),
        _ => None,
    }
}

/// Splits `group/version` and returns the group; empty for core.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
