//! An archive that is open for reading.
//!
//! Does not: write; see [`crate::Writer`].

use std::ops::RangeInclusive;

use futures::{Stream, stream};
use vmrewind_model::{Record, RecordKey};

use crate::{ArchiveError, At, Cpu, Head, Identity, Progress, Segment, SeqRange, State, Store, Timeline};

/// An archive, open for reading. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Store,
    identity: Identity,
    cpu: Cpu,
}

fn unwritten() -> ArchiveError {
    ArchiveError::Bug("the reader is being written".into())
}

impl Archive {
    /// Opens the archive in `store`.
    ///
    /// # Errors
    /// [`ArchiveError::NoArchive`] if there is none, [`ArchiveError::Unsupported`] if it needs a newer program.
    pub async fn open(_store: Store) -> Result<Self, ArchiveError> {
        Err(unwritten())
    }

    /// Sets where segments are decoded; tokio's blocking threads by default.
    #[must_use]
    pub fn with_cpu(mut self, cpu: Cpu) -> Self {
        self.cpu = cpu;
        self
    }

    /// Returns which archive this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the store it lies in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Finds the newest segment and reads it. In a file store it is made durable first, so that it may be built upon.
    ///
    /// # Errors
    /// Those of the store, and [`ArchiveError::Damaged`] if it or a segment before it is damaged or missing.
    pub async fn head(&self) -> Result<Head, ArchiveError> {
        Err(unwritten())
    }

    /// Reads segments in order and verifies each, and that each follows the one before. A damaged segment is an
    /// error in its place; the stream then goes on with the next one, so that a caller may stop or go on.
    pub fn segments(
        &self,
        _range: RangeInclusive<u64>,
    ) -> impl Stream<Item = Result<Segment, ArchiveError>> + Send + '_ {
        stream::iter([Err(unwritten())])
    }

    /// Reads records in order. Ends after the first error.
    pub fn records(&self, _range: SeqRange) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + '_ {
        stream::iter([Err(unwritten())])
    }

    /// Reads the records of the keys that pass `filter`, and those that are about no single key (gaps and
    /// heartbeats), in order. Ends after the first error.
    pub fn history<'a>(
        &'a self,
        _filter: &'a (dyn Fn(&RecordKey) -> bool + Sync),
        _range: SeqRange,
    ) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + 'a {
        stream::iter([Err(unwritten())])
    }

    /// Reads what the ends of all segments say, and all gap records: who wrote when, and what is proven.
    ///
    /// # Errors
    /// Those of the store, and [`ArchiveError::Damaged`] at the first damaged segment.
    pub async fn timeline(&self) -> Result<Timeline, ArchiveError> {
        Err(unwritten())
    }

    /// As [`Self::timeline`], but damaged segments are listed in [`Timeline::damage`] and passed over.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn survey(&self) -> Result<Timeline, ArchiveError> {
        Err(unwritten())
    }

    /// Computes the state of the objects whose keys pass `filter`, as of `at`.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] if the archive holds nothing as old as `at`, [`ArchiveError::Damaged`] if a segment
    /// that matters is damaged.
    pub async fn state_at(
        &self,
        _at: At,
        _filter: &(dyn Fn(&RecordKey) -> bool + Sync),
        _progress: &dyn Progress,
    ) -> Result<State, ArchiveError> {
        Err(unwritten())
    }
}
