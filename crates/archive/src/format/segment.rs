//! A segment that was read and verified.
//!
//! Does not: say where it was stored.

use bytes::Bytes;
use vmrewind_model::{Change, Digest, Epoch, ObjectKey, ObjectOp, Op, RawObject, Record, Rv, Seq, Timestamp};

use super::{
    Code, ResumeMap, SeqRange,
    fault::{Checked, Fault},
    footer::Kind,
    footer::{Footer, flag},
    line::Line,
};
use crate::{ArchiveError, Head, paths};

/// What the end of a segment says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its slot.
    pub segment: u64,
    /// Epoch of its writer.
    pub epoch: Epoch,
    /// Nonce of its writer.
    pub nonce: [u8; 16],
    /// Its records; `first` is one above `last` if it has none.
    pub seqs: SeqRange,
    /// Instant of its first record.
    pub t_first: Timestamp,
    /// Everything observed up to this instant is in this segment and those before.
    pub t_last: Timestamp,
    /// How many records it has.
    pub records: u64,
    /// True if it is the fence of a new writer.
    pub fence: bool,
    /// True if its resume map is complete.
    pub complete: bool,
    /// True if it has gap records.
    pub gaps: bool,
    /// True if it has records with `lo`.
    pub late: bool,
    /// True if it has back-dated records.
    pub back_dated: bool,
    /// SHA-256 of the whole segment before it.
    pub prev: Digest,
    /// RFC 6962 root over its records.
    pub root: Digest,
    /// Its size in bytes.
    pub bytes: u64,
}

impl SegmentSummary {
    /// Says what a footer says, the fields of which were checked.
    pub(crate) fn of(footer: &Footer, bytes: u64) -> Self {
        let time = |micros| Timestamp::from_micros(micros).unwrap_or(Timestamp::MIN);
        Self {
            segment: footer.slots[0],
            epoch: Epoch(footer.epoch),
            nonce: footer.nonce,
            seqs: SeqRange::new(Seq(footer.seqs[0]), Seq(footer.seqs[1])),
            t_first: time(footer.times[0]),
            t_last: time(footer.times[1]),
            records: footer.records,
            fence: footer.has(flag::FENCE),
            complete: footer.has(flag::COMPLETE),
            gaps: footer.has(flag::GAPS),
            late: footer.has(flag::LATE),
            back_dated: footer.has(flag::BACK_DATED),
            prev: footer.prev,
            root: footer.root,
            bytes,
        }
    }

    /// Returns the head of a log that ends with this segment.
    pub(crate) fn head(&self, digest: Digest) -> Head {
        Head {
            segment: self.segment,
            epoch: self.epoch,
            nonce: self.nonce,
            seq: self.seqs.last,
            t: self.t_last,
            digest,
        }
    }
}

/// Lines that were read together, and where they stand.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) lines: &'a [Line],
    pub(crate) place: Place,
}

/// Where lines stand.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Slot(u64),
    Bundle(Kind, Digest),
}

impl Lines<'_> {
    /// Makes the record of a line; none if the line may be passed over.
    pub(crate) fn record(&self, line: &Line) -> Result<Option<Record>, ArchiveError> {
        line.record().map_err(|fault| match self.place {
            Place::Slot(slot) => fault.in_object(paths::segment(slot), Some(slot)).into(),
            Place::Bundle(kind, digest) => fault.in_object(paths::bundle(kind, &digest), None).into(),
        })
    }
}

/// A verified segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// What its end says.
    pub summary: SegmentSummary,
    /// SHA-256 of all its bytes.
    pub digest: Digest,
    /// What it says about the resources.
    pub resume: ResumeMap,
    /// The program that wrote it.
    pub software: String,
    pub(crate) lines: Vec<Line>,
}

