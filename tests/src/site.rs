//! One archive with its watcher and tool, on a bench.
//!
//! Does not: start anything by itself.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vmrewind_testkit::bench::Bench;

use crate::{Tool, Watcher, WatcherOptions};

/// A place for an archive, beside a bench. Dropping it removes the archive.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    kubeconfig: PathBuf,
    /// The tool, for this archive and cluster.
    pub tool: Tool,
}

impl Site {
    /// Makes a place for the archive of a bench, whose watcher has all rights.
    ///
    /// # Errors
    /// If the tool is not built or there is no space.
    pub fn new(bench: &Bench) -> anyhow::Result<Self> {
        Self::with_kubeconfig(bench, &bench.plane.kubeconfig())
    }

    /// Makes a place for the archive of a bench, whose watcher has the rights of this kubeconfig's user.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_kubeconfig(bench: &Bench, kubeconfig: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("vmrewind-site-").tempdir()?;
        let tool = Tool::new(&bench.plane.kubeconfig(), &folder.path().join("archive"), folder.path())?;
        Ok(Self { folder, kubeconfig: kubeconfig.to_owned(), tool })
    }

    /// Returns the directory of the archive.
    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// Starts a watcher.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn watcher(&self) -> anyhow::Result<Watcher> {
        self.watcher_named("watcher")
    }

    /// Starts a watcher whose log has this name.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn watcher_named(&self, name: &str) -> anyhow::Result<Watcher> {
        let log = self.folder.path().join(format!("{name}.log"));
        Watcher::start(&self.kubeconfig, &self.archive(), &log, &WatcherOptions::default())
    }
}
