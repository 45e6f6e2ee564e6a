//! Following by name.

use serde_json::json;
use vmrewind_model::{Change, ProofState};

use super::rig::{Rig, SECRET, rules};
use crate::engine::{Action, Failure, Input};

#[test]
fn a_named_secret_is_fetched_recorded_with_the_edge_and_followed() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("Secret", "foreign", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 103", "S Secret/s 101 from 1"], "it counts from the edge on");
    assert_eq!(rig.records()[1].change.key().expect("an object").home, "n/a");
    rig.server.put("Secret", "s", json!({"x": 1}));
    rig.server.put("Secret", "foreign", json!({"x": 1}));
    rig.settle();
    assert_eq!(rig.lines()[2..], ["M Secret/s 104"]);
}

#[test]
fn a_secret_newer_than_the_edge_counts_from_its_own_record() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.server.put("Secret", "s", json!({}));
    rig.deliver(&Rig::id("virtualmachines"));
    while rig.answer() {}
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101", "S Secret/s 102 late"]);
    assert_eq!(rig.records()[1].lo, Some(rig.records()[0].t), "it came into being after it was named");
    rig.settle();
    assert_eq!(rig.lines().len(), 2, "its event says nothing new");
}

#[test]
fn an_absent_secret_is_recorded_as_absent_and_followed_when_it_is_created() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    assert_eq!(rig.lines()[1..], ["N Secret/s"]);
    assert_eq!(rig.state.status(rig.now).absent, 1);
    assert!(rig.state.status(rig.now).reasons().is_empty(), "absent is known");
    rig.server.put("Secret", "s", json!({}));
    rig.server.delete("Secret", "s");
    rig.server.put("Secret", "s", json!({}));
    rig.settle();
    assert_eq!(rig.lines()[2..], ["A Secret/s 102", "D Secret/s 103", "A Secret/s 104"]);
}

#[test]
fn a_failed_get_is_unknown_and_tried_again_and_never_absent() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.deliver(&Rig::id("virtualmachines"));
    let Some(Action::Get(id, ticket, key)) = rig.asked.pop_front() else { panic!("a get") };
    rig.input(Input::Fetched(id, ticket, key, Err(Failure::Unavailable("timeout".into()))));
    assert_eq!(rig.lines()[1..], ["G secrets Stalled opens"]);
    let reasons = rig.state.status(rig.now).reasons();
    assert!(reasons.iter().any(|reason| reason.contains("Secret/n/s") && reason.contains("timeout")), "{reasons:?}");
    rig.server.put("Secret", "s", json!({}));
    rig.tick(2);
    rig.settle();
    assert_eq!(rig.lines()[2..], ["G secrets Stalled closes", "S Secret/s 102 late"]);
}

#[test]
fn killed_between_the_edge_and_the_fetch_it_is_fetched_at_the_start_before_it_is_ready() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    rig.pending.truncate(1);
    rig.commit();
    rig.crash();
    assert!(!rig.state.status(rig.now).wanted.is_empty());
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 102", "S Secret/s 101 from 1"]);
    assert!(rig.state.status(rig.now).reasons().is_empty());
}

#[test]
fn what_is_recorded_or_known_absent_is_not_fetched_again_after_a_restart() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s", "absent"]}));
    rig.settle();
    rig.commit();
    rig.crash();
    assert!(rig.asked.iter().all(|action| !matches!(action, Action::Get(..))));
    rig.settle();
    assert_eq!(rig.lines().len(), 3);
}

#[test]
fn a_recreated_secret_is_followed_by_name() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    rig.server.delete("Secret", "s");
    rig.server.put("Secret", "s", json!({"new": true}));
    rig.settle();
    assert_eq!(rig.lines()[2..], ["D Secret/s 103", "A Secret/s 104"]);
}

#[test]
fn a_secret_that_nobody_names_any_more_is_followed_a_while_and_then_unobserved() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    rig.server.delete("VirtualMachine", "a");
    rig.settle();
    rig.server.put("Secret", "s", json!({"x": 1}));
    rig.settle();
    assert_eq!(rig.lines()[3..], ["M Secret/s 104"], "its deletion soon after would be seen");
    for _ in 0..31 {
        rig.tick(10);
        rig.settle();
    }
    assert_eq!(rig.lines()[4..], ["X Secret/s"]);
    rig.tick(20);
    rig.settle();
    rig.server.put("Secret", "s", json!({"x": 2}));
    rig.settle();
    assert_eq!(rig.lines().len(), 5);
    rig.server.put("VirtualMachine", "b", json!({"secrets": ["s"]}));
    rig.settle();
    assert_eq!(rig.lines()[5..], ["A VirtualMachine/b 106", "S Secret/s 105 from 6"]);
}

#[test]
fn a_secret_that_another_vm_still_names_stays_followed() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.server.put("VirtualMachine", "b", json!({"secrets": ["s"]}));
    rig.settle();
    rig.server.delete("VirtualMachine", "a");
    rig.settle();
    for _ in 0..40 {
        rig.tick(10);
        rig.settle();
    }
    assert!(rig.lines().iter().all(|line| !line.starts_with('X')), "{:?}", rig.lines());
}

