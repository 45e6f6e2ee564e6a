//! Steps at the same time: what may overlap, what may not, and what a failure leaves.

use super::*;

/// A machine that needs many secrets, and forty more machines that need nothing.
fn many() -> Scene {
    let secrets: Vec<String> = (0..40).map(|number| format!("s{number:02}")).collect();
    let machine = secrets.iter().fold(vm("web"), |machine, name| machine.with_secret(name));
    let objects = secrets.iter().map(|name| secret(name)).chain([machine]);
    Scene::captured(objects).roots(&["VirtualMachine/web"])
}

#[test]
fn steps_of_one_wave_are_on_their_way_together_but_never_more_than_sixteen() {
    let stage = Stage::of(many());
    let outcome = stage.execute().expect("executed");
    assert!(outcome.verification.is_good() && outcome.done == 41, "{outcome:?}");
    assert_eq!(stage.fake.most_at_once(), 16);
}

#[test]
fn a_wave_is_done_before_the_next_one_begins() {
    let stage = Stage::of(many());
    stage.execute().expect("executed");
    let reported = stage.progress.0.lock().expect("a lock").clone();
    let at = |wanted: (u32, StepState)| reported.iter().position(|one| *one == wanted).expect("reported");
    let wave = |id: u32| stage.plan.steps.iter().find(|step| step.id == id).expect("a step").wave;
    let ids: Vec<u32> = stage.plan.writes().map(|step| step.id).collect();
    for (before, after) in ids.iter().flat_map(|one| ids.iter().map(move |other| (*one, *other))) {
        if wave(before) < wave(after) {
            assert!(at((before, StepState::Done)) < at((after, StepState::Started)), "{before} before {after}");
        }
    }
}

#[test]
fn when_a_step_fails_no_other_begins_and_those_on_their_way_are_journaled_to_their_end() {
    let stage = Stage::of(many());
    stage.fake.schedule([Fault::None, Fault::Forbidden]);
    let error = stage.execute().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Partial, "{error}");
    let written = stage.fake.log().len();
    assert!((1..=16).contains(&written), "{:?}", stage.fake.log());
    let journal = stage.journal();
    let is = |wanted: Progressed| stage.plan.writes().filter(|step| journal.progressed(step.id) == wanted).count();
    assert_eq!((is(Progressed::Done), is(Progressed::Begun)), (written, 0), "nothing is left in the dark");
    assert!(matches!(error, RestoreError::Partial { done, total: 41, .. } if done == written), "{error:?}");
    drop(journal);
    let outcome = stage.resume().expect("resumed");
    assert_eq!((outcome.already_done, outcome.done), (written, 41 - written));
}

#[test]
fn a_stop_by_the_user_waits_for_what_is_on_its_way() {
    let stage = Stage::of(many());
    stage.stop_after.store(20, Ordering::Relaxed);
    let error = stage.execute().expect_err("stopped");
    assert!(matches!(error, RestoreError::Cancelled { done: 20, total: 41 }), "{error:?}");
    assert_eq!(stage.fake.log().len(), 20);
    let journal = stage.journal();
    assert!(stage.plan.writes().all(|step| journal.progressed(step.id) != Progressed::Begun));
}

#[test]
fn every_write_is_journaled_before_it_is_sent() {
    let stage = Stage::of(many());
    stage.execute().expect("executed");
    let journal = stage.journal();
    for step in stage.plan.writes() {
        let events: Vec<&Event> =
            journal.entries().iter().filter(|entry| entry.step == step.id).map(|entry| &entry.event).collect();
        assert!(matches!(events[..], [Event::Intent { .. }, Event::Done { .. }]), "{events:?}");
    }
}

#[test]
fn steps_about_one_object_go_one_after_the_other() {
    let claim = pvc("data").owned_by(&vm("gone1")).json();
    let mut claim = Build::from_json(claim);
    for name in ["gone2", "gone3"] {
        claim = claim.owned_by(&vm(name));
    }
    let machine = vm("web").with_pvc("data");
    let scene = Scene::captured([machine, pvc("data")]).live([claim, pv("data")]).roots(&["VirtualMachine/web"]);
    let stage = Stage::of(scene);
    let releases = stage.plan.steps.iter().filter(|step| step.action == Action::ReleaseOwner).count();
    assert_eq!(releases, 3, "{}", shown(&stage.plan));
    assert!(stage.execute().expect("executed").verification.is_good());
    assert!(
        stage.fake.live(&key("PersistentVolumeClaim/data")).expect("there")["metadata"]["ownerReferences"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    assert_eq!(stage.fake.most_at_once(), 1);
}
