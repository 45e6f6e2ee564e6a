//! What holds for every plan.

use super::*;
use crate::{realise::make, scene::schema, view::Seen};

fn any_scene() -> impl Strategy<Value = Scene> {
    let captured = proptest::sample::subsequence(
        web()
            .into_iter()
            .chain([pv("web-root"), config_map("c1"), service_account("a1"), vmi("solo"), pvc("solo")])
            .collect::<Vec<_>>(),
        1..=12,
    );
    let live = proptest::sample::subsequence(
        web().into_iter().chain(live_storage()).chain([vm("web").running()]).collect::<Vec<_>>(),
        0..=8,
    );
    let policy = prop_oneof![Just("keep"), Just("rebind"), Just("reimport"), Just("blank")];
    let conflict = prop_oneof![Just(OnConflict::Fail), Just(OnConflict::Skip), Just(OnConflict::Replace)];
    let running = prop_oneof![Just(RunningVm::Refuse), Just(RunningVm::Live), Just(RunningVm::Stop)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let strategy = prop_oneof![Just(RunStrategy::Keep), Just(RunStrategy::Set("Manual".into()))];
    (captured, live, policy, conflict, running, flags, strategy).prop_map(
        |(captured, live, policy, on_conflict, running, flags, run_strategy)| {
            let (copy, create_namespace, cluster_scoped, allow_missing, mark) = flags;
            let mut scene = Scene::captured(captured).live(live);
            scene.request.selection = Selection { all: true, ..Selection::default() };
            scene.request.mutations.volumes = policy.parse().expect("valid");
            scene.request.mutations.run_strategy = run_strategy;
            scene.request.mutations.mark = mark;
            scene.request.on_conflict = on_conflict;
            scene.request.running = running;
            scene.request.create_namespace = create_namespace;
            scene.request.cluster_scoped = cluster_scoped;
            scene.request.allow_missing = allow_missing;
            if copy {
                scene.request.mutations.namespace_map.insert("prod".into(), "dr".into());
            }
            scene
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn planning_twice_gives_equal_bytes(scene in any_scene()) {
        let (one, other) = (scene.plan(), scene.plan());
        prop_assert_eq!(one.to_json().expect("JSON"), other.to_json().expect("JSON"));
        let text = one.to_json().expect("JSON");
        let read: RestorePlan = serde_json::from_str(&text).expect("a plan");
        prop_assert_eq!(read.to_json().expect("JSON"), text.clone());
        schema::check("plan.schema.json", &serde_json::from_str(&text).expect("JSON"));
    }

    #[test]
    fn every_captured_object_is_in_the_plan_exactly_once(scene in any_scene()) {
        let plan = scene.plan();
        for key in scene.world.keys() {
            let steps = plan.steps.iter().filter(|step| step.from == *key && step.action.of_object()).count();
            prop_assert_eq!(steps, 1, "{}\n{}", key, shown(&plan));
        }
        for step in plan.steps.iter().filter(|step| matches!(step.action, Action::Skip | Action::Refuse | Action::Keep)) {
            prop_assert!(!step.notes.is_empty(), "{} has a reason", step.key);
        }
        let refused = plan.steps.iter().any(|step| step.action == Action::Refuse);
        prop_assert!(!refused || !plan.refusals.is_empty(), "what is refused is explained\n{}", shown(&plan));
    }

    #[test]
    fn the_archive_yields_the_planned_objects_again_and_mutating_twice_is_mutating_once(scene in any_scene()) {
        for step in &scene.plan().steps {
            let Some(object) = realise(&scene.world, step).expect("the same bytes") else { continue };
            prop_assert_eq!(Some(digest(&object).expect("a digest")), step.object_digest);
            let (again, _) = make(&object, &step.mutations);
            // Marks of CDI and names of volumes are taken away by the rules and put back by the mutations.
            prop_assert_eq!(again, object, "{}", step.key);
        }
    }

    #[test]
    fn no_machine_is_switched_on_over_a_disk_without_data_that_the_user_did_not_choose(scene in any_scene()) {
        let plan = scene.plan();
        prop_assume!(plan.refusals.is_empty());
        for volume in &plan.volumes {
            prop_assert_ne!(volume.data_source, crate::DataSource::None);
            if volume.data_source == crate::DataSource::Keep {
                prop_assert!(scene.live.iter().any(|live| live["metadata"]["name"] == volume.claim.name.as_str()));
            }
        }
    }

    #[test]
    fn what_was_observed_is_all_that_a_plan_looks_at(scene in any_scene()) {
        let needs = needs(&scene.world, &scene.request).expect("needs");
        let view = scene.view().expect("a view");
        let looked_for: Vec<_> = view.objects.keys().cloned().collect();
        let mut named = view.clone();
        named.objects.retain(|key, _| needs.keys.contains(key));
        // Owners of what was found, and theirs.
        for _ in 0..crate::ownership::GENERATIONS {
            let owners = crate::ownership::unseen(&named);
            named.objects.extend(owners.into_iter().map(|key| (key.clone(), view.objects[&key].clone())));
        }
        prop_assert_eq!(looked_for, named.objects.into_keys().collect::<Vec<_>>());
        let absent = TargetView { objects: view.objects.keys().map(|key| (key.clone(), Seen::Absent)).collect(), ..view };
        prop_assert!(plan(&scene.world, &scene.request, &absent, Timestamp::MIN).is_ok());
    }
}
