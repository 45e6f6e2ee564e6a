//! Which windows are due, from what is known without reading: pure.
//!
//! Does not: read or write anything.

use std::ops::Range;

use vmrewind_model::Timestamp;

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
