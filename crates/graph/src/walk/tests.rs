use std::collections::BTreeMap;

use serde_json::json;
use vmrewind_testkit::build::{
    Build, config_map, dv, instancetype, launcher_pod, network, pod, pool, preference, pv, pvc, replica_set, revision,
    secret, service_account, storage_class, vm, vmi, vmi_of,
};

use super::*;
use crate::view;

/// What is there; everything of a kind of the scope that is not is absent.
#[derive(Default)]
struct Objects {
    present: BTreeMap<ObjectKey, Value>,
    withheld: Vec<ObjectKey>,
    unknown: Vec<ObjectKey>,
    backwards: bool,
}

impl World for Objects {
    fn get(&self, key: &ObjectKey) -> Presence<'_> {
        match self.present.get(key) {
            Some(object) => Presence::Present(object),
            None if self.withheld.contains(key) => Presence::Withheld,
            None if self.unknown.contains(key) => Presence::Unknown,
            None => Presence::Absent,
        }
    }

    fn select(&self, target: &Target) -> Vec<ObjectKey> {
        let matching = self.present.iter().filter(|(_, object)| target.matches(object));
        let mut keys: Vec<ObjectKey> = matching.map(|(key, _)| key.clone()).collect();
        if self.backwards {
            keys.reverse();
        }
        keys
    }
}

fn world<const N: usize>(objects: [Build; N]) -> Objects {
    let keyed = objects.into_iter().map(Build::json).map(|object| (view::key(&object).expect("key"), object));
    Objects { present: keyed.collect(), ..Objects::default() }
}

fn key(text: &str) -> ObjectKey {
    text.parse().expect("key")
}

const WEB: &str = "VirtualMachine.kubevirt.io/prod/web";

fn walk(world: &Objects, root: &str, deps: Deps) -> Graph {
    closure(world, &[key(root)], deps)
}

/// The nodes besides the roots: `Kind name`, with `?` where it is not present.
fn nodes(graph: &Graph) -> Vec<String> {
    let others = graph.nodes.iter().filter(|(key, _)| !graph.roots.contains(key));
    let mut names: Vec<String> = others
        .map(|(key, node)| {
            let mark = if node.presence == NodePresence::Present { "" } else { "?" };
            format!("{} {}{mark}", key.kind, key.name)
        })
        .collect();
    names.sort();
    names
}

/// A claim that leads nowhere, so that tests can be about machines.
fn bare_pvc(name: &str) -> Build {
    pvc(name).without("spec.volumeName").without("spec.storageClassName")
}

fn bare_dv(name: &str) -> Build {
    dv(name).without("spec.storage.storageClassName")
}

#[test]
fn finds_what_a_running_machine_needs_and_nothing_for_inline_cloud_init() {
    let machine = vm("web")
        .running()
        .with_pvc("disk")
        .with_dv("root")
        .with_cloud_init("#cloud-config")
        .with_service_account("robot")
        .with_ssh_key("keys")
        .with_pod_network("");
    let instance = vmi_of(&machine);
    let world = world([
        launcher_pod("virt-launcher-web-x", &instance),
        bare_pvc("disk"),
        bare_dv("root"),
        bare_pvc("root"),
        service_account("robot"),
        secret("keys"),
        secret("foreign"),
        machine,
        instance,
    ]);
    let graph = walk(&world, WEB, Deps::All);
    assert_eq!(
        nodes(&graph),
        [
            "DataVolume root",
            "PersistentVolumeClaim disk",
            "PersistentVolumeClaim root",
            "Pod virt-launcher-web-x",
            "Secret keys",
            "ServiceAccount robot",
            "VirtualMachineInstance web",
        ]
    );
    assert_eq!(graph.missing().count(), 0);
}

#[test]
fn a_stopped_machine_has_no_instance_and_no_pod() {
    let machine = vm("web").with_secret("tls");
    let pod_of_old = launcher_pod("virt-launcher-web-x", &vmi_of(&machine));
    let world = world([machine.set("status.created", false), secret("tls"), pod_of_old]);
    assert_eq!(nodes(&walk(&world, WEB, Deps::All)), ["Secret tls"]);
}

#[test]
fn an_instance_without_pods_is_still_there() {
    let machine = vm("web").running();
    let world = world([vmi_of(&machine), machine]);
    assert_eq!(nodes(&walk(&world, WEB, Deps::All)), ["VirtualMachineInstance web"]);
}

