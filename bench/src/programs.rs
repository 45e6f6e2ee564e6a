//! The real programs, as they are run by a user.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};
use vmrewind_testkit::bench::programs::program;

/// Returns the wall clock, for comparison with the times of files.
#[allow(clippy::disallowed_methods, reason = "measuring is about real time")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the clock to measure durations with.
#[allow(clippy::disallowed_methods, reason = "measuring is about real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A running watcher. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Starts one that writes to a directory or, with the `environment` it needs, to a URL, and waits until it is ready.
    pub(crate) async fn start(
        kubeconfig: &Path,
        (archive, environment): (&str, Vec<(String, String)>),
        log: &Path,
    ) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(program("vmrewind-watcher")?)
            .arg("run")
            .arg("--archive")
            .arg(archive)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            .args(["--secrets", "store"])
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(log)?)
            .spawn()
            .context("vmrewind-watcher")?;
        let mut watcher = Self(child);
        let patience = now() + Duration::from_secs(60);
        loop {
            if let Some(status) = watcher.0.try_wait()? {
                bail!("the watcher ended with {status}: {}", std::fs::read_to_string(log)?);
            }
            if ready(port).await {
                return Ok(watcher);
            }
            if now() > patience {
                bail!("the watcher is not ready after 60 s: {}", std::fs::read_to_string(log)?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns its resident memory now, and at its peak, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let field = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find(|line| line.starts_with(name)).with_context(|| name.to_owned())?;
            let kib: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
            Ok(kib * 1024)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id())?).context("a pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let patience = now() + Duration::from_secs(60);
        while now() < patience {
            if let Some(status) = self.0.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the watcher ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the watcher did not stop within 60 s")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tells whether the watcher that serves on this port says that it is ready.
async fn ready(port: u16) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else { return false };
    let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
