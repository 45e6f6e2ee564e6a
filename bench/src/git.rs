//! The same versions in a git repository, packed as tightly as git does by itself.

use std::{
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::{day::Version, density::size, history::What};

/// Commits what happened second by second, a file for each object. Returns the bytes of the repository's objects after
/// `git gc --aggressive`. (What happens twice to an object within a second is one commit: git keeps fewer versions.)
pub(crate) fn packed(dir: &Path, versions: &[Version]) -> anyhow::Result<u64> {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(dir).args(args).stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    std::fs::create_dir(dir)?;
    ensure!(git(&["init", "--quiet", "--bare"]).status().context("git")?.success(), "git init failed");
    let mut import = git(&["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
    let mut to = BufWriter::new(import.stdin.take().context("its input")?);
    let second = |version: &Version| version.t.micros() / 1_000_000;
    let mut rest = versions;
    while let Some(first) = rest.first() {
        let at = second(first);
        let (batch, later) = rest.split_at(rest.partition_point(|version| second(version) <= at));
        write!(to, "commit refs/heads/main\ncommitter bench <bench@example.com> {at} +0000\ndata 0\n")?;
        for version in batch {
            let key = version.object.head()?.key;
            let path = format!("{}/{}/{}.json", key.namespace, key.kind, key.name);
            match version.what {
                What::Deleted => writeln!(to, "D {path}")?,
                What::Added | What::Modified => {
                    let bytes = version.object.bytes();
                    writeln!(to, "M 644 inline {path}\ndata {}", bytes.len())?;
                    to.write_all(bytes)?;
                    writeln!(to)?;
                }
            }
        }
        rest = later;
    }
    to.into_inner().map_err(std::io::IntoInnerError::into_error)?.flush()?;
    ensure!(import.wait()?.success(), "git fast-import failed");
    ensure!(git(&["gc", "--quiet", "--aggressive", "--prune=now"]).status()?.success(), "git gc failed");
    size(&dir.join("objects"))
}
