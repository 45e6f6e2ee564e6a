//! Finds the newest manifest.
//!
//! Does not: trust a listing, other than to begin somewhere and to find out that something is missing.

use vmrewind_model::Digest;

use super::{Found, Manifest};
use crate::{
    Archive, ArchiveError,
    format::{Code, fault::Fault, limits},
    head, paths,
};

/// Reads the newest manifest; none if there is none.
///
/// # Errors
/// Those of the store, [`ArchiveError::Damaged`] if it is damaged, or does not follow the one before it.
pub(crate) async fn newest(archive: &Archive) -> Result<Option<Found>, ArchiveError> {
    let mut n = listed(archive).await?;
    let mut found = None;
    if n > 0 {
        let wrong = |fault: Fault| ArchiveError::from(fault.in_object(paths::manifest(n), None));
        let missing = || wrong(Fault::new(Code::Missing, "it is listed, but cannot be read"));
        let newest = read(archive, n).await?.ok_or_else(missing)?;
        if n > 1 {
            // Nobody needs the one before it, if it cannot be read: the newest says all. A check names it.
            match read(archive, n - 1).await {
                Ok(Some(before)) => newest.manifest.follows(&before).map_err(wrong)?,
                Ok(None) => tracing::warn!(n = n - 1, "a manifest is missing; the one behind it is used"),
                Err(ArchiveError::Damaged(damage)) => tracing::warn!(%damage, "the manifest behind it is used"),
                Err(error) => return Err(error),
            }
        }
        found = Some(newest);
    }
    // A listing may lag.
    while n < limits::NUMBER
        && let Some(next) = read(archive, n + 1).await?
    {
        if let Some(before) = &found {
            next.manifest.follows(before).map_err(|fault| fault.in_object(paths::manifest(n + 1), None))?;
        }
        found = Some(next);
        n += 1;
    }
    Ok(found)
}

/// Finds the largest number that the store lists; 0 if there is none. Of many manifests only the first page is listed: the rest
/// is found as the newest segment is, by doubling and halving.
pub(crate) async fn listed(archive: &Archive) -> Result<u64, ArchiveError> {
    let store = &archive.store;
    let (mut n, mut more) = store.last_manifest(0).await?;
    while more {
        let taken = |n: u64| async move { Ok(store.size(&paths::manifest(n)).await?.is_some()) };
        n = head::gallop(n, taken).await?;
        // Behind one that is missing there may be others.
        let (last, page) = store.last_manifest(n).await?;
        (n, more) = (last, page && last > n);
    }
    Ok(n)
}

/// Reads one manifest; none if there is none.
pub(crate) async fn read(archive: &Archive, n: u64) -> Result<Option<Found>, ArchiveError> {
    let name = paths::manifest(n);
    let Some(bytes) = archive.store.get(&name, limits::MANIFEST).await? else { return Ok(None) };
    let home = archive.home();
    if home.is_sealed() && !home.vouches() {
        tracing::warn!(n, "without an identity it cannot be checked who wrote this manifest");
    }
    let parsed =
        archive.cpu.run(move || Manifest::parse(&bytes, &home, n).map(|manifest| (manifest, Digest::of(&bytes))));
    let (manifest, digest) = parsed.await?.map_err(|fault| fault.in_object(name, None))?;
    Ok(Some(Found { manifest, digest }))
}
