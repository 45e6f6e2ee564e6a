//! Reads the log for a state: everything up to T, and of what is later only what may matter.
//!
//! Does not: know the rule by which records become a state; see `fold.rs`.

use std::{ops::RangeInclusive, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _};
use vmrewind_model::{RecordKey, Seq, Timestamp};

use super::{
    At, Late, Progress, State,
    fold::Fold,
    joins::{before, joins, sure},
};
use crate::{
    Archive, ArchiveError, Damage, Part, ResumeMap, Segment, SegmentSummary, damage,
    format::{Lines, Place, line::Line, link::Before},
    manifest::Rolled,
    read,
    timeline::{Gaps, Proofs},
    window::{self, Piece},
};

/// Computes the state of the objects whose keys pass `filter`, as of `at`.
pub(crate) async fn at(
    archive: &Archive,
    at: At,
    filter: &(dyn Fn(&RecordKey) -> bool + Sync),
    progress: &dyn Progress,
) -> Result<State, ArchiveError> {
    let (mut windows, unreadable) = archive.windows().await?;
    if let Some(damage) = unreadable.clone().filter(|_| !archive.passing) {
        return Err(damage.into());
    }
    loop {
        match with_windows(archive, at, filter, progress, &windows).await? {
            Read::State(mut state) => {
                state.damage.extend(unreadable);
                return Ok(*state);
            }
            Read::Doubted(slots) => {
                windows.retain(|rolled| !slots.iter().any(|(first, last)| overlaps(rolled, *first, *last)));
            }
        }
    }
}

