//! What every store must do, and what every reader and writer does on it.

use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use vmrewind_archive::{
    Archive, ArchiveError, ArchiveUrl, At, ErrorKind, FenceOutcome, Head, Presence, SegmentInput, SeqRange, Silent,
    Store, StoreKind,
};
use vmrewind_model::{Change, Epoch, Gap, GapCause, ObjectKey, Op, Record, RecordKey, ResourceId, Rv, Seq};
use vmrewind_testkit::{s3::S3Server, store::FaultyStore};

use crate::world::{self, Clock, commit, input, make, open, own, record, records, resume, state, t, take_over, vm};

/// Runs everything that must hold on any store, from an empty place on.
pub(crate) async fn archive_conformance(store: Store) {
    conformance(store, false).await;
}

/// As [`archive_conformance`], of an archive that is encrypted.
async fn sealed_conformance(store: Store) {
    conformance(store, true).await;
}

async fn conformance(store: Store, sealed: bool) {
    making(&store, sealed).await;
    let clock = Clock::default();
    let written = writing(&store, &clock).await;
    reading(&store, &written).await;
    states(&store).await;
    taking_over(&store, &clock).await;
    resume_maps(&store, &clock).await;
}

#[tokio::test]
async fn memory_conforms() {
    archive_conformance(Store::in_memory()).await;
}

#[tokio::test]
async fn a_directory_conforms() {
    let directory = tempfile::tempdir().expect("a directory");
    let url: ArchiveUrl = directory.path().to_str().expect("UTF-8").parse().expect("a path");
    archive_conformance(Store::open(&url).expect("a store")).await;
}

#[tokio::test]
async fn an_encrypted_archive_conforms_wherever_it_lies() {
    sealed_conformance(Store::in_memory()).await;
    let directory = tempfile::tempdir().expect("a directory");
    let url: ArchiveUrl = directory.path().to_str().expect("UTF-8").parse().expect("a path");
    sealed_conformance(Store::open(&url).expect("a store")).await;
    let whole = FaultyStore::new(Arc::new(InMemory::new())).ignoring_ranges();
    sealed_conformance(Store::from_parts(Arc::new(whole), StoreKind::Remote)).await;
    let weak = FaultyStore::new(Arc::new(InMemory::new())).listing_late(3);
    sealed_conformance(Store::from_parts(Arc::new(weak), StoreKind::Remote)).await;
    let server = S3Server::start().await.expect("started");
    let store = world::in_bucket(&server, "sealed");
    sealed_conformance(Store::from_parts(store, StoreKind::Remote)).await;
}

#[tokio::test]
async fn a_wrapped_store_without_faults_conforms() {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    archive_conformance(Store::from_parts(Arc::new(faulty), StoreKind::Remote)).await;
}

#[tokio::test]
async fn a_store_that_ignores_ranges_conforms() {
    let whole = FaultyStore::new(Arc::new(InMemory::new())).ignoring_ranges();
    archive_conformance(Store::from_parts(Arc::new(whole), StoreKind::Remote)).await;
}

#[tokio::test]
async fn a_store_that_lists_the_newest_names_late_conforms() {
    for late in [1, 3, 20] {
        let weak = FaultyStore::new(Arc::new(InMemory::new())).listing_late(late);
        archive_conformance(Store::from_parts(Arc::new(weak), StoreKind::Remote)).await;
    }
}

#[tokio::test]
async fn a_real_s3_server_conforms() {
    let server = S3Server::start().await.expect("started");
    let store = world::in_bucket(&server, "archives");
    archive_conformance(Store::from_parts(store, StoreKind::Remote)).await;
}

async fn making(store: &Store, sealed: bool) {
    let make = async |store| if sealed { world::make_sealed(store).await } else { make(store).await };
    let none = Archive::open(store.clone()).await.expect_err("there is no archive yet");
    assert!(matches!(none, ArchiveError::NoArchive { .. }), "{none}");
    let made = make(store).await.expect("made");
    let again = make(store).await.expect_err("there is one now");
    assert!(matches!(again, ArchiveError::AlreadyArchive { archive, .. } if archive == made.archive), "{again}");
    let archive = open(store).await.expect("opened");
    assert_eq!(archive.identity(), &made);
    assert_eq!(archive.head().await.expect("a head"), Head::EMPTY);
    assert!(world::read_all(store).await.expect("readable").is_empty());
    let nothing = archive.state_at(At::Latest, &|_| true, &Silent).await.expect_err("nothing is there");
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
}

