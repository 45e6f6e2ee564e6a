use std::collections::BTreeMap;

use serde_json::{Value, json};
use vmrewind_testkit::build::{Build, data_source, dv, namespace, pool, pv, pvc, replica_set, secret, vm, vmi};

use super::*;

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
}

fn paths(changed: &[Changed]) -> Vec<&str> {
    changed.iter().map(|changed| changed.path.as_str()).collect()
}

#[test]
fn the_legacy_uuid_is_the_one_that_kubevirt_derived_from_the_name() {
    for (name, uuid) in [
        ("testvmi", "f8918e71-270a-598e-a2a4-1afac39e1394"),
        ("vm1", "133bf63e-9459-5126-9b21-b56e9b3d17b3"),
        ("win10", "a26173eb-9e7e-509b-a27f-e69d1eb1fa81"),
    ] {
        assert_eq!(legacy_firmware_uuid(name).to_string(), uuid);
    }
}

#[test]
fn a_machine_without_uuid_gets_the_legacy_one_and_one_with_a_uuid_keeps_it() {
    let mut object = vm("vm1").json();
    let changed = fill_legacy_firmware_uuid(&mut object, "vm1");
    assert_eq!(paths(&changed), ["spec.template.spec.domain.firmware.uuid"]);
    assert_eq!(identity(&object).firmware_uuid.as_deref(), Some("133bf63e-9459-5126-9b21-b56e9b3d17b3"));
    assert!(fill_legacy_firmware_uuid(&mut object, "other").is_empty());
    let mut object = vm("vm1").with_firmware("mine", "s").json();
    assert!(fill_legacy_firmware_uuid(&mut object, "vm1").is_empty());
    assert!(fill_legacy_firmware_uuid(&mut vmi("vm1").json(), "vm1").is_empty());
}

