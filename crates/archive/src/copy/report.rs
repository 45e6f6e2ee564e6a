//! What a copy did.
//!
//! Does not: copy.

use bytes::Bytes;
use vmrewind_model::{Seq, Timestamp};

use crate::{Archive, ArchiveError, Damage, Identity, read};

/// How many segments, and how many bytes they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many segments.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: &Bytes) {
        self.segments += 1;
        self.bytes += bytes.len() as u64;
    }
}

/// Where an archive ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The place.
    pub place: String,
    /// The newest slot; 0 if there is none.
    pub slot: u64,
    /// The newest record; none if the newest segment is damaged.
    pub seq: Option<Seq>,
    /// Its watermark; none if the newest segment is damaged, or there is none.
    pub t: Option<Timestamp>,
}

/// What a copy did.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Which archive.
    pub identity: Identity,
    /// True if the target was empty.
    pub made: bool,
    /// What was copied.
    pub copied: Amount,
    /// What was there already and is the same, as far as it was compared.
    pub there: Amount,
    /// What is damaged or missing in the source, and now also in the target.
    pub damage: Vec<Damage>,
    /// The first few names in the source that are no objects of an archive; they were not copied.
    pub foreign: Vec<String>,
    /// How many of these there are.
    pub foreign_count: u64,
    /// The end of the source when the copy was done; a writer may have gone on meanwhile.
    pub source: Newest,
    /// The end of the target.
    pub target: Newest,
}

/// Finds the end of an archive.
pub(super) async fn newest(archive: &Archive) -> Result<Newest, ArchiveError> {
    let place = archive.store.place().to_owned();
    let slot = archive.extent().await?;
    let end = match slot {
        0 => None,
        slot => match read::end(archive, slot).await {
            Ok((summary, _)) => Some(summary),
            Err(ArchiveError::Damaged(_)) => None,
            Err(error) => return Err(error),
        },
    };
    let seq = if slot == 0 { Some(Seq(0)) } else { end.as_ref().map(|end| end.seqs.last) };
    Ok(Newest { place, slot, seq, t: end.map(|end| end.t_last) })
}
