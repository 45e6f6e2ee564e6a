//! Samples: a share of the segments in full, the ends of all others, and in the end all of them.

use bytes::Bytes;
use vmrewind_archive::{
    Cpu, Silent, Store,
    verify::{Depth, Options, Report, Sample, Slots, verify},
};

use super::places::{Memory, lived, segment};

async fn sampled(store: &Store, parts: u32, seed: u64, covered: &Slots, depth: Depth) -> Report {
    let sample = Some(Sample { parts, seed, covered: covered.clone() });
    verify(store, Cpu::Inline, &Options { depth, sample, identities: vec![], told: None }, &Silent)
        .await
        .expect("a report")
}

#[tokio::test]
async fn what_is_damaged_is_found_by_the_run_that_reads_it_and_repeated_runs_read_everything() {
    let objects = lived(&[2; 19]).await;
    let memory = Memory::of(&objects).await;
    let mut bytes = objects[&segment(13)].to_vec();
    bytes[40] ^= 1;
    memory.put(&segment(13), Bytes::from(bytes)).await;
    let mut covered = Slots::default();
    let mut finders = 0;
    for run in 0..10 {
        let report = sampled(&memory.store, 100_000, run, &covered, Depth::Data).await;
        let whole = report.checked.whole;
        assert_eq!(whole.count(), 2, "a tenth of twenty");
        assert_eq!(report.problems.len(), usize::from(whole.contains(13)), "run {run} read {whole}");
        finders += report.problems.len();
        covered.extend(&whole);
    }
    assert_eq!((covered.to_string().as_str(), finders), ("1-20", 1));
}

#[tokio::test]
async fn the_same_seed_reads_the_same_segments_and_the_ends_of_all_others() {
    let memory = Memory::of(&lived(&[2; 19]).await).await;
    let none = Slots::default();
    let one = sampled(&memory.store, 250_000, 7, &none, Depth::Data).await;
    assert_eq!(one, sampled(&memory.store, 250_000, 7, &none, Depth::Data).await);
    assert_ne!(one.checked.whole, sampled(&memory.store, 250_000, 8, &none, Depth::Data).await.checked.whole);
    assert_eq!((one.checked.found.count(), one.checked.whole.count()), (20, 5));
    // Of a segment whose predecessor was not read, it is not known whether it is the one that it names.
    let read = |slot: &u64| one.checked.whole.contains(*slot);
    let unchained = (1..20).filter(|slot| !read(slot)).count();
    assert_eq!(one.checked.unchained, unchained as u64);
    let all = sampled(&memory.store, 1_000_000, 7, &none, Depth::Deep).await;
    assert_eq!((all.checked.whole.to_string().as_str(), all.checked.unchained), ("1-20", 0));
}

#[tokio::test]
async fn a_deep_sample_takes_nothing_for_odd_that_began_in_a_segment_it_did_not_read() {
    let memory = Memory::of(&lived(&[4; 9]).await).await;
    for seed in 0..20 {
        let report = sampled(&memory.store, 400_000, seed, &Slots::default(), Depth::Deep).await;
        assert_eq!((report.problems.len(), report.checked.whole.count()), (0, 4), "seed {seed}");
        let invented: Vec<_> = report.notes.iter().filter(|note| !note.detail.contains("says that")).collect();
        assert!(invented.is_empty(), "seed {seed}: {invented:?}");
    }
}
