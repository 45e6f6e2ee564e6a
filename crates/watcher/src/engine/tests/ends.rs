//! The ends of objects, of what is observed of them, and of what can be recorded.

use serde_json::json;
use vmrewind_archive::MAX_TEXT;
use vmrewind_model::{Change, ProofState, Rv};

use super::rig::{POD, Rig, VM, rejected};
use crate::engine::{Event, Failure, Input, Rejected};

#[test]
fn ends_the_old_incarnation_before_it_records_the_new_one() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    rig.server.delete("VirtualMachine", "a");
    rig.server.put("VirtualMachine", "a", json!({}));
    // The deletion is lost on the way.
    let id = Rig::id(VM);
    let ticket = rig.watch_of(&id);
    rig.watches.get_mut(&ticket).expect("open").cursor = 102;
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101", "D VirtualMachine/a inferred late", "A VirtualMachine/a 103"]);
    let uids: Vec<_> = rig.records().iter().map(|r| r.change.key().expect("of an object").uid.clone()).collect();
    assert_eq!(uids, ["u1", "u1", "u2"]);
}

#[test]
fn what_cannot_be_recorded_is_a_gap_of_that_object_until_it_can_be_again() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    let id = Rig::id(VM);
    let ticket = rig.watch_of(&id);
    let rejected = rejected("a", "u1", Some(102), false);
    rig.input(Input::Watched(id.clone(), ticket, Event::Rejected(rejected)));
    assert_eq!(rig.lines()[1..], ["G virtualmachines Unrecordable opens"]);
    assert_eq!(rig.entry(VM).rv, Some(Rv(102)));
    rig.server.rv = 102;
    rig.watches.get_mut(&ticket).expect("open").cursor = 102;
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    assert_eq!(rig.lines()[2..], ["G virtualmachines Unrecordable closes", "M VirtualMachine/a 103"]);
}

#[test]
fn an_object_that_leaves_the_selector_is_unobserved_and_a_deleted_one_is_deleted() {
    let mut rig = Rig::started();
    rig.server.put("Pod", "leaves", json!({"label": "yes"}));
    rig.server.put("Pod", "dies", json!({"label": "yes"}));
    rig.settle();
    rig.server.put("Pod", "leaves", json!({"label": "no"}));
    rig.server.delete("Pod", "dies");
    rig.settle();
    assert_eq!(rig.lines(), ["A Pod/leaves 101", "A Pod/dies 102", "X Pod/leaves", "D Pod/dies 104"]);
}

#[test]
fn an_undecided_departure_holds_the_resume_point_back() {
    let mut rig = Rig::started();
    rig.server.put("Pod", "p", json!({"label": "yes"}));
    rig.settle();
    rig.server.delete("Pod", "p");
    rig.server.put("Pod", "q", json!({"label": "yes"}));
    let id = Rig::id(POD);
    rig.deliver(&id);
    rig.deliver(&id);
    assert_eq!(rig.entry(POD).rv, Some(Rv(101)), "killed now, the deletion must come again");
    rig.commit();
    rig.crash();
    rig.settle();
    let lines: Vec<String> = rig.lines().into_iter().map(|line| line.replace(" late", "")).collect();
    assert_eq!(lines, ["A Pod/p 101", "A Pod/q 103", "D Pod/p 102"]);
    assert_eq!(rig.entry(POD).rv, Some(Rv(103)));
}

/// A watch says that an object is gone, in a form that cannot be recorded.
fn reject_deletion(rig: &mut Rig, plural: &str, rejected: crate::engine::Rejected) {
    let id = Rig::id(plural);
    let ticket = rig.watch_of(&id);
    let rv = rejected.rv.map_or(rig.server.rv + 1, |rv| rv.0);
    rig.server.rv = rv;
    rig.watches.get_mut(&ticket).expect("open").cursor = rv;
    rig.input(Input::Watched(id, ticket, Event::Rejected(rejected)));
}

#[test]
fn a_deletion_whose_last_state_cannot_be_recorded_is_recorded_without_it() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    rig.server.delete("VirtualMachine", "a");
    reject_deletion(&mut rig, VM, rejected("a", "u1", Some(102), true));
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101", "D VirtualMachine/a 102"]);
    assert!(rig.records()[1].change.object().is_none());
    assert_eq!(rig.state.status(rig.now).open_gaps, 0);
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    assert_eq!(rig.lines()[2..], ["A VirtualMachine/a 103"]);
}

#[test]
fn a_deletion_ends_the_gap_of_a_state_that_could_not_be_recorded() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    reject_deletion(&mut rig, VM, rejected("a", "u1", Some(102), false));
    reject_deletion(&mut rig, VM, rejected("a", "u1", Some(103), true));
    assert_eq!(
        rig.lines()[1..],
        ["G virtualmachines Unrecordable opens", "G virtualmachines Unrecordable closes", "D VirtualMachine/a 103"]
    );
}

#[test]
fn a_deletion_without_a_version_is_inferred_and_one_without_a_uid_is_a_gap() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.server.put("VirtualMachine", "b", json!({}));
    rig.settle();
    rig.tick(1);
    reject_deletion(&mut rig, VM, rejected("a", "u1", None, true));
    reject_deletion(&mut rig, VM, rejected("b", "", Some(104), true));
    assert_eq!(rig.lines()[2..], ["D VirtualMachine/a inferred late", "G virtualmachines Unrecordable opens"]);
}

#[test]
fn an_unrecordable_object_that_leaves_a_selector_is_asked_for_before_it_is_called_deleted() {
    for deleted in [true, false] {
        let mut rig = Rig::started();
        rig.server.put("Pod", "p", json!({"label": "yes"}));
        rig.settle();
        if deleted {
            rig.server.live.clear();
        }
        reject_deletion(
            &mut rig,
            POD,
            crate::engine::Rejected { key: Some(super::rig::key("Pod", "p")), ..rejected("p", "u1", Some(102), true) },
        );
        while rig.answer() {}
        let end = if deleted { "D Pod/p inferred late" } else { "X Pod/p" };
        let lines: Vec<String> = rig.lines().into_iter().map(|line| line.replace(" late", "")).collect();
        assert_eq!(lines[1..], [end.replace(" late", "")]);
    }
}

#[test]
fn a_reason_longer_than_the_format_holds_is_cut_between_two_characters() {
    let long = "ä".repeat(2_000);
    let mut rig = Rig::started();
    let refused = Rejected { reason: long.clone(), ..rejected("a", "u1", Some(101), false) };
    let ticket = rig.watch_of(&Rig::id(VM));
    rig.input(Input::Watched(Rig::id(VM), ticket, Event::Rejected(refused)));
    let Some(Change::Gap(gap)) = rig.records().last().map(|record| record.change.clone()) else { panic!("a gap") };
    assert!(gap.detail.len() <= MAX_TEXT && gap.detail.ends_with("ä…"), "{}", gap.detail);
    rig.end_watch(&Rig::id(VM), Err(Failure::Unavailable(long)));
    for _ in 0..40 {
        rig.tick(5);
        rig.asked.clear();
    }
    let entry = rig.entry(VM);
    assert_eq!(entry.state, ProofState::Stalled);
    assert!(!entry.detail.is_empty() && entry.detail.len() <= MAX_TEXT, "{}", entry.detail.len());
}
