//! The rule by which records become a state: per object, in the order in which they count.
//!
//! Does not: read segments, or hold more records than may still matter.

use std::collections::BTreeMap;

use vmrewind_model::{ObjectKey, Op, Record, Seq};

use super::{Entry, Presence};
use crate::{
    ArchiveError,
    format::{Lines, line::Line},
};

/// Where a record stands in the order that counts: from when on it counts, then its own seq.
type Place = (Seq, Seq);

/// Collects records in any order that has each before those that follow it in the log.
#[derive(Debug, Default)]
pub(super) struct Fold {
    objects: BTreeMap<ObjectKey, Candidate>,
}

/// What may become the state of one object.
#[derive(Debug, Default)]
struct Candidate {
    /// The record that sets the state, the latest in the order that counts. All before it are overruled.
    set: Option<Set>,
    /// Where deletions and ends of observation after it stand, and of which uid they are.
    ends: Vec<(Place, String)>,
}

#[derive(Debug)]
struct Set {
    place: Place,
    uid: String,
    presence: Presence,
    record: Held,
}

/// A record, or the line that it is made of if it still matters after the segment was read.
#[derive(Debug)]
enum Held {
    Line(usize),
    Record(Box<Record>),
}

impl Fold {
    /// Adds the lines that pass `test`.
    ///
    /// # Errors
    /// If an object that is needed has no resource version.
    pub(super) fn add(&mut self, lines: Lines<'_>, test: impl Fn(&Line) -> bool) -> Result<(), ArchiveError> {
        let mut touched = Vec::new();
        for (n, line) in lines.lines.iter().enumerate().filter(|(_, line)| test(line)) {
            let (Some(op), Some(key)) = (line.head.op, &line.head.key) else { continue };
            let place = (line.head.counts_from(), line.head.seq);
            if !self.objects.contains_key(&key.object) {
                self.objects.insert(key.object.clone(), Candidate::default());
            }
            let candidate = self.objects.get_mut(&key.object).expect("it was just made sure of");
            let presence = match op {
                Op::Added | Op::Modified | Op::Seen => Presence::Present,
                Op::Absent => Presence::Absent,
                Op::Withheld => Presence::Withheld,
                Op::Deleted | Op::Unobserved => {
                    candidate.end(place, &key.uid);
                    continue;
                }
                Op::Gap | Op::Heartbeat => continue,
            };
            if candidate.set(Set { place, uid: key.uid.clone(), presence, record: Held::Line(n) }) {
                touched.push(&key.object);
            }
        }
        for key in touched {
            let Some(set) = self.objects.get_mut(key).and_then(|candidate| candidate.set.as_mut()) else { continue };
            let Held::Line(n) = set.record else { continue };
            if let Some(record) = lines.record(&lines.lines[n])? {
                set.record = Held::Record(Box::new(record));
            }
        }
        Ok(())
    }

    /// Returns what is there in the end.
    pub(super) fn finish(self) -> BTreeMap<ObjectKey, Entry> {
        let alive = self.objects.into_iter().filter_map(|(key, candidate)| {
            let Candidate { set: Some(set), ends } = candidate else { return None };
            let ended = ends.iter().any(|(place, uid)| *place > set.place && *uid == set.uid);
            match set.record {
                Held::Record(record) if !ended => Some((key, Entry { record: *record, presence: set.presence })),
                _ => None,
            }
        });
        alive.collect()
    }
}

impl Candidate {
    /// Takes a record that sets the state; false if one that counts later is known.
    fn set(&mut self, set: Set) -> bool {
        if self.set.as_ref().is_some_and(|later| later.place > set.place) {
            return false;
        }
        self.ends.retain(|(place, _)| *place > set.place);
        self.set = Some(set);
        true
    }

    /// Takes a record that ends the state of one uid.
    fn end(&mut self, place: Place, uid: &str) {
        if self.set.as_ref().is_none_or(|set| set.place < place) {
            self.ends.push((place, uid.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
