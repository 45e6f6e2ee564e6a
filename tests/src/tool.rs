//! The command line tool, run as a user runs it.
//!
//! Does not: use any cluster but the one it was given, or any archive but that.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use vmrewind_testkit::bench::programs::program;

/// No call may take longer.
const PATIENCE: Duration = Duration::from_mins(2);

/// The tool, with an archive and a cluster.
#[derive(Debug, Clone)]
pub struct Tool {
    program: PathBuf,
    kubeconfig: PathBuf,
    archive: PathBuf,
    home: PathBuf,
    environment: Vec<(String, String)>,
}

/// What a call printed, and how it ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The call, as a user would type it.
    pub call: String,
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Tool {
    /// Makes a tool for an archive (a directory or a URL) and a cluster. Its own files (journals) go below `home`.
    ///
    /// # Errors
    /// If the program is not there.
    pub fn new(kubeconfig: &Path, archive: &Path, home: &Path) -> anyhow::Result<Self> {
        let program = program("kubectl-vmrewind")?;
        let (kubeconfig, archive, home) = (kubeconfig.to_owned(), archive.to_owned(), home.to_owned());
        Ok(Self { program, kubeconfig, archive, home, environment: Vec::new() })
    }

    /// Returns the same tool with these environment variables, such as credentials.
    #[must_use]
    pub fn with_environment(mut self, environment: &[(String, String)]) -> Self {
        self.environment.extend_from_slice(environment);
        self
    }

    /// Runs it, whatever comes of it.
    ///
    /// # Errors
    /// If it cannot be run or does not end.
    pub async fn run(&self, args: &[&str]) -> anyhow::Result<Answer> {
        let running = tokio::process::Command::new(&self.program)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("VMREWIND_ARCHIVE", &self.archive)
            .env("KUBECONFIG", &self.kubeconfig)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let call = format!("kubectl vmrewind {}", args.join(" "));
        let output = tokio::time::timeout(PATIENCE, running).await.with_context(|| format!("{call} does not end"))?;
        let Output { status, stdout, stderr } = output.with_context(|| call.clone())?;
        Ok(Answer {
            call,
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).context("the tool printed no text")?,
            stderr: String::from_utf8(stderr).context("the tool printed no text")?,
        })
    }

    /// Runs it; it must end well.
    ///
    /// # Errors
    /// If it does not; with what it said.
    pub async fn ok(&self, args: &[&str]) -> anyhow::Result<Answer> {
        self.run(args).await?.expect(0)
    }
}

impl Answer {
    /// Returns the answer if it has this exit code.
    ///
    /// # Errors
    /// If it has another; with what the tool said.
    pub fn expect(self, code: i32) -> anyhow::Result<Self> {
        let Self { call, code: was, stdout, stderr } = &self;
        ensure!(*was == code, "{call}\nended with {was} and not with {code}\n{stdout}\n{stderr}");
        Ok(self)
    }

    /// Reads the data as JSON.
    ///
    /// # Errors
    /// If they are not.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("{}\nprinted no JSON:\n{}", self.call, self.stdout))
    }

    /// Reads the data as lines of JSON.
    ///
    /// # Errors
    /// If a line is not.
    pub fn lines(&self) -> anyhow::Result<Vec<Value>> {
        self.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }
}
