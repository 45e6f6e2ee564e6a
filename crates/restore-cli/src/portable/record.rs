//! Makes an archive of what was imported: one instant, and what is proven of it.
//!
//! Proof stands in the last segment only: an archive that was not finished proves nothing. Behind the instant a gap of every type
//! is open, for whoever goes on with the archive.
//!
//! Does not: decide what is proven.

use std::time::Duration;

use vmrewind_archive::{
    Archive, Cpu, Fence, FenceOutcome, Fingerprint, Head, Identity, MAX_TEXT, NewArchive, Progress, SegmentInput,
    Store, Writer, init,
};
use vmrewind_model::{
    Change, Era, Gap, GapCause, ObjectOp, ProofState, RawObject, Record, RecordKey, ResourceId, ResumeEntry, Timestamp,
};

use super::{
    incoming::{Broken, Incoming, bad},
    intake::Intake,
    unpack::Members,
};
use crate::error::CliError;

/// A segment is cut when its objects take so many bytes.
const CUT: usize = 8 << 20;
/// … or when it has so many records.
const RECORDS: usize = 65_536;

/// The archive that was made.
pub(crate) struct Made {
    /// Which archive.
    pub(crate) identity: Identity,
    /// Its newest segment.
    pub(crate) head: Head,
    /// Of its key, if it is encrypted.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// Makes the archive in an empty store; `seed` are 32 random bytes for what is encrypted. `members` is the tarball once more.
///
/// # Errors
/// Those of the archive, and if the tarball is not what it was when it was checked.
pub(crate) async fn record(
    store: &Store,
    (new, seed): (NewArchive, [u8; 32]),
    nonce: [u8; 16],
    (incoming, intake): (&Incoming, &Intake),
    mut members: Members,
    now: &(dyn Fn() -> Timestamp + Sync),
    progress: &dyn Progress,
) -> Result<Made, CliError> {
    let ends = ends(intake);
    let total = incoming.broken.len() + intake.absent.len() + incoming.objects.len() + ends.len();
    let software = new.software.clone();
    let keys = new.keys.as_ref().map(|keys| (keys.recipients.clone(), keys.root_key));
    let identity = init(store, new).await?;
    let mut archive = Archive::open(store.clone()).await?;
    if let Some((recipients, root_key)) = keys {
        archive = archive.unlock_as_maker(&recipients, root_key, seed).await?;
    }
    let fingerprint = archive.fingerprint();
    let span = Duration::from_micros(u64::try_from(total).unwrap_or(u64::MAX));
    let fence = Fence { nonce, software, t: intake.t.minus(span), resume: unproven(&intake.resources) };
    let begun = fence.t;
    let outcome = Box::pin(Writer::fence(&archive, &Head::EMPTY, fence, Cpu::Blocking, now)).await?;
    let FenceOutcome::Owner(writer) = outcome else {
        return Err(CliError::new(crate::error::Kind::Fenced, "somebody else writes to the new archive."));
    };
    let mut log = Log { writer, now, records: Vec::new(), bytes: 0, t: begun };
    for broken in &incoming.broken {
        log.add(gap(broken, begun), 0).await?;
    }
    for change in &intake.absent {
        log.add(change.clone(), 0).await?;
    }
    let mut done = 0;
    while let Some(member) = members.next()? {
        let Some(found) = incoming.objects.get(&member.path) else { continue };
        let object = member.content.and_then(|content| RawObject::from_server(&content).ok());
        let Some(object) = object.filter(|object| object.content_id() == found.id) else {
            return Err(bad(format!("{} changed while it was read", member.path)));
        };
        let home = intake.homes.get(&found.key).cloned().unwrap_or_default();
        let key = RecordKey { home, object: found.key.clone(), uid: found.uid.clone() };
        let bytes = object.bytes().len();
        log.add(Change::Object { op: ObjectOp::Seen, key, rv: found.rv, object, from_seq: None }, bytes).await?;
        done += 1;
        progress.segments(done, incoming.objects.len() as u64);
    }
    if done != incoming.objects.len() as u64 {
        return Err(bad("it changed while it was read"));
    }
    for change in ends {
        log.add(change, 0).await?;
    }
    log.end(&intake.resources).await?;
    Ok(Made { identity, head: log.writer.head().clone(), fingerprint })
}

/// What is said of the types as long as not all objects are recorded.
fn unproven(resources: &[ResumeEntry]) -> Vec<ResumeEntry> {
    let entry = |entry: &ResumeEntry| ResumeEntry {
        proven_at: None,
        state: ProofState::Stalled,
        detail: "an import that is not finished".to_owned(),
        ..entry.clone()
    };
    resources.iter().map(entry).collect()
}

/// Says that nothing is known of what came after what is proven. Without that, a watcher that takes the archive over would prove
/// the time in between with its first list; so it closes these gaps with it.
fn ends(intake: &Intake) -> Vec<Change> {
    let gap = |resource: &ResumeEntry, from, to| {
        Change::Gap(Gap {
            resource: resource.id.clone(),
            object: None,
            from,
            to,
            cause: GapCause::Stalled,
            detail: "imported: nothing later was recorded".to_owned(),
            opened: None,
        })
    };
    let mut gaps = Vec::new();
    for resource in &intake.resources {
        let Some(proven) = resource.proven_at else { continue };
        if proven < intake.t {
            gaps.push(gap(resource, proven, Some(intake.t)));
        }
        gaps.push(gap(resource, intake.t, None));
    }
    gaps
}

/// Says that an object was there and could not be recorded.
fn gap(broken: &Broken, from: Timestamp) -> Change {
    let (plural, group) = broken.type_.split_once('.').unwrap_or((&broken.type_, ""));
    let mut detail = broken.reason.clone();
    detail.truncate((0..=MAX_TEXT.min(detail.len())).rev().find(|at| detail.is_char_boundary(*at)).unwrap_or(0));
    Change::Gap(Gap {
        resource: ResourceId::new(group, plural, ""),
        object: Some(broken.key.clone()),
        from,
        to: None,
        cause: GapCause::Unrecordable,
        detail,
        opened: None,
    })
}

/// The log that is being written.
struct Log<'a> {
    writer: Writer,
    now: &'a (dyn Fn() -> Timestamp + Sync),
    records: Vec<Record>,
    bytes: usize,
    /// The instant of the last record.
    t: Timestamp,
}

impl Log<'_> {
    /// Adds a record, one microsecond after the one before; writes a segment before it if that is full.
    async fn add(&mut self, change: Change, bytes: usize) -> Result<(), CliError> {
        if !self.records.is_empty() && (self.bytes + bytes > CUT || self.records.len() >= RECORDS) {
            self.commit(Vec::new()).await?;
        }
        let last = self.records.last().map_or(self.writer.head().seq, |record| record.seq);
        self.t = self.t.plus(Duration::from_micros(1));
        self.records.push(Record { seq: last.next(), t: self.t, lo: None, era: Era(1), change });
        self.bytes += bytes;
        Ok(())
    }

    /// Writes the last segment, with what is proven.
    async fn end(&mut self, resources: &[ResumeEntry]) -> Result<(), CliError> {
        self.commit(resources.to_vec()).await
    }

    async fn commit(&mut self, resume: Vec<ResumeEntry>) -> Result<(), CliError> {
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        let complete = !resume.is_empty();
        Box::pin(self.writer.commit(SegmentInput { records, resume, complete }, self.now)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
