//! Completion of the command line, as shells and kubectl ask for it.

use std::process::Command;

use crate::{
    harness::{Told, run_alone},
    stories::morning,
};

/// Returns the candidates for the last word, without descriptions, and the directive.
fn complete(told: &Told, words: &[&str]) -> (Vec<String>, String) {
    let mut all = vec!["__complete", "--"];
    all.extend(words);
    let ran = told.run_words(&all);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.all());
    let mut lines: Vec<String> =
        ran.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect();
    let directive = lines.pop().expect("a directive");
    (lines, directive)
}

fn words(told: &Told, typed: &[&str]) -> Vec<String> {
    complete(told, typed).0
}

#[test]
fn names_of_objects_come_from_the_archive_and_those_that_were_deleted_too() {
    let told = morning().write();
    assert_eq!(words(&told, &["restore", "-n", "prod", "vm/"]), ["vm/db-1", "vm/web"], "db-1 was deleted");
    assert_eq!(words(&told, &["restore", "-n", "prod", "vm/d"]), ["vm/db-1"]);
    assert_eq!(words(&told, &["get", "vm", "-n", "prod", "w"]), ["web"]);
    assert_eq!(words(&told, &["get", "-A", "vm", ""]), ["db-1", "web"]);
    assert_eq!(words(&told, &["get", "vm", ""]), [""; 0], "another namespace");
    assert_eq!(words(&told, &["diff", "latest", "live", "-n", "prod", "secret/"]), ["secret/db-1-tls"]);
    assert_eq!(words(&told, &["log", "--namespace=prod", "nonsense/"]), [""; 0]);
    assert_eq!(words(&told, &["plan", "-n", ""]), ["prod"]);
}

#[test]
fn verbs_flags_and_values_are_completed() {
    let told = morning().write();
    let verbs = words(&told, &[""]);
    assert!(verbs.starts_with(&["info".into(), "log".into()]) && verbs.contains(&"undo".into()), "{verbs:?}");
    assert!(!verbs.iter().any(|verb| verb == "__complete"), "{verbs:?}");
    assert_eq!(words(&told, &["rest"]), ["restore"]);
    assert!(words(&told, &["get", "--a"]).contains(&"--allow-gaps".into()));
    assert_eq!(words(&told, &["plan", "--on-conflict", ""]), ["fail", "skip", "replace"]);
    assert_eq!(words(&told, &["get", "--at", "b"]), ["before-delete"]);
    assert_eq!(words(&told, &["diff", ""]), ["latest", "before-delete", "live"]);
    assert!(words(&told, &["get", "persis"]).is_empty() && words(&told, &["get", "pv"]).contains(&"pvc".into()));
    assert_eq!(complete(&told, &["apply", "-f", ""]), (Vec::new(), ":0".into()), "a file name may stand there");
    assert_eq!(complete(&told, &["get", "vm/x"]).1, ":4");
}

#[test]
fn completion_without_an_archive_offers_nothing_and_says_nothing() {
    let ran = run_alone(&["__complete", "--", "get", "vm/"]);
    assert_eq!((ran.code, ran.all().as_str()), (0, ":4\n"));
}

#[test]
fn bash_gets_its_candidates() {
    let told = morning().write();
    let script = run_alone(&["completion", "bash"]).stdout;
    let tool = std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-vmrewind"));
    let asking = format!(
        "{script}\nCOMP_WORDS=(kubectl-vmrewind restore -n prod vm/); COMP_CWORD=4; _kubectl_vmrewind; echo \"${{COMPREPLY[@]}}\""
    );
    let path = format!("{}:/usr/bin:/bin", tool.parent().expect("a folder").display());
    let output = Command::new("bash")
        .args(["-c", &asking])
        .env_clear()
        .envs([("PATH", path.as_str()), ("VMREWIND_ARCHIVE", &told.place().display().to_string())])
        .output()
        .expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "vm/db-1 vm/web\n", "{output:?}");
}

#[test]
fn kubectl_is_answered_when_it_completes_the_plugin() {
    let told = morning().write();
    let tool = std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-vmrewind"));
    let path = format!("{}:/usr/bin:/bin", tool.parent().expect("a folder").display());
    let script = run_alone(&["completion", "kubectl"]).stdout;
    let file = told.file("kubectl_complete-vmrewind");
    std::fs::write(&file, script).expect("written");
    let archive = told.place().display().to_string();
    let mut asking = Command::new("sh");
    asking.args([&file, "get", "-n", "prod", "vm/d"]).env_clear();
    let output = asking.envs([("PATH", path.as_str()), ("VMREWIND_ARCHIVE", &archive)]).output().expect("sh");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "vm/db-1\n:4\n", "{output:?}");
}

#[test]
fn every_shell_has_a_script_that_asks_the_tool() {
    for shell in ["bash", "zsh", "fish", "kubectl"] {
        let ran = run_alone(&["completion", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("kubectl-vmrewind __complete -- "), "{shell}: {}", ran.all());
    }
}
