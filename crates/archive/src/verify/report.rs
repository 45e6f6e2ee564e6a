//! What a check found.
//!
//! Does not: say it to people; that is for whoever asked.

use std::fmt;

use vmrewind_model::{ObjectKey, ResourceId, Timestamp};

use super::{HistoryChecked, Slots};
use crate::{Code, Damage, Identity, SeqRange};

/// How deep a check goes. Each depth includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Names, every manifest, and the end of every segment and of every history bundle: footer, resume map and index, each against
    /// its own hash, and whether a segment follows the one before in slot, epoch, nonce, seq and time. Proves nothing about bodies: neither that the bytes before the index are
    /// those that were written, nor that the hash of the predecessor is that of what stands there.
    Ends,
    /// Every byte of every segment, as every reader must check it (`spec/format.md`, section 12): the hash of the body, of each
    /// frame and of the predecessor, each line by itself, the event root. And every byte of every history bundle.
    Data,
    /// Also every object by itself, and what the records say of each other: `spec/ordering.md`, 4.3. And each window beside its
    /// segments.
    Deep,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symptom {
    /// An object of the archive violates `spec/format.md`.
    Code(Code),
    /// No single object does, but together they do not say what `spec/ordering.md`, 4.3 promises.
    Fact,
}

impl Symptom {
    /// Returns the text form, which is stable: a code of the specification, or `FACT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code(code) => code.as_str(),
            Self::Fact => "FACT",
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// `archive.json`, or a name.
    Archive,
    /// Segments, as a whole: no reader uses them, but for what is intact of them.
    Segments,
    /// Some records of a segment that is as it was written.
    Records,
    /// Manifests: nothing is lost, but what was rolled up cannot be found, or not all of it.
    Manifests,
    /// What was rolled up: nothing is lost as long as the segments are there.
    Bundles,
    /// Checkpoints: nothing is lost as long as what they stand for is there.
    Checkpoints,
}

/// One thing that is wrong, and what is lost by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: stable.
    pub symptom: Symptom,
    /// What it is about.
    pub about: About,
    /// Name of the object in the store; of the first one if several are missing.
    pub object: String,
    /// First and last slot, if it is about segments, or about what was rolled up of them.
    pub slots: Option<(u64, u64)>,
    /// Where, in bytes from the start of the object, if that can be told.
    pub offset: Option<u64>,
    /// More, for people. Never content of an object.
    pub detail: String,
    /// The one recorded object that it is about, if it is about one.
    pub key: Option<ObjectKey>,
    /// What is lost.
    pub loss: Loss,
    /// True if gaps of cause `damage` tell of all that is lost: the watcher passed over it and looked at everything anew.
    pub accounted: bool,
}

/// What cannot be read any more, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// The records: empty if none is lost, none if it is not known which.
    pub records: Option<Vec<SeqRange>>,
    /// Records of the same segment that are provably as they were written.
    pub readable: Vec<SeqRange>,
    /// What is lost was observed after this instant.
    pub after: Option<Timestamp>,
    /// What is lost was observed before this instant.
    pub before: Option<Timestamp>,
    /// The resources that were captured then: what is lost is about objects of these. Empty if no record is lost, or if no
    /// resume map before it can be read.
    pub resources: Vec<ResourceId>,
}

impl Loss {
    /// Nothing is lost.
    pub(super) fn nothing() -> Self {
        Self { records: Some(Vec::new()), ..Self::default() }
    }

    /// Tells whether records are lost, or may be.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.records.as_ref().is_none_or(|records| !records.is_empty())
    }
}

impl Problem {
    /// Something is wrong with an object, and nothing is lost by it.
    pub(super) fn harmless(symptom: Symptom, object: &str, slot: Option<u64>, detail: impl Into<String>) -> Self {
        Self {
            symptom,
            about: if slot.is_some() { About::Records } else { About::Archive },
            object: object.to_owned(),
            slots: slot.map(|slot| (slot, slot)),
            offset: None,
            detail: detail.into(),
            key: None,
            loss: Loss::nothing(),
            accounted: false,
        }
    }

    /// The records of these segments stand in history bundles, too, which are as they were written: none is lost.
    pub(super) fn stands_in_a_window(&mut self) {
        self.loss = Loss { readable: std::mem::take(&mut self.loss.readable), ..Loss::nothing() };
        self.detail.push_str("; its records stand in history bundles, too, which are intact");
    }

