//! Sorted lines to those of them that a checkpoint keeps.
//!
//! Does not: hold more than the lines of one object and of gaps, and a few bytes for each object.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use vmrewind_model::{Seq, Timestamp};

use crate::{
    format::{bundle::SortKey, line::Line},
    kept::{Candidate, GapLines},
};

/// Keeps what still matters of lines that come in order.
pub(super) struct Sieve {
    ends_from: Seq,
    /// The last time of all.
    last: Timestamp,
    gaps: GapLines<Line>,
    object: Option<(SortKey, Candidate<Line, Line>)>,
    /// Of each object the home, both as hashes: an object has one.
    homes: HashMap<u64, u64>,
    hasher: RandomState,
    /// What is to be written next.
    pub(super) ready: Vec<Line>,
}

impl Sieve {
    pub(super) fn new(ends_from: Seq, last: Timestamp) -> Self {
        let (gaps, homes, hasher) = (GapLines::default(), HashMap::new(), RandomState::new());
        Self { ends_from, last, gaps, object: None, homes, hasher, ready: Vec::new() }
    }

    /// Takes the next line; false if its object has another home as well.
    pub(super) fn take(&mut self, line: &Line) -> bool {
        let key = SortKey::of(line);
        let Some(object) = key.object() else {
            self.gaps.take(&line.head, || line.detached());
            return true;
        };
        if self.object.as_ref().is_none_or(|(before, _)| *before != key) {
            let home = self.hasher.hash_one(key.home());
            if *self.homes.entry(self.hasher.hash_one(object)).or_insert(home) != home {
                return false;
            }
            self.flush();
            self.object = Some((key, Candidate::default()));
        }
        if let Some((_, candidate)) = &mut self.object {
            candidate.take(&line.head, || line.detached(), || line.detached());
        }
        true
    }

    /// Ends the object that was taken last, and the gaps before the first one.
    pub(super) fn flush(&mut self) {
        let mut kept: Vec<Line> = std::mem::take(&mut self.gaps).kept(self.last).cloned().collect();
        kept.sort_by_key(|line| line.head.seq);
        self.ready.append(&mut kept);
        if let Some((_, candidate)) = self.object.take() {
            let mut kept: Vec<Line> = candidate.kept(self.ends_from).cloned().collect();
            kept.sort_by_key(|line| line.head.seq);
            self.ready.append(&mut kept);
        }
    }
}
