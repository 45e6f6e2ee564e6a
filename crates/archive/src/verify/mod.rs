//! Checks a whole archive: what is wrong with it, and what is lost by that.
//!
//! ```text
//! layout (names) -> look (one slot: its end, or all of it) -> Checker (one after the other) -> Report
//!                -> manifests -> windows (one at a time, behind its last slot) ------------^
//! ```
//!
//! Does not: repair, or pass over anything without saying so.

mod checker;
mod gaps;
mod history;
mod layout;
mod look;
mod manifests;
mod report;
mod resumes;
mod sample;
mod slots;
mod windows;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;
use vmrewind_model::{Digest, Timestamp};

use crate::{
    Archive, ArchiveError, Code, Cpu, Damage, Features, Fingerprint, Identity, Progress, SecretKey, Store,
    format::{VERSION, decode, limits},
    paths,
};
use checker::{Checker, Verdict};
use layout::Layout;
use look::Look;
use manifests::Chain;
use windows::Windows;

pub use report::{About, Checked, Depth, Loss, Note, NoteKind, Problem, Report, Symptom};
pub use sample::Sample;
pub use slots::{Slots, SlotsError};
pub use windows::HistoryChecked;

/// How many slots are looked at at once.
const AT_ONCE: usize = 16;

/// How many segments are held in full at once: one that is being used, and one for each of two cores.
const WHOLE_AT_ONCE: usize = 3;

/// How many slots that a listing lacks are asked for one by one.
const ASKED: u64 = 256;

/// How many slots behind the last listed one are asked for: a writer may be at work.
const BEHIND: u64 = 4096;

/// How many slots may be missing at most for it to be looked whether gaps account for them.
const ACCOUNTABLE: u64 = 100_000;

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// How deep.
    pub depth: Depth,
    /// Of which segments, if not of all: of the others only the end is looked at. What the records of different segments say of
    /// each other is then checked only from one to the next. A window that was rolled up is read in full if its last segment is:
    /// so a share of the windows is read, and once all segments were read by repeated runs, all windows were.
    pub sample: Option<Sample>,
    /// What opens the archive, if it is encrypted.
    pub identities: Vec<SecretKey>,
    /// The fingerprint of the key of the archive that is meant: another one is not checked.
    pub told: Option<Fingerprint>,
}

