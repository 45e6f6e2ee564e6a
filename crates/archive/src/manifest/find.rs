//! Finds the newest manifest.
//!
//! Does not: trust a listing, other than to begin somewhere and to find out that something is missing.

use vmrewind_model::Digest;

use super::{Found, Manifest};
use crate::{
    Archive, ArchiveError,
    format::{Code, fault::Fault, limits},
    paths,
};

/// Reads the newest manifest; none if there is none.
///
/// # Errors
/// Those of the store, [`ArchiveError::Damaged`] if it is damaged or one before it is missing.
pub(crate) async fn newest(archive: &Archive) -> Result<Option<Found>, ArchiveError> {
    let mut n = archive.store.last_manifest().await?;
    let mut found = None;
    if n > 0 {
        let missing = || {
            let fault = Fault::new(Code::Missing, "it is listed, but cannot be read");
            ArchiveError::from(fault.in_object(paths::manifest(n), None))
        };
        found = Some(read(archive, n).await?.ok_or_else(missing)?);
    }
    // A listing may lag.
    while let Some(next) = read(archive, n + 1).await? {
        if let Some(before) = &found {
            next.manifest.follows(before).map_err(|fault| fault.in_object(paths::manifest(n + 1), None))?;
        }
        found = Some(next);
        n += 1;
    }
    Ok(found)
}

/// Reads one manifest; none if there is none.
pub(crate) async fn read(archive: &Archive, n: u64) -> Result<Option<Found>, ArchiveError> {
    let name = paths::manifest(n);
    let Some(bytes) = archive.store.get(&name, limits::MANIFEST).await? else { return Ok(None) };
    let manifest = Manifest::parse(&bytes, archive.identity.archive, n).map_err(|fault| fault.in_object(name, None))?;
    Ok(Some(Found { manifest, digest: Digest::of(&bytes) }))
}
