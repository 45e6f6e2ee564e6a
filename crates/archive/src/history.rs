//! Records in the order of the log: out of windows where these hold them, else out of segments.
//!
//! Does not: put records together; see [`crate::State`].

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use tokio::sync::OnceCell;
use vmrewind_model::{ObjectKey, Record, RecordKey, Seq};

use crate::{
    Archive, ArchiveError, Damage, Part, Segment,
    archive::RolledUp,
    format::{
        Lines, Place, SeqRange,
        bundle::{Bundle, SortKey},
        line::Line,
    },
    manifest::Rolled,
    read,
    state::joins,
    timeline,
    window::{self, Piece},
};

/// Windows that are read at once.
const AT_ONCE: usize = 3;

/// Bytes of lines that are held of one window, to put them into the order of the log; where more are asked for, its segments are
/// read, which have that order.
const MOST_HELD: usize = 32 << 20;

/// What a history tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// What happened.
    Record(Box<Record>),
    /// What happened here is lost, or some of it.
    Damage(Box<Damage>),
}

/// Which records are asked for; those that are about no single key (gaps and heartbeats) always are.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    All,
    Where(&'a (dyn Fn(&RecordKey) -> bool + Sync)),
    Objects(&'a BTreeSet<ObjectKey>),
}

impl Wanted<'_> {
    fn takes(self, line: &Line) -> bool {
        line.head.key.as_ref().is_none_or(|key| match self {
            Self::All => true,
            Self::Where(test) => test(key),
            Self::Objects(objects) => objects.contains(&key.object),
        })
    }

    /// Tells whether a bundle may hold some of them that are about a key.
    fn may_be_in(self, bundle: &Bundle) -> bool {
        match self {
            Self::All | Self::Where(_) => true,
            Self::Objects(objects) => objects.iter().any(|object| bundle.may_hold(&SortKey::text_of(object))),
        }
    }
}

impl Archive {
    /// Reads records in order. Ends after the first error.
    pub fn records(&self, range: SeqRange) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + '_ {
        self.judged(self.selected(range, Wanted::All))
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

    /// As [`Self::history`], of some objects: of what was rolled up only what may hold them is read.
    pub fn history_of<'a>(
        &'a self,
        objects: &'a BTreeSet<ObjectKey>,
        range: SeqRange,
    ) -> impl Stream<Item = Result<Record, ArchiveError>> + Send + 'a {
        self.judged(self.told_of(objects, range))
    }

    /// As [`Self::history`], but goes on behind damaged segments, which are told in their place, before what is left of
    /// them; a manifest that cannot be read is told first. Ends after the first error; all are those of the store.
    pub fn told<'a>(
        &'a self,
        filter: &'a (dyn Fn(&RecordKey) -> bool + Sync),
        range: SeqRange,
    ) -> impl Stream<Item = Result<Told, ArchiveError>> + Send + 'a {
        self.selected(range, Wanted::Where(filter))
    }

    /// As [`Self::told`], of some objects: of what was rolled up only what may hold them is read.
    pub fn told_of<'a>(
        &'a self,
        objects: &'a BTreeSet<ObjectKey>,
        range: SeqRange,
    ) -> impl Stream<Item = Result<Told, ArchiveError>> + Send + 'a {
        self.selected(range, Wanted::Objects(objects))
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
        wanted: Wanted<'a>,
    ) -> impl Stream<Item = Result<Told, ArchiveError>> + Send + 'a {
        let pieces = async move {
            let RolledUp { windows, damage, .. } = Box::pin(self.rolled_up()).await?;
            let newest = self.extent().await?;
            let windows: Arc<[Rolled]> = windows.into();
            let asked = Asked { archive: self, windows: Arc::clone(&windows), range, wanted };
            let mut pieces = Vec::new();
            let mut behind_log = false;
            // What is lost between windows that lie before or behind what is asked for is no matter.
            let mut before = Seq(0);
            for piece in window::layout(&windows, 0, newest) {
                match piece {
                    Piece::Slots(slots) => {
                        behind_log = true;
                        let behind = windows.iter().find(|rolled| rolled.window.slots[0] > *slots.end());
                        let early = behind.is_some_and(|rolled| rolled.window.seqs.first <= range.first);
                        if !early && before < range.last {
                            pieces.push(From::Slots(slots));
                        }
                    }
                    Piece::Window(rolled) => {
                        let seqs = rolled.window.seqs;
                        if seqs.first <= range.last && range.first <= seqs.last {
                            pieces.push(From::Window(rolled.clone().into(), behind_log));
                        }
                        (behind_log, before) = (false, seqs.last);
                    }
                }
            }
            let first = damage.map(|damage| Ok(Told::Damage(Box::new(damage))));
            let told = stream::iter(pieces).map(move |piece| Box::pin(asked.clone().piece(piece, newest)));
            Ok::<_, ArchiveError>(stream::iter(first).chain(told.buffered(AT_ONCE).try_flatten()))
        };
        until_error(stream::once(pieces).try_flatten())
    }
}

