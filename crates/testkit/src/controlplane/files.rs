//! The files a control plane needs: tokens, a key, kubeconfigs.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;

use super::{Lifetime, User};
use crate::scratch;

/// Name of the user with all rights.
pub(super) const ADMIN: &str = "admin";

/// Signs the tokens of service accounts of throw-away clusters on loopback. It guards nothing.
const SERVICE_ACCOUNT_KEY: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEILhEFZEjRQ6XfSWXbV3FYU/C1JKsEeVCADYyKgx9QXRToAoGCCqGSM49
AwEHoUQDQgAEjEEZfssIzLsM/DJkVVcR+pHXHhzElOyfgNtSrYzQd9ORPEE72d5R
rLgdm8M8BXZkTTa6eS+jtl/K5PtANp9Y0g==
-----END EC PRIVATE KEY-----
";

/// The directory of one control plane and where things are in it.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn log(&self, program: &str) -> PathBuf {
        self.root.join(format!("{program}.log"))
    }
    pub(super) fn etcd(&self) -> PathBuf {
        self.root.join("etcd")
    }
    pub(super) fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }
    /// The API server writes its certificate and that of the authority which signed it into one file.
    pub(super) fn authority(&self) -> PathBuf {
        self.certificates().join("apiserver.crt")
    }
    pub(super) fn key(&self) -> PathBuf {
        self.root.join("service-account.key")
    }
    pub(super) fn tokens(&self) -> PathBuf {
        self.root.join("tokens.csv")
    }
    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.root.join(format!("{user}.kubeconfig"))
    }

    /// Writes what the programs read when they start.
    pub(super) fn write(&self, users: &[User]) -> anyhow::Result<()> {
        private(&self.key(), SERVICE_ACCOUNT_KEY)?;
        let mut tokens = format!("{},{ADMIN},{ADMIN},\"system:masters\"\n", token(ADMIN));
        for User { name, .. } in users {
            tokens.push_str(&format!("{},{name},{name}\n", token(name)));
        }
        private(&self.tokens(), &tokens)
    }

    /// Writes a kubeconfig; JSON is YAML.
    pub(super) fn write_kubeconfig(&self, user: &str, url: &str) -> anyhow::Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "controlplane",
            "clusters": [{"name": "controlplane", "cluster": {"server": url, "certificate-authority": self.authority()}}],
            "users": [{"name": user, "user": {"token": token(user)}}],
            "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": user}}],
        });
        private(&self.kubeconfig(user), &serde_json::to_string_pretty(&config)?)
    }
}

/// The token of a user of a throw-away cluster.
fn token(user: &str) -> String {
    format!("token-of-{user}")
}

fn private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("writing {}", path.display()))
}

/// Makes the directory of one control plane.
pub(super) fn new_directory(lifetime: Lifetime) -> anyhow::Result<TempDir> {
    match lifetime {
        Lifetime::WithOwner => scratch::directory("controlplane"),
        Lifetime::Detached => Ok(tempfile::Builder::new().prefix("vmrewind-kept-controlplane-").tempdir()?),
    }
}

pub(super) fn copy_directory(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("copying {}", entry.path().display()))?;
        }
    }
    Ok(())
}
