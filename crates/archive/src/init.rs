//! Makes an archive in an empty place.
//!
//! Does not: touch a place that holds anything.

use uuid::Uuid;
use vmrewind_model::Timestamp;

use crate::{
    ArchiveError, Features, Identity, Store,
    format::{VERSION, limits},
    paths, probe,
};

/// What a new archive is to be.
#[derive(Clone, Debug)]
pub struct NewArchive {
    /// The archive's own id, drawn at random by the caller.
    pub archive: Uuid,
    /// The uid of the cluster's namespace `kube-system`.
    pub cluster: String,
    /// Now.
    pub created: Timestamp,
    /// Name and version of the program.
    pub software: String,
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
        created: new.created,
        software: new.software,
    };
    let bytes = identity.to_bytes()?;
    if let Some(theirs) = existing(store).await? {
        return Err(already(store, &theirs));
    }
    let foreign = store.first_name(|name| !name.starts_with(paths::PROBE)).await?;
    if let Some(found) = foreign {
        return Err(ArchiveError::NotEmpty { place: store.place().into(), found });
    }
    store.prepare().await?;
    probe::exclusive(store, &identity.archive.simple().to_string()).await?;
    match store.settle(paths::IDENTITY, &bytes).await? {
        None => Ok(identity),
        Some(found) => match Identity::parse(&found, store.place())? {
            found if found == identity => Ok(identity),
            theirs => Err(already(store, &theirs)),
        },
    }
}

async fn existing(store: &Store) -> Result<Option<Identity>, ArchiveError> {
    let bytes = store.get(paths::IDENTITY, limits::IDENTITY).await?;
    bytes.map(|bytes| Identity::parse(&bytes, store.place())).transpose()
}

fn already(store: &Store, theirs: &Identity) -> ArchiveError {
    ArchiveError::AlreadyArchive { place: store.place().into(), archive: theirs.archive }
}
