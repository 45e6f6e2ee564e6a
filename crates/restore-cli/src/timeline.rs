//! The rows of a timeline: what each record changed, compared with the state before it.
//!
//! Does not: read the archive or print; memory holds the newest state of each object that exists, no history.

use std::collections::HashMap;

use vmrewind_model::{Change, Gap, ObjectKey, ObjectOp, RawObject, Record};

use crate::{
    certainty::cause,
    context::unreadable,
    describe::describe,
    error::CliError,
    mask::Masker,
    record::{manager, micros, verb},
};

/// One row of a timeline.
#[derive(Debug)]
pub(crate) struct Row {
    /// The word for what happened.
    pub(crate) verb: &'static str,
    /// Who did it, as far as the object tells; `?` where it cannot tell.
    pub(crate) manager: String,
    /// What changed.
    pub(crate) what: String,
    /// Whether it is bookkeeping that may be folded away.
    pub(crate) minor: bool,
}

/// Follows the states of objects from record to record.
pub(crate) struct Follower {
    last: HashMap<ObjectKey, Kept>,
    masker: Masker,
    all: bool,
}

/// The newest state of an object, in memory of its own: the segment that it came in may be dropped.
struct Kept {
    uid: String,
    bytes: Vec<u8>,
}

impl Kept {
    fn new(uid: &str, object: &RawObject) -> Self {
        Self { uid: uid.to_owned(), bytes: object.bytes().to_vec() }
    }

    fn object(&self) -> RawObject {
        RawObject::from_archive(self.bytes.clone().into())
    }
}

impl Follower {
    /// Begins without any state. With `all`, noise counts as change.
    pub(crate) fn new(masker: Masker, all: bool) -> Self {
        Self { last: HashMap::new(), masker, all }
    }

    /// Takes the next record without describing it, so that later ones can be compared with it.
    pub(crate) fn skip(&mut self, record: &Record) {
        let Some(key) = record.change.key() else { return };
        match &record.change {
            Change::Object { object, .. } => {
                self.last.insert(key.object.clone(), Kept::new(&key.uid, object));
            }
            Change::Deleted { .. } | Change::Absent { .. } => {
                self.last.remove(&key.object);
            }
            _ => {}
        }
    }

    /// Takes the next record and describes it.
    ///
    /// # Errors
    /// If a stored object is not JSON.
    pub(crate) fn row(&mut self, record: &Record) -> Result<Row, CliError> {
        let mut row = match &record.change {
            Change::Object { op, key, object, from_seq, .. } => {
                let before = self.last.get(&key.object).filter(|kept| kept.uid == key.uid).map(Kept::object);
                let recreated = before.is_none() && self.last.contains_key(&key.object);
                let mut row = self.object(*op, before.as_ref(), object, recreated)?;
                if let Some(from) = from_seq {
                    row.what.push_str(&format!("; counts from record {from}"));
                }
                row
            }
            Change::Deleted { inferred, object, .. } => {
                let what = if *inferred {
                    "gone: a later list does not hold it"
                } else if object.is_some() {
                    "its last state is recorded"
                } else {
                    "its last state is not recorded"
                };
                plain(record, what.to_owned())
            }
            Change::Unobserved { reason, .. } => plain(record, format!("no longer observed: {reason}")),
            Change::Absent { from_seq, .. } => {
                let from = from_seq.map(|from| format!("; counts from record {from}")).unwrap_or_default();
                plain(record, format!("named by another object, but does not exist{from}"))
            }
            Change::Withheld { reason, .. } => plain(record, format!("content withheld: {reason}")),
            Change::Gap(gap) => gap_row(gap),
            Change::Heartbeat => plain(record, String::new()),
        };
        if let Some(lo) = record.lo {
            row.what.push_str(&format!("; between {} and {}", micros(lo), micros(record.t)));
        }
        self.skip(record);
        Ok(row)
    }

    fn object(
        &mut self,
        op: ObjectOp,
        before: Option<&RawObject>,
        after: &RawObject,
        recreated: bool,
    ) -> Result<Row, CliError> {
        let mut after = after.value().map_err(unreadable)?;
        let manager = manager(&after).unwrap_or_default();
        let verb = match op {
            ObjectOp::Added => "added",
            ObjectOp::Modified => "modified",
            ObjectOp::Seen => "seen",
        };
        let row = |what: &str, minor| Row { verb, manager: manager.clone(), what: what.to_owned(), minor };
        let Some(before) = before else {
            return Ok(match (op, recreated) {
                (_, true) => row("another object of the same name", false),
                (ObjectOp::Added, false) => row("created", false),
                (ObjectOp::Modified, false) => row("changed; the state before is not recorded", false),
                (ObjectOp::Seen, false) => row("exists", false),
            });
        };
        let mut before = before.value().map_err(unreadable)?;
        let dying = |object: &serde_json::Value| object["metadata"]["deletionTimestamp"].is_string();
        // The server sets it for whoever asked for the deletion, and leaves no trace of who that was.
        let manager = if dying(&after) && !dying(&before) { "?".to_owned() } else { manager };
        if !self.all {
            vmrewind_graph::noise(&mut before);
            vmrewind_graph::noise(&mut after);
        }
        let described = describe(&self.masker.comparable(&before), &self.masker.comparable(&after));
        Ok(Row { verb, manager, what: described.words, minor: described.minor })
    }
}

fn plain(record: &Record, what: String) -> Row {
    Row { verb: verb(record), manager: String::new(), what, minor: false }
}

fn gap_row(gap: &Gap) -> Row {
    let detail = if gap.detail.is_empty() { String::new() } else { format!(": {}", gap.detail) };
    let (verb, span) = match (gap.to, gap.opened) {
        (None, _) => ("gap opens", format!("nothing is proven from {}", micros(gap.from))),
        (Some(to), Some(_)) => ("gap closes", format!("nothing is proven from {} to {}", micros(gap.from), micros(to))),
        (Some(to), None) => ("gap", format!("nothing is proven from {} to {}", micros(gap.from), micros(to))),
    };
    Row { verb, manager: String::new(), what: format!("{span} ({}{detail})", cause(gap.cause)), minor: false }
}
