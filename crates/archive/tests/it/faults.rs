//! Writes whose outcome is not known: each is resolved by reading the slot, never by hope.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use object_store::{ObjectStoreExt as _, path::Path};
use tokio::sync::Notify;
use vmrewind_archive::{ArchiveError, ErrorKind, FenceOutcome, Head, StoreKind};
use vmrewind_model::{Epoch, Seq};
use vmrewind_testkit::store::{Call, Fault, How};

use crate::world::{self, Clock, commit, faulty_as, input, lived, make, open, own, read_all, records, take_over};

const SLOT_4: &str = "log/0000/0000000000000004";

#[tokio::test]
async fn a_put_that_landed_but_was_reported_failed_counts_once() {
    let clock = Clock::default();
    let (faulty, store, mut writer) = lived(&clock).await;
    faulty.fail(Fault::on(Call::Put, 0, How::After));
    commit(&mut writer, 4, &clock).await.expect("resolved by reading the slot");
    assert_eq!(writer.head().segment, 4);
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
}

#[tokio::test]
async fn a_put_that_did_not_land_is_sent_again_with_the_same_bytes() {
    let clock = Clock::default();
    let (faulty, store, mut writer) = lived(&clock).await;
    faulty.fail(Fault::on(Call::Put, 0, How::Before));
    commit(&mut writer, 4, &clock).await.expect("sent again");
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
}

#[tokio::test]
async fn a_store_that_stays_away_leaves_a_pending_segment_that_must_be_finished_first() {
    let clock = Clock::default();
    let (faulty, store, mut writer) = lived(&clock).await;
    for _ in 0..3 {
        faulty.fail(Fault::on(Call::Put, 0, How::Before));
    }
    let error = commit(&mut writer, 4, &clock).await.expect_err("the store is away");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.ends_writer());
    assert_eq!((writer.pending(), writer.head().segment), (Some(4), 3));
    let refused = writer.commit(input(records(9, 1)), &|| clock.now()).await.expect_err("segment 4 comes first");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(writer.confirm(&|| clock.now()).await.expect_err("segment 4 comes first").kind(), ErrorKind::Invalid);
    let done = writer.resume_commit(&|| clock.now()).await.expect("the store is back");
    assert_eq!((done.get().segment, done.get().last, writer.pending()), (4, Seq(12), None));
    let nothing = writer.resume_commit(&|| clock.now()).await.expect_err("nothing is pending");
    assert_eq!(nothing.kind(), ErrorKind::Invalid);
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_finished_after_the_call_was_given_up() {
    let clock = Clock::default();
    let (faulty, store, mut writer) = lived(&clock).await;
    faulty.fail(Fault::on(Call::Put, 0, How::LostAnswer));
    assert!(commit(&mut writer, 4, &clock).now_or_never().is_none(), "the answer never comes");
    assert_eq!(writer.pending(), Some(4));
    writer.resume_commit(&|| clock.now()).await.expect("it had landed");
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
}

#[tokio::test]
async fn a_writer_that_is_overtaken_while_its_put_is_on_the_way_is_fenced() {
    let clock = Clock::default();
    let (faulty, store, mut old) = lived(&clock).await;
    let released = Arc::new(Notify::new());
    faulty.fail(Fault::on(Call::Put, 0, How::Slow(Arc::clone(&released))).below(SLOT_4));
    let mut slow = Box::pin(commit(&mut old, 4, &clock));
    assert!(slow.as_mut().now_or_never().is_none(), "the put is held back");
    let mut new = own(&store, 2, &clock).await.expect("owned");
    assert_eq!((new.head().segment, new.head().epoch), (4, Epoch(2)));
    released.notify_one();
    let error = slow.await.expect_err("overtaken");
    assert!(matches!(error, ArchiveError::Fenced { slot: 4, epoch: Epoch(2) }), "{error}");
    commit(&mut new, 4, &clock).await.expect("committed");
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
}

#[tokio::test]
async fn a_slot_that_holds_what_nobody_can_have_written_is_a_fork() {
    let clock = Clock::default();
    for (name, how) in [("torn", How::Torn(100)), ("foreign", How::Race(Bytes::from_static(b"something")))] {
        let (faulty, store, mut writer) = lived(&clock).await;
        faulty.fail(Fault::on(Call::Put, 0, how));
        let error = commit(&mut writer, 4, &clock).await.expect_err(name);
        assert!(matches!(error, ArchiveError::Fork { slot: 4, .. }), "{name}: {error}");
        let again = commit(&mut writer, 4, &clock).await.expect_err("it ended");
        assert!(matches!(again, ArchiveError::Fork { slot: 4, .. }), "{name}: {again}");
        let survey = open(&store).await.expect("opened").survey().await.expect("a survey");
        assert_eq!(survey.damage.iter().map(|damage| damage.segment).collect::<Vec<_>>(), [Some(4)], "{name}");
        assert_eq!(survey.records, 8);
    }
}

