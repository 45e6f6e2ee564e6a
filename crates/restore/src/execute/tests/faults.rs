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
