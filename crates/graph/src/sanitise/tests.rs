use serde_json::{Value, json};
use vmrewind_testkit::build::{
    Build, config_map, dv, launcher_pod, namespace, pod, pool, pv, pvc, replica_set, revision, secret, service_account,
    vm, vmi, vmi_of,
};

use super::*;

mod comparing;
mod storage;
mod verdicts;

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
