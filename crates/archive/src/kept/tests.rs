//! Gaps; objects are tested where they are put together: `state/fold/tests.rs`.

use vmrewind_model::{Change, Record};

use super::*;
use crate::{
    format::{decode::decode, encode::encode},
    samples,
};

/// The seqs of gap records that still matter behind `last`.
fn kept(gaps: Vec<(u64, Gap)>, last: i64) -> Vec<u64> {
    let records: Vec<Record> = gaps.into_iter().map(|(seq, gap)| samples::record(seq, Change::Gap(gap))).collect();
    let encoded = encode(&samples::draft(records)).expect("records that may be written");
    let segment = decode(&encoded.bytes, samples::ARCHIVE, 2).expect("what was just written");
    let mut lines = GapLines::default();
    segment.lines.iter().rev().for_each(|line| lines.take(&line.head, || line.head.seq.0));
    let mut kept: Vec<u64> = lines.kept(samples::t(last)).copied().collect();
    kept.sort_unstable();
    kept
}

#[test]
fn gaps_that_are_open_reach_behind_the_end_or_account_for_damage_are_kept_with_all_their_lines() {
    let damage = |gap: Gap| Gap { cause: GapCause::Damage, ..gap };
    let gaps = vec![
        (1, samples::gap(0, None, None)),
        (2, samples::gap(0, None, None)),
        (3, samples::gap(0, Some(3), Some(1))),
        (4, damage(samples::gap(0, None, None))),
        (5, damage(samples::gap(0, Some(5), Some(4)))),
        (6, samples::gap(1, Some(6), None)),
    ];
    assert_eq!(kept(gaps.clone(), 6), [2, 4, 5]);
    assert_eq!(kept(gaps, 5), [2, 4, 5, 6]);
}
