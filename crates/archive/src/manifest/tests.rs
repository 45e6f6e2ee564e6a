//! Manifests by themselves: damage, and what one says beside the other. Every rule has a vector in `spec/vectors`.

use std::collections::BTreeSet;

use serde_json::json;
use vmrewind_model::{Digest, Seq};

use super::*;
use crate::{
    format::{SeqRange, bundle::Earliest},
    samples::{self, t},
};

fn part(name: &str, records: u64) -> PartRef {
    PartRef { kind: Kind::History, digest: Digest::of(name.as_bytes()), size: 4711, records, unknown: Unknown::new() }
}

fn rolled(level: u16, slots: [u64; 2], seqs: [u64; 2], ends: [Digest; 2]) -> Rolled {
    let [prev, head] = ends;
    let at = |seq: u64| t(seq.cast_signed());
    let earliest = Earliest { from: Some(Seq(1)), gap: Some(t(-3)), lo: Some(t(-4)) };
    let seq_range = SeqRange::new(Seq(seqs[0]), Seq(seqs[1]));
    let window = Window { level, slots, seqs: seq_range, times: seqs.map(at), prev, head, earliest };
    let parts = vec![part("one", 1), part("two", window.records() - 1)];
    Rolled { window, point: None, root: Digest::of(b"root"), parts, stale: false, unknown: Unknown::new() }
}

fn good() -> Manifest {
    let [zero, one, two] = [Digest([0; 32]), Digest::of(b"1"), Digest::of(b"2")];
    Manifest {
        archive: samples::ARCHIVE,
        n: 7,
        prev: Digest::of(b"six"),
        software: "test 1".into(),
        checkpoints: Vec::new(),
        windows: vec![rolled(3, [1, 3], [1, 10], [zero, one]), rolled(2, [4, 5], [11, 12], [one, two])],
        written: t(100),
        unknown: Unknown::new(),
    }
}

/// What differs in two manifests that have the same number of windows.
fn differing(one: &Manifest, other: &Manifest) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    let mut compare = |name, same: bool| {
        if !same {
            names.insert(name);
        }
    };
    compare("prev", one.prev == other.prev);
    compare("software", one.software == other.software);
    compare("written", one.written == other.written);
    assert_eq!(one.windows.len(), other.windows.len());
    for (one, other) in one.windows.iter().zip(&other.windows) {
        compare("level", one.window.level == other.window.level);
        compare("slots", one.window.slots == other.window.slots);
        compare("seqs", one.window.seqs == other.window.seqs);
        compare("times", one.window.times == other.window.times);
        compare("window prev", one.window.prev == other.window.prev);
        compare("head", one.window.head == other.window.head);
        compare("earliest", one.window.earliest == other.window.earliest);
        compare("root", one.root == other.root);
        for (one, other) in one.parts.iter().zip(&other.parts) {
            compare("sha256", one.digest == other.digest);
            compare("size", one.size == other.size);
            compare("records", one.records == other.records);
        }
    }
    names
}

#[test]
fn every_cut_of_a_manifest_is_found_and_every_flipped_bit_but_in_values_that_something_else_repeats() {
    let good = good();
    let bytes = good.to_bytes(&samples::ARCHIVE.into()).expect("good");
    let read = |bytes: &[u8]| Manifest::parse(bytes, &samples::ARCHIVE.into(), 7);
    let mut survived = BTreeSet::new();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            let Ok(manifest) = read(&flipped) else { continue };
            let differing = differing(&good, &manifest);
            assert_eq!(differing.len(), 1, "byte {at}, bit {bit}: {differing:?}");
            survived.extend(differing);
        }
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
    }
    // Every one of these is told again by a bundle or by the manifest before, but for program and time: those say nothing of
    // what is in the archive. Numbers of records, and hashes between windows, are told twice by the manifest itself.
    let told = ["earliest", "head", "level", "prev", "root", "sha256", "size", "slots", "software", "times", "written"];
    assert_eq!(survived.into_iter().collect::<Vec<_>>(), told);
}

#[test]
fn twenty_thousand_mutations_of_a_manifest_give_an_error_or_a_manifest_that_can_be() {
    let bytes = good().to_bytes(&samples::ARCHIVE.into()).expect("good");
    let mut read = 0;
    for seed in 0..20_000 {
        let mutated = samples::mutated(&bytes, seed);
        if let Ok(manifest) = Manifest::parse(&mutated, &samples::ARCHIVE.into(), 7) {
            let again = manifest.to_bytes(&samples::ARCHIVE.into()).expect("what was read can be written");
            assert_eq!(Manifest::parse(&again, &samples::ARCHIVE.into(), 7).as_ref(), Ok(&manifest), "seed {seed}");
            read += 1;
        }
    }
    assert!(read < 10_000, "{read} of 20000 could be read");
}

#[test]
fn a_manifest_of_more_than_16_mib_is_refused_before_it_is_looked_at() {
    let large = vec![b' '; usize::try_from(limits::MANIFEST).expect("small") + 1];
    assert_eq!(Manifest::parse(&large, &samples::ARCHIVE.into(), 1).expect_err("too large").code, Code::TooLarge);
}

#[test]
fn members_that_are_not_known_are_kept_at_every_level() {
    let mut manifest = good();
    manifest.unknown.insert("new".into(), json!({"a": [1.5, null]}));
    manifest.windows[0].unknown.insert("new".into(), json!("é"));
    manifest.windows[1].parts[0].unknown.insert("new".into(), json!(true));
    let bytes = manifest.to_bytes(&samples::ARCHIVE.into()).expect("good");
    assert_eq!(Manifest::parse(&bytes, &samples::ARCHIVE.into(), 7).expect("good"), manifest);
}

#[test]
fn a_manifest_that_breaks_a_rule_is_not_written() {
    let mut manifest = good();
    manifest.windows.swap(0, 1);
    assert!(manifest.to_bytes(&samples::ARCHIVE.into()).expect_err("not sorted").contains("not sorted"));
}

#[test]
fn a_manifest_must_follow_the_one_before_in_every_respect() {
    let before = good();
    let before =
        Found { digest: Digest::of(&before.to_bytes(&samples::ARCHIVE.into()).expect("good")), manifest: before };
    let next = || Manifest { n: 8, prev: before.digest, written: t(101), ..before.manifest.clone() };
    next().follows(&before).expect("it follows");
    let code = |change: &dyn Fn(&mut Manifest)| {
        let mut next = next();
        change(&mut next);
        next.follows(&before).expect_err("it does not follow").code
    };
    assert_eq!(code(&|next| next.n = 9), Code::Missing);
    assert_eq!(code(&|next| next.prev = Digest([1; 32])), Code::Chain);
    assert_eq!(code(&|next| next.written = t(99)), Code::Time);
    assert_eq!(code(&|next| drop(next.windows.pop())), Code::Manifest);
    assert_eq!(code(&|next| next.windows[1].window.slots = [5, 5]), Code::Manifest);
    let mut longer = next();
    let [one, two] = [&before.manifest.windows[0].window, &before.manifest.windows[1].window];
    longer.windows = vec![rolled(4, [1, 5], [1, 12], [one.prev, two.head])];
    longer.follows(&before).expect("a longer window stands for both");
}
