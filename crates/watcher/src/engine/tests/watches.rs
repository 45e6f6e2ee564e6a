//! The watch: order, duplicates, catching up, times, troubles.

use std::time::Duration;

use serde_json::json;
use vmrewind_model::{Change, Era, ProofState};

use super::rig::{POD, Rig, SECRET, VM, at, specs};
use crate::engine::{Event, Failure, Input};

#[test]
fn lists_roots_first_then_watches_and_records_what_changes() {
    let mut rig = Rig::new();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.discover(specs());
    rig.tick(1);
    rig.settle();
    assert_eq!(rig.lines(), ["S VirtualMachine/a 101 late", "S Pod/p 102 late"], "nothing is known of before");
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    rig.server.put("VirtualMachine", "b", json!({}));
    rig.server.delete("VirtualMachine", "a");
    rig.settle();
    assert_eq!(rig.lines()[2..], ["M VirtualMachine/a 103", "A VirtualMachine/b 104", "D VirtualMachine/a 105"]);
    assert!(rig.state.status(rig.now).reasons().is_empty(), "{:?}", rig.state.status(rig.now).reasons());
}

#[test]
fn seq_has_no_holes_and_time_increases_strictly_even_if_the_clock_goes_back() {
    let mut rig = Rig::started();
    for n in 0..5 {
        rig.server.put("VirtualMachine", "a", json!({"n": n}));
        rig.settle();
        rig.now = rig.now.minus(Duration::from_secs(3));
    }
    let records = rig.records();
    assert!(records.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq && pair[0].t < pair[1].t));
    assert_eq!(records[0].seq.0, 1);
}

#[test]
fn resumes_where_the_archive_ends_without_a_list() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    rig.commit();
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    rig.tick(30);
    rig.crash();
    let lists = rig.asked.iter().filter(|action| matches!(action, crate::engine::Action::List(..))).count();
    assert_eq!(lists, 0);
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101", "M VirtualMachine/a 102 late"]);
    let late = rig.records()[1];
    assert!(late.lo < Some(late.t) && late.lo >= Some(rig.records()[0].t), "between the last proof and now");
}

#[test]
fn is_late_until_the_watch_has_passed_the_version_of_the_probe_and_then_proven_at_once() {
    let mut rig = Rig::started();
    rig.commit();
    rig.server.put("Secret", "foreign", json!({}));
    rig.tick(30);
    rig.crash();
    while rig.answer() {}
    assert_eq!(rig.entry(VM).state, ProofState::Late);
    assert!(!rig.state.status(rig.now).reasons().is_empty());
    rig.deliver(&Rig::id(VM));
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    assert_eq!(rig.entry(VM).proven_at, Some(at(30)));
}

#[test]
fn is_live_at_once_if_nothing_happened_since_the_resume_point() {
    let mut rig = Rig::started();
    rig.commit();
    rig.tick(30);
    rig.crash();
    while rig.answer() {}
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    assert_eq!(rig.entry(VM).proven_at, Some(at(30)));
}

#[test]
fn a_change_after_the_probe_is_not_late() {
    let mut rig = Rig::started();
    rig.commit();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.tick(30);
    rig.crash();
    while rig.answer() {}
    rig.server.put("VirtualMachine", "b", json!({}));
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101 late", "A VirtualMachine/b 102"]);
}

#[test]
fn catches_up_with_short_watches_and_then_keeps_long_ones() {
    let mut rig = Rig::started();
    assert!(rig.timeouts.iter().all(|timeout| *timeout >= Duration::from_secs(50)));
    rig.timeouts.clear();
    rig.commit();
    rig.server.put("Secret", "foreign", json!({}));
    rig.crash();
    while rig.answer() {}
    assert!(rig.timeouts.iter().all(|timeout| *timeout == Duration::from_secs(4)), "{:?}", rig.timeouts);
    rig.settle();
    rig.timeouts.clear();
    rig.tick(1);
    rig.end_watch(&Rig::id(VM), Ok(()));
    rig.settle();
    assert!(rig.timeouts[0] >= Duration::from_secs(50));
}

#[test]
fn stays_live_over_the_clean_end_of_a_watch() {
    let mut rig = Rig::started();
    rig.tick(2);
    rig.server.put("Secret", "foreign", json!({}));
    rig.end_watch(&Rig::id(VM), Ok(()));
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    while rig.answer() {}
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    assert!(rig.entry(VM).proven_at < Some(rig.now), "but no proof is claimed until it has caught up");
}

