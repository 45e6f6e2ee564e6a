//! The comparable form, differences, noise.

use super::*;

/// What a cluster makes of a sanitised object: other uids, owners, finalizers, status, bookkeeping.
fn restored(object: &Value) -> Build {
    let name = object["metadata"]["name"].as_str().expect("name").to_owned();
    let mut build = Build::from_json(object.clone());
    if let Some(labels) = object["metadata"].get("labels") {
        build = build.set("metadata.labels", labels.clone());
    }
    build
        .uid(&format!("{name}-new"))
        .rv(99)
        .generation(7)
        .created_at("2026-05-05T00:00:00Z")
        .managed_by("vmrewind")
        .owned_by(&vm("new-owner").uid("new"))
        .set("status", json!({"phase": "New"}))
}

#[test]
fn an_object_that_was_put_back_compares_as_unchanged() {
    let machine = vm("web")
        .running()
        .with_template_disk("root")
        .with_instancetype("", "small")
        .with_revision_in_status("instancetype", "r1")
        .with_firmware("133bf63e-9459-5126-9b21-b56e9b3d17b3", "s1")
        .finalizer("kubevirt.io/virtualMachineControllerFinalize")
        .set("spec.template.metadata.creationTimestamp", Value::Null);
    let claim = pvc("root").annotation("pv.kubernetes.io/bound-by-controller", "yes");
    let volume = dv("root").label("kubevirt.io/created-by", "old-uid");
    for recorded in [machine, claim, volume, secret("tls"), config_map("c"), namespace("prod"), vmi("alone")] {
        let mut object = recorded.clone().json();
        sanitise(&mut object);
        let live = restored(&object)
            .finalizer("kubernetes.io/pvc-protection")
            .annotation("kubevirt.io/latest-observed-api-version", "v1")
            .json();
        let live = match live["kind"].as_str() {
            Some("PersistentVolumeClaim") => Build::from_json(live)
                .annotation("pv.kubernetes.io/bind-completed", "yes")
                .annotation("cdi.kubevirt.io/storage.populatedFor", "root")
                .annotation("volume.kubernetes.io/storage-provisioner", "csi.test")
                .label("app", "containerized-data-importer")
                .label("app.kubernetes.io/managed-by", "cdi-controller")
                .label("app.kubernetes.io/component", "storage")
                .label("alerts.k8s.io/KubePersistentVolumeFillingUp", "disabled")
                .set("spec.volumeName", "pv-new")
                .without("metadata.annotations.kubevirt")
                .json(),
            Some("DataVolume") => Build::from_json(live)
                .annotation("cdi.kubevirt.io/storage.prePopulated", "root")
                .annotation("cdi.kubevirt.io/allowClaimAdoption", "true")
                .label("kubevirt.io/created-by", "new-uid")
                .json(),
            Some("Namespace") => Build::from_json(live)
                .label("kubernetes.io/metadata.name", "prod")
                .set("spec.finalizers", json!(["kubernetes"]))
                .json(),
            _ => live,
        };
        let noted = matches!(live["kind"].as_str(), Some("VirtualMachine" | "VirtualMachineInstance"));
        let live = if noted { live } else { forget(live) };
        assert_eq!(comparable(&live), comparable(&recorded.json()), "{}", live["kind"]);
    }
}

/// Takes back the annotation that only virt-controller writes, and only on its own kinds.
fn forget(mut object: Value) -> Value {
    let annotations = object["metadata"]["annotations"].as_object_mut().expect("annotations");
    annotations.remove("kubevirt.io/latest-observed-api-version");
    object
}

#[test]
fn the_served_version_and_the_applied_copy_make_no_difference() {
    let old = vm("web").set("apiVersion", "kubevirt.io/v1alpha3").json();
    let applied = vm("web").annotation("kubectl.kubernetes.io/last-applied-configuration", "{}").json();
    assert_eq!(comparable(&old), comparable(&vm("web").json()));
    assert_eq!(comparable(&applied), comparable(&vm("web").json()));
}

#[test]
fn empty_members_that_mean_something_stay_in_the_comparable_form() {
    let with = vm("web").set_template("domain.devices.tpm", json!({})).json();
    assert_ne!(comparable(&with), comparable(&vm("web").json()));
}

#[test]
fn differences_name_the_place_and_both_values() {
    let recorded = vm("web").with_pod_network("02:00:00:00:00:01").json();
    let live = vm("web")
        .with_pod_network("02:00:00:00:00:02")
        .set_template("domain.memory.guest", "4Gi")
        .label("a.b/c", "new")
        .json();
    let found: Vec<(String, Option<Value>, Option<Value>)> =
        differences(&recorded, &live).into_iter().map(|d| (d.path, d.recorded, d.live)).collect();
    let text = |text: &str| Some(Value::from(text));
    assert_eq!(
        found,
        [
            ("metadata.labels".to_owned(), None, Some(json!({"a.b/c": "new"}))),
            (
                "spec.template.spec.domain.devices.interfaces[0].macAddress".to_owned(),
                text("02:00:00:00:00:01"),
                text("02:00:00:00:00:02")
            ),
            ("spec.template.spec.domain.memory.guest".to_owned(), text("2Gi"), text("4Gi")),
        ]
    );
}

#[test]
fn what_webhooks_fill_in_where_nothing_was_is_no_difference() {
    let recorded = vm("web").with_pod_network("").json();
    let live = vm("web")
        .with_pod_network("02:00:00:00:00:02")
        .with_firmware("u", "s")
        .set_template("domain.machine.type", "q35")
        .set_template("architecture", "amd64")
        .json();
    assert_eq!(differences(&recorded, &live), []);
    let changed = differences(&live, &recorded);
    assert_eq!(changed.len(), 4, "what was there and is gone is one: {changed:?}");
    let recorded = pvc("root").without("spec.storageClassName").json();
    assert_eq!(differences(&recorded, &pvc("root").json()), []);
}

#[test]
fn noise_is_bookkeeping_and_not_content() {
    let mut object = vm("web")
        .managed_by("kubectl")
        .annotation("kubectl.kubernetes.io/last-applied-configuration", "{}")
        .set(
            "status",
            json!({"observedGeneration": 3, "printableStatus": "Running",
            "conditions": [{"type": "Ready", "lastProbeTime": null, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
        )
        .json();
    noise(&mut object);
    assert_eq!(
        object["metadata"],
        json!({"name": "web", "namespace": "prod", "uid": "virtualmachine-web-uid",
            "creationTimestamp": "2026-01-01T00:00:00Z"})
    );
    assert_eq!(
        object["status"],
        json!({"printableStatus": "Running",
            "conditions": [{"type": "Ready", "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    );
}
