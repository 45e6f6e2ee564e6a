//! A real S3 server for tests: versitygw, which keeps objects as files, on a free loopback port.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use vmrewind_testkit::s3::S3Server;
//! let server = S3Server::start().await?;
//! server.make_bucket("archives")?;
//! let url = server.url("archives/prod");                // s3://archives/prod?endpoint=http://127.0.0.1:…&allow_http=true
//! let credentials = server.environment();               // AWS_ACCESS_KEY_ID=…, AWS_SECRET_ACCESS_KEY=…
//! # Ok(()) }
//! ```
//!
//! The program comes from `tests/stores/build.sh`. It ends with the [`S3Server`], and also when the process that started it
//! dies in any way; its directory is temporary, and its credentials are drawn anew each time.
//!
//! Does not: speak TLS, or know more users than one.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use object_store::aws::AmazonS3Builder;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    controlplane::{Lifetime, Process, built_by, free_port},
    scratch,
    wait::{Seen, wait_for},
};

/// How long it may take to be ready; it takes a fraction of a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it says that it is ready.
const HEALTH: &str = "/health-of-the-server";

/// A running S3 server. Dropping it ends it and removes everything it holds.
#[derive(Debug)]
pub struct S3Server {
    // Dropped in this order: what uses the directory first.
    process: Option<Process>,
    directory: TempDir,
    program: PathBuf,
    port: u16,
    key: String,
    secret: String,
}

impl S3Server {
    /// Starts a server without buckets, and waits until it answers.
    ///
    /// # Errors
    /// If the program cannot be had or does not get ready; the message ends with its last words.
    pub async fn start() -> anyhow::Result<Self> {
        const TRIES: u32 = 4;
        let program = built_by("stores").await?.join("versitygw");
        let mut tries = 1;
        loop {
            let directory = scratch::directory("s3")?;
            std::fs::create_dir(directory.path().join("buckets"))?;
            let (key, secret) = (random("key")?, random("secret")?);
            let mut server =
                Self { process: None, directory, program: program.clone(), port: free_port()?, key, secret };
            match server.revive().await {
                Ok(()) => return Ok(server),
                // Somebody took the port between our look and its use.
                Err(error) if tries < TRIES && format!("{error:#}").contains("address already in use") => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts it if it does not run, on its old port and with what it held, and waits until it answers.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn revive(&mut self) -> anyhow::Result<()> {
        if self.process.is_none() {
            let mut command = Command::new(&self.program);
            command
                .args(["--port", &format!("127.0.0.1:{}", self.port), "--quiet", "--health", HEALTH, "posix"])
                .arg(self.directory.path().join("buckets"))
                .env("ROOT_ACCESS_KEY", &self.key)
                .env("ROOT_SECRET_KEY", &self.secret)
                .current_dir(self.directory.path());
            let log = self.directory.path().join("versitygw.log");
            self.process = Some(Process::start("versitygw", command, &log, Lifetime::WithOwner)?);
        }
        let port = self.port;
        let process = self.process.as_mut().context("it was started")?;
        let ready = wait_for("the S3 server is ready", PATIENCE, async || {
            if let Some(status) = process.ended()? {
                bail!("the S3 server ended: {status}");
            }
            let said = ask(port).await.unwrap_or_else(|error| error.to_string());
            Ok(Seen::or_not_yet(said.contains(" 200 ").then_some(()), || said))
        });
        let ready = ready.await;
        ready.map_err(|error| error.context(self.process.as_ref().map(Process::tail).unwrap_or_default()))
    }

    /// Kills it the hard way. Nothing happens if it does not run.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill_9(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), Process::kill_9)
    }

    /// Returns its process id, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Makes an empty bucket.
    ///
    /// # Errors
    /// If there is one of this name.
    pub fn make_bucket(&self, name: &str) -> anyhow::Result<()> {
        let path = self.bucket(name);
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))
    }

    /// Returns the directory that holds the objects of a bucket, each as a file.
    #[must_use]
    pub fn bucket(&self, name: &str) -> PathBuf {
        self.directory.path().join("buckets").join(name)
    }

    /// Returns its URL, for example `http://127.0.0.1:12345`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the URL of an archive in a bucket; `path` is `bucket` or `bucket/prefix`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("s3://{path}?endpoint={}&allow_http=true", self.endpoint())
    }

    /// Returns the environment variables with which programs may use it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let pairs = [("AWS_ACCESS_KEY_ID", &self.key), ("AWS_SECRET_ACCESS_KEY", &self.secret)];
        pairs.map(|(name, value)| (name.to_owned(), value.clone())).to_vec()
    }

    /// Returns a client that may use it, to which a bucket and all else is to be added.
    #[must_use]
    pub fn client(&self) -> AmazonS3Builder {
        AmazonS3Builder::new()
            .with_access_key_id(&self.key)
            .with_secret_access_key(&self.secret)
            .with_endpoint(self.endpoint())
            .with_allow_http(true)
    }
}

#[allow(clippy::disallowed_methods, reason = "credentials of a server that other processes on this machine can reach")]
fn random(what: &str) -> anyhow::Result<String> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(bytes.iter().fold(what.to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

/// One request in HTTP/1.0, where the answer ends with the connection. Returns its first line.
async fn ask(port: u16) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(format!("GET {HEALTH} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let line = String::from_utf8_lossy(&answer);
    Ok(line.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holds_what_it_stored_over_a_kill_and_ends_with_its_owner() {
        let mut server = S3Server::start().await.expect("started");
        server.make_bucket("one").expect("made");
        let other = S3Server::start().await.expect("a second one beside it");
        assert_ne!((server.endpoint(), server.environment()), (other.endpoint(), other.environment()));
        std::fs::write(server.bucket("one").join("a"), "b").expect("written");
        server.kill_9().expect("killed");
        assert!(ask(server.port).await.is_err());
        server.revive().await.expect("there again");
        assert!(server.bucket("one").join("a").exists());
        let (port, directory) = (server.port, server.directory.path().to_owned());
        drop(server);
        assert!(ask(port).await.is_err() && !directory.exists());
    }

    #[test]
    fn it_ends_also_when_its_owner_panics() {
        let seen = std::sync::Mutex::new(None);
        let panicked = std::panic::catch_unwind(|| {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let server = runtime.block_on(S3Server::start()).expect("started");
            *seen.lock().expect("not poisoned") = Some(server.port);
            panic!("as a failing test does");
        });
        assert!(panicked.is_err());
        let port = seen.lock().expect("not poisoned").expect("it was started");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        assert!(runtime.block_on(ask(port)).is_err(), "it still answers");
    }
}