/// Checks the archive in `store`. The same archive gives the same report.
///
/// Takes one LIST, one ranged GET per segment for its end (a second one if footer, index and resume map take more than 16 KiB),
/// or one GET for all of it; for damaged ones it reads more, to say what is lost. Of history it reads all manifests, and of each
/// bundle that the newest one names the last 64 KiB, or all of it. Holds at most three segments, one bundle, some hundred bytes for each
/// record of one window, and, for [`Depth::Deep`], some hundred bytes per object that was ever recorded.
///
/// # Errors
/// [`ArchiveError::NoArchive`] if neither an `archive.json` nor a segment is there, [`ArchiveError::Unsupported`] if it needs a
/// newer program, and those of the store. Damage is no error.
pub async fn verify(
    store: &Store,
    cpu: Cpu,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report, ArchiveError> {
    let mut checker = Checker::new(options.depth == Depth::Deep);
    let (identity, root) = identity(store, &mut checker).await?.unzip();
    let layout = layout(store).await?;
    if identity.is_none() && layout.slots.is_empty() && !store.has(paths::IDENTITY).await? {
        return Err(ArchiveError::NoArchive { place: store.place().to_owned() });
    }
    for name in &layout.strange {
        checker.problem(Problem::harmless(
            Symptom::Code(Code::Name),
            name,
            None,
            "it lies among the segments or manifests and has the name of none",
        ));
    }
    for name in &layout.unknown {
        let detail = "this version knows no such name".to_owned();
        checker.note(Note { kind: NoteKind::UnknownName, object: name.clone(), slot: None, detail, key: None });
    }
    let id = match &identity {
        Some(identity) => identity.archive,
        None => archive_of(store, &layout).await?.unwrap_or_default(),
    };
    let stand_in = match &identity {
        Some(identity) => identity.clone(),
        None => stand_in(id, store.has(&paths::keys(1)).await?),
    };
    let archive = Archive::nameless(store.clone(), stand_in, cpu);
    let mut archive = archive.reading_the_log_only();
    archive.root = root.unwrap_or(archive.root);
    let (archive, keys) = archive.unlock_for_reading(options.identities.clone(), options.told).await?;
    if let Some(told) = options.told.filter(|_| identity.is_some()) {
        archive.pinned_to(told)?;
    }
    for damage in keys {
        checker.problem(Problem::harmless(Symptom::Code(damage.code), &damage.object, None, damage.detail));
    }
    let mut chain = manifests::chain(&archive, &layout).await?;
    chain.problems.drain(..).for_each(|problem| checker.problem(problem));
    let (rolled, checkpoints) = (std::mem::take(&mut chain.windows), std::mem::take(&mut chain.checkpoints));
    let mut windows = Windows::new(&archive, options.depth, rolled, checkpoints);
    count(&mut windows.checked, &chain, &layout, &mut checker);
    let cut_off = windows.checked.slots.ranges().last().map(|range| *range.end());
    slots(&archive, &layout, options, progress, &mut checker, &mut windows).await?;
    if let Some(last) = cut_off {
        let head = layout.slots.last().map_or(0, |(slot, _)| *slot);
        if head <= last {
            checker.problem(Problem::cut_off(head, last + 1));
        }
    }
    let history = windows.checked;
    let Verdict { problems, accounted, notes, more_notes, mut checked } = judge(&archive, &layout, checker).await?;
    checked.bytes = layout.slots.iter().map(|(_, size)| size).sum();
    checked.history = history;
    Ok(Report {
        identity,
        place: store.place().to_owned(),
        depth: options.depth,
        checked,
        problems,
        accounted,
        notes,
        more_notes,
    })
}

/// Counts what was rolled up, and tells what no manifest names.
fn count(checked: &mut HistoryChecked, chain: &Chain, layout: &Layout, checker: &mut Checker) {
    (checked.manifests, checked.newest) = (chain.count, chain.newest);
    let add = |sum: (u64, u64), size: u64| (sum.0 + 1, sum.1 + size);
    for (bundle, size) in &layout.bundles {
        if !chain.named.contains(bundle) {
            checked.unnamed = add(checked.unnamed, *size);
        } else if !chain.standing.contains(bundle) {
            checked.replaced = add(checked.replaced, *size);
        }
    }
    // What a manifest names that cannot be read is not known.
    if let ((count @ 1.., bytes), true) = (checked.unnamed, chain.complete) {
        let detail = format!(
            "{count} that no manifest names, {bytes} bytes: they were written for nothing, and nobody reads them"
        );
        let object = format!("{}/", paths::HISTORY);
        checker.note(Note { kind: NoteKind::UnnamedBundles, object, slot: None, detail, key: None });
    }
}

/// Reads `archive.json`, and its digest; none if it is damaged or missing, which is a problem.
async fn identity(store: &Store, checker: &mut Checker) -> Result<Option<(Identity, Digest)>, ArchiveError> {
    let place = store.place().to_owned();
    let (code, detail) = match store.get(paths::IDENTITY, limits::IDENTITY).await? {
        None => (Code::Identity, "it is not there".to_owned()),
        Some(bytes) => match Identity::check(&bytes) {
            Ok(identity) => return Ok(Some((identity, Digest::of(&bytes)))),
            Err(fault) if matches!(fault.code, Code::Version | Code::Feature) => {
                return Err(ArchiveError::Unsupported { place, what: fault.detail });
            }
            Err(fault) => (fault.code, fault.detail),
        },
    };
    checker.problem(Problem::harmless(Symptom::Code(code), paths::IDENTITY, None, detail));
    Ok(None)
}

/// Lists the archive, and asks for what the listing may lack: it is only a hint.
async fn layout(store: &Store) -> Result<Layout, ArchiveError> {
    let mut layout: Layout = store.all_objects(Layout::add).await?;
    layout.sort();
    let last = layout.slots.last().map_or(0, |(slot, _)| *slot);
    let mut lacking: Vec<u64> = Vec::new();
    for (first, last) in layout.holes() {
        let left = ASKED.saturating_sub(lacking.len() as u64);
        lacking.extend((first..=last).take(usize::try_from(left).unwrap_or(0)));
    }
    for slot in lacking {
        if let Some(size) = store.size(&paths::segment(slot)).await? {
            layout.slots.push((slot, size));
        }
    }
    for slot in (last + 1..=limits::NUMBER).take(usize::try_from(BEHIND).unwrap_or(usize::MAX)) {
        match store.size(&paths::segment(slot)).await? {
            Some(size) => layout.slots.push((slot, size)),
            None => break,
        }
    }
    layout.sort();
    Ok(layout)
}

/// Finds out from the segments which archive it is.
async fn archive_of(store: &Store, layout: &Layout) -> Result<Option<Uuid>, ArchiveError> {
    /// Length of a footer.
    const FOOTER: u64 = 384;
    for &(slot, size) in layout.slots.iter().filter(|(_, size)| *size >= FOOTER) {
        let tail = store.range_if_there(&paths::segment(slot), size - FOOTER..size).await?.unwrap_or(Bytes::new());
        if let Some(archive) = decode::archive_of(&tail, size) {
            return Ok(Some(archive));
        }
    }
    Ok(None)
}

/// What stands in for an identity that cannot be read.
fn stand_in(archive: Uuid, encrypted: bool) -> Identity {
    Identity {
        format: VERSION,
        features: Features::default(),
        archive,
        cluster: String::new(),
        encrypted,
        created: Timestamp::MIN,
        software: String::new(),
    }
}

/// A slot that is to be looked at.
enum Task {
    Missing(u64, u64),
    Look { slot: u64, size: u64, permit: Option<OwnedSemaphorePermit> },
}

/// Looks at all slots in order.
async fn slots(
    archive: &Archive,
    layout: &Layout,
    options: &Options,
    progress: &dyn Progress,
    checker: &mut Checker,
    windows: &mut Windows<'_>,
) -> Result<(), ArchiveError> {
    let taken: Vec<u64> = layout.slots.iter().map(|(slot, _)| *slot).collect();
    let whole = match (&options.sample, options.depth) {
        (_, Depth::Ends) => Slots::default(),
        (Some(sample), _) => sample::choose(&taken, sample),
        (None, _) => taken.iter().copied().collect(),
    };
    let deep = options.depth == Depth::Deep;
    let holes: BTreeMap<u64, u64> = layout.holes().into_iter().collect();
    let mut next = 1;
    let tasks = layout.slots.iter().flat_map(|&(slot, size)| {
        let hole = (next < slot).then(|| Task::Missing(next, holes.get(&next).copied().unwrap_or(slot - 1)));
        next = slot + 1;
        hole.into_iter().chain([Task::Look { slot, size, permit: None }])
    });
    // Permits are given in the order of the slots, so that the one that is waited for has one.
    let held = Arc::new(Semaphore::new(WHOLE_AT_ONCE));
    let (whole, held) = (&whole, &held);
    let permitted = stream::iter(tasks).then(move |task| async move {
        match task {
            Task::Look { slot, size, .. } if whole.contains(slot) => {
                let permit = Arc::clone(held).acquire_owned().await.ok();
                Task::Look { slot, size, permit }
            }
            task => task,
        }
    });
    let looks = permitted.map(|task| async move {
        match task {
            Task::Missing(first, last) => Ok((Err((first, last)), None)),
            Task::Look { slot, size, permit: None } => Ok((Ok(look::end(archive, slot, size).await?), None)),
            Task::Look { slot, permit, .. } => Ok((Ok(look::all(archive, slot, deep).await?), permit)),
        }
    });
    let total = layout.slots.len() as u64;
    let mut done = 0;
    let mut looks = std::pin::pin!(looks.buffered(AT_ONCE));
    while let Some((look, permit)) = looks.try_next().await.map_err(|error: ArchiveError| error)? {
        match look {
            Err((first, last)) => {
                windows.until(first, whole, checker).await?;
                windows.missing(first, last);
                checker.missing(first, last);
            }
            Ok(look @ Look { .. }) => {
                windows.until(look.slot, whole, checker).await?;
                windows.take(&look);
                checker.take(look);
                done += 1;
                progress.segments(done, total);
            }
        }
        drop(permit);
    }
    windows.until(u64::MAX, whole, checker).await
}

/// Finds out which damage gaps account for, as every reader does.
async fn judge(archive: &Archive, layout: &Layout, checker: Checker) -> Result<Verdict, ArchiveError> {
    let missing: u64 = layout.holes().iter().map(|(first, last)| last - first + 1).fold(0, u64::saturating_add);
    if !checker.is_damaged() || missing > ACCOUNTABLE {
        return Ok(checker.finish(|_| false));
    }
    let timeline = archive.timeline().await?;
    Ok(checker.finish(|damage: &Damage| timeline.accounts_for(damage)))
}