#[test]
fn launcher_pods_are_found_by_owner_or_by_annotation_but_not_those_of_another_instance() {
    let instance = vmi("web");
    let orphan = pod("virt-launcher-web-orphan").label("kubevirt.io", "virt-launcher");
    let other = vmi("other");
    let stolen = launcher_pod("virt-launcher-web-stolen", &other).annotation("kubevirt.io/domain", "web");
    let world = world([
        launcher_pod("virt-launcher-web-source", &instance),
        launcher_pod("virt-launcher-web-target", &instance).label("kubevirt.io/migrationJobUID", "m"),
        orphan.clone().annotation("kubevirt.io/domain", "web"),
        orphan.annotation("kubevirt.io/domain", "other").set("metadata.name", "virt-launcher-other-x"),
        stolen,
        pod("without-label"),
        instance,
    ]);
    let graph = walk(&world, "VirtualMachineInstance.kubevirt.io/prod/web", Deps::All);
    assert_eq!(
        nodes(&graph),
        ["Pod virt-launcher-web-orphan", "Pod virt-launcher-web-source", "Pod virt-launcher-web-target"]
    );
}

#[test]
fn hotplug_pods_follow_their_launcher() {
    let instance = vmi("web");
    let launcher = launcher_pod("virt-launcher-web-x", &instance);
    let hotplug = pod("hp-volume-x").label("kubevirt.io", "hotplug-disk").owned_by(&launcher);
    let world = world([instance, launcher, hotplug]);
    let graph = walk(&world, "VirtualMachineInstance.kubevirt.io/prod/web", Deps::Owned);
    assert_eq!(nodes(&graph), ["Pod hp-volume-x", "Pod virt-launcher-web-x"]);
}

#[test]
fn another_kind_as_root_stands_alone() {
    let world = world([pod("web")]);
    let graph = walk(&world, "Pod/prod/web", Deps::All);
    assert!(graph.edges.is_empty());
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn instancetypes_are_soft_and_their_revisions_hard() {
    let machine = vm("web")
        .with_instancetype("VirtualMachineInstancetype", "small")
        .with_preference("VirtualMachinePreference", "linux")
        .with_revision_in_status("instancetype", "r1")
        .with_revision_in_status("preference", "r2");
    let world = world([
        revision("r1", &machine),
        revision("r2", &machine),
        instancetype("small"),
        preference("linux"),
        machine,
    ]);
    let graph = walk(&world, WEB, Deps::All);
    let needed: Vec<(&str, Strength)> =
        graph.nodes.iter().map(|(key, node)| (key.name.as_str(), node.needed)).collect();
    assert_eq!(
        needed,
        [
            ("linux", Strength::Soft),
            ("r1", Strength::Hard),
            ("r2", Strength::Hard),
            ("small", Strength::Soft),
            ("web", Strength::Hard)
        ]
    );
}

#[test]
fn networks_are_found_in_other_namespaces() {
    let machine = vm("web").with_pod_network("").with_network("test-nad", "").with_network("shared/wan", "");
    let world = world([machine, network("test-nad"), network("wan").namespace("shared")]);
    let graph = walk(&world, WEB, Deps::All);
    assert_eq!(nodes(&graph), ["NetworkAttachmentDefinition test-nad", "NetworkAttachmentDefinition wan"]);
    assert_eq!(graph.missing().count(), 0);
}

#[test]
fn a_volume_that_was_plugged_into_the_instance_only_is_found() {
    let machine = vm("web").running();
    let instance = vmi_of(&machine).with_volume(
        "hot",
        json!({"persistentVolumeClaim":
        {"claimName": "hot", "hotpluggable": true}}),
    );
    let world = world([machine, instance, bare_pvc("hot")]);
    assert_eq!(nodes(&walk(&world, WEB, Deps::All)), ["PersistentVolumeClaim hot", "VirtualMachineInstance web"]);
}

#[test]
fn a_data_volume_that_is_gone_is_listed_and_only_its_claim_matters() {
    let world = world([vm("web").with_dv("root"), bare_pvc("root")]);
    let graph = walk(&world, WEB, Deps::All);
    assert_eq!(nodes(&graph), ["DataVolume root?", "PersistentVolumeClaim root"]);
    let (_, node, because) = graph.missing().next().expect("missing");
    assert_eq!((node.presence, node.needed), (NodePresence::Absent, Strength::Soft));
    assert_eq!(because[0].rule, "volume-data-volume");
}

#[test]
fn a_claim_volume_brings_the_data_volume_that_made_the_claim() {
    let volume = dv("disk");
    let claim = pvc("disk").owned_by(&volume);
    let world = world([vm("web").with_pvc("disk"), volume, claim, pv("disk"), storage_class("fast")]);
    assert_eq!(
        nodes(&walk(&world, WEB, Deps::All)),
        ["DataVolume disk", "PersistentVolume pv-disk", "PersistentVolumeClaim disk", "StorageClass fast"]
    );
}

#[test]
fn missing_targets_are_listed_as_absent_withheld_or_unknown() {
    let mut world = world([vm("web").with_secret("a").with_secret("b").with_secret("c").with_config_map("d")]);
    world.withheld.push(key("Secret/prod/b"));
    world.unknown.push(key("Secret/prod/c"));
    let graph = walk(&world, WEB, Deps::All);
    let missing: Vec<(&str, NodePresence)> =
        graph.missing().map(|(key, node, _)| (key.name.as_str(), node.presence)).collect();
    assert_eq!(
        missing,
        [
            ("a", NodePresence::Absent),
            ("b", NodePresence::Withheld),
            ("c", NodePresence::Unknown),
            ("d", NodePresence::Absent)
        ]
    );
}

#[test]
fn a_root_that_is_missing_is_the_only_node() {
    let graph = walk(&world([]), WEB, Deps::All);
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.nodes[&key(WEB)].presence, NodePresence::Absent);
}

