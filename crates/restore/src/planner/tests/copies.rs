//! Copies: another namespace, new identities.

use serde_json::json;

use super::*;

fn copy() -> Scene {
    let mut objects = web();
    objects[0] = objects[0]
        .clone()
        .with_pod_network("02:00:00:00:00:01")
        .with_firmware("5d307ca9-b3ef-428c-8861-06e72d69f223", "S1");
    Scene::captured(objects).live([storage_class("fast")]).roots(&["VirtualMachine/web"]).request(|request| {
        request.mutations.namespace_map.insert("prod".into(), "dr".into());
        request.mutations.volumes = "reimport".parse().expect("valid");
        request.create_namespace = true;
    })
}

#[test]
fn a_copy_lands_in_its_namespace_which_is_created_first_with_the_captured_labels() {
    let scene = copy();
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    let first = &plan.steps[0];
    assert_eq!((first.action, first.key.to_string().as_str()), (Action::Create, "Namespace/dr"));
    let object = realise(&scene.world, first).expect("realised").expect("an object");
    assert_eq!(object["metadata"], json!({"name": "dr", "labels": {"team": "a"}}));
    let written: Vec<_> = plan.writes().filter(|step| !step.key.namespace.is_empty()).collect();
    assert!(written.len() > 3 && written.iter().all(|step| step.key.namespace == "dr"));
    for step in written {
        let Some(object) = realise(&scene.world, step).expect("realised") else { continue };
        assert_eq!(object["metadata"]["namespace"], "dr");
    }
}

#[test]
fn without_permission_a_missing_namespace_is_refused_with_a_hint() {
    let plan = copy().request(|request| request.create_namespace = false).plan();
    assert_eq!(refusals(&plan), [RefusalKind::MissingNamespace]);
    assert!(plan.refusals[0].hint.contains("--create-namespace"));
}

#[test]
fn a_copy_gets_new_identities_and_the_original_keeps_its_own() {
    let scene = copy();
    let plan = scene.plan();
    let object = realise(&scene.world, step_of(&plan, "VirtualMachine/web")).expect("realised").expect("an object");
    let identity = mutate::identity(&object);
    let mac = identity.interfaces[0].mac.clone().expect("an address");
    assert!(mac != "02:00:00:00:00:01" && identity.serial.as_deref() != Some("S1"));
    assert_eq!(plan.identities.len(), 3);
    let reseeded = copy().request(|request| request.mutations.seed = "2".into()).plan();
    assert_ne!(plan.identities, reseeded.identities);
    let kept = copy().request(|request| {
        for policy in [&mut request.mutations.mac, &mut request.mutations.serial, &mut request.mutations.firmware_uuid]
        {
            *policy = IdentityPolicy::Keep;
        }
    });
    assert!(kept.plan().identities.iter().all(|row| row.before == row.after));
}

#[test]
fn a_copy_cannot_take_the_originals_disk() {
    let plan = copy()
        .live([pvc("web-root"), pv("web-root")])
        .request(|request| request.mutations.volumes = "keep".parse().expect("valid"))
        .plan();
    assert!(refusals(&plan).contains(&RefusalKind::VolumeData));
}

#[test]
fn references_into_the_mapped_namespace_are_rewritten_and_others_stay() {
    let machine = vm("web").with_network("prod/net1", "").with_network("shared/net2", "");
    let scene = Scene::captured([machine, network("net1"), network("net2").namespace("shared"), namespace("shared")])
        .live([network("net2").namespace("shared"), namespace("shared")])
        .roots(&["VirtualMachine/web"])
        .request(|request| {
            request.mutations.namespace_map.insert("prod".into(), "dr".into());
            request.create_namespace = true;
        });
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    let object = realise(&scene.world, step_of(&plan, "VirtualMachine/web")).expect("realised").expect("an object");
    let networks: Vec<_> = object["spec"]["template"]["spec"]["networks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|network| network["multus"]["networkName"].clone())
        .collect();
    assert_eq!(networks, [json!("dr/net1"), json!("shared/net2")]);
    assert_eq!(step_of(&plan, "NetworkAttachmentDefinition/net1").key.namespace, "dr");
}

#[test]
fn two_namespaces_that_become_one_must_not_hold_the_same_object() {
    let mut scene = Scene::captured([vm("web"), vm("web").namespace("test"), namespace("test")]);
    scene.request.selection = Selection { all: true, ..Selection::default() };
    scene.request.create_namespace = true;
    for from in ["prod", "test"] {
        scene.request.mutations.namespace_map.insert(from.into(), "dr".into());
    }
    assert!(refusals(&scene.plan()).contains(&RefusalKind::DuplicateDestination));
}

#[test]
fn a_mac_address_in_use_is_refused_in_place_unless_the_user_accepts_it() {
    let machine = || vm("web").with_pod_network("02:00:00:00:00:01");
    let thief = vm("thief").namespace("other").with_pod_network("02-00-00-00-00-01");
    let scene = || Scene::captured([machine()]).live([thief.clone()]).roots(&["VirtualMachine/web"]);
    let plan = scene().plan();
    assert_eq!(refusals(&plan), [RefusalKind::IdentityCollision]);
    assert_eq!(plan.identities[0].also_used_by.len(), 1);
    let plan = scene().request(|request| request.mutations.mac = IdentityPolicy::Keep).plan();
    assert!(plan.refusals.is_empty() && !plan.warnings.is_empty());
    let plan = scene().request(|request| request.mutations.mac = IdentityPolicy::Regenerate).plan();
    assert!(plan.refusals.is_empty() && plan.identities[0].also_used_by.is_empty());
}
