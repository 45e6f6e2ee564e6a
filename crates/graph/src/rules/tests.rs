use std::collections::BTreeSet;

use serde_json::{Value, json};
use vmrewind_testkit::build::{
    Build, data_source, dv, pod, pool, pvc, replica_set, service_account, vm, vmi, volume_snapshot,
};

use super::*;
use crate::edges::{Find, Strength, Target, edges, wanted};

/// The targets of a rule in text form; those found by owner, label or annotation as `Kind by …`.
fn hits(object: &Value, rule: &str) -> Vec<String> {
    edges(object).iter().filter(|edge| edge.rule.id == rule).map(|edge| text(&edge.target)).collect()
}

fn text(target: &Target) -> String {
    let (_, kind, namespace) = target.place();
    match target {
        Target::Object(key) => key.to_string(),
        Target::Owned { owner_uid, .. } => format!("{kind} in {namespace} owned by {owner_uid}"),
        Target::Labelled { label, value, .. } => format!("{kind} in {namespace} with {label}={value}"),
        Target::Annotated { annotation, value, .. } => format!("{kind} in {namespace} noted {annotation}={value}"),
    }
}

fn strength(object: &Value, rule: &str) -> Vec<Strength> {
    edges(object).iter().filter(|edge| edge.rule.id == rule).map(|edge| edge.strength).collect()
}

fn each_kind_with_a_template() -> [Build; 4] {
    [vm("web"), vmi("web"), replica_set("web"), pool("web")]
}

#[test]
fn every_row_has_an_id_of_its_own_and_a_source() {
    let mut ids = BTreeSet::new();
    for table in tables() {
        for rule in table.rules {
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(rule.id.chars().all(kebab), "{}", rule.id);
            assert!(rule.source.split_once(": ").is_some_and(|(repo, file)| repo.contains('/') && file.contains('/')));
            // One rule may stand in two tables only if it is the same for both kinds.
            assert!(ids.insert(rule.id) || rule.id == "backend-storage", "{} is there twice", rule.id);
            if let Find::Named { path, .. } = rule.find {
                assert!(!path.is_empty() && !path.starts_with('.') && !path.ends_with('.'), "{path}");
            }
        }
    }
}

#[test]
fn every_volume_type_that_names_an_object_is_an_edge_in_every_kind_with_a_template() {
    let volumes = [
        ("volume-claim", json!({"persistentVolumeClaim": {"claimName": "x"}}), "PersistentVolumeClaim/prod/x"),
        ("volume-data-volume", json!({"dataVolume": {"name": "x"}}), "DataVolume.cdi.kubevirt.io/prod/x"),
        ("volume-data-volume-claim", json!({"dataVolume": {"name": "x"}}), "PersistentVolumeClaim/prod/x"),
        (
            "volume-ephemeral-claim",
            json!({"ephemeral": {"persistentVolumeClaim": {"claimName": "x"}}}),
            "PersistentVolumeClaim/prod/x",
        ),
        ("volume-memory-dump", json!({"memoryDump": {"claimName": "x"}}), "PersistentVolumeClaim/prod/x"),
        ("volume-config-map", json!({"configMap": {"name": "x"}}), "ConfigMap/prod/x"),
        ("volume-secret", json!({"secret": {"secretName": "x"}}), "Secret/prod/x"),
        ("volume-service-account", json!({"serviceAccount": {"serviceAccountName": "x"}}), "ServiceAccount/prod/x"),
        ("cloud-init-user-data", json!({"cloudInitNoCloud": {"secretRef": {"name": "x"}}}), "Secret/prod/x"),
        (
            "cloud-init-network-data",
            json!({"cloudInitNoCloud": {"networkDataSecretRef": {"name": "x"}}}),
            "Secret/prod/x",
        ),
        ("config-drive-user-data", json!({"cloudInitConfigDrive": {"secretRef": {"name": "x"}}}), "Secret/prod/x"),
        (
            "config-drive-network-data",
            json!({"cloudInitConfigDrive": {"networkDataSecretRef": {"name": "x"}}}),
            "Secret/prod/x",
        ),
        ("sysprep-secret", json!({"sysprep": {"secret": {"name": "x"}}}), "Secret/prod/x"),
        ("sysprep-config-map", json!({"sysprep": {"configMap": {"name": "x"}}}), "ConfigMap/prod/x"),
        ("container-disk-pull-secret", json!({"containerDisk": {"imagePullSecret": "x"}}), "Secret/prod/x"),
    ];
    for build in each_kind_with_a_template() {
        for (rule, volume, target) in &volumes {
            let object = build.clone().with_volume("disk", volume.clone()).json();
            assert_eq!(hits(&object, rule), [*target], "{rule} in {}", object["kind"]);
        }
    }
}

