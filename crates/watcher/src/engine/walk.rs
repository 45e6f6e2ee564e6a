//! Walking back: the versions of an object between the one we know and the one a list shows.
//!
//! The API server answers "as it was at N" until etcd has compacted N, so each answer at N = version - 1 leads to
//! the version before it. An object that is gone (or was replaced) is searched for by halving first.
//!
//! Does not: send requests, or record anything.

use std::collections::{BTreeMap, BTreeSet};

use vmrewind_model::{Head, ObjectKey, RawObject, Rv, Timestamp};

use super::{
    io::{AsOf, Rejected, Ticket},
    objects::How,
    resource::Relist,
};

/// More requests than this for one object are not worth it: the rest becomes a gap.
const MAX_ASKS: u32 = 2_000;

/// The walks of a resource in flight at a time.
pub(super) const PARALLEL: usize = 16;

/// One version that was found.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) head: Head,
    pub(super) object: RawObject,
    pub(super) how: How,
}

#[derive(Debug)]
enum Aim {
    /// Ask for the state at this version, then at the one before what is found.
    Back(Rv),
    /// It existed at the first and did not at the second; `found` is the newest state in between.
    Search(Rv, Rv, Option<Box<(Head, RawObject)>>),
    Done,
}

/// The walk of one object.
#[derive(Debug)]
pub(super) struct Walker {
    pub(super) key: ObjectKey,
    /// The state at and before this version is known: it existed then, or not.
    floor: Rv,
    existed: bool,
    /// Newest first.
    versions: Vec<(Head, RawObject)>,
    aim: Aim,
    asks: u32,
    complete: bool,
}

impl Walker {
    /// The list shows this state.
    pub(super) fn present(head: Head, object: RawObject, floor: Rv, existed: bool) -> Self {
        let mut walker = Self {
            key: head.key.clone(),
            floor,
            existed,
            aim: Aim::Done,
            versions: Vec::new(),
            asks: 0,
            complete: true,
        };
        walker.found(head, object);
        walker
    }

    /// The list at `at` does not show the object, which existed at `floor`.
    pub(super) fn missing(key: ObjectKey, floor: Rv, at: Rv) -> Self {
        let aim = if at.0 > floor.0 + 1 { Aim::Search(floor, at, None) } else { Aim::Done };
        Self { key, floor, existed: true, versions: Vec::new(), aim, asks: 0, complete: true }
    }

    /// The next version to ask for; none when the walk is over.
    pub(super) fn ask(&mut self) -> Option<Rv> {
        if self.asks >= MAX_ASKS && !matches!(self.aim, Aim::Done) {
            self.give_up();
        }
        self.asks += 1;
        match &self.aim {
            Aim::Back(at) => Some(*at),
            Aim::Search(low, high, _) => Some(Rv(low.0 + (high.0 - low.0) / 2)),
            Aim::Done => None,
        }
    }

    /// Takes the answer to the last [`Self::ask`].
    pub(super) fn answer(&mut self, answer: AsOf) {
        let head = match &answer {
            AsOf::Found(object) => object.head().ok(),
            AsOf::NotThere | AsOf::Compacted => None,
        };
        match (std::mem::replace(&mut self.aim, Aim::Done), answer, head) {
            (Aim::Back(at), AsOf::Found(object), Some(head)) => {
                if head.rv > self.floor && head.rv <= at {
                    self.found(head, object);
                }
            }
            (Aim::Back(at), AsOf::NotThere, _) => {
                if self.existed {
                    self.search(self.floor, at, None);
                }
            }
            (Aim::Search(low, high, _), AsOf::Found(object), Some(head)) => {
                let middle = Rv(low.0 + (high.0 - low.0) / 2);
                self.search(middle, high, Some(Box::new((head, object))));
            }
            (Aim::Search(low, high, found), AsOf::NotThere, _) => {
                let middle = Rv(low.0 + (high.0 - low.0) / 2);
                self.search(low, middle, found);
            }
            (Aim::Done, _, _) => {}
            (Aim::Back(_) | Aim::Search(..), AsOf::Compacted | AsOf::Found(_), _) => self.give_up(),
        }
    }

    pub(super) fn give_up(&mut self) {
        self.aim = Aim::Done;
        self.complete = false;
    }

    fn found(&mut self, head: Head, object: RawObject) {
        let before = Rv(head.rv.0.saturating_sub(1));
        self.aim = if before > self.floor { Aim::Back(before) } else { Aim::Done };
        self.versions.push((head, object));
    }

