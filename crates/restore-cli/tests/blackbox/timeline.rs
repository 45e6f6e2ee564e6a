//! `log`.

use crate::{harness::run_alone, schema, stories::*};

#[test]
fn tells_what_happened_to_an_object_and_folds_bookkeeping() {
    insta::assert_snapshot!(morning().write().run("log vm/db-1 -n prod").all(), @r#"
    TIME                          SEQ   RV    VERB       MANAGER   WHAT
    2026-11-22T10:00:10.000006Z   6     106   added      kubectl   created
    … 2 changes of status or bookkeeping only (--all shows them)
    2026-11-22T10:10:10.000011Z   11    110   modified   kubectl   spec.template.spec.domain.memory.guest 4Gi -> 8Gi
    2026-11-22T10:30:00.000012Z   12    111   modified   ?         deletion begins
    2026-11-22T10:30:00.000013Z   13    112   deleted              its last state is recorded
    "#);
}

#[test]
fn tells_everything_that_happened_in_all_namespaces() {
    insta::assert_snapshot!(morning().write().run("log -A").all(), @r#"
    TIME                          SEQ   RV    VERB       OBJECT                 MANAGER   WHAT
    2026-11-22T10:00:10.000001Z   1     101   added      ns/prod                          created
    2026-11-22T10:00:10.000002Z   2     102   added      secret/prod/db-1-tls             created
    2026-11-22T10:00:10.000003Z   3     103   added      pvc/prod/db-1-data               created
    2026-11-22T10:00:10.000004Z   4     104   added      dv/prod/db-1-root                created
    2026-11-22T10:00:10.000005Z   5     105   added      pvc/prod/db-1-root               created
    2026-11-22T10:00:10.000006Z   6     106   added      vm/prod/db-1           kubectl   created
    2026-11-22T10:00:10.000007Z   7     107   added      vm/prod/web                      created
    2026-11-22T10:00:10.000008Z   8           absent     cm/prod/db-1-scripts             named by another object, but does not exist
    … 2 changes of status or bookkeeping only (--all shows them)
    2026-11-22T10:10:10.000011Z   11    110   modified   vm/prod/db-1           kubectl   spec.template.spec.domain.memory.guest 4Gi -> 8Gi
    2026-11-22T10:30:00.000012Z   12    111   modified   vm/prod/db-1           ?         deletion begins
    2026-11-22T10:30:00.000013Z   13    112   deleted    vm/prod/db-1                     its last state is recorded
    2026-11-22T10:30:00.000014Z   14    113   deleted    secret/prod/db-1-tls             its last state is recorded
    "#);
}

#[test]
fn bounds_in_time_and_inferred_deletions_are_told() {
    insta::assert_snapshot!(outage().write().run("log vm -n prod").all(), @r#"
    TIME                          SEQ   RV    VERB       OBJECT         MANAGER   WHAT
    2026-11-22T10:00:10.000001Z   1     101   added      vm/prod/db-1   kubectl   created
    2026-11-22T10:00:10.000003Z   3     103   added      vm/prod/web              created
    2026-11-22T10:10:00.000005Z   5     104   modified   vm/prod/db-1   kubectl   spec.template.spec.domain.memory.guest 4Gi -> 8Gi; between 2026-11-22T10:05:00.000000Z and 2026-11-22T10:10:00.000005Z
    2026-11-22T10:10:00.000006Z   6           deleted    vm/prod/web              gone: a later list does not hold it; between 2026-11-22T10:05:00.000000Z and 2026-11-22T10:10:00.000006Z
    "#);
}

#[test]
fn gaps_stand_among_the_records() {
    insta::assert_snapshot!(gap().write().run("log vm/db-1 -n prod").all(), @r#"
    TIME                          SEQ   RV    VERB         MANAGER   WHAT
    2026-11-22T10:00:10.000001Z   1     101   added        kubectl   created
    2026-11-22T10:05:00.000003Z   3           gap opens              nothing is proven from 2026-11-22T10:05:00.000002Z (expired: the watch fell behind)
    2026-11-22T10:10:00.000004Z   4     103   seen         kubectl   spec.template.spec.domain.memory.guest 4Gi -> 8Gi
    2026-11-22T10:10:00.000005Z   5           gap closes             nothing is proven from 2026-11-22T10:05:00.000002Z to 2026-11-22T10:10:00.000004Z (expired: the watch fell behind)
    "#);
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
    insta::assert_snapshot!(run_alone(&["log"]).all(), @r#"
    --- stderr
    Error: no archive is named.
    Hint: use --archive URL or set VMREWIND_ARCHIVE, for example to a directory or s3://bucket/prefix.
    [exit status: 2]
    "#);
}
