//! Archives to be broken: in memory where many are needed, in a directory where another program reads them.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path as Name};
use vmrewind_archive::{Store, StoreKind};
use vmrewind_model::{Change, Record};

use crate::world::{Clock, commit, input, make, own};

/// The objects of an archive, by name.
pub(super) type Objects = BTreeMap<String, Bytes>;

/// The name of a segment.
pub(super) fn segment(slot: u64) -> String {
    format!("log/0000/{slot:016x}")
}

/// A store in memory that may be changed.
pub(super) struct Memory {
    inner: Arc<InMemory>,
    pub(super) store: Store,
}

impl Memory {
    pub(super) fn new() -> Self {
        let inner = Arc::new(InMemory::new());
        let store = Store::from_parts(Arc::<InMemory>::clone(&inner), StoreKind::Memory);
        Self { inner, store }
    }

    pub(super) async fn of(objects: &Objects) -> Self {
        let memory = Self::new();
        for (name, bytes) in objects {
            memory.put(name, bytes.clone()).await;
        }
        memory
    }

    pub(super) async fn put(&self, name: &str, bytes: Bytes) {
        self.inner.put(&Name::from(name), bytes.into()).await.expect("memory");
    }

    pub(super) async fn remove(&self, name: &str) {
        self.inner.delete(&Name::from(name)).await.expect("memory");
    }

    pub(super) async fn objects(&self) -> Objects {
        let names: Vec<_> = self.inner.list(None).try_collect().await.expect("memory");
        let mut objects = Objects::new();
        for meta in names {
            let bytes = self.inner.get(&meta.location).await.expect("memory").bytes().await.expect("memory");
            objects.insert(meta.location.to_string(), bytes);
        }
        objects.retain(|name, _| !name.starts_with("probe"));
        objects
    }
}

/// Writes objects as the files of a directory.
pub(super) fn write(place: &Path, objects: &Objects) {
    fs::create_dir_all(place.join("log/0000")).expect("made");
    for (name, bytes) in objects {
        let file = place.join(name);
        fs::create_dir_all(file.parent().expect("inside")).expect("made");
        fs::write(file, bytes).expect("written");
    }
}

/// A fence in slot 1, and segments of these sizes.
pub(super) async fn lived(sizes: &[u64]) -> Objects {
    let memory = Memory::new();
    make(&memory.store).await.expect("made");
    let clock = Clock::default();
    let mut writer = own(&memory.store, 1, &clock).await.expect("owned");
    for size in sizes {
        commit(&mut writer, *size, &clock).await.expect("committed");
    }
    memory.objects().await
}

/// A fence in slot 1, and one segment for each of these histories. Resume maps claim nothing.
pub(super) async fn told(segments: Vec<Vec<Record>>) -> Objects {
    let memory = Memory::new();
    make(&memory.store).await.expect("made");
    let clock = Clock::default();
    let mut writer = own(&memory.store, 1, &clock).await.expect("owned");
    for records in segments {
        let segment = vmrewind_archive::SegmentInput { resume: Vec::new(), ..input(records) };
        writer.commit(segment, &|| clock.now()).await.expect("committed");
    }
    memory.objects().await
}

/// Numbers changes: the record of each has the seq after that of the one before, from `first` on.
pub(super) fn numbered(first: u64, changes: Vec<Change>) -> Vec<Record> {
    (first..).zip(changes).map(|(seq, change)| crate::world::record(seq, change)).collect()
}
