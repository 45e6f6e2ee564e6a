//! What everything else relies on, each promise in an empty store of its own.

use bytes::Bytes;
use futures::{StreamExt as _, future::join_all, stream};
use object_store::{GetOptions, GetRange, path::Path};

use super::places::Place;
use crate::{
    ArchiveError, ErrorKind, Store,
    paths::{self, segment},
    store::{Created, LARGEST},
};

/// Names as this archive has them, and as its later parts may.
const NAMES: [&str; 6] = [
    paths::IDENTITY,
    "log/0000/00000000000000ff",
    "man/0000000000000001",
    "probe/0123456789abcdef-7",
    "keys/a.b_c-d.json",
    "list/sha256-0123456789abcdef",
];

/// Checks every promise.
pub(super) async fn every_promise(place: &impl Place) {
    one_of_many_creates_wins_and_its_bytes_are_what_is_read(place).await;
    what_exists_is_neither_created_again_nor_changed(place).await;
    what_was_created_is_there_at_once_whole_and_in_parts(place).await;
    empty_tiny_and_large_objects_come_back_as_they_were(place).await;
    a_range_beyond_the_end_is_an_error(place).await;
    what_is_missing_is_missing_and_no_error(place).await;
    an_object_longer_than_expected_is_cut_behind_the_limit(place).await;
    everything_is_listed_below_its_prefix_and_after_an_offset(place).await;
    what_is_deleted_is_gone_and_deleting_what_is_missing_is_no_error(place).await;
}