/// Writes what the other parts read: two machines, a gap, a late deletion, and something back-dated.
pub(crate) async fn writing(store: &Store, clock: &Clock) -> Vec<Record> {
    let mut writer = own(store, 1, clock).await.expect("owned");
    assert_eq!((writer.head().segment, writer.head().epoch, writer.head().seq), (1, Epoch(1), Seq(0)));
    let mut written = records(1, 6);
    let first = writer.commit(input(written.clone()), &|| clock.now()).await.expect("committed");
    let segment = first.get();
    assert_eq!((segment.segment, segment.first, segment.last, segment.t), (2, Seq(1), Seq(6), t(60)));
    assert_eq!(writer.head().digest, segment.digest);
    let gap = |to: Option<i64>, opened: Option<u64>| {
        Change::Gap(Gap {
            resource: ResourceId::new("kubevirt.io", "virtualmachines", ""),
            object: None,
            from: t(65),
            to: to.map(t),
            cause: GapCause::Expired,
            detail: String::new(),
            opened: opened.map(Seq),
        })
    };
    let dead = Change::Deleted { key: vm("db"), rv: None, object: None, inferred: true };
    let secret =
        RecordKey { home: "prod/web".into(), object: ObjectKey::new("", "Secret", "prod", "key"), uid: String::new() };
    let second = vec![
        record(7, gap(None, None)),
        Record { lo: Some(t(65)), ..record(8, dead) },
        record(9, gap(Some(85), Some(7))),
        record(10, Change::Absent { key: secret, from_seq: Some(Seq(5)) }),
        record(11, Change::Withheld { key: vm("hidden"), rv: Rv(1), reason: "on purpose".into() }),
        record(12, Change::Heartbeat),
    ];
    writer.commit(input(second.clone()), &|| clock.now()).await.expect("committed");
    written.extend(second);
    let third = vec![record(13, Change::Unobserved { key: vm("hidden"), reason: "gone".into() })];
    writer.commit(input(third.clone()), &|| clock.now()).await.expect("committed");
    written.extend(third);
    written
}

async fn reading(store: &Store, written: &[Record]) {
    let archive = open(store).await.expect("opened");
    assert_eq!(world::read_all(store).await.expect("readable"), written);
    for first in 0..=14 {
        for last in first..=15 {
            let range = SeqRange::new(Seq(first), Seq(last));
            let read: Vec<Record> = archive.records(range).try_collect().await.expect("readable");
            let expected: Vec<&Record> = written.iter().filter(|record| range.contains(record.seq)).collect();
            assert_eq!(read.iter().collect::<Vec<_>>(), expected, "{first} to {last}");
        }
    }
    let only_db = |key: &RecordKey| key.object.name == "db";
    let history: Vec<Record> = archive.history(&only_db, SeqRange::ALL).try_collect().await.expect("readable");
    let seqs: Vec<u64> = history.iter().map(|record| record.seq.0).collect();
    assert_eq!(seqs, [2, 4, 6, 7, 8, 9, 12]);
    let segments: Vec<_> = archive.segments(1..=u64::MAX).try_collect().await.expect("readable");
    assert_eq!(segments.len(), 4);
    segments.iter().for_each(|segment| segment.check_objects().expect("canonical objects under their own keys"));
    let timeline = archive.timeline().await.expect("readable");
    let survey = archive.survey().await.expect("readable");
    assert_eq!((timeline.records, timeline.first, timeline.head.segment), (13, Some(t(10)), 4));
    assert_eq!(
        (&timeline.segments, &timeline.gaps, &timeline.proofs),
        (&survey.segments, &survey.gaps, &survey.proofs)
    );
    assert_eq!(timeline.head, survey.head);
    assert!(survey.damage.is_empty());
    let gap = &timeline.gaps[0];
    assert_eq!((gap.opened, gap.closed, gap.gap.from, gap.gap.to), (Seq(7), Some(Seq(9)), t(65), Some(t(85))));
    let mut proofs = timeline.proofs.iter();
    let (volumes, machines) = (proofs.next().expect("volumes"), proofs.next().expect("machines"));
    assert!(machines.covers(t(0)) && machines.covers(t(130)) && !machines.covers(t(131)) && !machines.covers(t(-1)));
    assert!(volumes.current && !volumes.covers(t(1)));
    assert_eq!(timeline.resume().len(), 2);
}

