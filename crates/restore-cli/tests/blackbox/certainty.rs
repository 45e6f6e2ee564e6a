//! Answers that touch a gap, an unproven resource or an uncertain interval.

use crate::stories::*;

#[test]
fn an_instant_inside_a_gap_is_refused_with_the_nearest_certain_ones() {
    insta::assert_snapshot!(gap().write().run("get vm -n prod --at 2026-11-22T10:07:00Z").all(), @r#"
    --- stderr
    Error: the answer for 2026-11-22T10:07:00Z is uncertain.
      - gap in virtualmachines.kubevirt.io from 2026-11-22T10:05:00.000002Z until 2026-11-22T10:10:00.000004Z (expired: the watch fell behind).
    Hint: the nearest certain instant is --at 2026-11-22T10:05:00.000002Z or --at 2026-11-22T10:10:00.000004Z; --allow-gaps shows what is known all the same.
    [exit status: 6]
    "#);
}

#[test]
fn a_gap_can_be_allowed() {
    let ran = gap().write().run("get vm -n prod --at 2026-11-22T10:07:00Z --allow-gaps");
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.stderr.contains("Warning: gap in virtualmachines.kubevirt.io"), "{}", ran.stderr);
    assert!(ran.stdout.contains("db-1"));
}

#[test]
fn a_gap_in_another_resource_does_not_matter() {
    let told = gap().write();
    let ran = told.run("get secret -n prod --at 2026-11-22T10:07:00Z");
    assert_eq!(ran.code, 0, "{}", ran.all());
    let graph = told.run("graph secret/db-1-tls -n prod --at 2026-11-22T10:07:00Z");
    assert_eq!(graph.code, 0, "{}", graph.all());
    let graph = told.run("graph vm/db-1 -n prod --at 2026-11-22T10:07:00Z");
    assert_eq!(graph.code, 6, "the closure of a machine consulted machines: {}", graph.all());
}

#[test]
fn the_ends_of_a_gap_are_certain() {
    let told = gap().write();
    for end in ["2026-11-22T10:05:00.000002Z", "2026-11-22T10:10:00.000004Z"] {
        let ran = told.run(&format!("get vm -n prod --at {end}"));
        assert_eq!(ran.code, 0, "{end}: {}", ran.all());
    }
}

