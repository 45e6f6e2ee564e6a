//! The watcher as a process: started, waited for, ended gently or not.
//!
//! Does not: configure more than scenarios need.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vmrewind_testkit::bench::programs::program;
use vmrewind_testkit::controlplane::{Lifetime, Process};
use vmrewind_testkit::wait::{Seen, wait_for};

/// How long a watcher may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// What differs between one watcher and another.
#[derive(Debug, Clone, Default)]
pub struct WatcherOptions {
    /// Further flags.
    pub flags: Vec<String>,
    /// Further environment variables, such as credentials.
    pub environment: Vec<(String, String)>,
    /// Whether it ends with this process.
    pub lifetime: Lifetime,
}

/// A running watcher. Dropping it kills it.
#[derive(Debug)]
pub struct Watcher {
    process: Process,
    address: String,
}

impl Watcher {
    /// Starts a watcher that records the cluster of `kubeconfig` into `archive`, a directory or a URL. Its log is appended to `log`.
    ///
    /// # Errors
    /// If the program is not there or cannot be started.
    pub fn start(kubeconfig: &Path, archive: &Path, log: &Path, options: &WatcherOptions) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = Command::new(program("vmrewind-watcher")?);
        command
            .arg("run")
            .arg(format!("--archive={}", archive.display()))
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--listen={address}"))
            .args(&options.flags)
            .envs(options.environment.iter().cloned());
        // It is found there should it outlive us.
        if let Some(folder) = log.parent() {
            command.current_dir(folder);
        }
        let process = Process::start("vmrewind-watcher", command, log, options.lifetime)?;
        Ok(Self { process, address })
    }

    /// Waits until it says that everything it was told to capture is proven.
    ///
    /// # Errors
    /// If it ends before, or is not ready in time; with its last words.
    pub async fn ready(mut self) -> anyhow::Result<Self> {
        wait_for("the watcher is ready", PATIENCE, async || {
            if let Some(status) = self.process.ended()? {
                bail!("the watcher ended ({status}):\n{}", self.process.tail());
            }
            let said = self.ask("/readyz").await.unwrap_or_else(|error| format!("{error:#}"));
            let ready = said.starts_with("HTTP/1.1 200").then_some(());
            Ok(Seen::or_not_yet(ready, || format!("{said}\n{}", self.process.tail())))
        })
        .await?;
        Ok(self)
    }

    /// Waits until it ends by itself, and returns its exit code and its last words.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ended(mut self) -> anyhow::Result<(Option<i32>, String)> {
        let status = wait_for("the end of the watcher", PATIENCE, async || {
            let ended = self.process.ended()?;
            Ok(Seen::or_not_yet(ended, || self.process.tail()))
        });
        Ok((status.await?.code(), self.process.tail()))
    }

    /// Tells whether it runs.
    ///
    /// # Errors
    /// If the operating system cannot tell.
    pub fn runs(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns the file with its log.
    pub fn log(&self) -> PathBuf {
        self.process.log().to_owned()
    }

    /// Kills it the hard way.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill_9(self) -> anyhow::Result<()> {
        self.process.kill_9()
    }

    /// Asks it to end and waits for it; it must end well.
    ///
    /// # Errors
    /// If it ends with an error, or does not end.
    pub async fn stop(self) -> anyhow::Result<()> {
        let log = self.log();
        let status = self.process.terminate(PATIENCE).await?;
        if !status.success() {
            bail!("the watcher ended with {status}; see {}", log.display());
        }
        Ok(())
    }

    /// Returns one of its metrics, summed over its labels; none if there is no such metric.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn metric(&self, name: &str) -> anyhow::Result<Option<f64>> {
        let answer = self.ask("/metrics").await?;
        let mut sum = None;
        for line in answer.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            if series.split('{').next() == Some(name) {
                *sum.get_or_insert(0.0) += value.parse::<f64>().with_context(|| line.to_owned())?;
            }
        }
        Ok(sum)
    }

    /// Returns what it says when it is asked whether it is ready: one reason per line if it is not.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn readiness(&self) -> anyhow::Result<String> {
        self.ask("/readyz").await
    }

    async fn ask(&self, path: &str) -> anyhow::Result<String> {
        let ask = async {
            let mut stream = TcpStream::connect(&self.address).await?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        tokio::time::timeout(Duration::from_secs(10), ask).await?
    }
}