async fn states(store: &Store) {
    let archive = open(store).await.expect("opened");
    let at = async |at: At| archive.state_at(at, &|_| true, &Silent).await;
    let names = |state: &vmrewind_archive::State| -> Vec<(String, Presence, u64)> {
        let one = |(key, entry): (&ObjectKey, &vmrewind_archive::Entry)| {
            (key.name.clone(), entry.presence, entry.record.seq.0)
        };
        state.objects.iter().map(one).collect()
    };
    let present = |name: &str, seq: u64| (name.to_owned(), Presence::Present, seq);
    let early = at(At::Time(t(9))).await.expect_err("before the first record");
    assert!(early.to_string().contains("before the first record"), "{early}");
    let one = at(At::Time(t(19))).await.expect("there");
    assert_eq!((one.seq, one.t, names(&one)), (Seq(1), t(19), vec![present("web", 1)]));
    // Inside of the gap, while the deletion may or may not have happened; the absence counts from record 5 on.
    let mid = at(At::Time(t(66))).await.expect("there");
    let key = ("key".to_owned(), Presence::Absent, 10);
    assert_eq!((mid.seq, names(&mid)), (Seq(6), vec![present("db", 6), key.clone(), present("web", 5)]));
    assert_eq!(mid.gaps.len(), 1);
    assert_eq!(
        mid.late.iter().map(|late| (late.record.seq, late.record.change.op())).collect::<Vec<_>>(),
        [(Seq(8), Op::Deleted)]
    );
    let four = at(At::Seq(Seq(4))).await.expect("there");
    assert_eq!((four.t, names(&four)), (t(40), vec![present("db", 4), present("web", 3)]));
    let eleven = at(At::Seq(Seq(11))).await.expect("there");
    let hidden = ("hidden".to_owned(), Presence::Withheld, 11);
    assert_eq!(names(&eleven), [hidden, key.clone(), present("web", 5)]);
    assert!(eleven.gaps.is_empty() && eleven.late.is_empty());
    let latest = at(At::Latest).await.expect("there");
    assert_eq!((latest.seq, latest.t, names(&latest)), (Seq(13), t(130), vec![key, present("web", 5)]));
    let future = at(At::Time(t(1000))).await.expect("an answer that is not proven");
    assert_eq!((future.seq, future.t), (Seq(13), t(1000)));
    assert!(future.proofs.iter().all(|proof| !proof.covers(t(1000))));
    for seq in [0, 14] {
        assert_eq!(at(At::Seq(Seq(seq))).await.expect_err("no such record").kind(), ErrorKind::NotFound);
    }
    let filtered = archive.state_at(At::Latest, &|key| key.object.name == "web", &Silent).await.expect("there");
    assert_eq!(names(&filtered), [present("web", 5)]);
    let state_of = &filtered.objects.values().next().expect("one").record.change;
    assert_eq!(state_of, &state(&vm("web"), 3));
}

async fn taking_over(store: &Store, clock: &Clock) {
    let mut first = own(store, 2, clock).await.expect("owned");
    let archive = open(store).await.expect("opened");
    let stale = take_over(&archive, &Head::EMPTY, 3, clock).await.expect("an answer");
    let FenceOutcome::Taken(head) = stale else { panic!("slot 1 is taken") };
    assert_eq!(&head, first.head());
    let FenceOutcome::Owner(mut second) = take_over(&archive, &head, 3, clock).await.expect("an answer") else {
        panic!("the slot after the head is free")
    };
    assert_eq!(second.head().epoch, first.head().epoch.next());
    for _ in 0..2 {
        let fenced = commit(&mut first, 1, clock).await.expect_err("fenced");
        assert!(matches!(fenced, ArchiveError::Fenced { epoch, .. } if epoch == second.head().epoch), "{fenced}");
        assert!(fenced.ends_writer());
    }
    second.confirm(&|| clock.now()).await.expect("still leading");
    commit(&mut second, 1, clock).await.expect("committed");
    let mut third = own(store, 4, clock).await.expect("owned");
    let fenced = second.confirm(&|| clock.now()).await.expect_err("no longer leading");
    assert_eq!(fenced.kind(), ErrorKind::Fenced);
    commit(&mut third, 1, clock).await.expect("committed");
    let reigns = archive.timeline().await.expect("readable").reigns;
    let epochs: Vec<(u64, u64, u64)> = reigns.iter().map(|reign| (reign.epoch.0, reign.first, reign.last)).collect();
    assert_eq!(epochs, [(1, 1, 4), (2, 5, 5), (3, 6, 7), (4, 8, 9)]);
}

async fn resume_maps(store: &Store, clock: &Clock) {
    let mut writer = own(store, 5, clock).await.expect("owned");
    while writer.head().segment < 64 {
        commit(&mut writer, 1, clock).await.expect("committed");
    }
    let seq = writer.head().seq.0 + 1;
    let only = SegmentInput {
        records: records(seq, 1),
        resume: vec![resume("virtualmachines", 99, 10 * seq.cast_signed())],
        complete: true,
    };
    writer.commit(only, &|| clock.now()).await.expect("committed");
    let archive = open(store).await.expect("opened");
    let segments: Vec<_> = archive.segments(62..=65).try_collect().await.expect("readable");
    let maps: Vec<(bool, usize)> = segments.iter().map(|s| (s.resume.complete, s.resume.entries.len())).collect();
    assert_eq!(maps, [(false, 1), (false, 1), (true, 2), (true, 1)]);
    let timeline = archive.timeline().await.expect("readable");
    let current: Vec<(String, bool)> =
        timeline.proofs.iter().map(|p| (p.entry.id.resource.clone(), p.current)).collect();
    assert_eq!(current, [("datavolumes".to_owned(), false), ("virtualmachines".to_owned(), true)]);
}
