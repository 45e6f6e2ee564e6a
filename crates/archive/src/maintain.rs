//! Rolls the log up into history: windows of five minutes, an hour, a day. See `spec/manifests.md`.
//!
//! Safe to stop anywhere and to run twice at once: what a manifest names is there, and whoever comes second begins again.
//!
//! Does not: delete anything, or touch what is damaged.

mod broken;
mod merge;
mod plan;
mod roll;
mod write;

use vmrewind_model::{Digest, Timestamp};

use crate::{
    Archive, ArchiveError, Code, Damage, Now, StoreKind,
    format::{bundle::Cut, fault::Fault},
    manifest::{self, Found, Manifest, Rolled},
    paths, read, window,
};
use broken::Broken;

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
        let windows = found.as_ref().map(|found| found.manifest.windows.clone()).unwrap_or_default();
        let newest = archive.extent().await?;
        (done.manifest, done.standing) = (number(found.as_ref()), windows.len() as u64);
        done.covered = windows.iter().map(|rolled| rolled.window.slots[1] + 1 - rolled.window.slots[0]).sum();
        done.all = newest;
        let round = Round { archive, rules, door: &door, newest };
        let Some(next) = round.windows(windows, &mut broken, &mut done).await? else {
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

/// What one manifest adds to the one before it.
struct Round<'a> {
    archive: &'a Archive,
    rules: &'a Rules,
    door: &'a Door<'a>,
    /// The newest slot.
    newest: u64,
}

impl Round<'_> {
    /// Returns the windows with those that are due next; none if none are.
    async fn windows(
        &self,
        mut windows: Vec<Rolled>,
        broken: &mut Broken,
        done: &mut Maintained,
    ) -> Result<Option<Vec<Rolled>>, ArchiveError> {
        let Some(end) = last_instant(self.archive, self.newest).await? else { return Ok(None) };
        // Longer windows come first: what makes the manifest longer has to wait until they have made it shorter.
        loop {
            match self.merge(&mut windows, end, broken, done).await? {
                Merged::Some => return Ok(Some(windows)),
                Merged::None => break,
                Merged::Broken => {}
            }
        }
        if windows.len() < self.rules.most_windows && self.roll(&mut windows, end, broken, done).await? {
            return Ok(Some(windows));
        }
        while let Some(n) = broken.next(&windows) {
            if let Some(made) = self.remake(&windows, n, end, broken).await? {
                made.iter().for_each(|rolled| count(done, rolled));
                done.remade += 1;
                windows.splice(n..=n, made);
                return Ok(Some(windows));
            }
        }
        Ok(None)
    }

    /// Rolls up segments that are due and lie in no window; false if there are none.
    async fn roll(
        &self,
        windows: &mut Vec<Rolled>,
        end: Timestamp,
        broken: &mut Broken,
        done: &mut Maintained,
    ) -> Result<bool, ArchiveError> {
        done.damage.clear();
        let mut made = Vec::new();
        for (before, slots) in plan::uncovered(windows, self.newest) {
            let earlier = before.map_or(&windows[..0], |n| &windows[..=n]);
            let start = broken::start(self.archive, earlier, broken).await?;
            let behind = windows.iter().find(|rolled| rolled.window.slots[0] == slots.end);
            let job = roll::Job { slots: slots.clone(), behind: behind.map(|rolled| rolled.window.prev), newest: end };
            let run = roll::run(self.archive, self.rules, self.door, job, start).await?;
            done.damage.extend(run.damage);
            if !run.windows.is_empty() {
                // What is behind it was made without it.
                let later = windows.iter_mut().filter(|rolled| rolled.window.slots[0] >= slots.end);
                later.for_each(|rolled| rolled.stale = true);
            }
            made.extend(run.windows);
            if run.more {
                break;
            }
        }
        for rolled in &made {
            done.segments += rolled.window.slots[1] + 1 - rolled.window.slots[0];
            count(done, rolled);
        }
        let any = !made.is_empty();
        windows.extend(made);
        windows.sort_by_key(|rolled| rolled.window.slots);
        Ok(any)
    }

    /// Makes windows anew from their segments that lie in the slots of window `n`; none if these are damaged as well.
    async fn remake(
        &self,
        windows: &[Rolled],
        n: usize,
        end: Timestamp,
        broken: &mut Broken,
    ) -> Result<Option<Vec<Rolled>>, ArchiveError> {
        let old = &windows[n];
        let [first, last] = old.window.slots;
        if let Some(damage) = broken::unreadable(self.archive, old).await? {
            broken.give_up(old, damage);
            return Ok(None);
        }
        let start = broken::start(self.archive, &windows[..n], broken).await?;
        let behind = windows.get(n + 1).filter(|next| next.window.slots[0] == last + 1);
        let behind = behind.map(|next| next.window.prev);
        let rules = Rules { windows_at_once: usize::MAX, ..self.rules.clone() };
        let job = roll::Job { slots: first..last + 1, behind, newest: end };
        let run = roll::run(self.archive, &rules, self.door, job, start).await?;
        let all = run.windows.iter().map(|rolled| rolled.window.slots[1] + 1 - rolled.window.slots[0]).sum::<u64>();
        if all != last + 1 - first {
            let fault = Fault::new(Code::Chain, "its segments do not make the same window again");
            broken.give_up(old, window::damaged(&old.parts[0], fault));
            return Ok(None);
        }
        broken.remade(old);
        Ok(Some(run.windows))
    }

    /// Makes windows to longer ones.
    async fn merge(
        &self,
        windows: &mut Vec<Rolled>,
        end: Timestamp,
        broken: &mut Broken,
        done: &mut Maintained,
    ) -> Result<Merged, ArchiveError> {
        let mut merged = 0;
        let mut fresh: Vec<[u64; 2]> = Vec::new();
        while let Some(plan::Merge { windows: range, level }) =
            plan::merge(windows, end, HIGHEST, self.rules.most_records, &|rolled| broken.bars(rolled))
        {
            // What was just made is named by a manifest before something else replaces it: else its bundles would be strays.
            if windows[range.clone()].iter().any(|rolled| fresh.contains(&rolled.window.slots)) {
                break;
            }
            let longer = match merge::merge(self.archive, self.rules, self.door, &windows[range.clone()], level).await {
                Ok(longer) => longer,
                Err(ArchiveError::Damaged(damage)) => {
                    let names = |rolled: &&Rolled| broken::names(rolled, &damage);
                    let Some(old) = windows[range].iter().find(names) else { return Err(damage.into()) };
                    broken.add(old, *damage);
                    if merged > 0 {
                        break;
                    }
                    return Ok(Merged::Broken);
                }
                Err(error) => return Err(error),
            };
            count(done, &longer);
            fresh.push(longer.window.slots);
            windows.splice(range, [longer]);
            merged += 1;
            if merged == self.rules.windows_at_once {
                break;
            }
        }
        Ok(if merged > 0 { Merged::Some } else { Merged::None })
    }
}

/// What came of merging.
enum Merged {
    Some,
    None,
    /// A bundle that was needed is damaged.
    Broken,
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
