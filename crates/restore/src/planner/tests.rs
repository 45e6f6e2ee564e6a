use proptest::prelude::*;
use vmrewind_graph::mutate;
use vmrewind_testkit::build::{
    Build, config_map, dv, launcher_pod, namespace, network, priority_class, pv, pvc, revision, secret,
    service_account, storage_class, vm, vmi, vmi_of,
};

use super::*;
use crate::{
    LabelSelector, Mutation, OnConflict, RunStrategy, RunningVm, Selection, WithDeps, needs,
    plan::Action,
    realise,
    realise::digest,
    scene::{Scene, action, key, place, refusals, shown, step_of},
};

mod conflicts;
mod copies;
mod departed;
mod disks;
mod guest;
mod laws;
mod ties;

/// A VM with a template disk, its DataVolume, claim and Secret, captured while it ran.
fn web() -> Vec<Build> {
    let machine = vm("web").running().with_template_disk("web-root").with_cloud_init_secret("web-ci");
    let disk = dv("web-root").owned_by(&machine);
    let claim = pvc("web-root").owned_by(&disk);
    let instance = vmi_of(&machine);
    let launcher = launcher_pod("virt-launcher-web", &instance);
    vec![machine, disk, claim, secret("web-ci"), instance, launcher, storage_class("fast")]
}

fn live_storage() -> Vec<Build> {
    vec![pvc("web-root"), pv("web-root"), storage_class("fast")]
}

fn deleted_web() -> Scene {
    Scene::captured(web()).live(live_storage()).roots(&["VirtualMachine/web"])
}

