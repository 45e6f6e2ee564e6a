//! What a guest notices, and operations that bar changes.

use serde_json::json;

use super::*;

fn hot(claim: &str) -> serde_json::Value {
    json!({"persistentVolumeClaim": {"claimName": claim, "hotpluggable": true}})
}

fn says(plan: &RestorePlan, text: &str) -> bool {
    plan.warnings.iter().any(|warning| warning.message.contains(text))
}

#[test]
fn a_disk_that_was_plugged_into_the_running_instance_only_is_named_with_its_claim() {
    let machine = vm("web").running();
    let instance = vmi_of(&machine).with_volume("extra", hot("extra-claim"));
    let scene = Scene::captured([machine, instance, pvc("extra-claim")])
        .live([pvc("extra-claim"), pv("extra-claim")])
        .roots(&["VirtualMachine/web"]);
    let plan = scene.plan();
    assert!(
        says(&plan, "volume extra (claim extra-claim)") && says(&plan, "virtctl addvolume web"),
        "{}",
        shown(&plan)
    );
    let machine = vm("web").running().with_volume("extra", hot("extra-claim"));
    let instance = vmi_of(&machine).with_volume("extra", hot("extra-claim"));
    let scene = Scene::captured([machine, instance, pvc("extra-claim")])
        .live([pvc("extra-claim"), pv("extra-claim")])
        .roots(&["VirtualMachine/web"]);
    assert!(!says(&scene.plan(), "addvolume"), "the machine names it itself");
}

#[test]
fn a_lone_instance_says_which_disk_it_comes_back_without() {
    let instance = vmi("solo").with_volume("extra", hot("extra-claim"));
    let scene = Scene::captured([instance, pvc("extra-claim")])
        .live([pvc("extra-claim"), pv("extra-claim")])
        .roots(&["VirtualMachineInstance/solo"]);
    let plan = scene.plan();
    assert!(says(&plan, "volume extra (claim extra-claim)"), "{}", shown(&plan));
}

#[test]
fn a_guest_on_its_old_disk_with_a_new_identity_is_said_to_run_cloud_init_again() {
    const UUID: &str = "5d307ca9-b3ef-428c-8861-06e72d69f223";
    let scene = |source: &str, change: fn(&mut crate::PlanRequest)| {
        let machine =
            vm("web").with_firmware(UUID, "S1").with_pvc("root").with_volume("ci", json!({source: {"userData": ""}}));
        let live = [pvc("root"), pv("root"), pvc("root").namespace("dr"), namespace("dr")];
        Scene::captured([machine, pvc("root")]).live(live).roots(&["VirtualMachine/web"]).request(change).plan()
    };
    let again = "cloud-init will take it for a new machine";
    assert!(!says(&scene("cloudInitNoCloud", |_| {}), again));
    let plan = scene("cloudInitNoCloud", |request| request.mutations.firmware_uuid = IdentityPolicy::Regenerate);
    assert!(says(&plan, again) && says(&plan, "--firmware-uuid=keep"), "{}", shown(&plan));
    let plan = scene("cloudInitConfigDrive", |request| request.mutations.firmware_uuid = IdentityPolicy::Regenerate);
    assert!(!says(&plan, again), "its name is the same: {}", shown(&plan));
}

#[test]
fn a_machine_that_a_snapshot_or_restore_of_kubevirt_works_on_is_not_replaced() {
    for (field, operation) in [("snapshot", "VirtualMachineSnapshot"), ("restore", "VirtualMachineRestore")] {
        let live =
            vm("web").set("spec.template.spec.hostname", "other").set(&format!("status.{field}InProgress"), "op-1");
        let scene = Scene::captured([vm("web")])
            .live([live])
            .roots(&["VirtualMachine/web"])
            .request(|request| request.on_conflict = OnConflict::Replace);
        let plan = scene.plan();
        assert_eq!(refusals(&plan), [RefusalKind::Busy], "{}", shown(&plan));
        assert!(plan.refusals[0].hint.contains(&format!("{operation} op-1")), "{:?}", plan.refusals);
    }
}

#[test]
fn a_machine_that_only_looks_busy_but_is_unchanged_is_no_refusal() {
    let live = vm("web").with_firmware("5d307ca9-b3ef-428c-8861-06e72d69f223", "S1");
    let scene = Scene::captured([live.clone()])
        .live([live.set("status.snapshotInProgress", "op-1")])
        .roots(&["VirtualMachine/web"]);
    let plan = scene.plan();
    assert!(plan.refusals.is_empty() && plan.is_noop(), "{}", shown(&plan));
}
