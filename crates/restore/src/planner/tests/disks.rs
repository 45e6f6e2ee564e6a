//! Where disks come from, as whole plans: the rows of the upstream backup plug-in's end-to-end tests.

use super::*;
use crate::DataSource;

fn source(plan: &RestorePlan, claim: &str) -> DataSource {
    let row = plan.volumes.iter().find(|volume| volume.claim.name == claim);
    row.unwrap_or_else(|| panic!("{claim} is listed:\n{}", shown(plan))).data_source
}

fn volumes(scene: Scene, policy: &str) -> RestorePlan {
    scene.request(|request| request.mutations.volumes = policy.parse().expect("valid")).plan()
}

#[test]
fn a_lone_data_volume_and_its_claim_are_restored_without_an_import() {
    let disk = dv("d1");
    let scene = || {
        Scene::captured([pvc("d1").owned_by(&disk), disk.clone()])
            .live([pvc("d1"), storage_class("fast")])
            .roots(&["DataVolume/d1"])
    };
    let plan = scene().plan();
    assert_eq!(source(&plan, "d1"), DataSource::Keep);
    assert_eq!(step_of(&plan, "DataVolume/d1").mutations, [Mutation::Prepopulated { claim: "d1".into() }]);
}

#[test]
fn a_data_volume_whose_claim_is_gone_and_not_captured_is_refused_until_it_may_be_imported_again() {
    let scene = || Scene::captured([dv("d1")]).live([storage_class("fast")]).roots(&["DataVolume/d1"]);
    assert_eq!(refusals(&scene().plan()), [RefusalKind::VolumeData]);
    let plan = volumes(scene(), "reimport");
    assert_eq!((source(&plan, "d1"), action(&plan, "DataVolume/d1")), (DataSource::Reimport, Action::Create));
    assert!(step_of(&plan, "DataVolume/d1").mutations.is_empty(), "no mark that says the data is there");
}

#[test]
fn a_lone_claim_comes_back_empty_on_request_with_no_owner_and_bound_to_nothing() {
    let scene = || Scene::captured([pvc("p1")]).live([storage_class("fast")]).roots(&["PersistentVolumeClaim/p1"]);
    assert_eq!(refusals(&scene().plan()), [RefusalKind::VolumeData]);
    let scene = scene().request(|request| request.mutations.volumes = "p1=blank".parse().expect("valid"));
    let plan = scene.plan();
    let object =
        realise(&scene.world, step_of(&plan, "PersistentVolumeClaim/p1")).expect("realised").expect("an object");
    assert!(object["spec"].get("volumeName").is_none() && object["metadata"].get("ownerReferences").is_none());
    assert!(!plan.steps.iter().any(|step| step.action == Action::PatchOwner));
}

#[test]
fn a_machine_with_templates_owns_its_data_volume_again_and_that_its_claim() {
    let plan = volumes(Scene::captured(web()).live([storage_class("fast")]).roots(&["VirtualMachine/web"]), "blank");
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(source(&plan, "web-root"), DataSource::Blank);
    let claim = step_of(&plan, "PersistentVolumeClaim/web-root");
    assert!(claim.mutations.contains(&Mutation::Populated { data_volume: "web-root".into() }));
    let order = [claim.id, step_of(&plan, "DataVolume/web-root").id, step_of(&plan, "VirtualMachine/web").id];
    assert!(order.is_sorted(), "the claim is there before a controller could make an empty one: {order:?}");
    place(&plan, Action::PatchOwner, "PersistentVolumeClaim/web-root");
    place(&plan, Action::PatchOwner, "DataVolume/web-root");
}

#[test]
fn a_machine_whose_claim_was_not_captured_is_reported_as_not_restorable() {
    let objects = web().into_iter().filter(|build| build.clone().json()["kind"] != "PersistentVolumeClaim");
    let plan = Scene::captured(objects).live([storage_class("fast")]).roots(&["VirtualMachine/web"]).plan();
    assert_eq!(refusals(&plan), [RefusalKind::VolumeData]);
    assert!(plan.check_refusals().is_err());
}

#[test]
fn a_machine_and_its_live_claim_come_back_without_the_data_volume_which_its_controller_makes_again() {
    let objects = web().into_iter().filter(|build| build.clone().json()["kind"] != "DataVolume");
    let plan = Scene::captured(objects).live(live_storage()).roots(&["VirtualMachine/web"]).plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(source(&plan, "web-root"), DataSource::Keep);
}

#[test]
fn a_machine_alone_gets_a_fresh_disk_from_its_template_with_a_warning() {
    let machine = vm("web").with_template_disk("web-root");
    let plan = Scene::captured([machine]).live([storage_class("fast")]).roots(&["VirtualMachine/web"]).plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(source(&plan, "web-root"), DataSource::Reimport);
    assert!(plan.warnings.iter().any(|warning| warning.message.contains("template")));
}

#[test]
fn a_data_volume_outside_the_templates_without_anything_captured_is_refused() {
    let plan = Scene::captured([vm("web").with_dv("gone")]).roots(&["VirtualMachine/web"]).plan();
    assert_eq!(refusals(&plan), [RefusalKind::VolumeData]);
}

#[test]
fn an_unfinished_import_leaves_its_claim_out_and_imports_again() {
    let disk = dv("d1").phase("ImportInProgress");
    let plan = Scene::captured([pvc("d1").owned_by(&disk), disk])
        .live([storage_class("fast")])
        .roots(&["DataVolume/d1"])
        .plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(
        (action(&plan, "DataVolume/d1"), action(&plan, "PersistentVolumeClaim/d1")),
        (Action::Create, Action::Skip)
    );
    assert!(step_of(&plan, "DataVolume/d1").mutations.is_empty());
}

