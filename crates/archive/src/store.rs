//! The store that an archive lies in.
//!
//! Does not: overwrite; every object is created once.

mod answer;
mod directory;
mod listing;
mod open;
mod patience;
mod read;
mod settle;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, memory::InMemory, path::Path};

pub(crate) use self::answer::Answer;
pub use self::patience::Patience;
pub(crate) use self::settle::{ATTEMPTS, Settled};
use crate::{ArchiveError, ArchiveUrl, format::limits};

/// What kind of store it is, as far as that matters for safety.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A directory: what is visible is not yet durable, and an error while writing is final.
    Directory(PathBuf),
    /// Memory: gone with the process.
    Memory,
    /// A service that answers only for what is durable, and whose answers may be lost on the way.
    Remote,
}

/// The store that an archive lies in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    kind: StoreKind,
    place: String,
    patience: Patience,
    /// Set once it has answered with the whole of an object when a part was asked for.
    ignores_ranges: Arc<AtomicBool>,
}

/// How an attempt to create an object ended.
#[derive(Debug)]
pub(crate) enum Created {
    /// It was created, and is durable.
    Yes,
    /// Something stands under the name: perhaps an earlier attempt of our own. Or, if nothing can be read there, somebody is
    /// about to create it (S3's 409), and it is to be tried again.
    Exists,
    /// It is not known: an error, or no answer in time.
    Unknown(ArchiveError),
}

impl Store {
    /// Opens the store that `url` names. Makes no request; a directory must exist.
    ///
    /// # Errors
    /// [`ArchiveError::Url`] if the options do not fit, and why a directory cannot be opened.
    pub fn open(url: &ArchiveUrl) -> Result<Self, ArchiveError> {
        open::open(url)
    }

    /// As [`Self::open`], and makes the directory if it does not exist but its parent does.
    ///
    /// # Errors
    /// As [`Self::open`], and why the directory cannot be made.
    pub fn open_or_make(url: &ArchiveUrl) -> Result<Self, ArchiveError> {
        open::make(url)?;
        open::open(url)
    }

    /// Takes a store that exists.
    #[must_use]
    pub fn from_parts(inner: Arc<dyn ObjectStore>, kind: StoreKind) -> Self {
        let place = match &kind {
            StoreKind::Directory(path) => path.display().to_string(),
            StoreKind::Memory | StoreKind::Remote => inner.to_string(),
        };
        let (patience, ignores_ranges) = (Patience::NONE, Arc::default());
        Self { inner, kind, place, patience, ignores_ranges }
    }

    /// Sets how long it is asked again when it fails; a service that [`Self::open`] opened has [`Patience::SERVICE`].
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Makes an empty store in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::from_parts(Arc::new(InMemory::new()), StoreKind::Memory)
    }

    /// Returns what kind of store it is.
    #[must_use]
    pub fn kind(&self) -> &StoreKind {
        &self.kind
    }

    /// Returns its place as text, without credentials.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Tries once to create an object. In a directory it is durable, and readable by its owner only, when this returns.
    ///
    /// # Errors
    /// [`ArchiveError::StoreFailed`] for a directory, [`ArchiveError::Denied`] and [`ArchiveError::NoPlace`] for a service that
    /// refuses.
    pub(crate) async fn create(&self, name: &str, bytes: Bytes) -> Result<Created, ArchiveError> {
        let what = || format!("create {name}");
        let path = Path::from(name);
        let put = self.inner.put_opts(&path, PutPayload::from(bytes), PutMode::Create.into());
        let put = match self.patience.answer {
            None => put.await,
            Some(limit) => tokio::time::timeout(limit, put).await.unwrap_or_else(|_| Err(read::no_answer(limit))),
        };
        match (put, &self.kind) {
            (Ok(_), StoreKind::Directory(root)) => {
                let path = root.join(name);
                directory::blocking(move || directory::restrict(&path))
                    .await
                    .map_err(|source| ArchiveError::StoreFailed { what: what(), source: source.into() })?;
                Ok(Created::Yes)
            }
            (Ok(_), StoreKind::Memory | StoreKind::Remote) => Ok(Created::Yes),
            (Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }), _) => {
                Ok(Created::Exists)
            }
            (Err(source), StoreKind::Directory(_)) => {
                Err(ArchiveError::StoreFailed { what: what(), source: source.into() })
            }
            (Err(source), StoreKind::Memory | StoreKind::Remote) => match self.failed(what(), source) {
                error @ (ArchiveError::Denied { .. } | ArchiveError::NoPlace { .. }) => Err(error),
                error => Ok(Created::Unknown(error)),
            },
        }
    }

    /// Makes an object durable that somebody else created. Nothing to do where visible means durable.
    pub(crate) async fn make_durable(&self, name: &str) -> Result<(), ArchiveError> {
        let StoreKind::Directory(root) = &self.kind else { return Ok(()) };
        let (root, path) = (root.clone(), root.join(name));
        directory::blocking(move || directory::sync(&root, &path))
            .await
            .map_err(|source| ArchiveError::StoreFailed { what: format!("sync {name}"), source: source.into() })
    }

    /// Makes the directories of a new archive. Nothing to do where there are none.
    pub(crate) async fn prepare(&self) -> Result<(), ArchiveError> {
        let StoreKind::Directory(root) = &self.kind else { return Ok(()) };
        let root = root.clone();
        directory::blocking(move || directory::prepare(&root)).await.map_err(|source| {
            let what = format!("make the directories of {}", self.place);
            match source.kind() {
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    ArchiveError::Denied { what, files: true, source: source.into() }
                }
                _ => ArchiveError::StoreFailed { what, source: source.into() },
            }
        })
    }

    /// Deletes an object; one that is not there is as good as deleted.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ArchiveError> {
        match self.inner.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.failed(format!("delete {name}"), source)),
        }
    }

    /// Deletes what a probe left; it may stay if the right to delete is not given.
    pub(crate) async fn forget_probe(&self, name: &str) {
        if let Err(error) = self.delete(name).await {
            tracing::debug!(name, %error, "a probe object stays");
        }
    }

    /// Says what an error means for the operator.
    fn failed(&self, what: String, source: object_store::Error) -> ArchiveError {
        let (denied, files) = (answer::denies(&source), answer::denied_by_files(&source));
        let answer = Answer::of(&source);
        if answer.as_ref().is_some_and(Answer::lacks_bucket) {
            return ArchiveError::NoPlace { place: format!("the bucket of {}", self.place), files: false };
        }
        // The answer says it in fewer words.
        let source = answer.map_or_else(|| source.into(), |answer| Box::new(answer) as crate::error::Source);
        match denied {
            true => ArchiveError::Denied { what, files, source },
            false => ArchiveError::Unavailable { what, source },
        }
    }
}

/// The largest object that is ever read whole.
pub(crate) const LARGEST: u64 = limits::SEGMENT;
