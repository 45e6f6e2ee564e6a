//! An archive that is open for reading.
//!
//! Does not: write; see [`crate::Writer`].

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::OnceCell;
use vmrewind_model::{Digest, Record, RecordKey, Seq};

use crate::{
    ArchiveError, At, Cpu, Damage, Head, Identity, Part, Progress, Segment, SeqRange, State, Store, Timeline,
    format::{
        Code,
        fault::Fault,
        home::{Home, Lock},
        limits,
        line::Line,
    },
    head,
    manifest::{self, Rolled},
    paths, read, state, timeline, window,
};

/// An archive, open for reading. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    pub(crate) store: Store,
    pub(crate) identity: Identity,
    /// Digest of the `archive.json` that `identity` was read from: what the keys of an encrypted archive vouch for.
    pub(crate) root: Digest,
    pub(crate) cpu: Cpu,
    /// A slot that is known to be taken, where the search for the newest one starts.
    known: Arc<AtomicU64>,
    /// Whether reads pass over damaged segments.
    pub(crate) passing: bool,
    /// Whether reads use what was rolled up.
    rolled: bool,
    /// The windows of the newest manifest, once it was asked.
    standing: Arc<OnceLock<Vec<Rolled>>>,
    /// Slots that cannot be read, and what stands before and behind them: the last ones that were looked for.
    pub(crate) hole: Arc<Mutex<Option<read::Hole>>>,
    /// How bodies are written and read.
    pub(crate) lock: Lock,
}

impl Archive {
    /// Opens the archive in `store`. One that is encrypted shows little until it is opened with [`Self::unlock`].
    ///
    /// # Errors
    /// [`ArchiveError::NoArchive`] if there is none, [`ArchiveError::Unsupported`] if it needs a newer program.
    pub async fn open(store: Store) -> Result<Self, ArchiveError> {
        let place = store.place().to_owned();
        let Some(bytes) = store.get(paths::IDENTITY, limits::IDENTITY).await? else {
            return Err(ArchiveError::NoArchive { place });
        };
        let identity = Identity::parse(&bytes, &place)?;
        Ok(Self { root: Digest::of(&bytes), ..Self::nameless(store, identity, Cpu::default()) })
    }

    /// Opens an archive whose identity is known otherwise, or stood in for.
    pub(crate) fn nameless(store: Store, identity: Identity, cpu: Cpu) -> Self {
        let lock = if identity.encrypted { Lock::Shut } else { Lock::Plain };
        Self {
            store,
            identity,
            root: Digest([0; 32]),
            cpu,
            known: Arc::default(),
            passing: false,
            rolled: true,
            standing: Arc::default(),
            hole: Arc::default(),
            lock,
        }
    }

    /// Returns what its objects are checked against, written and read with.
    pub(crate) fn home(&self) -> Home {
        Home { archive: self.identity.archive, lock: self.lock.clone() }
    }

    /// Sets where segments are decoded; tokio's blocking threads by default.
    #[must_use]
    pub fn with_cpu(mut self, cpu: Cpu) -> Self {
        self.cpu = cpu;
        self
    }

    /// Lets reads pass over damaged segments, except for what is left of them. What they passed over they tell:
    /// [`State::damage`], [`Told::Damage`], [`Timeline::damage`].
    #[must_use]
    pub fn passing_over_damage(mut self) -> Self {
        self.passing = true;
        self
    }

    /// Lets reads use the log alone, and nothing that was rolled up of it. The answers are the same.
    #[must_use]
    pub fn reading_the_log_only(mut self) -> Self {
        self.rolled = false;
        self
    }

    /// The windows that were rolled up and may be read in place of their segments, and what is wrong with the newest manifest if
    /// it cannot be read.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn windows(&self) -> Result<(Vec<Rolled>, Option<Damage>), ArchiveError> {
        if !self.rolled {
            return Ok((Vec::new(), None));
        }
        match manifest::newest(self).await {
            Ok(found) => {
                let windows = found.map(|found| found.manifest.windows).unwrap_or_default();
                self.standing.get_or_init(|| windows.clone());
                Ok((windows, None))
            }
            Err(ArchiveError::Damaged(damage)) => Ok((Vec::new(), Some(*damage))),
            Err(error) => Err(error),
        }
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

