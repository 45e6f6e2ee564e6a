//! A person at a terminal: being asked, pressing Ctrl-C, going on, and taking back what somebody changed since.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use vmrewind_testkit::build::{Build, namespace, secret};

use crate::{
    harness::{Story, Told},
    schema,
    site::{Site, newest_journal, story},
};

/// Runs the tool on a terminal (util-linux `script` makes one), types `keys`, and returns what was shown and the code.
fn at_a_terminal(site: &Site, told: &Told, words: &str, keys: &str) -> (String, Option<i32>) {
    let line = format!(
        "{} {words} --archive {} --kubeconfig {}",
        env!("CARGO_BIN_EXE_kubectl-vmrewind"),
        told.place().display(),
        site.plane.kubeconfig().display(),
    );
    let mut script = Command::new("script");
    script
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("VMREWIND_NOW", crate::harness::NOW)
        .env("VMREWIND_JOURNALS", told.file("journals"));
    let mut child =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("script runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(keys.as_bytes()).expect("typed");
    drop(stdin); // script passes the end of its input on as the end of the typing
    let output = child.wait_with_output().expect("it ends");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn only_yes_goes_on_and_anything_else_or_nothing_changes_nothing() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let restore = "restore vm/app -n prod --at before-delete";
    for keys in ["no\n", "y\n", "\n", ""] {
        let (shown, code) = at_a_terminal(&site, &told, restore, keys);
        assert_eq!(code, Some(1), "{keys:?}: {shown}");
        assert!(shown.contains("Only \"yes\" goes on:"), "{keys:?}: {shown}");
        assert!(shown.contains("nothing was done: you did not say yes."), "{keys:?}: {shown}");
        assert!(shown.contains(&site.uid), "the question names the cluster: {shown}");
        assert_eq!(site.machine(), None, "{keys:?}");
    }
    let (shown, code) = at_a_terminal(&site, &told, restore, "yes\n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Verified: 2 of 2 objects are as planned."), "{shown}");
    assert!(site.machine().is_some());
}

#[test]
fn an_undo_asks_as_well() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let (shown, code) = at_a_terminal(&site, &told, "restore vm/app -n prod --at before-delete", "yes\n");
    assert_eq!(code, Some(0), "{shown}");
    let id = shown.split("vmrewind undo ").nth(1).expect("the way back is named").trim().to_owned();
    let (shown, code) = at_a_terminal(&site, &told, &format!("undo {id}"), "no\n");
    assert_eq!(code, Some(1), "{shown}");
    assert!(site.machine().is_some());
    let (shown, code) = at_a_terminal(&site, &told, &format!("undo {id}"), "yes\n");
    assert_eq!(code, Some(0), "{shown}");
    site.wait_until_gone("kubevirt.io", "VirtualMachine", "app");
}

#[test]
fn a_graph_on_a_terminal_explains_its_marks_and_one_in_a_pipe_does_not() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let (shown, code) = at_a_terminal(&site, &told, "graph vm/app -n prod --at seq:3", "");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("! marks what it does not work without"), "{shown}");
    let piped = told.run("graph vm/app -n prod --at seq:3");
    assert!(!piped.all().contains("! marks"), "{}", piped.all());
}

#[test]
fn what_was_changed_since_is_left_by_undo_and_taken_back_by_force() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let ran = site.run(&told, "restore vm/app -n prod --at before-delete --yes");
    assert_eq!(ran.code, 0, "{}", ran.all());
    let id = newest_journal(&site, &told);
    site.patch("", "Secret", "app-key", &json!({"data": {"added": "aGk="}}));

    let undone = site.run(&told, &format!("undo {id} --yes -o json"));
    assert_eq!(undone.code, 3, "{}", undone.all());
    let answer = undone.json();
    schema::check("undo-outcome", &answer);
    assert_eq!(answer["left"].as_array().map(Vec::len), Some(1), "{answer}");
    assert!(answer["left"][0]["note"].as_str().is_some_and(|note| note.contains("changed after")), "{answer}");
    assert!(undone.stderr.contains("undo can be repeated"), "{}", undone.stderr);
    site.wait_until_gone("kubevirt.io", "VirtualMachine", "app");
    assert!(site.get("", "Secret", "app-key").is_some(), "somebody's work is not thrown away");

    let forced = site.run(&told, &format!("undo {id} --yes --force"));
    assert_eq!(forced.code, 0, "{}", forced.all());
    site.wait_until_gone("", "Secret", "app-key");
}

/// An archive of a namespace with so many secrets that restoring them takes a while.
fn many(count: usize) -> (Story, Vec<Build>) {
    let secrets: Vec<Build> = (0..count).map(|number| secret(&format!("s{number:04}"))).collect();
    let told = secrets.iter().fold(Story::new().added(&namespace("prod")), Story::added);
    (told.commit(), secrets)
}

#[test]
fn ctrl_c_in_the_middle_keeps_the_journal_and_the_restore_goes_on_from_there() {
    const COUNT: usize = 1500;
    let site = Site::start();
    let told = many(COUNT).0.write_for(&site.uid);
    let kubeconfig = site.plane.kubeconfig().display().to_string();
    let mut command = told.command();
    command.args(["restore", "secret", "-n", "prod", "--at", "latest", "--yes", "-o", "json"]);
    command.args(["--kubeconfig", &kubeconfig]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool runs");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let done = |line: &String| line.ends_with(": done");
    let first = said.by_ref().map(|line| line.expect("text")).find(done);
    assert!(first.is_some(), "it ended before its first step");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let rest: Vec<String> = said.map(|line| line.expect("text")).collect();
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("Stopping")), "{rest:#?}");
    let hint = rest.iter().find(|line| line.starts_with("Hint:")).expect("a hint");

    let list = site.run(&told, "undo -o json").json();
    schema::check("journal-list", &list);
    let journal = &list["items"][0];
    let (id, done) = (journal["id"].as_str().expect("an id"), journal["done"].as_u64().expect("a number"));
    assert!(hint.contains(&format!("--resume {id}")), "{hint}");
    assert!(done > 0 && done < COUNT as u64, "stopped in the middle: {journal}");
    let there = || -> Vec<Value> { site.list("", "Secret") };
    assert_eq!(there().len() as u64, done, "the journal knows all that was done, and nothing else was");

    let resumed = site.run(&told, &format!("restore --resume {id} --yes -o json"));
    assert_eq!(resumed.code, 0, "{}", resumed.all());
    let answer = resumed.json();
    schema::check("restore-outcome", &answer);
    assert_eq!((answer["alreadyDone"].as_u64(), answer["verified"].as_bool()), (Some(done), Some(true)));
    assert_eq!(there().len(), COUNT);
}
