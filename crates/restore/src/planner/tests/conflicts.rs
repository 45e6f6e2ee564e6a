//! Objects that exist and differ.

use serde_json::json;

use super::*;

fn changed() -> Build {
    vm("web").set_template("domain.memory.guest", "8Gi")
}

fn scene(on_conflict: OnConflict) -> Scene {
    Scene::captured([vm("web")])
        .live([changed()])
        .roots(&["VirtualMachine/web"])
        .request(|request| request.on_conflict = on_conflict)
}

#[test]
fn what_differs_is_refused_by_default_and_the_paths_are_named() {
    let plan = scene(OnConflict::Fail).plan();
    assert_eq!(refusals(&plan), [RefusalKind::Conflict]);
    assert!(
        plan.refusals[0].message.contains("spec.template.spec.domain.memory.guest"),
        "{}",
        plan.refusals[0].message
    );
    let error = plan.check_refusals().expect_err("refused");
    assert_eq!(error.kind(), crate::ErrorKind::Conflict);
    assert!(error.hint().expect("a hint").contains("--on-conflict"));
}

#[test]
fn nothing_is_restored_into_or_kept_in_a_namespace_that_is_being_deleted() {
    let going = || namespace("prod").deleting_since("2026-11-22T10:00:00Z");
    let created = Scene::captured([vm("web")]).roots(&["VirtualMachine/web"]);
    let kept = Scene::captured([vm("web")]).live([vm("web")]).roots(&["VirtualMachine/web"]);
    for mut scene in [created, kept] {
        scene.live[0] = going().json();
        let plan = scene.plan();
        assert_eq!(refusals(&plan), [RefusalKind::BeingDeleted], "{}", shown(&plan));
        assert!(plan.refusals[0].message.contains("prod"), "{}", plan.refusals[0].message);
        assert!(plan.refusals[0].hint.contains("--create-namespace"), "{}", plan.refusals[0].hint);
    }
}

#[test]
fn what_differs_is_left_alone_or_replaced_on_request() {
    let plan = scene(OnConflict::Skip).plan();
    assert!(plan.refusals.is_empty() && plan.is_noop());
    let plan = scene(OnConflict::Replace).plan();
    let step = step_of(&plan, "VirtualMachine/web");
    assert_eq!(step.action, Action::Replace);
    assert_eq!(step.effects[0].path, "spec.template.spec.domain.memory.guest");
    assert_eq!(step.effects[0].when, "now", "it does not run");
    assert!(step.live.as_ref().is_some_and(|live| live.digest.is_some()));
}

#[test]
fn a_running_machine_is_replaced_only_live_or_after_a_stop() {
    let running = || {
        let machine = changed().running();
        Scene::captured([vm("web").running(), vmi_of(&vm("web"))])
            .live([vmi_of(&machine), machine])
            .roots(&["VirtualMachine/web"])
            .request(|request| request.on_conflict = OnConflict::Replace)
    };
    assert_eq!(refusals(&running().plan()), [RefusalKind::RunningVm]);
    let plan = running().request(|request| request.running = RunningVm::Live).plan();
    let step = step_of(&plan, "VirtualMachine/web");
    assert_eq!((step.action, step.effects[0].when.as_str()), (Action::Replace, "restart"));
    assert!(!step.mutations.contains(&Mutation::Halt) && !plan.steps.iter().any(|step| step.action == Action::Power));
    let plan = running().request(|request| request.running = RunningVm::Stop).plan();
    let order = [
        place(&plan, Action::Stop, "VirtualMachine/web"),
        place(&plan, Action::Replace, "VirtualMachine/web"),
        place(&plan, Action::Power, "VirtualMachine/web"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert!(step_of(&plan, "VirtualMachine/web").mutations.contains(&Mutation::Halt));
}

#[test]
fn a_field_that_cannot_be_changed_is_refused_and_a_revision_is_made_anew() {
    let frozen = secret("s1").set("immutable", true);
    let scene = Scene::captured([vm("web").with_secret("s1"), secret("s1").set("data", json!({"key": "b2xk"}))])
        .live([frozen])
        .roots(&["VirtualMachine/web"])
        .request(|request| request.on_conflict = OnConflict::Replace);
    assert_eq!(refusals(&scene.plan()), [RefusalKind::Immutable]);
    let machine = vm("web")
        .with_instancetype("VirtualMachineInstancetype", "small")
        .with_revision_in_status("instancetype", "r1");
    let scene = Scene::captured([revision("r1", &machine), machine.clone()])
        .live([revision("r1", &machine).set("data.spec.cpu.guest", 9)])
        .roots(&["VirtualMachine/web"])
        .request(|request| request.on_conflict = OnConflict::Replace);
    assert_eq!(action(&scene.plan(), "ControllerRevision/r1"), Action::Recreate);
}

#[test]
fn what_is_only_good_to_have_is_never_a_conflict() {
    let machine = vm("web")
        .with_instancetype("VirtualMachineInstancetype", "small")
        .with_revision_in_status("instancetype", "r1");
    let small = vmrewind_testkit::build::instancetype("small");
    let scene = Scene::captured([revision("r1", &machine), machine, small.clone()])
        .live([small.set("spec.cpu.guest", 64)])
        .roots(&["VirtualMachine/web"]);
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(action(&plan, "VirtualMachineInstancetype/small"), Action::Keep);
}

#[test]
fn what_is_being_deleted_must_be_waited_for() {
    let plan = Scene::captured([vm("web")])
        .live([vm("web").deleting_since("2026-01-01T00:00:00Z")])
        .roots(&["VirtualMachine/web"])
        .plan();
    assert_eq!(refusals(&plan), [RefusalKind::BeingDeleted]);
}

#[test]
fn a_live_object_that_may_not_be_read_is_refused_not_taken_for_absent() {
    let scene = Scene::captured([vm("web")]).roots(&["VirtualMachine/web"]);
    let mut view = scene.view().expect("a view");
    view.objects.insert(key("VirtualMachine/web"), crate::Seen::Unreadable("forbidden".into()));
    let plan = plan(&scene.world, &scene.request, &view, Timestamp::MIN).expect("a plan");
    assert_eq!(refusals(&plan), [RefusalKind::Unreadable]);
}