#[test]
fn everything_else_that_a_template_names_is_an_edge_in_every_kind_with_a_template() {
    for build in each_kind_with_a_template() {
        let object = build
            .set_template("domain.firmware.kernelBoot.container.imagePullSecret", "pull")
            .set_template("serviceAccountName", "robot")
            .set_template("priorityClassName", "important")
            .set_template("resourceClaims", json!([{"name": "gpu", "resourceClaimName": "gpu-1"}]))
            .with_ssh_key("keys")
            .with_password("passwords")
            .with_network("lan", "")
            .with_network("other/wan", "")
            .json();
        for (rule, targets) in [
            ("kernel-boot-pull-secret", vec!["Secret/prod/pull"]),
            ("service-account", vec!["ServiceAccount/prod/robot"]),
            ("priority-class", vec!["PriorityClass.scheduling.k8s.io/important"]),
            ("resource-claim", vec!["ResourceClaim.resource.k8s.io/prod/gpu-1"]),
            ("ssh-key-secret", vec!["Secret/prod/keys"]),
            ("user-password-secret", vec!["Secret/prod/passwords"]),
            (
                "network",
                vec![
                    "NetworkAttachmentDefinition.k8s.cni.cncf.io/prod/lan",
                    "NetworkAttachmentDefinition.k8s.cni.cncf.io/other/wan",
                ],
            ),
        ] {
            assert_eq!(hits(&object, rule), targets, "{rule} in {}", object["kind"]);
        }
    }
}

#[test]
fn both_secrets_of_one_access_credential_are_needed() {
    let object = vm("web")
        .push_template(
            "accessCredentials",
            json!({"sshPublicKey": {"source": {"secret": {"secretName": "a"}}},
                "userPassword": {"source": {"secret": {"secretName": "b"}}}}),
        )
        .json();
    let found: Vec<String> = wanted(&object).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["Secret/prod/a", "Secret/prod/b"]);
}

#[test]
fn hook_sidecars_are_read_from_the_annotation_of_the_instance() {
    let sidecars = json!([{"image": "hook:v1", "configMap": {"name": "script", "key": "run.sh"}},
        {"pvc": {"name": "tools"}}])
    .to_string();
    let key = "hooks.kubevirt.io/hookSidecars";
    let places = ["spec.template.metadata", "metadata", "spec.template.metadata"];
    let pools = "spec.virtualMachineTemplate.spec.template.metadata";
    for (build, place) in each_kind_with_a_template().into_iter().zip(places.into_iter().chain([pools])) {
        let object = build.member(&format!("{place}.annotations"), key, sidecars.as_str()).json();
        assert_eq!(hits(&object, "hook-sidecar"), ["ConfigMap/prod/script", "PersistentVolumeClaim/prod/tools"]);
        let path = &edges(&object).iter().find(|edge| edge.rule.id == "hook-sidecar").expect("edge").path.clone();
        assert_eq!(*path, format!("{place}.annotations[\"{key}\"][0].configMap.name"));
    }
    assert!(hits(&vmi("web").annotation(key, "[not json").json(), "hook-sidecar").is_empty());
}

#[test]
fn the_path_says_which_item_names_the_target() {
    let object = vm("web").with_pvc("disk").with_secret("tls").json();
    let edge = edges(&object).into_iter().find(|edge| edge.rule.id == "volume-secret").expect("edge");
    assert_eq!(edge.path, "spec.template.spec.volumes[1].secret.secretName");
}

#[test]
fn optional_volumes_and_gone_data_volumes_are_soft() {
    let object = vm("web")
        .with_volume("a", json!({"secret": {"secretName": "a", "optional": true}}))
        .with_volume("b", json!({"configMap": {"name": "b", "optional": true}}))
        .with_secret("c")
        .with_dv("d")
        .json();
    assert_eq!(strength(&object, "volume-secret"), [Strength::Soft, Strength::Hard]);
    assert_eq!(strength(&object, "volume-config-map"), [Strength::Soft]);
    assert_eq!(strength(&object, "volume-data-volume"), [Strength::Soft]);
    assert_eq!(strength(&object, "volume-data-volume-claim"), [Strength::Hard]);
}

