//! Which windows are due, from what is known without reading: pure.
//!
//! Does not: read or write anything.

use std::ops::Range;

use vmrewind_model::Timestamp;

use super::HIGHEST;
use crate::{format::limits, manifest::Rolled};

/// How many windows are made into one at a time: each is read frame by frame, side by side.
const FAN_IN: usize = 24;

/// Returns the number of the aligned interval of a level that an instant lies in.
pub(super) fn interval(level: u16, t: Timestamp) -> i64 {
    const SECOND: i64 = 1_000_000;
    let length = match level {
        1 => 30 * SECOND,
        2 => 5 * 60 * SECOND,
        3 => 60 * 60 * SECOND,
        _ => 24 * 60 * 60 * SECOND,
    };
    t.micros().div_euclid(length)
}

/// Tells whether the interval of an instant is over, given the last instant of the log.
pub(super) fn is_due(level: u16, t: Timestamp, newest: Timestamp) -> bool {
    interval(level, t) < interval(level, newest)
}

/// Returns the windows at whose ends a checkpoint is due: the first one, and the last one, should that one not do. `level` is the
/// lowest of windows that are considered, `least` is the history in bytes that calls for one before a day is over.
pub(super) fn checkpoints(windows: &[Rolled], checkpoints: &[Rolled], (level, least): (u16, u64)) -> Vec<usize> {
    let bytes = |rolled: &Rolled| rolled.parts.iter().map(|part| part.size).sum::<u64>();
    let (slot, size) = checkpoints.last().map_or((0, 0), |last| (last.window.slots[1], bytes(last)));
    let mut since = 0;
    let behind = windows.iter().enumerate().filter(|(_, rolled)| rolled.window.slots[1] > slot);
    let due = behind.filter(|(_, rolled)| {
        since += bytes(rolled);
        rolled.window.level >= level && (since >= size.max(least) || rolled.window.level == HIGHEST)
    });
    let due: Vec<usize> = due.map(|(n, _)| n).collect();
    let mut ends: Vec<usize> = due.first().into_iter().chain(due.last()).copied().collect();
    ends.dedup();
    ends
}

/// Leaves checkpoints out until they are at most so many, and take at most so many bytes of a manifest: again and again the one whose
/// neighbours are closest to each other in time. The newest stays.
pub(super) fn thin(checkpoints: &mut Vec<Rolled>, most: usize, text: usize) {
    let size = |rolled: &Rolled| {
        let without = rolled.point.as_ref().map_or(0, |point| point.without.len());
        400 + 110 * rolled.parts.len() + 40 * without
    };
    let mut total: usize = checkpoints.iter().map(size).sum();
    while checkpoints.len() > most.max(1) || total > text && checkpoints.len() > 1 {
        let t = |n: usize| checkpoints[n].window.times[1].micros();
        let spare = |n: &usize| if *n == 0 { t(1) - t(0) } else { t(n + 1) - t(n - 1) };
        let Some(n) = (0..checkpoints.len() - 1).min_by_key(spare) else { return };
        total -= size(&checkpoints.remove(n));
    }
}

/// Windows that are to become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    /// Which of the windows.
    pub(super) windows: Range<usize>,
    pub(super) level: u16,
}

/// Finds the first windows that can become a longer one, the shortest first: of at most as many records, and without those that
/// have to stay as they are.
pub(super) fn merge(
    windows: &[Rolled],
    newest: Timestamp,
    highest: u16,
    most: u64,
    barred: &dyn Fn(&Rolled) -> bool,
) -> Option<Merge> {
    let most = most.min(limits::WINDOW_RECORDS);
    let free = |before: &Rolled, next: &Rolled| !barred(before) && !barred(next);
    (2..=highest).find_map(|level| {
        let mut first = 0;
        while first < windows.len() {
            let mut records = windows[first].window.records();
            let last = (first + 1..windows.len().min(first + FAN_IN))
                .take_while(|&next| {
                    records = records.saturating_add(windows[next].window.records());
                    let (before, next) = (&windows[next - 1], &windows[next]);
                    free(before, next) && goes_on(before, next, level) && records <= most
                })
                .last();
            match last {
                Some(last) if is_due(level, windows[last].window.times[1], newest) && fits(&windows[first], level) => {
                    return Some(Merge { windows: first..last + 1, level });
                }
                _ => first += 1,
            }
        }
        None
    })
}

fn fits(rolled: &Rolled, level: u16) -> bool {
    rolled.window.level <= level
}

/// Tells whether a window and the one before it can lie in one window of this level.
fn goes_on(before: &Rolled, next: &Rolled, level: u16) -> bool {
    let (before_window, next_window) = (&before.window, &next.window);
    fits(before, level)
        && fits(next, level)
        && before_window.slots[1] + 1 == next_window.slots[0]
        && before_window.head == next_window.prev
        && interval(level, before_window.times[1]) == interval(level, next_window.times[1])
}

/// The slots up to `newest` that lie in no window, in order, each run with the number of the window before it.
pub(super) fn uncovered(windows: &[Rolled], newest: u64) -> Vec<(Option<usize>, Range<u64>)> {
    let mut runs = Vec::new();
    let mut next = 1;
    for (n, rolled) in windows.iter().enumerate() {
        let [first, last] = rolled.window.slots;
        if next < first {
            runs.push((n.checked_sub(1), next..first));
        }
        next = last + 1;
    }
    if next <= newest {
        runs.push((windows.len().checked_sub(1), next..newest + 1));
    }
    runs
}

#[cfg(test)]
mod tests;