#[test]
fn withheld_secrets_leave_their_key_and_version_but_no_body() {
    let mut rules = rules();
    rules.withhold_secrets = true;
    let mut rig = Rig::with(rules);
    rig.start();
    rig.server.put("Secret", "s", json!({"password": "hunter2"}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    rig.server.delete("Secret", "s");
    rig.settle();
    assert_eq!(rig.lines()[1..], ["W Secret/s 101", "D Secret/s 103"]);
    assert!(rig.records()[1..].iter().all(|record| record.change.object().is_none()));
}

#[test]
fn no_get_is_sent_before_the_watch_has_its_beginning() {
    let mut rig = Rig::new();
    rig.server.put("Secret", "s", json!({"n": 0}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.discover(super::rig::specs());
    // The probe of Secrets is answered last.
    let probe =
        rig.asked.iter().position(|a| matches!(a, Action::Probe(id, _) if id.resource == SECRET)).expect("asked");
    let probe = rig.asked.remove(probe).expect("there");
    while rig.answer() {}
    rig.server.put("Secret", "s", json!({"n": 1}));
    rig.server.put("Secret", "s", json!({"n": 2}));
    rig.asked.push_back(probe);
    rig.server.put("Secret", "s", json!({"n": 3}));
    rig.settle();
    rig.server.put("Secret", "s", json!({"n": 4}));
    rig.settle();
    let secrets: Vec<_> = rig.lines().into_iter().filter(|line| line.contains("Secret")).collect();
    assert_eq!(secrets.len(), 2, "every version from the first record on: {secrets:?}");
    assert!(secrets[1].starts_with("M Secret/s 106"));
}

#[test]
fn homes_are_inherited_from_the_object_that_names_it_first_and_never_change() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.server.put("VirtualMachine", "b", json!({"secrets": ["s"]}));
    rig.settle();
    rig.commit();
    rig.crash();
    rig.settle();
    rig.server.put("Secret", "s", json!({"x": 1}));
    rig.settle();
    rig.tick(1);
    let homes: Vec<_> = rig
        .records()
        .iter()
        .filter_map(|record| match &record.change {
            Change::Object { key, .. } if key.object.kind == "Secret" => Some(key.home.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(homes, ["n/a", "n/a"]);
}

#[test]
fn a_secret_that_is_named_again_unchanged_is_recorded_again() {
    for restart in [false, true] {
        let mut rig = Rig::started();
        rig.server.put("Secret", "s", json!({}));
        rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
        rig.settle();
        rig.server.delete("VirtualMachine", "a");
        rig.settle();
        for _ in 0..31 {
            rig.tick(10);
            rig.settle();
        }
        assert_eq!(rig.lines()[3..], ["X Secret/s"]);
        if restart {
            rig.commit();
            rig.crash();
        }
        rig.tick(20);
        rig.settle();
        rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
        rig.settle();
        assert_eq!(rig.lines().last().map(String::as_str), Some("S Secret/s 101 from 5"), "restart: {restart}");
    }
}

#[test]
fn an_answer_that_a_deletion_has_overtaken_leaves_no_phantom() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.settle();
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.deliver(&Rig::id("virtualmachines"));
    let Some(Action::Get(id, ticket, key)) = rig.asked.pop_front() else { panic!("a get") };
    let object = super::server::Server::raw(&rig.server.live[&key]);
    rig.server.delete("Secret", "s");
    rig.deliver(&Rig::id(SECRET));
    rig.input(Input::Fetched(id, ticket, key, Ok(Some(object))));
    rig.tick(1);
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 102", "N Secret/s"]);
}

#[test]
fn a_secret_that_may_not_be_read_is_an_open_gap_of_that_object_until_it_may() {
    let mut rig = Rig::started();
    rig.server.denied_gets.insert(SECRET);
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s", "none"]}));
    rig.settle();
    assert_eq!(rig.lines()[1..], ["G secrets Denied opens", "G secrets Denied opens"]);
    let Change::Gap(gap) = &rig.records()[1].change else { panic!("a gap") };
    assert_eq!(gap.object.as_ref().map(|key| key.name.as_str()), Some("none"));
    assert_eq!(gap.from, rig.records()[0].t);
    let entry = rig.entry(SECRET);
    assert_eq!((entry.state, entry.detail.as_str()), (ProofState::Denied, "get secrets is forbidden"));
    rig.commit();
    rig.crash();
    rig.settle();
    assert_eq!(rig.lines().len(), 3, "the same gaps are still open");
    rig.server.denied_gets.clear();
    rig.tick(31);
    rig.settle();
    let mut after = rig.lines()[3..].to_vec();
    after.sort();
    assert_eq!(after, ["G secrets Denied closes", "G secrets Denied closes", "N Secret/none", "S Secret/s 101 from 1"]);
    assert_eq!(rig.entry(SECRET).state, ProofState::Live);
}

#[test]
fn a_secret_that_changed_between_a_kill_and_its_fetch_is_late() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    rig.pending.truncate(1);
    rig.commit();
    rig.tick(9);
    rig.server.put("Secret", "s", json!({"x": 1}));
    rig.tick(9);
    rig.crash();
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 102", "S Secret/s 103 late"]);
    assert_eq!(rig.records()[1].lo, Some(rig.records()[0].t));
}
