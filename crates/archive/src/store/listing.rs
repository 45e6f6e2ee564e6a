//! Names and sizes of all objects.
//!
//! Does not: take a listing for the truth; the one who asks looks for what it lacks.

use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::ObjectStore as _;

use super::Store;
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
}
