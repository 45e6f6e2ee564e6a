//! An archive mirrored into another store: stopped at any call, refused where it must be, and never wrong on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use vmrewind_archive::{ArchiveError, Code, Copied, CopyOptions, Cpu, ErrorKind, Silent, Store, StoreKind, copy};
use vmrewind_model::Seq;
use vmrewind_testkit::{
    s3::S3Server,
    store::{Call, Fault, FaultyStore, How},
};

use crate::world::{self, Clock, commit, lived, make, own, read_all, records};

const QUICK: CopyOptions = CopyOptions { allow_damage: false, quick: true };
const BRAVE: CopyOptions = CopyOptions { allow_damage: true, quick: false };
const SLOT_2: &str = "log/0000/0000000000000002";

async fn mirror(source: &Store, target: &Store, options: CopyOptions) -> Result<Copied, ArchiveError> {
    copy(source, target, Cpu::Inline, options, &Silent).await
}

async fn usual(source: &Store, target: &Store) -> Result<Copied, ArchiveError> {
    mirror(source, target, CopyOptions::default()).await
}

/// Every object of a store but those of the probe, by name.
async fn objects(faulty: &FaultyStore) -> BTreeMap<String, Bytes> {
    let inner = faulty.inner();
    let names: Vec<Path> = inner.list(None).map_ok(|meta| meta.location).try_collect().await.expect("listed");
    let objects = futures::stream::iter(names).then(|name| {
        let inner = inner.clone();
        async move { (name.to_string(), inner.get(&name).await.expect("there").bytes().await.expect("read")) }
    });
    objects.filter(|(name, _)| std::future::ready(!name.starts_with("probe/"))).collect().await
}

async fn put(faulty: &FaultyStore, name: &str, bytes: impl Into<Bytes>) {
    faulty.inner().put(&Path::from(name), bytes.into().into()).await.expect("stored");
}

async fn flip(faulty: &FaultyStore, name: &str) {
    let mut bytes = objects(faulty).await[name].to_vec();
    bytes[600] ^= 1;
    put(faulty, name, bytes).await;
}

/// Runs a copy that fails at the `nth` call to one of the stores, looks at what it left, and goes on; false if the copy is over
/// before that call.
fn stopped_at(nth: u64, how: &How, at_source: bool) -> bool {
    let clock = Clock::default();
    let (from, source, _writer) = lived(&clock).now_or_never().expect("memory answers at once");
    let (to, target) = world::faulty();
    let failing = if at_source { &from } else { &to };
    let before = failing.calls().len() as u64;
    failing.fail(Fault::any(nth, how.clone()));
    // A lost answer never comes: dropping the future is the crash.
    drop(usual(&source, &target).now_or_never());
    let reached = failing.calls().len() as u64 - before > nth;
    failing.heal();
    let whole = objects(&from).now_or_never().expect("memory answers at once");
    let left = objects(&to).now_or_never().expect("memory answers at once");
    let slots: Vec<&str> = whole.keys().filter(|name| name.starts_with("log/")).map(String::as_str).collect();
    let there: Vec<&str> = left.keys().filter(|name| name.starts_with("log/")).map(String::as_str).collect();
    assert_eq!(there, slots[..there.len()], "call {nth}: segments without those before them");
    assert!(left.iter().all(|(name, bytes)| whole.get(name) == Some(bytes)), "call {nth}: other bytes");
    match read_all(&target).now_or_never().expect("memory answers at once") {
        Ok(found) => assert_eq!(found, records(1, found.len() as u64), "call {nth}"),
        Err(ArchiveError::NoArchive { .. }) => assert!(left.is_empty(), "call {nth}: {:?}", left.keys()),
        Err(error) => panic!("call {nth}: {error}"),
    }
    let again = usual(&source, &target).now_or_never().expect("memory answers at once");
    let again = again.unwrap_or_else(|error| panic!("call {nth}: {error}"));
    assert_eq!(again.there.segments, there.len() as u64, "call {nth}: something was copied twice");
    assert_eq!(again.copied.segments, 3 - there.len() as u64, "call {nth}");
    assert_eq!(objects(&to).now_or_never().expect("memory answers at once"), whole, "call {nth}");
    reached
}

#[test]
fn a_copy_that_is_stopped_at_any_call_leaves_a_prefix_and_is_finished_by_the_next_one() {
    for how in [How::Before, How::After, How::LostAnswer] {
        for (at_source, least) in [(false, 140), (true, 15)] {
            let reached = (0..2000).take_while(|nth| stopped_at(*nth, &how, at_source)).count();
            assert!((least..2000).contains(&reached), "{how:?}, at source {at_source}: {reached} calls");
        }
    }
}

