use serde_json::{Value, json};
use vmrewind_testkit::build::{
    Build, config_map, dv, launcher_pod, namespace, pod, pool, pv, pvc, replica_set, revision, secret, service_account,
    vm, vmi, vmi_of,
};

use super::*;

fn sanitised(build: Build) -> (Value, Vec<(&'static str, String)>) {
    let mut object = build.json();
    let applied = sanitise(&mut object);
    (object, applied.into_iter().map(|applied| (applied.rule, applied.path)).collect())
}

fn skip_rule(object: Build) -> Option<&'static str> {
    match verdict(&object.json()) {
        Verdict::Skip { rule, .. } => Some(rule),
        Verdict::Restore => None,
    }
}

#[test]
fn a_sanitised_machine_is_what_a_user_would_have_sent() {
    let machine = vm("web")
        .managed_by("virt-controller")
        .finalizer("kubevirt.io/virtualMachineControllerFinalize")
        .owned_by(&pool("web"))
        .annotation("kubevirt.io/latest-observed-api-version", "v1")
        .with_secret("tls");
    let (object, applied) = sanitised(machine);
    assert_eq!(
        object,
        json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
            "metadata": {"name": "web", "namespace": "prod"},
            "spec": {"runStrategy": "Halted", "template": {"metadata": {"labels": {"vm": "web"}}, "spec": {
                "domain": {"cpu": {"cores": 2}, "memory": {"guest": "2Gi"},
                    "devices": {"disks": [{"name": "tls", "disk": {"bus": "virtio"}}]}},
                "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}]}}}})
    );
    let said = |rule, path: &str| assert!(applied.contains(&(rule, path.to_owned())), "{rule} {path}: {applied:?}");
    said("server-metadata", "metadata.uid");
    said("server-metadata", "metadata.managedFields");
    said("owner-references", "metadata.ownerReferences");
    said("controller-finalizers", "metadata.finalizers[0]");
    said("controller-annotations", "metadata.annotations[\"kubevirt.io/latest-observed-api-version\"]");
    said("status", "status");
}

#[test]
fn every_applied_rule_has_a_reason_and_an_upstream_file() {
    let mut object = pvc("root").label("kubevirt.io/created-by", "u").json();
    let applied = sanitise(&mut object);
    assert!(applied.len() > 5);
    for applied in applied {
        assert!(!applied.reason.is_empty() && applied.source.contains(": "), "{applied:?}");
    }
}

#[test]
fn members_that_no_rule_knows_stay() {
    let (object, _) = sanitised(
        vm("web").set("spec.brandNew.deep", json!([1, {"x": null}])).set("metadata.novel", true).set("extra", "kept"),
    );
    assert_eq!(object["spec"]["brandNew"]["deep"], json!([1, {"x": null}]));
    assert_eq!(object["metadata"]["novel"], true);
    assert_eq!(object["extra"], "kept");
}

#[test]
fn generate_name_goes_only_when_there_is_a_name() {
    let (object, _) = sanitised(vm("web").set("metadata.generateName", "web-"));
    assert!(object["metadata"].get("generateName").is_none());
    let (object, _) = sanitised(vm("web").set("metadata.generateName", "web-").without("metadata.name"));
    assert_eq!(object["metadata"]["generateName"], "web-");
}

#[test]
fn finalizers_of_controllers_go_and_those_of_users_stay() {
    let machine = [
        "kubevirt.io/virtualMachineControllerFinalize",
        "kubevirt.io/foregroundDeleteVirtualMachine",
        "foregroundDeleteVirtualMachine",
        "kubevirt.io/migrationJobFinalize",
        "pool.kubevirt.io/finalizer",
        "snapshot.kubevirt.io/snapshot-source-protection",
        "snapshot.kubevirt.io/vmrestore-protection",
        "backup.kubevirt.io/vmbackup-protection",
        "kubernetes.io/pvc-protection",
        "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection",
        "foregroundDeletion",
        "example.com/keep",
    ]
    .into_iter()
    .fold(vm("web"), Build::finalizer);
    let (object, applied) = sanitised(machine);
    assert_eq!(object["metadata"]["finalizers"], json!(["example.com/keep"]));
    assert_eq!(applied.iter().filter(|(rule, _)| *rule == "controller-finalizers").count(), 11);
}

#[test]
fn reserved_labels_go_from_templates_and_stand_alone_instances() {
    let reserved = [
        "kubevirt.io/created-by",
        "kubevirt.io/migrationJobUID",
        "kubevirt.io/nodeName",
        "kubevirt.io/migrationTargetNodeName",
        "kubevirt.io/schedulable",
        "kubevirt.io/install-strategy",
    ];
    for (build, labels) in [
        (vm("web"), "spec.template.metadata.labels"),
        (replica_set("web"), "spec.template.metadata.labels"),
        (pool("web"), "spec.virtualMachineTemplate.spec.template.metadata.labels"),
        (vmi("web"), "metadata.labels"),
    ] {
        let labelled = reserved.iter().fold(build, |build, key| build.member(labels, key, "x"));
        let (object, _) = sanitised(labelled.member(labels, "mine", "x"));
        let left = object.pointer(&format!("/{}", labels.replace('.', "/"))).expect("labels");
        assert_eq!(left["mine"], "x");
        assert!(reserved.iter().all(|key| left.get(key).is_none()), "{left}");
    }
    let (object, _) = sanitised(vmi("web").label("kubevirt.io/outdatedLauncherImage", ""));
    assert!(object["metadata"].get("labels").is_none());
}

#[test]
fn annotations_that_shape_the_guest_stay_on_the_template() {
    let kept = ["kubevirt.io/pci-topology-version", "kubevirt.io/ignitiondata", "hooks.kubevirt.io/hookSidecars"];
    let machine =
        kept.iter().fold(vm("web"), |build, key| build.member("spec.template.metadata.annotations", key, "x"));
    let (object, _) = sanitised(machine.annotation("kubevirt.io/immediate-data-volume-creation", "false"));
    let annotations = &object["spec"]["template"]["metadata"]["annotations"];
    assert!(kept.iter().all(|key| annotations[key] == "x"));
    assert_eq!(object["metadata"]["annotations"]["kubevirt.io/immediate-data-volume-creation"], "false");
}

#[test]
fn revisions_in_status_are_written_into_spec() {
    let machine = vm("web")
        .with_instancetype("", "small")
        .with_preference("", "linux")
        .with_revision_in_status("instancetype", "r1")
        .with_revision_in_status("preference", "r2");
    let (object, applied) = sanitised(machine.clone());
    assert_eq!(object["spec"]["instancetype"]["revisionName"], "r1");
    assert_eq!(object["spec"]["preference"]["revisionName"], "r2");
    assert_eq!(applied[0], ("instancetype-revision", "spec.instancetype.revisionName".to_owned()));
    let (pinned, _) = sanitised(machine.clone().set("spec.instancetype.revisionName", "mine"));
    assert_eq!(pinned["spec"]["instancetype"]["revisionName"], "mine");
    let (changed, _) = sanitised(machine.set("spec.instancetype.name", "large"));
    assert!(changed["spec"]["instancetype"].get("revisionName").is_none());
}

#[test]
fn what_was_inferred_from_a_volume_is_not_inferred_again() {
    let inferring = json!({"inferFromVolume": "root", "inferFromVolumeFailurePolicy": "Reject"});
    let (object, _) = sanitised(vm("web").set("spec.instancetype", inferring.clone()));
    assert_eq!(object["spec"]["instancetype"], inferring);
    let (object, _) = sanitised(vm("web").set("spec.instancetype", inferring).set("spec.instancetype.name", "small"));
    assert_eq!(object["spec"]["instancetype"], json!({"name": "small"}));
}

#[test]
fn a_power_field_stays_as_recorded_unless_both_are_set() {
    assert_eq!(sanitised(vm("web").running()).0["spec"]["runStrategy"], "Always");
    assert_eq!(sanitised(vm("web").with_running_field(true)).0["spec"]["running"], true);
    let (object, applied) = sanitised(vm("web").set("spec.running", true));
    assert!(object["spec"].get("running").is_none());
    assert!(applied.contains(&("one-power-field", "spec.running".to_owned())));
}

#[test]
fn a_machine_that_waits_for_a_migration_gets_its_strategy_back() {
    let waiting = vm("web").set("spec.runStrategy", "WaitAsReceiver");
    let (object, _) = sanitised(waiting.clone().annotation("kubevirt.io/restore-run-strategy", "RerunOnFailure"));
    assert_eq!(object["spec"]["runStrategy"], "RerunOnFailure");
    assert!(object["metadata"].get("annotations").is_none());
    assert_eq!(sanitised(waiting).0["spec"]["runStrategy"], "WaitAsReceiver");
}

#[test]
fn memory_dumps_are_no_part_of_a_machine() {
    let machine = vm("web")
        .with_pvc("disk")
        .push_template("volumes", json!({"name": "dump", "memoryDump": {"claimName": "dump", "hotpluggable": true}}));
    let (object, applied) = sanitised(machine.set("status.memoryDumpRequest.claimName", "dump"));
    assert_eq!(object["spec"]["template"]["spec"]["volumes"].as_array().map(Vec::len), Some(1));
    assert!(applied.contains(&("memory-dump-volume", "spec.template.spec.volumes[1]".to_owned())));
}

#[test]
fn disk_templates_lose_what_only_a_server_sets() {
    let machine = vm("web")
        .with_template_disk("root")
        .set("spec.dataVolumeTemplates.0.metadata.creationTimestamp", Value::Null)
        .set("spec.dataVolumeTemplates.0.metadata.uid", "u")
        .set("spec.dataVolumeTemplates.0.metadata.ownerReferences", json!([{"uid": "u"}]));
    let (object, _) = sanitised(machine);
    assert_eq!(object["spec"]["dataVolumeTemplates"][0]["metadata"], json!({"name": "root"}));
}

#[test]
fn a_stand_alone_instance_loses_what_was_added_while_it_ran() {
    let instance = vmi("web")
        .with_pvc("disk")
        .with_volume("hot", json!({"dataVolume": {"name": "hot", "hotpluggable": true}}))
        .set("spec.utilityVolumes", json!([{"name": "dump", "claimName": "dump"}]))
        .label("kubevirt.io/nodeName", "node1");
    let (object, applied) = sanitised(instance);
    assert_eq!(object["spec"]["volumes"].as_array().map(Vec::len), Some(1));
    assert_eq!(object["spec"]["domain"]["devices"]["disks"], json!([{"name": "disk", "disk": {"bus": "virtio"}}]));
    assert!(object["spec"].get("utilityVolumes").is_none() && object.get("status").is_none());
    assert!(applied.contains(&("hotplugged-volume", "spec.volumes[1]".to_owned())));
    assert!(applied.contains(&("hotplugged-volume", "spec.domain.devices.disks[1]".to_owned())));
    let (machine, _) =
        sanitised(vm("web").with_volume("hot", json!({"dataVolume": {"name": "hot", "hotpluggable": true}})));
    assert_eq!(machine["spec"]["template"]["spec"]["volumes"].as_array().map(Vec::len), Some(1));
}

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

#[test]
fn namespaces_accounts_and_tokens_lose_what_the_control_plane_fills_in() {
    let (object, _) = sanitised(namespace("prod").label("team", "db").annotation("owner", "me"));
    assert_eq!(
        object,
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "prod", "labels": {"team": "db"}, "annotations": {"owner": "me"}}})
    );
    let account = service_account("robot")
        .set("secrets", json!([{"name": "robot-token-abcde"}, {"name": "mine"}]))
        .set("imagePullSecrets", json!([{"name": "pull"}]));
    let (object, _) = sanitised(account);
    assert_eq!(object["secrets"], json!([{"name": "mine"}]));
    assert_eq!(object["imagePullSecrets"], json!([{"name": "pull"}]));
    let token = secret("mine")
        .set("type", "kubernetes.io/service-account-token")
        .annotation("kubernetes.io/service-account.name", "robot")
        .annotation("kubernetes.io/service-account.uid", "u")
        .set("data", json!({"token": "eA==", "ca.crt": "eA==", "namespace": "eA==", "more": "eA=="}));
    let (object, _) = sanitised(token);
    assert_eq!(object["data"], json!({"more": "eA=="}));
    assert_eq!(object["metadata"]["annotations"], json!({"kubernetes.io/service-account.name": "robot"}));
    assert_eq!(sanitised(secret("tls")).0["data"], json!({"key": "dmFsdWU="}));
}

