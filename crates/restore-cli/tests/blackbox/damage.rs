//! Archives of which a segment is damaged: before it everything is as always, behind it the user decides.

use std::os::unix::fs::PermissionsExt as _;

use vmrewind_testkit::build::namespace;

use crate::{
    harness::{Ran, Story, Told},
    schema,
    stories::*,
};

/// The morning, with a changed bit in the segment in which the machine got more memory (records 9 to 11).
fn damaged() -> Told {
    let told = morning().commit().write();
    damage(&told);
    told
}

/// Changes a bit in the third segment.
fn damage(told: &Told) {
    let victim = told.segments()[2].clone();
    let mut bytes = std::fs::read(&victim).expect("readable");
    bytes[40] ^= 1;
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).expect("ours");
    std::fs::write(&victim, bytes).expect("writable");
}

fn ran(told: &Told, words: &str, code: i32) -> Ran {
    let ran = told.run(words);
    assert_eq!(ran.code, code, "{words}: {}", ran.all());
    ran
}

const DAMAGE: &str = "log/0000/0000000000000003 is damaged: bytes were changed (E_BODY_HASH at byte 0)";

#[test]
fn an_instant_before_the_damage_is_answered_as_if_nothing_had_happened() {
    let told = damaged();
    for words in
        ["get vm -n prod --at seq:8", "get vm -n prod --at 2026-11-22T10:05:00Z", "show vm/db-1 -n prod --at seq:6"]
    {
        let whole = ran(&morning().commit().write(), words, 0);
        assert_eq!(ran(&told, words, 0).stdout, whole.stdout, "{words}");
    }
}

#[test]
fn an_instant_after_the_damage_is_refused_and_the_error_says_what_is_lost_and_how_to_go_on() {
    let told = damaged();
    for words in
        ["get vm -n prod", "get vm -n prod --at seq:9", "get vm -n prod --at 2026-11-22T10:30:00Z", "dump --at seq:12"]
    {
        let ran = ran(&told, words, 7);
        assert!(ran.stderr.contains(DAMAGE) && ran.stderr.contains("lost: records 9 to 11"), "{}", ran.stderr);
        assert!(ran.stderr.contains("--allow-damage") && ran.stderr.contains("--at 2026-11-22T10:1"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("verify"), "there is no such verb: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn with_allow_damage_the_answer_says_what_may_be_missing() {
    let lost = ran(&damaged(), "get vm -n prod --at seq:11 --allow-damage", 7);
    assert!(lost.stderr.contains("lost: records 9 to 11"), "an instant inside of it has no answer: {}", lost.stderr);
    let ran = ran(&damaged(), "get vm -n prod --at latest --allow-damage", 0);
    assert!(ran.stderr.contains("Warning") && ran.stderr.contains(DAMAGE), "{}", ran.stderr);
    assert!(ran.stderr.contains("have no record after it"), "{}", ran.stderr);
    assert!(ran.stdout.contains("web"), "{}", ran.stdout);
}

#[test]
fn log_shows_the_damage_in_its_place_and_goes_on() {
    let told = damaged();
    let table = ran(&told, "log -n prod --all", 7);
    let line = table.stdout.lines().find(|line| line.contains("damage")).expect("a line of its own");
    assert!(line.contains("segment 3") && line.contains("lost: records 9 to 11"), "{line}");
    assert!(table.stdout.contains("deleted"), "what comes after it is told: {}", table.stdout);
    assert!(table.stderr.contains("1 hole(s)"), "{}", table.stderr);
    let lines = ran(&told, "log -A --all -o jsonl --allow-damage", 0).lines();
    lines.iter().for_each(|line| schema::check("record", line));
    let place = lines.iter().position(|line| line["op"] == "damage").expect("a line of its own");
    assert_eq!((&lines[place - 1]["seq"], &lines[place + 1]["seq"]), (&8.into(), &12.into()));
    assert_eq!(lines[place]["damage"]["segment"], 3);
    assert_eq!(lines[place]["damage"]["lost"][0]["last"], 11);
    let all = ran(&told, "log -A --all -o json --allow-damage", 0).json();
    schema::check("timeline", &all);
    ran(&told, "log -A --until seq:8", 0);
    ran(&told, "log -A --since seq:12", 0);
}

#[test]
fn info_lists_the_damage_with_what_is_lost() {
    let told = damaged();
    let ran = ran(&told, "info -o json", 7);
    schema::check("archive-info", &ran.json());
    let damage = &ran.json()["damage"][0];
    assert_eq!(
        (&damage["segment"], &damage["code"], &damage["lost"][0]["first"]),
        (&3.into(), &"E_BODY_HASH".into(), &9.into())
    );
    assert!(ran.stderr.contains("--allow-damage"), "{}", ran.stderr);
}

#[test]
fn a_plan_for_an_instant_before_the_damage_does_not_need_it_even_if_something_is_lacking() {
    let told = Story::new()
        .added(&namespace("prod"))
        .added(&tls())
        .added(&database())
        .wait(60)
        .deleted(&tls())
        .commit()
        .wait(600)
        .modified(&with_memory(database(), "8Gi"))
        .commit()
        .wait(600)
        .write();
    damage(&told);
    let plan = |at: &str| told.run(&format!("plan vm/db-1 -n prod --at {at} --kubeconfig /nowhere/at/all"));
    let before = plan("seq:4");
    assert!(before.stderr.contains("/nowhere/at/all"), "all that it lacks is a cluster: {}", before.all());
    let behind = plan("latest");
    assert!(behind.code == 7 && behind.stderr.contains("0003 is damaged"), "{}", behind.all());
}
