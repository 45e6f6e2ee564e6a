//! What hides changes that mean something.
//!
//! Does not: touch what is stored; noise is hidden at display only.

use serde_json::Value;

use crate::{names, path};

const MEMBERS: &[&str] = &[
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.selfLink",
    "status.observedGeneration",
    "status.desiredGeneration",
    "status.conditions[].lastProbeTime",
    "status.conditions[].lastHeartbeatTime",
    "status.conditions[].observedGeneration",
];

const ANNOTATIONS: &[&str] =
    &[names::LAST_APPLIED, "kubevirt.io/latest-observed-api-version", "kubevirt.io/storage-observed-api-version"];

/// Takes away what servers and controllers write with every change and nobody asks for: the bookkeeping of
/// metadata, generations that were seen, times of probes, copies of what was applied.
pub fn noise(object: &mut Value) {
    for member in MEMBERS {
        path::each_mut(object, member, &mut |map, member, _| {
            map.remove(member);
        });
    }
    path::each_mut(object, "metadata.annotations", &mut |metadata, member, _| {
        let Some(annotations) = metadata.get_mut(member).and_then(Value::as_object_mut) else { return };
        let before = annotations.len();
        annotations.retain(|key, _| !ANNOTATIONS.contains(&key.as_str()));
        if annotations.is_empty() && before > 0 {
            metadata.remove(member);
        }
    });
}