#[test]
fn drops_what_is_recorded_already() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    let id = Rig::id(VM);
    let ticket = rig.watch_of(&id);
    let again = super::server::Server::raw(&rig.server.live.values().next().expect("one").clone());
    rig.input(Input::Watched(id, ticket, Event::Modified(again)));
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101"]);
}

#[test]
fn storage_that_went_back_begins_a_new_era_with_a_gap_for_every_resource() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "kept", json!({}));
    let snapshot = rig.server.clone();
    rig.server.put("VirtualMachine", "kept", json!({"x": 1}));
    rig.server.put("VirtualMachine", "lost", json!({}));
    rig.settle();
    rig.tick(5);
    rig.server = snapshot;
    rig.end_watch(&Rig::id(VM), Ok(()));
    rig.settle();
    let lines = rig.lines();
    for plural in [VM, SECRET, POD] {
        assert!(lines.contains(&format!("G {plural} StorageRollback opens")), "{lines:?}");
        assert!(lines.contains(&format!("G {plural} StorageRollback closes")), "{lines:?}");
    }
    assert!(lines.contains(&"S VirtualMachine/kept 101 late".to_owned()), "the older state is back: {lines:?}");
    assert!(lines.contains(&"D VirtualMachine/lost inferred late".to_owned()), "{lines:?}");
    let last = *rig.records().last().expect("records");
    assert_eq!(last.era, Era(2));
    assert_eq!(rig.entry(VM).era, Era(2));
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    // A version of the old era may come again for another state.
    rig.server.put("VirtualMachine", "kept", json!({"y": 2}));
    rig.settle();
    assert_eq!(rig.lines().last().map(String::as_str), Some("M VirtualMachine/kept 102"));
}

#[test]
fn what_did_not_change_over_a_rollback_is_not_recorded_again() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "same", json!({}));
    let snapshot = rig.server.clone();
    rig.server.put("Secret", "foreign", json!({}));
    rig.settle();
    rig.tick(5);
    rig.server = snapshot;
    rig.end_watch(&Rig::id(VM), Ok(()));
    rig.settle();
    let versions = rig.lines().iter().filter(|line| line.contains("VirtualMachine/same")).count();
    assert_eq!(versions, 1);
}

#[test]
fn a_rollback_is_recognised_after_a_restart_even_if_versions_have_grown_beyond_ours_elsewhere() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    let snapshot = rig.server.clone();
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    rig.settle();
    rig.commit();
    rig.server = snapshot;
    rig.crash();
    rig.settle();
    rig.commit();
    rig.crash();
    rig.settle();
    let opened = rig.lines().iter().filter(|line| line.contains("StorageRollback opens")).count();
    assert_eq!(opened, 3, "once per resource");
}

#[test]
fn a_refused_resource_opens_a_gap_and_the_others_go_on() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    rig.server.denied.insert(POD);
    rig.tick(2);
    rig.end_watch(&Rig::id(POD), Ok(()));
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    rig.settle();
    assert_eq!(rig.lines()[1..], ["G pods Denied opens", "M VirtualMachine/a 102"]);
    assert_eq!(rig.entry(POD).state, ProofState::Denied);
    assert_eq!(rig.entry(POD).detail, "list is forbidden");
    assert!(rig.state.status(rig.now).reasons().iter().any(|reason| reason.contains("denied")));
    rig.server.denied.clear();
    rig.tick(31);
    rig.settle();
    assert_eq!(rig.lines().last().map(String::as_str), Some("G pods Denied closes"));
    let Change::Gap(gap) = &rig.records().last().expect("records").change else { panic!("a gap") };
    assert_eq!(gap.to, Some(gap.from), "everything was received after all");
}

#[test]
fn a_resource_that_was_never_readable_is_denied_and_not_proven() {
    let mut rig = Rig::new();
    rig.server.denied.insert(VM);
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.start();
    assert_eq!(rig.lines(), ["G virtualmachines Denied opens", "S Pod/p 101 late"]);
    assert_eq!((rig.entry(VM).state, rig.entry(VM).proven_at), (ProofState::Denied, None));
}

#[test]
fn a_removed_type_opens_a_gap_and_infers_no_deletion() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    let without: Vec<_> = specs().into_iter().filter(|spec| spec.id.resource != VM).collect();
    rig.discover(without.clone());
    assert_eq!(rig.lines().len(), 1, "an answer that lacks it once is not enough");
    rig.tick(11);
    rig.discover(without);
    assert_eq!(rig.lines()[1..], ["G virtualmachines Removed opens"]);
    assert_eq!(rig.entry(VM).state, ProofState::Removed);
    rig.discover(specs());
    rig.settle();
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    assert_eq!(rig.lines()[2..], ["G virtualmachines Removed closes"]);
}

