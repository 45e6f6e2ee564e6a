//! Makes an archive in an empty place.
//!
//! Does not: touch a place that holds anything.

use bytes::Bytes;
use uuid::Uuid;
use vmrewind_model::Timestamp;

use crate::{
    ArchiveError, Features, Identity, Store,
    format::{VERSION, limits},
    keys::{self, NewKeys},
    paths, probe,
};

/// What a new archive is to be.
#[derive(Debug)]
pub struct NewArchive {
    /// The archive's own id, drawn at random by the caller.
    pub archive: Uuid,
    /// The uid of the cluster's namespace `kube-system`.
    pub cluster: String,
    /// Now.
    pub created: Timestamp,
    /// Name and version of the program.
    pub software: String,
    /// Whom it is encrypted to; none if it is not.
    pub keys: Option<NewKeys>,
}

/// Probes the store and makes an archive in it. Safe to call again after [`ArchiveError::Unavailable`].
///
/// # Errors
/// [`ArchiveError::AlreadyArchive`] and [`ArchiveError::NotEmpty`] if something is there,
/// [`ArchiveError::UnsafeStore`] if the probe fails, or why the store cannot be used.
pub async fn init(store: &Store, new: NewArchive) -> Result<Identity, ArchiveError> {
    let identity = Identity {
        format: VERSION,
        features: Features::default(),
        archive: new.archive,
        cluster: new.cluster,
        encrypted: new.keys.is_some(),
        created: new.created,
        software: new.software,
    };
    let bytes = identity.to_bytes()?;
    if let Some((theirs, bytes)) = existing(store).await? {
        // Its making may have been stopped before it had keys.
        return match &new.keys {
            Some(keys) if theirs.encrypted && theirs.cluster == identity.cluster && keys::unfinished(store).await? => {
                keys::begin(store, &theirs, &bytes, keys, &theirs.software).await?;
                Ok(theirs)
            }
            _ => Err(already(store, &theirs)),
        };
    }
    let foreign = store.first_name(|name| !name.starts_with(paths::PROBE)).await?;
    if let Some(found) = foreign {
        return Err(ArchiveError::NotEmpty { place: store.place().into(), found });
    }
    store.prepare().await?;
    probe::exclusive(store, &identity.archive.simple().to_string()).await?;
    let written = match store.settle(paths::IDENTITY, &bytes).await? {
        None => bytes,
        Some(found) => match Identity::parse(&found, store.place())? {
            ours if ours == identity && found == bytes => found,
            theirs => return Err(already(store, &theirs)),
        },
    };
    if let Some(new) = &new.keys {
        keys::begin(store, &identity, &written, new, &identity.software).await?;
    }
    Ok(identity)
}

/// Reads what is there, and its bytes: the keys vouch for these and no others.
async fn existing(store: &Store) -> Result<Option<(Identity, Bytes)>, ArchiveError> {
    let Some(bytes) = store.get(paths::IDENTITY, limits::IDENTITY).await? else { return Ok(None) };
    Ok(Some((Identity::parse(&bytes, store.place())?, bytes)))
}

fn already(store: &Store, theirs: &Identity) -> ArchiveError {
    ArchiveError::AlreadyArchive { place: store.place().into(), archive: theirs.archive }
}