#[test]
fn what_others_make_again_is_never_put_back() {
    let machine = vm("web");
    assert_eq!(skip_rule(launcher_pod("virt-launcher-web-x", &vmi("web"))), Some("launcher-pod"));
    assert_eq!(skip_rule(pod("hp").label("kubevirt.io", "hotplug-disk")), Some("hotplug-pod"));
    assert_eq!(skip_rule(pod("other")), Some("pod"));
    assert_eq!(skip_rule(vmi_of(&machine)), Some("owned-instance"));
    assert_eq!(skip_rule(vmi("web-a").owned_by(&replica_set("web"))), Some("owned-instance"));
    assert_eq!(skip_rule(revision("revision-start-vm-uid-2", &machine)), Some("start-revision"));
    assert_eq!(skip_rule(revision("web-1", &pool("web"))), Some("pool-revision"));
    assert_eq!(skip_rule(pvc("prime-1").owned_by(&pvc("root"))), Some("import-claim"));
    assert_eq!(skip_rule(pvc("s").label("restore.kubevirt.io/cleanup-backend-pvc", "x")), Some("replaced-state-claim"));
    assert_eq!(skip_rule(config_map("kube-root-ca.crt")), Some("root-certificates"));
    assert_eq!(skip_rule(service_account("default")), Some("default-service-account"));
    let operation = Build::namespaced("kubevirt.io/v1", "VirtualMachineInstanceMigration", "m");
    assert_eq!(skip_rule(operation), Some("operation"));
    assert_eq!(skip_rule(Build::namespaced("kubevirt.io/v1", "KubeVirt", "kubevirt")), Some("site"));
    let token = secret("robot-token-abcde")
        .set("type", "kubernetes.io/service-account-token")
        .annotation("kubernetes.io/service-account.name", "robot");
    assert_eq!(skip_rule(token), Some("made-token"));
}

#[test]
fn what_users_made_is_put_back() {
    let machine = vm("web");
    let own_token = secret("mine")
        .set("type", "kubernetes.io/service-account-token")
        .annotation("kubernetes.io/service-account.name", "robot");
    let pulling = service_account("default").set("imagePullSecrets", json!([{"name": "pull"}]));
    for object in [
        vmi("alone"),
        vmi("adopted-by-others").owned_by(&config_map("x")),
        revision("web-small-1", &machine),
        machine,
        pvc("root").owned_by(&dv("root")),
        pvc("prime-number"),
        secret("tls"),
        config_map("settings"),
        own_token,
        pulling,
        namespace("prod"),
        pool("web"),
        replica_set("web"),
    ] {
        assert_eq!(skip_rule(object.clone()), None, "{}", object.name());
    }
}

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
