//! Lost answers, conflicts, refusals, cuts: at every write.

use super::*;

/// Faults at write `at`, all well otherwise.
fn schedule(at: usize, fault: Fault) -> Vec<Fault> {
    std::iter::repeat_n(Fault::None, at).chain([fault]).collect()
}

#[test]
fn a_lost_answer_or_a_lost_request_at_any_write_changes_nothing_in_the_end() {
    for scene in [deleted as fn() -> Scene, || changed(RunningVm::Stop), || changed(RunningVm::Live)] {
        let well = Stage::of(scene());
        well.execute().expect("executed");
        let names: Vec<String> = well.fake.snapshot().into_keys().collect();
        for fault in [Fault::Lost, Fault::AnswerLost] {
            for at in 0..well.writes() {
                let stage = Stage::of(scene());
                stage.fake.schedule(schedule(at, fault));
                let outcome = stage.execute().unwrap_or_else(|error| panic!("{fault:?} at write {at}: {error}"));
                assert!(outcome.verification.is_good(), "{fault:?} at write {at}");
                assert_eq!(stage.fake.snapshot().into_keys().collect::<Vec<_>>(), names);
                let creates = stage.fake.log().iter().filter(|line| line.starts_with("create")).count();
                assert_eq!(creates, stage.plan.writes().filter(|step| step.action == Action::Create).count());
            }
        }
    }
}

#[test]
fn a_conflict_is_read_again_and_tried_again_only_while_nothing_that_matters_moved() {
    let stage = Stage::of(changed(RunningVm::Live));
    stage.fake.schedule([Fault::Conflict, Fault::Conflict]);
    assert!(stage.execute().expect("executed").verification.is_good());
}

#[test]
fn a_controller_that_writes_before_us_many_times_in_a_row_does_not_end_a_restore_and_one_without_end_does() {
    for scene in [|| changed(RunningVm::Live), || changed(RunningVm::Stop)] {
        let stage = Stage::of(scene());
        stage.fake.schedule(std::iter::repeat_n(Fault::Conflict, RACES as usize));
        assert!(stage.execute().expect("executed").verification.is_good());
        let stage = Stage::of(scene());
        stage.fake.schedule(std::iter::repeat_n(Fault::Conflict, RACES as usize + 1));
        assert_eq!(stage.execute().expect_err("it never gets its turn").kind(), ErrorKind::Conflict);
        assert!(stage.fake.log().is_empty());
        let journal = stage.journal();
        assert!(stage.plan.writes().all(|step| journal.progressed(step.id) == Progressed::Open));
    }
}

#[test]
fn an_execution_that_is_cut_at_any_write_is_resumed_to_the_same_end() {
    let well = Stage::of(deleted());
    for at in 0..well.writes() {
        let stage = Stage::of(deleted());
        stage.fake.schedule(schedule(at, Fault::Forbidden));
        let error = stage.execute().expect_err("cut");
        let expected = if at == 0 { ErrorKind::Denied } else { ErrorKind::Partial };
        assert_eq!(error.kind(), expected, "write {at}: {error}");
        let outcome = stage.resume().unwrap_or_else(|error| panic!("write {at}: {error}"));
        // What was on its way beside the one that failed was waited for, and is done.
        assert!(outcome.already_done >= at, "write {at}: {outcome:?}");
        assert_eq!(outcome.already_done + outcome.done, stage.writes());
        assert!(outcome.verification.is_good(), "write {at}");
    }
}

#[test]
fn a_cut_between_the_write_and_its_journal_entry_is_resolved_by_comparing() {
    let well = Stage::of(deleted());
    for at in 0..well.writes() {
        let stage = Stage::of(deleted());
        // The answer is lost, and so is every attempt to find out: as after a kill at that moment.
        let faults =
            schedule(at, Fault::AnswerLost).into_iter().chain(std::iter::repeat_n(Fault::Lost, ATTEMPTS as usize));
        stage.fake.schedule(faults);
        let cut = stage.execute();
        stage.fake.schedule([]);
        if let Err(error) = cut {
            assert_eq!(error.kind(), ErrorKind::Partial, "write {at}: {error}");
        }
        let outcome = stage.resume().unwrap_or_else(|error| panic!("write {at}: {error}"));
        assert!(outcome.verification.is_good(), "write {at}");
    }
}

#[test]
fn what_somebody_else_created_meanwhile_is_not_taken_over() {
    let stage = Stage::of(deleted());
    let path = stage.folder.path().join("journal");
    let mut journal = Journal::create(&path, &stage.plan, Timestamp::MIN).expect("created");
    // Even one that is equal: it is theirs, and an undo must not delete it.
    let foreign = secret("web-ci").uid("theirs").json();
    let raced = Fake::of(&stage.scene.live.iter().cloned().chain([foreign.clone()]).collect::<Vec<_>>());
    let stage = Stage { fake: raced, ..stage };
    // The plan was checked before it came.
    let error = stage.with_run(|run| block_on(carry_out(&stage.plan, run, &mut journal))).expect_err("in the way");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stage.fake.live(&key("Secret/web-ci")), Some(foreign));
}

#[test]
fn a_stop_by_the_user_leaves_nothing_half_done() {
    let well = Stage::of(deleted());
    for after in 0..well.writes() {
        let stage = Stage::of(deleted());
        stage.stop_after.store(after, Ordering::Relaxed);
        assert_eq!(stage.execute().expect_err("stopped").kind(), ErrorKind::Cancelled);
        assert_eq!(stage.fake.log().len(), after);
        stage.stop_after.store(usize::MAX, Ordering::Relaxed);
        assert!(stage.resume().expect("resumed").verification.is_good());
    }
}

