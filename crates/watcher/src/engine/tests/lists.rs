//! Lists: the walk back after a 410, gaps, inferred deletions, audits.

use serde_json::json;
use vmrewind_model::{Change, GapCause};

use super::rig::{Rig, SECRET, VM, at};
use crate::engine::{Event, Input};

/// Kills the watcher, changes things, and lets the server forget how to watch from where we were.
fn away(rig: &mut Rig, change: impl FnOnce(&mut Rig), forget: bool) {
    rig.commit();
    rig.tick(10);
    change(rig);
    rig.server.window = rig.server.rv;
    if forget {
        rig.server.compacted = rig.server.rv;
    }
    rig.crash();
    rig.settle();
}

/// All lines but the gaps of what a complete walk back cannot show.
fn recorded(rig: &Rig) -> Vec<String> {
    rig.lines().into_iter().filter(|line| !line.ends_with("Unseen was")).collect()
}

#[test]
fn after_a_410_earlier_versions_are_walked_back_in_order() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({"n": 0}));
    rig.server.put("VirtualMachine", "b", json!({"n": 0}));
    rig.settle();
    let proven = rig.entry(VM).proven_at.expect("proven");
    away(
        &mut rig,
        |rig| {
            rig.server.put("VirtualMachine", "a", json!({"n": 1}));
            rig.server.put("VirtualMachine", "b", json!({"n": 1}));
            rig.server.put("VirtualMachine", "a", json!({"n": 2}));
            rig.server.put("VirtualMachine", "new", json!({"n": 0}));
            rig.server.put("VirtualMachine", "new", json!({"n": 1}));
            rig.server.delete("VirtualMachine", "b");
        },
        false,
    );
    assert_eq!(
        recorded(&rig)[2..],
        [
            "M VirtualMachine/a 103 late",
            "M VirtualMachine/b 104 late",
            "M VirtualMachine/a 105 late",
            "A VirtualMachine/new 106 late",
            "M VirtualMachine/new 107 late",
            "D VirtualMachine/b inferred late",
        ]
    );
    assert_eq!(rig.state.status(rig.now).counters.walked_back, 5);
    let record = *rig.records().last().expect("records");
    let Change::Gap(gap) = &record.change else { panic!("a gap") };
    assert_eq!((gap.cause, gap.from, gap.to), (GapCause::Unseen, proven, Some(record.t)), "what came and went");
}

#[test]
fn what_cannot_be_walked_back_is_a_gap_with_its_bounds_and_vanished_objects_are_inferred() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({"n": 0}));
    rig.server.put("VirtualMachine", "gone", json!({}));
    rig.settle();
    let proven = rig.entry(VM).proven_at.expect("proven");
    away(
        &mut rig,
        |rig| {
            rig.server.put("VirtualMachine", "a", json!({"n": 1}));
            rig.server.put("VirtualMachine", "a", json!({"n": 2}));
            rig.server.delete("VirtualMachine", "gone");
        },
        true,
    );
    assert_eq!(
        recorded(&rig)[2..],
        ["S VirtualMachine/a 104 late", "D VirtualMachine/gone inferred late", "G virtualmachines Expired was"]
    );
    let record = *rig.records().last().expect("records");
    let Change::Gap(gap) = &record.change else { panic!("a gap") };
    assert_eq!(gap.from, proven);
    assert_eq!(gap.to, Some(record.t));
    assert!(record.t >= at(10));
}

#[test]
fn a_410_without_any_change_is_only_a_gap_of_what_may_have_come_and_gone() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    away(
        &mut rig,
        |rig| {
            rig.server.put("Secret", "foreign", json!({}));
        },
        true,
    );
    assert_eq!(recorded(&rig), ["A VirtualMachine/a 101"]);
    assert!(rig.lines().contains(&format!("G {VM} Unseen was")), "{:?}", rig.lines());
}

#[test]
fn by_name_objects_are_read_one_by_one_after_a_410_and_walked_back_too() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({"n": 0}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s", "later"]}));
    rig.settle();
    away(
        &mut rig,
        |rig| {
            rig.server.put("Secret", "s", json!({"n": 1}));
            rig.server.put("Secret", "s", json!({"n": 2}));
            rig.server.put("Secret", "later", json!({}));
            rig.server.put("Secret", "foreign", json!({}));
        },
        false,
    );
    let mut lines = recorded(&rig)[3..].to_vec();
    lines.sort();
    assert_eq!(lines, ["A Secret/later 105 late", "M Secret/s 103 late", "M Secret/s 104 late"]);
}

#[test]
fn a_pod_missing_from_a_list_is_looked_up_before_it_is_called_deleted() {
    let mut rig = Rig::started();
    rig.server.put("Pod", "left", json!({"label": "yes"}));
    rig.server.put("Pod", "died", json!({"label": "yes"}));
    rig.settle();
    away(
        &mut rig,
        |rig| {
            rig.server.put("Pod", "left", json!({"label": "no"}));
            rig.server.delete("Pod", "died");
        },
        true,
    );
    let mut lines = recorded(&rig)[2..].to_vec();
    lines.sort();
    assert_eq!(lines, ["D Pod/died inferred late", "G pods Expired was", "X Pod/left late"]);
}

#[test]
fn an_audit_that_agrees_changes_nothing() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    audit(&mut rig);
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101"]);
    assert_eq!(rig.state.status(rig.now).counters.corrections, 0);
    assert!(rig.state.status(rig.now).counters.audits > 0);
}

