//! What arrives together is put into the order of its versions.
//!
//! The streams of an API server bring changes of different resources, and a change can arrive before another one that
//! happened before it. All resources share one sequence of versions, so that a short wait shows it.
//!
//! ```text
//! arrives:   vm 12   secret 11   vm 14   ...   bookmark       released after the wait:   secret 11, vm 12, vm 14
//! ```
//!
//! Does not: reorder within a stream, drop anything, read a clock, or know what the items are.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use vmrewind_model::Timestamp;

/// What arrives within this time is put into order. Streams of one server differ by a few milliseconds.
pub const SETTLE: Duration = Duration::from_millis(50);
/// Under load, what waits is released early rather than that more than so many bytes wait.
pub const MOST: usize = 4 << 20;

/// Where an item belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By this version.
    Version(u64),
    /// Right behind what was there before of its stream.
    Behind,
    /// Behind everything that arrived before it, because its version is not known.
    Last,
}

#[derive(Debug)]
struct Held<T> {
    item: T,
    rank: u64,
    arrived: Timestamp,
    due: Timestamp,
    bytes: usize,
    /// The order of arrival.
    order: u64,
}

/// Items that wait, stream by stream.
#[derive(Debug)]
pub struct Arrivals<S, T> {
    settle: Duration,
    most: usize,
    streams: BTreeMap<S, VecDeque<Held<T>>>,
    bytes: usize,
    order: u64,
}

impl<S: Ord + Copy, T> Arrivals<S, T> {
    /// Holds items for `settle`, and not more than `most` bytes of them.
    #[must_use]
    pub fn new(settle: Duration, most: usize) -> Self {
        Self { settle, most, streams: BTreeMap::new(), bytes: 0, order: 0 }
    }

    /// Takes an item of a stream, which arrived at `arrived` by the wall clock. `now` only ever passes.
    pub fn push(&mut self, stream: S, place: Place, item: T, bytes: usize, (now, arrived): (Timestamp, Timestamp)) {
        let before = self.streams.get(&stream).and_then(VecDeque::back).map(|held| (held.rank, held.due));
        let (rank, due) = match (place, before) {
            // Within a stream versions grow; should they not, the stream's own order counts.
            (Place::Version(rank), before) => (rank.max(before.map_or(0, |(rank, _)| rank)), now.plus(self.settle)),
            (Place::Behind, Some(before)) => before,
            (Place::Behind, None) => (0, now),
            (Place::Last, _) => {
                self.streams.values_mut().flatten().for_each(|held| held.due = held.due.min(now));
                (self.streams.values().flatten().map(|held| held.rank).max().unwrap_or(0), now)
            }
        };
        self.order += 1;
        self.bytes += bytes;
        let held = Held { item, rank, arrived, due, bytes, order: self.order };
        self.streams.entry(stream).or_default().push_back(held);
    }

    /// Returns what has waited long enough, and what belongs before it, each with the time it may be said to have
    /// arrived at: that of the first item that arrived and belongs behind it, if that was earlier than its own.
    pub fn release(&mut self, now: Timestamp) -> Vec<(T, Timestamp)> {
        self.take(|this| {
            this.bytes > this.most
                || this.streams.values().any(|stream| stream.front().is_some_and(|held| held.due <= now))
        })
    }

    /// Returns everything, in order.
    pub fn flush(&mut self) -> Vec<(T, Timestamp)> {
        self.take(|this| !this.streams.is_empty())
    }

    /// When something will have waited long enough.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.streams.values().filter_map(|stream| stream.front()).map(|held| held.due).min()
    }

    fn take(&mut self, more: impl Fn(&Self) -> bool) -> Vec<(T, Timestamp)> {
        let mut taken = Vec::new();
        while more(self) {
            let heads = self.streams.iter().filter_map(|(stream, held)| Some((*stream, held.front()?)));
            let first = heads.min_by_key(|(_, held)| (held.rank, held.order)).map(|(stream, _)| stream);
            let Some(stream) = first else { break };
            let Some(held) = self.streams.get_mut(&stream).and_then(VecDeque::pop_front) else { break };
            if self.streams.get(&stream).is_some_and(VecDeque::is_empty) {
                self.streams.remove(&stream);
            }
            self.bytes -= held.bytes;
            taken.push((held.item, held.arrived));
        }
        let mut earliest = self.streams.values().filter_map(|stream| stream.front()).map(|held| held.arrived).min();
        for (_, arrived) in taken.iter_mut().rev() {
            *arrived = earliest.map_or(*arrived, |earliest| earliest.min(*arrived));
            earliest = Some(*arrived);
        }
        taken
    }
}

#[cfg(test)]
mod tests;
