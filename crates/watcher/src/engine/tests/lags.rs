//! Watches that stall and go on by themselves.

use serde_json::json;
use vmrewind_model::{ProofState, Rv, Timestamp};

use super::rig::{POD, Rig, VM};
use crate::engine::{Action, Event, Input, Probe};

/// `lo` of each record of a machine.
fn bounds(rig: &Rig) -> Vec<Option<Timestamp>> {
    let records = rig.records();
    records
        .iter()
        .filter(|record| record.change.key().is_some_and(|key| key.object.kind == "VirtualMachine"))
        .map(|r| r.lo)
        .collect()
}

#[test]
fn what_a_stalled_watch_owed_is_late_when_it_goes_on_by_itself() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    let before = rig.entry(VM).proven_at;
    rig.tick(1);
    // The watch of machines stalls; that of pods tells of later versions.
    rig.server.put("VirtualMachine", "a", json!({"n": 1}));
    rig.server.put("VirtualMachine", "b", json!({}));
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.deliver(&Rig::id(POD));
    rig.tick(4);
    let (machines, proven) = (Rig::id(VM), rig.entry(VM).proven_at);
    assert_eq!(proven, before, "nothing was heard of it");
    rig.deliver(&machines);
    rig.deliver(&machines);
    assert_eq!(bounds(&rig), [None, before, before], "both may have happened since the last proof");
    assert_eq!(rig.entry(VM).proven_at, before, "and neither is a proof of what comes behind it");
    rig.deliver(&machines);
    rig.server.put("VirtualMachine", "b", json!({"n": 1}));
    rig.deliver(&machines);
    assert_eq!(bounds(&rig).last(), Some(&None), "then it is exact again");
    assert!(rig.entry(VM).proven_at >= Some(rig.now));
    assert_eq!(rig.entry(VM).state, ProofState::Live);
}

#[test]
fn watches_that_lie_a_little_apart_are_exact() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.deliver(&Rig::id(POD));
    rig.tick(2);
    rig.deliver(&Rig::id(VM));
    assert_eq!(bounds(&rig), [None]);
}

#[test]
fn while_an_answer_is_overdue_and_for_a_moment_after_it_what_arrives_is_late() {
    for answered in [false, true] {
        let (mut rig, id) = (Rig::started(), Rig::id(VM));
        let before = rig.entry(VM).proven_at;
        while !rig.asked.iter().any(|asked| matches!(asked, Action::Probe(..))) {
            rig.tick(1);
        }
        rig.server.put("VirtualMachine", "a", json!({}));
        rig.tick(3);
        if answered {
            let all = rig.asked.len();
            (0..all).for_each(|_| assert!(rig.answer()));
        }
        rig.deliver(&id);
        assert_eq!(bounds(&rig), [before]);
        while rig.answer() {}
        rig.settle();
        rig.tick(5);
        while rig.answer() {}
        rig.server.put("VirtualMachine", "a", json!({"n": 1}));
        rig.deliver(&id);
        assert_eq!(bounds(&rig).last(), Some(&None));
    }
}

#[test]
fn one_resource_that_is_not_answered_holds_up_no_other() {
    let mut rig = Rig::started();
    let is_of_pods = |asked: &Action| matches!(asked, Action::Probe(id, _) if *id == Rig::id(POD));
    let mut overdue = Vec::new();
    for _ in 0..60 {
        rig.tick(1);
        while let Some(at) = rig.asked.iter().position(is_of_pods) {
            overdue.extend(rig.asked.remove(at));
        }
        while rig.answer() {}
        if !overdue.is_empty() && rig.watches_of(&Rig::id(VM)).len() == 2 {
            break;
        }
    }
    rig.tick(3);
    rig.server.put("VirtualMachine", "a", json!({}));
    let machines = rig.watches_of(&Rig::id(VM));
    rig.deliver_on(machines[0]);
    assert_eq!((overdue.len(), bounds(&rig)), (1, vec![None]));
}

#[test]
fn an_old_bookmark_proves_no_more_than_when_it_was_sent() {
    let (mut rig, id) = (Rig::started(), Rig::id(VM));
    rig.server.rv += 1;
    rig.deliver(&id);
    let old = Rv(rig.server.rv + 1);
    rig.tick(1);
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.server.put("Pod", "p", json!({"label": "yes", "n": 1}));
    rig.deliver(&Rig::id(POD));
    rig.deliver(&Rig::id(POD));
    let told = rig.now;
    rig.tick(4);
    let ticket = rig.watch_of(&id);
    rig.input(Input::Watched(id.clone(), ticket, Event::Bookmark(old)));
    assert_eq!(rig.entry(VM).proven_at, Some(told));
    rig.input(Input::Watched(id, ticket, Event::Bookmark(Rv(rig.server.rv))));
    assert_eq!(rig.entry(VM).proven_at, Some(rig.now));
}

#[test]
fn a_resource_whose_versions_another_storage_counts_is_compared_with_no_other() {
    for found_out in [false, true] {
        let (mut rig, pods) = (Rig::started(), Rig::id(POD));
        let machines = rig.watch_of(&Rig::id(VM));
        rig.input(Input::Watched(Rig::id(VM), machines, Event::Bookmark(Rv(10_000))));
        let probe = loop {
            rig.tick(1);
            let of_pods = |asked: &Action| matches!(asked, Action::Probe(id, _) if *id == pods);
            if let Some(at) = rig.asked.iter().position(of_pods) {
                break rig.asked.remove(at);
            }
        };
        let Some(Action::Probe(_, ticket)) = probe else { panic!("a probe") };
        if found_out {
            let told = Probe { rv: Rv(rig.server.rv), date: None, asked: rig.now };
            rig.input(Input::Probed(pods.clone(), ticket, Ok(told)));
        }
        rig.server.put("Pod", "p", json!({"label": "yes"}));
        rig.deliver(&pods);
        assert_eq!(rig.records().last().map(|record| record.lo.is_none()), Some(found_out));
    }
}