#[test]
fn an_instance_is_expected_only_once_it_was_created() {
    assert_eq!(hits(&vm("web").running().json(), "instance"), ["VirtualMachineInstance.kubevirt.io/prod/web"]);
    assert!(hits(&vm("web").json(), "instance").is_empty());
    assert!(hits(&vm("web").set("status.created", false).json(), "instance").is_empty());
}

#[test]
fn the_kind_of_a_matcher_may_be_missing_singular_or_plural_in_any_case() {
    let cluster = "VirtualMachineClusterInstancetype.instancetype.kubevirt.io/small";
    let local = "VirtualMachineInstancetype.instancetype.kubevirt.io/prod/small";
    for (kind, target) in [
        ("", Some(cluster)),
        ("VirtualMachineClusterInstancetype", Some(cluster)),
        ("virtualmachineclusterinstancetypes", Some(cluster)),
        ("VirtualMachineInstancetype", Some(local)),
        ("virtualMachineInstancetypes", Some(local)),
        ("Flavor", None),
    ] {
        let object = vm("web").with_instancetype(kind, "small").json();
        assert_eq!(hits(&object, "instancetype"), Vec::from_iter(target.map(str::to_owned)), "{kind}");
    }
    let object = vm("web").with_preference("virtualmachinepreference", "linux").json();
    assert_eq!(hits(&object, "preference"), ["VirtualMachinePreference.instancetype.kubevirt.io/prod/linux"]);
}

#[test]
fn an_instancetype_is_soft_once_its_revision_is_stored() {
    let object = vm("web").with_instancetype("", "small").with_preference("", "linux");
    assert_eq!(strength(&object.clone().json(), "instancetype"), [Strength::Hard]);
    let object = object.with_revision_in_status("instancetype", "r1").with_revision_in_status("preference", "r2");
    let object = object.json();
    assert_eq!(strength(&object, "instancetype"), [Strength::Soft]);
    assert_eq!(strength(&object, "preference"), [Strength::Soft]);
    assert_eq!(hits(&object, "instancetype-revision"), ["ControllerRevision.apps/prod/r1"]);
    assert_eq!(hits(&object, "preference-revision"), ["ControllerRevision.apps/prod/r2"]);
    assert_eq!(strength(&object, "instancetype-revision"), [Strength::Hard]);
}

#[test]
fn a_pinned_revision_is_needed_beside_the_one_in_use() {
    let pinned = vm("web").with_instancetype("", "small").set("spec.instancetype.revisionName", "pinned");
    let one = ["ControllerRevision.apps/prod/pinned"];
    assert_eq!(hits(&pinned.clone().json(), "instancetype-revision"), one);
    assert_eq!(
        hits(&pinned.clone().with_revision_in_status("instancetype", "pinned").json(), "instancetype-revision"),
        one
    );
    assert_eq!(
        hits(&pinned.with_revision_in_status("instancetype", "used").json(), "instancetype-revision"),
        ["ControllerRevision.apps/prod/used", "ControllerRevision.apps/prod/pinned"]
    );
}

#[test]
fn the_state_claim_is_needed_for_persistent_tpm_efi_and_tracked_blocks_only() {
    let needs = |build: Build| hits(&build.json(), "backend-storage");
    let claim = "PersistentVolumeClaim in prod with persistent-state-for=web".to_owned();
    for build in [vm("web"), vmi("web")] {
        assert!(needs(build.clone()).is_empty());
        assert!(needs(build.clone().set_template("domain.devices.tpm", json!({}))).is_empty());
        assert!(needs(build.clone().set_template("domain.devices.tpm", json!({"persistent": false}))).is_empty());
        let disabled = json!({"persistent": true, "enabled": false});
        assert!(needs(build.clone().set_template("domain.devices.tpm", disabled)).is_empty());
        assert!(needs(build.clone().set("status.changedBlockTracking.state", "Disabled")).is_empty());
        assert!(
            needs(build.clone().set_template("domain.firmware.bootloader.efi", json!({"persistent": false})))
                .is_empty()
        );
        for needing in [
            build.clone().with_persistent_tpm(),
            build.clone().set_template("domain.firmware.bootloader.efi", json!({"persistent": true})),
            build.clone().set("status.changedBlockTracking.state", "Initializing"),
            build.clone().set("status.changedBlockTracking.state", "Enabled"),
        ] {
            assert_eq!(needs(needing.clone()), [claim.as_str()]);
            let edge = edges(&needing.json()).into_iter().find(|edge| edge.rule.id == "backend-storage").expect("edge");
            let fallback = edge.fallback.expect("what is missing if no claim has the label");
            assert_eq!(fallback.to_string(), "PersistentVolumeClaim/prod/persistent-state-for-web");
        }
    }
    let content = Build::namespaced("snapshot.kubevirt.io/v1beta1", "VirtualMachineSnapshotContent", "c")
        .set("spec.source.virtualMachine.status.changedBlockTracking.state", "Enabled");
    assert!(needs(content).is_empty());
}

