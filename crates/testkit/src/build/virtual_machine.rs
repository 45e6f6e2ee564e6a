//! Builders of virtual machines, their instances, and instancetypes.
//!
//! Does not: play virt-controller: a running machine's instance is built on its own.

use serde_json::json;

use super::Build;

/// Builds a halted VirtualMachine (`runStrategy: Halted`) without disks.
#[must_use]
pub fn vm(name: &str) -> Build {
    Build::namespaced("kubevirt.io/v1", "VirtualMachine", name)
        .set(
            "spec",
            json!({"runStrategy": "Halted", "template": {"metadata": {"labels": {"vm": name}},
                "spec": {"domain": {"cpu": {"cores": 2}, "devices": {}, "memory": {"guest": "2Gi"}}}}}),
        )
        .set("status", json!({"printableStatus": "Stopped"}))
}

/// Builds a running VirtualMachineInstance that nobody owns.
#[must_use]
pub fn vmi(name: &str) -> Build {
    Build::namespaced("kubevirt.io/v1", "VirtualMachineInstance", name)
        .set("spec", json!({"domain": {"cpu": {"cores": 2}, "devices": {}, "memory": {"guest": "2Gi"}}}))
        .set("status", json!({"phase": "Running", "nodeName": "node1"}))
}

/// Builds the instance that a virtual machine's controller would make of it.
#[must_use]
pub fn vmi_of(vm: &Build) -> Build {
    let mut instance = vmi(vm.name()).owned_by(vm).set("spec", vm.0["spec"]["template"]["spec"].clone());
    if let Some(namespace) = vm.0["metadata"]["namespace"].as_str() {
        instance = instance.namespace(namespace);
    }
    instance
}

/// Builds a VirtualMachineInstancetype of one CPU and 1 GiB.
#[must_use]
pub fn instancetype(name: &str) -> Build {
    Build::namespaced("instancetype.kubevirt.io/v1beta1", "VirtualMachineInstancetype", name)
        .set("spec", json!({"cpu": {"guest": 1}, "memory": {"guest": "1Gi"}}))
}

/// Builds a VirtualMachineClusterInstancetype of one CPU and 1 GiB.
#[must_use]
pub fn cluster_instancetype(name: &str) -> Build {
    Build::cluster("instancetype.kubevirt.io/v1beta1", "VirtualMachineClusterInstancetype", name)
        .set("spec", json!({"cpu": {"guest": 1}, "memory": {"guest": "1Gi"}}))
}

/// Builds a VirtualMachinePreference.
#[must_use]
pub fn preference(name: &str) -> Build {
    Build::namespaced("instancetype.kubevirt.io/v1beta1", "VirtualMachinePreference", name)
        .set("spec", json!({"machine": {"preferredMachineType": "q35"}}))
}

impl Build {
    /// Makes a VirtualMachine run: `runStrategy: Always`, and the status of one that has an instance.
    #[must_use]
    pub fn running(self) -> Self {
        self.set("spec.runStrategy", "Always")
            .set("status.created", true)
            .set("status.ready", true)
            .set("status.printableStatus", "Running")
    }

    /// Uses the older field `running` in the place of `runStrategy`.
    #[must_use]
    pub fn with_running_field(self, running: bool) -> Self {
        self.without("spec.runStrategy").set("spec.running", running)
    }

    /// Adds a disk on a DataVolume that the VirtualMachine has a template for.
    #[must_use]
    pub fn with_template_disk(self, data_volume: &str) -> Self {
        let list = match self.0["kind"].as_str() {
            Some("VirtualMachinePool") => "spec.virtualMachineTemplate.spec.dataVolumeTemplates",
            _ => "spec.dataVolumeTemplates",
        };
        let template = json!({"metadata": {"name": data_volume}, "spec": {
            "source": {"registry": {"url": "docker://registry.test/fedora:41"}},
            "storage": {"resources": {"requests": {"storage": "10Gi"}}, "storageClassName": "fast"}}});
        self.push(list, template).with_dv(data_volume)
    }

    /// Names an instancetype; an empty `kind` is left out.
    #[must_use]
    pub fn with_instancetype(self, kind: &str, name: &str) -> Self {
        self.with_matcher("instancetype", kind, name)
    }

    /// Names a preference; an empty `kind` is left out.
    #[must_use]
    pub fn with_preference(self, kind: &str, name: &str) -> Self {
        self.with_matcher("preference", kind, name)
    }

    /// Names in status the ControllerRevisions of the instancetype or preference (`field` is the one of them).
    #[must_use]
    pub fn with_revision_in_status(self, field: &str, revision: &str) -> Self {
        let name = self.0["spec"][field]["name"].clone();
        self.set(&format!("status.{field}Ref"), json!({"name": name, "controllerRevisionRef": {"name": revision}}))
    }

    fn with_matcher(self, field: &str, kind: &str, name: &str) -> Self {
        let matcher = if kind.is_empty() { json!({"name": name}) } else { json!({"kind": kind, "name": name}) };
        self.set(&format!("spec.{field}"), matcher)
    }
}
