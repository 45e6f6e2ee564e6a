//! The store that an archive lies in.
//!
//! Does not: overwrite; every object is created once.

mod directory;
mod open;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, memory::InMemory, path::Path,
};

use crate::{ArchiveError, ArchiveUrl, format::limits, paths};

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
}

/// How an attempt to create an object ended.
#[derive(Debug)]
pub(crate) enum Created {
    /// It was created, and is durable.
    Yes,
    /// Something stands under the name: perhaps an earlier attempt of our own.
    Exists,
    /// It is not known.
    Unknown(object_store::Error),
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

    /// Tries once to create an object. In a directory it is durable, and readable by its owner only, when this returns.
    ///
    /// # Errors
    /// [`ArchiveError::StoreFailed`] for a directory, [`ArchiveError::Denied`] for a service that refuses.
    pub(crate) async fn create(&self, name: &str, bytes: Bytes) -> Result<Created, ArchiveError> {
        let what = || format!("create {name}");
        let put = self.inner.put_opts(&Path::from(name), PutPayload::from(bytes), PutMode::Create.into()).await;
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
            (Err(source), StoreKind::Memory | StoreKind::Remote) => match denied(&source) {
                true => Err(ArchiveError::Denied { what: what(), files: false, source: source.into() }),
                false => Ok(Created::Unknown(source)),
            },
        }
    }

    /// Reads a whole object of at most `limit` bytes; none if there is none. A longer one is cut behind `limit` bytes,
    /// so that the reader finds out.
    pub(crate) async fn get(&self, name: &str, limit: u64) -> Result<Option<Bytes>, ArchiveError> {
        let path = Path::from(name);
        let result = match self.inner.get_opts(&path, GetOptions::default()).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            result => result.map_err(|source| failed(format!("read {name}"), source))?,
        };
        let size = result.meta.size;
        if size > limit {
            return self.range(name, 0..limit + 1).await.map(Some);
        }
        let bytes = match result.bytes().await {
            // It was deleted while it was being read.
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            bytes => bytes.map_err(|source| failed(format!("read {name}"), source))?,
        };
        self.whole(name, size, bytes).map(Some)
    }

    /// Returns the size of an object; none if there is none.
    pub(crate) async fn size(&self, name: &str) -> Result<Option<u64>, ArchiveError> {
        match self.inner.head(&Path::from(name)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(format!("look for {name}"), source)),
        }
    }

    /// Reads the bytes of `range` of an object that has them.
    pub(crate) async fn range(&self, name: &str, range: std::ops::Range<u64>) -> Result<Bytes, ArchiveError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let read = async { self.inner.get_opts(&Path::from(name), options).await?.bytes().await };
        let bytes = read.await.map_err(|source| failed(format!("read {name}"), source))?;
        self.whole(name, range.end - range.start, bytes)
    }

    /// Returns some name that passes `test`, if the store lists one.
    pub(crate) async fn first_name(&self, test: impl Fn(&str) -> bool) -> Result<Option<String>, ArchiveError> {
        let mut names = self.inner.list(None);
        while let Some(meta) = names.try_next().await.map_err(|source| failed("list the archive".into(), source))? {
            if test(meta.location.as_ref()) {
                return Ok(Some(meta.location.to_string()));
            }
        }
        Ok(None)
    }

    /// Returns some name below `prefix`, if the store lists one.
    pub(crate) async fn first_below(&self, prefix: &str) -> Result<Option<String>, ArchiveError> {
        let mut names = self.inner.list(Some(&Path::from(prefix)));
        let first = names.try_next().await.map_err(|source| failed(format!("list {prefix}"), source))?;
        Ok(first.map(|meta| meta.location.to_string()))
    }

    /// Returns the first slot after `slot` that the store lists. It may not list the newest ones yet.
    pub(crate) async fn first_slot_after(&self, slot: u64) -> Result<Option<u64>, ArchiveError> {
        let (prefix, offset) = (Path::from(paths::LOG), Path::from(paths::segment(slot)));
        let mut names = self.inner.list_with_offset(Some(&prefix), &offset);
        let mut first: Option<u64> = None;
        while let Some(meta) = names.try_next().await.map_err(|source| failed("list the log".into(), source))? {
            let Some(listed) = paths::parse_segment(meta.location.as_ref()).filter(|listed| *listed > slot) else {
                continue;
            };
            first = Some(first.map_or(listed, |first| first.min(listed)));
            // Services list in order, so that the first answer will do; a directory does not.
            if self.kind == StoreKind::Remote {
                break;
            }
        }
        Ok(first)
    }

    /// Returns the last slot that the store lists; 0 if there is none.
    pub(crate) async fn last_slot(&self) -> Result<u64, ArchiveError> {
        let names = self.inner.list(Some(&Path::from(paths::LOG)));
        let last = names.try_fold(0, async |last, meta| {
            Ok(paths::parse_segment(meta.location.as_ref()).map_or(last, |slot| last.max(slot)))
        });
        last.await.map_err(|source| failed("list the log".into(), source))
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

    /// Deletes what a probe left; it may stay if the right to delete is not given.
    pub(crate) async fn forget_probe(&self, name: &str) {
        if let Err(error) = self.inner.delete(&Path::from(name)).await {
            tracing::debug!(name, %error, "a probe object stays");
        }
    }

    /// Checks that a whole answer came.
    fn whole(&self, name: &str, size: u64, bytes: Bytes) -> Result<Bytes, ArchiveError> {
        if bytes.len() as u64 == size {
            return Ok(bytes);
        }
        let source = format!("{} of {size} bytes came from {}", bytes.len(), self.place);
        Err(ArchiveError::Unavailable { what: format!("read {name}"), source: source.into() })
    }
}

/// The largest object that is ever read whole.
pub(crate) const LARGEST: u64 = limits::SEGMENT;

fn denied(error: &object_store::Error) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. }) || denied_by_files(error)
}

/// Tells whether the file system refuses.
fn denied_by_files(error: &object_store::Error) -> bool {
    use std::error::Error as _;
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn failed(what: String, source: object_store::Error) -> ArchiveError {
    match denied(&source) {
        true => ArchiveError::Denied { what, files: denied_by_files(&source), source: source.into() },
        false => ArchiveError::Unavailable { what, source: source.into() },
    }
}
