//! Claims, volumes and DataVolumes.

use super::*;

#[test]
fn a_claim_is_bound_to_nothing_and_carries_no_marks() {
    let claim = pvc("root")
        .owned_by(&dv("root"))
        .label("kubevirt.io/created-by", "uid-of-the-machine")
        .label("app", "db")
        .annotation("pv.kubernetes.io/bound-by-controller", "yes")
        .annotation("volume.beta.kubernetes.io/storage-provisioner", "csi.test")
        .annotation("volume.kubernetes.io/storage-provisioner", "csi.test")
        .annotation("volume.kubernetes.io/selected-node", "node1")
        .annotation("cdi.kubevirt.io/storage.populatedFor", "root")
        .annotation("cdi.kubevirt.io/storage.import.endpoint", "docker://x")
        .annotation("k8s.io/CloneOf", "true")
        .annotation("cdi.kubevirt.io/storage.contentType", "kubevirt")
        .annotation("cdi.kubevirt.io/storage.preallocation.requested", "true")
        .annotation("volume.beta.kubernetes.io/storage-class", "fast")
        .annotation("mine", "kept")
        .set("spec.dataSource", json!({"kind": "PersistentVolumeClaim", "name": "golden"}))
        .set("spec.dataSourceRef", json!({"kind": "PersistentVolumeClaim", "name": "golden"}));
    let (object, _) = sanitised(claim);
    assert_eq!(
        object["metadata"],
        json!({"name": "root", "namespace": "prod", "labels": {"app": "db"}, "annotations": {
            "cdi.kubevirt.io/storage.contentType": "kubevirt",
            "cdi.kubevirt.io/storage.preallocation.requested": "true",
            "volume.beta.kubernetes.io/storage-class": "fast",
            "mine": "kept"}})
    );
    assert_eq!(
        object["spec"],
        json!({"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}},
            "storageClassName": "fast", "volumeMode": "Block"})
    );
}

#[test]
fn a_state_claim_keeps_the_label_that_says_whose_it_is() {
    let (object, _) = sanitised(pvc("state").label("persistent-state-for", "web"));
    assert_eq!(object["metadata"]["labels"]["persistent-state-for"], "web");
}

#[test]
fn a_volume_forgets_which_claim_it_was_but_not_its_name() {
    let (object, _) = sanitised(pv("root").annotation("pv.kubernetes.io/provisioned-by", "csi.test"));
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "prod", "name": "root"});
    assert_eq!(object["spec"]["claimRef"], claim);
    assert_eq!(object["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"], "csi.test");
}

#[test]
fn a_data_volume_loses_marks_of_the_importer_and_keeps_wishes() {
    let volume = [
        "cdi.kubevirt.io/storage.clone.token",
        "cdi.kubevirt.io/storage.extended.clone.token",
        "cdi.kubevirt.io/storage.prePopulated",
        "cdi.kubevirt.io/storage.pod.phase",
        "cdi.kubevirt.io/storage.condition.running",
        "cdi.kubevirt.io/cloneType",
        "cdi.kubevirt.io/storage.bind.immediate.requested",
        "cdi.kubevirt.io/allowClaimAdoption",
    ]
    .iter()
    .fold(dv("root"), |build, key| build.annotation(key, "x"));
    let (object, _) = sanitised(volume.label("kubevirt.io/created-by", "uid-of-the-machine").label("app", "db"));
    assert_eq!(
        object["metadata"]["annotations"],
        json!({"cdi.kubevirt.io/storage.bind.immediate.requested": "x", "cdi.kubevirt.io/allowClaimAdoption": "x"})
    );
    assert_eq!(object["metadata"]["labels"], json!({"app": "db"}));
}