#[tokio::test]
async fn a_writer_that_stalled_never_acknowledges_even_if_its_segment_landed() {
    let clock = Clock::default();
    let (faulty, store, mut writer) = lived(&clock).await;
    let released = Arc::new(Notify::new());
    faulty.fail(Fault::on(Call::Put, 0, How::Slow(Arc::clone(&released))));
    let mut slow = Box::pin(commit(&mut writer, 4, &clock));
    assert!(slow.as_mut().now_or_never().is_none(), "the put is held back");
    clock.pass(301);
    released.notify_one();
    let error = slow.await.expect_err("too late");
    assert!(matches!(error, ArchiveError::Stalled { seconds: 301, limit: 300 }), "{error}");
    assert!(error.ends_writer() && error.kind() == ErrorKind::Fenced);
    let again = commit(&mut writer, 4, &clock).await.expect_err("it ended");
    assert!(matches!(again, ArchiveError::Stalled { .. }), "{again}");
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
    own(&store, 2, &clock).await.expect("a new writer goes on from there");
}

#[tokio::test]
async fn an_idle_writer_that_confirms_its_head_does_not_stall() {
    let clock = Clock::default();
    let (_, _, mut writer) = lived(&clock).await;
    for _ in 0..3 {
        clock.pass(299);
        writer.confirm(&|| clock.now()).await.expect("still leading");
    }
    commit(&mut writer, 1, &clock).await.expect("committed");
    clock.pass(301);
    let error = commit(&mut writer, 1, &clock).await.expect_err("idle for too long");
    assert!(matches!(error, ArchiveError::Stalled { .. }), "{error}");
}

#[tokio::test]
async fn a_fence_that_landed_but_was_reported_failed_is_recognised_even_with_another_clock_reading() {
    let clock = Clock::default();
    let (faulty, store, _) = lived(&clock).await;
    let archive = open(&store).await.expect("opened");
    let head = archive.head().await.expect("a head");
    // The put of the fence lands, and every attempt to find that out fails.
    faulty.fail(Fault::on(Call::Put, 0, How::After).below(SLOT_4));
    faulty.fail(Fault::on(Call::Get, 0, How::Before).below(SLOT_4));
    let error = take_over(&archive, &head, 9, &clock).await.expect_err("not known");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    clock.pass(5);
    let FenceOutcome::Owner(mut writer) = take_over(&archive, &head, 9, &clock).await.expect("an answer") else {
        panic!("it is our own fence")
    };
    commit(&mut writer, 4, &clock).await.expect("committed");
    assert_eq!(open(&store).await.expect("opened").survey().await.expect("a survey").damage, []);
}

#[tokio::test]
async fn a_directory_that_fails_ends_the_writer_and_a_service_that_fails_does_not() {
    let clock = Clock::default();
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(directory.path().join("log/0000")).expect("made");
    let (faulty, store) = faulty_as(StoreKind::Directory(directory.path().to_owned()));
    // The objects are in memory; empty files stand for them where modes are set.
    for name in ["archive.json", "log/0000/0000000000000001"] {
        std::fs::write(directory.path().join(name), "").expect("written");
    }
    for n in 0..8 {
        let name = format!("probe/0000000000000000000000000000002a-{n}");
        std::fs::create_dir_all(directory.path().join("probe")).expect("made");
        std::fs::write(directory.path().join(name), "").expect("written");
    }
    make(&store).await.expect("made");
    let mut writer = own(&store, 1, &clock).await.expect("owned");
    faulty.fail(Fault::on(Call::Put, 0, How::Before));
    let error = commit(&mut writer, 1, &clock).await.expect_err("the disk is full");
    assert!(matches!(error, ArchiveError::StoreFailed { .. }) && error.ends_writer(), "{error}");
    let again = writer.resume_commit(&|| clock.now()).await.expect_err("it ended");
    assert!(matches!(again, ArchiveError::StoreFailed { .. }), "{again}");
}