/// What came of a read.
enum Read {
    State(Box<State>),
    /// These slots are to be read from the log. Before the moment asked for a writer passed over damage in them: it compared with
    /// what the log still held, and what it then recorded says nothing of what only the windows hold. Or the window is damaged,
    /// and so are its segments.
    Doubted(Vec<(u64, u64)>),
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
    windows: &[Rolled],
) -> Result<Read, ArchiveError> {
    let newest = archive.extent().await?;
    let mut replay = Replay::new(newest_end(archive, newest).await?);
    replay.proven(archive, windows).await?;
    let passes = |line: &Line| line.head.key.as_ref().is_some_and(filter);
    // Slots to be read from the log before what comes next.
    let mut log: Option<RangeInclusive<u64>> = None;
    let mut used: Vec<&Rolled> = Vec::new();
    // The last slot that was read from a window.
    let mut rolled_up_to = 0;
    let mut pieces = window::layout(windows, newest).into_iter();
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
            let before = before(archive, windows, *slots.start()).await?;
            let progress = |slot| progress.segments(slot, newest);
            if !replay.slots(archive, slots, before, (at, &passes), &progress).await? {
                break;
            }
        }
        let Some(rolled) = rolled else { break };
        let [first, last] = rolled.window.slots;
        // What a manifest alone says of slots that nothing else tells of is not believed.
        let its_segments = first..=last.min(newest);
        if its_segments.is_empty() {
            break;
        }
        if rolled_up_to + 1 != first && !joins(archive, rolled).await? {
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
    let Some(cut) = moment else { return Err(nothing_as_old(archive, at, newest, replay).await?) };
    let state = replay.finish(cut)?;
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

/// Tells whether a later record may have happened before the moment asked for.
fn may_be_earlier(at: At, line: &Line) -> bool {
    match (at, line.head.lo) {
        (At::Time(t), Some(lo)) => lo < t,
        (At::Seq(_), lo) => lo.is_some(),
        (At::Latest, _) | (_, None) => false,
    }
}

/// Finds the first of some slots that need not be read whole; the one after them if there is none.
async fn first_later(archive: &Archive, at: At, slots: RangeInclusive<u64>) -> Result<u64, ArchiveError> {
    match at {
        At::Latest => Ok(slots.end() + 1),
        At::Time(t) => read::first_slot_in(archive, slots, |summary| summary.t_first > t).await,
        At::Seq(seq) => {
            let end = *slots.end();
            let slot = read::slot_of_in(archive, seq, slots).await?;
            let behind = slot > end || read::summary(archive, slot).await?.is_some_and(|own| own.seqs.first > seq);
            Ok(if behind { slot } else { slot + 1 })
        }
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
    /// The last slot of which the proofs are known from a window.
    rolled: u64,
    /// The last record and the last instant of the newest window that was read.
    floor: Option<Cut>,
    /// Lines that are later than the moment asked for and may matter all the same, until it is known which moment that is.
    later: Vec<(Place, Line)>,
}

impl Replay {
    fn new(newest: Cut) -> Self {
        let (fold, proofs, gaps) = (Fold::default(), Proofs::default(), Gaps::default());
        let (late, damage, later) = (Vec::new(), Vec::new(), Vec::new());
        Self { fold, proofs, gaps, late, damage, last: None, newest, rolled: 0, floor: None, later }
    }

    /// Takes what windows say of the resources: the newest one that can be read and is not stale says it of all before it, the
    /// segments that lie in those behind it of themselves.
    async fn proven(&mut self, archive: &Archive, windows: &[Rolled]) -> Result<(), ArchiveError> {
        let sure = sure(archive, windows).await?;
        for rolled in windows[..sure].iter().rev().filter(|rolled| !rolled.stale) {
            match window::open(archive, rolled, 0).await {
                Ok(opened) => {
                    self.proofs = Proofs::of_known(&opened.bundle.known);
                    self.rolled = rolled.window.slots[1];
                    break;
                }
                Err(ArchiveError::Damaged(damage)) => {
                    tracing::warn!(%damage, "a history bundle cannot be read; its segments are read instead");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes the resume maps of segments that lie in a window, if no window told what they say.
    async fn prove_segments(&mut self, archive: &Archive, slots: RangeInclusive<u64>) -> Result<(), ArchiveError> {
        if *slots.start() <= self.rolled {
            return Ok(());
        }
        let mut slot = slots.start() - 1;
        let mut ends = std::pin::pin!(read::ends(archive, slots));
        while let Some(end) = ends.next().await {
            slot += 1;
            match end {
                Ok((summary, resume)) => self.prove(&summary, &resume),
                Err(ArchiveError::Damaged(_)) => match read::part(archive, slot).await? {
                    Part::Whole(own) | Part::Damaged(_, Some(own)) => self.prove(&own.summary, &own.resume),
                    Part::Damaged(_, None) => {}
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads segments: those up to the moment asked for whole, of the others what may matter. False if there is nothing as old
    /// as what was asked for.
    async fn slots(
        &mut self,
        archive: &Archive,
        slots: RangeInclusive<u64>,
        behind: Option<Before>,
        (at, passes): (At, &(dyn Fn(&Line) -> bool + Sync)),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<bool, ArchiveError> {
        let later = first_later(archive, at, slots.clone()).await?;
        let mut slot = slots.start() - 1;
        let mut parts =
            std::pin::pin!(read::parts_behind(archive.clone(), slots.start().to_owned()..=later - 1, behind));
        while let Some(part) = parts.try_next().await? {
            slot += 1;
            if let Some(segment) = self.readable(archive, part).await? {
                self.prove(&segment.summary, &segment.resume);
                self.gaps.add(&segment.lines);
                self.before(segment.as_lines(), at, passes)?;
            }
            progress(slot);
        }
        if later <= *slots.end() && self.moment(at).is_none() {
            return Ok(false);
        }
        let mut ends = std::pin::pin!(read::ends(archive, later..=*slots.end()));
        while let Some(end) = ends.next().await {
            slot += 1;
            let part = match end {
                Ok((summary, resume)) => {
                    self.prove(&summary, &resume);
                    if !(summary.late || summary.back_dated || summary.gaps) {
                        progress(slot);
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
            if let Some(segment) = self.readable(archive, part).await? {
                self.gaps.add(&segment.lines);
                self.before(segment.as_lines(), at, passes)?;
            }
            progress(slot);
        }
        Ok(true)
    }

    /// Reads a window: whole, or not at all if nothing in it may matter. False if there is nothing as old as what was asked for.
    async fn window(
        &mut self,
        archive: &Archive,
        rolled: &Rolled,
        at: At,
        passes: &(dyn Fn(&Line) -> bool + Sync),
    ) -> Result<bool, ArchiveError> {
        let window = &rolled.window;
        let behind = match at {
            At::Latest => false,
            At::Time(t) => window.times[0] > t,
            At::Seq(seq) => window.seqs.first > seq,
        };
        // Every gap that it tells of counts: it may close one, and say of it when it began.
        let mut only_gaps = false;
        if behind {
            let Some((seq, t)) = self.moment(at) else { return Ok(false) };
            // That nothing in it matters must not be believed of a manifest for which nothing vouches: its bundle says the same.
            if !archive.home().vouches() {
                window::open(archive, rolled, 0).await?;
            }
            let before = |instant: Option<Timestamp>| instant.is_some_and(|instant| instant < t);
            let earliest = window.earliest;
            only_gaps = !(before(earliest.lo) || earliest.from.is_some_and(|from| from <= seq));
            if only_gaps && earliest.gap.is_none() {
                return Ok(true);
            }
        }
        for n in 0..rolled.parts.len() {
            let opened = window::open(archive, rolled, n).await?;
            for run in opened.runs(|bundle, n| !only_gaps || bundle.is_keyless(n)) {
                for (frame, stored) in opened.fetch(archive, run).await? {
                    let lines = opened.lines(archive, frame, stored).await?;
                    self.gaps.add(&lines);
                    let place = Place::Bundle(rolled.parts[n].digest);
                    self.before(Lines { lines: &lines, place }, at, passes)?;
                }
            }
        }
        Ok(true)
    }

    /// Takes a resume map, unless a window has told what it says.
    fn prove(&mut self, summary: &SegmentSummary, resume: &ResumeMap) {
        if summary.segment > self.rolled {
            self.proofs.add(summary, resume);
        }
    }

    /// Returns what can be read of a segment, and remembers its damage.
    async fn readable(&mut self, archive: &Archive, part: Part) -> Result<Option<Segment>, ArchiveError> {
        Ok(match part {
            Part::Whole(segment) => Some(segment),
            Part::Damaged(damage, left) => {
                let damage = read::surround(archive, *damage).await?;
                self.damage.push(match self.floor {
                    Some((seq, t)) => damage.behind(seq, t),
                    None => damage,
                });
                left
            }
        })
    }

    /// Takes lines: what counts at once, and of what is later that which may matter.
    fn before(
        &mut self,
        lines: Lines<'_>,
        at: At,
        passes: &(dyn Fn(&Line) -> bool + Sync),
    ) -> Result<(), ArchiveError> {
        self.fold.add(lines, |line| counts(at, line) && passes(line))?;
        for line in lines.lines {
            if counts(at, line) {
                self.last = self.last.max(Some((line.head.seq, line.head.t)));
            } else if passes(line) && (may_be_earlier(at, line) || line.head.from.is_some()) {
                self.later.push((lines.place, line.detached()));
            }
        }
        Ok(())
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
    fn after(&mut self, (seq, t): Cut) -> Result<(), ArchiveError> {
        let mut later = std::mem::take(&mut self.later);
        later.sort_by_key(|(_, line)| line.head.seq);
        // What was read of a damaged window was read again from its segments.
        later.dedup_by_key(|(_, line)| line.head.seq);
        for (place, line) in &later {
            let lines = Lines { lines: std::slice::from_ref(line), place: *place };
            self.fold.add(lines, |line| line.head.counts_from() <= seq)?;
            let Some(lo) = line.head.lo.filter(|lo| *lo < t && t < line.head.t) else { continue };
            let (Some(record), Some(key)) = (lines.record(line)?, line.head.key.clone()) else { continue };
            self.late.push(Late { key, lo, t: line.head.t, record });
        }
        Ok(())
    }

    fn finish(mut self, (seq, t): Cut) -> Result<State, ArchiveError> {
        self.after((seq, t))?;
        let (mut gaps, mut damage) = (self.gaps.spans(), self.damage);
        damage::account(&mut damage, &self.proofs.named, &gaps);
        gaps.retain(|gap| gap.covers(t));
        Ok(State { seq, t, objects: self.fold.finish(), proofs: self.proofs.finish(), late: self.late, gaps, damage })
    }
}
