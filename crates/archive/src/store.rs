//! The store that an archive lies in.
//!
//! Does not: overwrite; every object is created once.

use std::{path::PathBuf, sync::Arc};

use object_store::{ObjectStore, memory::InMemory};

use crate::{ArchiveError, ArchiveUrl};

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
    #[expect(dead_code, reason = "used by the reader and the writer")]
    inner: Arc<dyn ObjectStore>,
    kind: StoreKind,
    place: String,
}

impl Store {
    /// Opens the store that `url` names; makes no request.
    ///
    /// # Errors
    /// [`ArchiveError::Url`] if the options do not fit, and why a directory cannot be opened.
    pub fn open(_url: &ArchiveUrl) -> Result<Self, ArchiveError> {
        Err(ArchiveError::Bug("store is being written".into()))
    }

    /// Takes a store that exists.
    #[must_use]
    pub fn from_parts(inner: Arc<dyn ObjectStore>, kind: StoreKind) -> Self {
        let place = inner.to_string();
        Self { inner, kind, place }
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
}
