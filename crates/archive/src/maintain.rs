//! Rolls the log up into history: windows of five minutes, an hour, a day. See `spec/manifests.md`.
//!
//! Safe to stop anywhere and to run twice at once: what a manifest names is there, and whoever comes second begins again.
//!
//! Does not: delete anything, or touch what is damaged.

mod broken;
mod checkpoint;
mod merge;
mod plan;
mod roll;
mod round;
mod sieve;
mod write;

use std::time::Duration;

use vmrewind_model::Digest;

use crate::{
    Archive, ArchiveError, Damage, Now, StoreKind,
    format::bundle::Cut,
    manifest::{self, Found, Manifest, Rolled},
    paths,
};
use broken::Broken;
use round::Round;

/// The longest windows that are made: a day.
const HIGHEST: u16 = 4;

/// Bytes of lines that are held at once; a busier time becomes several windows first.
const MOST_RAW: usize = 64 << 20;

/// After so many new windows a manifest is written, so that little is done twice if it is stopped.
const WINDOWS_AT_ONCE: usize = 64;

/// More records become no longer window: some 100 bytes of memory are needed for each.
const MOST_RECORDS: u64 = 1 << 20;

/// With as many windows a manifest is two thirds full. What cannot be made longer (there is a damaged segment beside each) stays; no
/// more are added.
const MOST_WINDOWS: usize = 16_384;

/// The shortest windows at whose end a checkpoint is made: an hour.
const CHECKPOINT_LEVEL: u16 = 3;

/// With less history than this since the last one no checkpoint is made before the day is over.
const LEAST_HISTORY: u64 = 64 << 10;

/// How long before its last instant a checkpoint holds ends of what has no state any more.
const ENDS: Duration = Duration::from_secs(24 * 60 * 60);

/// How often another maintainer may be faster before this one gives up.
const RACES: usize = 16;

/// How to maintain an archive.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Name and version of the program.
    software: String,
    /// The level of the shortest windows.
    lowest: u16,
    most_raw: usize,
    most_records: u64,
    most_windows: usize,
    windows_at_once: usize,
    checkpoint_level: u16,
    least_history: u64,
    ends: Duration,
    cut: Cut,
}

impl Rules {
    /// The usual ones for the store that `archive` lies in: where each request costs time, the last minutes are rolled up, too.
    #[must_use]
    pub fn of(archive: &Archive, software: &str) -> Self {
        let lowest = if matches!(archive.store.kind(), StoreKind::Remote) { 1 } else { 2 };
        let software = software.to_owned();
        Self {
            software,
            lowest,
            most_raw: MOST_RAW,
            most_records: MOST_RECORDS,
            most_windows: MOST_WINDOWS,
            windows_at_once: WINDOWS_AT_ONCE,
            checkpoint_level: CHECKPOINT_LEVEL,
            least_history: LEAST_HISTORY,
            ends: ENDS,
            cut: Cut::USUAL,
        }
    }
}

/// What comes from outside.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    /// The clock.
    pub now: Now<'a>,
    /// Draws 16 bytes at random, others each time.
    pub salt: &'a (dyn Fn() -> [u8; 16] + Sync),
}

impl std::fmt::Debug for Door<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// How many segments were rolled up.
    pub segments: u64,
    /// How many windows were made, shorter ones that longer ones have replaced since included.
    pub windows: u64,
    /// How many checkpoints were made.
    pub checkpoints: u64,
    /// Bytes of what was written.
    pub bytes: u64,
    /// The newest manifest; 0 if there is none.
    pub manifest: u64,
    /// How many windows the newest manifest names.
    pub standing: u64,
    /// Segments in windows, and all there are.
    pub covered: u64,
    /// All segments.
    pub all: u64,
    /// How many windows were made anew from their segments: a bundle of theirs was damaged, or a slot before them was rolled up
    /// only later.
    pub remade: u64,
    /// Segments that are damaged and therefore stay as they are, and bundles that cannot be made anew.
    pub damage: Vec<Damage>,
}

/// Rolls up everything that is due.
///
/// # Errors
/// Those of the store, [`ArchiveError::Damaged`] if the newest manifest is, [`ArchiveError::Unsupported`] if maintaining the
/// archive needs a newer program.
pub async fn maintain(archive: &Archive, rules: &Rules, door: Door<'_>) -> Result<Maintained, ArchiveError> {
    if let Some(feature) = archive.identity.features.maintain.first() {
        let what = format!("maintaining it needs the feature {feature:?}");
        return Err(ArchiveError::Unsupported { place: archive.store.place().to_owned(), what });
    }
    let mut done = Maintained::default();
    let mut broken = Broken::default();
    let mut races = 0;
    let mut found = manifest::newest(archive).await?;
    loop {
        let standing = found.as_ref().map(Standing::of).unwrap_or_default();
        let windows = &standing.windows;
        let newest = archive.extent().await?;
        (done.manifest, done.standing) = (number(found.as_ref()), windows.len() as u64);
        done.covered = windows.iter().map(|rolled| rolled.window.slots[1] + 1 - rolled.window.slots[0]).sum();
        done.all = newest;
        let round = Round { archive, rules, door: &door, newest };
        let Some(next) = round.next(standing, &mut broken, &mut done).await? else {
            done.damage.extend(broken.hopeless());
            return Ok(done);
        };
        match commit(archive, rules, &door, found.as_ref(), next).await? {
            Some(ours) => found = Some(ours),
            None => {
                races += 1;
                if races == RACES {
                    let source = "another maintainer is faster each time".into();
                    return Err(ArchiveError::Unavailable { what: "write a manifest".into(), source });
                }
                broken.forget();
                found = manifest::newest(archive).await?;
            }
        }
    }
}

fn number(found: Option<&Found>) -> u64 {
    found.map_or(0, |found| found.manifest.n)
}

/// What a manifest names.
#[derive(Clone, Default)]
struct Standing {
    windows: Vec<Rolled>,
    checkpoints: Vec<Rolled>,
}

impl Standing {
    fn of(found: &Found) -> Self {
        let Manifest { windows, checkpoints, .. } = &found.manifest;
        Self { windows: windows.clone(), checkpoints: checkpoints.clone() }
    }
}

/// Writes the next manifest; none if somebody else's stands there.
async fn commit(
    archive: &Archive,
    rules: &Rules,
    door: &Door<'_>,
    found: Option<&Found>,
    Standing { windows, checkpoints }: Standing,
) -> Result<Option<Found>, ArchiveError> {
    let n = number(found) + 1;
    let written = found.map_or((door.now)(), |found| (door.now)().max(found.manifest.written));
    let manifest = Manifest {
        archive: archive.identity.archive,
        n,
        prev: found.map_or(Digest([0; 32]), |found| found.digest),
        software: rules.software.clone(),
        windows,
        checkpoints,
        written,
        unknown: found.map(|found| found.manifest.unknown.clone()).unwrap_or_default(),
    };
    let before = found.cloned();
    let home = archive.home();
    let encoded = archive.cpu.run(move || {
        let bytes = manifest.to_bytes(&home)?;
        let ours = Found { manifest, digest: Digest::of(&bytes) };
        before.map_or(Ok(()), |before| ours.manifest.follows(&before)).map_err(|fault| fault.detail)?;
        Ok((ours, bytes))
    });
    let (ours, bytes) = encoded.await?.map_err(ArchiveError::Bug)?;
    match archive.store.settle(&paths::manifest(n), &bytes).await? {
        None => Ok(Some(ours)),
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