#[test]
fn a_deleted_machine_comes_back_on_its_live_disk_and_is_switched_on_last() {
    let plan = deleted_web().plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(action(&plan, "PersistentVolumeClaim/web-root"), Action::Keep);
    assert_eq!(action(&plan, "Secret/web-ci"), Action::Create);
    let disk = step_of(&plan, "DataVolume/web-root");
    assert_eq!(disk.mutations, [Mutation::Prepopulated { claim: "web-root".into() }]);
    let machine = step_of(&plan, "VirtualMachine/web");
    assert!(machine.mutations.contains(&Mutation::Halt), "{machine:?}");
    assert_eq!(action(&plan, "VirtualMachineInstance/web"), Action::Skip);
    assert_eq!(action(&plan, "Pod/virt-launcher-web"), Action::Skip);
    let order = [
        step_of(&plan, "Secret/web-ci").id,
        disk.id,
        machine.id,
        place(&plan, Action::PatchOwner, "DataVolume/web-root"),
        place(&plan, Action::Power, "VirtualMachine/web"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(plan.steps.last().map(|step| step.action), Some(Action::Power));
}

#[test]
fn every_applied_rule_stands_in_the_plan_with_its_reason() {
    let plan = deleted_web().plan();
    let rules = &step_of(&plan, "VirtualMachine/web").rules;
    assert!(
        rules
            .iter()
            .any(|rule| rule.rule == "server-metadata" && rule.path == "metadata.uid" && !rule.reason.is_empty())
    );
    assert!(rules.iter().any(|rule| rule.rule == "status"));
}

#[test]
fn what_exists_and_is_equal_is_unchanged_and_nothing_is_written() {
    let live: Vec<Build> = web().into_iter().filter(|build| build.name() != "virt-launcher-web").collect();
    let plan = Scene::captured(web()).live(live).live([pv("web-root")]).roots(&["VirtualMachine/web"]).plan();
    assert!(plan.is_noop() && plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(action(&plan, "VirtualMachine/web"), Action::Unchanged);
}

#[test]
fn the_power_state_follows_the_capture_or_the_users_choice() {
    let with = |machine: Build, choice: &str| {
        let machine = machine.with_firmware("5d307ca9-b3ef-428c-8861-06e72d69f223", "S1");
        let instance = vmi_of(&machine);
        let scene = Scene::captured([machine, instance]).roots(&["VirtualMachine/web"]);
        scene.request(|request| request.mutations.run_strategy = choice.parse().expect("valid")).plan()
    };
    let strategy = |name: &str| vec![Mutation::Power { to: mutate::Power::RunStrategy(name.into()) }];
    let of = |plan: &RestorePlan, action| {
        plan.steps.iter().find(|step| step.action == action).map(|step| step.mutations.clone())
    };
    assert_eq!(of(&with(vm("web").running(), "keep"), Action::Power), Some(strategy("Always")));
    let plan = with(vm("web").with_running_field(true), "keep");
    assert_eq!(of(&plan, Action::Power), Some(vec![Mutation::Power { to: mutate::Power::Running(true) }]));
    let plan = with(vm("web"), "Always");
    assert_eq!((of(&plan, Action::Create), of(&plan, Action::Power)), (Some(Vec::new()), Some(strategy("Always"))));
    let plan = with(vm("web").with_running_field(true), "Halted");
    assert_eq!((of(&plan, Action::Create), of(&plan, Action::Power)), (Some(strategy("Halted")), None));
    let plan = with(vm("web").set("spec.runStrategy", "Manual"), "keep");
    assert!(of(&plan, Action::Start).is_some(), "its instance ran:\n{}", shown(&plan));
    let plan = Scene::captured([vm("web").set("spec.runStrategy", "Once")]).roots(&["VirtualMachine/web"]).plan();
    assert!(of(&plan, Action::Power).is_none() && plan.warnings.iter().any(|warning| warning.message.contains("Once")));
}

#[test]
fn dependencies_come_along_with_a_machine_selected_by_label() {
    let mut objects = web();
    objects[0] = objects[0].clone().label("app", "web");
    let mut scene = Scene::captured(objects).live(live_storage());
    scene.request.selection.labels = Some("app=web".parse::<LabelSelector>().expect("valid"));
    let plan = scene.plan();
    for object in ["VirtualMachine/web", "DataVolume/web-root", "Secret/web-ci"] {
        assert_eq!(action(&plan, object), Action::Create);
    }
}

#[test]
fn nothing_of_an_excluded_namespace_is_restored() {
    let mut scene = Scene::captured([vm("web"), vm("other").namespace("secret-ns"), namespace("secret-ns")]);
    scene.request.selection =
        Selection { all: true, exclude_namespaces: vec!["secret-ns".into()], ..Selection::default() };
    let plan = scene.plan();
    assert!(plan.steps.iter().all(|step| step.from.namespace != "secret-ns" && step.from.name != "secret-ns"));
    assert_eq!(action(&plan, "VirtualMachine/web"), Action::Create);
}

#[test]
fn an_instance_whose_machine_is_not_selected_is_not_restored_and_that_is_no_failure() {
    let machine = vm("web").running();
    let scene = Scene::captured([vmi_of(&machine), machine]).roots(&["VirtualMachineInstance/web"]);
    let plan = scene.plan();
    assert_eq!(action(&plan, "VirtualMachineInstance/web"), Action::Skip);
    assert!(plan.refusals.is_empty());
}

#[test]
fn a_lone_instance_is_restored_with_its_claim_and_its_pod_is_left_to_the_controller() {
    let instance = vmi("solo").with_pvc("solo-data");
    let pod = launcher_pod("virt-launcher-solo", &instance);
    let scene = Scene::captured([instance, pod, pvc("solo-data")])
        .live([pvc("solo-data")])
        .roots(&["VirtualMachineInstance/solo"]);
    let plan = scene.plan();
    assert_eq!(action(&plan, "VirtualMachineInstance/solo"), Action::Create);
    assert_eq!(action(&plan, "Pod/virt-launcher-solo"), Action::Skip);
}

#[test]
fn revisions_come_before_the_machine_bind_it_and_get_it_as_their_owner() {
    let machine = vm("web")
        .with_instancetype("VirtualMachineInstancetype", "small")
        .with_revision_in_status("instancetype", "web-small-v1");
    let scene = Scene::captured([revision("web-small-v1", &machine), machine]).roots(&["VirtualMachine/web"]);
    let plan = scene.plan();
    assert!(plan.refusals.is_empty(), "a stored revision is enough:\n{}", shown(&plan));
    let stored = step_of(&plan, "ControllerRevision/web-small-v1").id;
    let made = step_of(&plan, "VirtualMachine/web").id;
    assert!(stored < made && made < place(&plan, Action::PatchOwner, "ControllerRevision/web-small-v1"));
    let object = realise(&scene.world, step_of(&plan, "VirtualMachine/web")).expect("realised").expect("an object");
    assert_eq!(object["spec"]["instancetype"]["revisionName"], "web-small-v1");
}

#[test]
fn everything_a_machine_names_comes_back_into_an_empty_namespace() {
    let machine = vm("web")
        .with_secret("s1")
        .with_config_map("c1")
        .with_service_account("a1")
        .with_ssh_key("s2")
        .with_password("s3")
        .with_network("net1", "");
    let objects =
        [machine, secret("s1"), secret("s2"), secret("s3"), config_map("c1"), service_account("a1"), network("net1")];
    let plan = Scene::captured(objects.clone()).roots(&["VirtualMachine/web"]).plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(plan.summary.actions["create"], objects.len());
}

#[test]
fn what_neither_archive_nor_target_has_is_refused_unless_it_was_missing_at_the_time_too() {
    let machine = vm("web").with_secret("s1");
    let scene = || Scene::captured([machine.clone()]).roots(&["VirtualMachine/web"]);
    let plan = scene().plan();
    assert_eq!(refusals(&plan), [RefusalKind::MissingPrerequisite], "secrets are captured by name: unknown");
    assert_eq!((plan.missing[0].presence.as_str(), plan.missing[0].in_target.as_str()), ("unknown", "absent"));
    assert!(scene().live([secret("s1")]).plan().refusals.is_empty());
    assert!(scene().request(|request| request.allow_missing = true).plan().refusals.is_empty());
    let machine = vm("web").with_network("net1", "");
    let plan = Scene::captured([machine]).roots(&["VirtualMachine/web"]).plan();
    assert!(plan.refusals.is_empty() && plan.missing[0].presence == "absent", "networks are always captured");
    assert!(plan.warnings.iter().any(|warning| warning.message.contains("missing already")));
}

#[test]
fn a_priority_class_that_the_target_lacks_is_refused_and_created_only_on_request() {
    let machine = vm("web").set_template("priorityClassName", "gold");
    let scene = || Scene::captured([machine.clone(), priority_class("gold")]).roots(&["VirtualMachine/web"]);
    assert_eq!(refusals(&scene().plan()), [RefusalKind::MissingPrerequisite]);
    let plan = scene().request(|request| request.cluster_scoped = true).plan();
    assert_eq!(action(&plan, "PriorityClass/gold"), Action::Create);
    let plan = scene().live([priority_class("gold").set("value", 5)]).plan();
    assert_eq!(action(&plan, "PriorityClass/gold"), Action::Keep, "it is never changed");
}

#[test]
fn a_secret_whose_content_is_withheld_is_taken_from_the_target_or_refused() {
    let machine = vm("web").with_secret("s1");
    let mut scene = Scene::captured([machine]).roots(&["VirtualMachine/web"]);
    scene.world = scene.world.with_withheld(key("Secret/s1"));
    assert_eq!(refusals(&scene.plan()), [RefusalKind::Withheld]);
    let scene = scene.live([secret("s1")]);
    assert_eq!(action(&scene.plan(), "Secret/s1"), Action::Keep);
}

#[test]
fn a_kind_that_the_target_does_not_serve_is_refused_and_another_version_is_chosen() {
    let mut scene = deleted_web();
    scene.unserved = vec!["DataVolume"];
    assert!(refusals(&scene.plan()).contains(&RefusalKind::MissingKind));
    let old = vm("web").set("apiVersion", "kubevirt.io/v1alpha3");
    let plan = Scene::captured([old]).roots(&["VirtualMachine/web"]).plan();
    let to = "kubevirt.io/v1".to_owned();
    assert_eq!(step_of(&plan, "VirtualMachine/web").mutations[0], Mutation::ApiVersion { to });
}

#[test]
fn a_request_that_names_nothing_is_an_error() {
    let scene = Scene::captured([vm("web")]).roots(&["VirtualMachine/wep"]);
    assert!(matches!(scene.try_plan(), Err(RestoreError::NoSuchObject { .. })));
    let mut scene = Scene::captured([vm("web")]);
    scene.request.selection.labels = Some("app=none".parse().expect("valid"));
    assert!(matches!(scene.try_plan(), Err(RestoreError::NothingSelected)));
    let scene = deleted_web().request(|request| request.mutations.volumes = "web/rot=blank".parse().expect("valid"));
    let error = scene.try_plan().expect_err("no such volume");
    assert!(error.hint().expect("a hint").contains("web/web-root"), "{:?}", error.hint());
}

#[test]
fn only_the_machine_is_restored_without_dependencies_and_what_it_lacks_is_refused() {
    let scene = || deleted_web().request(|request| request.selection.with_deps = WithDeps::None);
    let plan = scene().plan();
    assert_eq!(refusals(&plan), [RefusalKind::MissingPrerequisite], "its secret is not selected:\n{}", shown(&plan));
    assert!(plan.missing.iter().any(|missing| missing.presence == "not selected"));
    let plan = scene().live([secret("web-ci")]).plan();
    assert!(plan.refusals.is_empty(), "{}", shown(&plan));
    assert_eq!(plan.volumes[0].data_source, crate::DataSource::Keep);
}

#[test]
fn what_kubectl_remembers_is_dropped_where_the_object_is_not_what_was_applied() {
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let of = |machine: Build| {
        let scene = Scene::captured([machine]).roots(&["VirtualMachine/web"]);
        let plan =
            scene.request(|request| request.mutations.firmware_uuid = "regenerate".parse().expect("valid")).plan();
        step_of(&plan, "VirtualMachine/web").mutations.contains(&Mutation::DropLastApplied)
    };
    assert!(of(vm("web").annotation(LAST, "{}")));
    assert!(!of(vm("web")));
}

#[test]
fn the_mark_is_left_only_on_request() {
    let plan = deleted_web().request(|request| request.mutations.mark = true).plan();
    let marked =
        |text: &str| step_of(&plan, text).mutations.iter().any(|mutation| matches!(mutation, Mutation::Mark { .. }));
    assert!(marked("VirtualMachine/web") && marked("Secret/web-ci"));
}

#[test]
fn a_namespace_that_is_selected_alone_comes_with_a_warning_that_it_is_empty() {
    let mut scene =
        Scene::captured(web()).roots(&["Namespace/prod"]).request(|request| request.create_namespace = true);
    scene.live.clear();
    let plan = scene.plan();
    assert_eq!(action(&plan, "Namespace/prod"), Action::Create);
    assert!(plan.warnings.iter().any(|warning| warning.message.contains("--namespace prod")), "{}", shown(&plan));
    let plan = deleted_web().plan();
    assert!(!plan.warnings.iter().any(|warning| warning.message.contains("--namespace")), "{}", shown(&plan));
}