#[test]
fn an_audit_corrects_what_the_watch_never_said() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "changed", json!({}));
    rig.server.put("VirtualMachine", "deleted", json!({}));
    rig.settle();
    rig.server.put("VirtualMachine", "changed", json!({"x": 1}));
    rig.server.delete("VirtualMachine", "deleted");
    rig.server.put("VirtualMachine", "created", json!({}));
    skip(&mut rig, VM);
    audit(&mut rig);
    let mut lines = rig.lines()[2..].to_vec();
    lines.sort();
    assert_eq!(
        lines,
        [
            "D VirtualMachine/deleted inferred late",
            "G virtualmachines Correction was",
            "G virtualmachines Correction was",
            "G virtualmachines Correction was",
            "S VirtualMachine/changed 103 late",
            "S VirtualMachine/created 105 late",
        ]
    );
    assert_eq!(rig.state.status(rig.now).counters.corrections, 3);
}

#[test]
fn an_audit_is_not_judged_before_the_watch_has_passed_its_version() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.settle();
    begin_audit(&mut rig);
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    rig.server.put("VirtualMachine", "b", json!({}));
    rig.server.delete("VirtualMachine", "b");
    rig.server.put("VirtualMachine", "c", json!({}));
    while rig.answer() {}
    assert_eq!(rig.lines().len(), 1, "the watch is behind the list");
    rig.settle();
    assert_eq!(rig.state.status(rig.now).counters.corrections, 0);
    assert_eq!(rig.lines().len(), 5);
}

/// Lets the watch of a resource lose its next events.
fn skip(rig: &mut Rig, plural: &str) {
    let id = Rig::id(plural);
    let rv = rig.server.rv;
    let ticket = rig.watch_of(&id);
    rig.watches.get_mut(&ticket).expect("open").cursor = rv;
    rig.input(Input::Watched(id, ticket, Event::Bookmark(vmrewind_model::Rv(rv))));
}

fn begin_audit(rig: &mut Rig) {
    for resource in rig.state.resources.values_mut() {
        resource.audit = crate::engine::audit::Audit::new(rig.now, rig.now);
    }
    rig.tick(1);
}

fn audit(rig: &mut Rig) {
    begin_audit(rig);
    rig.settle();
}

#[test]
fn storage_that_went_back_and_has_grown_beyond_us_is_found_by_an_audit() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    let snapshot = rig.server.clone();
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    rig.settle();
    rig.server = snapshot;
    for n in 0..5 {
        rig.server.put("Secret", "foreign", json!({"n": n}));
    }
    audit(&mut rig);
    let lines = rig.lines();
    assert!(lines.contains(&"S VirtualMachine/a 101 late".to_owned()), "{lines:?}");
    assert!(lines.contains(&format!("G {VM} StorageRollback closes")), "{lines:?}");
    assert_eq!(rig.state.status(rig.now).era, vmrewind_model::Era(2));
    assert_eq!(rig.state.status(rig.now).counters.corrections, 0);
}

#[test]
fn an_audit_by_name_finds_a_deletion_that_the_watch_never_brought_each_time() {
    let mut rig = Rig::started();
    for name in ["s", "t"] {
        rig.server.put("Secret", name, json!({}));
    }
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s", "t"]}));
    rig.settle();
    for (name, n) in [("s", 1), ("t", 2)] {
        rig.server.delete("Secret", name);
        skip(&mut rig, SECRET);
        audit_again(&mut rig);
        let lines = rig.lines();
        assert!(lines.contains(&format!("D Secret/{name} inferred late")), "{lines:?}");
        assert_eq!(rig.state.status(rig.now).counters.corrections, n);
    }
}

#[test]
fn an_audit_by_name_finds_a_creation_that_the_watch_never_brought() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s", "never"]}));
    rig.settle();
    assert_eq!(rig.lines()[1..], ["N Secret/never", "N Secret/s"]);
    rig.server.put("Secret", "s", json!({}));
    skip(&mut rig, SECRET);
    audit_again(&mut rig);
    let lines = rig.lines();
    assert!(lines.contains(&"S Secret/s 102 late".to_owned()), "{lines:?}");
    assert_eq!(rig.state.status(rig.now).counters.corrections, 1);
    audit_again(&mut rig);
    assert_eq!(rig.lines(), lines, "what is absent still is no news");
}

#[test]
fn a_deletion_that_the_watch_is_about_to_bring_is_no_correction_of_an_audit_by_name() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.settle();
    rig.server.delete("Secret", "s");
    audit(&mut rig);
    assert_eq!(rig.lines()[2..], ["D Secret/s 103"]);
    assert_eq!(rig.state.status(rig.now).counters.corrections, 0);
}

#[test]
fn in_an_adopted_archive_a_new_era_begins_and_everything_is_listed() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "kept", json!({}));
    rig.server.put("VirtualMachine", "gone", json!({}));
    rig.settle();
    rig.commit();
    // The other cluster has one of the machines, another state, and much higher versions.
    rig.server = super::server::Server { rv: 500, ..super::server::Server::default() };
    rig.server.put("VirtualMachine", "kept", json!({"x": 1}));
    rig.tick(5);
    rig.crash_adopting();
    rig.settle();
    let lines = rig.lines();
    assert!(lines.contains(&format!("G {VM} StorageRollback was")), "{lines:?}");
    assert!(lines.contains(&"S VirtualMachine/kept 501 late".to_owned()), "{lines:?}");
    assert!(lines.contains(&"D VirtualMachine/gone inferred late".to_owned()), "{lines:?}");
    assert_eq!(rig.entry(VM).era, vmrewind_model::Era(2));
}

/// As [`audit`], with what the audits before have left behind.
fn audit_again(rig: &mut Rig) {
    for resource in rig.state.resources.values_mut() {
        resource.audit.due = rig.now;
    }
    rig.tick(1);
    rig.settle();
}
