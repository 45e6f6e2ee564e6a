//! Reads segments: whole and verified, or their ends only.
//!
//! Does not: fold them into anything.

use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use vmrewind_model::Seq;

use crate::{
    Archive, ArchiveError, Damage, ResumeMap, Segment, SegmentSummary,
    format::{
        Code,
        decode::{self, Peek},
        fault::Fault,
        link::Before,
    },
    paths,
    store::LARGEST,
};

/// How much of the end of a segment is read at once: footer and a resume map of usual size.
const TAIL: u64 = 64 * 1024;

/// How many ends of segments are asked for at once.
const TAILS_AT_ONCE: usize = 16;

/// Says whose bytes are damaged.
pub(crate) fn damaged(slot: u64, fault: Fault) -> Damage {
    fault.in_object(paths::segment(slot), Some(slot))
}

fn missing(slot: u64) -> ArchiveError {
    damaged(slot, Fault::new(Code::Missing, "it is not there")).into()
}

async fn fetch(archive: &Archive, slot: u64) -> Result<Bytes, ArchiveError> {
    archive.store.get(&paths::segment(slot), LARGEST).await?.ok_or_else(|| missing(slot))
}

async fn decode(archive: &Archive, slot: u64, bytes: Bytes) -> Result<Segment, ArchiveError> {
    let id = archive.identity.archive;
    let decoded = archive.cpu.run(move || decode::decode(&bytes, id, slot)).await?;
    decoded.map_err(|fault| damaged(slot, fault).into())
}

/// Reads and verifies one segment by itself.
pub(crate) async fn segment(archive: &Archive, slot: u64) -> Result<Segment, ArchiveError> {
    let bytes = fetch(archive, slot).await?;
    decode(archive, slot, bytes).await
}

/// Reads and verifies segments in order, and that each follows the one before; the next one is fetched meanwhile.
/// A damaged segment is an error in its place; whether the one after it follows is then not known.
pub(crate) fn chain(
    archive: Archive,
    slots: RangeInclusive<u64>,
) -> impl Stream<Item = Result<Segment, ArchiveError>> + Send {
    let before = (*slots.start() == 1).then(Before::first);
    let fetcher = archive.clone();
    let fetched = stream::iter(slots)
        .map(move |slot| {
            let archive = fetcher.clone();
            async move { (slot, fetch(&archive, slot).await) }
        })
        .buffered(2);
    stream::unfold((Box::pin(fetched), archive, before), |(mut fetched, archive, before)| async move {
        let (slot, bytes) = fetched.next().await?;
        let segment = match bytes {
            Ok(bytes) => decode(&archive, slot, bytes).await,
            Err(error) => Err(error),
        };
        let segment = segment.and_then(|segment| {
            let followed = before.as_ref().map_or(Ok(()), |before| before.check(&segment.summary));
            followed.map(|()| segment).map_err(|fault| damaged(slot, fault).into())
        });
        let before = segment.as_ref().ok().map(|segment| Before::of(&segment.summary, Some(segment.digest)));
        Some((segment, (fetched, archive, before)))
    })
}

/// Reads the end of a segment: footer and resume map, each with its own check.
pub(crate) async fn end(archive: &Archive, slot: u64) -> Result<(SegmentSummary, ResumeMap), ArchiveError> {
    let name = paths::segment(slot);
    let Some(size) = archive.store.size(&name).await? else { return Err(missing(slot)) };
    let mut length = TAIL;
    loop {
        let start = size.saturating_sub(length);
        let tail = if size == 0 { Bytes::new() } else { archive.store.range(&name, start..size).await? };
        match decode::peek(&tail, size, archive.identity.archive, slot).map_err(|fault| damaged(slot, fault))? {
            Peek::Done(end) => return Ok(*end),
            Peek::Longer(longer) if longer > length => length = longer,
            Peek::Longer(_) => return Err(ArchiveError::Bug(format!("the end of segment {slot} has no beginning"))),
        }
    }
}

/// Reads the ends of segments in order, and that each follows the one before as far as ends tell.
pub(crate) fn ends(
    archive: &Archive,
    slots: RangeInclusive<u64>,
) -> impl Stream<Item = Result<(SegmentSummary, ResumeMap), ArchiveError>> + Send + '_ {
    let first = (*slots.start() == 1).then(Before::first);
    stream::iter(slots).map(move |slot| end(archive, slot)).buffered(TAILS_AT_ONCE).scan(first, |before, end| {
        let checked = end.and_then(|(summary, resume)| {
            let followed = before.as_ref().map_or(Ok(()), |before| before.check(&summary));
            *before = Some(Before::of(&summary, None));
            followed.map_err(|fault| damaged(summary.segment, fault))?;
            Ok((summary, resume))
        });
        futures::future::ready(Some(checked))
    })
}

/// Finds the first slot whose last record is `seq` or later; `newest` + 1 if there is none.
pub(crate) async fn slot_of(archive: &Archive, seq: Seq, newest: u64) -> Result<u64, ArchiveError> {
    if seq == Seq(u64::MAX) {
        return Ok(newest + 1);
    }
    first_slot(archive, newest, |summary| summary.seqs.last >= seq).await
}

/// Finds the first slot that passes a test which all slots after it pass too; `newest` + 1 if there is none.
pub(crate) async fn first_slot(
    archive: &Archive,
    newest: u64,
    test: impl Fn(&SegmentSummary) -> bool,
) -> Result<u64, ArchiveError> {
    let (mut low, mut high) = (1, newest + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if test(&end(archive, middle).await?.0) { high = middle } else { low = middle + 1 }
    }
    Ok(low)
}