#[test]
fn of_several_state_claims_the_newest_that_stays_is_taken_with_a_warning() {
    let state = |name: &str, time: &str| bare_pvc(name).label("persistent-state-for", "web").created_at(time);
    let world = world([
        vm("web").with_persistent_tpm(),
        state("old", "2026-01-01T00:00:00Z"),
        state("new", "2026-02-01T00:00:00Z"),
        state("leaving", "2026-03-01T00:00:00Z").deleting_since("2026-03-02T00:00:00Z"),
    ]);
    let graph = walk(&world, WEB, Deps::All);
    assert_eq!(nodes(&graph), ["PersistentVolumeClaim new"]);
    let warning = graph.warnings.first().expect("warning");
    assert!(warning.contains("PersistentVolumeClaim/prod/leaving") && warning.contains("taken: "), "{warning}");
}

#[test]
fn a_state_claim_without_label_is_found_by_its_old_name_and_missing_under_it() {
    let machine = vm("web").with_persistent_tpm();
    let graph = walk(&world([machine.clone(), bare_pvc("persistent-state-for-web")]), WEB, Deps::All);
    assert_eq!(nodes(&graph), ["PersistentVolumeClaim persistent-state-for-web"]);
    let graph = walk(&world([machine]), WEB, Deps::All);
    assert_eq!(nodes(&graph), ["PersistentVolumeClaim persistent-state-for-web?"]);
    assert_eq!(graph.missing().next().expect("missing").1.needed, Strength::Hard);
}

#[test]
fn a_state_claim_that_a_preference_may_want_is_never_missing() {
    let machine = vm("web").with_preference("", "windows.11");
    let graph = walk(&world([machine.clone()]), WEB, Deps::All);
    assert_eq!(nodes(&graph), ["VirtualMachineClusterPreference windows.11?"]);
    let state = bare_pvc("state").label("persistent-state-for", "web");
    let graph = walk(&world([machine, state]), WEB, Deps::All);
    assert!(nodes(&graph).contains(&"PersistentVolumeClaim state".to_owned()));
}

#[test]
fn a_replica_set_owns_its_instances_and_not_one_that_only_looks_like_them() {
    let set = replica_set("web");
    let instance = |name: &str| vmi(name).label("app", "web");
    let world = world([
        instance("web-a").owned_by(&set),
        instance("web-b").owned_by(&set),
        instance("foreign").owned_by(&replica_set("other")),
        set,
    ]);
    let graph = walk(&world, "VirtualMachineInstanceReplicaSet.kubevirt.io/prod/web", Deps::All);
    assert_eq!(nodes(&graph), ["VirtualMachineInstance web-a", "VirtualMachineInstance web-b"]);
}

#[test]
fn a_pool_owns_its_machines_and_their_disks() {
    let parent = pool("web").with_template_disk("root");
    let child = vm("web-0").owned_by(&parent).with_template_disk("root-0");
    let volume = bare_dv("root-0").owned_by(&child);
    let world = world([bare_pvc("root-0").owned_by(&volume), volume, child, parent]);
    let graph = walk(&world, "VirtualMachinePool.pool.kubevirt.io/prod/web", Deps::Owned);
    assert_eq!(nodes(&graph), ["DataVolume root-0", "PersistentVolumeClaim root-0", "VirtualMachine web-0"]);
}

