//! Reads the log for a state: everything up to T, and of what is later only what may matter.
//!
//! Does not: know the rule by which records become a state; see `fold.rs`.

use std::{ops::RangeInclusive, time::Duration};

use vmrewind_model::{RecordKey, Seq, Timestamp};

use super::{
    At, Progress, State,
    joins::{before, joins},
    replayed::{Cut, Replay},
    start::{Refusal, Search, Start, is_before},
};
use crate::{
    Archive, ArchiveError,
    archive::RolledUp,
    format::line::Line,
    manifest::Rolled,
    read,
    window::{self, Piece},
};

/// Computes the state of the objects whose keys pass `filter`, as of `at`.
pub(crate) async fn at(
    archive: &Archive,
    at: At,
    filter: &(dyn Fn(&RecordKey) -> bool + Sync),
    progress: &dyn Progress,
) -> Result<State, ArchiveError> {
    let RolledUp { windows: all, checkpoints, damage: unreadable } = archive.rolled_up().await?;
    if let Some(damage) = unreadable.clone().filter(|_| !archive.passing) {
        return Err(damage.into());
    }
    let mut windows = all.clone();
    let before: Vec<&Rolled> = checkpoints.iter().rev().filter(|rolled| is_before(rolled, at)).collect();
    let mut search = Search { archive, windows: &all, checkpoints: before.into_iter(), put_back: None };
    let mut start = search.next(&Refusal::default()).await?;
    loop {
        let sources = Sources { windows: &windows, start: start.as_ref() };
        match with_windows(archive, at, filter, progress, &sources).await? {
            Read::State(mut state) => {
                state.damage.extend(unreadable);
                return Ok(*state);
            }
            Read::Doubted(slots) => {
                windows.retain(|rolled| !slots.iter().any(|(first, last)| overlaps(rolled, *first, *last)));
            }
            Read::NotFromThere(refusal) => {
                tracing::debug!(?refusal, "a checkpoint cannot be begun with for this answer");
                start = search.next(&refusal).await?;
            }
        }
    }
}

/// What an answer is read from, beside the log.
struct Sources<'a> {
    windows: &'a [Rolled],
    /// What stands for everything up to a slot.
    start: Option<&'a Start>,
}

/// What came of a read.
enum Read {
    State(Box<State>),
    /// These slots are to be read from the log. Before the moment asked for a writer passed over damage in them: it compared with
    /// what the log still held, and what it then recorded says nothing of what only the windows hold. Or the window is damaged,
    /// and so are its segments.
    Doubted(Vec<(u64, u64)>),
    /// The checkpoint cannot be begun with: why, so that others need not be tried.
    NotFromThere(Refusal),
}

fn overlaps(rolled: &Rolled, first: u64, last: u64) -> bool {
    let [from, to] = rolled.window.slots;
    first <= to && from <= last
}

/// As [`at`], with these windows in place of their segments; the segments of a window that is damaged are read all the same.
async fn with_windows(
    archive: &Archive,
    at: At,
    filter: &(dyn Fn(&RecordKey) -> bool + Sync),
    progress: &dyn Progress,
    sources: &Sources<'_>,
) -> Result<Read, ArchiveError> {
    let windows = sources.windows;
    let newest = archive.extent().await?;
    let mut replay = Replay::new(newest_end(archive, newest).await?);
    replay.proven(archive, windows).await?;
    let passes = |line: &Line| line.head.key.as_ref().is_some_and(filter);
    if let Some(start) = sources.start {
        match replay.start(archive, start, &passes).await {
            Ok(()) => {}
            Err(ArchiveError::Damaged(damage)) => {
                tracing::warn!(%damage, "a checkpoint cannot be read; what it stands for is read instead");
                return Ok(Read::NotFromThere(Refusal::default()));
            }
            Err(error) => return Err(error),
        }
    }
    let from = sources.start.map_or(0, Start::slot);
    // Slots to be read from the log before what comes next.
    let mut log: Option<RangeInclusive<u64>> = None;
    let mut used: Vec<&Rolled> = Vec::new();
    // The last slot that was read from a window.
    let mut rolled_up_to = from;
    let mut pieces = window::layout(windows, from, newest).into_iter();
    loop {
        let piece = pieces.next();
        let rolled = match piece {
            Some(Piece::Slots(slots)) => {
                log = Some(log.map_or(*slots.start(), |log| *log.start())..=*slots.end());
                continue;
            }
            Some(Piece::Window(rolled)) => Some(rolled),
            None => None,
        };
        if let Some(slots) = log.take() {
            let before = match sources.start.filter(|_| *slots.start() == from + 1) {
                Some(start) => Some(start.end()),
                None => before(archive, windows, *slots.start()).await?,
            };
            let progress = |slot| progress.segments(slot, newest);
            if !replay.slots(archive, slots, before, (at, &passes), &progress).await? {
                break;
            }
        }
        let Some(rolled) = rolled else { break };
        let [first, last] = rolled.window.slots;
        // What a manifest alone says of slots that nothing else tells of is not believed.
        let its_segments = first.max(from + 1)..=last.min(newest);
        if its_segments.is_empty() {
            break;
        }
        if rolled_up_to + 1 < first && !joins(archive, rolled).await? {
            tracing::warn!(first, last, "a window does not follow the log before it; its segments are read instead");
            log = Some(its_segments);
            continue;
        }
        used.push(rolled);
        replay.prove_segments(archive, its_segments.clone()).await?;
        match replay.window(archive, rolled, at, &passes).await {
            Ok(true) => rolled_up_to = last,
            Ok(false) => break,
            Err(ArchiveError::Damaged(damage)) => {
                // Its segments are still there. What was taken of it already is the same as what they hold.
                tracing::warn!(%damage, "a history bundle cannot be read; its segments are read instead");
                log = Some(its_segments);
                continue;
            }
            Err(error) => return Err(error),
        }
        replay.floor = Some((rolled.window.seqs.last, rolled.window.times[1]));
        progress.segments(last, newest);
    }
    let moment = replay.moment(at);
    let mut passed = replay.gaps.damaged_slots(moment.map_or(Seq(u64::MAX), |(seq, _)| seq));
    // Of a window and its segments that are both damaged, the segments alone count.
    passed.extend(replay.damage.iter().filter_map(|damage| damage.segment).map(|slot| (slot, slot)));
    if used.iter().any(|rolled| passed.iter().any(|(first, last)| overlaps(rolled, *first, *last))) {
        return Ok(Read::Doubted(passed));
    }
    if let Some(why) = replay.begun.as_ref().and_then(|begun| begun.refused(&passed)) {
        return Ok(Read::NotFromThere(why));
    }
    let Some(cut) = moment else { return Err(nothing_as_old(archive, at, newest, replay).await?) };
    let state = match replay.finish(cut, &passed)? {
        Ok(state) => state,
        Err(why) => return Ok(Read::NotFromThere(why)),
    };
    let doubtful = state.doubtful().next().filter(|_| !archive.passing).cloned();
    doubtful.map_or(Ok(Read::State(Box::new(state))), |damage| Err(damage.into()))
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