#[test]
fn identity_is_read_cleared_and_set_in_every_kind_that_has_one() {
    for build in [vm("web"), vmi("web"), replica_set("web"), pool("web")] {
        let spec = build.template_path();
        let mut object =
            build.with_pod_network("02:00:00:00:00:01").with_network("lan", "").with_firmware("uuid", "serial").json();
        let before = identity(&object);
        assert_eq!(before.serial.as_deref(), Some("serial"));
        assert_eq!(before.firmware_uuid.as_deref(), Some("uuid"));
        assert_eq!(before.interfaces[0].mac.as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!((before.interfaces[1].name.as_str(), &before.interfaces[1].mac), ("lan", &None));
        assert_eq!(before.interfaces[1].path, format!("{spec}.domain.devices.interfaces[1].macAddress"));

        let cleared = clear_macs(&mut object);
        assert_eq!(paths(&cleared), [format!("{spec}.domain.devices.interfaces[0].macAddress").as_str()]);
        assert_eq!(cleared[0].from, Some("02:00:00:00:00:01".into()));
        clear_serial(&mut object);
        clear_firmware_uuid(&mut object);
        let after = identity(&object);
        assert!(after.serial.is_none() && after.firmware_uuid.is_none());
        assert!(after.interfaces.iter().all(|interface| interface.mac.is_none()));

        assert_eq!(set_mac(&mut object, "lan", "02:00:00:00:00:09").len(), 1);
        assert!(set_mac(&mut object, "lan", "02:00:00:00:00:09").is_empty());
        assert!(set_mac(&mut object, "nowhere", "02:00:00:00:00:09").is_empty());
        set_serial(&mut object, "new-serial");
        set_firmware_uuid(&mut object, "new-uuid");
        let after = identity(&object);
        assert_eq!(after.interfaces[1].mac.as_deref(), Some("02:00:00:00:00:09"));
        assert_eq!((after.serial.as_deref(), after.firmware_uuid.as_deref()), (Some("new-serial"), Some("new-uuid")));
    }
    assert!(set_serial(&mut secret("tls").json(), "s").is_empty());
}

#[test]
fn a_tpm_that_keeps_its_state_is_seen() {
    assert!(has_persistent_tpm(&vm("win").with_persistent_tpm().json()));
    assert!(has_persistent_tpm(&vmi("win").with_persistent_tpm().json()));
    assert!(!has_persistent_tpm(&vm("web").set_template("domain.devices.tpm", json!({})).json()));
}

#[test]
fn setting_a_run_strategy_removes_running() {
    let mut object = vm("web").with_running_field(true).json();
    let changed = set_run_strategy(&mut object, "Halted");
    assert_eq!(paths(&changed), ["spec.running", "spec.runStrategy"]);
    assert_eq!(power(&object), Power::RunStrategy("Halted".to_owned()));
    assert!(object["spec"].get("running").is_none());
    let mut object = vm("web").json();
    set_run_strategy(&mut object, "Always");
    assert_eq!(object["spec"]["runStrategy"], "Always");
}

#[test]
fn a_halted_machine_gets_its_power_back_in_the_field_it_came_from() {
    for build in [vm("a").running(), vm("a").with_running_field(true), vm("a"), vm("a").with_running_field(false)] {
        let mut object = build.clone().json();
        let before = power(&object);
        halt(&mut object);
        assert!(
            matches!(power(&object), Power::Running(false)) || power(&object) == Power::RunStrategy("Halted".into())
        );
        set_power(&mut object, &before);
        assert_eq!(object, build.json());
    }
    let mut neither = vm("a").without("spec.runStrategy").json();
    assert_eq!(power(&neither), Power::Unset);
    halt(&mut neither);
    assert_eq!(power(&neither), Power::RunStrategy("Halted".into()));
    set_power(&mut neither, &Power::Unset);
    assert_eq!(power(&neither), Power::Unset);
    assert!(halt(&mut pool("a").json()).is_empty());
}

#[test]
fn marks_for_the_importer_are_set_and_taken_back() {
    let (mut volume, mut claim) = (dv("root").json(), pvc("root").json());
    assert_eq!(
        paths(&mark_prepopulated(&mut volume, "root")),
        ["metadata.annotations[\"cdi.kubevirt.io/storage.prePopulated\"]"]
    );
    mark_populated(&mut claim, "root");
    allow_claim_adoption(&mut volume);
    assert_eq!(volume["metadata"]["annotations"]["cdi.kubevirt.io/allowClaimAdoption"], "true");
    assert_eq!(claim["metadata"]["annotations"]["cdi.kubevirt.io/storage.populatedFor"], "root");
    assert!(mark_populated(&mut claim, "root").is_empty());
    assert_eq!(unmark_populated(&mut claim).len(), 1);
    assert_eq!(unmark_prepopulated(&mut volume).len(), 1);
    assert_eq!(claim, pvc("root").json());
    assert!(unmark_populated(&mut claim).is_empty());
}

#[test]
fn a_claim_is_bound_to_a_volume_or_filled_from_a_snapshot() {
    let mut claim = pvc("root").without("spec.volumeName").json();
    set_volume_name(&mut claim, "pv-1");
    assert_eq!(claim["spec"]["volumeName"], "pv-1");
    set_snapshot_source(&mut claim, "s");
    let source = json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"});
    assert!(claim["spec"].get("volumeName").is_none());
    assert_eq!((&claim["spec"]["dataSource"], &claim["spec"]["dataSourceRef"]), (&source, &source));
}

#[test]
fn a_claim_asks_for_at_least_the_size_of_its_snapshot() {
    for (requested, restore, result) in [("2Gi", "3Gi", "3Gi"), ("2Gi", "1Gi", "2Gi"), ("1Gi", "1024Mi", "1Gi")] {
        let mut claim = pvc("root").set("spec.resources.requests.storage", requested).json();
        at_least(&mut claim, restore).expect("quantities");
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], result);
    }
    let mut claim = pvc("root").json();
    assert!(at_least(&mut claim, "much").is_err());
    assert_eq!(claim, pvc("root").json());
    let mut empty = pvc("root").without("spec.resources").json();
    at_least(&mut empty, "1Gi").expect("quantity");
    assert_eq!(empty["spec"]["resources"]["requests"]["storage"], "1Gi");
}

#[test]
fn quantities_compare_by_amount() {
    let q = |text: &str| text.parse::<Quantity>().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(q("1Gi"), q("1073741824"));
    assert_eq!(q("1024Mi"), q("1Gi"));
    assert_eq!(q("1.5Gi"), q("1536Mi"));
    assert_eq!(q("1e3"), q("1k"));
    assert_eq!(q("1500m"), q("1.5"));
    assert_eq!(q("5e-1"), q("500m"));
    assert!(q("1Gi") > q("1G") && q("1n") > q("0") && q("-1") < q("0") && q("8Ei") > q("8E"));
    for text in
        ["", "Gi", "1gi", "1.2.3", "1-2", "--1", "1e99", "1e", ".", "９", "340282366920938463463374607431768211456"]
    {
        assert!(text.parse::<Quantity>().is_err(), "{text}");
    }
}