#[test]
fn a_server_that_is_too_busy_for_a_write_is_asked_again_and_nothing_is_written_twice() {
    for scene in [deleted as fn() -> Scene, || changed(RunningVm::Stop), || changed(RunningVm::Live)] {
        let well = Stage::of(scene());
        well.execute().expect("executed");
        for at in 0..well.writes() {
            let stage = Stage::of(scene());
            stage.fake.schedule(schedule(at, Fault::Busy));
            let outcome = stage.execute().unwrap_or_else(|error| panic!("busy at write {at}: {error}"));
            assert!(outcome.verification.is_good(), "busy at write {at}");
            assert_eq!(stage.fake.log().len(), well.fake.log().len(), "busy at write {at}");
        }
    }
}

#[test]
fn a_server_that_stays_too_busy_ends_the_restore_with_nothing_in_the_dark() {
    let stage = Stage::of(deleted());
    stage.fake.schedule(std::iter::repeat_n(Fault::Busy, ATTEMPTS as usize));
    assert_eq!(stage.execute().expect_err("busy").kind(), ErrorKind::Unavailable);
    let journal = stage.journal();
    assert!(stage.plan.writes().all(|step| journal.progressed(step.id) == Progressed::Open));
}

/// A machine that needs another revision than the one that is there: it is deleted and created.
fn recreated() -> Stage {
    let machine = vm("web")
        .with_instancetype("VirtualMachineInstancetype", "small")
        .with_revision_in_status("instancetype", "r1");
    let other = revision("r1", &machine).set("data.spec.cpu.guest", 9);
    Stage::of(
        Scene::captured([revision("r1", &machine), machine.clone()])
            .live([other])
            .roots(&["VirtualMachine/web"])
            .request(|request| request.on_conflict = OnConflict::Replace),
    )
}

/// Where in the order of writes something is done.
fn place_of(done: &str) -> usize {
    let well = recreated();
    well.execute().expect("executed");
    well.fake.log().iter().position(|line| line.starts_with(done)).expect("it is done")
}

#[test]
fn what_was_deleted_and_is_refused_when_created_again_is_put_back_by_undo_and_made_by_a_resumed_run() {
    let at = place_of("create ControllerRevision");
    for resumed in [false, true] {
        let stage = recreated();
        stage.fake.schedule(schedule(at, Fault::Forbidden));
        assert_eq!(stage.execute().expect_err("refused").kind(), ErrorKind::Partial);
        assert!(stage.fake.live(&key("ControllerRevision/r1")).is_none(), "it was deleted");
        if resumed {
            assert!(stage.resume().expect("resumed").verification.is_good());
        } else {
            let outcome = stage.undo();
            assert!(outcome.left.is_empty(), "{outcome:?}");
        }
        let revision = stage.fake.live(&key("ControllerRevision/r1")).expect("it is there");
        assert_eq!(revision["data"]["spec"]["cpu"]["guest"], if resumed { 1 } else { 9 });
    }
}

#[test]
fn a_deletion_that_is_refused_or_never_arrives_leaves_nothing_to_take_back() {
    let at = place_of("delete ControllerRevision");
    for fault in [Fault::Forbidden, Fault::Lost] {
        let stage = recreated();
        let before = stage.fake.snapshot();
        stage.fake.schedule(schedule(at, fault).into_iter().chain(std::iter::repeat_n(Fault::Forbidden, 9)));
        stage.execute().expect_err("refused");
        stage.fake.schedule([]);
        let outcome = stage.undo();
        assert!(outcome.left.is_empty(), "{fault:?}: {outcome:?}");
        assert_eq!(stage.fake.snapshot(), before, "{fault:?}");
    }
}

#[test]
fn what_may_have_been_written_by_a_request_without_answer_is_taken_back_or_named() {
    for scene in [deleted as fn() -> Scene, || changed(RunningVm::Stop), || changed(RunningVm::Live)] {
        let well = Stage::of(scene());
        for at in 0..well.writes() {
            let stage = Stage::of(scene());
            let before = stage.fake.snapshot();
            let refusals = std::iter::repeat_n(Fault::Forbidden, 50);
            stage.fake.schedule(schedule(at, Fault::AnswerLost).into_iter().chain(refusals));
            drop(stage.execute());
            stage.fake.schedule([]);
            let left: Vec<String> = stage.undo().left.into_iter().map(|left| left.key.to_string()).collect();
            let machines = |key: &&String| !key.starts_with("VirtualMachineInstance");
            for name in stage.fake.snapshot().keys().filter(machines) {
                assert!(before.contains_key(name) || left.contains(name), "write {at}: {name} is passed over");
            }
        }
    }
}

#[test]
fn an_object_that_may_be_ours_and_is_not_as_wanted_is_left_and_named_by_undo() {
    let stage = Stage::of(deleted());
    let step = stage.plan.writes().find(|step| step.key == key("Secret/web-ci")).expect("a step");
    let mut journal =
        Journal::create(&stage.folder.path().join("journal"), &stage.plan, Timestamp::MIN).expect("created");
    let event = Event::Intent { previous: None };
    journal.append(Entry { t: Timestamp::MIN, step: step.id, key: step.key.clone(), event }).expect("written");
    drop(journal);
    // A create of ours, changed by the server on its way in.
    let there = secret("web-ci").uid("perhaps-ours").set("data", json!({"by": "c2VydmVy"})).json();
    let fake = Fake::of(&stage.scene.live.iter().cloned().chain([there.clone()]).collect::<Vec<_>>());
    let stage = Stage { fake, ..stage };
    assert_eq!(stage.resume().expect_err("in the way").kind(), ErrorKind::Partial);
    let outcome = stage.undo();
    assert!(outcome.left.iter().any(|left| left.key == key("Secret/web-ci")), "{outcome:?}");
    assert_eq!(stage.fake.live(&key("Secret/web-ci")), Some(there));
}
