//! What a machine needs and what was deleted before it.

use super::*;
use crate::{Departure, Departures, lacking};
use vmrewind_model::Seq;

fn went(text: &str, record: u64) -> Departure {
    let t = "2026-11-22T03:00:00Z".parse().expect("a time");
    Departure { key: key(text), t, record: Seq(record), last: Seq(record - 1) }
}

fn scene(machine: Build, departures: Departures) -> Scene {
    let mut scene = Scene::captured([machine]).roots(&["VirtualMachine/web"]);
    scene.world = scene.world.with_departures(departures);
    scene
}

#[test]
fn a_need_that_was_deleted_first_is_refused_with_its_time_its_record_and_the_command_that_brings_it_back() {
    let departures = Departures { each: vec![went("Secret/s1", 41)], together: Some(Seq(40)) };
    let plan = scene(vm("web").with_secret("s1"), departures).plan();
    assert_eq!(refusals(&plan), [RefusalKind::MissingPrerequisite]);
    let refusal = &plan.refusals[0];
    assert!(refusal.message.contains("deleted at 2026-11-22T03:00:00Z (record 41)"), "{refusal:?}");
    assert!(refusal.hint.contains("`kubectl vmrewind restore secret/s1 -n prod --at seq:40` first"), "{refusal:?}");
    assert!(refusal.hint.contains("everything as it was before that with --at seq:40"), "{refusal:?}");
    assert!(!refusal.hint.contains("elect it too") && !refusal.hint.contains("Create it"), "{refusal:?}");
}

#[test]
fn a_need_of_a_kind_that_is_always_captured_counts_as_deleted_and_not_as_missing_all_along() {
    let departures = Departures { each: vec![went("NetworkAttachmentDefinition/net1", 7)], together: None };
    let machine = || vm("web").with_network("net1", "");
    let plan = scene(machine(), departures.clone()).plan();
    assert_eq!(refusals(&plan), [RefusalKind::MissingPrerequisite], "{}", shown(&plan));
    let hint = &plan.refusals[0].hint;
    assert!(hint.contains("networkattachmentdefinition.k8s.cni.cncf.io/net1 -n prod --at seq:6"), "{hint}");
    assert!(!hint.contains("everything as it was"), "there is no such instant: {hint}");
    let plan = scene(machine(), departures).live([network("net1")]).plan();
    assert!(plan.refusals.is_empty(), "the target has it: {}", shown(&plan));
    let plan = scene(machine(), Departures::default()).plan();
    assert!(plan.refusals.is_empty(), "it was missing all along: {}", shown(&plan));
}

#[test]
fn the_command_restores_into_the_namespace_of_the_copy() {
    let departures = Departures { each: vec![went("Secret/s1", 41)], together: None };
    let scene = scene(vm("web").with_secret("s1"), departures).live([namespace("dr")]).request(|request| {
        request.mutations.namespace_map.insert("prod".into(), "dr".into());
    });
    let plan = scene.plan();
    assert!(plan.refusals[0].hint.contains("-n prod --namespace-map prod=dr --at seq:40"), "{:?}", plan.refusals);
}

#[test]
fn it_can_be_left_out_on_request_and_is_then_said_to_be_gone() {
    let departures = Departures { each: vec![went("Secret/s1", 41)], together: None };
    let scene = scene(vm("web").with_secret("s1"), departures).request(|request| request.allow_missing = true);
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert!(plan.warnings.iter().any(|warning| warning.message.contains("record 41")), "{}", shown(&plan));
}

#[test]
fn a_disk_that_was_deleted_first_is_not_filled_anew_from_its_template_unless_the_user_says_so() {
    let machine = || vm("web").with_template_disk("root");
    let departures = Departures { each: vec![went("PersistentVolumeClaim/root", 9)], together: None };
    let with = |departures: Departures| scene(machine(), departures).live([storage_class("fast")]);
    assert!(with(Departures::default()).plan().refusals.is_empty(), "there never was one");
    let plan = with(departures.clone()).plan();
    assert_eq!(refusals(&plan), [RefusalKind::VolumeData], "{}", shown(&plan));
    let refusal = &plan.refusals[0];
    assert!(refusal.message.contains("record 9") && refusal.hint.contains("web/root=reimport"), "{refusal:?}");
    let scene = with(departures).request(|request| request.mutations.volumes = "reimport".parse().expect("valid"));
    assert!(scene.plan().refusals.is_empty(), "{}", shown(&scene.plan()));
}

#[test]
fn what_is_lacking_is_what_is_needed_and_neither_held_nor_withheld() {
    let machine = vm("web").with_secret("s1").with_secret("s2").with_config_map("c1").with_template_disk("root");
    let mut scene = Scene::captured([machine, config_map("c1")]).roots(&["VirtualMachine/web"]);
    scene.world = scene.world.with_withheld(key("Secret/s2"));
    let lacking = lacking(&scene.world, &scene.request).expect("lacking");
    let named: Vec<String> = lacking.iter().map(|key| format!("{}/{}", key.kind, key.name)).collect();
    assert!(named.contains(&"Secret/s1".into()) && named.contains(&"PersistentVolumeClaim/root".into()), "{named:?}");
    assert!(!named.contains(&"Secret/s2".into()) && !named.contains(&"ConfigMap/c1".into()), "{named:?}");
}
