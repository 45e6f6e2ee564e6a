//! Makes a place the copy of an archive, or finds out that it is one.
//!
//! Does not: copy segments.

use crate::{ArchiveError, Identity, Store, format::limits, paths, probe};

/// Gives `target` the identity of the archive in `source`; true if it had none. Safe to repeat after a crash.
///
/// # Errors
/// [`ArchiveError::OtherArchive`], [`ArchiveError::NotEmpty`] and [`ArchiveError::Differs`] if something else is there,
/// [`ArchiveError::UnsafeStore`] if the store does not keep its promises, and those of the stores.
pub(super) async fn prepare(source: &Store, target: &Store, identity: &Identity) -> Result<bool, ArchiveError> {
    let Some(bytes) = source.get(paths::IDENTITY, limits::IDENTITY).await? else {
        return Err(ArchiveError::NoArchive { place: source.place().into() });
    };
    let theirs = match target.get(paths::IDENTITY, limits::IDENTITY).await? {
        Some(theirs) => {
            // A store that let a copy be overwritten would be noticed too late.
            probe::refuses_to_overwrite(target).await?;
            Some(theirs)
        }
        None => {
            let foreign = target.first_name(|name| !paths::is_probe(name)).await?;
            if let Some(found) = foreign {
                return Err(ArchiveError::NotEmpty { place: target.place().into(), found });
            }
            target.prepare().await?;
            probe::exclusive(target, &identity.archive.simple().to_string()).await?;
            match target.settle(paths::IDENTITY, &bytes).await? {
                None => return Ok(true),
                theirs => theirs,
            }
        }
    };
    match theirs {
        Some(theirs) if theirs == bytes => Ok(false),
        Some(theirs) => match Identity::check(&theirs) {
            Ok(other) if other.archive != identity.archive => Err(ArchiveError::OtherArchive {
                place: target.place().into(),
                archive: other.archive,
                wanted: identity.archive,
            }),
            _ => Err(ArchiveError::Differs {
                object: paths::IDENTITY.into(),
                from: source.place().into(),
                to: target.place().into(),
                damage: None,
            }),
        },
        None => Err(ArchiveError::NoArchive { place: target.place().into() }),
    }
}
