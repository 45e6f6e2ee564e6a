//! Mirrors an archive into another store, object by object, each verified before it is written.
//!
//! ```text
//! source: get, decode, follows the one before?  -> target: create (or compare), one slot after the other
//!         (a few at once)                                   so that it is a prefix of the source at every moment
//! ```
//!
//! Does not: overwrite, delete, or take a writer's place; a copy needs get, list and create at its target.

mod families;
mod report;
mod target;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use vmrewind_model::Digest;

use crate::{
    Archive, ArchiveError, Code, Cpu, Damage, Identity, Progress, SegmentSummary, Store,
    format::{decode, fault::Fault, link::Before},
    head, paths, read,
    store::LARGEST,
};
use families::Beside;
pub use report::{Amount, Copied, Newest};

/// How many slots are fetched and verified at once. Each may take the size of a segment, twice if it is compared.
const AT_ONCE: usize = 4;

/// What a copy is to do beyond the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Copies what is damaged byte for byte, and passes over what is missing, instead of stopping there.
    pub allow_damage: bool,
    /// Compares only the newest segment that both have, which names all before it by their hashes, instead of all of them.
    pub quick: bool,
}

/// Copies the archive in `source` into `target`, which is empty or an earlier copy of it.
///
/// The target has the same `archive.json` byte for byte and is at every moment an archive that ends where the copy has got to.
/// Stopped anywhere, the next call goes on there. What the source gets while this runs is left to the next call.
///
/// # Errors
/// [`ArchiveError::Damaged`] for the first segment of the source that is damaged or missing, after all before it were copied;
/// [`ArchiveError::Differs`] if the target holds something else under a name; [`ArchiveError::OtherArchive`],
/// [`ArchiveError::NotEmpty`] and [`ArchiveError::Ahead`] if the target is no copy of the source, [`ArchiveError::Unsupported`] if
/// the source holds what a copy cannot take along; and those of the stores.
pub async fn copy(
    source: &Store,
    target: &Store,
    cpu: Cpu,
    options: CopyOptions,
    progress: &dyn Progress,
) -> Result<Copied, ArchiveError> {
    let archive = Archive::open(source.clone()).await?.with_cpu(cpu);
    plain(&archive)?;
    let beside = beside(source).await?;
    let made = target::prepare(source, target, &archive.identity).await?;
    // The target first: what it has, the source had before.
    let there = head::find_behind_holes(target, 0).await?;
    let newest = archive.extent().await?;
    if there > newest {
        return Err(ArchiveError::Ahead { place: target.place().into(), slot: there, newest });
    }
    let mut copying = Copying {
        source: source.place(),
        target,
        options,
        before: None,
        copied: Amount::default(),
        there: Amount::default(),
        damage: Vec::new(),
    };
    let first = if options.quick { there.max(1) } else { 1 };
    if first == 1 {
        copying.before = Some(Before::first());
    }
    let fetched = stream::iter(first..=newest).map(|slot| fetch(&archive, target, slot, slot <= there));
    let mut fetched = std::pin::pin!(fetched.buffered(AT_ONCE));
    while let Some(fetched) = fetched.try_next().await? {
        let slot = fetched.slot;
        copying.take(fetched).await?;
        progress.segments(slot, newest);
    }
    let Copying { copied, there, damage, .. } = copying;
    Ok(Copied {
        made,
        copied,
        there,
        damage,
        foreign: beside.foreign,
        foreign_count: beside.foreign_count,
        source: report::newest(&archive).await?,
        target: report::newest(&Archive::nameless(target.clone(), archive.identity.clone(), cpu)).await?,
        identity: archive.identity.clone(),
    })
}

/// Checks that `source` holds an archive that [`copy`] takes along, as far as names tell.
///
/// # Errors
/// Those of [`Archive::open`], and [`ArchiveError::Unsupported`] if it holds what a copy cannot take along.
pub async fn copyable(source: &Store) -> Result<(), ArchiveError> {
    plain(&Archive::open(source.clone()).await?)?;
    beside(source).await.map(drop)
}

