//! The real programs of the workspace: where they are, and running them.
//!
//! Does not: know their flags.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail};

/// Environment variable that names the folder with the programs, where they are not beside the tests.
pub const FOLDER: &str = "VMREWIND_PROGRAMS";

/// Returns the path of a program of the workspace (`vmrewind-watcher`, `kubectl-vmrewind`): from [`FOLDER`], else from
/// the folder of the running program or one above it; built by cargo if it is not there.
///
/// # Errors
/// If it is not there and cannot be built.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let path = Path::new(&folder).join(name);
        return if path.is_file() { Ok(path) } else { bail!("{} is not there ({FOLDER} is set)", path.display()) };
    }
    let own = std::env::current_exe()?;
    let beside = || own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    if let Some(path) = beside() {
        return Ok(path);
    }
    build()?;
    beside().with_context(|| format!("{name} is not beside {} after a build", own.display()))
}

fn build() -> anyhow::Result<()> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let outcome = BUILT.get_or_init(|| {
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "-p", "vmrewind-watcher", "-p", "vmrewind-cli"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("cargo build: {status}")),
            Err(error) => Err(format!("cargo build: {error}")),
        }
    });
    outcome.clone().map_err(anyhow::Error::msg)
}