#[test]
fn an_instant_in_an_outage_is_uncertain_and_the_evidence_is_told() {
    insta::assert_snapshot!(outage().write().run("show vm/db-1 -n prod --at 2026-11-22T10:08:00Z").all(), @r#"
    --- stderr
    Error: the answer for 2026-11-22T10:08:00Z is uncertain.
      - VirtualMachine.kubevirt.io/prod/db-1 was modified between 2026-11-22T10:05:00Z and 2026-11-22T10:10:00.000005Z: spec.template.spec.domain.memory.guest 4Gi -> 8Gi; so it is either the state of seq:1 or that of seq:5. Its newest managedFields entry says 2026-11-22T10:07:00Z, at or before the instant.
    Hint: the nearest certain instant is --at 2026-11-22T10:05:00Z or --at 2026-11-22T10:10:00.000005Z; --allow-late shows what is known all the same.
    [exit status: 6]
    "#);
}

#[test]
fn an_inferred_deletion_in_an_outage_is_uncertain_too() {
    insta::assert_snapshot!(outage().write().run("get vm/web -n prod --at 2026-11-22T10:08:00Z").all(), @r#"
    --- stderr
    Error: the answer for 2026-11-22T10:08:00Z is uncertain.
      - VirtualMachine.kubevirt.io/prod/web was deleted between 2026-11-22T10:05:00Z and 2026-11-22T10:10:00.000006Z; so it is either the state of seq:3 or that of seq:6.
    Hint: the nearest certain instant is --at 2026-11-22T10:05:00Z or --at 2026-11-22T10:10:00.000006Z; --allow-late shows what is known all the same.
    [exit status: 6]
    "#);
}

#[test]
fn a_late_change_can_be_allowed_and_objects_it_does_not_touch_are_certain() {
    let told = outage().write();
    let ran = told.run("get vm -n prod --at 2026-11-22T10:08:00Z --allow-late -o name");
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(ran.stdout, "virtualmachine.kubevirt.io/db-1\nvirtualmachine.kubevirt.io/web\n");
    assert!(ran.stderr.contains("Warning:"), "{}", ran.stderr);
    assert_eq!(told.run("get secret -n prod --at 2026-11-22T10:08:00Z").code, 0);
}

#[test]
fn the_evidence_never_shows_a_secret() {
    let changed = tls().set("data.password", "c2Vjb25kLXBhc3N3b3Jk");
    let story = outage().late_since("2026-11-22T10:10:00Z").modified(&changed).commit().wait(60);
    let ran = story.write().run("get secret -n prod --at 2026-11-22T10:15:00Z");
    assert_eq!(ran.code, 6, "{}", ran.all());
    assert!(ran.stderr.contains("data.password changed (masked)"), "{}", ran.stderr);
    assert!(!ran.all().contains("c2Vjb25k") && !ran.all().contains(STORED_PASSWORD), "{}", ran.all());
}

#[test]
fn an_instant_before_the_first_record_is_refused_with_the_first_one() {
    insta::assert_snapshot!(morning().write().run("get vm -A --at 2026-11-22T09:00:00Z").all(), @r#"
    --- stderr
    Error: 2026-11-22T09:00:00Z lies before the first record of the archive (2026-11-22T10:00:10.000001Z, 1h59m ago).
    Hint: use --at 2026-11-22T10:00:10.000001Z or later.
    [exit status: 6]
    "#);
}

#[test]
fn an_instant_after_the_last_proof_is_refused_with_the_last_one() {
    insta::assert_snapshot!(morning().write().run("get vm -n prod --at 2026-11-22T11:59:00Z").all(), @r#"
    --- stderr
    Error: the answer for 2026-11-22T11:59:00Z is uncertain.
      - virtualmachines.kubevirt.io is proven up to 2026-11-22T10:30:00.000014Z only; it is live.
    Hint: the nearest certain instant is --at 2026-11-22T10:30:00.000014Z; --allow-gaps shows what is known all the same.
    [exit status: 6]
    "#);
}

#[test]
fn an_instant_that_will_be_proven_soon_says_to_wait() {
    let ran = morning().write().run("get vm -n prod --at 2026-11-22T10:30:30Z --now 2026-11-22T10:31:00Z");
    assert_eq!(ran.code, 6, "{}", ran.all());
    assert!(ran.stderr.contains("within two minutes. Wait and repeat the command"), "{}", ran.stderr);
    let old = morning().write().run("get vm -n prod --at 2026-11-22T10:30:30Z");
    assert!(old.code == 6 && !old.stderr.contains("Wait"), "{}", old.stderr);
}

#[test]
fn the_latest_state_says_how_old_it_is_and_is_not_refused_for_it() {
    let ran = morning().write().run("get vm -n prod");
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.stderr.contains("Proven up to 2026-11-22T10:30:00"), "{}", ran.stderr);
    assert_eq!(morning().write().run("get vm -n prod -q").stderr, "");
}

#[test]
fn the_latest_state_of_a_denied_resource_is_refused() {
    let told = morning().denied("", "secrets", "list").write();
    let ran = told.run("get secret -n prod");
    assert_eq!(ran.code, 6, "{}", ran.all());
    assert!(ran.stderr.contains("it is denied (list is forbidden)"), "{}", ran.stderr);
    assert_eq!(told.run("get vm -n prod").code, 0, "machines are captured");
}

#[test]
fn a_type_that_the_cluster_never_served_has_no_objects_for_certain() {
    let told = morning().without_resource("pool.kubevirt.io", "virtualmachinepools").write();
    let ran = told.run("get vmpool -A --at 2026-11-22T10:05:00Z");
    assert_eq!(ran.code, 0, "{}", ran.all());
    let told = morning().without_resource("", "secrets").write();
    let ran = told.run("get secret -A --at 2026-11-22T10:05:00Z");
    assert_eq!(ran.code, 6, "{}", ran.all());
    assert!(ran.stderr.contains("secrets was never captured"), "{}", ran.stderr);
}
