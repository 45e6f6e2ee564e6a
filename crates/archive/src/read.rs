//! Reads segments: whole and verified, or their ends only.
//!
//! Does not: fold them into anything.

use std::{
    ops::{Range, RangeInclusive},
    sync::PoisonError,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use vmrewind_model::{Digest, Seq};

use crate::{
    Archive, ArchiveError, Damage, ResumeMap, Segment, SegmentSummary,
    format::{
        Code,
        decode::{self, Peek},
        fault::Fault,
        footer::Kind,
        home::Lock,
        link::Before,
    },
    paths,
    store::LARGEST,
};

/// How much of the end of a segment is read at once: footer and a resume map of usual size.
const TAIL: u64 = 64 * 1024;

/// How many ends of segments are asked for at once.
const TAILS_AT_ONCE: usize = 16;

/// How many segments are fetched and decoded at once: one that is being used, and one for each of two cores.
const SEGMENTS_AT_ONCE: usize = 3;

/// A segment as it was found.
#[derive(Clone, Debug)]
pub enum Part {
    /// It is as it was written.
    Whole(Segment),
    /// It is damaged: how, and what is left of it. The records of that are as they were written, but not all.
    Damaged(Box<Damage>, Option<Segment>),
}

impl Part {
    /// Returns the segment if it is whole.
    pub(crate) fn whole(self) -> Result<Segment, ArchiveError> {
        match self {
            Self::Whole(segment) => Ok(segment),
            Self::Damaged(damage, _) => Err(damage.into()),
        }
    }
}

/// Says whose bytes are damaged.
pub(crate) fn damaged(slot: u64, fault: Fault) -> Damage {
    fault.in_object(paths::segment(slot), Some(slot))
}

fn missing(slot: u64) -> Damage {
    damaged(slot, Fault::new(Code::Missing, "it is not there"))
}

/// Reads one segment by itself.
pub(crate) async fn part(archive: &Archive, slot: u64) -> Result<Part, ArchiveError> {
    let Some(bytes) = archive.store.get(&paths::segment(slot), LARGEST).await? else {
        return Ok(Part::Damaged(Box::new(missing(slot)), None));
    };
    let home = archive.home();
    let decoded = archive.cpu.run(move || decode::decode_or_salvage(&bytes, home, slot)).await?;
    Ok(match decoded {
        Ok(segment) => Part::Whole(segment),
        // What cannot be opened is not damaged.
        Err(broken) if broken.fault.code == Code::NoKey => return Err(damaged(slot, broken.fault).into()),
        Err(broken) => {
            let mut damage = damaged(slot, broken.fault);
            if let Some(salvaged) = &broken.salvaged {
                damage = damage.with_summary(&salvaged.summary);
            }
            Part::Damaged(Box::new(damage), broken.salvaged)
        }
    })
}

/// Reads and verifies one segment by itself.
pub(crate) async fn segment(archive: &Archive, slot: u64) -> Result<Segment, ArchiveError> {
    part(archive, slot).await?.whole()
}

/// Reads segments in order, and verifies each, and that each follows the one before. Whether one that comes after a
/// damaged one follows it is not known. Errors are those of the store.
pub(crate) fn parts(
    archive: Archive,
    slots: RangeInclusive<u64>,
) -> impl Stream<Item = Result<Part, ArchiveError>> + Send {
    let before = (*slots.start() == 1).then(Before::first);
    parts_behind(archive, slots, before)
}

/// As [`parts`], behind something that is known.
pub(crate) fn parts_behind(
    archive: Archive,
    slots: RangeInclusive<u64>,
    before: Option<Before>,
) -> impl Stream<Item = Result<Part, ArchiveError>> + Send {
    let read = stream::iter(slots)
        .map(move |slot| {
            let archive = archive.clone();
            async move { part(&archive, slot).await }
        })
        .buffered(SEGMENTS_AT_ONCE);
    read.scan(before, |before, part| {
        let part = part.map(|part| follows(before.as_ref(), part));
        *before = match &part {
            Ok(Part::Whole(segment)) => Some(Before::of(&segment.summary, Some(segment.digest))),
            _ => None,
        };
        futures::future::ready(Some(part))
    })
}

/// Checks that a segment follows the one before, if that is known.
fn follows(before: Option<&Before>, part: Part) -> Part {
    let (Some(before), Part::Whole(segment)) = (before, &part) else { return part };
    match before.check(&segment.summary) {
        Ok(()) => part,
        Err(fault) => {
            let damage = damaged(segment.summary.segment, fault).with_summary(&segment.summary);
            Part::Damaged(Box::new(damage), None)
        }
    }
}

/// As [`parts`], with a damaged segment as an error in its place.
pub(crate) fn chain(
    archive: Archive,
    slots: RangeInclusive<u64>,
) -> impl Stream<Item = Result<Segment, ArchiveError>> + Send {
    parts(archive.clone(), slots).then(move |part| {
        let archive = archive.clone();
        async move {
            match part? {
                Part::Whole(segment) => Ok(segment),
                Part::Damaged(damage, _) => Err(surround(&archive, *damage).await?.into()),
            }
        }
    })
}

/// Adds to damage what it held and when that was observed, as far as its own end or its neighbours tell.
pub(crate) async fn surround(archive: &Archive, damage: Damage) -> Result<Damage, ArchiveError> {
    let Some(slot) = damage.segment.filter(|_| damage.held.is_none()) else { return Ok(damage) };
    if let Some(own) = summary(archive, slot).await? {
        return Ok(damage.with_summary(&own));
    }
    let known = archive.hole.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(hole) = known.filter(|hole| hole.slots.contains(&slot)) {
        return Ok(damage.between(hole.earlier.as_ref(), hole.later.as_ref()));
    }
    let (mut earlier, mut later, mut slots) = (None, None, slot..slot + 1);
    for before in (1..slot).rev() {
        earlier = summary(archive, before).await?;
        if earlier.is_some() {
            break;
        }
        slots.start = before;
    }
    for after in slot + 1..=archive.extent().await? {
        later = summary(archive, after).await?;
        if later.is_some() {
            break;
        }
        slots.end = after + 1;
    }
    let damage = damage.between(earlier.as_ref(), later.as_ref());
    *archive.hole.lock().unwrap_or_else(PoisonError::into_inner) = Some(Hole { slots, earlier, later });
    Ok(damage)
}

/// Slots that cannot be read, and what stands before and behind them.
#[derive(Clone, Debug)]
pub(crate) struct Hole {
    slots: Range<u64>,
    earlier: Option<SegmentSummary>,
    later: Option<SegmentSummary>,
}

/// Reads what the end of a segment says; none if it is damaged.
pub(crate) async fn summary(archive: &Archive, slot: u64) -> Result<Option<SegmentSummary>, ArchiveError> {
    match end(archive, slot).await {
        Ok((summary, _)) => Ok(Some(summary)),
        Err(ArchiveError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the end of a segment: footer and resume map, each with its own check.
pub(crate) async fn end(archive: &Archive, slot: u64) -> Result<(SegmentSummary, ResumeMap), ArchiveError> {
    let name = paths::segment(slot);
    let Some(size) = archive.store.size(&name).await? else { return Err(missing(slot).into()) };
    let (home, mut length) = (archive.home(), TAIL);
    let front = match home.lock {
        // The index vouches for the rest, for whoever can open it.
        Lock::Open(_) if size > 0 => Some(archive.store.range(&name, 0..size.min(decode::FRONT)).await?),
        _ => None,
    };
    loop {
        let start = size.saturating_sub(length);
        let tail = if size == 0 { Bytes::new() } else { archive.store.range(&name, start..size).await? };
        let end = match &front {
            None => decode::peek(&tail, size, home.clone(), slot),
            Some(front) => decode::peek_index(front, &tail, size, &home, slot),
        };
        let end = match end {
            Ok(end) => end,
            Err(fault) => return Err(damaged(slot, why_shut(archive, &name, (Kind::Log, None), fault).await?).into()),
        };
        match end {
            Peek::Done(end) => return Ok(*end),
            Peek::Longer(longer) if longer > length => length = longer,
            Peek::Longer(_) => return Err(ArchiveError::Bug(format!("the end of segment {slot} has no beginning"))),
        }
    }
}

/// Finds out why an object does not open of which only ranges were read: it is for others, or its age header was changed, which
/// nothing but the hash over all of it tells.
pub(crate) async fn why_shut(
    archive: &Archive,
    name: &str,
    (kind, digest): (Kind, Option<Digest>),
    fault: Fault,
) -> Result<Fault, ArchiveError> {
    if !archive.home().vouches() || !matches!(fault.code, Code::NoKey | Code::Age) {
        return Ok(fault);
    }
    let Some(object) = archive.store.get(name, LARGEST).await? else {
        return Ok(Fault::new(Code::Missing, "it is not there"));
    };
    let changed = move || match digest {
        Some(digest) if digest != Digest::of(&object) => Some(Code::Name),
        _ => decode::was_changed(&object, kind).then_some(Code::BodyHash),
    };
    let changed = archive.cpu.run(changed).await?;
    Ok(changed.map_or(fault, |code| Fault::new(code, "bytes were changed")))
}

/// Reads the ends of segments in order, and that each follows the one before as far as ends tell. A damaged one is an
/// error in its place; whether the one after it follows is then not known.
pub(crate) fn ends(
    archive: &Archive,
    slots: RangeInclusive<u64>,
) -> impl Stream<Item = Result<(SegmentSummary, ResumeMap), ArchiveError>> + Send + '_ {
    let first = (*slots.start() == 1).then(Before::first);
    stream::iter(slots).map(move |slot| end(archive, slot)).buffered(TAILS_AT_ONCE).scan(first, |before, end| {
        let checked = end.and_then(|(summary, resume)| {
            let followed = before.as_ref().map_or(Ok(()), |before| before.check(&summary));
            followed.map_err(|fault| damaged(summary.segment, fault).with_summary(&summary))?;
            Ok((summary, resume))
        });
        *before = checked.as_ref().ok().map(|(summary, _)| Before::of(summary, None));
        futures::future::ready(Some(checked))
    })
}

/// Finds the first of some slots whose last record is `seq` or later; the one after them if there is none.
pub(crate) async fn slot_of_in(archive: &Archive, seq: Seq, slots: RangeInclusive<u64>) -> Result<u64, ArchiveError> {
    if seq == Seq(u64::MAX) {
        return Ok(slots.end() + 1);
    }
    first_slot_in(archive, slots, |summary| summary.seqs.last >= seq).await
}

/// Finds the first slot that passes a test which all slots after it pass too; `newest` + 1 if there is none. Of segments
/// whose end is damaged nothing is known: those between one that passes and one that does not count as passing.
pub(crate) async fn first_slot(
    archive: &Archive,
    newest: u64,
    test: impl Fn(&SegmentSummary) -> bool,
) -> Result<u64, ArchiveError> {
    first_slot_in(archive, 1..=newest, test).await
}

/// As [`first_slot`], among some slots; the one after them if there is none.
pub(crate) async fn first_slot_in(
    archive: &Archive,
    slots: RangeInclusive<u64>,
    test: impl Fn(&SegmentSummary) -> bool,
) -> Result<u64, ArchiveError> {
    let (mut low, mut high) = (*slots.start(), slots.end() + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut known = middle;
        let found = loop {
            if known == high {
                break None;
            }
            match summary(archive, known).await? {
                Some(found) => break Some(found),
                None => known += 1,
            }
        };
        if found.as_ref().is_none_or(&test) { high = middle } else { low = known + 1 }
    }
    Ok(low)
}
