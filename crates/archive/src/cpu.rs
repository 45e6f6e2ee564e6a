//! The one door for work that takes more than a millisecond.
//!
//! Does not: make threads of its own.

use crate::ArchiveError;

/// Where compression, hashing and parsing of segments run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cpu {
    /// In the calling task: for simulations and small tools.
    Inline,
    /// On tokio's blocking threads, so that watches and leases never starve. Needs a tokio runtime.
    #[default]
    Blocking,
}

impl Cpu {
    /// Runs `work` and returns what it returns.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ArchiveError> {
        match self {
            Self::Inline => Ok(work()),
            Self::Blocking => tokio::task::spawn_blocking(work)
                .await
                .map_err(|error| ArchiveError::Bug(format!("work on a segment did not finish: {error}"))),
        }
    }
}
