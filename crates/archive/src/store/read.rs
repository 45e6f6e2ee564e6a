//! Reading: again while a service fails, and whatever it makes of ranges.
//!
//! Does not: verify content; it makes sure only that all of it came.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{Error, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt as _, Result, path::Path};
use tokio::time::Instant;

use super::{
    Store, StoreKind,
    answer::{self, Answer, Unfit},
};
use crate::{ArchiveError, paths};

/// How many names a service lists in one answer.
const PAGE: usize = 1_000;

impl Store {
    /// Reads a whole object of at most `limit` bytes; none if there is none. A longer one is cut behind `limit` bytes,
    /// so that the reader finds out.
    pub(crate) async fn get(&self, name: &str, limit: u64) -> Result<Option<Bytes>, ArchiveError> {
        let read = self.patiently(|| {
            let (inner, path) = (Arc::clone(&self.inner), Path::from(name));
            async move {
                let result = inner.get_opts(&path, GetOptions::default()).await?;
                let size = result.meta.size;
                if size > limit {
                    return Ok(None);
                }
                let bytes = result.bytes().await?;
                whole(bytes, size).map(Some)
            }
        });
        match read.await {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => self.range(name, 0..limit + 1).await.map(Some),
            // Also one that was deleted while it was being read.
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(self.failed(format!("read {name}"), error)),
        }
    }

    /// Returns the size of an object; none if there is none.
    pub(crate) async fn size(&self, name: &str) -> Result<Option<u64>, ArchiveError> {
        let asked = self.patiently(|| {
            let (inner, path) = (Arc::clone(&self.inner), Path::from(name));
            async move { inner.head(&path).await }
        });
        match asked.await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(self.failed(format!("look for {name}"), error)),
        }
    }

    /// Reads the bytes of `range` of an object that has them. Of a store that knows no ranges the whole object is fetched,
    /// and all but these bytes passed over.
    pub(crate) async fn range(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        self.part(name, range).await.map_err(|error| self.failed(format!("read {name}"), error))
    }

    /// As [`Self::range`]; none if the object is not there (any more).
    pub(crate) async fn range_if_there(&self, name: &str, range: Range<u64>) -> Result<Option<Bytes>, ArchiveError> {
        match self.part(name, range).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(self.failed(format!("read {name}"), error)),
        }
    }

    async fn part(&self, name: &str, range: Range<u64>) -> Result<Bytes> {
        let read = self.patiently(|| {
            let (inner, path, range) = (Arc::clone(&self.inner), Path::from(name), range.clone());
            let ignores_ranges = Arc::clone(&self.ignores_ranges);
            async move { part(&*inner, &path, range, &ignores_ranges).await }
        });
        read.await
    }

    /// Returns some name that passes `test`, if the store lists one.
    pub(crate) async fn first_name(&self, test: impl Fn(&str) -> bool + Sync) -> Result<Option<String>, ArchiveError> {
        let first = |found: &mut Option<String>, name: &str| {
            *found = test(name).then(|| name.to_owned());
            found.is_some()
        };
        self.listed("list the archive", None, None, first).await
    }

    /// Returns the first slot after `slot` that the store lists. It may not list the newest ones yet.
    pub(crate) async fn first_slot_after(&self, slot: u64) -> Result<Option<u64>, ArchiveError> {
        // Services list in order, so that the first answer will do; a directory does not.
        let in_order = self.kind == StoreKind::Remote;
        let least = |first: &mut Option<u64>, name: &str| {
            let Some(listed) = paths::parse_segment(name).filter(|listed| *listed > slot) else { return false };
            *first = Some(first.map_or(listed, |first| first.min(listed)));
            in_order
        };
        self.listed("list the log", Some(paths::LOG), Some(&paths::segment(slot)), least).await
    }

    /// Returns the last slot that the store lists; 0 if there is none.
    pub(crate) async fn last_slot(&self) -> Result<u64, ArchiveError> {
        let last = |last: &mut u64, name: &str| {
            *last = paths::parse_segment(name).map_or(*last, |slot| slot.max(*last));
            false
        };
        self.listed("list the log", Some(paths::LOG), None, last).await
    }

    /// Returns the largest number of a manifest behind number `n` that the store lists, and whether it may list larger ones: a
    /// service is asked for one page only. 0 if there is none.
    pub(crate) async fn last_manifest(&self, n: u64) -> Result<(u64, bool), ArchiveError> {
        let pages = !matches!(self.kind, StoreKind::Directory(_));
        let last = |(last, names): &mut (u64, usize), name: &str| {
            *last = paths::parse_manifest(name).map_or(*last, |n| n.max(*last));
            *names += 1;
            pages && *names == PAGE
        };
        let after = (n > 0).then(|| paths::manifest(n));
        let (last, names) = self.listed("list the manifests", Some(paths::MANIFESTS), after.as_deref(), last).await?;
        Ok((last.max(n), names == PAGE))
    }

    /// Folds the names below `prefix` that sort after `after`, in whatever order they come, until `fold` says that it is
    /// enough.
    async fn listed<T: Default>(
        &self,
        what: &str,
        prefix: Option<&str>,
        after: Option<&str>,
        fold: impl Fn(&mut T, &str) -> bool + Sync,
    ) -> Result<T, ArchiveError> {
        let fold = &fold;
        let listed = self.patiently(|| {
            let (inner, prefix, after) = (Arc::clone(&self.inner), prefix.map(Path::from), after.map(Path::from));
            async move {
                let mut names = match &after {
                    Some(after) => inner.list_with_offset(prefix.as_ref(), after),
                    None => inner.list(prefix.as_ref()),
                };
                let mut folded = T::default();
                while let Some(meta) = names.try_next().await? {
                    if fold(&mut folded, meta.location.as_ref()) {
                        break;
                    }
                }
                Ok(folded)
            }
        });
        listed.await.map_err(|error| self.failed(what.to_owned(), error))
    }

    /// Asks until there is an answer that asking again would not change, or the patience ends.
    pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(&self, mut ask: impl FnMut() -> F) -> Result<T> {
        let Some(limit) = self.patience.answer else { return ask().await };
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            let answer = tokio::time::timeout(limit, ask()).await.unwrap_or_else(|_| Err(no_answer(limit)));
            let error = match answer {
                Err(error) if answer::passes(&error) => error,
                answer => return answer,
            };
            failures += 1;
            let Some(pause) = self.patience.pause(failures, begun.elapsed()) else { return Err(error) };
            tracing::debug!(%error, failures, ?pause, "the store failed; asking again");
            tokio::time::sleep(pause).await;
        }
    }
}

