//! Builders of core kinds: Secret, ConfigMap, ServiceAccount, Namespace, Pod, and what is cluster-wide.
//!
//! Does not: build storage.

use serde_json::json;

use super::Build;

/// Builds an Opaque Secret with one entry, `key: value`.
#[must_use]
pub fn secret(name: &str) -> Build {
    Build::namespaced("v1", "Secret", name).set("type", "Opaque").set("data", json!({"key": "dmFsdWU="}))
}

/// Builds a ConfigMap with one entry, `key: value`.
#[must_use]
pub fn config_map(name: &str) -> Build {
    Build::namespaced("v1", "ConfigMap", name).set("data", json!({"key": "value"}))
}

/// Builds a ServiceAccount.
#[must_use]
pub fn service_account(name: &str) -> Build {
    Build::namespaced("v1", "ServiceAccount", name)
}

/// Builds a Namespace.
#[must_use]
pub fn namespace(name: &str) -> Build {
    Build::cluster("v1", "Namespace", name)
        .label("kubernetes.io/metadata.name", name)
        .set("spec", json!({"finalizers": ["kubernetes"]}))
        .set("status", json!({"phase": "Active"}))
}

/// Builds the launcher pod of a virtual machine instance that was built, as virt-controller makes it.
#[must_use]
pub fn launcher_pod(name: &str, vmi: &Build) -> Build {
    let uid = vmi.0["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    pod(name)
        .owned_by(vmi)
        .label("kubevirt.io", "virt-launcher")
        .label("kubevirt.io/created-by", &uid)
        .label("vm.kubevirt.io/name", vmi.name())
        .annotation("kubevirt.io/domain", vmi.name())
}

/// Builds a Pod with one container that runs on no node yet.
#[must_use]
pub fn pod(name: &str) -> Build {
    Build::namespaced("v1", "Pod", name)
        .set("spec", json!({"containers": [{"name": "compute", "image": "registry.test/launcher:v1"}]}))
        .set("status", json!({"phase": "Pending"}))
}

/// Builds a ControllerRevision that holds an instancetype, owned by a virtual machine that was built.
#[must_use]
pub fn revision(name: &str, vm: &Build) -> Build {
    Build::namespaced("apps/v1", "ControllerRevision", name)
        .owned_by(vm)
        .label("instancetype.kubevirt.io/object-kind", "VirtualMachineInstancetype")
        .set("revision", 0)
        .set(
            "data",
            json!({"apiVersion": "instancetype.kubevirt.io/v1beta1", "kind": "VirtualMachineInstancetype",
                "metadata": {"name": "small"}, "spec": {"cpu": {"guest": 1}, "memory": {"guest": "1Gi"}}}),
        )
}

/// Builds a NetworkAttachmentDefinition.
#[must_use]
pub fn network(name: &str) -> Build {
    Build::namespaced("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", name)
        .set("spec", json!({"config": "{\"cniVersion\":\"0.3.1\",\"type\":\"bridge\",\"bridge\":\"br1\"}"}))
}

/// Builds a PriorityClass.
#[must_use]
pub fn priority_class(name: &str) -> Build {
    Build::cluster("scheduling.k8s.io/v1", "PriorityClass", name).set("value", 1000)
}
