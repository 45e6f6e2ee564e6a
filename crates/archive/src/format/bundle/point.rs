//! What a checkpoint says besides what a window says: `spec/checkpoints.md`, section 2.
//!
//! Does not: decide which lines still matter; see `crate::kept`.

use serde::{Deserialize, Serialize};
use vmrewind_model::{Op, Seq, Timestamp};

use super::{SortKey, Window};
use crate::format::{
    Code,
    fault::{Checked, demand, time},
    footer::Kind,
    limits,
    line::Line,
};

/// What a checkpoint says besides its window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Point {
    /// Ends of what has no state any more are held if they count from this seq or later.
    pub(crate) ends_from: Seq,
    /// The time of its last record.
    pub(crate) t: Timestamp,
    /// First and last of slots that were passed over as damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "some")]
    pub(crate) without: Vec<[u64; 2]>,
}

/// Reads a list that is not empty if it is there.
fn some<'de, D: serde::Deserializer<'de>>(member: D) -> Result<Vec<[u64; 2]>, D::Error> {
    let all = Vec::deserialize(member)?;
    if all.is_empty() { Err(serde::de::Error::custom("a list is empty")) } else { Ok(all) }
}

impl Point {
    /// What an object is whose public frame or manifest says this.
    pub(crate) fn kind(point: Option<&Self>) -> Kind {
        if point.is_some() { Kind::Checkpoint } else { Kind::History }
    }

    /// Checks that it can be of a checkpoint that stands for `window`.
    pub(crate) fn check(&self, window: &Window, code: Code) -> Checked<()> {
        time(self.t.micros(), code)?;
        let [first, last] = window.times;
        demand(first <= self.t && self.t <= last, code, "the time of its last record is none of its times")?;
        let ends = Seq(1) <= self.ends_from && self.ends_from <= window.seqs.last.next();
        demand(ends, code, "its ends begin behind it")?;
        let (mut next, mut all) = (1, 0);
        for [first, last] in &self.without {
            let fits = next <= *first && first <= last && *last <= window.slots[1];
            demand(fits, code, "the slots that it was made without are not in order, or none of its own")?;
            (next, all) = (last + 2, all + (last + 1 - first));
        }
        demand(all <= limits::WITHOUT, code, "it was made without too many slots")
    }
}

/// Checks that the lines of a part can be what still matters: at most one state of each object, and ends behind it.
#[derive(Debug)]
pub(super) struct Sieved {
    ends_from: Seq,
    /// The object of the line before, where its state stands, and where its first end does.
    last: Option<(SortKey, Option<Place>, Option<Place>)>,
}

/// Where a line stands in the order that counts.
type Place = (Seq, Seq);

impl Sieved {
    pub(super) fn new(point: &Point) -> Self {
        Self { ends_from: point.ends_from, last: None }
    }

    pub(super) fn take(&mut self, key: &SortKey, line: &Line) -> Checked<()> {
        let place = (line.head.counts_from(), line.head.seq);
        let wrong = |holds: bool, detail: &str| demand(holds, Code::Seq, detail);
        let Some(op) = line.head.op else {
            return wrong(false, "a checkpoint holds a line of an op that is not known");
        };
        if op == Op::Gap {
            return Ok(());
        }
        wrong(op != Op::Heartbeat, "a checkpoint holds a heartbeat")?;
        if self.last.as_ref().is_none_or(|(last, ..)| last != key) {
            self.last = Some((key.clone(), None, None));
        }
        let Some((_, set, end)) = &mut self.last else { return Ok(()) };
        if matches!(op, Op::Deleted | Op::Unobserved) {
            wrong(place.0 >= self.ends_from, "a checkpoint holds an end that counts from before its ends")?;
            *end = Some(end.map_or(place, |end| end.min(place)));
        } else {
            wrong(set.is_none(), "a checkpoint holds two states of one object")?;
            *set = Some(place);
        }
        let behind = set.is_none_or(|set| end.is_none_or(|end| end > set));
        wrong(behind, "a checkpoint holds an end before the state")
    }
}
