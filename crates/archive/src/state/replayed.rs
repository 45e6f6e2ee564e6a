//! What was read for a state so far, segment by segment and window by window, until the moment asked for is known.
//!
//! Does not: decide what is read next; see `replay.rs`.

use std::ops::RangeInclusive;

use futures::{StreamExt as _, TryStreamExt as _};
use vmrewind_model::{Seq, Timestamp};

use super::{
    At, Late, State,
    fold::Fold,
    joins::sure,
    start::{Begun, Refusal, Start},
};
use crate::{
    Archive, ArchiveError, Damage, Part, ResumeMap, Segment, SegmentSummary, damage,
    format::{Lines, Place, line::Line, link::Before},
    manifest::Rolled,
    read,
    timeline::{Gaps, Proofs},
    window,
};

/// The last record that counts, and the instant.
pub(super) type Cut = (Seq, Timestamp);

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

/// What was read so far.
pub(super) struct Replay {
    fold: Fold,
    proofs: Proofs,
    pub(super) gaps: Gaps,
    late: Vec<Late>,
    pub(super) damage: Vec<Damage>,
    /// The last record up to the moment asked for.
    last: Option<Cut>,
    /// The end of the log.
    pub(super) newest: Cut,
    /// The last slot of which the proofs are known from a window.
    rolled: u64,
    /// The last record and the last instant of the newest window that was read.
    pub(super) floor: Option<Cut>,
    /// Lines that are later than the moment asked for and may matter all the same, until it is known which moment that is.
    later: Vec<(Place, Line)>,
    /// What was begun with.
    pub(super) begun: Option<Begun>,
}

impl Replay {
    pub(super) fn new(newest: Cut) -> Self {
        let (fold, proofs, gaps) = (Fold::default(), Proofs::default(), Gaps::default());
        let (late, damage, later) = (Vec::new(), Vec::new(), Vec::new());
        Self { fold, proofs, gaps, late, damage, last: None, newest, rolled: 0, floor: None, later, begun: None }
    }