/// Where records are read from.
enum From {
    Slots(RangeInclusive<u64>),
    /// A window, and whether it stands behind something that is read from the log.
    Window(Box<Rolled>, bool),
}

/// What is asked for.
#[derive(Clone)]
struct Asked<'a> {
    archive: &'a Archive,
    windows: Arc<[Rolled]>,
    range: SeqRange,
    wanted: Wanted<'a>,
}

impl<'a> Asked<'a> {
    async fn piece(self, piece: From, newest: u64) -> Result<BoxStream<'a, Result<Told, ArchiveError>>, ArchiveError> {
        let slots = match piece {
            From::Slots(slots) => slots,
            From::Window(rolled, behind_log) => {
                let [first, last] = rolled.window.slots;
                if !behind_log || joins::joins(self.archive, &rolled).await? {
                    match self.window(&rolled).await {
                        Ok(Some(told)) => return Ok(stream::iter(told.into_iter().map(Ok)).boxed()),
                        Ok(None) => {}
                        Err(ArchiveError::Damaged(damage)) => {
                            tracing::warn!(%damage, "a history bundle cannot be read; its segments are read instead");
                        }
                        Err(error) => return Err(error),
                    }
                }
                first..=last.min(newest)
            }
        };
        self.slots(slots).await
    }

    /// Reads a window; none if more is asked for of it than may be held.
    async fn window(&self, rolled: &Rolled) -> Result<Option<Vec<Told>>, ArchiveError> {
        let (mut held, mut records) = (0, Vec::new());
        for n in 0..rolled.parts.len() {
            let opened = window::open(self.archive, rolled, n).await?;
            let may = self.wanted.may_be_in(&opened.bundle);
            for run in opened.runs(|bundle, n| bundle.is_keyless(n) || may && bundle.touches(n, self.range)) {
                for (frame, stored) in opened.fetch(self.archive, run).await? {
                    let lines = opened.lines(self.archive, frame, stored).await?;
                    let place = Place::Bundle(rolled.kind(), rolled.parts[n].digest);
                    let lines = Lines { lines: &lines, place };
                    let taken = lines.lines.iter().filter(|line| self.takes(line));
                    for line in taken {
                        held += line.text.len();
                        records.extend(lines.record(line)?);
                    }
                    if held > MOST_HELD {
                        return Ok(None);
                    }
                }
            }
        }
        records.sort_by_key(|record| record.seq);
        Ok(Some(records.into_iter().map(|record| Told::Record(Box::new(record))).collect()))
    }

    fn takes(&self, line: &Line) -> bool {
        self.range.contains(line.head.seq) && self.wanted.takes(line)
    }

    /// Reads segments, those that hold what is asked for.
    async fn slots(
        self,
        slots: RangeInclusive<u64>,
    ) -> Result<BoxStream<'a, Result<Told, ArchiveError>>, ArchiveError> {
        let (archive, end) = (self.archive, *slots.end());
        let first = match self.range.first {
            Seq(0 | 1) => *slots.start(),
            seq => read::slot_of_in(archive, seq, slots.clone()).await?,
        };
        let last = read::slot_of_in(archive, self.range.last, slots).await?.min(end);
        if first > last {
            return Ok(stream::empty().boxed());
        }
        let before = joins::before(archive, &self.windows, first).await?;
        let told = read::parts_behind(archive.clone(), first..=last, before).and_then(move |part| {
            let asked = self.clone();
            async move {
                let (damage, segment) = match part {
                    Part::Whole(segment) => (None, Some(segment)),
                    Part::Damaged(damage, left) => (Some(read::surround(archive, *damage).await?), left),
                };
                let of = |line: &Line, segment: &Segment| segment.record(line).transpose();
                let records = segment.iter().flat_map(|segment| {
                    segment.lines.iter().filter(|line| asked.takes(line)).filter_map(|line| of(line, segment))
                });
                let records = records.map(|record| record.map(|record| Told::Record(Box::new(record))));
                let damage = damage.map(|damage| Ok(Told::Damage(Box::new(damage))));
                Ok(stream::iter(damage.into_iter().chain(records).collect::<Vec<_>>()))
            }
        });
        Ok(told.try_flatten().boxed())
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
