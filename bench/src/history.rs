//! Writes archives with made or recorded histories, through the same writer as the watcher.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use uuid::Uuid;
use vmrewind_archive::{Archive, ArchiveUrl, Cpu, Fence, FenceOutcome, NewArchive, SegmentInput, Store, Writer, init};
use vmrewind_graph::{KindRow, kinds};
use vmrewind_model::{
    Change, Era, ObjectOp, ProofState, RawObject, Record, RecordKey, ResourceId, ResumeEntry, Seq, Timestamp,
};
use vmrewind_testkit::bench::shapes;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Added,
    Modified,
    Deleted,
}

/// The only writer of a new archive.
#[derive(Debug)]
pub(crate) struct Author {
    writer: Writer,
    seq: Seq,
    t: Timestamp,
    /// The newest slot.
    slot: u64,
}

impl Author {
    /// Makes an archive in `dir`.
    pub(crate) async fn new(dir: &Path) -> anyhow::Result<Self> {
        Self::over(Store::open_or_make(&dir.display().to_string().parse::<ArchiveUrl>()?)?, Cpu::Blocking).await
    }

    /// Makes an archive that is kept nowhere, and encodes in the calling task.
    pub(crate) async fn in_memory() -> anyhow::Result<Self> {
        Self::over(Store::in_memory(), Cpu::Inline).await
    }

    async fn over(store: Store, cpu: Cpu) -> anyhow::Result<Self> {
        let created: Timestamp = "2026-01-01T00:00:00Z".parse()?;
        let new = NewArchive {
            archive: Uuid::from_bytes([7; 16]),
            cluster: "another-cluster".into(),
            created,
            software: "vmrewind-bench".into(),
            keys: None,
        };
        init(&store, new).await?;
        let archive = Archive::open(store).await?;
        let head = archive.head().await?;
        let fence = Fence { nonce: [1; 16], software: "vmrewind-bench".into(), t: created, resume: resume(created) };
        match Writer::fence(&archive, &head, fence, cpu, &|| created).await? {
            FenceOutcome::Owner(writer) => Ok(Self { writer, seq: Seq(0), t: created, slot: 1 }),
            FenceOutcome::Taken(_) => bail!("somebody else writes into it"),
        }
    }

    /// Commits one segment with what happened, `step` apart. Returns the bytes of the objects.
    pub(crate) async fn commit(&mut self, events: &[(What, RawObject)], step: Duration) -> anyhow::Result<u64> {
        let mut t = self.t;
        let mut dated = Vec::with_capacity(events.len());
        for (what, object) in events {
            t = t.plus(step);
            dated.push((t, *what, "", object));
        }
        self.commit_dated(dated.into_iter()).await
    }

    /// Commits one segment with what happened, when, and in which home. Returns the bytes of the objects.
    pub(crate) async fn commit_dated<'e>(
        &mut self,
        events: impl ExactSizeIterator<Item = (Timestamp, What, &'e str, &'e RawObject)>,
    ) -> anyhow::Result<u64> {
        let mut raw = 0;
        let mut records = Vec::with_capacity(events.len());
        for (t, what, home, object) in events {
            self.seq = self.seq.next();
            self.t = t.max(self.t.plus(Duration::from_micros(1)));
            raw += u64::try_from(object.bytes().len())?;
            let head = object.head()?;
            let key = RecordKey { home: home.to_owned(), object: head.key, uid: head.uid };
            let (rv, object) = (head.rv, object.clone());
            let change = match what {
                What::Added => Change::Object { op: ObjectOp::Added, key, rv, object, from_seq: None },
                What::Modified => Change::Object { op: ObjectOp::Modified, key, rv, object, from_seq: None },
                What::Deleted => Change::Deleted { key, rv: Some(rv), object: Some(object), inferred: false },
            };
            records.push(Record { seq: self.seq, t: self.t, lo: None, era: Era(1), change });
        }
        self.put(records).await?;
        Ok(raw)
    }
}

impl Author {
    /// Commits a heartbeat some time later.
    pub(crate) async fn heartbeat(&mut self, later: Duration) -> anyhow::Result<()> {
        (self.seq, self.t) = (self.seq.next(), self.t.plus(later));
        let record = Record { seq: self.seq, t: self.t, lo: None, era: Era(1), change: Change::Heartbeat };
        self.put(vec![record]).await
    }

