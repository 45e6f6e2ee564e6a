//! What the process says about itself at an instant: read by the probes and the metrics.
//!
//! Does not: collect anything by itself.

use prometheus_client::metrics::histogram::Histogram;
use vmrewind_model::{Epoch, Timestamp};

use crate::engine::Status;

/// How long commits take, in seconds.
#[derive(Clone, Debug)]
pub struct Latency(pub Histogram);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]))
    }
}

/// Everything at an instant.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// When it was written, by the clock that only ever passes; the loop writes one every second.
    pub at: Option<Timestamp>,
    /// What the engine says.
    pub status: Status,
    /// The reign of this process.
    pub epoch: Option<Epoch>,
    /// What was committed.
    pub commits: Commits,
    /// Bytes that wait for the store.
    pub waiting: usize,
    /// What the store said when it last did not answer; none if it does.
    pub store_trouble: Option<String>,
}

/// What was committed since the process started.
#[derive(Clone, Debug, Default)]
pub struct Commits {
    /// Segments.
    pub segments: u64,
    /// Records.
    pub records: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// Bytes before compression.
    pub raw: u64,
    /// The newest segment.
    pub segment: u64,
    /// Everything observed up to here is durable.
    pub t: Option<Timestamp>,
    /// How often the store did not answer.
    pub errors: u64,
    /// How long they took.
    pub latency: Latency,
}

impl Report {
    /// Why the watcher is not ready; empty if it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = self.status.reasons();
        if let Some(trouble) = &self.store_trouble {
            reasons.push(format!("store: {trouble}"));
        }
        reasons
    }
}
