//! The reference of the command line in `docs/cli.md` is the help of the tool, and cannot drift from it.

use std::path::Path;

use crate::harness::run_alone;

const VERBS: [&str; 19] = [
    "info",
    "log",
    "get",
    "show",
    "dump",
    "diff",
    "graph",
    "deleted",
    "plan",
    "restore",
    "apply",
    "undo",
    "verify",
    "copy",
    "export",
    "import",
    "key",
    "completion",
    "version",
];

fn reference() -> String {
    let mut text = String::from(
        "# Command line\n\nThe help of the tool, verb by verb. A test compares this page with the tool; \
         `VMREWIND_UPDATE_DOCS=1 cargo test -p vmrewind-cli reference` writes it anew.\n\n\
         The forms of `-o json` and `-o jsonl` are in `spec/schemas`.\n",
    );
    let mut section = |title: &str, words: &[&str]| {
        let help = run_alone(words);
        assert_eq!(help.code, 0, "{}", help.all());
        text.push_str(&format!("\n## {title}\n\n```text\n{}```\n", trimmed(&help.stdout)));
    };
    section("kubectl vmrewind", &["--help"]);
    for verb in VERBS {
        section(verb, &[verb, "--help"]);
    }
    text
}

/// Takes away blanks at the ends of lines, which editors would take away too.
fn trimmed(help: &str) -> String {
    help.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn the_reference_is_the_help_of_the_tool() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let reference = reference();
    if std::env::var_os("VMREWIND_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &reference).expect("docs/cli.md can be written");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == reference, "docs/cli.md is not the help of the tool; see its second paragraph");
}

#[test]
fn every_verb_is_in_the_reference() {
    let help = run_alone(&["--help"]).stdout;
    let commands =
        help.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list of commands");
    let listed: Vec<&str> =
        commands.lines().filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").collect();
    assert_eq!(listed, VERBS);
}

#[test]
fn the_version_is_told() {
    let ran = run_alone(&["version", "-o", "json"]);
    crate::schema::check("version", &ran.json());
    assert!(run_alone(&["version"]).stdout.starts_with("kubectl-vmrewind "));
}
