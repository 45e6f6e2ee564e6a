//! Takes an archive over: one empty segment that ends the reign of the writer before.
//!
//! Does not: replay the archive; the caller has done so up to the head it hands in.

use std::collections::BTreeMap;

use vmrewind_model::{Digest, ResumeEntry, Timestamp};

use crate::{
    Archive, ArchiveError, Cpu, Head, Now, ResumeMap, Writer,
    format::{
        Code,
        decode::{self, Peek},
        encode::{self, Draft, Encoded},
        fault::Fault,
    },
    manifest, paths, probe, read,
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
        goes_on(archive, head).await?;
        probe::refuses_to_overwrite(&archive.store).await?;
        if head.segment > 0 {
            archive.store.make_durable(&paths::segment(head.segment)).await?;
        }
        let slot = head.segment + 1;
        let resume: BTreeMap<_, _> = fence.resume.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        let draft = Draft {
            archive: archive.identity.archive,
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
            None => Ok(owner(ours, entries)),
            Some(found) => match decode::peek(&found, found.len() as u64, archive.identity.archive, slot) {
                // An earlier call of this very attempt landed, perhaps with another clock reading.
                Ok(Peek::Done(end)) if end.0.fence && end.0.nonce == fence.nonce && end.0.prev == head.digest => {
                    archive.store.make_durable(&paths::segment(slot)).await?;
                    Ok(owner(end.0.head(Digest::of(&found)), end.1.entries))
                }
                _ => {
                    // Damage is told apart from a rival here, since a head that cannot be read cannot be followed.
                    read::segment(archive, slot).await?;
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
async fn goes_on(archive: &Archive, head: &Head) -> Result<(), ArchiveError> {
    let found = match manifest::newest(archive).await {
        Ok(found) => found,
        // Nothing was deleted, so that the log alone tells where it ends. Recording must not wait for a repair.
        Err(ArchiveError::Damaged(damage)) => {
            tracing::warn!(%damage, "the newest manifest cannot be read; the log goes on without it");
            None
        }
        Err(error) => return Err(error),
    };
    let rolled = found.iter().filter_map(|found| found.manifest.windows.last()).map(|last| last.window.slots[1]).max();
    match rolled {
        Some(rolled) if rolled >= head.segment => {
            let detail = format!("it is missing, but a manifest says that there was a segment after {rolled}");
            let slot = rolled + 1;
            Err(Fault::new(Code::Missing, detail).in_object(paths::segment(slot), Some(slot)).into())
        }
        Some(_) | None => Ok(()),
    }
}
