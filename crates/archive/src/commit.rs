//! The one write sequence: build a segment, create its slot, confirm.
//!
//! Does not: retry with other bytes, overwrite, or go on after it was fenced.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use vmrewind_model::{Digest, Epoch, Record, ResourceId, ResumeEntry, Seq, Timestamp};

use crate::{
    Archive, ArchiveError, Cpu, Head, ResumeMap,
    format::{
        decode,
        encode::{self, Draft, Encoded},
    },
    paths,
    store::{ATTEMPTS, LARGEST, Settled},
};

/// A clock that never goes back while a writer lives, for the stall rule.
pub type Now<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// Longer than this without a confirmed head, and somebody may have compacted the log under the writer's feet.
const STALL: Duration = Duration::from_secs(5 * 60);

/// Every segment whose slot is a multiple of this has the complete resume map.
const COMPLETE_EVERY: u64 = 64;

/// What one segment is to hold.
#[derive(Clone, Debug, Default)]
pub struct SegmentInput {
    /// At least one record; `seq` goes on from the head without holes, `t` increases strictly.
    pub records: Vec<Record>,
    /// What is now known of the resources that changed, or of every resource.
    pub resume: Vec<ResumeEntry>,
    /// True if `resume` holds every resource: those it lacks are then no longer captured.
    pub complete: bool,
}

/// A committed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRef {
    /// Its slot.
    pub segment: u64,
    /// Its first record.
    pub first: Seq,
    /// Its last record.
    pub last: Seq,
    /// Everything observed up to this instant is in the archive.
    pub t: Timestamp,
    /// SHA-256 of all its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// Size of its lines in bytes, before compression.
    pub raw: u64,
}

/// Proof that something is durable. Only the store can make one; acknowledge nothing without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// Returns what is durable.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// The owner of an archive, and the only one who can append to it.
#[derive(Debug)]
pub struct Writer {
    archive: Archive,
    cpu: Cpu,
    software: String,
    head: Head,
    /// When the head was last known to be the newest segment.
    confirmed: Timestamp,
    /// What is known of every resource at the end of the newest segment, the pending one included.
    resume: BTreeMap<ResourceId, ResumeEntry>,
    pending: Option<Pending>,
    ended: Option<End>,
}

/// A segment of which it is not known whether it is stored.
#[derive(Debug)]
struct Pending {
    bytes: Bytes,
    head: Head,
    segment: SegmentRef,
}

/// Why a writer can never write again.
#[derive(Clone, Debug)]
enum End {
    Fenced { slot: u64, epoch: Epoch },
    Fork { slot: u64, epoch: Epoch },
    Stalled { seconds: u64 },
    Failed,
}

impl From<&End> for ArchiveError {
    fn from(end: &End) -> Self {
        match *end {
            End::Fenced { slot, epoch } => Self::Fenced { slot, epoch },
            End::Fork { slot, epoch } => Self::Fork { slot, epoch },
            End::Stalled { seconds } => Self::Stalled { seconds, limit: STALL.as_secs() },
            End::Failed => Self::StoreFailed {
                what: "write again".into(),
                source: "an earlier write failed, so that it is not known what is durable".into(),
            },
        }
    }
}

impl Writer {
    /// Makes the owner whose fence is `head`, which is durable.
    pub(crate) fn new(
        archive: Archive,
        cpu: Cpu,
        software: String,
        head: Head,
        confirmed: Timestamp,
        resume: Vec<ResumeEntry>,
    ) -> Self {
        let resume = resume.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        Self { archive, cpu, software, head, confirmed, resume, pending: None, ended: None }
    }

