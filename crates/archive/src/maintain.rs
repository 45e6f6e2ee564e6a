//! Rolls the log up into history: windows of five minutes, an hour, a day. See `spec/manifests.md`.
//!
//! Safe to stop anywhere and to run twice at once: what a manifest names is there, and whoever comes second begins again.
//!
//! Does not: delete anything, or touch what is damaged.

mod merge;
mod plan;
mod roll;
mod write;

use vmrewind_model::{Digest, Timestamp};

use crate::{
    Archive, ArchiveError, Damage, Now, StoreKind,
    format::bundle::Cut,
    manifest::{self, Found, Manifest, Rolled},
    paths, read, window,
};

/// The longest windows that are made: a day.
const HIGHEST: u16 = 4;

/// Bytes of lines that are held at once; a busier time becomes several windows first.
const MOST_RAW: usize = 64 << 20;

/// After so many new windows a manifest is written, so that little is done twice if it is stopped.
const WINDOWS_AT_ONCE: usize = 64;

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
    windows_at_once: usize,
    cut: Cut,
}

impl Rules {
    /// The usual ones for the store that `archive` lies in: where each request costs time, the last minutes are rolled up, too.
    #[must_use]
    pub fn of(archive: &Archive, software: &str) -> Self {
        let lowest = if matches!(archive.store.kind(), StoreKind::Remote) { 1 } else { 2 };
        let software = software.to_owned();
        Self { software, lowest, most_raw: MOST_RAW, windows_at_once: WINDOWS_AT_ONCE, cut: Cut::USUAL }
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
    /// Segments that are damaged and therefore stay as they are.
    pub damage: Vec<Damage>,
}

/// Rolls up everything that is due.
///
/// # Errors
/// Those of the store, [`ArchiveError::Damaged`] if a manifest or a bundle is, [`ArchiveError::Unsupported`] if maintaining the
/// archive needs a newer program.
pub async fn maintain(archive: &Archive, rules: &Rules, door: Door<'_>) -> Result<Maintained, ArchiveError> {
    if let Some(feature) = archive.identity.features.maintain.first() {
        let what = format!("maintaining it needs the feature {feature:?}");
        return Err(ArchiveError::Unsupported { place: archive.store.place().to_owned(), what });
    }
    let mut done = Maintained::default();
    let mut races = 0;
    let mut found = manifest::newest(archive).await?;
    loop {
        let windows = found.as_ref().map(|found| found.manifest.windows.clone()).unwrap_or_default();
        let newest = archive.extent().await?;
        (done.manifest, done.standing) = (number(found.as_ref()), windows.len() as u64);
        done.covered = windows.iter().map(|rolled| rolled.window.slots[1] + 1 - rolled.window.slots[0]).sum();
        done.all = newest;
        let Some(next) = round(archive, rules, &door, windows, newest, &mut done).await? else { return Ok(done) };
        match commit(archive, rules, &door, found.as_ref(), next).await? {
            Some(ours) => found = Some(ours),
            None => {
                races += 1;
                if races == RACES {
                    let source = "another maintainer is faster each time".into();
                    return Err(ArchiveError::Unavailable { what: "write a manifest".into(), source });
                }
                found = manifest::newest(archive).await?;
            }
        }
    }
}

fn number(found: Option<&Found>) -> u64 {
    found.map_or(0, |found| found.manifest.n)
}

/// Makes the windows that are due next; none if none are.
async fn round(
    archive: &Archive,
    rules: &Rules,
    door: &Door<'_>,
    mut windows: Vec<Rolled>,
    newest: u64,
    done: &mut Maintained,
) -> Result<Option<Vec<Rolled>>, ArchiveError> {
    let Some(end) = last_instant(archive, newest).await? else { return Ok(None) };
    done.damage.clear();
    let mut made = Vec::new();
    for (before, slots) in plan::uncovered(&windows, newest) {
        let before = match before {
            Some(n) => Some(window::open(archive, &windows[n], 0).await?.bundle),
            None => None,
        };
        let run = roll::run(archive, rules, door, slots.clone(), before.as_deref(), end).await?;
        done.damage.extend(run.damage);
        made.extend(run.windows);
        // What stands between two windows must fit the one behind it, too.
        let behind = windows.iter().find(|rolled| rolled.window.slots[0] == slots.end);
        let fits = |last: &Rolled, behind: &Rolled| last.window.head == behind.window.prev;
        if let (Some(last), Some(behind)) = (made.last(), behind)
            && last.window.slots[1] + 1 == slots.end
            && !fits(last, behind)
        {
            made.pop();
        }
        if run.more {
            break;
        }
    }
    for rolled in &made {
        done.segments += rolled.window.slots[1] + 1 - rolled.window.slots[0];
        count(done, rolled);
    }
    if !made.is_empty() {
        windows.extend(made);
        windows.sort_by_key(|rolled| rolled.window.slots);
        return Ok(Some(windows));
    }
    let mut merged = 0;
    let mut fresh: Vec<[u64; 2]> = Vec::new();
    while let Some(plan::Merge { windows: range, level }) = plan::merge(&windows, end, HIGHEST) {
        // What was just made is named by a manifest before something else replaces it: else its bundles would be strays.
        if windows[range.clone()].iter().any(|rolled| fresh.contains(&rolled.window.slots)) {
            break;
        }
        let longer = merge::merge(archive, rules, door, &windows[range.clone()], level).await?;
        count(done, &longer);
        fresh.push(longer.window.slots);
        windows.splice(range, [longer]);
        merged += 1;
        if merged == rules.windows_at_once {
            break;
        }
    }
    Ok((merged > 0).then_some(windows))
}

fn count(done: &mut Maintained, rolled: &Rolled) {
    done.windows += 1;
    done.bytes += rolled.parts.iter().map(|part| part.size).sum::<u64>();
}

/// The watermark of the newest segment whose end can be read.
async fn last_instant(archive: &Archive, newest: u64) -> Result<Option<Timestamp>, ArchiveError> {
    for slot in (1..=newest).rev() {
        match read::end(archive, slot).await {
            Ok((summary, _)) => return Ok(Some(summary.t_last)),
            Err(ArchiveError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Writes the next manifest; none if somebody else's stands there.
async fn commit(
    archive: &Archive,
    rules: &Rules,
    door: &Door<'_>,
    found: Option<&Found>,
    windows: Vec<Rolled>,
) -> Result<Option<Found>, ArchiveError> {
    let n = number(found) + 1;
    let written = found.map_or((door.now)(), |found| (door.now)().max(found.manifest.written));
    let manifest = Manifest {
        archive: archive.identity.archive,
        n,
        prev: found.map_or(Digest([0; 32]), |found| found.digest),
        software: rules.software.clone(),
        windows,
        written,
        unknown: found.map(|found| found.manifest.unknown.clone()).unwrap_or_default(),
    };
    let bytes = manifest.to_bytes().map_err(ArchiveError::Bug)?;
    let digest = Digest::of(&bytes);
    let ours = Found { manifest, digest };
    if let Some(found) = found {
        ours.manifest.follows(found).map_err(|fault| ArchiveError::Bug(fault.detail))?;
    }
    match archive.store.settle(&paths::manifest(n), &bytes).await? {
        None => Ok(Some(ours)),
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