/// Refuses an archive whose segments cannot be verified on the way.
fn plain(archive: &Archive) -> Result<(), ArchiveError> {
    if !archive.identity.encrypted {
        return Ok(());
    }
    let what = "it is encrypted, and encrypted archives cannot be copied yet".to_owned();
    Err(ArchiveError::Unsupported { place: archive.store.place().into(), what })
}

/// Lists what lies beside the segments.
async fn beside(source: &Store) -> Result<Beside, ArchiveError> {
    let beside: Beside = source.all_objects(|beside: &mut Beside, name, _| beside.add(name)).await?;
    match &beside.not_copied {
        None => Ok(beside),
        Some(name) => {
            let what = format!("it holds {name}, which this version cannot copy");
            Err(ArchiveError::Unsupported { place: source.place().into(), what })
        }
    }
}

/// What both sides hold in a slot.
struct Fetched {
    slot: u64,
    /// What the source holds.
    bytes: Option<Bytes>,
    /// What that is.
    decoded: Result<(SegmentSummary, Digest), Box<Damage>>,
    /// What the target holds.
    existing: Option<Bytes>,
}

async fn fetch(archive: &Archive, target: &Store, slot: u64, compare: bool) -> Result<Fetched, ArchiveError> {
    let name = paths::segment(slot);
    let bytes = archive.store.get(&name, LARGEST).await?;
    let existing = if compare { target.get(&name, LARGEST).await? } else { None };
    let decoded = match &bytes {
        None => Err(Box::new(read::damaged(slot, Fault::new(Code::Missing, "it is not there")))),
        Some(bytes) => decoded(archive.cpu, &archive.identity, slot, bytes).await?,
    };
    Ok(Fetched { slot, bytes, decoded, existing })
}

/// Verifies a segment by itself.
async fn decoded(
    cpu: Cpu,
    identity: &Identity,
    slot: u64,
    bytes: &Bytes,
) -> Result<Result<(SegmentSummary, Digest), Box<Damage>>, ArchiveError> {
    let (bytes, archive) = (bytes.clone(), identity.archive);
    let decoded = cpu.run(move || decode::decode(&bytes, archive, slot)).await?;
    Ok(decoded.map(|segment| (segment.summary, segment.digest)).map_err(|fault| Box::new(read::damaged(slot, fault))))
}

/// The state of a copy between two slots.
struct Copying<'a> {
    source: &'a str,
    target: &'a Store,
    options: CopyOptions,
    /// What stands before the next slot, if it is known.
    before: Option<Before>,
    copied: Amount,
    there: Amount,
    damage: Vec<Damage>,
}

impl Copying<'_> {
    /// Takes the next slot.
    async fn take(&mut self, fetched: Fetched) -> Result<(), ArchiveError> {
        let Fetched { slot, bytes, decoded, existing } = fetched;
        let decoded = decoded.and_then(|(summary, digest)| {
            let follows = self.before.as_ref().map_or(Ok(()), |before| before.check(&summary));
            follows.map_err(|fault| Box::new(read::damaged(slot, fault).with_summary(&summary)))?;
            Ok((summary, digest))
        });
        if existing.is_some() && existing != bytes {
            return Err(self.differs(slot, decoded.err()));
        }
        self.before = decoded.as_ref().ok().map(|(summary, digest)| Before::of(summary, Some(*digest)));
        if let Err(damage) = decoded {
            // What is too large was not read in full, so that it cannot be copied byte for byte.
            if !self.options.allow_damage || damage.code == Code::TooLarge {
                return Err(damage.into());
            }
            self.damage.push(*damage);
        }
        match (bytes, existing) {
            (Some(bytes), Some(_)) => self.there.add(&bytes),
            (Some(bytes), None) => {
                if let Some(_theirs) = self.target.settle(&paths::segment(slot), &bytes).await? {
                    return Err(self.differs(slot, None));
                }
                self.copied.add(&bytes);
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn differs(&self, slot: u64, damage: Option<Box<Damage>>) -> ArchiveError {
        ArchiveError::Differs {
            object: paths::segment(slot),
            from: self.source.to_owned(),
            to: self.target.place().to_owned(),
            damage,
        }
    }
}
