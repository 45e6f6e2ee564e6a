//! What machines are tied to: nodes, devices, hardware.

use serde_json::{Value, json};

use super::*;
use crate::{Node, Nodes};

fn node(name: &str, labels: &Value, resources: &Value) -> Node {
    Node::of(&json!({"metadata": {"name": name, "labels": labels}, "status": {"allocatable": resources}}))
}

fn nodes() -> Nodes {
    let labels = json!({"kubernetes.io/arch": "amd64", "machine-type.node.kubevirt.io/pc-q35-rhel9.4.0": "true",
        "cpu-model.node.kubevirt.io/Haswell": "true", "disk": "nvme"});
    let first = node("n1", &labels, &json!({"nvidia.com/T4": "1", "intel.com/vf": "0"}));
    Nodes::Known(vec![first, node("n2", &json!({"kubernetes.io/arch": "amd64"}), &json!({}))])
}

/// Returns the warnings about a machine that ran on a node, in a cluster with these nodes.
fn warnings(machine: Build, nodes: Nodes, captured_from: &str) -> Vec<String> {
    let instance = vmi_of(&machine).set("status.nodeName", "n7");
    let mut scene = Scene::captured([machine, instance]).roots(&["VirtualMachine/web"]);
    scene.nodes = nodes;
    scene.world = scene.world.captured_from(captured_from);
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    let about = key("VirtualMachine/web");
    plan.warnings.into_iter().filter(|one| one.key.as_ref() == Some(&about)).map(|one| one.message).collect()
}

fn here(machine: Build) -> Vec<String> {
    warnings(machine, nodes(), "cluster-1")
}

#[test]
fn a_disk_that_is_a_file_on_a_node_is_named_with_its_path_and_the_node_it_was_on() {
    let of = |made: &str| json!({"hostDisk": {"path": "/data/x.img", "type": made}});
    let machine = || vm("web").running();
    let found = here(machine().with_volume("data", of("Disk")));
    assert_eq!(found.len(), 1, "{found:?}");
    for part in ["volume data", "/data/x.img", "node n7", "never moves", "no node of that name", "does not start"] {
        assert!(found[0].contains(part), "{part}: {found:?}");
    }
    let found = here(machine().with_volume("data", of("DiskOrCreate")));
    assert!(found[0].contains("empty disk"), "{found:?}");
    let stopped = Scene::captured([vm("web").with_volume("data", of("Disk"))]).roots(&["VirtualMachine/web"]).plan();
    assert!(shown(&stopped).contains("does not tell on which node"), "{}", shown(&stopped));
}

#[test]
fn a_folder_of_a_container_is_said_not_to_be_captured() {
    let machine = vm("web").running().with_volume("token", json!({"containerPath": {"path": "/run/token"}}));
    let found = here(machine);
    assert!(found[0].contains("/run/token") && found[0].contains("neither in the archive"), "{found:?}");
}

#[test]
fn a_machine_type_or_architecture_that_no_node_has_is_named_and_one_that_some_node_has_is_not() {
    let machine = |board: &str, architecture: &str, cpu: &str| {
        let machine = vm("web").running().set_template("domain.machine.type", board);
        machine.set_template("architecture", architecture).set_template("domain.cpu.model", cpu)
    };
    assert!(here(machine("pc-q35-rhel9.4.0", "amd64", "Haswell")).is_empty());
    let found = here(machine("pc-q35-rhel7.6.0", "arm64", "Skylake"));
    assert_eq!(found.len(), 3, "{found:?}");
    for part in ["machine type pc-q35-rhel7.6.0", "architecture arm64", "CPU model Skylake"] {
        assert!(found.iter().any(|warning| warning.contains(part)), "{part}: {found:?}");
    }
}

#[test]
fn hardware_that_the_target_does_not_tell_of_is_worth_a_word_only_in_another_cluster() {
    let machine = || vm("web").running().set_template("domain.machine.type", "q35");
    let silent = || Nodes::Known(vec![node("n1", &json!({}), &json!({}))]);
    assert!(warnings(machine(), silent(), "cluster-1").is_empty());
    let found = warnings(machine(), silent(), "another");
    assert!(found[0].contains("machine type q35") && found[0].contains("cannot be told"), "{found:?}");
    let machine = vm("web").running().set_template("domain.cpu.model", "host-passthrough");
    let machine = machine.set_template("schedulerName", "own").set_template(
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
        json!({"nodeSelectorTerms": []}),
    );
    assert!(here(machine.clone()).is_empty());
    assert_eq!(warnings(machine, silent(), "another").len(), 3);
}

#[test]
fn node_labels_and_devices_that_no_node_offers_are_named() {
    let devices = |resource: &str| json!([{"name": "gpu1", "deviceName": resource}]);
    let fits = vm("web").running().set_template("nodeSelector", json!({"disk": "nvme"}));
    assert!(here(fits.set_template("domain.devices.gpus", devices("nvidia.com/T4"))).is_empty());
    let machine = vm("web").running().set_template("nodeSelector", json!({"kubernetes.io/hostname": "n7"}));
    let machine = machine.set_template("domain.devices.hostDevices", devices("intel.com/vf"));
    let found = here(machine.clone());
    assert!(found.iter().any(|warning| warning.contains("kubernetes.io/hostname=n7")), "{found:?}");
    assert!(found.iter().any(|warning| warning.contains("offers intel.com/vf")), "none is free: {found:?}");
    let found = warnings(machine, Nodes::Unread("forbidden".into()), "cluster-1");
    assert!(found.len() == 1 && found[0].contains("nodeSelector") && found[0].contains("forbidden"), "{found:?}");
}

#[test]
fn nodes_are_read_only_if_a_machine_that_is_restored_is_tied_to_something() {
    let scene = Scene::captured([vm("web")]).roots(&["VirtualMachine/web"]);
    assert!(!needs(&scene.world, &scene.request).expect("needs").nodes);
    let scene = Scene::captured([vm("web").set_template("architecture", "amd64")]).roots(&["VirtualMachine/web"]);
    assert!(needs(&scene.world, &scene.request).expect("needs").nodes);
}
