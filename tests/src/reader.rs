//! The second implementation: a reader in Python, written from `spec/` alone.
//!
//! Does not: forgive a difference.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::Tool;

/// Environment variable with the Python that has what the reader needs.
const PYTHON: &str = "VMREWIND_PYTHON";
/// The members of a record that both print.
const OF_RECORDS: [&str; 14] = [
    "seq",
    "t",
    "lo",
    "op",
    "group",
    "kind",
    "namespace",
    "name",
    "uid",
    "resourceVersion",
    "inferred",
    "contentId",
    "era",
    "fromSeq",
];
/// The members of an object that both print.
const OF_OBJECTS: [&str; 10] =
    ["seq", "t", "group", "kind", "namespace", "name", "uid", "resourceVersion", "contentId", "object"];

/// Proves that neither the tool nor the Python reader finds anything wrong or odd, and that it and the tool see the same: every record, and every
/// object of the newest state and of the state at a third and at two thirds of the records.
///
/// # Errors
/// With the first difference, or if one of them fails.
pub async fn agree_with_python_reader(tool: &Tool, archive: &Path) -> anyhow::Result<()> {
    python(archive, &["verify", "--facts"]).await?;
    let ours = tool.ok(&["verify", "--deep", "-o", "json"]).await?.json()?;
    ensure!(ours["notes"] == serde_json::json!([]), "what a watcher wrote is not even odd: {}", ours["notes"]);
    let ours = tool.ok(&["log", "-A", "--all", "-o", "jsonl"]).await?.lines()?;
    same("record", &ours, &lines(&python(archive, &["log"]).await?)?, &OF_RECORDS)?;
    let (first, second) = (ours.len() / 3, ours.len() * 2 / 3);
    for at in ["latest".to_owned(), format!("seq:{}", first.max(1)), format!("seq:{}", second.max(1))] {
        let dump = ["dump", "-A", "--at", &at, "--show-secrets", "--allow-gaps", "--allow-late", "-o", "jsonl"];
        let mut ours = tool.ok(&dump).await?.lines()?;
        let mut theirs = lines(&python(archive, &["dump", "--at", &at]).await?)?;
        // What is withheld has no object, and the reader says so elsewhere.
        ours.retain(|object| !object["object"].is_null());
        for side in [&mut ours, &mut theirs] {
            side.sort_by_key(|object| ["group", "kind", "namespace", "name"].map(|part| object[part].to_string()));
        }
        same("object", &ours, &theirs, &OF_OBJECTS).with_context(|| format!("at {at}"))?;
    }
    Ok(())
}

fn same(what: &str, ours: &[Value], theirs: &[Value], members: &[&str]) -> anyhow::Result<()> {
    for (index, (our, their)) in ours.iter().zip(theirs).enumerate() {
        for member in members {
            let equal = our[member] == their[member];
            ensure!(equal, "{what} {index}: {member} differs:\nours:   {our}\ntheirs: {their}");
        }
    }
    ensure!(ours.len() == theirs.len(), "the tool has {} {what}s, the reader {}", ours.len(), theirs.len());
    ensure!(!ours.is_empty(), "no {what} at all");
    Ok(())
}

fn lines(text: &str) -> anyhow::Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

async fn python(archive: &Path, args: &[&str]) -> anyhow::Result<String> {
    let (command, flags) = args.split_first().context("a command")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let venv = || root.join(".venv/bin/python");
    let python = std::env::var_os(PYTHON).map_or_else(venv, PathBuf::from);
    if !python.exists() {
        bail!("{} is not there: `make venv` prepares it", python.display());
    }
    let output = tokio::process::Command::new(python)
        .arg(root.join("spec/reader.py"))
        .arg(command)
        .arg(archive)
        .args(flags)
        .kill_on_drop(true)
        .output()
        .await
        .context("running the Python reader")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    let problems: Vec<&str> = told.lines().filter(|line| line.starts_with("E_") || line.starts_with("FACT")).collect();
    ensure!(output.status.success(), "the Python reader fails ({}): {said}{}", output.status, problems.join("\n"));
    String::from_utf8(output.stdout).context("the Python reader printed no text")
}
