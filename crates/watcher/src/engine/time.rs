//! The order of records: `seq`, strictly increasing `t`, the era, and whether the clock can be trusted.
//!
//! Does not: read a clock.

use std::time::Duration;

use vmrewind_model::{Change, Era, Record, Seq, Timestamp};

/// Observed times may not be further from the API server's clock than this, ahead or behind.
pub const MAX_APART: Duration = Duration::from_secs(60);

/// If two inputs lie further apart, the process stood still or the clock was set: no time is trusted until the
/// API server's clock has been seen again. Ticks come every second at least.
pub(super) const MAX_STEP: Duration = Duration::from_secs(60);

/// If two inputs lie further apart, watches may have delivered what happened a while ago: it is not known when.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The precision of times.
pub(super) const MICROSECOND: Duration = Duration::from_micros(1);

/// How the time of an input follows on that of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once.
    Steady,
    /// After a pause: what is received now may have happened in it.
    Paused,
    /// From now on times are not trusted.
    Distrusted,
}

/// Gives records their place.
#[derive(Clone, Debug)]
pub(super) struct Order {
    last_seq: Seq,
    last_t: Option<Timestamp>,
    pub(super) era: Era,
    last_now: Option<Timestamp>,
    last_wall: Option<Timestamp>,
    /// What the API server's clock said last, and when that was heard.
    server: Option<(Timestamp, Timestamp)>,
    /// Why times cannot be trusted.
    trouble: Option<String>,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            last_seq: Seq(0),
            last_t: None,
            era: Era(1),
            last_now: None,
            last_wall: None,
            server: None,
            trouble: None,
        }
    }

    /// Goes on after a record of the archive.
    pub(super) fn replay(&mut self, record: &Record) {
        self.last_seq = self.last_seq.max(record.seq);
        self.last_t = self.last_t.max(Some(record.t));
        self.era = self.era.max(record.era);
    }

    pub(super) fn replay_behind(&mut self, seq: Seq) {
        self.last_seq = self.last_seq.max(seq);
    }

    pub(super) fn replay_until(&mut self, t: Timestamp) {
        self.last_t = self.last_t.max(Some(t));
    }

    /// Gives the next place to a change. `t` is never at or before that of the record before it.
    pub(super) fn place(&mut self, change: Change, lo: Option<Timestamp>, now: Timestamp) -> Record {
        let t = self.next_t(now);
        self.last_seq = self.last_seq.next();
        self.last_t = Some(t);
        Record { seq: self.last_seq, t, lo: lo.filter(|lo| *lo < t), era: self.era, change }
    }

    pub(super) fn next_t(&self, now: Timestamp) -> Timestamp {
        self.last_t.map_or(now, |last| now.max(last.plus(MICROSECOND)))
    }

    /// The instant `at` in the time of records, which runs ahead of the wall clock while that is behind the newest
    /// record. What arrived at `at` proves nothing of what arrived later, however late it is looked at.
    pub(super) fn present(&self, at: Timestamp, wall: Timestamp) -> Timestamp {
        self.last_t.map_or(at, |last| at.plus(last.since(wall)))
    }

    pub(super) fn last_t(&self) -> Option<Timestamp> {
        self.last_t
    }

    pub(super) fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Looks at the time of an input: `now` only ever passes, `wall` may be set.
    pub(super) fn look(&mut self, now: Timestamp, wall: Timestamp) -> Pace {
        let pause = self.last_now.map_or(Duration::ZERO, |last| now.since(last));
        let jump = self.last_wall.map_or(Duration::ZERO, |last| wall.since(last));
        let apart = self.server.map_or(Duration::ZERO, |(date, heard)| apart(wall, date.plus(now.since(heard))));
        let before = self.last_wall.replace(wall);
        self.last_now = self.last_now.max(Some(now));
        let fresh = self.trouble.is_none();
        if fresh && before.is_some_and(|before| wall < before) {
            // The clock was set back. Proof may have been claimed up to the last look, so that records go on after it.
            self.last_t = self.last_t.max(before);
        }
        if fresh && (pause > MAX_STEP || jump > MAX_STEP || apart > MAX_APART) {
            self.trouble =
                Some("the clock jumped or the process stood still; waiting for the API server's time".into());
            return Pace::Distrusted;
        }
        if pause > MAX_PAUSE { Pace::Paused } else { Pace::Steady }
    }

    /// Compares with the API server's clock; true if from now on times are not trusted.
    pub(super) fn compare(&mut self, date: Timestamp, now: Timestamp, wall: Timestamp) -> bool {
        self.server = Some((date, now));
        let (ahead, behind) = (self.next_t(wall).since(date), date.since(wall));
        let whose = if wall.since(date) > MAX_APART { "this machine's clock" } else { "the newest record's time" };
        let trouble = if ahead > MAX_APART {
            Some(format!("{whose} is {} s ahead of the API server's", ahead.as_secs()))
        } else if behind > MAX_APART {
            Some(format!("this machine's clock is {} s behind the API server's", behind.as_secs()))
        } else {
            None
        };
        let fresh = self.trouble.is_none() && trouble.is_some();
        self.trouble = trouble;
        fresh
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

/// How far two instants lie apart.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}
