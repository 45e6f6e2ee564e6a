//! An archive that is open for reading.
//!
//! Does not: write; see [`crate::Writer`].

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use vmrewind_model::{Record, RecordKey, Seq};

use crate::{
    ArchiveError, At, Cpu, Head, Identity, Progress, Segment, SeqRange, State, Store, Timeline,
    format::{limits, line::Line},
    head, paths, read, state, timeline,
};

/// An archive, open for reading. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    pub(crate) store: Store,
    pub(crate) identity: Identity,
    pub(crate) cpu: Cpu,
    /// A slot that is known to be taken, where the search for the newest one starts.
    known: Arc<AtomicU64>,
}

impl Archive {
    /// Opens the archive in `store`.
    ///
    /// # Errors
    /// [`ArchiveError::NoArchive`] if there is none, [`ArchiveError::Unsupported`] if it needs a newer program.
    pub async fn open(store: Store) -> Result<Self, ArchiveError> {
        let place = store.place().to_owned();
        let Some(bytes) = store.get(paths::IDENTITY, limits::IDENTITY).await? else {
            return Err(ArchiveError::NoArchive { place });
        };
        let identity = Identity::parse(&bytes, &place)?;
        if store.first_below(paths::MANIFESTS).await?.is_some() {
            let what = "it has manifests: history may have moved out of the log".into();
            return Err(ArchiveError::Unsupported { place, what });
        }
        Ok(Self { store, identity, cpu: Cpu::default(), known: Arc::default() })
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

    /// Finds the newest segment, reads and verifies it.
    ///
    /// # Errors
    /// Those of the store, and [`ArchiveError::Damaged`] if it is damaged or a segment before it is missing.
    pub async fn head(&self) -> Result<Head, ArchiveError> {
        match self.newest().await? {
            0 => Ok(Head::EMPTY),
            slot => {
                let segment = read::segment(self, slot).await?;
                Ok(segment.summary.head(segment.digest))
            }
        }
    }

    /// Finds the newest slot; 0 if there is none.
    pub(crate) async fn newest(&self) -> Result<u64, ArchiveError> {
        let newest = head::find(&self.store, self.known.load(Ordering::Relaxed)).await?;
        self.known.fetch_max(newest, Ordering::Relaxed);
        Ok(newest)
    }

    /// Reads segments in order, up to the newest, and verifies each, and that each follows the one before. A damaged segment is
    /// an error in its place; the stream then goes on with the next one, so that a caller may stop or go on.
    pub fn segments(
        &self,
        range: RangeInclusive<u64>,
    ) -> impl Stream<Item = Result<Segment, ArchiveError>> + Send + '_ {
        stream::once(self.newest())
            .map_ok(move |newest| read::chain(self.clone(), *range.start().max(&1)..=newest.min(*range.end())))
            .try_flatten()
    }

    /// Reads records in order. Ends after the first error.
    pub fn records(&self, range: SeqRange) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + '_ {
        self.selected(range, |_| true)
    }

    /// Reads the records of the keys that pass `filter`, and those that are about no single key (gaps and
    /// heartbeats), in order. Ends after the first error.
    pub fn history<'a>(
        &'a self,
        filter: &'a (dyn Fn(&RecordKey) -> bool + Sync),
        range: SeqRange,
    ) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + 'a {
        self.selected(range, move |line| line.head.key.as_ref().is_none_or(filter))
    }

    fn selected<'a>(
        &'a self,
        range: SeqRange,
        test: impl Fn(&Line) -> bool + Send + Sync + 'a,
    ) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + 'a {
        let slots = async move {
            let newest = self.newest().await?;
            let first = if range.first <= Seq(1) { 1 } else { read::slot_of(self, range.first, newest).await? };
            let last = read::slot_of(self, range.last, newest).await?.min(newest);
            Ok::<_, ArchiveError>(read::chain(self.clone(), first..=last))
        };
        let test = Arc::new(test);
        let records = stream::once(slots).try_flatten().map_ok(move |segment| {
            let wanted = |line: &&Line| range.contains(line.head.seq) && test(line);
            let lines = segment.lines.iter().filter(wanted);
            let records: Vec<_> = lines.filter_map(|line| segment.record(line).transpose()).collect();
            stream::iter(records)
        });
        until_error(records.try_flatten())
    }

    /// Reads what the ends of all segments say, and all gap records: who wrote when, and what is proven. Does not
    /// notice damage inside of segments without gap records; see [`Self::survey`].
    ///
    /// # Errors
    /// Those of the store, and [`ArchiveError::Damaged`] at the first segment that is seen to be damaged.
    pub async fn timeline(&self) -> Result<Timeline, ArchiveError> {
        timeline::from_ends(self).await
    }

    /// Reads and verifies the whole archive. As [`Self::timeline`], but damaged segments are listed in
    /// [`Timeline::damage`] and passed over.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn survey(&self) -> Result<Timeline, ArchiveError> {
        timeline::from_segments(self).await
    }

    /// Computes the state of the objects whose keys pass `filter`, as of `at`.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] if the archive holds nothing as old as `at` or no such record,
    /// [`ArchiveError::Damaged`] if a segment that matters is damaged.
    pub async fn state_at(
        &self,
        at: At,
        filter: &(dyn Fn(&RecordKey) -> bool + Sync),
        progress: &dyn Progress,
    ) -> Result<State, ArchiveError> {
        state::at(self, at, filter, progress).await
    }
}

/// Ends a stream after its first error.
fn until_error<T: Send>(
    stream: impl Stream<Item = Result<T, ArchiveError>> + Send,
) -> impl Stream<Item = Result<T, ArchiveError>> + Send {
    stream.scan(false, |failed, item| {
        let end = std::mem::replace(failed, item.is_err());
        futures::future::ready((!end).then_some(item))
    })
}
