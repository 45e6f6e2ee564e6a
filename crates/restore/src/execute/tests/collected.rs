//! Objects that the garbage collector has yet to delete, because their owner is gone.

use super::*;
use crate::scene::refusals;

/// A machine with a template disk and an instancetype that was deleted a moment ago: what it owned is still there.
fn not_collected_yet() -> Scene {
    let captured = disk_machine();
    let live: Vec<Build> = captured
        .iter()
        .filter(|build| {
            !["VirtualMachine", "VirtualMachineInstance"]
                .contains(&(*build).clone().json()["kind"].as_str().expect("a kind"))
        })
        .cloned()
        .collect();
    Scene::captured(captured).live(live).live([pv("web-root"), storage_class("fast")]).roots(&["VirtualMachine/web"])
}

fn owners(stage: &Stage, object: &str) -> Value {
    stage.fake.live(&key(object)).expect("there")["metadata"]["ownerReferences"].clone()
}

#[test]
fn a_live_disk_whose_owner_is_gone_is_freed_of_it_before_the_machine_is_created() {
    let stage = Stage::of(not_collected_yet());
    let outcome = stage.execute().unwrap_or_else(|error| panic!("{error}\n{}", shown(&stage.plan)));
    assert!(outcome.verification.is_good(), "{:?}\n{}", outcome.verification, shown(&stage.plan));
    assert!(stage.fake.collect().is_empty(), "the garbage collector finds nothing");
    let disk = place(&stage.plan, Action::ReleaseOwner, "DataVolume/web-root");
    assert!(disk < place(&stage.plan, Action::Create, "VirtualMachine/web"), "{}", shown(&stage.plan));
    let machine = stage.fake.live(&key("VirtualMachine/web")).expect("there")["metadata"]["uid"].clone();
    assert_eq!(owners(&stage, "ControllerRevision/r1")[0]["uid"], machine);
    assert_eq!(owners(&stage, "DataVolume/web-root"), json!([]));
}

#[test]
fn an_owner_of_the_same_name_under_another_uid_owns_nothing() {
    let mut scene = not_collected_yet();
    let machine = disk_machine().remove(2);
    scene.live.push(machine.uid("another").json());
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    for object in ["DataVolume/web-root", "ControllerRevision/r1"] {
        place(&plan, Action::ReleaseOwner, object);
    }
    place(&plan, Action::PatchOwner, "ControllerRevision/r1");
}

#[test]
fn what_is_being_deleted_already_is_refused() {
    let mut scene = not_collected_yet();
    for object in &mut scene.live {
        if object["kind"] == "DataVolume" {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:00Z");
        }
    }
    assert_eq!(refusals(&scene.plan()), [crate::RefusalKind::BeingDeleted]);
}

#[test]
fn a_collector_that_was_faster_is_not_overlooked() {
    let stage = Stage::of(not_collected_yet());
    let path = stage.folder.path().join("journal");
    let mut journal = Journal::create(&path, &stage.plan, Timestamp::MIN).expect("created");
    stage.fake.meddle(&key("DataVolume/web-root"), |disk| {
        disk["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:00Z");
    });
    stage.with_run(|run| block_on(carry_out(&stage.plan, run, &mut journal))).expect_err("it is being deleted");
    assert!(stage.fake.live(&key("VirtualMachine/web")).is_none());
}

#[test]
fn verification_names_what_is_about_to_be_deleted() {
    let stage = Stage::of(deleted());
    stage.execute().expect("executed");
    stage.fake.meddle(&key("PersistentVolumeClaim/web-root"), |claim| {
        claim["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:00Z");
    });
    stage.fake.meddle(&key("DataVolume/web-root"), |disk| {
        disk["metadata"]["ownerReferences"][0]["uid"] = json!("dead");
    });
    let verification = stage.with_run(|run| block_on(verify(&stage.plan, run))).expect("verified");
    let bad: Vec<&str> = verification.bad().flat_map(|check| &check.differs).map(String::as_str).collect();
    assert_eq!(bad, ["metadata.deletionTimestamp", "metadata.ownerReferences"]);
}

#[test]
fn undo_leaves_what_was_freed_without_its_dead_owner() {
    let stage = Stage::of(not_collected_yet());
    stage.execute().expect("executed");
    stage.undo();
    assert!(stage.fake.live(&key("VirtualMachine/web")).is_none());
    assert!(stage.fake.collect().is_empty(), "the disk is safe");
}

#[test]
fn an_owner_that_is_about_to_go_with_its_own_owner_is_freed_of_that_one() {
    let holder = config_map("holder").owned_by(&vm("gone"));
    let claim = pvc("data").owned_by(&holder);
    let live = [holder, claim, pv("data")];
    let scene = Scene::captured([vm("web").with_pvc("data"), pvc("data")]).live(live).roots(&["VirtualMachine/web"]);
    let stage = Stage::of(scene);
    let released = place(&stage.plan, Action::ReleaseOwner, "ConfigMap/holder");
    let step = stage.plan.steps.iter().find(|step| step.id == released).expect("a step");
    assert!(step.notes[0].contains("and with it PersistentVolumeClaim/prod/data"), "{:?}", step.notes);
    assert!(!stage.plan.steps.iter().any(|step| step.action == Action::ReleaseOwner && step.key.name == "data"));
    assert!(stage.execute().expect("executed").verification.is_good());
    assert!(stage.fake.collect().is_empty(), "the garbage collector finds nothing");
    assert_eq!(owners(&stage, "PersistentVolumeClaim/data")[0]["name"], "holder");
}
