//! `graph`.

use crate::{schema, stories::*};

#[test]
fn draws_what_a_machine_needs() {
    insta::assert_snapshot!(morning().write().run("graph vm/db-1 -n prod --at seq:8").all(), @"");
}

#[test]
fn draws_what_needs_a_secret() {
    insta::assert_snapshot!(morning().write().run("graph secret/db-1-tls -n prod --at seq:8 --reverse").all(), @"");
}

#[test]
fn missing_objects_stay_in_the_drawing() {
    let story = crate::harness::Story::new().added(&database());
    let ran = story.write().run("graph vm/db-1 -n prod --at seq:1");
    assert!(ran.stdout.contains("PersistentVolumeClaim/prod/db-1-data [absent]"), "{}", ran.all());
    assert!(ran.stdout.contains("Secret/prod/db-1-tls [unknown]"), "{}", ran.all());
    assert!(ran.stdout.contains("missing"), "{}", ran.all());
}

#[test]
fn every_format_holds_every_object() {
    let told = morning().write();
    let graph = told.run("graph vm/db-1 -n prod --at seq:8 -o json").json();
    schema::check("graph", &graph);
    let nodes = graph["nodes"].as_array().expect("nodes").len();
    assert!(nodes > 3);
    let dot = told.run("graph vm/db-1 -n prod --at seq:8 -o dot").stdout;
    assert_eq!(dot.lines().filter(|line| line.contains("[label=")).count(), nodes, "{dot}");
    let mermaid = told.run("graph vm/db-1 -n prod --at seq:8 -o mermaid").stdout;
    assert_eq!(mermaid.lines().filter(|line| line.contains("[\"")).count(), nodes, "{mermaid}");
}

#[test]
fn an_object_that_is_not_there_is_an_error() {
    let ran = morning().write().run("graph vm/db-9 -n prod --at seq:8");
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("did you mean db-1?"), "{}", ran.stderr);
}
