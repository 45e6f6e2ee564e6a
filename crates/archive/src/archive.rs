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

use futures::{Stream, TryStreamExt as _, stream};
use vmrewind_model::{Digest, RecordKey};

use crate::{
    ArchiveError, At, Cpu, Damage, Head, Identity, Part, Progress, Segment, State, Store, Timeline,
    format::{
        Code,
        fault::Fault,
        home::{Home, Lock},
        limits,
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

/// What the newest manifest names.
#[derive(Clone, Debug, Default)]
pub(crate) struct RolledUp {
    pub(crate) windows: Vec<Rolled>,
    pub(crate) checkpoints: Vec<Rolled>,
    /// Why it cannot be read, if so.
    pub(crate) damage: Option<Damage>,
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

    /// The windows that were rolled up and may be read in place of their segments, the checkpoints, and what is wrong with the
    /// newest manifest if it cannot be read.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn rolled_up(&self) -> Result<RolledUp, ArchiveError> {
        if !self.rolled {
            return Ok(RolledUp::default());
        }
        match manifest::newest(self).await {
            Ok(found) => {
                let all = found.map(|found| (found.manifest.windows, found.manifest.checkpoints));
                let (windows, checkpoints) = all.unwrap_or_default();
                self.standing.get_or_init(|| windows.clone());
                Ok(RolledUp { windows, checkpoints, damage: None })
            }
            Err(ArchiveError::Damaged(damage)) => Ok(RolledUp { damage: Some(*damage), ..RolledUp::default() }),
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
            Box::pin(self.rolled_up()).await?;
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