#[test]
fn a_preference_may_ask_for_state_that_the_machine_does_not_name() {
    let object = vm("win").with_preference("", "windows.11").json();
    let edge = edges(&object).into_iter().find(|edge| edge.rule.id == "backend-storage").expect("edge");
    assert_eq!((edge.strength, edge.fallback), (Strength::Soft, None));
}

#[test]
fn replica_sets_and_pools_own_their_children_by_uid() {
    let owned = "VirtualMachineInstance in prod owned by virtualmachineinstancereplicaset-web-uid";
    assert_eq!(hits(&replica_set("web").json(), "replica"), [owned]);
    let owned = "VirtualMachine in prod owned by virtualmachinepool-web-uid";
    assert_eq!(hits(&pool("web").json(), "pool-machine"), [owned]);
    assert!(hits(&pool("web").without("metadata.uid").json(), "pool-machine").is_empty());
}

#[test]
fn names_that_get_an_index_in_each_child_are_no_edges_of_the_pool() {
    let build = pool("web").with_template_disk("root").with_pvc("shared").with_secret("tls").with_config_map("cfg");
    let object = build.clone().json();
    assert!(hits(&object, "volume-data-volume").is_empty());
    assert!(hits(&object, "volume-data-volume-claim").is_empty());
    assert_eq!(hits(&object, "volume-claim"), ["PersistentVolumeClaim/prod/shared"]);
    assert_eq!(wanted(&object).len(), 2);
    let indexed = json!({"appendIndexToConfigMapRefs": true, "appendIndexToSecretRefs": true});
    assert!(wanted(&build.set("spec.nameGeneration", indexed).json()).is_empty());
}

#[test]
fn an_instance_owns_its_launcher_pods_and_those_their_hotplug_pods() {
    let found = hits(&vmi("web").json(), "launcher-pod");
    assert_eq!(
        found,
        [
            "Pod in prod owned by virtualmachineinstance-web-uid",
            "Pod in prod noted kubevirt.io/domain=web",
            "Pod in prod noted kubevirt.io/owner-vmi-name=web",
        ]
    );
    let launcher = pod("l").label("kubevirt.io", "virt-launcher").json();
    assert_eq!(hits(&launcher, "hotplug-pod"), ["Pod in prod owned by pod-l-uid"]);
    assert!(edges(&pod("other").json()).is_empty());
}

#[test]
fn a_machine_owns_the_disks_it_has_templates_for_and_names_their_sources() {
    let object = vm("web")
        .with_template_disk("root")
        .set(
            "spec.dataVolumeTemplates.0.spec.source",
            json!({"http": {"url": "https://images.test/a",
            "secretRef": "login", "secretExtraHeaders": ["h1", "h2"], "certConfigMap": "ca"}}),
        )
        .json();
    assert_eq!(hits(&object, "data-volume-template"), ["DataVolume.cdi.kubevirt.io/prod/root"]);
    let found: Vec<String> = wanted(&object).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["ConfigMap/prod/ca", "Secret/prod/h1", "Secret/prod/h2", "Secret/prod/login"]);
    let edge = edges(&object).into_iter().find(|edge| edge.rule.id == "import-http-headers").expect("edge");
    assert_eq!(edge.path, "spec.dataVolumeTemplates[0].spec.source.http.secretExtraHeaders[0]");
    assert_eq!(hits(&object, "data-volume-storage-class"), ["StorageClass.storage.k8s.io/fast"]);
}

