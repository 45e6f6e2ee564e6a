//! The next watch before the running one ends.

use std::time::Duration;

use serde_json::json;
use vmrewind_model::{ProofState, ResourceId, Rv};

use super::rig::{POD, Rig, SECRET, VM, rejected, rules};
use crate::engine::{Action, Event, Failure, Input, Rules};

fn asks(rig: &Rig, id: &ResourceId) -> bool {
    rig.asked.iter().any(|asked| matches!(asked, Action::Probe(of, _) if of == id))
}

/// Lets time pass until the watch is to be renewed, with a watch for something new in between.
fn renewing(plural: &str) -> (Rig, ResourceId) {
    let (mut rig, id) = (Rig::started(), Rig::id(plural));
    for _ in 0..60 {
        rig.tick(1);
        if asks(&rig, &id) {
            return (rig, id);
        }
        while rig.answer() {}
    }
    panic!("it is not renewed");
}

/// As [`renewing`], with both watches open.
fn renewed(plural: &str) -> (Rig, ResourceId) {
    let (mut rig, id) = renewing(plural);
    while rig.answer() {}
    assert_eq!(rig.watches_of(&id).len(), 2, "make before break");
    (rig, id)
}

#[test]
fn over_many_renewals_with_constant_writes_nothing_is_late_and_all_is_proven() {
    for timeout in [3, 8, 50] {
        let mut rig = Rig::with(Rules { watch_timeout: Duration::from_secs(timeout), ..rules() });
        rig.start();
        let mut written = 0;
        for minute in 0..10 {
            rig.live(60, |server| {
                written += 1;
                server.put("VirtualMachine", "a", json!({"n": written, "secrets": ["s"]}));
                server.put("Secret", "s", json!({"n": written}));
            });
            for plural in [VM, SECRET, POD] {
                let entry = rig.entry(plural);
                assert_eq!(entry.state, ProofState::Live);
                let age = rig.now.since(entry.proven_at.expect("proven"));
                assert!(age <= Duration::from_secs(12), "{plural} is proven {age:?} ago, minute {minute}, {timeout} s");
            }
        }
        let renewals = rig.state.status(rig.now).counters.renewals;
        assert!(renewals > 60, "{renewals} renewals");
        let late: Vec<String> = rig.lines().into_iter().filter(|line| line.contains("late")).collect();
        assert!(late.iter().all(|line| line.starts_with("S Secret/s")), "{late:?}");
        assert!(rig.lines().iter().all(|line| !line.starts_with('G')));
        assert_eq!(rig.lines().iter().filter(|line| line.contains("VirtualMachine/a")).count(), 600, "each once");
    }
}

#[test]
fn a_quiet_cluster_stays_proven_and_live_by_renewals_alone() {
    let mut rig = Rig::started();
    for _ in 0..20 {
        rig.live(30, |_| {});
        assert!(rig.state.status(rig.now).reasons().is_empty());
        assert!(rig.entry(VM).proven_at.is_some_and(|at| rig.now.since(at) <= Duration::from_secs(60)));
    }
    assert!(rig.timeouts.len() < 60, "{} watches in ten minutes", rig.timeouts.len());
}

#[test]
fn the_running_watch_delivers_until_the_next_one_has_delivered_as_much() {
    let (mut rig, id) = renewed(VM);
    let (old, new) = (rig.watches_of(&id)[0], rig.watches_of(&id)[1]);
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.deliver_on(old);
    assert_eq!(rig.watches_of(&id), [old, new]);
    rig.deliver_on(new);
    assert_eq!(rig.watches_of(&id), [new], "the old one is stopped");
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    rig.deliver_on(new);
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101", "M VirtualMachine/a 102"]);
}

#[test]
fn what_the_next_watch_is_the_first_to_deliver_is_recorded_once_too() {
    let (mut rig, id) = renewed(VM);
    let (old, new) = (rig.watches_of(&id)[0], rig.watches_of(&id)[1]);
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.server.delete("VirtualMachine", "a");
    rig.deliver_on(new);
    assert_eq!(rig.watches_of(&id), [new]);
    assert!(!rig.deliver_on(old));
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101", "D VirtualMachine/a 102"]);
}

#[test]
fn a_watch_that_ends_hands_over_to_the_next_one_wherever_that_stands() {
    for end in [Ok(()), Err(Failure::Gone), Err(Failure::Unavailable("cut".into()))] {
        let (mut rig, id) = renewed(VM);
        let old = rig.watch_of(&id);
        rig.server.put("VirtualMachine", "a", json!({}));
        rig.deliver_on(old);
        rig.server.put("VirtualMachine", "a", json!({"x": 1}));
        rig.end(old, end);
        assert_eq!(rig.entry(VM).state, ProofState::Live);
        rig.settle();
        assert_eq!(rig.lines(), ["A VirtualMachine/a 101", "M VirtualMachine/a 102"]);
        assert_eq!(rig.entry(VM).state, ProofState::Live);
    }
}

#[test]
fn a_renewal_that_fails_leaves_the_running_watch_alone_until_its_end() {
    let (mut rig, id) = renewed(VM);
    let (old, new) = (rig.watches_of(&id)[0], rig.watches_of(&id)[1]);
    rig.end(new, Err(Failure::Gone));
    rig.tick(9);
    assert_eq!(rig.watches_of(&id), [old], "and it is not tried again");
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.deliver_on(old);
    rig.asked.clear();
    rig.end(old, Ok(()));
    assert!(asks(&rig, &id), "then it begins with the newest version");
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101"]);
}