    /// Takes what windows say of the resources: the newest one that can be read and is not stale says it of all before it, the
    /// segments that lie in those behind it of themselves.
    pub(super) async fn proven(&mut self, archive: &Archive, windows: &[Rolled]) -> Result<(), ArchiveError> {
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

    /// Takes all that a checkpoint holds.
    pub(super) async fn start(
        &mut self,
        archive: &Archive,
        start: &Start,
        passes: &(dyn Fn(&Line) -> bool + Sync),
    ) -> Result<(), ArchiveError> {
        let Start { rolled, first, .. } = start;
        let window = &rolled.window;
        if self.rolled < window.slots[1] {
            self.proofs = Proofs::of_known(&first.bundle.known);
            self.rolled = window.slots[1];
        }
        for n in 0..rolled.parts.len() {
            let opened = if n == 0 { first.clone() } else { window::open(archive, rolled, n).await? };
            for run in opened.runs(|_, _| true) {
                for (frame, stored) in opened.fetch(archive, run).await? {
                    let lines = opened.lines(archive, frame, stored).await?;
                    self.gaps.add(&lines);
                    let place = Place::Bundle(rolled.kind(), rolled.parts[n].digest);
                    self.fold.add(Lines { lines: &lines, place }, passes)?;
                }
            }
        }
        self.last = Some((window.seqs.last, start.point.t));
        self.floor = Some((window.seqs.last, window.times[1]));
        self.begun = Some(Begun::with(start));
        Ok(())
    }

    /// Takes the lines of gaps behind what was begun with.
    pub(super) fn gaps(&mut self, lines: &[Line]) {
        if let Some(begun) = &mut self.begun {
            begun.gaps(lines, &self.gaps);
        }
        self.gaps.add(lines);
    }

    /// Takes the resume maps of segments that lie in a window, if no window told what they say.
    pub(super) async fn prove_segments(
        &mut self,
        archive: &Archive,
        slots: RangeInclusive<u64>,
    ) -> Result<(), ArchiveError> {
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
    pub(super) async fn slots(
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
                self.gaps(&segment.lines);
                self.before(segment.as_lines(), at, passes)?;
            }
            progress(slot);
        }
        // What is left of a damaged segment may be as old as that.
        let none_yet = later <= *slots.end() && self.moment(at).is_none();
        if none_yet && read::summary(archive, later).await?.is_some() {
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
                self.gaps(&segment.lines);
                self.before(segment.as_lines(), at, passes)?;
            }
            progress(slot);
        }
        Ok(true)
    }

    /// Reads a window: whole, or not at all if nothing in it may matter. False if there is nothing as old as what was asked for.
    pub(super) async fn window(
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
                    let mut lines = opened.lines(archive, frame, stored).await?;
                    if let Some(begun) = &self.begun {
                        lines.retain(|line| begun.is_behind(line));
                    }
                    self.gaps(&lines);
                    let place = Place::Bundle(rolled.kind(), rolled.parts[n].digest);
                    self.before(Lines { lines: &lines, place }, at, passes)?;
                }
            }
        }
        Ok(true)
    }

    /// Takes a resume map, unless a window has told what it says.
    pub(super) fn prove(&mut self, summary: &SegmentSummary, resume: &ResumeMap) {
        if summary.segment > self.rolled {
            self.proofs.add(summary, resume);
        }
    }

    /// Returns what can be read of a segment, and remembers its damage.
    pub(super) async fn readable(&mut self, archive: &Archive, part: Part) -> Result<Option<Segment>, ArchiveError> {
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
    pub(super) fn before(
        &mut self,
        lines: Lines<'_>,
        at: At,
        passes: &(dyn Fn(&Line) -> bool + Sync),
    ) -> Result<(), ArchiveError> {
        self.fold.add(lines, |line| counts(at, line) && passes(line))?;
        for line in lines.lines {
            if let Some(begun) = self.begun.as_mut().filter(|_| counts(at, line) && passes(line)) {
                begun.line(line);
            }
            if counts(at, line) {
                self.last = self.last.max(Some((line.head.seq, line.head.t)));
            } else if passes(line) && (may_be_earlier(at, line) || line.head.from.is_some()) {
                self.later.push((lines.place, line.detached()));
            }
        }
        Ok(())
    }

    /// Says what the moment asked for is, once all records up to it were read; none if there are none.
    pub(super) fn moment(&self, at: At) -> Option<Cut> {
        let (seq, t) = self.last?;
        match at {
            At::Latest => Some((seq, self.newest.1.max(t))),
            At::Time(t) => Some((seq, t)),
            At::Seq(asked) => (seq == asked).then_some((seq, t)),
        }
    }

    /// Takes what is later than the cut but matters: back-dated records, and changes that may have happened before it.
    pub(super) fn after(&mut self, (seq, t): Cut) -> Result<(), ArchiveError> {
        let mut later = std::mem::take(&mut self.later);
        later.sort_by_key(|(_, line)| line.head.seq);
        // What was read of a damaged window was read again from its segments.
        later.dedup_by_key(|(_, line)| line.head.seq);
        for (place, line) in &later {
            if let Some(begun) = self.begun.as_mut().filter(|_| line.head.counts_from() <= seq) {
                begun.line(line);
            }
            let lines = Lines { lines: std::slice::from_ref(line), place: *place };
            self.fold.add(lines, |line| line.head.counts_from() <= seq)?;
            let Some(lo) = line.head.lo.filter(|lo| *lo < t && t < line.head.t) else { continue };
            let (Some(record), Some(key)) = (lines.record(line)?, line.head.key.clone()) else { continue };
            self.late.push(Late { key, lo, t: line.head.t, record });
        }
        Ok(())
    }

    /// Returns the state, or why what was begun with cannot be used for it.
    pub(super) fn finish(
        mut self,
        (seq, t): Cut,
        passed: &[(u64, u64)],
    ) -> Result<Result<State, Refusal>, ArchiveError> {
        self.after((seq, t))?;
        if let Some(why) = self.begun.as_ref().and_then(|begun| begun.refused(passed)) {
            return Ok(Err(why));
        }
        let (mut gaps, mut damage) = (self.gaps.spans(), self.damage);
        damage::account(&mut damage, &self.proofs.named, &gaps);
        gaps.retain(|gap| gap.covers(t));
        let (objects, proofs) = (self.fold.finish(), self.proofs.finish());
        Ok(Ok(State { seq, t, objects, proofs, late: self.late, gaps, damage }))
    }
}
