//! What the target lacks or does not know: each is refused or said with a way out.

use serde_json::json;
use vmrewind_testkit::build::{namespace, network, secret, vm};

use crate::{
    harness::{Story, Told},
    schema,
    site::Site,
};

/// A machine with a disk from a template, whose disk is gone, and one in a network.
fn told(site: &Site) -> Told {
    let machine = vm("web").with_template_disk("web-root");
    let connected = vm("net").with_network("lan", "");
    Story::new()
        .added(&namespace("prod"))
        .added(&machine)
        .added(&network("lan"))
        .added(&connected)
        .commit()
        .wait(60)
        .deleted(&machine)
        .deleted(&connected)
        .deleted(&network("lan"))
        .write_for(&site.uid)
}

#[test]
fn a_storage_class_that_the_target_lacks_is_refused_and_the_flag_that_maps_it_is_named() {
    let site = Site::start();
    let told = told(&site);
    let ran = site.run(&told, "restore vm/web -n prod --at before-delete --volumes reimport --yes");
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(ran.stdout.contains("needs storage class fast, which the target lacks"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Hint: Map it with --storage-class-map"), "{}", ran.stdout);
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "slow"},
        "provisioner": "test.example"});
    site.create(&class);
    let words = "plan vm/web -n prod --at before-delete --volumes reimport --storage-class-map fast=slow -o json";
    let ran = site.run(&told, words);
    assert_eq!(ran.code, 0, "{}", ran.all());
    schema::check("plan", &ran.json());
}

#[test]
fn a_kind_that_the_target_does_not_serve_is_refused_and_named() {
    let site = Site::without("k8s.cni.cncf.io");
    let told = told(&site);
    let ran = site.run(&told, "restore vm/net -n prod --at seq:4 --yes");
    assert_eq!(ran.code, 1, "{}", ran.all());
    let lacks = "the target does not serve NetworkAttachmentDefinition.k8s.cni.cncf.io";
    assert!(ran.stdout.contains(lacks) && ran.stdout.contains("Hint: Install what defines it"), "{}", ran.stdout);
    assert_eq!(site.get("kubevirt.io", "VirtualMachine", "net"), None);
    let plan = site.run(&told, "plan vm/net -n prod --at seq:4 -o json");
    assert_eq!(plan.code, 1, "{}", plan.all());
    schema::check("plan", &plan.json());
    assert_eq!(plan.json()["refusals"][0]["kind"], "missing-kind");
}

#[test]
fn fields_that_the_targets_schema_does_not_know_are_kept_in_the_archive_and_listed_by_the_plan() {
    let site = Site::start();
    let strange = secret("odd").set("inventedLater", "kept").rv(7).json();
    let told = Story::new().added(&namespace("prod")).added_bytes(strange.to_string().as_bytes()).write_for(&site.uid);
    let plan = site.run(&told, "plan secret/odd -n prod --at latest --dry-run=server");
    assert_eq!(plan.code, 0, "{}", plan.all());
    assert!(plan.stdout.contains("it would drop") && plan.stdout.contains("inventedLater"), "{}", plan.stdout);
    let shown = told.run("show secret/odd -n prod -o json");
    assert_eq!(shown.json()["inventedLater"], "kept", "{}", shown.all());
    let restored = site.run(&told, "restore secret/odd -n prod --at latest --yes -o json");
    assert!(restored.stdout.contains("inventedLater"), "the outcome says what was lost on the way: {}", restored.all());
}

#[test]
fn a_target_that_is_another_cluster_is_said_to_be_one() {
    let site = Site::start();
    let told = Story::new().added(&namespace("prod")).added(&secret("key")).write();
    let plan = site.run(&told, "plan secret/key -n prod --at latest");
    assert_eq!(plan.code, 0, "{}", plan.all());
    assert!(plan.stdout.contains("(another cluster, "), "{}", plan.stdout);
}

#[test]
fn every_line_of_a_journal_fits_its_schema() {
    let site = Site::start();
    let told = Story::new().added(&namespace("prod")).added(&secret("key")).write_for(&site.uid);
    let words = format!("restore secret/key -n prod --at latest --yes --journal-dir {}", told.file("journals"));
    let ran = site.run(&told, &words);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let files: Vec<_> = std::fs::read_dir(told.file("journals")).expect("a folder").flatten().collect();
    assert_eq!(files.len(), 1);
    let text = std::fs::read_to_string(files[0].path()).expect("readable");
    assert!(text.lines().count() >= 3, "{text}");
    for line in text.lines() {
        schema::check("journal", &serde_json::from_str(line).expect("JSON"));
    }
}
