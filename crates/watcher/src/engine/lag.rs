//! Whether what arrives is old already: versions of all resources are counted by one storage, so that a version that
//! was told of elsewhere a while ago dates everything below it.
//!
//! ```text
//! told elsewhere   ---- 500 -------------- 510 ---------->
//! a running watch  -- 480 -- (stalls) ------------- 490     490 is older than 500: it is late
//! ```
//!
//! Does not: see that all watches stall at once while nothing is asked for.

use std::{collections::VecDeque, time::Duration};

use vmrewind_model::{Rv, Timestamp};

/// What arrives this long after a version above its own was told of is late. Watches of a busy server lie a little apart.
const LATE: Duration = Duration::from_secs(3);
/// Versions are noted this far apart.
const APART: Duration = Duration::from_millis(100);
/// As long as a watch may stall before it is given up, and a little more.
const KEEP: Duration = Duration::from_secs(120);
/// What was held up is delivered within this time after the first answer.
const BACKLOG: Duration = Duration::from_secs(1);

/// Which versions were told of, and since when.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// Ascending in both.
    marks: VecDeque<(Timestamp, Rv)>,
    newest: Option<(Timestamp, Rv)>,
    /// The answers of the last seconds: when each was asked for, and when it came.
    answers: VecDeque<(Timestamp, Timestamp)>,
}

impl Lag {
    /// A version was told of.
    pub(super) fn told(&mut self, rv: Rv, now: Timestamp) {
        if self.newest.is_some_and(|(_, newest)| newest >= rv) {
            return;
        }
        self.newest = Some((now, rv));
        if self.marks.back().is_none_or(|(last, _)| now.since(*last) >= APART) {
            self.marks.push_back((now, rv));
        }
        while self.marks.front().is_some_and(|(first, _)| now.since(*first) > KEEP) {
            self.marks.pop_front();
        }
    }

    /// An answer came that was asked for at `since`.
    pub(super) fn answered(&mut self, since: Timestamp, now: Timestamp) {
        self.answers.push_back((since, now));
        while self.answers.front().is_some_and(|(_, came)| now.since(*came) > LATE + BACKLOG) {
            self.answers.pop_front();
        }
    }

    /// Versions begin again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// For how long a version above `rv` has been known; zero if none is.
    pub(super) fn since_passed(&self, rv: Rv, now: Timestamp) -> Duration {
        let first = self.marks.partition_point(|(_, told)| *told <= rv);
        let mark = self.marks.get(first).or(self.newest.as_ref()).filter(|(_, told)| *told > rv);
        mark.map_or(Duration::ZERO, |(told, _)| now.since(*told))
    }

    /// Whether an object's version that arrives at `now` is old. `waiting`: since when answers are awaited.
    pub(super) fn is_late(&self, rv: Rv, waiting: impl Iterator<Item = Timestamp>, now: Timestamp) -> bool {
        self.since_passed(Rv(rv.0.saturating_sub(1)), now) >= LATE || self.is_held_up(waiting, now)
    }

    /// Whether nothing came through for a while: an answer is overdue, or has just come, and no other was prompt before.
    fn is_held_up(&self, mut waiting: impl Iterator<Item = Timestamp>, now: Timestamp) -> bool {
        let overdue = |since: Timestamp, until: Timestamp| until.since(since) >= LATE;
        let mut answers = self.answers.iter().filter(|(_, came)| now.since(*came) < LATE + BACKLOG);
        let just_came = |(since, came): &(Timestamp, Timestamp)| now.since(*came) < BACKLOG && overdue(*since, *came);
        let prompt = |(since, came): &(Timestamp, Timestamp)| now.since(*came) >= BACKLOG && !overdue(*since, *came);
        (waiting.any(|since| overdue(since, now)) || answers.clone().any(just_came)) && !answers.any(prompt)
    }

    /// How old what a bookmark proves is: nothing is known of when it was sent but that.
    pub(super) fn age_of_bookmark(&self, rv: Rv, now: Timestamp) -> Duration {
        let age = self.since_passed(rv, now);
        if age < LATE { Duration::ZERO } else { age }
    }

    /// The newest version that was told of.
    pub(super) fn newest(&self) -> Option<Rv> {
        self.newest.map(|(_, rv)| rv)
    }

    /// Whether an answer with the newest version `rv`, asked for at `since`, can come from the storage that the others
    /// come from.
    pub(super) fn is_of_one_storage(&self, rv: Rv, since: Timestamp) -> bool {
        self.marks.iter().chain(&self.newest).all(|(told, of)| *told >= since || *of <= rv)
    }
}
