//! Builders of storage: claims, volumes, classes, CDI's DataVolume and DataSource, volume snapshots.
//!
//! Does not: keep the phases of two objects in step; say what each of them shows.

use serde_json::json;

use super::{Build, NAMESPACE};

/// Builds a bound PersistentVolumeClaim of 10 GiB in class `fast`, on the volume `pv-<name>`.
#[must_use]
pub fn pvc(name: &str) -> Build {
    Build::namespaced("v1", "PersistentVolumeClaim", name)
        .annotation("pv.kubernetes.io/bind-completed", "yes")
        .finalizer("kubernetes.io/pvc-protection")
        .set(
            "spec",
            json!({"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}},
                "storageClassName": "fast", "volumeMode": "Block", "volumeName": format!("pv-{name}")}),
        )
        .set("status", json!({"phase": "Bound", "capacity": {"storage": "10Gi"}}))
}

/// Builds the PersistentVolume `pv-<claim>` to which the claim of that name is bound.
#[must_use]
pub fn pv(claim: &str) -> Build {
    Build::cluster("v1", "PersistentVolume", &format!("pv-{claim}")).set(
        "spec",
        json!({"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "fast",
            "persistentVolumeReclaimPolicy": "Delete",
            "csi": {"driver": "csi.test", "volumeHandle": format!("handle-{claim}")},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": NAMESPACE, "name": claim,
                "uid": format!("persistentvolumeclaim-{claim}-uid"), "resourceVersion": "1"}}),
    )
}

/// Builds a StorageClass.
#[must_use]
pub fn storage_class(name: &str) -> Build {
    Build::cluster("storage.k8s.io/v1", "StorageClass", name)
        .set("provisioner", "csi.test")
        .set("reclaimPolicy", "Delete")
        .set("volumeBindingMode", "Immediate")
}

/// Builds a DataVolume that was imported from a registry and is in phase Succeeded.
#[must_use]
pub fn dv(name: &str) -> Build {
    Build::namespaced("cdi.kubevirt.io/v1beta1", "DataVolume", name)
        .set(
            "spec",
            json!({"source": {"registry": {"url": "docker://registry.test/fedora:41"}},
                "storage": {"resources": {"requests": {"storage": "10Gi"}}, "storageClassName": "fast"}}),
        )
        .set("status", json!({"phase": "Succeeded", "progress": "100.0%", "claimName": name}))
}

/// Builds a DataSource that points to a claim.
#[must_use]
pub fn data_source(name: &str, claim_namespace: &str, claim: &str) -> Build {
    Build::namespaced("cdi.kubevirt.io/v1beta1", "DataSource", name)
        .set("spec", json!({"source": {"pvc": {"namespace": claim_namespace, "name": claim}}}))
}

/// Builds a ready VolumeSnapshot of a claim.
#[must_use]
pub fn volume_snapshot(name: &str, claim: &str) -> Build {
    Build::namespaced("snapshot.storage.k8s.io/v1", "VolumeSnapshot", name)
        .set("spec", json!({"volumeSnapshotClassName": "snaps", "source": {"persistentVolumeClaimName": claim}}))
        .set(
            "status",
            json!({"readyToUse": true, "restoreSize": "10Gi",
                "boundVolumeSnapshotContentName": format!("content-{name}")}),
        )
}

impl Build {
    /// Sets `status.phase`.
    #[must_use]
    pub fn phase(self, phase: &str) -> Self {
        self.set("status.phase", phase)
    }
}