    /// As [`Self::head`], but if the newest segment is damaged or segments before it are missing, says what is known of
    /// the end of the log, or else what it cannot exceed. A fence behind it names no predecessor.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn head_behind_damage(&self) -> Result<Head, ArchiveError> {
        let slot = self.extent().await?;
        if slot == 0 {
            return Ok(Head::EMPTY);
        }
        let left = match read::part(self, slot).await? {
            Part::Whole(segment) => return Ok(segment.summary.head(segment.digest)),
            Part::Damaged(_, left) => left,
        };
        if left.is_some() {
            return Ok(head::behind_damage(slot, left.as_ref().map(|left| &left.summary), None));
        }
        let standing = self.standing().await?;
        let rolled = standing.last().map(|last| &last.window);
        for before in (1..slot).rev() {
            let summary = match read::part(self, before).await? {
                Part::Whole(segment) | Part::Damaged(_, Some(segment)) => segment.summary,
                Part::Damaged(_, None) => continue,
            };
            let head = head::behind_damage(slot, None, Some(&summary));
            return Ok(head::not_before(head, rolled));
        }
        Ok(head::not_before(head::behind_damage(slot, None, None), rolled))
    }

    /// A slot is known to be taken.
    pub(crate) fn knows(&self, slot: u64) {
        self.known.fetch_max(slot, Ordering::Relaxed);
    }

    /// Finds the newest slot; 0 if there is none.
    async fn newest(&self) -> Result<u64, ArchiveError> {
        let standing = self.standing().await?;
        let newest = head::find(&self.store, self.known.load(Ordering::Relaxed)).await?;
        self.knows(newest);
        if Box::pin(window::successor(self, &standing, newest)).await? > newest {
            let detail = "it is missing, although what was before it was rolled up";
            return Err(read::damaged(newest + 1, Fault::new(Code::Missing, detail)).into());
        }
        Ok(newest)
    }

    /// Finds the newest slot, also behind slots that are missing: of these the last one that a manifest tells of; 0 if there is
    /// none.
    pub(crate) async fn extent(&self) -> Result<u64, ArchiveError> {
        let standing = self.standing().await?;
        let newest = head::find_behind_holes(&self.store, self.known.load(Ordering::Relaxed)).await?;
        self.knows(newest);
        Ok(newest.max(Box::pin(window::successor(self, &standing, newest)).await?))
    }

    /// The windows of the newest manifest, as it was when it was first asked: before the log is, which may grow meanwhile.
    async fn standing(&self) -> Result<Vec<Rolled>, ArchiveError> {
        if !self.rolled {
            return Ok(Vec::new());
        }
        if self.standing.get().is_none() {
            Box::pin(self.windows()).await?;
        }
        Ok(self.standing.get().cloned().unwrap_or_default())
    }

    /// Reads segments in order, up to the newest, and verifies each, and that each follows the one before. A damaged segment is
    /// an error in its place; the stream then goes on with the next one, so that a caller may stop or go on.
    pub fn segments(
        &self,
        range: RangeInclusive<u64>,
    ) -> impl Stream<Item = Result<Segment, ArchiveError>> + Send + '_ {
        stream::once(self.extent())
            .map_ok(move |newest| read::chain(self.clone(), *range.start().max(&1)..=newest.min(*range.end())))
            .try_flatten()
    }

    /// As [`Self::segments`], with what is left of damaged ones.
    pub fn parts(&self, range: RangeInclusive<u64>) -> impl Stream<Item = Result<Part, ArchiveError>> + Send + '_ {
        let parts = stream::once(self.extent())
            .map_ok(move |newest| read::parts(self.clone(), *range.start().max(&1)..=newest.min(*range.end())))
            .try_flatten();
        parts.and_then(move |part| async move {
            Ok(match part {
                Part::Damaged(damage, left) => Part::Damaged(Box::new(read::surround(self, *damage).await?), left),
                part @ Part::Whole(_) => part,
            })
        })
    }

    /// Reads records in order. Ends after the first error.
    pub fn records(&self, range: SeqRange) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + '_ {
        self.judged(self.selected(range, |_| true))
    }

    /// Reads the records of the keys that pass `filter`, and those that are about no single key (gaps and
    /// heartbeats), in order. Ends after the first error.
    pub fn history<'a>(
        &'a self,
        filter: &'a (dyn Fn(&RecordKey) -> bool + Sync),
        range: SeqRange,
    ) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + 'a {
        self.judged(self.told(filter, range))
    }

    /// As [`Self::history`], but goes on behind damaged segments, which are told in their place, before what is left of
    /// them. Ends after the first error; all are those of the store.
    pub fn told<'a>(
        &'a self,
        filter: &'a (dyn Fn(&RecordKey) -> bool + Sync),
        range: SeqRange,
    ) -> impl Stream<Item = Result<Told, ArchiveError>> + Send + 'a {
        self.selected(range, move |line| line.head.key.as_ref().is_none_or(filter))
    }

    /// Takes damage for an error, unless it is to be passed over.
    fn judged<'a>(
        &'a self,
        told: impl Stream<Item = Result<Told, ArchiveError>> + Send + 'a,
    ) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + 'a {
        // The ends of the segments are read once, at the first damage.
        let timeline = Arc::new(OnceCell::new());
        let judged = told.filter_map(move |told| {
            let timeline = Arc::clone(&timeline);
            async move {
                match told {
                    Ok(Told::Record(record)) => Some(Ok(*record)),
                    Ok(Told::Damage(_)) if self.passing => None,
                    Ok(Told::Damage(damage)) => {
                        match timeline.get_or_try_init(|| Box::pin(timeline::from_ends(self))).await {
                            Ok(timeline) if timeline.accounts_for(&damage) => None,
                            Ok(_) => Some(Err(damage.into())),
                            Err(error) => Some(Err(error)),
                        }
                    }
                    Err(error) => Some(Err(error)),
                }
            }
        });
        until_error(judged)
    }

    fn selected<'a>(
        &'a self,
        range: SeqRange,
        test: impl Fn(&Line) -> bool + Send + Sync + 'a,
    ) -> impl Stream<Item = Result<Told, ArchiveError>> + Send + 'a {
        let slots = async move {
            let newest = self.extent().await?;
            let first = if range.first <= Seq(1) { 1 } else { read::slot_of(self, range.first, newest).await? };
            let last = read::slot_of(self, range.last, newest).await?.min(newest);
            Ok::<_, ArchiveError>(read::parts(self.clone(), first..=last))
        };
        let test = Arc::new(test);
        let told = stream::once(slots).try_flatten().and_then(move |part| {
            let test = Arc::clone(&test);
            async move {
                let (damage, segment) = match part {
                    Part::Whole(segment) => (None, Some(segment)),
                    Part::Damaged(damage, left) => (Some(read::surround(self, *damage).await?), left),
                };
                let wanted = |line: &&Line| range.contains(line.head.seq) && test(line);
                let of = |line: &Line, segment: &Segment| segment.record(line).transpose();
                let records = segment
                    .iter()
                    .flat_map(|segment| segment.lines.iter().filter(wanted).filter_map(|line| of(line, segment)));
                let records = records.map(|record| record.map(|record| Told::Record(Box::new(record))));
                let damage = damage.map(|damage| Ok(Told::Damage(Box::new(damage))));
                Ok(stream::iter(damage.into_iter().chain(records).collect::<Vec<_>>()))
            }
        });
        until_error(told.try_flatten())
    }

    /// Reads what the ends of all segments say, and all gap records: who wrote when, and what is proven. Passes over what is
    /// damaged and lists it in [`Timeline::damage`], but does not notice damage inside of segments without gap records;
    /// see [`Self::survey`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn timeline(&self) -> Result<Timeline, ArchiveError> {
        timeline::from_ends(self).await
    }

    /// As [`Self::timeline`], but reads and verifies the whole archive.
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
    /// [`ArchiveError::Damaged`] if a segment that may hold records up to `at` is damaged, unless the watcher accounts for it
    /// ([`Damage::accounted`]) or damage is to be passed over.
    pub async fn state_at(
        &self,
        at: At,
        filter: &(dyn Fn(&RecordKey) -> bool + Sync),
        progress: &dyn Progress,
    ) -> Result<State, ArchiveError> {
        state::at(self, at, filter, progress).await
    }
}

/// What a history tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// What happened.
    Record(Box<Record>),
    /// What happened here is lost, or some of it.
    Damage(Box<Damage>),
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
