//! The wrapper that carries failures out.
//!
//! Does not: fail on its own; without a schedule it only writes down what it is asked.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

use super::{Call, Fault, How, Script, schedule::Schedule};

/// A store that fails on schedule. Clones share store, schedule and list of calls.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    schedule: Arc<Mutex<Schedule>>,
    overwrites: bool,
    ignores_ranges: bool,
    lists_late: usize,
}

impl FaultyStore {
    /// Wraps a store; nothing fails yet.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, schedule: Arc::default(), overwrites: false, ignores_ranges: false, lists_late: 0 }
    }

    /// Makes it a store that overwrites what exists, though it is asked to create.
    #[must_use]
    pub fn overwriting(mut self) -> Self {
        self.overwrites = true;
        self
    }

    /// Makes it a store that returns the whole object when a part is asked for.
    #[must_use]
    pub fn ignoring_ranges(mut self) -> Self {
        self.ignores_ranges = true;
        self
    }

    /// Makes it a store that lists a name only after so many further calls.
    #[must_use]
    pub fn listing_late(mut self, calls: usize) -> Self {
        self.lists_late = calls;
        self
    }

    /// Lets a script decide which of the calls that are on no schedule fail.
    pub fn follow(&self, script: Script) {
        self.schedule().follow(script);
    }

    /// Adds a failure.
    pub fn fail(&self, fault: Fault) {
        self.schedule().add(fault);
    }

    /// Forgets the failures that have not happened yet, and the script.
    pub fn heal(&self) {
        self.schedule().clear();
    }

    /// Returns every call so far: what, and for which name.
    #[must_use]
    pub fn calls(&self) -> Vec<(Call, String)> {
        self.schedule().calls.clone()
    }

    /// Returns the store inside, which does not fail.
    #[must_use]
    pub fn inner(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner)
    }

    /// A lock and not a channel, because an answer is needed at once and never across an await.
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, call: Call, name: &Path) -> Option<How> {
        self.schedule().next(call, name.as_ref())
    }
}

fn error(what: &str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

/// What `object_store` 0.14 makes of a status (its `src/client/retry.rs`).
fn status(status: u16, location: &Path) -> Error {
    let path = location.to_string();
    let source = format!("Server returned non-2xx status code: {status}: ").into();
    match status {
        403 => Error::PermissionDenied { path, source },
        404 => Error::NotFound { path, source },
        409 => Error::AlreadyExists { path, source },
        412 => Error::Precondition { path, source },
        _ => Error::Generic { store: "faulty", source },
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut opts: PutOptions) -> Result<PutResult> {
        if self.overwrites {
            opts.mode = PutMode::Overwrite;
        }
        let fault = self.next(Call::Put, location);
        self.schedule().stored(location.as_ref());
        match fault {
            None => {}
            Some(How::Before) => return Err(error("failed before the put")),
            Some(How::Status(code)) => return Err(status(code, location)),
            Some(How::TimedOut { done, after }) => {
                if done {
                    self.inner.put_opts(location, payload, opts).await?;
                }
                tokio::time::sleep(after).await;
                return Err(error("timed out"));
            }
            Some(How::After) => {
                self.inner.put_opts(location, payload, opts).await?;
                return Err(error("failed after the put"));
            }
            Some(How::Torn(length)) => {
                let bytes: Vec<u8> = payload.iter().flatten().copied().take(length).collect();
                self.inner.put_opts(location, bytes.into(), opts).await?;
                return Err(error("failed in the middle of the put"));
            }
            Some(How::Slow(released)) => released.notified().await,
            Some(How::LostAnswer) => {
                self.inner.put_opts(location, payload, opts).await?;
                return std::future::pending().await;
            }
            Some(How::Race(rival)) => {
                self.inner.put_opts(location, rival.into(), PutMode::Create.into()).await?;
            }
        }
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        let call = if options.head { Call::Head } else { Call::Get };
        if self.ignores_ranges {
            options.range = None;
        }
        match self.next(call, location) {
            None => self.inner.get_opts(location, options).await,
            Some(How::Before | How::After | How::Race(_)) => Err(error("failed to get")),
            Some(How::Status(code)) => Err(status(code, location)),
            Some(How::TimedOut { after, .. }) => {
                tokio::time::sleep(after).await;
                Err(error("timed out"))
            }
            Some(How::Slow(released)) => {
                released.notified().await;
                self.inner.get_opts(location, options).await
            }
            Some(How::LostAnswer) => std::future::pending().await,
            Some(How::Torn(length)) => {
                let whole = self.inner.get_opts(location, options).await?;
                let (meta, range, attributes) = (whole.meta.clone(), whole.range.clone(), whole.attributes.clone());
                let extensions = whole.extensions.clone();
                let bytes = whole.bytes().await?;
                let torn = bytes.slice(..length.min(bytes.len()));
                let payload = GetResultPayload::Stream(stream::iter([Ok(torn)]).boxed());
                Ok(GetResult { payload, meta, range, attributes, extensions })
            }
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let checked = locations.map(move |location| {
            let location = location?;
            match store.next(Call::Delete, &location) {
                None => Ok(location),
                Some(_) => Err(error("failed to delete")),
            }
        });
        self.inner.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let names = self.inner.list(prefix);
        let (store, late) = (self.clone(), self.lists_late);
        let names = names
            .try_filter(move |meta| {
                let hidden = late > 0 && store.schedule().is_news(meta.location.as_ref(), late);
                futures::future::ready(!hidden)
            })
            .boxed();
        match self.next(Call::List, prefix.unwrap_or(&Path::default())) {
            Some(How::Torn(missing)) => {
                let shortened = async move {
                    let mut all: Vec<ObjectMeta> = names.try_collect().await?;
                    all.sort_by(|a, b| a.location.cmp(&b.location));
                    all.truncate(all.len().saturating_sub(missing));
                    Ok::<_, Error>(stream::iter(all.into_iter().map(Ok)))
                };
                stream::once(shortened).try_flatten().boxed()
            }
            None => names,
            Some(_) => stream::iter([Err(error("failed to list"))]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests;
