//! The order of what arrives together.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::MIN.plus(Duration::from_millis(millis))
}

fn arrivals() -> Arrivals<u8, &'static str> {
    Arrivals::new(SETTLE, 1_000)
}

fn push(arrivals: &mut Arrivals<u8, &'static str>, stream: u8, place: Place, item: &'static str, millis: u64) {
    arrivals.push(stream, place, item, 10, (at(millis), at(millis)));
}

fn items(taken: Vec<(&'static str, Timestamp)>) -> Vec<&'static str> {
    taken.into_iter().map(|(item, _)| item).collect()
}

#[test]
fn a_deletion_that_arrives_after_a_later_one_of_another_resource_is_put_before_it() {
    let mut held = arrivals();
    push(&mut held, 1, Place::Version(12), "secret", 0);
    push(&mut held, 2, Place::Version(11), "vm", 2);
    assert!(held.release(at(49)).is_empty());
    assert_eq!(held.due(), Some(at(50)));
    assert_eq!(held.release(at(50)), [("vm", at(0)), ("secret", at(0))], "and is said to have arrived no later");
    assert_eq!(held.due(), None);
}

#[test]
fn what_is_moved_forward_arrives_no_later_than_what_it_was_moved_before_even_if_that_waits_on() {
    let mut held = arrivals();
    push(&mut held, 1, Place::Version(20), "late", 10);
    push(&mut held, 2, Place::Version(11), "early", 30);
    push(&mut held, 3, Place::Version(12), "due", 0);
    assert_eq!(held.release(at(50)), [("early", at(0)), ("due", at(0))]);
    assert_eq!(held.release(at(60)), [("late", at(10))]);
}

#[test]
fn bookmarks_and_ends_stay_behind_the_events_of_their_stream_and_wait_for_nothing_else() {
    let mut held = arrivals();
    push(&mut held, 1, Place::Version(12), "event", 0);
    push(&mut held, 1, Place::Behind, "bookmark", 1);
    push(&mut held, 1, Place::Behind, "end", 2);
    push(&mut held, 2, Place::Behind, "end of a quiet one", 3);
    assert_eq!(items(held.release(at(3))), ["end of a quiet one"]);
    push(&mut held, 2, Place::Version(11), "before", 4);
    assert_eq!(items(held.release(at(50))), ["before", "event", "bookmark", "end"]);
}

#[test]
fn the_order_of_a_stream_counts_even_if_its_versions_do_not_grow() {
    let mut held = arrivals();
    push(&mut held, 1, Place::Version(12), "a", 0);
    push(&mut held, 1, Place::Version(5), "b", 0);
    push(&mut held, 2, Place::Version(7), "c", 0);
    assert_eq!(items(held.flush()), ["c", "a", "b"]);
}

#[test]
fn what_has_no_version_comes_after_everything_that_arrived_before() {
    let mut held = arrivals();
    push(&mut held, 1, Place::Version(12), "b", 0);
    push(&mut held, 2, Place::Version(11), "a", 1);
    push(&mut held, 3, Place::Last, "unknown", 2);
    assert_eq!(items(held.release(at(2))), ["a", "b", "unknown"]);
}

#[test]
fn under_load_it_is_released_early_rather_than_that_more_is_held() {
    let mut held = arrivals();
    for _ in 0..100 {
        push(&mut held, 1, Place::Version(12), "a", 0);
    }
    assert!(held.release(at(0)).is_empty(), "that much may wait");
    push(&mut held, 2, Place::Version(11), "b", 0);
    assert_eq!(items(held.release(at(0))), ["b"]);
}

#[derive(Clone, Debug)]
struct Item {
    stream: u8,
    version: Option<u64>,
    millis: u64,
}

fn streams() -> impl Strategy<Value = Vec<Item>> {
    // Steps in time, streams, and how far a version lags behind the newest one.
    prop::collection::vec((0u64..40, 0u8..4, 0u64..6, prop::bool::weighted(0.1)), 1..80).prop_map(|steps| {
        let (mut millis, mut newest) = (0, 10);
        let mut last: BTreeMap<u8, u64> = BTreeMap::new();
        let mut items = Vec::new();
        for (step, stream, lag, unversioned) in steps {
            millis += step;
            newest += 2;
            let version = (newest - lag).max(last.get(&stream).copied().unwrap_or(0) + 1);
            newest = newest.max(version);
            last.insert(stream, version);
            items.push(Item { stream, version: (!unversioned).then_some(version), millis });
        }
        items
    })
}

proptest! {
    #[test]
    fn streams_keep_their_order_nothing_is_lost_and_what_arrives_together_is_in_order(items in streams()) {
        let mut held: Arrivals<u8, usize> = Arrivals::new(SETTLE, usize::MAX);
        let mut out: Vec<(usize, Timestamp)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            // The loop wakes when something is due, and when something arrives.
            while let Some(due) = held.due().filter(|due| *due < at(item.millis)) {
                out.extend(held.release(due));
            }
            let place = item.version.map_or(Place::Behind, Place::Version);
            held.push(item.stream, place, index, 1, (at(item.millis), at(item.millis)));
        }
        while let Some(due) = held.due() {
            out.extend(held.release(due));
        }
        let mut all: Vec<usize> = out.iter().map(|(index, _)| *index).collect();
        for stream in 0..4 {
            let of: Vec<usize> = all.iter().copied().filter(|index| items[*index].stream == stream).collect();
            prop_assert!(of.is_sorted(), "stream {stream}: {of:?}");
        }
        for (place, (index, said)) in out.iter().enumerate() {
            prop_assert!(*said <= at(items[*index].millis), "said to have arrived before it did at the latest");
            let Some(version) = items[*index].version else { continue };
            for (before, _) in &out[..place] {
                let Some(greater) = items[*before].version.filter(|before| *before > version) else { continue };
                // Only what had waited its time may stand before it, or what belongs before that.
                let excused = items.iter().any(|other| {
                    other.version >= Some(greater) && at(other.millis).plus(SETTLE) < at(items[*index].millis)
                });
                prop_assert!(excused, "{greater} stands before {version}");
            }
            for (after, _) in &out[place + 1..] {
                prop_assert!(*said <= at(items[*after].millis), "later than what it was moved before");
            }
        }
        all.sort_unstable();
        prop_assert_eq!(all, (0..items.len()).collect::<Vec<_>>());
    }
}