    fn search(&mut self, low: Rv, high: Rv, found: Option<Box<(Head, RawObject)>>) {
        if high.0 > low.0 + 1 {
            self.aim = Aim::Search(low, high, found);
        } else if let Some(newest) = found.filter(|newest| newest.0.rv > self.floor) {
            let (head, object) = *newest;
            self.found(head, object);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.versions.iter().map(|(_, object)| object.bytes().len()).sum()
    }

    /// The versions found, oldest first, and whether none is missing.
    pub(super) fn finish(self) -> (Vec<Version>, bool) {
        let complete = self.complete;
        let first = if complete { How::Walked } else { How::Seen };
        let versions = self.versions.into_iter().rev().enumerate();
        let versions = versions.map(|(index, (head, object))| {
            let how = if index == 0 { first } else { How::Walked };
            Version { head, object, how }
        });
        (versions.collect(), complete)
    }
}

/// All walks of one list.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) why: Relist,
    pub(super) rv: Rv,
    pub(super) asked: Timestamp,
    pub(super) todo: Vec<Walker>,
    pub(super) active: BTreeMap<Ticket, Walker>,
    pub(super) done: Vec<Version>,
    pub(super) missing: Vec<ObjectKey>,
    /// Missing ones of which a GET is to tell whether they were deleted or only left the selector.
    pub(super) lookups: BTreeSet<ObjectKey>,
    /// Who was found by a lookup, by uid.
    pub(super) found: BTreeMap<ObjectKey, String>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) complete: bool,
    pub(super) bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(rv: u64, uid: &str) -> (Head, RawObject) {
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"s","namespace":"n","uid":"{uid}","resourceVersion":"{rv}"}}}}"#
        );
        let object = RawObject::from_server(text.as_bytes()).expect("canonical");
        (object.head().expect("an object"), object)
    }

    /// Answers from a list of (first version, uid) of states; an empty uid is "not there".
    fn run(mut walker: Walker, states: &[(u64, &str)], compacted: u64) -> (Vec<(u64, String)>, bool) {
        while let Some(at) = walker.ask() {
            let state = states.iter().rev().find(|(from, _)| *from <= at.0);
            walker.answer(match state {
                _ if at.0 < compacted => AsOf::Compacted,
                Some((rv, uid)) if !uid.is_empty() => AsOf::Found(object(*rv, uid).1),
                _ => AsOf::NotThere,
            });
        }
        let (versions, complete) = walker.finish();
        (versions.into_iter().map(|version| (version.head.rv.0, version.head.uid)).collect(), complete)
    }

    fn pairs(pairs: &[(u64, &str)]) -> Vec<(u64, String)> {
        pairs.iter().map(|(rv, uid)| (*rv, (*uid).to_owned())).collect()
    }

    #[test]
    fn finds_every_version_between_the_known_one_and_the_listed_one() {
        let (head, listed) = object(90, "u");
        let walker = Walker::present(head, listed, Rv(10), true);
        let states = [(5, "u"), (20, "u"), (40, "u"), (41, "u"), (90, "u")];
        assert_eq!(run(walker, &states, 0), (pairs(&[(20, "u"), (40, "u"), (41, "u"), (90, "u")]), true));
    }

    #[test]
    fn stops_where_the_object_was_created() {
        let (head, listed) = object(90, "u");
        let walker = Walker::present(head, listed, Rv(10), false);
        assert_eq!(run(walker, &[(50, "u"), (90, "u")], 0), (pairs(&[(50, "u"), (90, "u")]), true));
    }

    #[test]
    fn finds_the_last_states_of_an_object_that_is_gone() {
        let walker = Walker::missing(object(5, "u").0.key, Rv(10), Rv(1_000));
        let states = [(5, "u"), (600, "u"), (700, "u"), (701, "")];
        assert_eq!(run(walker, &states, 0), (pairs(&[(600, "u"), (700, "u")]), true));
    }

    #[test]
    fn finds_the_end_of_the_incarnation_before_the_listed_one() {
        let (head, listed) = object(90, "new");
        let walker = Walker::present(head, listed, Rv(10), true);
        let states = [(5, "old"), (30, "old"), (60, ""), (80, "new"), (90, "new")];
        assert_eq!(run(walker, &states, 0), (pairs(&[(30, "old"), (80, "new"), (90, "new")]), true));
    }

    #[test]
    fn says_so_when_the_server_no_longer_knows() {
        let (head, listed) = object(90, "u");
        let walker = Walker::present(head, listed, Rv(10), true);
        let states = [(5, "u"), (20, "u"), (70, "u"), (90, "u")];
        assert_eq!(run(walker, &states, 50), (pairs(&[(20, "u"), (70, "u"), (90, "u")]), false));
    }
}
