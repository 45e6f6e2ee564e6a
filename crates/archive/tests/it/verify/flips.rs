//! Every bit of a small archive flipped, every object cut at every byte.

use std::ops::Range;

use bytes::Bytes;
use vmrewind_archive::{Store, verify::Depth};
use vmrewind_model::Seq;

use super::{
    check, found,
    places::{self, Memory, lived, segment},
    python, report,
};

/// Where the index of a segment begins.
fn index_of(bytes: &[u8]) -> usize {
    let field = bytes[bytes.len() - 384 + 128..][..8].try_into().expect("eight bytes");
    usize::try_from(u64::from_le_bytes(field)).expect("small")
}

fn flipped(bytes: &Bytes, at: usize, bit: u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << bit;
    bytes.into()
}

#[tokio::test]
async fn every_flipped_bit_of_a_segment_is_found_in_its_slot_and_at_the_end_if_it_lies_there() {
    let objects = lived(&[2]).await;
    let memory = Memory::of(&objects).await;
    for slot in [1, 2] {
        let name = segment(slot);
        let good = &objects[&name];
        let index = index_of(good);
        for at in 0..good.len() {
            for bit in 0..8 {
                memory.put(&name, flipped(good, at, bit)).await;
                let whole = report(&memory.store, Depth::Data).await;
                let slots: Vec<_> = whole.problems.iter().map(|problem| problem.slots).collect();
                assert_eq!(slots, [Some((slot, slot))], "slot {slot}, byte {at}, bit {bit}");
                let lost = whole.problems[0].loss.records.clone();
                let inside = |range: &vmrewind_archive::SeqRange| range.first >= Seq(1) && range.last <= Seq(2);
                assert!(lost.is_none_or(|lost| lost.iter().all(inside)), "slot {slot}, byte {at}, bit {bit}");
            }
            // One bit of a byte is as good as another here: the hashes are those of the same ranges.
            memory.put(&name, flipped(good, at, 3)).await;
            let ends = report(&memory.store, Depth::Ends).await;
            assert_eq!(!ends.problems.is_empty(), index <= at, "slot {slot}, byte {at}");
        }
        memory.put(&name, good.clone()).await;
    }
    assert!(report(&memory.store, Depth::Deep).await.problems.is_empty());
}

/// Where the values of the members are that nothing vouches for: what a check cannot know to be otherwise than it was.
fn free(identity: &str) -> Vec<Range<usize>> {
    let value = |name: &str| {
        let start = identity.find(&format!("\"{name}\":\"")).expect("a member") + name.len() + 4;
        let end = start + identity[start..].find('"').expect("its end");
        start..end
    };
    vec![value("cluster"), value("created"), value("software")]
}

#[tokio::test]
async fn every_flipped_bit_of_the_identity_is_found_but_in_what_nothing_else_repeats() {
    let objects = lived(&[2]).await;
    let memory = Memory::of(&objects).await;
    let good = &objects["archive.json"];
    let free = free(std::str::from_utf8(good).expect("JSON"));
    let mut silent = 0;
    for at in 0..good.len() {
        for bit in 0..8 {
            memory.put("archive.json", flipped(good, at, bit)).await;
            // A version or feature that is not known is an error of its own: the archive is not judged at all.
            let Ok(report) = check(&memory.store, Depth::Ends).await else { continue };
            if report.problems.is_empty() {
                assert!(free.iter().any(|range| range.contains(&at)), "byte {at}, bit {bit} is not found");
                silent += 1;
            }
        }
    }
    assert!(silent > 0, "the list of what is not protected is as short as it can be");
}

#[tokio::test]
async fn every_cut_and_every_missing_object_is_found_at_the_end() {
    let objects = lived(&[2, 2]).await;
    let memory = Memory::of(&objects).await;
    for (name, good) in &objects {
        for length in 0..good.len() {
            memory.put(name, good.slice(..length)).await;
            for depth in [Depth::Ends, Depth::Data] {
                let report = check(&memory.store, depth).await.expect("a report");
                assert_eq!(report.problems.len(), 1, "{name} cut at {length}, {depth:?}");
                assert_eq!(&report.problems[0].object, name, "cut at {length}, {depth:?}");
            }
        }
        memory.remove(name).await;
        let report = check(&memory.store, Depth::Ends).await.expect("a report");
        let last = name == &segment(3);
        let names: Vec<_> = report.problems.iter().map(|problem| problem.object.as_str()).collect();
        let expected: &[&str] = if last { &[] } else { &[name] };
        assert_eq!(names, expected, "a head that is taken away is missed by nobody");
        memory.put(name, good.clone()).await;
    }
}

#[tokio::test]
async fn the_reader_in_python_finds_the_same_in_the_same_slots() {
    let objects = lived(&[3, 2]).await;
    let root = tempfile::tempdir().expect("a directory");
    let (mut places, mut ours) = (Vec::new(), Vec::new());
    for (name, good) in &objects {
        let flips = (0..good.len()).step_by(61).map(|at| (format!("bit {at}"), flipped(good, at, 4)));
        let cuts = (0..good.len()).step_by(97).map(|at| (format!("cut {at}"), good.slice(..at)));
        for (what, bytes) in flips.chain(cuts) {
            let mut broken = objects.clone();
            broken.insert(name.clone(), bytes);
            let place = root.path().join(places.len().to_string());
            places::write(&place, &broken);
            let store = Store::open(&place.display().to_string().parse().expect("a path")).expect("a directory");
            // What is not known is an error with us, and a problem there.
            let Ok(report) = check(&store, Depth::Deep).await else { continue };
            ours.push((format!("{name}: {what}"), found(&report)));
            places.push(place);
        }
    }
    assert!(places.len() > 50, "only {}", places.len());
    for ((what, ours), theirs) in ours.into_iter().zip(python::said(&places)) {
        assert_eq!(ours, theirs, "{what}");
    }
}
