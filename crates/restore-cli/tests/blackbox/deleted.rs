//! `deleted`.

use vmrewind_testkit::build::vm;

use crate::{harness::Story, schema, stories::*};

#[test]
fn lists_what_is_gone_and_says_how_to_bring_it_back() {
    insta::assert_snapshot!(morning().write().run("deleted -A").all(), @r#"
    OBJECT                 DELETED                       AGO     SEQ   LAST CHANGED BY   REMARK
    vm/prod/db-1           2026-11-22T10:30:00.000013Z   1h29m   13    kubectl
    secret/prod/db-1-tls   2026-11-22T10:30:00.000014Z   1h29m   14
    --- stderr
    A deletion names nobody. To bring one back: kubectl vmrewind restore OBJECT --at before-delete
    "#);
}

#[test]
fn what_came_back_is_not_gone() {
    let story = morning().added(&database().uid("another-uid"));
    let ran = story.write().run("deleted -n prod");
    assert!(!ran.stdout.contains("vm/prod/db-1") && ran.stdout.contains("secret/prod/db-1-tls"), "{}", ran.all());
}

#[test]
fn inferred_deletions_are_told_with_their_bounds() {
    let ran = outage().write().run("deleted -n prod");
    assert!(ran.stdout.contains("found by a later list; between 2026-11-22T10:05:00"), "{}", ran.all());
}

#[test]
fn only_since_an_instant() {
    let told = morning().write();
    assert!(told.run("deleted -A --since 2026-11-22T10:20:00Z").stdout.contains("db-1"));
    assert_eq!(told.run("deleted -A --since -1m").stdout, "");
}

#[test]
fn instances_of_machines_are_left_out_unless_asked_for() {
    let machine = vm("web").running();
    let instance = vmrewind_testkit::build::vmi_of(&machine);
    let told = Story::new().added(&machine).added(&instance).deleted(&instance).write();
    assert_eq!(told.run("deleted -A").stdout, "");
    assert!(told.run("deleted -A --all").stdout.contains("vmi/prod/web"));
}

#[test]
fn json_fits_its_schema() {
    let ran = morning().write().run("deleted -A -o json");
    schema::check("deleted-list", &ran.json());
    assert_eq!(ran.json()["items"][0]["begunSeq"], 12);
}
