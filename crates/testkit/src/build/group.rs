//! Builders of what makes several virtual machines at once: replica sets and pools.
//!
//! Does not: build their children.

use serde_json::json;

use super::Build;

/// Builds a VirtualMachineInstanceReplicaSet of two instances that are labelled `app: <name>`.
#[must_use]
pub fn replica_set(name: &str) -> Build {
    Build::namespaced("kubevirt.io/v1", "VirtualMachineInstanceReplicaSet", name).set(
        "spec",
        json!({"replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"domain": {"devices": {}}}}}),
    )
}

/// Builds a VirtualMachinePool of two machines that are labelled `app: <name>`.
#[must_use]
pub fn pool(name: &str) -> Build {
    Build::namespaced("pool.kubevirt.io/v1beta1", "VirtualMachinePool", name).set(
        "spec",
        json!({"replicas": 2, "selector": {"matchLabels": {"app": name}},
            "virtualMachineTemplate": {"metadata": {"labels": {"app": name}}, "spec": {"runStrategy": "Always",
                "template": {"metadata": {"labels": {"app": name}}, "spec": {"domain": {"devices": {}}}}}}}),
    )
}
