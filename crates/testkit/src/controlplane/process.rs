//! A program that runs beside a test and cannot outlive it.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use anyhow::{Context as _, anyhow};

use crate::wait::{Seen, wait_for};

/// How long a program may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is dropped, or the process that started it dies, however that happens (`kill -9` included).
    #[default]
    WithOwner,
    /// Until somebody kills it: for demonstrations that are left running.
    Detached,
}

/// A running program whose output goes to a file.
///
/// Dropping it kills it (unless [`Lifetime::Detached`]) and waits for its end.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    lifetime: Lifetime,
}

impl Process {
    /// Starts a program. Its output is appended to `log`, its input is empty.
    ///
    /// # Errors
    /// If the log cannot be written, the program cannot be started, or `setpriv` (util-linux) is missing, which ties
    /// the life of the program to ours.
    pub fn start(name: &str, command: Command, log: &Path, lifetime: Lifetime) -> anyhow::Result<Self> {
        let file = std::fs::File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("opening {}", log.display()))?;
        let mut command = match lifetime {
            Lifetime::WithOwner => dies_with_us(&command),
            Lifetime::Detached => command,
        };
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = spawn(command).with_context(|| {
            format!("starting {name} (is it there, and setpriv of util-linux, which ends it together with us?)")
        })?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), lifetime })
    }

    /// Returns the process id, which is the program's own: signals sent to it reach the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns how it ended, if it has.
    ///
    /// # Errors
    /// If the operating system cannot tell.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("asking for the state of {}", self.name))
    }

    /// Kills it the hard way (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill_9(mut self) -> anyhow::Result<()> {
        self.kill_and_wait()
    }

    /// Asks it to end (SIGTERM), waits up to `patience`, and returns how it ended.
    ///
    /// # Errors
    /// If it is still running then (it is killed), or the operating system refuses.
    pub async fn terminate(mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let signal = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().context("running kill")?;
        if !signal.success() && self.ended()?.is_none() {
            return Err(anyhow!("{} could not be signalled", self.name));
        }
        let what = format!("the end of {} after SIGTERM", self.name);
        let ended = wait_for(&what, patience, async || {
            let ended = self.ended()?;
            Ok(Seen::or_not_yet(ended, || self.tail()))
        })
        .await;
        if ended.is_err() {
            self.kill_and_wait()?;
        }
        ended
    }

    /// Returns the last 4 KiB of its output, for messages about what went wrong.
    #[must_use]
    pub fn tail(&self) -> String {
        const TAIL: u64 = 4096;
        let read = || -> std::io::Result<String> {
            let mut file = std::fs::File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("({} cannot be read: {error})", self.log.display()))
    }

    fn kill_and_wait(&mut self) -> anyhow::Result<()> {
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait().with_context(|| format!("waiting for the end of {}", self.name))?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::WithOwner && self.kill_and_wait().is_err() {
            // It is gone already, or it is beyond our reach; a drop has nobody to tell.
        }
    }
}

/// Puts `setpriv` in front: it asks the kernel to kill it when its parent dies, and becomes the program.
fn dies_with_us(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    wrapped
}

/// Starts a program from a thread that lives as long as the process. The kernel sends the signal when the parent
/// *thread* ends, and the threads of tests and of runtimes end early.
fn spawn(command: Command) -> std::io::Result<Child> {
    type Job = (Command, mpsc::SyncSender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in jobs {
                if let Err(mpsc::SendError(Ok(mut child))) = answer.send(command.spawn()) {
                    // Nobody waits for it any more.
                    if child.kill().is_ok() && child.wait().is_err() {
                        return;
                    }
                }
            }
        });
        sender
    });
    let gone = || std::io::Error::other("the thread that starts programs is gone");
    let (answer, child) = mpsc::sync_channel(1);
    spawner.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