#[test]
fn a_stale_group_is_not_taken_for_removed() {
    let mut rig = Rig::started();
    let without: Vec<_> = specs().into_iter().filter(|spec| spec.id.resource != VM).collect();
    for _ in 0..3 {
        rig.input(Input::Discovered { served: without.clone(), stale: ["kubevirt.io".to_owned()].into() });
        rig.tick(11);
    }
    assert_eq!(rig.entry(VM).state, ProofState::Live);
}

#[test]
fn a_type_that_is_installed_later_is_captured() {
    let mut rig = Rig::new();
    rig.discover(specs().into_iter().filter(|spec| spec.id.resource != POD).collect());
    rig.settle();
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.tick(30);
    rig.discover(specs());
    rig.settle();
    assert_eq!(rig.lines(), ["S Pod/p 101 late"]);
    assert_eq!(rig.records()[0].lo, Some(at(0)), "it came after the look that did not find the type");
}

#[test]
fn a_watch_that_falls_silent_is_given_up_and_shown_as_stalled() {
    let mut rig = Rig::started();
    rig.tick(70);
    assert!(rig.watches_of(&Rig::id(VM)).is_empty(), "beyond its timeout");
    assert_eq!(rig.entry(VM).state, ProofState::Late);
    rig.asked.clear();
    rig.tick(70);
    assert_eq!(rig.entry(VM).state, ProofState::Stalled);
    assert!(rig.entry(VM).proven_at <= Some(at(0)));
    rig.settle();
    assert_eq!(rig.entry(VM).state, ProofState::Live);
}

#[test]
fn the_proof_of_what_does_not_change_is_renewed_soon_after_something_else_did() {
    let mut rig = Rig::started();
    rig.tick(10);
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.deliver(&Rig::id(VM));
    assert!(!rig.state.proof_is_news());
    rig.timeouts.clear();
    rig.tick(1);
    rig.settle();
    assert_eq!(rig.timeouts, [Duration::from_secs(6); 2], "secrets and pods, whose proof was 10 s old");
    assert!(rig.entry(POD).proven_at >= Some(rig.records()[0].t));
    assert!(rig.state.proof_is_news());
    rig.commit();
    assert!(!rig.state.proof_is_news());
}

#[test]
fn a_refusal_just_after_the_server_started_is_not_believed_at_once() {
    let mut rig = Rig::with(crate::engine::Rules { refusals: 3, ..super::rig::rules() });
    rig.start();
    rig.server.denied.insert(POD);
    rig.tick(2);
    rig.end_watch(&Rig::id(POD), Ok(()));
    rig.settle();
    assert_eq!(rig.entry(POD).state, ProofState::Late);
    rig.server.denied.clear();
    rig.tick(5);
    rig.settle();
    assert_eq!(rig.entry(POD).state, ProofState::Live);
    assert!(rig.lines().is_empty(), "no gap");
}

#[test]
fn an_unanswered_watch_request_does_not_count_as_proof() {
    let mut rig = Rig::started();
    rig.tick(5);
    rig.end_watch(&Rig::id(VM), Err(Failure::Unavailable("connection refused".into())));
    rig.tick(1);
    rig.answer();
    assert_eq!(rig.entry(VM).state, ProofState::Late, "the watch is not open");
}

#[test]
fn a_full_buffer_ends_the_watches_and_loses_nothing() {
    let mut rig = Rig::started();
    rig.input(Input::Overflowed);
    assert!(rig.watches.is_empty());
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.tick(3);
    assert!(rig.asked.is_empty());
    rig.input(Input::Drained);
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101 late"]);
}

#[test]
fn what_arrives_at_the_instant_of_a_proof_is_recorded_after_it() {
    let (mut rig, id) = (Rig::started(), Rig::id(VM));
    rig.tick(1);
    rig.server.rv += 1;
    rig.deliver(&id);
    let proven = rig.entry(VM).proven_at;
    assert_eq!(proven, Some(rig.now), "a bookmark");
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.deliver(&id);
    let record = rig.records().last().copied().expect("recorded");
    assert!(Some(record.t) > proven && record.lo.is_none(), "{record:?}");
}