#[tokio::test]
async fn a_copy_is_the_archive_byte_for_byte_and_a_second_one_only_compares() {
    let clock = Clock::default();
    let (from, source, mut writer) = lived(&clock).await;
    let (to, target) = world::faulty();
    let done = usual(&source, &target).await.expect("copied");
    assert_eq!((done.made, done.copied.segments, done.there.segments), (true, 3, 0));
    assert_eq!(objects(&to).await, objects(&from).await);
    assert_eq!((done.source.slot, done.source.seq, done.source.t), (3, Some(Seq(8)), done.target.t));
    commit(&mut writer, 4, &clock).await.expect("committed");
    for options in [CopyOptions::default(), CopyOptions::default(), QUICK] {
        let puts = |calls: Vec<(Call, String)>| {
            calls.iter().filter(|(call, name)| *call == Call::Put && name.starts_with("log/")).count()
        };
        let before = puts(to.calls());
        let done = mirror(&source, &target, options).await.expect("copied");
        assert_eq!(u64::try_from(puts(to.calls()) - before).expect("small"), done.copied.segments, "nothing twice");
        assert_eq!((done.made, done.target.slot, done.target.seq), (false, 4, Some(Seq(12))));
    }
    assert_eq!(objects(&to).await, objects(&from).await);
}

#[tokio::test]
async fn what_the_source_gets_while_it_is_copied_comes_with_the_next_copy() {
    let clock = Clock::default();
    let (_, source, mut writer) = lived(&clock).await;
    let (to, target) = world::faulty();
    let released = std::sync::Arc::new(tokio::sync::Notify::new());
    to.fail(Fault::on(Call::Put, 0, How::Slow(released.clone())).below(SLOT_2));
    let mut slow = Box::pin(usual(&source, &target));
    assert!(slow.as_mut().now_or_never().is_none(), "the put is held back");
    commit(&mut writer, 4, &clock).await.expect("committed");
    released.notify_one();
    let done = slow.await.expect("copied");
    assert_eq!((done.source.slot, done.target.slot), (4, 3));
    assert_eq!(mirror(&source, &target, QUICK).await.expect("copied").copied.segments, 1);
}

#[tokio::test]
async fn an_object_that_differs_is_named_and_stays_as_it_is() {
    let clock = Clock::default();
    let (_, source, _writer) = lived(&clock).await;
    let (to, target) = world::faulty();
    usual(&source, &target).await.expect("copied");
    flip(&to, SLOT_2).await;
    let before = objects(&to).await;
    let error = usual(&source, &target).await.expect_err("it differs");
    assert!(matches!(&error, ArchiveError::Differs { object, damage: None, .. } if object == SLOT_2), "{error}");
    assert_eq!((error.kind(), objects(&to).await), (ErrorKind::Data, before));
    put(&to, "archive.json", "{}\n").await;
    let error = usual(&source, &target).await.expect_err("it differs");
    assert!(matches!(&error, ArchiveError::Differs { object, .. } if object == "archive.json"), "{error}");
}

#[tokio::test]
async fn a_damaged_segment_stops_the_copy_after_what_is_before_it() {
    let clock = Clock::default();
    let (from, source, _writer) = lived(&clock).await;
    flip(&from, SLOT_2).await;
    let (to, target) = world::faulty();
    let error = usual(&source, &target).await.expect_err("damaged");
    assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.segment == Some(2)), "{error}");
    assert_eq!(objects(&to).await.len(), 2, "archive.json and segment 1");
    let done = mirror(&source, &target, BRAVE).await.expect("copied");
    assert_eq!((done.there.segments, done.copied.segments), (1, 2));
    assert_eq!(done.damage.iter().map(|damage| damage.segment).collect::<Vec<_>>(), [Some(2)]);
    assert_eq!(objects(&to).await, objects(&from).await);
}

#[tokio::test]
async fn damage_that_came_after_a_copy_does_not_reach_it() {
    let clock = Clock::default();
    let (from, source, _writer) = lived(&clock).await;
    let (to, target) = world::faulty();
    usual(&source, &target).await.expect("copied");
    let intact = objects(&to).await;
    flip(&from, SLOT_2).await;
    for options in [CopyOptions::default(), BRAVE] {
        let error = mirror(&source, &target, options).await.expect_err("it differs");
        assert!(matches!(&error, ArchiveError::Differs { damage: Some(_), .. }), "{error}");
    }
    assert_eq!(objects(&to).await, intact);
}

#[tokio::test]
async fn a_missing_segment_is_damage_like_any_other() {
    let clock = Clock::default();
    let (from, source, _writer) = lived(&clock).await;
    let (to, target) = world::faulty();
    from.inner().delete(&Path::from(SLOT_2)).await.expect("deleted");
    let error = usual(&source, &target).await.expect_err("missing");
    assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.code == Code::Missing), "{error}");
    let done = mirror(&source, &target, BRAVE).await.expect("copied");
    assert_eq!((done.copied.segments, done.damage.len(), done.target.slot), (1, 1, 3));
    assert_eq!(objects(&to).await, objects(&from).await);
}