#[test]
fn owned_follows_children_only_and_none_follows_nothing() {
    let machine = vm("web")
        .running()
        .with_template_disk("root")
        .with_secret("tls")
        .with_pvc("shared")
        .with_persistent_tpm()
        .with_instancetype("", "small")
        .with_revision_in_status("instancetype", "r1");
    let world = world([
        vmi_of(&machine),
        bare_dv("root"),
        bare_pvc("root"),
        bare_pvc("shared"),
        bare_pvc("state").label("persistent-state-for", "web"),
        revision("r1", &machine),
        secret("tls"),
        machine,
    ]);
    assert_eq!(
        nodes(&walk(&world, WEB, Deps::Owned)),
        [
            "ControllerRevision r1",
            "DataVolume root",
            "PersistentVolumeClaim root",
            "PersistentVolumeClaim state",
            "VirtualMachineInstance web"
        ]
    );
    let alone = walk(&world, WEB, Deps::None);
    assert!(nodes(&alone).is_empty() && alone.edges.is_empty());
}

#[test]
fn cycles_end_and_a_hard_way_makes_a_node_hard() {
    // disk a -> DataVolume a -> disk a, and DataVolume a (soft) -> disk b, which the machine needs too (hard).
    let a = bare_dv("a").set("spec.source", json!({"pvc": {"name": "b"}}));
    let machine = vm("web").with_pvc("a").with_pvc("b");
    let world = world([bare_pvc("a").owned_by(&a), a, bare_pvc("b"), machine]);
    let graph = walk(&world, WEB, Deps::All);
    assert_eq!(graph.nodes[&key("DataVolume.cdi.kubevirt.io/prod/a")].needed, Strength::Soft);
    assert_eq!(graph.nodes[&key("PersistentVolumeClaim/prod/a")].needed, Strength::Hard);
    assert_eq!(graph.nodes[&key("PersistentVolumeClaim/prod/b")].needed, Strength::Hard);
    let from_soft = closure(&world, &[key("DataVolume.cdi.kubevirt.io/prod/a"), key(WEB)], Deps::All);
    assert_eq!(from_soft.nodes[&key("PersistentVolumeClaim/prod/b")].needed, Strength::Hard);
}

#[test]
fn the_order_in_which_the_world_answers_does_not_matter() {
    let set = replica_set("web").with_secret("tls");
    let mut world = world([vmi("b").owned_by(&set), vmi("a").owned_by(&set).with_pvc("disk"), set]);
    let root = "VirtualMachineInstanceReplicaSet.kubevirt.io/prod/web";
    let forwards = walk(&world, root, Deps::All);
    world.backwards = true;
    assert_eq!(walk(&world, root, Deps::All), forwards);
    assert!(forwards.edges.is_sorted());
}

#[test]
fn reverse_finds_everything_that_needs_an_object_over_others() {
    let machine = vm("web").with_dv("root");
    let volume = bare_dv("root").set("spec.source", json!({"http": {"url": "https://x.test", "secretRef": "login"}}));
    let world = world([machine, volume, bare_pvc("root"), vm("other").with_secret("login"), config_map("a"), vm("no")]);
    let all: Vec<ObjectKey> = world.present.keys().cloned().collect();
    let graph = reverse(&world, &all, &key("Secret/prod/login"));
    assert_eq!(nodes(&graph), ["DataVolume root", "VirtualMachine other", "VirtualMachine web"]);
    assert_eq!(graph.nodes[&key("Secret/prod/login")].presence, NodePresence::Absent);
    assert_eq!(graph.edges_to(&key("Secret/prod/login")).count(), 2);
}

#[test]
fn reverse_of_a_child_finds_its_owner() {
    let set = replica_set("web");
    let world = world([vmi("web-a").owned_by(&set), set]);
    let all: Vec<ObjectKey> = world.present.keys().cloned().collect();
    let graph = reverse(&world, &all, &key("VirtualMachineInstance.kubevirt.io/prod/web-a"));
    assert_eq!(nodes(&graph), ["VirtualMachineInstanceReplicaSet web"]);
}

#[test]
fn a_graph_is_written_with_keys_as_text() {
    let graph = walk(&world([vm("web").with_secret("tls")]), WEB, Deps::All);
    let written = serde_json::to_value(&graph).expect("a graph can be written");
    assert_eq!(
        written,
        json!({
            "roots": [WEB],
            "nodes": [
                {"key": "Secret/prod/tls", "group": "", "kind": "Secret", "namespace": "prod", "name": "tls",
                    "presence": "Absent", "needed": "hard"},
                {"key": WEB, "group": "kubevirt.io", "kind": "VirtualMachine", "namespace": "prod", "name": "web",
                    "presence": "Present", "needed": "hard"},
            ],
            "edges": [{"from": WEB, "path": "spec.template.spec.volumes[0].secret.secretName",
                "rule": "volume-secret", "to": "Secret/prod/tls", "relation": "needs", "strength": "hard",
                "source": "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/schema.go"}],
            "warnings": [],
        })
    );
}
