//! What can happen, and the record of it. Nothing else can happen: the set of ops is closed.

use serde::{Deserialize, Serialize};

use crate::{Era, ObjectKey, RawObject, RecordKey, ResourceId, Rv, Seq, Timestamp, optional::present};

/// The letter that stands in a record for what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// The object was created.
    #[serde(rename = "A")]
    Added,
    /// The object was changed.
    #[serde(rename = "M")]
    Modified,
    /// The object was deleted.
    #[serde(rename = "D")]
    Deleted,
    /// The object was seen to exist in this state: by a list, or when it began to be followed.
    #[serde(rename = "S")]
    Seen,
    /// The object is no longer observed, though it may exist.
    #[serde(rename = "X")]
    Unobserved,
    /// The object was looked for and does not exist.
    #[serde(rename = "N")]
    Absent,
    /// A gap opens or closes.
    #[serde(rename = "G")]
    Gap,
    /// Nothing happened; the archive is alive.
    #[serde(rename = "H")]
    Heartbeat,
    /// A change was observed and its body withheld on purpose.
    #[serde(rename = "W")]
    Withheld,
}

impl Op {
    /// Every op, in the order of the specification.
    pub const ALL: [Self; 9] = [
        Self::Added,
        Self::Modified,
        Self::Deleted,
        Self::Seen,
        Self::Unobserved,
        Self::Absent,
        Self::Gap,
        Self::Heartbeat,
        Self::Withheld,
    ];

    /// Returns the letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Modified => 'M',
            Self::Deleted => 'D',
            Self::Seen => 'S',
            Self::Unobserved => 'X',
            Self::Absent => 'N',
            Self::Gap => 'G',
            Self::Heartbeat => 'H',
            Self::Withheld => 'W',
        }
    }
}

/// The ops after which an object exists in the state that the record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectOp {
    /// See [`Op::Added`].
    Added,
    /// See [`Op::Modified`].
    Modified,
    /// See [`Op::Seen`].
    Seen,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An object exists in this state.
    Object {
        /// Whether it was created, changed or seen.
        op: ObjectOp,
        /// Which object.
        key: RecordKey,
        /// Its resource version.
        rv: Rv,
        /// Its state.
        object: RawObject,
        /// Set if the object was fetched because a record of this seq refers to it, and its version is older
        /// than that record's: the state counts from there on.
        from_seq: Option<Seq>,
    },
    /// An object was deleted.
    Deleted {
        /// Which object.
        key: RecordKey,
        /// The resource version of the deletion; none if it was inferred.
        rv: Option<Rv>,
        /// The last state, as the server sent it with the deletion; none if it was inferred or withheld.
        object: Option<RawObject>,
        /// True if nobody reported the deletion: a later list does not hold the object. The record's `t` is
        /// then the latest instant at which it can have happened, and its `lo` the earliest.
        inferred: bool,
    },
    /// An object is no longer observed: it left the selector of its watch, or nothing names it any more.
    Unobserved {
        /// Which object.
        key: RecordKey,
        /// Why, in a few words.
        reason: String,
    },
    /// An object that a followed object names does not exist. The key has no uid.
    Absent {
        /// Which object.
        key: RecordKey,
        /// See [`Change::Object`].
        from_seq: Option<Seq>,
    },
    /// An object exists in a state that is not recorded on purpose.
    Withheld {
        /// Which object.
        key: RecordKey,
        /// Its resource version.
        rv: Rv,
        /// Which setting withholds it.
        reason: String,
    },
    /// Proof of a resource was lost or regained.
    Gap(Gap),
    /// Nothing happened.
    Heartbeat,
}

/// An interval of which it is not known what happened to a resource, or to one object of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceId,
    /// The one object that the gap is about; none for the whole resource.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub object: Option<ObjectKey>,
    /// The last instant that is proven.
    pub from: Timestamp,
    /// The first instant that is proven again; none while the gap is open.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub to: Option<Timestamp>,
    /// Why proof was lost.
    pub cause: GapCause,
    /// More about the cause, for people; never content of an object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The record that opened the gap, in the record that closes it. A gap found only after the fact opens
    /// and closes in one record, which has `to` and no `opened`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub opened: Option<Seq>,
}

