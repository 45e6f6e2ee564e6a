use vmrewind_model::{Digest, Seq};

use super::*;
use crate::{
    format::{
        SeqRange,
        bundle::{Point, Window},
    },
    manifest::Unknown,
};

fn t(text: &str) -> Timestamp {
    format!("2026-03-01T{text}Z").parse().expect("a time")
}

/// A window of one slot and one record, or of more slots.
fn window(level: u16, slots: [u64; 2], last: &str) -> Rolled {
    let hash = |slot: u64| Digest::of(&slot.to_le_bytes());
    let window = Window {
        level,
        slots,
        seqs: SeqRange::new(Seq(slots[0]), Seq(slots[1])),
        times: [t(last); 2],
        prev: hash(slots[0] - 1),
        head: hash(slots[1]),
        earliest: crate::format::bundle::Earliest::default(),
    };
    Rolled { window, point: None, root: hash(0), parts: Vec::new(), stale: false, unknown: Unknown::new() }
}

fn merge(windows: &[Rolled], newest: Timestamp, highest: u16) -> Option<Merge> {
    super::merge(windows, newest, highest, u64::MAX, &|_| false)
}

#[test]
fn intervals_are_aligned_to_utc() {
    for (level, before, first) in
        [(1, "09:59:59.999999", "10:00:00"), (2, "10:04:59.999999", "10:05:00"), (3, "09:59:59.999999", "10:00:00")]
    {
        assert_eq!(interval(level, t(before)) + 1, interval(level, t(first)), "level {level}");
        assert!(is_due(level, t(before), t(first)) && !is_due(level, t(first), t(first)));
    }
    assert_eq!(interval(4, t("00:00:00")), interval(4, t("23:59:59.999999")));
    assert_eq!(interval(2, t("10:00:00")), interval(2, t("10:04:59")));
}

#[test]
fn windows_of_an_hour_that_is_over_become_one() {
    let three = [window(2, [1, 4], "10:04:00"), window(2, [5, 5], "10:09:00"), window(2, [6, 9], "11:01:00")];
    assert_eq!(merge(&three, t("11:20:00"), 4), Some(Merge { windows: 0..2, level: 3 }));
    assert_eq!(merge(&three, t("10:59:00"), 4), None, "the hour is not over");
    assert_eq!(merge(&three, t("11:20:00"), 2), None, "no longer ones are wanted");
    let day = [window(3, [1, 5], "10:09:00"), window(2, [6, 9], "11:01:00")];
    assert_eq!(merge(&day, t("12:00:00"), 4), None, "neither is the day");
    let next: Timestamp = "2026-03-02T00:00:00Z".parse().expect("a time");
    assert_eq!(merge(&day, next, 4), Some(Merge { windows: 0..2, level: 4 }));
}

#[test]
fn what_a_hole_or_a_break_of_the_chain_lies_between_stays_apart() {
    let hole = [window(2, [1, 4], "10:04:00"), window(2, [6, 9], "10:09:00")];
    assert_eq!(merge(&hole, t("12:00:00"), 4), None);
    let mut anew = [window(2, [1, 4], "10:04:00"), window(2, [5, 9], "10:09:00")];
    anew[1].window.prev = Digest([0; 32]);
    assert_eq!(merge(&anew, t("12:00:00"), 4), None);
}

#[test]
fn no_more_become_one_at_a_time_than_are_read_side_by_side_nor_than_a_window_may_hold() {
    let many: Vec<Rolled> = (1..=40).map(|slot| window(2, [slot, slot], "10:04:00")).collect();
    assert_eq!(merge(&many, t("12:00:00"), 4), Some(Merge { windows: 0..FAN_IN, level: 2 }));
    let half = limits::WINDOW_RECORDS / 2;
    let huge = [
        window(2, [1, half], "10:04:00"),
        window(2, [half + 1, 2 * half], "10:04:01"),
        window(2, [2 * half + 1; 2], "10:04:02"),
    ];
    assert_eq!(merge(&huge, t("12:00:00"), 4), Some(Merge { windows: 0..2, level: 2 }));
}

#[test]
fn slots_that_lie_in_no_window_are_found_with_the_window_before_them() {
    let windows = [window(2, [3, 4], "10:04:00"), window(2, [5, 6], "10:05:00"), window(2, [8, 9], "10:09:00")];
    assert_eq!(uncovered(&windows, 11), [(None, 1..3), (Some(1), 7..8), (Some(2), 10..12)]);
    assert_eq!(uncovered(&windows, 9), [(None, 1..3), (Some(1), 7..8)]);
    assert_eq!(uncovered(&[], 2), [(None, 1..3)]);
    assert_eq!(uncovered(&[], 0), []);
}

fn checkpoint(slot: u64, last: &str, without: usize) -> Rolled {
    let point = Point { ends_from: Seq(1), t: last.parse().expect("a time"), without: vec![[1, 1]; without] };
    let mut rolled = Rolled { point: Some(point), ..window(1, [1, slot], "00:00:00") };
    rolled.window.times = [last.parse().expect("a time"); 2];
    rolled
}

#[test]
fn of_too_many_checkpoints_those_are_left_out_that_are_close_to_others() {
    let days = ["01", "02", "03", "04"].map(|day| format!("2026-03-{day}T00:00:00Z"));
    let mut all: Vec<Rolled> = Vec::new();
    for (slot, last) in
        (1..).zip(days.iter().map(String::as_str).chain(["2026-03-04T01:00:00Z", "2026-03-04T02:00:00Z"]))
    {
        all.push(checkpoint(slot, last, 0));
    }
    let slots = |all: &[Rolled]| all.iter().map(|rolled| rolled.window.slots[1]).collect::<Vec<u64>>();
    let thinned = |most: usize, text: usize| {
        let mut all = all.clone();
        thin(&mut all, most, text);
        slots(&all)
    };
    assert_eq!(thinned(6, 1 << 20), [1, 2, 3, 4, 5, 6], "enough room");
    assert_eq!(thinned(5, 1 << 20), [1, 2, 3, 4, 6]);
    assert_eq!(thinned(4, 1 << 20).last(), Some(&6), "the newest stays");
    assert_eq!(thinned(0, 1 << 20), [6], "even if there is room for none");
    assert_eq!(thinned(6, 400 * 3).len(), 3, "by their bytes");
    all = vec![checkpoint(1, &days[0], 0), checkpoint(2, &days[1], 1_000)];
    thin(&mut all, 9, 400);
    assert_eq!(slots(&all), [2]);
}