    /// Commits one segment. As a watcher's, every 64th says again what is known of all resources.
    async fn put(&mut self, records: Vec<Record>) -> anyhow::Result<()> {
        self.slot += 1;
        let complete = self.slot.is_multiple_of(64);
        let resume = if complete { resume(self.t) } else { Vec::new() };
        // The stall rule has a clock of its own.
        self.writer.commit(SegmentInput { records, resume, complete }, &|| Timestamp::MIN).await?;
        Ok(())
    }
}

/// Says that every resource that a watcher captures is proven up to `t`.
fn resume(t: Timestamp) -> Vec<ResumeEntry> {
    let entry = |row: &KindRow| ResumeEntry {
        id: ResourceId::new(row.group, row.plural, ""),
        kind: row.kind.to_owned(),
        api_version: if row.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", row.group) },
        rv: None,
        proven_at: Some(t),
        state: ProofState::Live,
        era: Era(1),
        detail: String::new(),
    };
    let mut entries: Vec<_> = kinds().iter().map(entry).collect();
    entries.sort_by(|one, other| one.id.cmp(&other.id));
    entries
}

/// Writes `versions` versions of machines with a disk and a Secret each, about `per_object` versions of each
/// machine, in segments of 250. Returns the bytes of the objects.
pub(crate) async fn machines(dir: &Path, versions: usize, per_object: usize) -> anyhow::Result<u64> {
    let mut author = Author::new(dir).await?;
    let machines = versions / per_object;
    let mut raw = 0;
    let mut batch = Vec::new();
    for version in 0..versions {
        let (machine, round) = (version % machines, version / machines);
        let name = format!("vm-{machine:05}");
        let [secret, body] = &shapes::with_template_disk("prod", &name)[..] else { bail!("a Secret and a machine") };
        let (what, mut object) = match round {
            0 => (What::Added, secret.clone()),
            1 => (What::Added, body.clone()),
            _ => (What::Modified, body.clone()),
        };
        let kind = object["kind"].as_str().context("kind")?.to_lowercase();
        let meta = object["metadata"].as_object_mut().context("metadata")?;
        meta.insert("uid".into(), json!(format!("{kind}-{name}")));
        meta.insert("namespace".into(), json!("prod"));
        meta.insert("resourceVersion".into(), json!((version + 1).to_string()));
        meta.insert("creationTimestamp".into(), json!("2026-01-01T00:00:00Z"));
        if kind == "virtualmachine" {
            object["status"] = status(round, version);
        }
        if let Some(data) = object.as_object_mut().and_then(|object| object.remove("stringData")) {
            object["data"] = data;
        }
        batch.push((what, RawObject::from_server(&serde_json::to_vec(&object)?)?));
        if batch.len() == 250 || version + 1 == versions {
            raw += author.commit(&batch, Duration::from_micros(700)).await?;
            batch.clear();
        }
    }
    Ok(raw)
}

/// What virt-controller writes into the status of a machine, another one in each round. About a kilobyte of it is
/// like nothing before it, as uids, addresses and times are: compressed, a version is as large as a recorded one.
fn status(round: usize, version: usize) -> Value {
    let mut number = version as u64;
    let noise: String = (0..64)
        .map(|_| {
            // The finaliser of SplitMix64: numbers without a pattern that are the same in every run.
            number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            format!("{:016x}", mixed ^ (mixed >> 27))
        })
        .collect();
    let phase = ["Starting", "Running", "Migrating", "Running", "Stopping", "Stopped"][round % 6];
    json!({
        "created": true, "ready": phase == "Running", "observedGeneration": round, "desiredGeneration": round,
        "printableStatus": phase, "runStrategy": "Always",
        "conditions": [
            {"type": "Ready", "status": (phase == "Running").to_string(), "lastTransitionTime": format!("2026-01-01T00:{:02}:00Z", round % 60)},
            {"type": "LiveMigratable", "status": "True"}, {"type": "StorageLiveMigratable", "status": "True"},
        ],
        "volumeSnapshotStatuses": [{"name": "root", "enabled": true}, {"name": "cloudinit", "enabled": false, "reason": "Snapshot is not supported for this volumeSource type [cloudinit]"}],
        "noise": noise, "padding": format!("{round:x}").repeat(2000),
    })
}