impl Segment {
    /// Returns its records in order.
    ///
    /// # Errors
    /// Each record may be [`ArchiveError::Damaged`] if its object has no resource version.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, ArchiveError>> + '_ {
        self.lines.iter().filter_map(|line| self.record(line).transpose())
    }

    /// Checks every object: that it is canonical, and that it is the object that its record's key names.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] for the first that is not.
    pub fn check_objects(&self) -> Result<(), ArchiveError> {
        self.objects().try_for_each(|(_, object)| object.map(drop).map_err(|fault| self.damaged(fault)))
    }

    /// Checks every object; returns for each line the resource version inside of its object, or what is wrong with it.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Line, Checked<Option<Rv>>)> + '_ {
        self.lines.iter().map(|line| (line, line.check_object()))
    }

    /// Makes the record of a line; none if the line may be passed over.
    pub(crate) fn record(&self, line: &Line) -> Result<Option<Record>, ArchiveError> {
        self.as_lines().record(line)
    }

    /// Returns its lines in order.
    pub(crate) fn as_lines(&self) -> Lines<'_> {
        Lines { lines: &self.lines, place: Place::Slot(self.summary.segment) }
    }

    fn damaged(&self, fault: Fault) -> ArchiveError {
        let slot = self.summary.segment;
        fault.in_object(paths::segment(slot), Some(slot)).into()
    }
}

impl Line {
    /// Makes the record; none if the line may be passed over. The object's bytes are copied, so that a record
    /// that is kept does not keep the whole frame.
    fn record(&self) -> Checked<Option<Record>> {
        let head = &self.head;
        let Some(op) = head.op else { return Ok(None) };
        let missing = || Fault::new(Code::Line, "a line lacks a member that its op needs");
        let key = || head.key.clone().ok_or_else(missing);
        let object = self.object.as_ref().map(|bytes| RawObject::from_archive(Bytes::copy_from_slice(bytes)));
        let state = |op| -> Checked<Change> {
            let object = object.clone().ok_or_else(missing)?;
            Ok(Change::Object { op, key: key()?, rv: self.resource_version()?, object, from_seq: head.from })
        };
        let change = match op {
            Op::Added => state(ObjectOp::Added)?,
            Op::Modified => state(ObjectOp::Modified)?,
            Op::Seen => state(ObjectOp::Seen)?,
            Op::Deleted => {
                let rv = if object.is_some() { Some(self.resource_version()?) } else { head.rv };
                Change::Deleted { key: key()?, rv, object, inferred: head.inferred }
            }
            Op::Unobserved => Change::Unobserved { key: key()?, reason: head.reason.clone().ok_or_else(missing)? },
            Op::Absent => Change::Absent { key: key()?, from_seq: head.from },
            Op::Withheld => Change::Withheld {
                key: key()?,
                rv: head.rv.ok_or_else(missing)?,
                reason: head.reason.clone().ok_or_else(missing)?,
            },
            Op::Gap => Change::Gap(head.gap.clone().ok_or_else(missing)?),
            Op::Heartbeat => Change::Heartbeat,
        };
        Ok(Some(Record { seq: head.seq, t: head.t, lo: head.lo, era: head.era, change }))
    }

    /// Reads the resource version inside of the object.
    fn resource_version(&self) -> Checked<Rv> {
        #[derive(serde::Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        #[derive(serde::Deserialize)]
        struct Metadata {
            #[serde(rename = "resourceVersion")]
            resource_version: Rv,
        }
        let bytes = self.object.as_deref().unwrap_or_default();
        let object: Object = serde_json::from_slice(bytes).map_err(|_| {
            Fault::new(Code::Object, format!("the object of record {} has no resource version", self.head.seq))
        })?;
        Ok(object.metadata.resource_version)
    }

    /// Checks the object; returns the resource version inside of it, none if there is no object.
    fn check_object(&self) -> Checked<Option<Rv>> {
        let (Some(bytes), Some(_)) = (&self.object, self.head.op) else { return Ok(None) };
        let seq = self.head.seq;
        let canonical = vmrewind_model::canonical::canonicalize(bytes).is_ok_and(|canonical| canonical == *bytes);
        if !canonical {
            return Err(Fault::new(Code::Object, format!("the object of record {seq} is not canonical JSON")));
        }
        let Named { api_version, kind, metadata } = serde_json::from_slice(bytes)
            .map_err(|_| Fault::new(Code::Object, format!("the object of record {seq} lacks what every object has")))?;
        let Metadata { namespace, name, uid, resource_version } = metadata;
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let object = ObjectKey::new(group, &kind, &namespace, &name);
        let named = self.head.key.as_ref().is_some_and(|key| key.object == object && key.uid == uid);
        if !named {
            return Err(Fault::new(Code::Key, format!("the object of record {seq} is not the one that its key names")));
        }
        Ok(Some(resource_version))
    }
}

/// What an object says of who it is.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    uid: String,
    resource_version: Rv,
}
