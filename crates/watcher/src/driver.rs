//! Runs the engine: sockets, clock, channels.
//!
//! ```text
//! requests.rs  actions -> requests and watches -> inputs      committer.rs  batches -> segments
//! opening.rs   archive, replay, fence                         looping.rs    the loop between them
//! ```
//!
//! Does not: decide anything about capture.

mod committer;
mod looping;
mod opening;
mod requests;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use vmrewind_archive::{ArchiveUrl, Cpu, Store};
use vmrewind_cluster::Cluster;
use vmrewind_model::Timestamp;

use crate::{
    batcher,
    engine::{Rules, State},
    error::WatcherError,
    report::Report,
    scope,
    settings::{ManagedFields, Secrets, Settings},
};

/// A clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Random bytes.
pub type Entropy = Arc<dyn Fn() -> [u8; 16] + Send + Sync>;

/// Name and version, as they stand in the archive.
pub const SOFTWARE: &str = concat!("vmrewind-watcher ", env!("CARGO_PKG_VERSION"));

/// Draws 32 bytes.
pub(crate) fn draw(entropy: &Entropy) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&entropy());
    bytes[16..].copy_from_slice(&entropy());
    bytes
}

/// Everything the watcher is made of.
#[derive(Clone)]
pub struct Watcher {
    /// The cluster that is captured.
    pub cluster: Cluster,
    /// Where the archive is or is to be.
    pub store: Store,
    /// How to behave.
    pub settings: Settings,
    /// The wall clock, which may be set while we look: what it says is recorded.
    pub clock: Clock,
    /// A clock that only ever passes and counts time in which the machine slept: for everything that waits.
    pub steady: Clock,
    /// See [`Entropy`].
    pub entropy: Entropy,
    /// Where compression and hashing run.
    pub cpu: Cpu,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("store", &self.store.place()).finish_non_exhaustive()
    }
}

impl Watcher {
    /// Opens (or makes) the archive, takes it over, and captures until `stop` is cancelled; then commits everything
    /// that was received, with what is known of every resource.
    ///
    /// # Errors
    /// [`WatcherError`] if it cannot go on. Nothing that was acknowledged is lost.
    pub async fn run(
        self,
        report: tokio::sync::watch::Sender<Report>,
        stop: CancellationToken,
    ) -> Result<(), WatcherError> {
        let mut state = State::new(self.rules());
        let writer = tokio::select! {
            opened = opening::open(&self, &mut state, &report) => opened?,
            () = stop.cancelled() => return Ok(()),
        };
        looping::run(self, state, writer, report, stop).await
    }

    fn rules(&self) -> Rules {
        let Settings { timing, capture, .. } = &self.settings;
        let seed = (self.entropy)();
        Rules {
            edges: scope::edges(),
            withhold_secrets: match capture.secrets {
                Some(Secrets::Skip) => true,
                // An archive that is not encrypted as configured is not written to.
                Some(Secrets::EncryptOnly) => self.settings.encryption.recipients.is_empty(),
                Some(Secrets::Store) | None => false,
            },
            drop_managed_fields: capture.managed_fields == ManagedFields::Drop,
            watch_timeout: timing.watch.duration(),
            proof: timing.proof.duration(),
            refusals: 3,
            catch_up_timeout: timing.catch_up.duration(),
            request_timeout: timing.request.duration(),
            audit_every: timing.audit.duration(),
            stalled_after: timing.stalled_after.duration(),
            denied_retry: timing.denied_retry.duration(),
            removed_after: timing.removed_after.duration(),
            unfollow_after: capture.unfollow_after.duration(),
            seed: u64::from_le_bytes(seed[..8].try_into().unwrap_or_default()),
        }
    }

    fn limits(&self) -> batcher::Limits {
        let Settings { timing, limits, .. } = &self.settings;
        batcher::Limits {
            linger: timing.linger.duration(),
            hold: timing.hold.duration(),
            raw: limits.segment_raw.0,
            compressed: limits.segment.0,
            buffer: limits.buffer.0,
        }
    }
}

/// As [`open_store`], but makes no directory.
///
/// # Errors
/// As [`open_store`].
pub fn open_existing_store(settings: &Settings) -> Result<Store, WatcherError> {
    let url: ArchiveUrl = settings.archive.parse().map_err(vmrewind_archive::ArchiveError::from)?;
    Ok(Store::open(&url)?)
}

/// Opens the store that the settings name, and makes its directory if need be.
///
/// # Errors
/// [`WatcherError::Archive`] if the name is no archive URL or the store cannot be opened.
pub fn open_store(settings: &Settings) -> Result<Store, WatcherError> {
    let url: ArchiveUrl = settings.archive.parse().map_err(vmrewind_archive::ArchiveError::from)?;
    Ok(Store::open_or_make(&url)?)
}
