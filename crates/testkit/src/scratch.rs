//! Directories that go with the test that made them; and if that was killed, with the next one that makes its own.
//!
//! ```text
//! <temporary files>/vmrewind-<what>-<process id>.<its start>-<random>
//! ```
//!
//! Does not: touch a directory whose owner runs, or that was made to stay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

const PREFIX: &str = "vmrewind-";

/// Makes a directory, after it has swept away what killed owners left behind. `what` says for what, in lower-case letters.
///
/// # Errors
/// If there is no space.
pub fn directory(what: &str) -> anyhow::Result<TempDir> {
    let root = std::env::temp_dir();
    sweep(&root)?;
    let own = start_of(std::process::id()).unwrap_or_default();
    let prefix = format!("{PREFIX}{what}-{}.{own}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(root)?)
}

/// Removes the directories below `root` whose owners are gone, after it has killed what still works in them. Returns them.
///
/// # Errors
/// If `root` cannot be read, or a directory cannot be removed.
pub fn sweep(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut swept = Vec::new();
    if !Path::new("/proc/self/stat").exists() {
        return Ok(swept); // nobody can be asked who runs
    }
    for entry in fs::read_dir(root).with_context(|| format!("reading {}", root.display()))?.flatten() {
        let name = entry.file_name();
        let Some((pid, start)) = name.to_str().and_then(owner_of) else { continue };
        if start_of(pid).is_some_and(|of_now| of_now == start) {
            continue;
        }
        remove(&entry.path())?;
        swept.push(entry.path());
    }
    Ok(swept)
}

/// Reads from the name of a directory which process owns it: its id, and when it started.
fn owner_of(name: &str) -> Option<(u32, u64)> {
    let (_, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (pid, start) = rest.split('-').next()?.split_once('.')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

/// Returns when a process started, in ticks since the machine did; none if it does not run. Ids are used again, pairs of id
/// and start are not.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything: the state, and as the twentieth the start.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    if fields.first() == Some(&"Z") { None } else { fields.get(19)?.parse().ok() }
}

/// Returns the processes whose working directory is this one or below it.
fn at_work_in(directory: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory)))
        .filter_map(|process| process.file_name().into_string().ok())
        .filter(|pid| pid.parse::<u32>().is_ok())
        .collect()
}

#[allow(
    clippy::disallowed_methods,
    reason = "nobody tells when a process that is no child has ended; bounded by TRIES"
)]
fn remove(directory: &Path) -> anyhow::Result<()> {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let left = at_work_in(directory);
        for pid in &left {
            // It may end by itself before this.
            Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status().context("running kill")?;
        }
        match fs::remove_dir_all(directory) {
            Ok(()) if left.is_empty() => return Ok(()),
            // Another test sweeps at the same time.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && left.is_empty() => return Ok(()),
            // What was killed is about to end, and may have written until now.
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    bail!("{} cannot be removed: still at work in it: {:?}", directory.display(), at_work_in(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_known_by_its_id_and_its_start() {
        assert_eq!(owner_of("vmrewind-site-12.34-aBc"), Some((12, 34)));
        for other in ["vmrewind-kept-controlplane-x", "vmrewind-site-12-aBc", "site-12.34-a", "vmrewind-site"] {
            assert_eq!(owner_of(other), None, "{other}");
        }
        assert!(start_of(std::process::id()).is_some_and(|start| start > 0));
        assert_eq!(start_of(u32::MAX), None);
    }
}
