//! Names and sizes of all objects, and parts of objects of which only the size is known.
//!
//! Does not: take a listing for the truth; the one who asks looks for what it lacks.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{ObjectStore as _, path::Path};

use super::{
    Store,
    read::{missing, part},
};
use crate::ArchiveError;

impl Store {
    /// Folds name and size of every object that the store lists, in any order. Begins anew if the store fails meanwhile.
    pub(crate) async fn all_objects<T: Default>(
        &self,
        fold: impl Fn(&mut T, &str, u64) + Sync,
    ) -> Result<T, ArchiveError> {
        let fold = &fold;
        let listed = self.patiently(|| {
            let inner = Arc::clone(&self.inner);
            async move {
                let (mut names, mut folded) = (inner.list(None), T::default());
                while let Some(meta) = names.try_next().await? {
                    fold(&mut folded, meta.location.as_ref(), meta.size);
                }
                Ok(folded)
            }
        });
        listed.await.map_err(|error| self.failed("list the archive".to_owned(), error))
    }

    /// Tells whether there is an object of this name.
    pub(crate) async fn has(&self, name: &str) -> Result<bool, ArchiveError> {
        Ok(self.size(name).await?.is_some())
    }

    /// Reads the bytes of `range`; none if the object is not there (any more).
    pub(crate) async fn range_if_there(&self, name: &str, range: Range<u64>) -> Result<Option<Bytes>, ArchiveError> {
        let read = self.patiently(|| {
            let (inner, path, range) = (Arc::clone(&self.inner), Path::from(name), range.clone());
            let ignores_ranges = Arc::clone(&self.ignores_ranges);
            async move { part(&*inner, &path, range, &ignores_ranges).await }
        });
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(self.failed(format!("read {name}"), error)),
        }
    }
}
