//! Reads the log for a state: everything up to T, and of what is later only what may matter.
//!
//! Does not: know the rule by which records become a state; see `fold.rs`.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use vmrewind_model::{RecordKey, Seq, Timestamp};

use super::{At, Late, Progress, State, fold::Fold};
use crate::{
    Archive, ArchiveError, Damage, Part, Segment, damage,
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
    let newest = archive.extent().await?;
    let mut replay = Replay::new(newest_end(archive, newest).await?);
    let whole = last_whole(archive, at, newest).await?;
    let mut parts = std::pin::pin!(read::parts(archive.clone(), 1..=whole));
    let passes = |line: &Line| line.head.key.as_ref().is_some_and(filter);
    let mut slot = 0;
    while let Some(part) = parts.try_next().await? {
        slot += 1;
        if let Some(segment) = replay.readable(archive, part).await? {
            replay.before(&segment, |line| counts(at, line) && passes(line))?;
            replay.cut(&segment, |line| counts(at, line));
            // The last one may hold records that are later than T as well.
            if let (true, Some(cut)) = (slot == whole, replay.moment(at)) {
                replay.after(&segment, cut, passes)?;
            }
        }
        progress.segments(slot, newest);
    }
    let Some(cut) = replay.moment(at) else { return Err(nothing_as_old(archive, at, newest, replay).await?) };
    let mut ends = std::pin::pin!(read::ends(archive, whole + 1..=newest));
    let mut slot = whole;
    while let Some(end) = ends.next().await {
        slot += 1;
        let part = match end {
            Ok((summary, resume)) => {
                replay.proofs.add(&summary, &resume);
                if !(summary.late || summary.back_dated || summary.gaps) {
                    progress.segments(slot, newest);
                    continue;
                }
                read::part(archive, slot).await?
            }
            Err(ArchiveError::Damaged(damage)) => match read::part(archive, slot).await? {
                Part::Whole(_) => Part::Damaged(damage, None), // good by itself, but it does not follow
                part @ Part::Damaged(..) => part,
            },
            Err(error) => return Err(error),
        };
        if let Some(segment) = replay.readable(archive, part).await? {
            replay.gaps.add(&segment);
            replay.after(&segment, cut, passes)?;
        }
        progress.segments(slot, newest);
    }
    let state = replay.finish(cut);
    let doubtful = state.doubtful().next().filter(|_| !archive.passing).cloned();
    doubtful.map_or(Ok(state), |damage| Err(damage.into()))
}

/// Reads the seq and the instant of the end of the log, as far as they can be read.
async fn newest_end(archive: &Archive, newest: u64) -> Result<Cut, ArchiveError> {
    if newest == 0 {
        return Ok((Seq(0), Timestamp::MIN));
    }
    match read::end(archive, newest).await {
        Ok((summary, _)) => Ok((summary.seqs.last, summary.t_last)),
        Err(ArchiveError::Damaged(_)) => {
            // What it held came after all that is known of it.
            let head = archive.head_behind_damage().await?;
            Ok((head.seq, head.t.plus(Duration::from_micros(1))))
        }
        Err(error) => Err(error),
    }
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
async fn last_whole(archive: &Archive, at: At, newest: u64) -> Result<u64, ArchiveError> {
    match at {
        At::Latest => Ok(newest),
        At::Time(t) => Ok(read::first_slot(archive, newest, |summary| summary.t_first > t).await? - 1),
        At::Seq(seq) => Ok(read::slot_of(archive, seq, newest).await?.min(newest)),
    }
}

/// Says that there is nothing as old as what was asked for, and what is the oldest; or that it is damaged.
async fn nothing_as_old(archive: &Archive, at: At, newest: u64, replay: Replay) -> Result<ArchiveError, ArchiveError> {
    if let Some(damage) = replay.damage.into_iter().next() {
        return Ok(damage.into());
    }
    let first = read::first_slot(archive, newest, |summary| summary.seqs.last >= Seq(1)).await?;
    if first > newest {
        return Ok(ArchiveError::NotFound { what: "the archive has no records yet".into() });
    }
    let start = read::end(archive, first).await?.0.t_first;
    Ok(ArchiveError::NotFound {
        what: match at {
            At::Time(t) => format!("{t} is before the first record of the archive, which is of {start}"),
            At::Seq(seq) if seq > Seq(0) => {
                format!("there is no record {seq}: the newest one is {}", replay.newest.0)
            }
            At::Latest | At::Seq(_) => format!("there is no such record; the first one is of {start}"),
        },
    })
}

struct Replay {
    fold: Fold,
    proofs: Proofs,
    gaps: Gaps,
    late: Vec<Late>,
    damage: Vec<Damage>,
    /// The last record up to the moment asked for.
    last: Option<Cut>,
    /// The end of the log.
    newest: Cut,
}

impl Replay {
    fn new(newest: Cut) -> Self {
        let (fold, proofs, gaps) = (Fold::default(), Proofs::default(), Gaps::default());
        Self { fold, proofs, gaps, late: Vec::new(), damage: Vec::new(), last: None, newest }
    }

    /// Returns what can be read of a segment, and remembers its damage.
    async fn readable(&mut self, archive: &Archive, part: Part) -> Result<Option<Segment>, ArchiveError> {
        Ok(match part {
            Part::Whole(segment) => Some(segment),
            Part::Damaged(damage, left) => {
                self.damage.push(read::surround(archive, *damage).await?);
                left
            }
        })
    }

    /// Takes a segment that was read whole.
    fn before(&mut self, segment: &Segment, test: impl Fn(&Line) -> bool) -> Result<(), ArchiveError> {
        self.proofs.add(&segment.summary, &segment.resume);
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
    fn moment(&self, at: At) -> Option<Cut> {
        let (seq, t) = self.last?;
        match at {
            At::Latest => Some((seq, self.newest.1.max(t))),
            At::Time(t) => Some((seq, t)),
            At::Seq(asked) => (seq == asked).then_some((seq, t)),
        }
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
        let (mut gaps, mut damage) = (self.gaps.spans(), self.damage);
        damage::account(&mut damage, &self.proofs.named, &gaps);
        gaps.retain(|gap| gap.covers(t));
        State { seq, t, objects: self.fold.finish(), proofs: self.proofs.finish(), late: self.late, gaps, damage }
    }
}