/// Tells whether there is no such object, in a bucket that is there and may be read.
fn missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && Answer::of(error).is_none_or(|answer| answer.lacks_object())
}

/// The error for an answer that did not come in time.
pub(super) fn no_answer(limit: Duration) -> Error {
    Error::Generic { store: "archive", source: format!("no answer within {} s", limit.as_secs_f32()).into() }
}

/// Checks that all bytes came.
fn whole(bytes: Bytes, size: u64) -> Result<Bytes> {
    if bytes.len() as u64 == size {
        return Ok(bytes);
    }
    let short = format!("{} of {size} bytes came", bytes.len());
    Err(Error::Generic { store: "archive", source: short.into() })
}

/// Reads `range`, of a store that ignores ranges by way of the whole object.
async fn part(inner: &dyn ObjectStore, path: &Path, range: Range<u64>, ignores_ranges: &AtomicBool) -> Result<Bytes> {
    if !ignores_ranges.load(Ordering::Relaxed) {
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        match inner.get_opts(path, options).await {
            Ok(result) => return cut(result, range).await,
            Err(error) if answer::ignores_ranges(&error) => {
                tracing::debug!("the store ignores ranges: objects are read whole from now on");
                ignores_ranges.store(true, Ordering::Relaxed);
            }
            Err(error) => return Err(error),
        }
    }
    cut(inner.get_opts(path, GetOptions::default()).await?, range).await
}

/// Takes `range` out of what comes, which may be more than was asked for; holds nothing else of it.
async fn cut(result: GetResult, range: Range<u64>) -> Result<Bytes> {
    let length = range.end - range.start;
    if result.meta.size < range.end {
        let unfit = Unfit(format!("it has {} bytes, and {} were to come", result.meta.size, range.end));
        return Err(Error::Generic { store: "archive", source: unfit.into() });
    }
    if result.range == range {
        return whole(result.bytes().await?, length);
    }
    let mut at = result.range.start;
    if at > range.start {
        let unfit = Unfit(format!("bytes from {at} on came in place of those from {} on", range.start));
        return Err(Error::Generic { store: "archive", source: unfit.into() });
    }
    let mut kept = Vec::new();
    let mut chunks = result.into_stream();
    while at < range.end {
        let Some(chunk) = chunks.next().await.transpose()? else { break };
        let within =
            |offset: u64| usize::try_from(offset.saturating_sub(at)).map_or(chunk.len(), |n| n.min(chunk.len()));
        kept.extend_from_slice(&chunk[within(range.start)..within(range.end)]);
        at += chunk.len() as u64;
    }
    whole(kept.into(), length)
}
