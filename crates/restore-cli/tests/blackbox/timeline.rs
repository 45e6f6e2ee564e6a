//! `log`.

use crate::{harness::run_alone, schema, stories::*};

#[test]
fn tells_what_happened_to_an_object_and_folds_bookkeeping() {
    insta::assert_snapshot!(morning().write().run("log vm/db-1 -n prod").all(), @"");
}

#[test]
fn tells_everything_that_happened_in_all_namespaces() {
    insta::assert_snapshot!(morning().write().run("log -A").all(), @"");
}

#[test]
fn bounds_in_time_and_inferred_deletions_are_told() {
    insta::assert_snapshot!(outage().write().run("log vm -n prod").all(), @"");
}

#[test]
fn gaps_stand_among_the_records() {
    insta::assert_snapshot!(gap().write().run("log vm/db-1 -n prod").all(), @"");
}

#[test]
fn unfolds_on_request() {
    let told = morning().write();
    let folded = told.run("log vm/db-1 -n prod").stdout;
    let all = told.run("log vm/db-1 -n prod --all").stdout;
    assert!(folded.contains("2 changes of status or bookkeeping only"), "{folded}");
    assert_eq!(all.matches("modified").count(), 4, "{all}");
}

#[test]
fn shows_only_the_time_asked_for_but_compares_with_what_was_before() {
    let told = morning().write();
    let ran = told.run("log vm/db-1 -n prod --since 2026-11-22T10:05:00Z --until 2026-11-22T10:15:00Z");
    assert!(ran.stdout.contains("memory.guest 4Gi -> 8Gi"), "{}", ran.all());
    assert!(!ran.stdout.contains("created") && !ran.stdout.contains("deleted"), "{}", ran.all());
    let none = told.run("log vm/db-1 -n prod --since -1m");
    assert_eq!((none.stdout.as_str(), none.code), ("", 0));
    assert!(none.stderr.contains("No records in that time"), "{}", none.stderr);
}

#[test]
fn every_record_has_a_line_and_lines_fit_their_schema() {
    let told = outage().write();
    let lines = told.run("log -A --all -o jsonl").lines();
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!(lines.iter().filter(|line| line["op"] == "H").count(), 1, "the heartbeat too");
    for line in &lines {
        schema::check("record", line);
    }
    let late: Vec<_> = lines.iter().filter(|line| !line["lo"].is_null()).collect();
    assert_eq!(late.len(), 2);
    assert_eq!((&late[1]["op"], &late[1]["inferred"]), (&"D".into(), &true.into()));
    schema::check("timeline", &told.run("log -A -o json").json());
    schema::check("timeline", &told.run("log -A -o json --since latest").json());
}

#[test]
fn warns_of_resources_that_are_not_captured_now() {
    let ran = morning().denied("kubevirt.io", "virtualmachines", "watch").write().run("log vm/db-1 -n prod");
    assert!(
        ran.stderr.contains("Warning: virtualmachines.kubevirt.io is denied (watch is forbidden)"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_object_that_never_was_is_an_error_with_near_names() {
    let ran = morning().write().run("log vm/db1 -n prod");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean db-1?"), "{}", ran.stderr);
}

#[test]
fn no_archive_named_is_a_usage_error() {
    insta::assert_snapshot!(run_alone(&["log"]).all(), @"");
}
