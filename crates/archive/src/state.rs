//! State at T: a function of the archive and T.
//!
//! Does not: decide whether an answer is good enough; it lists what is uncertain and the caller decides.

mod fold;
pub(crate) mod holes;
pub(crate) mod joins;
mod replay;
mod replayed;
mod start;

use std::collections::BTreeMap;

use vmrewind_model::{Gap, ObjectKey, Record, RecordKey, ResumeEntry, Seq, Timestamp};

use crate::Damage;
pub(crate) use replay::at;

/// Which moment is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The end of the archive.
    Latest,
    /// An instant.
    Time(Timestamp),
    /// Just after a record.
    Seq(Seq),
}

/// The world at one moment, as far as the archive knows it.
#[derive(Clone, Debug)]
pub struct State {
    /// The last record that counts.
    pub seq: Seq,
    /// The instant: as asked for, or that of the record `seq`.
    pub t: Timestamp,
    /// What was there, and what was known to be absent. What was deleted or is no longer observed is not in it.
    pub objects: BTreeMap<ObjectKey, Entry>,
    /// What is known of each resource, as of now.
    pub proofs: Vec<Proof>,
    /// Changes that may have happened before `t` or after it.
    pub late: Vec<Late>,
    /// Gaps that `t` lies in.
    pub gaps: Vec<GapSpan>,
    /// Every segment that was seen to be damaged, in order. What was not read was not seen: of what is later than `t` only the
    /// ends are read, and what is said there to matter.
    pub damage: Vec<Damage>,
}

impl State {
    /// Returns the damage because of which the state may lack changes: objects without a record after it may be older than
    /// they were, missing, or gone. Without what the watcher accounts for, of which gaps tell.
    pub fn doubtful(&self) -> impl Iterator<Item = &Damage> {
        self.damage.iter().filter(|damage| !damage.accounted && damage.touches(self.t))
    }
}

/// One object of a [`State`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// The record that set it.
    pub record: Record,
    /// Whether it is there.
    pub presence: Presence,
}

/// Whether an object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It exists in the recorded state.
    Present,
    /// It was looked for and does not exist.
    Absent,
    /// It exists in a state that is not recorded on purpose.
    Withheld,
}

/// What the archive proves of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The newest entry that the archive holds of it.
    pub entry: ResumeEntry,
    /// The first instant for which it was proven; nothing before is. None if nothing ever was.
    pub since: Option<Timestamp>,
    /// True if the newest complete resume map still holds it: it is still captured.
    pub current: bool,
}

impl Proof {
    /// Tells whether the resource is proven at `t`, gaps apart.
    #[must_use]
    pub fn covers(&self, t: Timestamp) -> bool {
        self.since.is_some_and(|since| since <= t) && self.entry.proven_at.is_some_and(|until| t <= until)
    }
}

/// A change known to lie in (`lo`, `t`], with `lo` < T < `t`: it may have happened before T.
#[derive(Clone, Debug)]
pub struct Late {
    /// Which object.
    pub key: RecordKey,
    /// It happened after this instant.
    pub lo: Timestamp,
    /// It happened at this instant or before.
    pub t: Timestamp,
    /// What happened.
    pub record: Record,
}

/// A gap, with the records that opened and closed it put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapSpan {
    /// The gap; `to` is none while it is open.
    pub gap: Gap,
    /// The record that opened it.
    pub opened: Seq,
    /// The record that closed it.
    pub closed: Option<Seq>,
}

impl GapSpan {
    /// Tells whether `t` lies in it.
    #[must_use]
    pub fn covers(&self, t: Timestamp) -> bool {
        self.gap.from < t && self.gap.to.is_none_or(|to| t < to)
    }
}

/// Hears how a long read goes on.
pub trait Progress: Sync {
    /// `done` of `total` segments were read.
    fn segments(&self, done: u64, total: u64);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn segments(&self, _done: u64, _total: u64) {}
}
