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

use super::{Call, Fault, How, schedule::Schedule};

/// A store that fails on schedule. Clones share store, schedule and list of calls.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    schedule: Arc<Mutex<Schedule>>,
    overwrites: bool,
}

impl FaultyStore {
    /// Wraps a store; nothing fails yet.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, schedule: Arc::default(), overwrites: false }
    }

    /// Makes it a store that overwrites what exists, though it is asked to create.
    #[must_use]
    pub fn overwriting(mut self) -> Self {
        self.overwrites = true;
        self
    }

    /// Adds a failure.
    pub fn fail(&self, fault: Fault) {
        self.schedule().add(fault);
    }

    /// Forgets the failures that have not happened yet.
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
        match self.next(Call::Put, location) {
            None => {}
            Some(How::Before) => return Err(error("failed before the put")),
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

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let call = if options.head { Call::Head } else { Call::Get };
        match self.next(call, location) {
            None => self.inner.get_opts(location, options).await,
            Some(How::Before | How::After | How::Race(_)) => Err(error("failed to get")),
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
mod tests {
    use object_store::{ObjectStoreExt as _, memory::InMemory};

    use super::*;

    fn store() -> FaultyStore {
        FaultyStore::new(Arc::new(InMemory::new()))
    }

    #[tokio::test]
    async fn fails_only_the_call_that_is_due_and_only_once() {
        let store = store();
        store.fail(Fault::on(Call::Put, 1, How::Before).below("a"));
        let put = async |name: &str| store.put(&Path::from(name), "x".into()).await.is_ok();
        assert!(put("a/1").await && put("b/1").await);
        assert!(!put("a/2").await);
        assert!(put("a/2").await);
        assert_eq!(store.calls().len(), 4);
    }

    #[tokio::test]
    async fn a_put_that_fails_after_or_in_the_middle_leaves_what_it_says() {
        let store = store();
        store.fail(Fault::any(0, How::After));
        assert!(store.put(&Path::from("after"), "whole".into()).await.is_err());
        store.fail(Fault::any(0, How::Torn(2)));
        assert!(store.put(&Path::from("torn"), "whole".into()).await.is_err());
        let read = async |name: &str| store.get(&Path::from(name)).await.expect("there").bytes().await.expect("whole");
        assert_eq!(read("after").await, "whole");
        assert_eq!(read("torn").await, "wh");
    }

    #[tokio::test]
    async fn a_rival_wins_the_race_for_a_name() {
        let store = store();
        store.fail(Fault::on(Call::Put, 0, How::Race("theirs".into())));
        let put = store.put_opts(&Path::from("a"), "ours".into(), PutMode::Create.into()).await;
        assert!(matches!(put, Err(Error::AlreadyExists { .. })));
    }

    #[tokio::test]
    async fn a_list_can_lag_behind() {
        let store = store();
        for name in ["a", "b"] {
            store.put(&Path::from(name), "x".into()).await.expect("stored");
        }
        store.fail(Fault::on(Call::List, 0, How::Torn(1)));
        let count = async || store.list(None).try_collect::<Vec<_>>().await.expect("listed").len();
        assert_eq!(count().await, 1);
        assert_eq!(count().await, 2);
    }
}
