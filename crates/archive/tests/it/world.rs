//! A small world to record: a clock, records that follow each other, and a writer's life.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use futures::TryStreamExt as _;
use object_store::{ObjectStore, memory::InMemory};
use uuid::Uuid;
use vmrewind_archive::{
    Archive, ArchiveError, Cpu, Durable, Fence, FenceOutcome, Head, Identity, NewArchive, NewKeys, Recipients,
    SecretKey, SegmentInput, SegmentRef, SeqRange, Store, StoreKind, Writer, init,
};
use vmrewind_model::{
    Change, Era, ObjectKey, ObjectOp, ProofState, RawObject, Record, RecordKey, ResourceId, ResumeEntry, Rv, Seq,
    Timestamp,
};
use vmrewind_testkit::{s3::S3Server, store::FaultyStore};

/// A clock that only moves when it is told to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        t(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

/// The instant `micros` after the beginning.
pub(crate) fn t(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + micros).expect("in range")
}

/// The key of a virtual machine.
pub(crate) fn vm(name: &str) -> RecordKey {
    let object = ObjectKey::new("kubevirt.io", "VirtualMachine", "prod", name);
    RecordKey { home: format!("prod/{name}"), object, uid: format!("uid-{name}") }
}

/// A state of a virtual machine.
pub(crate) fn state(key: &RecordKey, rv: u64) -> Change {
    let (name, uid) = (&key.object.name, &key.uid);
    let json = serde_json::json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "spec": {"running": rv.is_multiple_of(2)},
        "metadata": {"namespace": "prod", "name": name, "uid": uid, "resourceVersion": rv.to_string()},
    });
    let object = RawObject::from_server(json.to_string().as_bytes()).expect("valid");
    let op = if rv == 1 { ObjectOp::Added } else { ObjectOp::Modified };
    Change::Object { op, key: key.clone(), rv: Rv(rv), object, from_seq: None }
}

/// A record that is observed ten microseconds after the one before.
pub(crate) fn record(seq: u64, change: Change) -> Record {
    Record { seq: Seq(seq), t: t(10 * seq.cast_signed()), lo: None, era: Era(1), change }
}

/// What is known of a resource.
pub(crate) fn resume(resource: &str, rv: u64, proven_at: i64) -> ResumeEntry {
    ResumeEntry {
        id: ResourceId::new("kubevirt.io", resource, ""),
        kind: "Kind".into(),
        api_version: "kubevirt.io/v1".into(),
        rv: Some(Rv(rv)),
        proven_at: Some(t(proven_at)),
        state: ProofState::Live,
        era: Era(1),
        detail: String::new(),
    }
}

/// The records of segments of `size` each: two machines that change in turn.
pub(crate) fn records(first: u64, size: u64) -> Vec<Record> {
    let change = |seq: u64| state(&vm(if seq.is_multiple_of(2) { "db" } else { "web" }), seq.div_ceil(2));
    (first..first + size).map(|seq| record(seq, change(seq))).collect()
}

pub(crate) fn input(records: Vec<Record>) -> SegmentInput {
    let last = records.last().map_or(0, |record| record.seq.0);
    let proven_at = 10 * last.cast_signed();
    SegmentInput { records, resume: vec![resume("virtualmachines", last, proven_at)], complete: false }
}

pub(crate) fn fence(nonce: u8, clock: &Clock) -> Fence {
    let resume = vec![resume("datavolumes", 1, 0), resume("virtualmachines", 1, 0)];
    Fence { nonce: [nonce; 16], software: "test 1".into(), t: clock.now(), resume }
}

/// The `n`th secret key.
pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::new([n; 32])
}

/// As [`make`], encrypted to two keys.
pub(crate) async fn make_sealed(store: &Store) -> Result<Identity, ArchiveError> {
    let recipients = Recipients::new(vec![secret(1).recipient(), secret(2).recipient()], false).expect("two");
    make_for(store, Some(NewKeys { recipients, root_key: [9; 32], seed: [8; 32] })).await
}

pub(crate) async fn make(store: &Store) -> Result<Identity, ArchiveError> {
    make_for(store, None).await
}

async fn make_for(store: &Store, keys: Option<NewKeys>) -> Result<Identity, ArchiveError> {
    let created = t(0);
    init(
        store,
        NewArchive { archive: Uuid::from_u128(42), cluster: "c".into(), created, software: "test 1".into(), keys },
    )
    .await
}

/// Opens the archive, encrypted or not, so that everything runs in the calling task.
pub(crate) async fn open(store: &Store) -> Result<Archive, ArchiveError> {
    static SEED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
    let seed = [SEED.fetch_add(1, Ordering::Relaxed); 32];
    Archive::open(store.clone()).await?.with_cpu(Cpu::Inline).unlock(vec![secret(1)], seed).await
}

/// Fences after `head`.
pub(crate) async fn take_over(
    archive: &Archive,
    head: &Head,
    nonce: u8,
    clock: &Clock,
) -> Result<FenceOutcome, ArchiveError> {
    Writer::fence(archive, head, fence(nonce, clock), Cpu::Inline, &|| clock.now()).await
}

/// Opens and fences after the head there is.
pub(crate) async fn own(store: &Store, nonce: u8, clock: &Clock) -> Result<Writer, ArchiveError> {
    let archive = open(store).await?;
    match take_over(&archive, &archive.head().await?, nonce, clock).await? {
        FenceOutcome::Owner(writer) => Ok(writer),
        FenceOutcome::Taken(head) => panic!("nobody else is there, but {head:?} is"),
    }
}

/// Commits the next `size` records.
pub(crate) async fn commit(writer: &mut Writer, size: u64, clock: &Clock) -> Result<Durable<SegmentRef>, ArchiveError> {
    let records = records(writer.head().seq.0 + 1, size);
    writer.commit(input(records), &|| clock.now()).await
}

pub(crate) async fn read_all(store: &Store) -> Result<Vec<Record>, ArchiveError> {
    open(store).await?.records(SeqRange::ALL).try_collect().await
}

/// A new bucket of a real S3 server.
pub(crate) fn in_bucket(server: &S3Server, name: &str) -> Arc<dyn ObjectStore> {
    // The binaries do this in main(); another test may have been faster.
    drop(rustls::crypto::ring::default_provider().install_default());
    server.make_bucket(name).expect("made");
    Arc::new(server.client().with_bucket_name(name).build().expect("a client"))
}

/// A store in memory that fails on schedule, seen as a service.
pub(crate) fn faulty() -> (FaultyStore, Store) {
    faulty_as(StoreKind::Remote)
}

pub(crate) fn faulty_as(kind: StoreKind) -> (FaultyStore, Store) {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let inner: Arc<dyn ObjectStore> = Arc::new(faulty.clone());
    (faulty, Store::from_parts(inner, kind))
}

/// An archive in a faulty store, with one writer and two segments of four records.
pub(crate) async fn lived(clock: &Clock) -> (FaultyStore, Store, Writer) {
    let (faulty, store) = faulty();
    make(&store).await.expect("made");
    let mut writer = own(&store, 1, clock).await.expect("owned");
    for _ in 0..2 {
        commit(&mut writer, 4, clock).await.expect("committed");
    }
    (faulty, store, writer)
}
