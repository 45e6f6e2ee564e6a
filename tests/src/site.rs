//! One archive with its watcher and tool, on a bench.
//!
//! Does not: start anything by itself.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;
use vmrewind_testkit::bench::{Bench, PATIENCE};
use vmrewind_testkit::scratch;
use vmrewind_testkit::wait::{Seen, wait_for};

use crate::{History, Line, Tool, Watcher, WatcherOptions};

/// Proof of what never changes comes with the end of a watch, and into the archive with the next segment. Scenarios ask
/// about instants that have only just passed.
const QUICK: [&str; 2] = ["--watch-timeout=3s", "--heartbeat=1s"];

/// Environment variable that, set, leaves archives and logs of scenarios behind, below the directory for temporary files.
const KEEP: &str = "VMREWIND_KEEP_SITES";

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
        let mut folder = scratch::directory("site")?;
        folder.disable_cleanup(std::env::var_os(KEEP).is_some());
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
        let flags = QUICK.map(str::to_owned).to_vec();
        Watcher::start(&self.kubeconfig, &self.archive(), &log, &WatcherOptions { flags, ..WatcherOptions::default() })
    }

    /// Waits until the archive proves of every resource that it is complete up to an instant, and returns up to which
    /// instant it proves all of them.
    ///
    /// # Errors
    /// If it does not within [`PATIENCE`]; with the resources that are behind.
    pub async fn proven_up_to(&self, time: &str) -> anyhow::Result<String> {
        wait_for(&format!("proof up to {time}"), PATIENCE, async || {
            let info = self.tool.ok(&["info", "-o", "json"]).await?.json()?;
            let resources = info["resources"].as_array().context("resources")?;
            let captured = resources.iter().filter(|one| one["current"] == true && one["state"] != "removed");
            let oldest = captured.min_by_key(|one| one["provenAt"].as_str()).context("a resource")?;
            let proven = oldest["provenAt"].as_str().filter(|proven| *proven >= time);
            Ok(Seen::or_not_yet(proven.map(str::to_owned), || oldest.to_string()))
        })
        .await
    }

    /// Waits until the records of the archive show something, and returns that and all of them. They are sound.
    ///
    /// # Errors
    /// If they do not within [`PATIENCE`], or are not sound; with the last ones.
    pub async fn shows<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&History) -> Option<T>,
    ) -> anyhow::Result<(T, History)> {
        wait_for(what, PATIENCE, async || {
            if !self.archive().join("archive.json").exists() {
                return Ok(Seen::NotYet("no watcher has made an archive".to_owned()));
            }
            let history = History::read(&self.tool).await?;
            history.assert_sound()?;
            let last = || {
                let last = history.lines.iter().rev().take(3).map(|line| format!("{line:?}"));
                format!("{} records, the last ones: {:#?}", history.lines.len(), last.collect::<Vec<_>>())
            };
            Ok(match look(&history) {
                Some(found) => Seen::There((found, history)),
                None => Seen::NotYet(last()),
            })
        })
        .await
    }

    /// Waits until the newest record of an object says that it is deleted, and returns that record and all of them.
    ///
    /// # Errors
    /// As [`Self::shows`].
    pub async fn shows_end_of(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<(Line, History)> {
        let end = |history: &History| history.of(kind, namespace, name).last().filter(|line| line.op == "D").cloned();
        self.shows(&format!("the end of {kind} {namespace}/{name}"), end).await
    }
}

/// Returns the present as the archive writes it.
#[allow(clippy::disallowed_methods, reason = "compared with times that real programs took from the real clock")]
pub fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}