/// Why proof was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapCause {
    /// The server no longer has the changes since our version, and they could not be walked back.
    Expired,
    /// The server refuses to let us read.
    Denied,
    /// The type was not served.
    Removed,
    /// The server did not answer, or answered nonsense, for too long.
    Stalled,
    /// The cluster's storage went back to an earlier state.
    StorageRollback,
    /// An object could not be recorded: it is not valid JSON, too deep, or too large.
    Unrecordable,
    /// Changes arrived faster than they could be stored, and could not be fetched again.
    Overflow,
    /// The clocks disagree: observed times cannot be trusted.
    Clock,
    /// A periodic list disagreed with what the watch had said.
    Correction,
    /// The server no longer had the changes since our version. Every version of what was there before or after was
    /// walked back; an object that was created and deleted in between would not be seen.
    Unseen,
    /// Segments of the archive are damaged, so that what they held is lost; the detail names their slots.
    Damage,
}

/// One line of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place in the order.
    pub seq: Seq,
    /// When it was observed. Strictly increasing.
    pub t: Timestamp,
    /// If set, the change happened somewhere in (`lo`, `t`]: it was received while catching up, and `lo` is
    /// the last instant at which its resource was proven.
    pub lo: Option<Timestamp>,
    /// The era the resource version belongs to.
    pub era: Era,
    /// What happened.
    pub change: Change,
}

impl Change {
    /// Returns the letter's op.
    #[must_use]
    pub fn op(&self) -> Op {
        match self {
            Self::Object { op: ObjectOp::Added, .. } => Op::Added,
            Self::Object { op: ObjectOp::Modified, .. } => Op::Modified,
            Self::Object { op: ObjectOp::Seen, .. } => Op::Seen,
            Self::Deleted { .. } => Op::Deleted,
            Self::Unobserved { .. } => Op::Unobserved,
            Self::Absent { .. } => Op::Absent,
            Self::Withheld { .. } => Op::Withheld,
            Self::Gap(_) => Op::Gap,
            Self::Heartbeat => Op::Heartbeat,
        }
    }

    /// Returns the key of the object it is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&RecordKey> {
        match self {
            Self::Object { key, .. }
            | Self::Deleted { key, .. }
            | Self::Unobserved { key, .. }
            | Self::Absent { key, .. }
            | Self::Withheld { key, .. } => Some(key),
            Self::Gap(_) | Self::Heartbeat => None,
        }
    }

    /// Returns the resource version, if it has one.
    #[must_use]
    pub fn rv(&self) -> Option<Rv> {
        match self {
            Self::Object { rv, .. } | Self::Withheld { rv, .. } => Some(*rv),
            Self::Deleted { rv, .. } => *rv,
            Self::Unobserved { .. } | Self::Absent { .. } | Self::Gap(_) | Self::Heartbeat => None,
        }
    }

    /// Returns the state it holds, if it holds one.
    #[must_use]
    pub fn object(&self) -> Option<&RawObject> {
        match self {
            Self::Object { object, .. } => Some(object),
            Self::Deleted { object, .. } => object.as_ref(),
            Self::Unobserved { .. } | Self::Absent { .. } | Self::Withheld { .. } | Self::Gap(_) | Self::Heartbeat => {
                None
            }
        }
    }

    /// Tells whether nobody reported it: it follows from something else that was observed.
    #[must_use]
    pub fn inferred(&self) -> bool {
        matches!(self, Self::Deleted { inferred: true, .. })
    }

    /// Returns the seq from which on the state counts, if that is not the record's own.
    #[must_use]
    pub fn back_dated_to(&self) -> Option<Seq> {
        match self {
            Self::Object { from_seq, .. } | Self::Absent { from_seq, .. } => *from_seq,
            Self::Deleted { .. } | Self::Unobserved { .. } | Self::Withheld { .. } | Self::Gap(_) | Self::Heartbeat => {
                None
            }
        }
    }
}

impl Record {
    /// Returns the seq from which on the record counts: its own, or the one it is back-dated to.
    #[must_use]
    pub fn counts_from(&self) -> Seq {
        self.change.back_dated_to().unwrap_or(self.seq)
    }
}
