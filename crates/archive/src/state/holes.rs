//! Slots that lie in no window, and slots that were passed over as damaged.
//!
//! Does not: read records.

use std::ops::RangeInclusive;

use crate::{
    Archive, ArchiveError, Part,
    format::{bundle::Point, limits},
    manifest::Rolled,
    read,
};

/// Returns the slots among some that lie in no window; none if they are more than anybody looks for.
pub(crate) fn uncovered(windows: &[Rolled], slots: RangeInclusive<u64>) -> Option<Vec<u64>> {
    let mut next = *slots.start();
    let mut holes = Vec::new();
    for rolled in windows {
        let [first, last] = rolled.window.slots;
        holes.push(next..first.min(slots.end() + 1));
        next = next.max(last + 1);
    }
    holes.push(next..slots.end() + 1);
    let all = holes.iter().map(|hole| hole.end.saturating_sub(hole.start)).fold(0, u64::saturating_add);
    (all <= limits::WITHOUT).then(|| holes.into_iter().flatten().collect())
}

/// Sorts ranges of slots and joins those that overlap or touch, up to the slot `last`.
pub(crate) fn merged(mut ranges: Vec<(u64, u64)>, last: u64) -> Vec<[u64; 2]> {
    ranges.sort_unstable();
    let mut all: Vec<[u64; 2]> = Vec::new();
    for (from, to) in ranges.into_iter().map(|(from, to)| (from.max(1), to.min(last))).filter(|(from, to)| from <= to) {
        match all.last_mut() {
            Some(before) if from <= before[1] + 1 => before[1] = before[1].max(to),
            _ => all.push([from, to]),
        }
    }
    all
}

/// Returns the first slot up to `last` that lies in no window, has records and can be read: what is behind it was made without it.
pub(crate) async fn first_put_back(
    archive: &Archive,
    windows: &[Rolled],
    last: u64,
) -> Result<Option<u64>, ArchiveError> {
    // Of more than anybody looks for, the first might be one.
    let Some(holes) = uncovered(windows, 1..=last) else { return Ok(Some(1)) };
    for slot in holes {
        if read::summary(archive, slot).await?.is_some_and(|own| own.records > 0) {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

/// Tells whether a slot can be read, whole, that a checkpoint was made without.
pub(crate) async fn can_be_read(archive: &Archive, point: &Point) -> Result<bool, ArchiveError> {
    for slot in point.without.iter().flat_map(|[first, last]| *first..=*last) {
        if let Part::Whole(_) = read::part(archive, slot).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
