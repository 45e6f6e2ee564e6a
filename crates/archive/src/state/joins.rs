//! Where windows and the log meet: whether one follows the other, and what was made without something that is there now.
//!
//! Does not: read records.

use vmrewind_model::Digest;

use crate::{Archive, ArchiveError, Part, format::link::Before, manifest::Rolled, read, window};

/// Returns how many windows there are before the first hole that can be read: what is behind it was made without what was put back
/// there, whether or not a manifest tells so yet.
pub(super) async fn sure(archive: &Archive, windows: &[Rolled]) -> Result<usize, ArchiveError> {
    let mut next = 1;
    for (n, rolled) in windows.iter().enumerate() {
        for slot in next..rolled.window.slots[0] {
            if read::summary(archive, slot).await?.is_some_and(|own| own.records > 0) {
                return Ok(n);
            }
        }
        next = rolled.window.slots[1] + 1;
    }
    Ok(windows.len())
}

/// Tells whether a window follows the segment before it, as far as that can be read; windows that stand side by side the manifest
/// has compared.
pub(crate) async fn joins(archive: &Archive, rolled: &Rolled) -> Result<bool, ArchiveError> {
    let window = &rolled.window;
    if window.slots[0] == 1 {
        return Ok(true);
    }
    let Part::Whole(before) = read::part(archive, window.slots[0] - 1).await? else { return Ok(true) };
    let later = before.summary.t_last <= window.times[0];
    // A fence that begins anew names no predecessor.
    let anew = window.prev == Digest([0; 32]) && before.summary.seqs.last < window.seqs.first;
    let joined = window.prev == before.digest && before.summary.seqs.last.next() == window.seqs.first;
    Ok(later && (anew || joined))
}

/// What stands before a slot: a window, or a segment; none if that is not known.
pub(crate) async fn before(archive: &Archive, windows: &[Rolled], slot: u64) -> Result<Option<Before>, ArchiveError> {
    if slot == 1 {
        return Ok(Some(Before::first()));
    }
    if let Some(rolled) = windows.iter().find(|rolled| rolled.window.slots[1] + 1 == slot) {
        match window::open(archive, rolled, 0).await {
            Ok(opened) => return Ok(Some(Before { head: opened.bundle.head(), digest_known: true })),
            Err(ArchiveError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(match read::part(archive, slot - 1).await? {
        Part::Whole(segment) => Some(Before::of(&segment.summary, Some(segment.digest))),
        Part::Damaged(..) => None,
    })
}