#[tokio::test]
async fn a_hole_in_the_copy_is_filled_from_the_source() {
    let clock = Clock::default();
    let (from, source, _writer) = lived(&clock).await;
    let (to, target) = world::faulty();
    usual(&source, &target).await.expect("copied");
    to.inner().delete(&Path::from(SLOT_2)).await.expect("deleted");
    let done = usual(&source, &target).await.expect("copied");
    assert_eq!((done.there.segments, done.copied.segments), (2, 1));
    assert_eq!(objects(&to).await, objects(&from).await);
}

#[tokio::test]
async fn a_copy_that_a_watcher_writes_to_is_refused() {
    let clock = Clock::default();
    let (_, source, mut writer) = lived(&clock).await;
    let (_, target) = world::faulty();
    usual(&source, &target).await.expect("copied");
    own(&target, 9, &clock).await.expect("owned");
    let error = usual(&source, &target).await.expect_err("ahead");
    assert!(matches!(error, ArchiveError::Ahead { slot: 4, newest: 3, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    commit(&mut writer, 4, &clock).await.expect("committed");
    let error = usual(&source, &target).await.expect_err("two segments 4");
    assert!(matches!(&error, ArchiveError::Differs { object, .. } if object.ends_with('4')), "{error}");
    assert!(mirror(&source, &target, QUICK).await.is_err());
}

#[tokio::test]
async fn a_rival_that_takes_a_slot_while_the_copy_runs_is_not_overwritten() {
    let clock = Clock::default();
    let (_, source, _writer) = lived(&clock).await;
    let (to, target) = world::faulty();
    to.fail(Fault::on(Call::Put, 0, How::Race(Bytes::from_static(b"theirs"))).below(SLOT_2));
    let error = usual(&source, &target).await.expect_err("somebody was faster");
    assert!(matches!(&error, ArchiveError::Differs { object, .. } if object == SLOT_2), "{error}");
    assert_eq!(objects(&to).await[SLOT_2], "theirs");
}

#[tokio::test]
async fn a_place_that_is_not_this_archive_is_left_alone() {
    let clock = Clock::default();
    let (_, source, _writer) = lived(&clock).await;
    let (foreign, target) = world::faulty();
    put(&foreign, "holiday.jpg", "x").await;
    assert!(matches!(usual(&source, &target).await, Err(ArchiveError::NotEmpty { .. })));
    let (other, target) = world::faulty();
    make(&target).await.expect("made");
    let identity = objects(&other).await["archive.json"].to_vec();
    let text = String::from_utf8(identity).expect("JSON").replace("00000000002a", "00000000002b");
    put(&other, "archive.json", text).await;
    let error = usual(&source, &target).await.expect_err("another one");
    assert!(matches!(error, ArchiveError::OtherArchive { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(objects(&other).await.len(), 1);
}

#[tokio::test]
async fn what_a_copy_cannot_take_along_is_refused_or_named() {
    let clock = Clock::default();
    for reserved in ["list/1", "pin/a", "keys/x", "log/0001/0000000000000001"] {
        let (from, source, _writer) = lived(&clock).await;
        put(&from, reserved, "x").await;
        let (to, target) = world::faulty();
        let error = usual(&source, &target).await.expect_err(reserved);
        assert!(matches!(error, ArchiveError::Unsupported { .. }), "{reserved}: {error}");
        assert!(objects(&to).await.is_empty(), "{reserved}");
    }
    let (from, source, _writer) = lived(&clock).await;
    put(&from, "notes.txt", "x").await;
    let (_, target) = world::faulty();
    let done = usual(&source, &target).await.expect("copied");
    assert_eq!((done.foreign, done.foreign_count), (vec!["notes.txt".to_owned()], 1));
}

#[tokio::test]
async fn a_copy_in_a_real_service_is_the_archive_and_can_be_copied_back() {
    let clock = Clock::default();
    let (from, source, mut writer) = lived(&clock).await;
    let server = S3Server::start().await.expect("started");
    let bucket = Store::from_parts(world::in_bucket(&server, "mirror"), StoreKind::Remote);
    assert_eq!(usual(&source, &bucket).await.expect("copied").copied.segments, 3);
    commit(&mut writer, 4, &clock).await.expect("committed");
    let again = mirror(&source, &bucket, QUICK).await.expect("copied");
    assert_eq!((again.there.segments, again.copied.segments), (1, 1));
    let (to, back) = world::faulty();
    assert_eq!(usual(&bucket, &back).await.expect("copied").copied.segments, 4);
    assert_eq!(objects(&to).await, objects(&from).await);
}
