//! Reads the log for a state: everything up to T, and of what is later only what may matter.
//!
//! Does not: know the rule by which records become a state; see `fold.rs`.

use futures::TryStreamExt as _;
use vmrewind_model::{RecordKey, Seq, Timestamp};

use super::{At, Late, Progress, State, fold::Fold};
use crate::{
    Archive, ArchiveError, Head, Segment,
    format::line::Line,
    read,
    timeline::{Gaps, Proofs},
};

/// Computes the state of the objects whose keys pass `filter`, as of `at`.
pub(crate) async fn at(
    archive: &Archive,
    at: At,
    filter: &(dyn Fn(&RecordKey) -> bool + Sync),
    progress: &dyn Progress,
) -> Result<State, ArchiveError> {
    let head = archive.head().await?;
    let newest = head.segment;
    let mut replay = Replay::default();
    let whole = last_whole(archive, at, &head).await?;
    let mut segments = std::pin::pin!(read::chain(archive.clone(), 1..=whole));
    let passes = |line: &Line| line.head.key.as_ref().is_some_and(filter);
    while let Some(segment) = segments.try_next().await? {
        replay.before(&segment, |line| counts(at, line) && passes(line))?;
        replay.cut(&segment, |line| counts(at, line));
        // The last one may hold records that are later than T as well.
        if let (true, Some(cut)) = (segment.summary.segment == whole, replay.moment(at, &head)) {
            replay.after(&segment, cut, passes)?;
        }
        progress.segments(segment.summary.segment, newest);
    }
    let Some(cut) = replay.moment(at, &head) else { return Err(nothing_as_old(archive, at, newest).await?) };
    let mut ends = std::pin::pin!(read::ends(archive, whole + 1..=newest));
    while let Some((summary, resume)) = ends.try_next().await? {
        replay.proofs.add(&resume);
        if summary.late || summary.back_dated || summary.gaps {
            let segment = read::segment(archive, summary.segment).await?;
            replay.gaps.add(&segment);
            replay.after(&segment, cut, passes)?;
        }
        progress.segments(summary.segment, newest);
    }
    Ok(replay.finish(cut))
}

/// The last record that counts, and the instant.
type Cut = (Seq, Timestamp);

/// Tells whether a record is one of those up to the moment asked for.
fn counts(at: At, line: &Line) -> bool {
    match at {
        At::Latest => true,
        At::Time(t) => line.head.t <= t,
        At::Seq(seq) => line.head.seq <= seq,
    }
}

/// Finds the last slot that must be read whole.
async fn last_whole(archive: &Archive, at: At, head: &Head) -> Result<u64, ArchiveError> {
    let newest = head.segment;
    match at {
        At::Latest => Ok(newest),
        At::Time(t) => Ok(read::first_slot(archive, newest, |summary| summary.t_first > t).await? - 1),
        At::Seq(seq) if seq > head.seq || seq == Seq(0) => {
            Err(ArchiveError::NotFound { what: format!("there is no record {seq}: the newest one is {}", head.seq) })
        }
        At::Seq(seq) => read::slot_of(archive, seq, newest).await,
    }
}

/// Says that there is nothing as old as what was asked for, and what is the oldest.
async fn nothing_as_old(archive: &Archive, at: At, newest: u64) -> Result<ArchiveError, ArchiveError> {
    let first = read::first_slot(archive, newest, |summary| summary.seqs.last >= Seq(1)).await?;
    if first > newest {
        return Ok(ArchiveError::NotFound { what: "the archive has no records yet".into() });
    }
    let start = read::end(archive, first).await?.0.t_first;
    Ok(ArchiveError::NotFound {
        what: match at {
            At::Time(t) => format!("{t} is before the first record of the archive, which is of {start}"),
            At::Latest | At::Seq(_) => format!("there is no such record; the first one is of {start}"),
        },
    })
}

#[derive(Default)]
struct Replay {
    fold: Fold,
    proofs: Proofs,
    gaps: Gaps,
    late: Vec<Late>,
    /// The last record up to the moment asked for.
    last: Option<Cut>,
}

impl Replay {
    /// Takes a segment that was read whole.
    fn before(&mut self, segment: &Segment, test: impl Fn(&Line) -> bool) -> Result<(), ArchiveError> {
        self.proofs.add(&segment.resume);
        self.gaps.add(segment);
        self.fold.add(segment, test)
    }

    /// Remembers the last record up to the moment asked for.
    fn cut(&mut self, segment: &Segment, test: impl Fn(&Line) -> bool) {
        if let Some(line) = segment.lines.iter().rev().find(|line| test(line)) {
            self.last = Some((line.head.seq, line.head.t));
        }
    }

    /// Says what the moment asked for is, once all records up to it were read; none if there are none.
    fn moment(&self, at: At, head: &Head) -> Option<Cut> {
        let (seq, t) = self.last?;
        Some(match at {
            At::Latest => (seq, head.t),
            At::Time(t) => (seq, t),
            At::Seq(_) => (seq, t),
        })
    }

    /// Takes what is later than the cut but matters: back-dated records, and changes that may have happened before it.
    fn after(&mut self, segment: &Segment, (seq, t): Cut, passes: impl Fn(&Line) -> bool) -> Result<(), ArchiveError> {
        let later = |line: &Line| line.head.seq > seq && passes(line);
        self.fold.add(segment, |line| later(line) && line.head.counts_from() <= seq)?;
        for line in segment.lines.iter().filter(|line| later(line)) {
            let Some(lo) = line.head.lo.filter(|lo| *lo < t && t < line.head.t) else { continue };
            let (Some(record), Some(key)) = (segment.record(line)?, line.head.key.clone()) else { continue };
            self.late.push(Late { key, lo, t: line.head.t, record });
        }
        Ok(())
    }

    fn finish(self, (seq, t): Cut) -> State {
        let gaps = self.gaps.finish().into_iter().filter(|gap| gap.covers(t)).collect();
        State { seq, t, objects: self.fold.finish(), proofs: self.proofs.finish(), late: self.late, gaps }
    }
}
