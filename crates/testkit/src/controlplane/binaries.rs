//! Where the programs of the control plane are, and those of other servers that are built like them.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context as _, ensure};

/// Returns the directory with `etcd`, `kube-apiserver` and `kube-controller-manager`, building them if they are in no
/// cache yet (about five minutes on two cores; progress goes to stderr).
///
/// # Errors
/// If `tests/controlplane/build.sh` cannot be run or fails; its own words are on stderr by then.
pub async fn binaries() -> anyhow::Result<PathBuf> {
    built_by("controlplane").await
}

/// Returns the directory that the build script in a folder of `tests` prints.
pub(crate) async fn built_by(folder: &str) -> anyhow::Result<PathBuf> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(folder).join("build.sh");
    let output = tokio::process::Command::new(&script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("running {}", script.display()))?;
    ensure!(output.status.success(), "{} failed ({}): its reason is above", script.display(), output.status);
    let directory = String::from_utf8(output.stdout).context("the build script printed no text")?;
    Ok(PathBuf::from(directory.trim_end()))
}
