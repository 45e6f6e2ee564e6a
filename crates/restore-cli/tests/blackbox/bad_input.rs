//! Bad input gets a clear error with a hint.

use crate::{
    harness::{Story, run_alone},
    stories::*,
};

#[test]
fn a_time_without_a_zone_is_refused() {
    insta::assert_snapshot!(morning().write().run("get vm -A --at 2026-11-22T10:15:00").all(), @r#"
    --- stderr
    Error: --at: "2026-11-22T10:15:00" has no time zone, and guessing one could restore the wrong state.
    Hint: write 2026-11-22T10:15:00Z for UTC, or add an offset such as +02:00
    [exit status: 2]
    "#);
}

#[test]
fn unknown_names_are_refused_with_the_nearest_ones() {
    let told = morning().write();
    insta::assert_snapshot!(told.run("get virtualmachin -A").all(), @r#"
    --- stderr
    Error: the archive knows no type "virtualmachin".
    Hint: did you mean VirtualMachine or virtualmachines or VirtualMachinePool?
    [exit status: 2]
    "#);
    insta::assert_snapshot!(told.run("get vm/db-2 -n prod --at seq:8").all(), @r#"
    --- stderr
    Error: the archive knows no VirtualMachine.kubevirt.io/prod/db-2.
    Hint: did you mean db-1?
    [exit status: 2]
    "#);
    insta::assert_snapshot!(told.run("get vm/db-1 -n production --at seq:8").all(), @r#"
    --- stderr
    Error: the archive knows no VirtualMachine.kubevirt.io/production/db-1.
    Hint: there is one in another namespace: vm db-1 -n prod.
    [exit status: 2]
    "#);
}

#[test]
fn instants_that_the_archive_does_not_have_are_refused() {
    let told = morning().write();
    insta::assert_snapshot!(told.run("get vm -A --at seq:999").all(), @r#"
    --- stderr
    Error: the archive has no record 999: its newest is 14.
    Hint: use --at seq:14 or --at latest.
    [exit status: 2]
    "#);
    insta::assert_snapshot!(told.run("get vm/db-1 -n prod --at rv:9999").all(), @r#"
    --- stderr
    Error: the archive has no version 9999 of VirtualMachine.kubevirt.io/prod/db-1.
    Hint: the nearest one is rv:112; log lists all.
    [exit status: 2]
    "#);
    insta::assert_snapshot!(told.run("get vm/web -n prod --at before-delete").all(), @r#"
    --- stderr
    Error: the archive holds no deletion of VirtualMachine.kubevirt.io/prod/web.
    Hint: log VirtualMachine.kubevirt.io/prod/web shows what happened to it; for the newest state use --at latest.
    [exit status: 2]
    "#);
    insta::assert_snapshot!(told.run("get vm -A --at before-delete").all(), @r#"
    --- stderr
    Error: before-delete is about one object, and what is named is not one object.
    Hint: name exactly one, as TYPE/NAME, or give a time: deleted -A tells when each was deleted.
    [exit status: 2]
    "#);
}

#[test]
fn places_that_are_no_archive_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let empty = dir.path().display().to_string();
    let ran = run_alone(&["info", "--archive", &empty]);
    assert_eq!(ran.code, 10, "{}", ran.all());
    assert!(ran.stderr.contains("is not an archive") && ran.stderr.contains("Hint:"), "{}", ran.stderr);
    let ran = run_alone(&["info", "--archive", &format!("{empty}/nowhere")]);
    assert_eq!(ran.code, 10, "{}", ran.all());
    assert!(!dir.path().join("nowhere").exists(), "reading makes nothing");
}

#[test]
fn an_archive_of_a_newer_format_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let told = Story::new().added(&database()).write();
    let file = told.place().join("archive.json");
    let text = std::fs::read_to_string(&file).expect("readable");
    let mut identity: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    identity["format"]["major"] = 9.into();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
    std::fs::write(&file, format!("{identity}\n")).expect("writable");
    let ran = told.run("info");
    assert_eq!(ran.code, 10, "{}", ran.all());
    assert!(ran.stderr.contains("newer"), "{}", ran.stderr);
}

#[test]
fn a_damaged_segment_is_named_and_what_lies_before_it_stays_readable() {
    use std::os::unix::fs::PermissionsExt as _;
    let told = morning().write();
    let victim = told.segments().last().expect("segments").clone();
    let mut bytes = std::fs::read(&victim).expect("readable");
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).expect("ours");
    std::fs::write(&victim, bytes).expect("writable");
    let ran = told.run("get vm -n prod");
    assert_eq!(ran.code, 7, "{}", ran.all());
    let number = victim.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    assert!(ran.stderr.contains(&number), "{}", ran.stderr);
}

#[test]
fn a_cluster_that_cannot_be_found_is_an_error_with_a_hint() {
    let told = morning().write();
    for verb in ["plan vm/db-1 -n prod --at before-delete", "restore vm/db-1 -n prod --at before-delete --yes"] {
        let ran = told.run(verb);
        assert_eq!(ran.code, 2, "{}", ran.all());
        assert!(ran.stderr.contains("no kubeconfig was found") && ran.stderr.contains("Hint:"), "{}", ran.stderr);
        let ran = told.run(&format!("{verb} --kubeconfig /nonexistent/kubeconfig"));
        assert_eq!(ran.code, 2, "{}", ran.all());
        assert!(ran.stderr.contains("/nonexistent/kubeconfig"), "{}", ran.stderr);
    }
}

#[test]
fn a_restore_of_nothing_in_particular_is_refused() {
    for verb in ["plan", "restore"] {
        let ran = morning().write().run(verb);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("nothing is selected"), "{}", ran.stderr);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let told = morning().write();
    let script =
        format!("{} dump -A --archive {} | head -n 1", env!("CARGO_BIN_EXE_kubectl-vmrewind"), told.place().display());
    let script = format!("set -o pipefail; {script} >/dev/null");
    let status = std::process::Command::new("bash").args(["-c", &script]).status().expect("bash");
    assert!(status.success(), "{status}");
}

#[test]
fn colours_are_left_out_where_nobody_sees_them() {
    assert!(!morning().write().run("log -A").all().contains('\u{1b}'));
}

#[test]
fn names_beside_a_selector_are_refused_because_one_of_them_would_be_ignored() {
    let told = morning().write();
    for words in [
        "get vm/db-1 -n prod -l app=db --at seq:8",
        "plan vm/db-1 -n prod -l app=none --at seq:8",
        "restore vm db-1 -n prod -l app=none --at seq:8 --yes",
    ] {
        let ran = told.run(words);
        assert_eq!(ran.code, 2, "{}", ran.all());
        assert!(ran.stderr.contains("cannot stand beside a selector"), "{words}: {}", ran.stderr);
    }
    assert_eq!(told.run("get vm -n prod -l app=db --at seq:8 -o name").stdout.lines().count(), 1);
}

#[test]
fn before_delete_of_several_objects_says_that_it_takes_one() {
    let ran = morning().write().run("restore vm/db-1 vm/web -n prod --at before-delete --yes");
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("name exactly one"), "{}", ran.stderr);
}

#[test]
fn before_delete_with_a_namespace_alone_is_about_the_namespace() {
    let told = Story::new()
        .added(&vmrewind_testkit::build::namespace("prod"))
        .added(&tls())
        .commit()
        .wait(60)
        .deleted(&tls())
        .deleted(&vmrewind_testkit::build::namespace("prod"))
        .write();
    let ran = told.run("plan -n prod --at before-delete --kubeconfig /nonexistent/kubeconfig");
    assert!(ran.stderr.contains("/nonexistent/kubeconfig"), "the instant has a meaning: {}", ran.stderr);
    let ran = morning().write().run("plan -n prod --at before-delete --kubeconfig /nonexistent/kubeconfig");
    assert!(ran.stderr.contains("no deletion of Namespace/prod"), "{}", ran.stderr);
}

#[test]
fn a_restore_that_goes_on_takes_no_flags_that_its_journal_has_decided() {
    for flag in ["--at seq:8", "--volumes blank", "--mac keep", "--on-conflict replace", "--stop", "--mark"] {
        let ran = morning().write().run(&format!("restore --resume x {flag}"));
        assert_eq!(ran.code, 2, "{}", ran.all());
        assert!(ran.stderr.contains("cannot be used with"), "{flag}: {}", ran.stderr);
    }
}

#[test]
fn a_plan_file_that_is_not_there_is_a_mistake_on_the_command_line() {
    let told = morning().write();
    let ran = told.run(&format!("apply -f {} --yes", told.file("nowhere.json")));
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("nowhere.json") && ran.stderr.contains("Hint:"), "{}", ran.stderr);
}

#[test]
fn an_archive_behind_tls_is_no_reason_to_crash() {
    // Nobody listens there; a store that asks again and again is cut short (124).
    let url = "s3://bucket/prefix?endpoint=https://127.0.0.1:1&region=x";
    let status = std::process::Command::new("timeout")
        .args(["3", env!("CARGO_BIN_EXE_kubectl-vmrewind"), "get", "vm", "-A", "--archive", url])
        .envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")])
        .stderr(std::process::Stdio::null())
        .status()
        .expect("the tool runs");
    assert!(matches!(status.code(), Some(8 | 124)), "{status}");
}

#[test]
fn an_answer_keeps_its_exit_code_although_nobody_reads_it() {
    let told = morning().write();
    let script = format!(
        "set -o pipefail; {} diff seq:8 before-delete vm/db-1 -n prod --archive {} | true",
        env!("CARGO_BIN_EXE_kubectl-vmrewind"),
        told.place().display()
    );
    let status = std::process::Command::new("bash").args(["-c", &script]).status().expect("bash");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn an_answer_that_does_not_fit_on_the_disk_is_no_answer() {
    let told = morning().write();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-vmrewind"))
        .args(["get", "vm", "-A", "--archive", &told.place().display().to_string()])
        .stdout(full)
        .stderr(std::process::Stdio::null())
        .status()
        .expect("the tool runs");
    assert_eq!(status.code(), Some(8));
}

#[test]
fn a_place_that_does_not_exist_is_called_so_and_one_without_rights_names_the_rights() {
    use std::os::unix::fs::PermissionsExt as _;
    for place in ["/nope", "/nope/a/b"] {
        let ran = run_alone(&["info", "--archive", place]);
        assert_eq!(ran.code, 10, "{}", ran.all());
        assert!(
            ran.stderr.contains(&format!("{place} does not exist")) && ran.stderr.contains("Hint:"),
            "{}",
            ran.stderr
        );
    }
    let told = morning().write();
    std::fs::set_permissions(told.place(), std::fs::Permissions::from_mode(0o000)).expect("ours");
    let ran = told.run("info");
    std::fs::set_permissions(told.place(), std::fs::Permissions::from_mode(0o700)).expect("ours");
    // The owner of everything is refused nothing.
    if ran.code != 0 {
        assert_eq!(ran.code, 8, "{}", ran.all());
        assert!(ran.stderr.contains("r-x") && !ran.stderr.contains("get and list"), "{}", ran.stderr);
    }
}
