//! The other implementation: `spec/reader.py verify --facts`.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Found;

/// Checks all places in one process.
const DRIVER: &str = "
import sys
sys.path.insert(0, sys.argv[1])
import reader
for place in sys.stdin.read().splitlines():
    print('=', flush=True)
    reader.main(['verify', '--facts', *sys.argv[2:], place])
    sys.stdout.flush()
";

/// Returns what the reader in Python finds in each place.
pub(super) fn said(places: &[PathBuf]) -> Vec<Found> {
    run(places, None).iter().map(|text| problems(text)).collect()
}

/// Returns the codes that the reader in Python finds in each place, given the file of an identity.
pub(super) fn said_with(identity: Option<&Path>, places: &[PathBuf]) -> Vec<BTreeSet<String>> {
    let codes = |text: &String| problems(text).into_iter().map(|(code, _)| code).collect();
    run(places, identity).iter().map(codes).collect()
}

/// Returns the codes that the reader in Python finds in each place, each with the slot or the name that it gives.
pub(super) fn named(places: &[PathBuf]) -> Vec<BTreeSet<(String, String)>> {
    let one = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let code = words.next().filter(|code| code.starts_with("E_") || code == "FACT")?;
        Some((code, words.next()?))
    };
    run(places, None).iter().map(|text| text.lines().filter_map(one).collect()).collect()
}

/// Returns what the reader in Python prints for each place.
fn run(places: &[PathBuf], identity: Option<&Path>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("VMREWIND_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let mut child = Command::new(&python)
        .args(["-c", DRIVER])
        .arg(root.join("spec"))
        .args(identity.map(|file| format!("--identity={}", file.display())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `make venv` prepares it", python.display()));
    let list: String = places.iter().map(|place| format!("{}\n", place.display())).collect();
    child.stdin.take().expect("piped").write_all(list.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the Python reader fails");
    let text = String::from_utf8(output.stdout).expect("text");
    let parts: Vec<String> = text.split("=\n").skip(1).map(str::to_owned).collect();
    assert_eq!(parts.len(), places.len(), "{text}");
    parts
}

/// Reads lines of the form `code slot offset: sentence`.
fn problems(text: &str) -> Found {
    let one = |line: &str| {
        let (code, rest) = line.split_once(' ')?;
        let known = code.starts_with("E_") || code == "FACT";
        let slot = rest.split(' ').next().filter(|_| known)?;
        Some((code.to_owned(), slot.parse().ok()))
    };
    text.lines().filter_map(one).collect()
}