#[test]
fn namespaces_are_renamed_wherever_they_are_spelled_out() {
    let moved = map([("prod", "copy"), ("images", "images-copy")]);
    let mut machine = vm("web")
        .with_network("prod/lan", "")
        .with_network("shared/wan", "")
        .with_network("plain", "")
        .with_template_disk("root")
        .set("spec.dataVolumeTemplates.0.metadata.namespace", "prod")
        .set(
            "spec.dataVolumeTemplates.0.spec.sourceRef",
            json!({"kind": "DataSource", "namespace": "images", "name": "f"}),
        )
        .json();
    let changed = remap_namespaces(&mut machine, &moved);
    assert_eq!(
        paths(&changed),
        [
            "metadata.namespace",
            "spec.dataVolumeTemplates[0].spec.sourceRef.namespace",
            "spec.dataVolumeTemplates[0].metadata.namespace",
            "spec.template.spec.networks[0].multus.networkName",
        ]
    );
    let networks = &machine["spec"]["template"]["spec"]["networks"];
    assert_eq!(networks[0]["multus"]["networkName"], "copy/lan");
    assert_eq!(networks[1]["multus"]["networkName"], "shared/wan");
    assert_eq!(networks[2]["multus"]["networkName"], "plain");

    let binding = Build::namespaced("rbac.authorization.k8s.io/v1", "RoleBinding", "b")
        .set("subjects", json!([{"kind": "ServiceAccount", "name": "robot", "namespace": "prod"}]));
    for (build, pointer, value) in [
        (namespace("prod"), "/metadata/name", "copy"),
        (secret("tls"), "/metadata/namespace", "copy"),
        (pv("root"), "/spec/claimRef/namespace", "copy"),
        (data_source("f", "images", "golden"), "/spec/source/pvc/namespace", "images-copy"),
        (
            dv("c").set("spec.source", json!({"pvc": {"namespace": "images", "name": "g"}})),
            "/spec/source/pvc/namespace",
            "images-copy",
        ),
        (
            dv("c").set("spec.source", json!({"snapshot": {"namespace": "images", "name": "g"}})),
            "/spec/source/snapshot/namespace",
            "images-copy",
        ),
        (
            pvc("c").set("spec.dataSourceRef", json!({"kind": "X", "namespace": "images", "name": "g"})),
            "/spec/dataSourceRef/namespace",
            "images-copy",
        ),
        (binding, "/subjects/0/namespace", "copy"),
    ] {
        let mut object = build.json();
        assert!(!remap_namespaces(&mut object, &moved).is_empty());
        assert_eq!(object.pointer(pointer), Some(&Value::from(value)), "{pointer}");
        assert!(remap_namespaces(&mut object, &moved).is_empty(), "a renamed one is not in the map");
    }
}

#[test]
fn a_source_in_a_namespace_that_is_not_moved_stays() {
    let mut object = dv("c").set("spec.source", json!({"pvc": {"namespace": "images", "name": "g"}})).json();
    remap_namespaces(&mut object, &map([("prod", "copy")]));
    assert_eq!(object["spec"]["source"]["pvc"]["namespace"], "images");
    assert_eq!(object["metadata"]["namespace"], "copy");
}

#[test]
fn storage_classes_are_renamed_in_claims_volumes_data_volumes_and_templates() {
    let classes = map([("fast", "gold")]);
    for (build, pointers) in [
        (pvc("a"), vec!["/spec/storageClassName"]),
        (
            pvc("a").annotation("volume.beta.kubernetes.io/storage-class", "fast"),
            vec!["/spec/storageClassName", "/metadata/annotations/volume.beta.kubernetes.io~1storage-class"],
        ),
        (pv("a"), vec!["/spec/storageClassName"]),
        (dv("a"), vec!["/spec/storage/storageClassName"]),
        (dv("a").set("spec.pvc.storageClassName", "fast"), vec!["/spec/pvc/storageClassName"]),
        (vm("a").with_template_disk("d"), vec!["/spec/dataVolumeTemplates/0/spec/storage/storageClassName"]),
        (
            pool("a").with_template_disk("d"),
            vec!["/spec/virtualMachineTemplate/spec/dataVolumeTemplates/0/spec/storage/storageClassName"],
        ),
    ] {
        let mut object = build.json();
        let changed = remap_storage_classes(&mut object, &classes);
        for pointer in &pointers {
            assert_eq!(object.pointer(pointer), Some(&"gold".into()), "{pointer}");
        }
        assert!(changed.len() >= pointers.len());
        assert!(remap_storage_classes(&mut object, &classes).is_empty());
    }
    assert!(remap_storage_classes(&mut pvc("a").json(), &map([("slow", "gold")])).is_empty());
}

#[test]
fn the_applied_copy_goes_without_leaving_an_empty_map() {
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    let mut object = vm("web").annotation(key, "{\"secret\":1}").json();
    assert_eq!(paths(&drop_last_applied(&mut object)), [format!("metadata.annotations[\"{key}\"]")]);
    assert_eq!(object, vm("web").json());
}
