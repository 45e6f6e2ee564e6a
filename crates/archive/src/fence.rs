//! Takes an archive over: one empty segment that ends the reign of the writer before.
//!
//! Does not: replay the archive; the caller has done so up to the head it hands in.

use std::collections::BTreeMap;

use vmrewind_model::{Digest, ResumeEntry, Timestamp};

use crate::{
    Archive, ArchiveError, Cpu, Head, Now, ResumeMap, Writer,
    archive::RolledUp,
    format::{
        Code, decode,
        encode::{self, Draft, Encoded},
        fault::Fault,
    },
    paths, probe, read, window,
};

/// What a new owner writes into its first segment.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Drawn at random by the caller, for each attempt to become the owner anew; the same when one attempt is repeated.
    pub nonce: [u8; 16],
    /// Name and version of the program.
    pub software: String,
    /// Now. Raised to the head's instant if it lies before it.
    pub t: Timestamp,
    /// What is known of every resource: the complete resume map.
    pub resume: Vec<ResumeEntry>,
}

/// How an attempt to take over ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per process, and it is taken apart at once")]
pub enum FenceOutcome {
    /// The caller owns the archive.
    Owner(Writer),
    /// Somebody else's segment is the new head: replay it and try again, under a lease that is still held.
    Taken(Head),
}

impl Writer {
    /// Creates the segment after `head` as a fence. Refuses a store that lets `archive.json` be created twice.
    ///
    /// Safe to call again with the same arguments after [`ArchiveError::Unavailable`].
    ///
    /// # Errors
    /// Those of the store, [`ArchiveError::UnsafeStore`], [`ArchiveError::Unsupported`] if appending needs a newer program, and
    /// [`ArchiveError::Damaged`] if the slot holds something that is no segment.
    pub async fn fence(
        archive: &Archive,
        head: &Head,
        fence: Fence,
        cpu: Cpu,
        now: Now<'_>,
    ) -> Result<FenceOutcome, ArchiveError> {
        may_append(archive).await?;
        goes_on(archive, head.segment + 1).await?;
        probe::refuses_to_overwrite(&archive.store).await?;
        if head.segment > 0 {
            archive.store.make_durable(&paths::segment(head.segment)).await?;
        }
        let slot = head.segment + 1;
        let resume: BTreeMap<_, _> = fence.resume.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        let draft = Draft {
            home: archive.home(),
            slot,
            epoch: head.epoch.next(),
            nonce: fence.nonce,
            prev: head.digest,
            after: (head.seq, head.t),
            fence: Some(fence.t.max(head.t)),
            software: fence.software.clone(),
            records: Vec::new(),
            resume: ResumeMap { complete: true, entries: resume.into_values().collect() },
        };
        let entries = draft.resume.entries.clone();
        let encoded = cpu.run(move || encode::encode(&draft)).await?;
        let Encoded { bytes, digest, summary, .. } = encoded.map_err(|reason| ArchiveError::Input { reason })?;
        let ours = summary.head(digest);
        let sent = now();
        let owner = |head: Head, resume| {
            FenceOutcome::Owner(Self::new(archive.clone(), cpu, fence.software.clone(), head, sent, resume))
        };
        match archive.store.settle(&paths::segment(slot), &bytes).await? {
            None => {
                is_newest(archive, slot).await?;
                Ok(owner(ours, entries))
            }
            Some(found) => match decode::end_of(&found, archive.home(), slot) {
                // An earlier call of this very attempt landed, perhaps with another clock reading.
                Ok((end, resume)) if end.fence && end.nonce == fence.nonce && end.prev == head.digest => {
                    archive.store.make_durable(&paths::segment(slot)).await?;
                    is_newest(archive, slot).await?;
                    Ok(owner(end.head(Digest::of(&found)), resume.entries))
                }
                _ => {
                    // Damage is told apart from a rival here, since a head that cannot be read cannot be followed.
                    read::segment(archive, slot).await?;
                    // What is missing before it was passed over by whoever wrote it; what is missing behind it is news.
                    archive.knows(slot);
                    Ok(FenceOutcome::Taken(archive.head().await?))
                }
            },
        }
    }
}

/// Checks that this program may append to the archive.
async fn may_append(archive: &Archive) -> Result<(), ArchiveError> {
    let place = archive.store.place().to_owned();
    if let Some(feature) = archive.identity.features.write.first() {
        return Err(ArchiveError::Unsupported { place, what: format!("appending needs the feature {feature:?}") });
    }
    Ok(())
}

/// Checks that the log does not end before what was rolled up of it: then segments were lost, and slots would be used twice.
/// `slot` is the one that the caller takes.
async fn goes_on(archive: &Archive, slot: u64) -> Result<(), ArchiveError> {
    let RolledUp { windows, damage, .. } = archive.rolled_up().await?;
    if let Some(damage) = damage {
        // Nothing was deleted, so that the log alone tells where it ends. Recording must not wait for a repair.
        tracing::warn!(%damage, "the newest manifest cannot be read; the log goes on without it");
    }
    let told = window::successor(archive, &windows, slot - 1).await?;
    // If it is there, somebody else was faster, and what it wrote was rolled up.
    if told < slot || archive.store.size(&paths::segment(slot)).await?.is_some() {
        return Ok(());
    }
    let detail = format!("it is missing, but what was rolled up tells that there was a segment {told}");
    Err(read::damaged(slot, Fault::new(Code::Missing, detail)).into())
}

/// Checks that nothing was rolled up of a slot that was just taken.
async fn is_newest(archive: &Archive, slot: u64) -> Result<(), ArchiveError> {
    let RolledUp { windows, .. } = archive.rolled_up().await?;
    let told = window::successor(archive, &windows, slot).await?;
    // If there is a segment behind it, another writer took over since; that is found out by the next create.
    if told <= slot || archive.store.size(&paths::segment(slot + 1)).await?.is_some() {
        return Ok(());
    }
    let detail = format!("it was written anew, but what was rolled up tells that there was a segment {told}");
    Err(read::damaged(slot, Fault::new(Code::Missing, detail)).into())
}