    /// The newest manifest says that segments were there which are not: the end of the log is lost.
    pub(super) fn cut_off(head: u64, last: u64) -> Self {
        let detail =
            format!("the log ends with segment {head}; the newest manifest shows that this one was there, too");
        let name = crate::paths::segment(last);
        let problem = Self::harmless(Symptom::Code(Code::Missing), &name, Some(last), detail);
        let loss = Loss { records: None, ..Loss::default() };
        Self { about: About::Segments, loss, ..problem }
    }

    /// Segments up to slot `last` are damaged or missing; `resources` were captured then.
    pub(super) fn of(damage: Damage, last: u64, resources: &[ResourceId]) -> Self {
        let records = damage.lost();
        let lost = records.as_ref().is_none_or(|records| !records.is_empty());
        Self {
            symptom: Symptom::Code(damage.code),
            about: About::Segments,
            slots: damage.segment.map(|slot| (slot, last)),
            offset: damage.offset,
            detail: damage.detail,
            key: None,
            loss: Loss {
                records,
                readable: damage.readable,
                after: damage.after,
                before: damage.before,
                resources: if lost { resources.to_vec() } else { Vec::new() },
            },
            accounted: damage.accounted,
            object: damage.object,
        }
    }
}

/// Something that is odd and of which nothing follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which kind of oddity: stable.
    pub kind: NoteKind,
    /// Name of the object in the store that shows it.
    pub object: String,
    /// Its slot, if it is a segment.
    pub slot: Option<u64>,
    /// More, for people. Never content of an object.
    pub detail: String,
    /// The recorded object that it is about, if it is about one.
    pub key: Option<ObjectKey>,
}

/// Kinds of oddities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// A name that this version does not know: passed over.
    UnknownName,
    /// A resume entry says less than one before it: a reader takes the newest, so that less is proven.
    ResumeBack,
    /// A record does not fit what was known of its object before; a reader goes by the newest record all the same.
    OddRecord,
    /// A record closes a gap that was opened for something else.
    OddGap,
    /// A gap of cause `damage` names no slots.
    OddDamage,
    /// History bundles that no manifest names: they were written for nothing.
    UnnamedBundles,
}

impl NoteKind {
    /// Returns the text form, which is stable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownName => "unknown-name",
            Self::ResumeBack => "resume-back",
            Self::OddRecord => "odd-record",
            Self::OddGap => "odd-gap",
            Self::OddDamage => "odd-damage",
            Self::UnnamedBundles => "unnamed-bundles",
        }
    }
}

/// How much was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The slots that are taken.
    pub found: Slots,
    /// Those that were read in full, damaged ones included.
    pub whole: Slots,
    /// Bytes of all segments together.
    pub bytes: u64,
    /// Bytes that were read of them.
    pub read: u64,
    /// Records that the ends of the intact segments speak of.
    pub records: u64,
    /// Records that were read.
    pub records_read: u64,
    /// Objects that were checked one by one.
    pub objects: u64,
    /// Segments of which it is not known whether the hash of their predecessor is that of what stands there, because that was
    /// not read in full, or is damaged or missing.
    pub unchained: u64,
    /// Writers, as their fences tell.
    pub epochs: u64,
    /// The first instant that the archive speaks of.
    pub from: Option<Timestamp>,
    /// The last one.
    pub to: Option<Timestamp>,
    /// What was rolled up.
    pub history: HistoryChecked,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which archive; none if `archive.json` cannot be read.
    pub identity: Option<Identity>,
    /// Where it lies.
    pub place: String,
    /// How deep the check went, where it did not only look at the ends.
    pub depth: Depth,
    /// How much was looked at.
    pub checked: Checked,
    /// What is wrong: `archive.json` first, then names and manifests, then segments and windows in the order of their slots.
    pub problems: Vec<Problem>,
    /// What is damaged, and told by gaps: in the order of slots. Not among the problems.
    pub accounted: Vec<Problem>,
    /// What is odd, in the same order.
    pub notes: Vec<Note>,
    /// How many more notes there were: only so many are kept.
    pub more_notes: u64,
}