#[test]
fn a_refusal_of_a_renewal_is_believed_only_when_the_running_watch_is_over() {
    let (mut rig, id) = renewing(VM);
    rig.server.denied.insert(VM);
    while rig.answer() {}
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.deliver(&id);
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101"]);
    assert_eq!(rig.entry(VM).state, ProofState::Live);
    rig.end_watch(&id, Ok(()));
    while rig.answer() {}
    assert_eq!(rig.entry(VM).state, ProofState::Denied);
}

#[test]
fn a_stalled_watch_is_not_proven_by_the_next_one_before_that_delivers() {
    let mut rig = Rig::started();
    let before = rig.entry(VM).proven_at;
    rig.server.put("Secret", "foreign", json!({}));
    let id = Rig::id(VM);
    for _ in 0..60 {
        rig.tick(1);
        while rig.answer() {}
    }
    assert_eq!(rig.watches_of(&id).len(), 2);
    assert_eq!(rig.entry(VM).proven_at, before, "nobody delivered anything");
    rig.server.put("VirtualMachine", "a", json!({}));
    let new = rig.watches_of(&id)[1];
    rig.tick(10);
    assert_eq!(rig.watches_of(&id), [new], "the silent one is given up for the open one");
    rig.deliver_on(new);
    assert_eq!(rig.entry(VM).proven_at, Some(rig.now));
}

#[test]
fn what_a_silent_watch_owed_is_late_when_the_next_one_brings_it() {
    for deleted in [false, true] {
        let (mut rig, id) = (Rig::started(), Rig::id(VM));
        rig.server.put("VirtualMachine", "a", json!({}));
        rig.deliver(&id);
        let before = rig.entry(VM).proven_at;
        // From here on the running watch says nothing any more.
        rig.tick(5);
        if deleted {
            rig.server.delete("VirtualMachine", "a");
        } else {
            rig.server.put("VirtualMachine", "a", json!({"n": 1}));
        }
        for _ in 0..60 {
            rig.tick(1);
            while rig.answer() {}
        }
        let new = *rig.watches_of(&id).last().expect("the next one");
        rig.deliver_on(new);
        let record = rig.records().last().copied().expect("recorded").clone();
        assert_eq!(record.lo, before, "{:?}", rig.lines());
    }
}

#[test]
fn the_probe_of_a_renewal_finds_a_storage_that_went_back() {
    let mut rig = Rig::started();
    let snapshot = rig.server.clone();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    rig.server = snapshot;
    for _ in 0..60 {
        rig.tick(1);
        while rig.answer() {}
    }
    rig.settle();
    assert!(rig.lines().contains(&format!("G {VM} StorageRollback opens")), "{:?}", rig.lines());
    assert!(rig.lines().contains(&"D VirtualMachine/a inferred late".to_owned()), "{:?}", rig.lines());
}

#[test]
fn a_newest_version_that_events_have_overtaken_is_no_rollback() {
    let (mut rig, id) = renewing(VM);
    let probe = rig.asked.iter().position(|asked| matches!(asked, Action::Probe(of, _) if *of == id)).expect("asked");
    let Some(Action::Probe(id, ticket)) = rig.asked.remove(probe) else { panic!("a probe") };
    let told = crate::engine::Probe { rv: Rv(rig.server.rv), date: None, asked: rig.now };
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.deliver(&id);
    rig.input(Input::Probed(id.clone(), ticket, Ok(told)));
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101"]);
}

#[test]
fn a_full_buffer_and_a_standstill_end_both_watches() {
    for input in [Input::Overflowed, Input::Tick] {
        let (mut rig, id) = renewed(VM);
        if matches!(input, Input::Tick) {
            rig.now = rig.now.plus(Duration::from_secs(33));
        }
        rig.input(input);
        assert!(rig.watches_of(&id).is_empty());
        rig.tick(1);
        rig.server.put("VirtualMachine", "a", json!({}));
        rig.input(Input::Drained);
        rig.settle();
        assert_eq!(rig.lines(), ["A VirtualMachine/a 101 late"]);
        assert_eq!(rig.watches_of(&id).len(), 1);
    }
}

#[test]
fn an_object_that_left_the_selector_is_asked_for_once() {
    let mut rig = Rig::started();
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.settle();
    let id = Rig::id(POD);
    for _ in 0..60 {
        rig.tick(1);
        while rig.answer() {}
        if rig.watches_of(&id).len() == 2 {
            break;
        }
    }
    let (old, new) = (rig.watches_of(&id)[0], rig.watches_of(&id)[1]);
    rig.server.put("Pod", "p", json!({"label": "no"}));
    rig.deliver_on(old);
    rig.deliver_on(new);
    assert_eq!(rig.asked.iter().filter(|asked| matches!(asked, Action::Get(..))).count(), 1);
    rig.settle();
    assert_eq!(rig.lines(), ["A Pod/p 101", "X Pod/p"]);
}

#[test]
fn a_version_that_cannot_be_recorded_is_one_gap_although_both_deliver_it() {
    let (mut rig, id) = renewed(VM);
    let (old, new) = (rig.watches_of(&id)[0], rig.watches_of(&id)[1]);
    let rejected = || Event::Rejected(rejected("a", "u1", Some(101), false));
    rig.server.rv = 101;
    rig.input(Input::Watched(id.clone(), old, rejected()));
    rig.watches.get_mut(&old).expect("open").cursor = 101;
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.deliver_on(old);
    rig.input(Input::Watched(id, new, rejected()));
    rig.settle();
    assert_eq!(
        rig.lines(),
        ["G virtualmachines Unrecordable opens", "G virtualmachines Unrecordable closes", "A VirtualMachine/a 102"]
    );
}