#[test]
fn a_retained_volume_is_freed_and_bound_again_before_the_machine() {
    let retained = pv("web-root").set("spec.persistentVolumeReclaimPolicy", "Retain").phase("Released");
    let scene = || {
        Scene::captured(web().into_iter().chain([pv("web-root")]))
            .roots(&["VirtualMachine/web"])
            .live([storage_class("fast")])
    };
    let plan = volumes(scene().live([retained.clone()]), "rebind");
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(source(&plan, "web-root"), DataSource::Rebind);
    let claim = step_of(&plan, "PersistentVolumeClaim/web-root");
    assert!(claim.mutations.contains(&Mutation::VolumeName { to: "pv-web-root".into() }));
    assert!(place(&plan, Action::ReleaseVolume, "PersistentVolume/pv-web-root") < claim.id);
    assert_eq!(action(&plan, "PersistentVolume/pv-web-root"), Action::Keep);
    for taken in [retained.clone().phase("Bound"), retained.set("spec.persistentVolumeReclaimPolicy", "Delete")] {
        assert_eq!(refusals(&volumes(scene().live([taken]), "rebind")), [RefusalKind::VolumeData]);
    }
}

#[test]
fn a_volume_is_known_again_by_its_uid_or_by_that_of_its_claim_and_never_by_its_name() {
    let (captured, other) = (|| pv("web-root"), pv("web-root").uid("made-again"));
    let plan = |captured: Vec<Build>, live: Vec<Build>| {
        let objects = web().into_iter().chain(captured);
        Scene::captured(objects).live(live).live([storage_class("fast")]).roots(&["VirtualMachine/web"]).plan()
    };
    let source = |captured, live| source(&plan(captured, live), "web-root");
    assert_eq!(source(vec![captured()], vec![pvc("web-root"), pv("web-root")]), DataSource::Keep);
    assert_eq!(source(vec![captured()], vec![pvc("web-root"), other.clone()]), DataSource::None);
    // A volume that could not be captured, or cannot be read now.
    assert_eq!(source(vec![], vec![pvc("web-root"), other.clone()]), DataSource::Keep, "the claim is the same");
    assert_eq!(source(vec![captured()], vec![pvc("web-root")]), DataSource::Keep);
    let claim = pvc("web-root").uid("of-another-cluster");
    assert_eq!(source(vec![captured()], vec![claim.clone()]), DataSource::None);
    let bound = other.set("spec.claimRef.uid", "of-another-cluster");
    assert_eq!(source(vec![], vec![claim, bound]), DataSource::None);
}

#[test]
fn a_disk_that_is_imported_again_does_not_wait_for_the_end_of_its_old_volume() {
    let going = pv("web-root").set("metadata.deletionTimestamp", "2026-11-22T10:00:00Z");
    let scene = || {
        Scene::captured(web().into_iter().chain([pv("web-root")]))
            .roots(&["VirtualMachine/web"])
            .live([storage_class("fast"), going.clone()])
    };
    let plan = volumes(scene(), "reimport");
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(action(&plan, "PersistentVolume/pv-web-root"), Action::Skip);
    assert_eq!(refusals(&volumes(scene(), "rebind")), [RefusalKind::VolumeData], "its data goes with it");
}

#[test]
fn state_of_a_vtpm_comes_back_with_its_live_claim_and_is_given_up_only_on_request() {
    let state = || pvc("persistent-state-for-web").label("persistent-state-for", "web");
    let scene = || Scene::captured([vm("web").with_persistent_tpm(), state()]).roots(&["VirtualMachine/web"]);
    assert_eq!(source(&scene().live([state()]).plan(), "persistent-state-for-web"), DataSource::Keep);
    assert_eq!(refusals(&scene().plan()), [RefusalKind::VolumeData]);
    let plan = volumes(scene(), "web/persistent-state=blank");
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(action(&plan, "PersistentVolumeClaim/persistent-state-for-web"), Action::Skip, "KubeVirt makes it");
}

#[test]
fn a_new_uuid_on_a_machine_with_vtpm_state_is_refused() {
    let state = || pvc("persistent-state-for-web").label("persistent-state-for", "web");
    let scene =
        Scene::captured([vm("web").with_persistent_tpm(), state()]).live([state()]).roots(&["VirtualMachine/web"]);
    let plan = scene.request(|request| request.mutations.firmware_uuid = "regenerate".parse().expect("valid")).plan();
    assert_eq!(refusals(&plan), [RefusalKind::VtpmIdentity]);
}

#[test]
fn a_memory_dump_is_dropped_with_its_claim() {
    let machine =
        vm("web").push_template("volumes", serde_json::json!({"name": "dump", "memoryDump": {"claimName": "dump"}}));
    let plan = Scene::captured([machine, pvc("dump")]).roots(&["VirtualMachine/web"]).plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(
        (source(&plan, "dump"), action(&plan, "PersistentVolumeClaim/dump")),
        (DataSource::NotNeeded, Action::Skip)
    );
}

#[test]
fn a_storage_class_that_the_target_lacks_is_refused_until_it_is_mapped() {
    let scene = || Scene::captured(web()).roots(&["VirtualMachine/web"]);
    let plan = volumes(scene(), "reimport");
    assert_eq!(refusals(&plan), [RefusalKind::MissingStorageClass]);
    let scene = scene().live([storage_class("slow")]).request(|request| {
        request.mutations.storage_class_map.insert("fast".into(), "slow".into());
        request.mutations.volumes = "reimport".parse().expect("valid");
    });
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    for text in ["VirtualMachine/web", "DataVolume/web-root"] {
        let object = realise(&scene.world, step_of(&plan, text)).expect("realised").expect("an object");
        assert!(object.to_string().contains("slow") && !object.to_string().contains("fast"), "{text}");
    }
}