#[test]
fn a_data_volume_leads_to_its_claim_and_its_source() {
    let object = dv("root").json();
    assert_eq!(hits(&object, "data-volume-claim"), ["PersistentVolumeClaim/prod/root"]);
    let object = dv("root").set("status.claimName", "other").json();
    assert_eq!(hits(&object, "data-volume-claim"), ["PersistentVolumeClaim/prod/other"]);
    let clone = dv("c").set("spec.source", json!({"pvc": {"namespace": "images", "name": "golden"}})).json();
    assert_eq!(hits(&clone, "data-volume-source-claim"), ["PersistentVolumeClaim/images/golden"]);
    let snapshot = dv("c").set("spec.source", json!({"snapshot": {"name": "golden"}})).json();
    let target = "VolumeSnapshot.snapshot.storage.k8s.io/prod/golden";
    assert_eq!(hits(&snapshot, "data-volume-source-snapshot"), [target]);
    let reference = json!({"kind": "DataSource", "namespace": "images", "name": "fedora"});
    let object = dv("c").set("spec.sourceRef", reference).json();
    assert_eq!(hits(&object, "data-volume-source-ref"), ["DataSource.cdi.kubevirt.io/images/fedora"]);
    let object = dv("c").set("spec.sourceRef", json!({"kind": "Other", "name": "fedora"})).json();
    assert!(hits(&object, "data-volume-source-ref").is_empty());
    assert_eq!(
        hits(&data_source("fedora", "images", "golden").json(), "data-source-claim"),
        ["PersistentVolumeClaim/images/golden"]
    );
}

#[test]
fn a_claim_leads_to_its_volume_class_source_and_the_data_volume_that_made_it() {
    let object = pvc("root")
        .owned_by(&dv("root"))
        .set(
            "spec.dataSourceRef",
            json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot",
            "name": "s", "namespace": "images"}),
        )
        .json();
    assert_eq!(hits(&object, "claim-volume"), ["PersistentVolume/pv-root"]);
    assert_eq!(hits(&object, "claim-storage-class"), ["StorageClass.storage.k8s.io/fast"]);
    assert_eq!(hits(&object, "claim-data-source"), ["VolumeSnapshot.snapshot.storage.k8s.io/images/s"]);
    assert_eq!(hits(&object, "claim-data-volume"), ["DataVolume.cdi.kubevirt.io/prod/root"]);
    let object = volume_snapshot("s", "root").json();
    assert_eq!(hits(&object, "snapshot-claim"), ["PersistentVolumeClaim/prod/root"]);
    assert_eq!(hits(&object, "snapshot-bound-content"), ["VolumeSnapshotContent.snapshot.storage.k8s.io/content-s"]);
}

#[test]
fn an_operation_names_its_machine_but_not_its_token() {
    let export = Build::namespaced("export.kubevirt.io/v1", "VirtualMachineExport", "e")
        .set("spec.source", json!({"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "web"}))
        .set("spec.tokenSecretRef", "token")
        .json();
    assert_eq!(hits(&export, "vm-export-source"), ["VirtualMachine.kubevirt.io/prod/web"]);
    assert!(wanted(&export).is_empty());
}

#[test]
fn edges_come_in_the_order_of_the_table() {
    let machine = vm("web").running().with_secret("z").with_secret("a").with_pvc("disk").with_template_disk("root");
    let rows: Vec<&str> = tables().iter().flat_map(|table| table.rules).map(|rule| rule.id).collect();
    let object = machine.set_template("priorityClassName", "high").json();
    let places: Vec<usize> =
        edges(&object).iter().map(|edge| rows.iter().position(|id| *id == edge.rule.id).expect("a row")).collect();
    assert!(places.len() > 8 && places.is_sorted(), "{places:?}");
    assert_eq!(hits(&object, "volume-secret"), ["Secret/prod/z", "Secret/prod/a"]);
}

#[test]
fn inline_data_and_the_pod_network_need_nothing() {
    let object = vm("web").with_cloud_init("#cloud-config").with_pod_network("").json();
    assert!(edges(&object).is_empty());
}

#[test]
fn what_is_wanted_is_each_by_name_object_once() {
    let object = vm("web").with_secret("tls").with_ssh_key("tls").with_pvc("disk").with_config_map("a").json();
    let found: Vec<String> = wanted(&object).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["ConfigMap/prod/a", "Secret/prod/tls"]);
}

#[test]
fn an_account_leads_to_its_pull_secrets_but_not_to_its_tokens() {
    let account = service_account("robot")
        .set("imagePullSecrets", json!([{"name": "pull"}]))
        .set("secrets", json!([{"name": "robot-token-abcde"}]));
    let found: Vec<String> = wanted(&account.json()).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["Secret/prod/pull"]);
}

#[test]
fn any_release_of_a_kind_has_the_same_edges() {
    let object = vm("web").with_secret("tls").set("apiVersion", "kubevirt.io/v1alpha3").json();
    assert_eq!(hits(&object, "volume-secret"), ["Secret/prod/tls"]);
    let object = vm("web").with_secret("tls").set("apiVersion", "example.com/v1").json();
    assert!(edges(&object).is_empty());
}