#[tokio::test]
async fn a_store_that_overwrites_is_refused_when_an_archive_is_made_and_when_a_writer_starts() {
    let clock = Clock::default();
    let (faulty, store) = world::faulty();
    let liar = vmrewind_archive::Store::from_parts(Arc::new(faulty.clone().overwriting()), StoreKind::Remote);
    let error = make(&liar).await.expect_err("it overwrites");
    assert!(matches!(error, ArchiveError::UnsafeStore { .. }), "{error}");
    make(&store).await.expect("a good store");
    let bytes = async || {
        let read = faulty.inner().get(&Path::from("archive.json")).await.expect("there");
        read.bytes().await.expect("there")
    };
    let before = bytes().await;
    let archive = open(&liar).await.expect("readable");
    let error = take_over(&archive, &Head::EMPTY, 1, &clock).await.expect_err("it overwrites");
    assert!(matches!(error, ArchiveError::UnsafeStore { .. }), "{error}");
    assert!(error.to_string().contains("overwritten") && error.hint().is_some_and(|hint| hint.contains("refuses")));
    assert_eq!(bytes().await, before, "what the probe wrote is what was there");
    assert_eq!(archive.head().await.expect("a head"), Head::EMPTY);
}

#[tokio::test]
async fn a_store_that_turns_into_one_that_overwrites_is_refused_by_the_next_writer() {
    let clock = Clock::default();
    let (faulty, store, writer) = lived(&clock).await;
    let liar = vmrewind_archive::Store::from_parts(Arc::new(faulty.clone().overwriting()), StoreKind::Remote);
    let archive = open(&liar).await.expect("readable");
    let error = take_over(&archive, writer.head(), 2, &clock).await.expect_err("it overwrites");
    assert!(matches!(error, ArchiveError::UnsafeStore { .. }) && error.ends_writer(), "{error}");
    assert_eq!(
        &open(&store).await.expect("opened").head().await.expect("a head"),
        writer.head(),
        "no fence was written"
    );
    assert_eq!(read_all(&store).await.expect("readable").len(), 8);
}

#[tokio::test]
async fn a_probe_that_gets_no_answer_at_the_start_is_repeated_and_then_given_up() {
    let clock = Clock::default();
    let (faulty, store, writer) = lived(&clock).await;
    let archive = open(&store).await.expect("opened");
    for _ in 0..2 {
        faulty.fail(Fault::on(Call::Put, 0, How::Status(503)).below("archive.json"));
    }
    let taken = take_over(&archive, writer.head(), 2, &clock).await.expect("the third one is answered");
    assert!(matches!(taken, FenceOutcome::Owner(_)));
    let head = archive.head().await.expect("a head");
    for _ in 0..3 {
        faulty.fail(Fault::on(Call::Put, 0, How::Status(503)).below("archive.json"));
    }
    let error = take_over(&archive, &head, 3, &clock).await.expect_err("it stays away");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(archive.head().await.expect("a head"), head, "no fence was written");
    faulty.fail(Fault::on(Call::Put, 0, How::Status(409)).below("archive.json"));
    take_over(&archive, &head, 4, &clock).await.expect("a conflict is a refusal");
}

#[tokio::test]
async fn a_rival_that_makes_the_archive_first_wins() {
    let (faulty, store) = world::faulty();
    let (_, elsewhere) = world::faulty();
    make(&elsewhere).await.expect("made");
    let text = r#"{"format":{"major":0,"minor":1},"features":{"read":[],"write":[],"maintain":[]},
        "archive":"00000000-0000-0000-0000-000000000001","cluster":"d","created":"2026-01-01T00:00:00Z",
        "hash":"sha256","encryption":"none","software":"other"}
"#;
    faulty.fail(Fault::on(Call::Put, 0, How::Race(Bytes::from_static(text.as_bytes()))).below("archive.json"));
    let error = make(&store).await.expect_err("somebody was faster");
    assert!(matches!(error, ArchiveError::AlreadyArchive { archive, .. } if archive.as_u128() == 1), "{error}");
}

#[tokio::test]
async fn a_short_answer_is_no_answer() {
    let clock = Clock::default();
    let (faulty, store, _) = lived(&clock).await;
    faulty.fail(Fault::on(Call::Get, 0, How::Torn(10)).below(SLOT_4.trim_end_matches('4')));
    let error = open(&store).await.expect("opened").head().await.expect_err("cut on the way");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    faulty.inner().head(&Path::from("archive.json")).await.expect("the store itself is well");
}
