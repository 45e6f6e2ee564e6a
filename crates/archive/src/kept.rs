//! Which lines still matter for what comes later: `spec/ordering.md` 4.1 for one object, and what a checkpoint keeps of it and of
//! gaps (`spec/checkpoints.md`, section 1). Pure.
//!
//! Does not: read lines, or know where they stand.

use std::collections::BTreeMap;

use vmrewind_model::{Gap, GapCause, Op, Seq, Timestamp};

use crate::{format::line::LineHead, state::Presence};

/// Where a line stands in the order that counts: from when on it counts, then its own seq.
pub(crate) type Place = (Seq, Seq);

/// What may become the state of one object; `S` is held of the line that sets it, `E` of each that may end it.
#[derive(Debug)]
pub(crate) struct Candidate<S, E> {
    /// The line that sets the state, the latest in the order that counts. All before it are overruled.
    pub(crate) set: Option<Set<S>>,
    /// Deletions and ends of observation behind it.
    ends: Vec<End<E>>,
}

#[derive(Debug)]
pub(crate) struct Set<S> {
    place: Place,
    uid: String,
    pub(crate) presence: Presence,
    pub(crate) held: S,
}

#[derive(Debug)]
struct End<E> {
    place: Place,
    uid: String,
    held: E,
}

impl<S, E> Default for Candidate<S, E> {
    fn default() -> Self {
        Self { set: None, ends: Vec::new() }
    }
}

impl<S, E> Candidate<S, E> {
    /// Takes the next line of the object; lines come in any order. True if it sets the state, as far as is known.
    pub(crate) fn take(&mut self, head: &LineHead, set: impl FnOnce() -> S, end: impl FnOnce() -> E) -> bool {
        let (Some(op), Some(key)) = (head.op, &head.key) else { return false };
        let (place, uid) = ((head.counts_from(), head.seq), &key.uid);
        let presence = match op {
            Op::Added | Op::Modified | Op::Seen => Presence::Present,
            Op::Absent => Presence::Absent,
            Op::Withheld => Presence::Withheld,
            Op::Deleted | Op::Unobserved => {
                if self.set.as_ref().is_none_or(|set| set.place < place) {
                    self.ends.push(End { place, uid: uid.clone(), held: end() });
                }
                return false;
            }
            Op::Gap | Op::Heartbeat => return false,
        };
        if self.set.as_ref().is_some_and(|later| later.place > place) {
            return false;
        }
        self.ends.retain(|end| end.place > place);
        self.set = Some(Set { place, uid: uid.clone(), presence, held: set() });
        true
    }

    /// Tells whether the object is in the state that was set last.
    fn stands(&self) -> bool {
        self.set.as_ref().is_some_and(|set| !self.ends.iter().any(|end| end.place > set.place && end.uid == set.uid))
    }

    /// Returns the state that was set last, if it was not ended.
    pub(crate) fn standing(self) -> Option<Set<S>> {
        if self.stands() { self.set } else { None }
    }
}

impl<T> Candidate<T, T> {
    /// Returns what still matters if all that follows counts from `ends_from` or later.
    pub(crate) fn kept(&self, ends_from: Seq) -> impl Iterator<Item = &T> {
        let stands = self.stands();
        let set = self.set.iter().filter(move |set| stands || set.place.0 >= ends_from).map(|set| &set.held);
        set.chain(self.ends.iter().filter(move |end| end.place.0 >= ends_from).map(|end| &end.held))
    }
}

/// The lines of gaps, each with what is held of it.
#[derive(Debug)]
pub(crate) struct GapLines<T>(BTreeMap<Seq, Vec<(Seq, Gap, T)>>);

impl<T> Default for GapLines<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> GapLines<T> {
    /// Takes the next line, if it is of a gap; they come in any order.
    pub(crate) fn take(&mut self, head: &LineHead, held: impl FnOnce() -> T) {
        if let Some(gap) = &head.gap {
            let opened = gap.opened.unwrap_or(head.seq);
            self.0.entry(opened).or_default().push((head.seq, gap.clone(), held()));
        }
    }

    /// Returns what still matters behind `last`.
    pub(crate) fn kept(&self, last: Timestamp) -> impl Iterator<Item = &T> {
        let matters = move |lines: &&Vec<(Seq, Gap, T)>| {
            let newest = lines.iter().max_by_key(|(seq, ..)| *seq);
            newest.is_some_and(|(_, gap, _)| gap.to.is_none_or(|to| to > last) || gap.cause == GapCause::Damage)
        };
        self.0.values().filter(matters).flatten().map(|(.., held)| held)
    }
}

#[cfg(test)]
mod tests;