/// Creates an object, as long as that takes.
async fn put(store: &Store, name: &str, bytes: &Bytes) -> Option<Bytes> {
    const PATIENCE: u32 = 30;
    for _ in 0..PATIENCE {
        match store.settle(name, bytes).await {
            Ok(settled) => return settled,
            Err(ArchiveError::Unavailable { .. }) => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
    panic!("{name} cannot be created")
}

async fn get(store: &Store, name: &str) -> Option<Bytes> {
    store.get(name, LARGEST).await.expect(name)
}

fn bytes(length: usize) -> Bytes {
    // Not the same in any two places that are near.
    (0..length).map(|n| u8::try_from((n ^ (n >> 8) ^ (n >> 16)) & 0xff).unwrap_or_default()).collect()
}

async fn one_of_many_creates_wins_and_its_bytes_are_what_is_read(place: &impl Place) {
    const RIVALS: usize = 16;
    let store = place.fresh();
    let entry = |name: &str, n: usize| Bytes::from(format!("{name} {n}"));
    let names: Vec<String> = (1..=8).map(segment).collect();
    let contest = async |name: &String| {
        let attempts = (0..RIVALS).map(|n| {
            let bytes = entry(name, n);
            let store = &store;
            async move { store.create(name, bytes).await.expect(name) }
        });
        let created = join_all(attempts).await;
        let winners: Vec<usize> = (0..RIVALS).filter(|n| matches!(created[*n], Created::Yes)).collect();
        let found = get(&store, name).await;
        assert!(winners.len() <= 1, "{name}: {winners:?} all won");
        if let Some(winner) = winners.first() {
            assert_eq!(found, Some(entry(name, *winner)), "{name}");
        }
        if !place.fails() {
            assert_eq!(winners.len(), 1, "{name}: nobody won");
            let others = created.iter().filter(|created| matches!(created, Created::Exists)).count();
            assert_eq!(others, RIVALS - 1, "{name}: {created:?}");
        }
        // Whoever settles it learns the same, whatever the answers were.
        let settled = join_all((0..RIVALS).map(|n| {
            let bytes = entry(name, n);
            let store = &store;
            async move { put(store, name, &bytes).await }
        }))
        .await;
        let last = get(&store, name).await.expect("somebody won");
        assert!(found.is_none_or(|found| found == last), "{name} changed");
        for (n, settled) in settled.iter().enumerate() {
            let ours = entry(name, n) == last;
            assert_eq!(settled.as_ref(), (!ours).then_some(&last), "{name}: rival {n}");
        }
    };
    join_all(names.iter().map(contest)).await;
}

async fn what_exists_is_neither_created_again_nor_changed(place: &impl Place) {
    let store = place.fresh();
    for name in NAMES {
        let (first, second) = (Bytes::from("first"), Bytes::from("second"));
        assert_eq!(put(&store, name, &first).await, None, "{name}");
        assert_eq!(put(&store, name, &first).await, None, "{name}: the same bytes again are ours as well");
        assert_eq!(put(&store, name, &second).await, Some(first.clone()), "{name}");
        if !place.fails() {
            for bytes in [&first, &second] {
                let again = store.create(name, bytes.clone()).await.expect(name);
                assert!(matches!(again, Created::Exists), "{name}: {again:?}");
            }
        }
        assert_eq!(get(&store, name).await, Some(first), "{name}");
    }
}

async fn what_was_created_is_there_at_once_whole_and_in_parts(place: &impl Place) {
    let store = place.fresh();
    let content = bytes(100_000);
    for name in NAMES {
        put(&store, name, &content).await;
        assert_eq!(get(&store, name).await.as_ref(), Some(&content), "{name}");
        assert_eq!(store.size(name).await.expect(name), Some(100_000));
        for range in [0..1, 0..100_000, 99_999..100_000, 34_464..100_000, 5_000..70_001, 65_535..65_537] {
            let part = store.range(name, range.clone()).await.expect(name);
            let within = usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small");
            assert_eq!(part, content.slice(within), "{name}: {range:?}");
        }
    }
    // Nothing here asks so, since not every service answers; where it does, it is right.
    if !place.fails() {
        let options = GetOptions { range: Some(GetRange::Suffix(10)), ..GetOptions::default() };
        let tail = store.inner.get_opts(&Path::from(NAMES[1]), options).await.expect("there");
        let (range, tail) = (tail.range.clone(), tail.bytes().await.expect("there"));
        assert_eq!(tail.slice(tail.len() - 10..), content.slice(99_990..));
        assert_eq!((range.end, tail.len() as u64), (100_000, range.end - range.start));
    }
}

async fn empty_tiny_and_large_objects_come_back_as_they_were(place: &impl Place) {
    let store = place.fresh();
    for (slot, length) in (1..).zip([0, 1, 5 * 1024 * 1024]) {
        let (name, content) = (segment(slot), bytes(length));
        put(&store, &name, &content).await;
        assert!(get(&store, &name).await.as_ref() == Some(&content), "{length} bytes came back otherwise");
        assert_eq!(store.size(&name).await.expect("there"), Some(length as u64));
        if let Some(last) = (length as u64).checked_sub(1) {
            let end = store.range(&name, last..last + 1).await.expect("there");
            assert_eq!(end, content.slice(length - 1..));
        }
    }
}

async fn a_range_beyond_the_end_is_an_error(place: &impl Place) {
    let store = place.fresh();
    put(&store, &segment(1), &bytes(10)).await;
    for range in [0..11, 9..11, 10..11, 20..30] {
        let read = store.range(&segment(1), range.clone()).await;
        let error = read.expect_err("there are no such bytes");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{range:?}: {error}");
    }
}

async fn what_is_missing_is_missing_and_no_error(place: &impl Place) {
    let store = place.fresh();
    put(&store, &segment(1), &bytes(1)).await;
    for name in NAMES {
        assert_eq!(get(&store, name).await, None, "{name}");
        assert_eq!(store.size(name).await.expect(name), None, "{name}");
        assert_eq!(store.range(name, 0..1).await.expect_err(name).kind(), ErrorKind::Unavailable);
    }
    assert_eq!(store.last_manifest(0).await.expect("listed"), (0, false));
    assert_eq!(store.first_slot_after(1).await.expect("listed"), None);
    let empty = place.fresh();
    assert_eq!(empty.first_name(|_| true).await.expect("listed"), None);
    assert_eq!(empty.last_slot().await.expect("listed"), 0);
}

async fn an_object_longer_than_expected_is_cut_behind_the_limit(place: &impl Place) {
    let store = place.fresh();
    let content = bytes(1000);
    put(&store, paths::IDENTITY, &content).await;
    let cut = store.get(paths::IDENTITY, 99).await.expect("there").expect("there");
    assert_eq!(cut, content.slice(..100));
    assert_eq!(store.get(paths::IDENTITY, 1000).await.expect("there"), Some(content));
}

async fn everything_is_listed_below_its_prefix_and_after_an_offset(place: &impl Place) {
    const AT_ONCE: usize = 16;
    let store = place.fresh();
    let last = place.many();
    let slots: Vec<String> = (1..=last).map(segment).collect();
    let created = stream::iter(&slots).map(async |name| put(&store, name, &bytes(1)).await).buffer_unordered(AT_ONCE);
    assert!(created.all(async |settled| settled.is_none()).await);
    // Neighbours of the prefix, before and behind it.
    for name in ["log/000", "log/00000/0000000000ffffff", "log/0001/0000000000ffffff", "manx/1", "zzz"] {
        put(&store, name, &bytes(1)).await;
    }
    if place.fails() {
        // A list may lack what is new, but it makes nothing up and does not fail.
        assert!(store.last_slot().await.expect("listed") <= last);
        return;
    }
    assert_eq!(store.last_slot().await.expect("listed"), last);
    for offset in [0, 1, last / 2, last - 1] {
        assert_eq!(store.first_slot_after(offset).await.expect("listed"), Some(offset + 1));
    }
    assert_eq!(store.first_slot_after(last).await.expect("listed"), None);
    assert_eq!(store.last_manifest(0).await.expect("listed"), (0, false), "manx is not below man");
    let odd = store.first_name(|name| name.starts_with('z')).await.expect("listed");
    assert_eq!(odd.as_deref(), Some("zzz"));
}

async fn what_is_deleted_is_gone_and_deleting_what_is_missing_is_no_error(place: &impl Place) {
    if place.fails() {
        return; // Nothing relies on a deletion that was done: those of the probe may stay.
    }
    let store = place.fresh();
    let (kept, gone) = (paths::probe("salt", 1), paths::probe("salt", 2));
    for name in [&kept, &gone] {
        put(&store, name, &bytes(3)).await;
    }
    for _ in 0..2 {
        store.delete(&gone).await.expect("gone");
        assert_eq!(get(&store, &gone).await, None);
        assert_eq!(store.size(&gone).await.expect("asked"), None);
    }
    assert_eq!(store.first_name(|_| true).await.expect("listed"), Some(kept));
}
