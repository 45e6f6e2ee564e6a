//! A life to roll up: machines that change over days, gaps, late and back-dated records, restarts; drawn by a seed.

use vmrewind_model::{Change, Gap, ObjectKey, ObjectOp, Record, RecordKey, Rv, Timestamp};
use vmrewind_testkit::store::Script;

use crate::{
    Archive, ArchiveError, Cpu, Fence, FenceOutcome, Head, NewArchive, SegmentInput, Store, Writer,
    format::encode::{Draft, encode},
    init, samples,
};

/// What was lived.
pub(super) struct Life {
    pub(super) records: Vec<Record>,
    pub(super) slots: u64,
    dice: Script,
    /// Now, in microseconds since the beginning.
    at: i64,
    /// Gaps that are open: the record that opened each, and since when.
    open: Vec<(u64, i64)>,
    epoch: u8,
    writer: Option<Writer>,
}

/// Takes the archive over.
pub(super) async fn own(store: &Store, nonce: u8, t: Timestamp) -> Result<Writer, ArchiveError> {
    let archive = Archive::open(store.clone()).await?.with_cpu(Cpu::Inline);
    let head = archive.head().await?;
    match fence(&archive, &head, nonce, t).await? {
        FenceOutcome::Owner(writer) => Ok(writer),
        FenceOutcome::Taken(head) => panic!("nobody else is there, but {head:?} is"),
    }
}

/// Tries to take the archive over behind a head.
pub(super) async fn fence(
    archive: &Archive,
    head: &Head,
    nonce: u8,
    t: Timestamp,
) -> Result<FenceOutcome, ArchiveError> {
    let resume = vec![samples::resume("datavolumes", 1, 0), samples::resume("virtualmachines", 1, 0)];
    let fence = Fence { nonce: [nonce; 16], software: "test 1".into(), t, resume };
    Writer::fence(archive, head, fence, Cpu::Inline, &|| samples::t(0)).await
}

/// Changes one byte of a segment.
pub(super) async fn damage(store: &Store, slot: u64) {
    let name = crate::paths::segment(slot);
    let mut bytes = store.get(&name, u64::MAX - 1).await.expect("readable").expect("there").to_vec();
    bytes[60] ^= 1;
    store.delete(&name).await.expect("deleted");
    assert!(store.settle(&name, &bytes.into()).await.expect("written").is_none());
}

/// Returns the bytes of a segment.
pub(super) async fn bytes(store: &Store, slot: u64) -> bytes::Bytes {
    store.get(&crate::paths::segment(slot), u64::MAX - 1).await.expect("readable").expect("there")
}

/// Puts a segment back.
pub(super) async fn put_back(store: &Store, slot: u64, bytes: &bytes::Bytes) {
    let name = crate::paths::segment(slot);
    store.delete(&name).await.expect("deleted");
    assert!(store.settle(&name, bytes).await.expect("written").is_none());
}

/// Replaces a segment by another one, right in itself, that follows the one before it (the one behind it does not name it), or
/// does not even do that.
pub(super) async fn forge(store: &Store, slot: u64, follows: bool) {
    let name = crate::paths::segment(slot);
    let bytes = bytes(store, slot).await;
    let segment = crate::format::decode::decode(&bytes, samples::ARCHIVE, slot).expect("it was good");
    let summary = &segment.summary;
    let records: Vec<Record> = segment.records().collect::<Result<_, _>>().expect("good records");
    let draft = Draft {
        slot,
        epoch: summary.epoch,
        nonce: summary.nonce,
        prev: if follows { summary.prev } else { vmrewind_model::Digest([9; 32]) },
        software: "another".into(),
        after: (vmrewind_model::Seq(summary.seqs.first.0 - 1), samples::t(0)),
        fence: summary.fence.then_some(summary.t_first),
        resume: segment.resume.clone(),
        ..samples::draft(records)
    };
    let forged = encode(&draft).expect("a good draft").bytes;
    store.delete(&name).await.expect("deleted");
    assert!(store.settle(&name, &forged).await.expect("written").is_none());
}

fn key(dice: &mut Script) -> RecordKey {
    let name = ["a", "b", "c", "d/e", "f"][usize::try_from(dice.draw(5)).expect("small")];
    let (home, kind) = match dice.draw(4) {
        0 => (format!("prod/{name}"), "VirtualMachine"),
        1 => (format!("prod/{name}"), "Pod"),
        2 => (String::new(), "Secret"),
        _ => ("prod/a".to_owned(), "PersistentVolumeClaim"),
    };
    RecordKey { home, object: ObjectKey::new("", kind, "prod", name), uid: format!("uid-{}", dice.draw(2)) }
}

/// Draws the next change, that of record `seq`.
fn change(dice: &mut Script, seq: u64, open: &mut Vec<(u64, i64)>, at: i64) -> Change {
    let key = key(dice);
    match dice.draw(14) {
        0 => Change::Deleted { key, rv: None, object: None, inferred: true },
        1 => Change::Unobserved { key, reason: "nobody names it".into() },
        2 => Change::Absent { key: RecordKey { uid: String::new(), ..key }, from_seq: None },
        3 => Change::Withheld { key, rv: Rv(seq), reason: "policy".into() },
        4 => Change::Heartbeat,
        5 => {
            open.push((seq, at));
            Change::Gap(samples::gap(at, None, None))
        }
        6 if !open.is_empty() => {
            let (opened, from) = open.remove(0);
            Change::Gap(Gap { to: Some(samples::t(at)), ..samples::gap(from, None, Some(opened)) })
        }
        7 if seq > 3 => samples::set(ObjectOp::Seen, key, seq, Some(seq - 1 - dice.draw(seq.min(20) - 2))),
        n => samples::set(if n == 8 { ObjectOp::Added } else { ObjectOp::Modified }, key, seq, None),
    }
}