    /// Returns the newest segment that is confirmed.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Returns the slot that is written but not confirmed, if there is one: call [`Self::resume_commit`].
    #[must_use]
    pub fn pending(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.head.segment)
    }

    /// Appends one segment. Its bytes are fixed by the first attempt to store them. If the future is dropped before it is
    /// done, [`Self::pending`] tells whether there are such bytes; if not, nothing was written.
    ///
    /// # Errors
    /// [`ArchiveError::Input`] if the input breaks its contract: nothing was written.
    /// [`ArchiveError::Unavailable`] or [`ArchiveError::Denied`]: it is not known whether the segment is stored; call
    /// [`Self::resume_commit`] until it is. After any other error ([`ArchiveError::ends_writer`]) this writer can never
    /// write again.
    pub async fn commit(&mut self, input: SegmentInput, now: Now<'_>) -> Result<Durable<SegmentRef>, ArchiveError> {
        self.alive()?;
        if let Some(slot) = self.pending() {
            return Err(ArchiveError::Input { reason: format!("segment {slot} is not confirmed yet") });
        }
        if input.records.is_empty() {
            return Err(ArchiveError::Input { reason: "a segment without records".into() });
        }
        let slot = self.head.segment + 1;
        let (resume, map) = self.resume_after(input.resume, input.complete, slot);
        let draft = Draft {
            home: self.archive.home(),
            slot,
            epoch: self.head.epoch,
            nonce: self.head.nonce,
            prev: self.head.digest,
            after: (self.head.seq, self.head.t),
            fence: None,
            software: self.software.clone(),
            records: input.records,
            resume,
        };
        let encoded = self.cpu.run(move || encode::encode(&draft)).await?;
        let Encoded { bytes, digest, summary, raw } = encoded.map_err(|reason| ArchiveError::Input { reason })?;
        let segment = SegmentRef {
            segment: slot,
            first: summary.seqs.first,
            last: summary.seqs.last,
            t: summary.t_last,
            digest,
            bytes: summary.bytes,
            raw,
        };
        self.resume = map;
        self.pending = Some(Pending { bytes, head: summary.head(digest), segment });
        self.resume_commit(now).await
    }

    /// Finishes the segment that a failed [`Self::commit`] left, with the same bytes.
    ///
    /// # Errors
    /// As [`Self::commit`]; [`ArchiveError::Input`] if no segment is left.
    pub async fn resume_commit(&mut self, now: Now<'_>) -> Result<Durable<SegmentRef>, ArchiveError> {
        self.alive()?;
        let Some(Pending { bytes, head, segment }) = &self.pending else {
            return Err(ArchiveError::Input { reason: "no segment is waiting to be confirmed".into() });
        };
        let (bytes, head, segment) = (bytes.clone(), head.clone(), segment.clone());
        let mut failures = 0;
        loop {
            let sent = self.not_stalled(now)?;
            let settled = self.archive.store.settle_once(&paths::segment(head.segment), &bytes).await;
            match settled.map_err(|error| self.failed(error))? {
                Settled::Ours => {
                    self.not_stalled(now)?;
                    (self.head, self.confirmed, self.pending) = (head, sent, None);
                    return Ok(Durable(segment));
                }
                Settled::Theirs(found) => return Err(self.lost(head.segment, &found)),
                Settled::Nothing(error) => {
                    failures += 1;
                    if failures == ATTEMPTS {
                        return Err(error);
                    }
                    self.archive.store.rest(failures).await;
                }
            }
        }
    }

    /// Looks whether this writer still leads, when there was nothing to commit for a while. Resets the stall rule.
    ///
    /// # Errors
    /// As [`Self::commit`]; [`ArchiveError::Input`] if a segment waits to be confirmed.
    pub async fn confirm(&mut self, now: Now<'_>) -> Result<(), ArchiveError> {
        self.alive()?;
        if let Some(slot) = self.pending() {
            return Err(ArchiveError::Input { reason: format!("segment {slot} is not confirmed yet") });
        }
        let asked = self.not_stalled(now)?;
        let slot = self.head.segment + 1;
        match self.archive.store.get(&paths::segment(slot), LARGEST).await? {
            None => {
                self.not_stalled(now)?;
                self.confirmed = asked;
                Ok(())
            }
            Some(found) => Err(self.lost(slot, &found)),
        }
    }

    /// Ends this writer because a slot that it would have to write holds something else.
    fn lost(&mut self, slot: u64, found: &Bytes) -> ArchiveError {
        let end = match decode::end_of(found, self.archive.home(), slot) {
            Ok((end, _)) if end.epoch > self.head.epoch => End::Fenced { slot, epoch: end.epoch },
            Ok((end, _)) => End::Fork { slot, epoch: end.epoch },
            Err(_) => End::Fork { slot, epoch: Epoch(0) },
        };
        (&*self.ended.insert(end)).into()
    }

    /// Ends this writer if an error of the store is final.
    fn failed(&mut self, error: ArchiveError) -> ArchiveError {
        if error.ends_writer() {
            self.ended = Some(End::Failed);
        }
        error
    }

    fn alive(&self) -> Result<(), ArchiveError> {
        self.ended.as_ref().map_or(Ok(()), |end| Err(end.into()))
    }

    /// Ends this writer if the head was not confirmed for too long; returns the time.
    fn not_stalled(&mut self, now: Now<'_>) -> Result<Timestamp, ArchiveError> {
        let time = now();
        let since = time.since(self.confirmed);
        if since > STALL {
            return Err((&*self.ended.insert(End::Stalled { seconds: since.as_secs() })).into());
        }
        Ok(time)
    }

    /// Returns the resume map to be written into `slot`, and what is then known of every resource.
    fn resume_after(
        &self,
        entries: Vec<ResumeEntry>,
        complete: bool,
        slot: u64,
    ) -> (ResumeMap, BTreeMap<ResourceId, ResumeEntry>) {
        let changed: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        let mut all = if complete { BTreeMap::new() } else { self.resume.clone() };
        all.extend(changed.clone());
        let complete = complete || slot.is_multiple_of(COMPLETE_EVERY);
        let entries = if complete { all.clone() } else { changed };
        (ResumeMap { complete, entries: entries.into_values().collect() }, all)
    }
}