/// Makes an archive and lives `steps` steps.
pub(super) async fn lived(store: &Store, seed: u64, steps: u64) -> Life {
    let mut life = Life::begin(store, seed).await;
    life.live(store, steps).await;
    life
}

impl Life {
    /// Makes an archive.
    pub(super) async fn begin(store: &Store, seed: u64) -> Self {
        let (created, software) = (samples::t(0), "test 1".to_owned());
        let new = NewArchive { archive: samples::ARCHIVE, cluster: "c".into(), created, software, keys: None };
        init(store, new).await.expect("made");
        let (records, open, dice) = (Vec::new(), Vec::new(), Script::new(seed));
        Self { records, slots: 0, dice, at: 0, open, epoch: 0, writer: None }
    }

    /// Lives on: in each step, time passes, now and then the writer is another one, and a segment is committed.
    pub(super) async fn live(&mut self, store: &Store, steps: u64) {
        for _ in 0..steps {
            // From less than a second to hours.
            let pause = [200_000, 5_000_000, 60_000_000, 400_000_000, 5_000_000_000, 30_000_000_000];
            self.at += pause[self.draw(6) * self.draw(6) / 5] + 1;
            if self.writer.is_none() || self.draw(15) == 0 {
                self.epoch += 1;
                self.writer = Some(own(store, self.epoch, samples::t(self.at)).await.expect("owned"));
                self.slots += 1;
            }
            let first = self.records.len();
            for _ in 0..=self.draw(5) {
                self.record();
            }
            let mut resume = vec![samples::resume("virtualmachines", first as u64 + 1, self.at)];
            if self.draw(4) == 0 {
                resume.insert(0, samples::resume("datavolumes", first as u64 + 1, self.at));
            }
            if self.draw(12) == 0 {
                resume.push(samples::resume("vmsnapshots", first as u64 + 1, self.at));
            }
            let records = self.records[first..].to_vec();
            let input = SegmentInput { records, resume, complete: self.draw(9) == 0 };
            let writer = self.writer.as_mut().expect("it was just made sure of");
            writer.commit(input, &|| samples::t(0)).await.expect("committed");
            self.slots += 1;
        }
    }

    /// A new writer passes over a damaged slot, as the watcher does: a gap for every resource, from before it until now.
    pub(super) async fn account_for(&mut self, store: &Store, slot: u64) {
        let archive = Archive::open(store.clone()).await.expect("opened").with_cpu(Cpu::Inline);
        let head = archive.head().await.expect("the newest segment is whole");
        self.go_on_behind(store, &head, &[slot]).await;
    }

    /// As [`Self::account_for`], behind a head, and for several slots.
    pub(super) async fn go_on_behind(&mut self, store: &Store, head: &Head, slots: &[u64]) {
        let archive = Archive::open(store.clone()).await.expect("opened").with_cpu(Cpu::Inline);
        let before = crate::read::end(&archive, slots[0] - 1).await.expect("its end can be read").0.t_last;
        self.at += 1_000_000;
        self.epoch += 1;
        let outcome = fence(&archive, head, self.epoch, samples::t(self.at)).await.expect("an answer");
        let FenceOutcome::Owner(mut writer) = outcome else { panic!("nobody else is there: {outcome:?}") };
        let mut seq = head.seq.0;
        let first = self.records.len();
        for resource in ["datavolumes", "virtualmachines", "vmsnapshots"] {
            (self.at, seq) = (self.at + 1, seq + 1);
            let gap = Gap {
                resource: vmrewind_model::ResourceId::new("kubevirt.io", resource, ""),
                from: before,
                to: Some(samples::t(self.at)),
                cause: vmrewind_model::GapCause::Damage,
                detail: crate::damage_detail(slots),
                ..samples::gap(0, None, None)
            };
            self.records.push(Record { t: samples::t(self.at), ..samples::record(seq, Change::Gap(gap)) });
        }
        let records = self.records[first..].to_vec();
        let resume = vec![samples::resume("virtualmachines", seq, self.at)];
        let input = SegmentInput { records, resume, complete: false };
        writer.commit(input, &|| samples::t(0)).await.expect("committed");
        (self.slots, self.writer) = (head.segment + 2, None);
    }

    fn record(&mut self) {
        self.at += 1;
        let seq = self.records.len() as u64 + 1;
        let change = change(&mut self.dice, seq, &mut self.open, self.at);
        let late = self.draw(6) == 0;
        let before = i64::try_from(self.draw(900)).expect("small") * 1_000_000 + 1;
        let lo = late.then(|| samples::t(self.at - before));
        self.records.push(Record { t: samples::t(self.at), lo, ..samples::record(seq, change) });
    }

    fn draw(&mut self, below: u64) -> usize {
        usize::try_from(self.dice.draw(below)).expect("small")
    }
}
