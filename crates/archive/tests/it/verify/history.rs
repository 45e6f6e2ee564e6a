//! What was rolled up: every kind of damage of bundles and manifests is found at the depth that promises it, and named.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use serde_json::Value;
use vmrewind_archive::{
    Cpu, Door, Rules, Silent,
    verify::{About, Depth, NoteKind, Options, Report, Sample, Slots, verify},
};
use vmrewind_model::{Change, Digest, Record, Timestamp};

use super::{
    Found, check, found,
    places::{Memory, Objects, segment, write},
    python, report, set,
};
use crate::world::{Clock, input, make, open, own, record, state, t, vm};

const DEPTHS: [Depth; 3] = [Depth::Ends, Depth::Data, Depth::Deep];

fn manifest(n: u64) -> String {
    format!("man/{n:016x}")
}

fn minutes(n: u64) -> Timestamp {
    t(60_000_000 * n.cast_signed())
}

/// A segment every two minutes from the full hour on, of one record that may reach back, and a heartbeat.
fn records(n: u64, odd: bool) -> Vec<Record> {
    let seq = 2 * n + 1;
    let version = if odd && n == 5 { 1000 } else { n + 1 };
    let mut first = record(seq, state(&vm(if n.is_multiple_of(3) { "db" } else { "web" }), version));
    first.t = minutes(2 * n + 1);
    if n == 7 {
        first.lo = Some(minutes(14));
    }
    let beat = Record { t: first.t.plus(std::time::Duration::from_secs(1)), ..record(seq + 1, Change::Heartbeat) };
    vec![first, beat]
}

/// An hour in one window, two windows of five minutes, and a segment that lies in none.
async fn rolled_up(odd: bool) -> Objects {
    let memory = Memory::new();
    make(&memory.store).await.expect("made");
    let clock = Clock::default();
    let mut writer = own(&memory.store, 1, &clock).await.expect("owned");
    for n in 0..36 {
        let segment = vmrewind_archive::SegmentInput { resume: Vec::new(), ..input(records(n, odd)) };
        writer.commit(segment, &|| clock.now()).await.expect("committed");
    }
    let archive = open(&memory.store).await.expect("opened");
    let salts = AtomicU64::new(u64::from(odd) << 32);
    let salt = || u128::from(salts.fetch_add(1, Ordering::Relaxed)).to_le_bytes();
    let door = Door { now: &|| minutes(80), salt: &salt };
    let done = vmrewind_archive::maintain(&archive, &Rules::of(&archive, "test 1"), door).await.expect("rolled up");
    assert_eq!((done.manifest, done.standing, done.covered, done.all), (2, 3, 36, 37));
    memory.objects().await
}

fn json(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// The bytes of a manifest: members of this kind of value are sorted.
fn text(value: &Value) -> Bytes {
    (value.to_string() + "\n").into()
}

/// The name of the bundle of the `n`th window.
fn bundle(objects: &Objects, n: usize) -> String {
    let digest = &json(&objects[&manifest(2)])["windows"][n]["parts"][0]["sha256"];
    format!("hist/{}", digest.as_str().expect("a digest"))
}

fn flip(objects: &mut Objects, name: &str, at: impl Fn(usize) -> usize) {
    let mut bytes = objects[name].to_vec();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    objects.insert(name.to_owned(), bytes.into());
}

#[tokio::test]
async fn nothing_is_wrong_with_an_archive_that_was_rolled_up() {
    let objects = rolled_up(false).await;
    let memory = Memory::of(&objects).await;
    for depth in DEPTHS {
        let report = report(&memory.store, depth).await;
        assert_eq!((report.problems, report.accounted), (vec![], vec![]), "{depth:?}");
        assert!(
            report.notes.iter().all(|note| note.kind != NoteKind::UnnamedBundles && note.kind != NoteKind::UnknownName)
        );
        let history = report.checked.history;
        assert_eq!((history.manifests, history.newest, history.windows, history.bundles), (2, 2, 3, 3));
        assert_eq!((history.slots.to_string().as_str(), history.unnamed), ("1-36", (0, 0)));
        assert_eq!(history.replaced.0, 12, "the hour was made out of windows of five minutes");
        assert_eq!(history.windows_read, if depth == Depth::Ends { 0 } else { 3 });
        assert!(depth == Depth::Ends || history.read == history.bytes, "every byte was read");
    }
}

/// What is done to an archive, and what is found at each depth: codes, first slots and the object that is named.
type Case =
    (&'static str, Box<dyn Fn(&mut Objects)>, [&'static [(&'static str, Option<u64>)]; 3], fn(&Objects) -> String);

fn cases() -> Vec<Case> {
    const NONE: &[(&str, Option<u64>)] = &[];
    let same = |found: &'static [(&'static str, Option<u64>)]| [found; 3];
    vec![
        (
            "a bit of a frame",
            Box::new(|o| flip(o, &bundle(o, 0), |_| 900)),
            [NONE, &[("E_BODY_HASH", Some(1))], &[("E_BODY_HASH", Some(1))]],
            |o| bundle(o, 0),
        ),
        (
            "a bit of a footer",
            Box::new(|o| flip(o, &bundle(o, 1), |length| length - 100)),
            same(&[("E_FOOTER_CHECK", Some(32))]),
            |o| bundle(o, 1),
        ),
        (
            "a cut bundle",
            Box::new(|o| {
                let name = bundle(o, 0);
                let bytes = o[&name].slice(..o[&name].len() - 1);
                o.insert(name, bytes);
            }),
            [&[("E_COUNT", Some(1))], &[("E_FOOTER_MAGIC", Some(1))], &[("E_FOOTER_MAGIC", Some(1))]],
            |o| bundle(o, 0),
        ),
        ("a missing bundle", Box::new(|o| drop(o.remove(&bundle(o, 2)))), same(&[("E_MISSING", Some(34))]), |o| {
            bundle(o, 2)
        }),
        (
            "a bit of the newest manifest",
            Box::new(|o| flip(o, &manifest(2), |_| 5)),
            same(&[("E_MANIFEST", None)]),
            |_| manifest(2),
        ),
        (
            "a cut manifest",
            Box::new(|o| drop(o.insert(manifest(1), Bytes::new()))),
            same(&[("E_MANIFEST", None)]),
            |_| manifest(1),
        ),
        ("a missing manifest", Box::new(|o| drop(o.remove(&manifest(1)))), same(&[("E_MISSING", None)]), |_| {
            manifest(1)
        }),
        (
            "a manifest of another archive",
            Box::new(|o| {
                let mut other = json(&o[&manifest(2)]);
                other["archive"] = "00000000-0000-0000-0000-00000000002b".into();
                o.insert(manifest(2), text(&other));
            }),
            same(&[("E_ARCHIVE", None)]),
            |_| manifest(2),
        ),
        (
            "a manifest under the name of another",
            Box::new(|o| drop(o.insert(manifest(3), o[&manifest(2)].clone()))),
            same(&[("E_NAME", None)]),
            |_| manifest(3),
        ),
        (
            "a manifest that follows another",
            Box::new(|o| {
                let mut next = json(&o[&manifest(2)]);
                (next["n"], next["prev"]) = (3.into(), Digest::of(b"x").hex().into());
                o.insert(manifest(3), text(&next));
            }),
            same(&[("E_CHAIN", None)]),
            |_| manifest(3),
        ),
        (
            "a manifest that lacks a window",
            Box::new(|o| {
                let mut next = json(&o[&manifest(2)]);
                (next["n"], next["prev"]) = (3.into(), Digest::of(&o[&manifest(2)]).hex().into());
                next["windows"].as_array_mut().expect("windows").remove(1);
                o.insert(manifest(3), text(&next));
            }),
            same(&[("E_MANIFEST", None)]),
            |_| manifest(3),
        ),
        (
            "a manifest behind a hole",
            Box::new(|o| {
                let mut next = json(&o[&manifest(2)]);
                (next["n"], next["prev"]) = (5.into(), Digest::of(b"x").hex().into());
                o.insert(manifest(5), text(&next));
            }),
            same(&[("E_MISSING", None)]),
            |_| manifest(3),
        ),
        (
            "something among the manifests",
            Box::new(|o| drop(o.insert("man/x".into(), Bytes::new()))),
            same(&[("E_NAME", None)]),
            |_| "man/x".into(),
        ),
        (
            "a bit of a segment that lies in a window",
            Box::new(|o| flip(o, &segment(5), |_| 40)),
            [NONE, &[("E_BODY_HASH", Some(5))], &[("E_BODY_HASH", Some(5))]],
            |_| segment(5),
        ),
        (
            "a log that was cut off",
            Box::new(|o| {
                o.remove(&segment(36));
                o.remove(&segment(37));
            }),
            same(&[("E_MISSING", Some(37))]),
            |_| segment(37),
        ),
    ]
}

#[tokio::test]
async fn every_kind_of_damage_of_bundles_and_manifests_is_found_and_named() {
    let good = rolled_up(false).await;
    for (name, change, expected, object) in cases() {
        let mut objects = good.clone();
        change(&mut objects);
        let object = object(&good);
        let memory = Memory::of(&objects).await;
        for (depth, expected) in DEPTHS.into_iter().zip(expected) {
            let report = report(&memory.store, depth).await;
            assert_eq!(found(&report), set(expected), "{name}, {depth:?}: {:?}", report.problems);
            for problem in &report.problems {
                assert_eq!(problem.object, object, "{name}, {depth:?}");
                let rolled = [About::Bundles, About::Manifests, About::Checkpoints].contains(&problem.about);
                assert!(!(rolled && problem.loss.is_any()), "{name}: the segments are there");
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_segment_loses_no_record_that_stands_in_an_intact_window() {
    let good = rolled_up(false).await;
    for (broken, lost) in [(vec![5], false), (vec![37], true)] {
        let mut objects = good.clone();
        broken.iter().for_each(|slot| flip(&mut objects, &segment(*slot), |_| 40));
        let memory = Memory::of(&objects).await;
        let report = report(&memory.store, Depth::Data).await;
        let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
        assert_eq!((problem.loss.is_any(), problem.detail.contains("history bundles")), (lost, !lost), "{problem:?}");
    }
    let mut objects = good.clone();
    flip(&mut objects, &segment(5), |_| 40);
    flip(&mut objects, &bundle(&good, 0), |_| 900);
    let report = report(&Memory::of(&objects).await.store, Depth::Data).await;
    let lost: Vec<bool> = report.problems.iter().map(|problem| problem.loss.is_any()).collect();
    assert_eq!((found(&report), lost), (set(&[("E_BODY_HASH", Some(1)), ("E_BODY_HASH", Some(5))]), vec![false, true]));
}

#[tokio::test]
async fn the_reader_in_python_names_the_same_damage() {
    let good = rolled_up(false).await;
    let mut archives = vec![("good".to_owned(), good.clone())];
    for (name, change, ..) in cases() {
        let mut objects = good.clone();
        change(&mut objects);
        archives.push((name.to_owned(), objects));
    }
    let root = tempfile::tempdir().expect("a directory");
    let (mut ours, mut places) = (Vec::new(), Vec::new());
    for (name, objects) in archives {
        let deep = report(&Memory::of(&objects).await.store, Depth::Deep).await;
        let named = deep.problems.iter().map(|problem| {
            let object = match (problem.about, problem.slots) {
                (About::Bundles | About::Checkpoints | About::Manifests, _) => problem.object.clone(),
                (_, Some((first, _))) => first.to_string(),
                _ => "-".to_owned(),
            };
            (problem.symptom.to_string(), object)
        });
        ours.push((name, named.collect::<BTreeSet<_>>()));
        let place = root.path().join(places.len().to_string());
        write(&place, &objects);
        places.push(place);
    }
    for ((name, ours), theirs) in ours.into_iter().zip(python::named(&places)) {
        assert_eq!(ours, theirs, "{name}");
    }
}

#[tokio::test]
async fn two_bundles_in_each_others_place_are_both_found() {
    let good = rolled_up(false).await;
    let mut objects = good.clone();
    let (one, other) = (bundle(&good, 1), bundle(&good, 2));
    objects.insert(one.clone(), good[&other].clone());
    objects.insert(other.clone(), good[&one].clone());
    let memory = Memory::of(&objects).await;
    for depth in DEPTHS {
        let report = report(&memory.store, depth).await;
        let named: Vec<&str> = report.problems.iter().map(|problem| problem.object.as_str()).collect();
        assert_eq!(named, [&one, &other], "{depth:?}: {:?}", report.problems);
    }
}

#[tokio::test]
async fn windows_of_another_history_are_found_beside_the_segments() {
    let (log, history) = (rolled_up(false).await, rolled_up(true).await);
    let mut objects = log;
    objects.retain(|name, _| !name.starts_with("man/") && !name.starts_with("hist/"));
    objects
        .extend(history.clone().into_iter().filter(|(name, _)| name.starts_with("man/") || name.starts_with("hist/")));
    let memory = Memory::of(&objects).await;
    for depth in [Depth::Ends, Depth::Data] {
        assert_eq!(found(&report(&memory.store, depth).await), Found::new(), "{depth:?}: each is whole by itself");
    }
    let deep = report(&memory.store, Depth::Deep).await;
    let chain = [1, 32, 34].map(|slot| ("E_CHAIN", Some(slot)));
    assert_eq!(found(&deep), set(&[chain[0], chain[1], chain[2], ("E_ROOT", Some(1))]), "{:?}", deep.problems);
    let record = deep.problems.iter().find(|problem| problem.symptom.as_str() == "E_ROOT").expect("it is there");
    assert!(record.detail.contains("record 11") && record.object == bundle(&history, 0), "{record:?}");
}

#[tokio::test]
async fn bundles_that_no_manifest_names_are_one_note() {
    let mut objects = rolled_up(false).await;
    for text in ["a", "bc"] {
        objects.insert(format!("hist/{}", Digest::of(text.as_bytes()).hex()), Bytes::from_static(b"xy"));
    }
    let report = report(&Memory::of(&objects).await.store, Depth::Ends).await;
    assert_eq!((report.problems, report.checked.history.unnamed), (vec![], (2, 4)));
    let notes: Vec<_> = report.notes.iter().filter(|note| note.kind == NoteKind::UnnamedBundles).collect();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.detail.contains("2 that no manifest names, 4 bytes"), "{}", note.detail);
}

#[tokio::test]
async fn the_newest_manifest_taken_away_is_missed_by_nobody() {
    let mut objects = rolled_up(false).await;
    objects.remove(&manifest(2));
    let report = report(&Memory::of(&objects).await.store, Depth::Deep).await;
    assert_eq!((report.problems, report.checked.history.windows), (vec![], 14));
}

#[tokio::test]
async fn every_flipped_bit_of_the_newest_manifest_is_found_but_in_program_and_time() {
    let good = rolled_up(false).await;
    let memory = Memory::of(&good).await;
    let text = std::str::from_utf8(&good[&manifest(2)]).expect("JSON").to_owned();
    let free = ["\"software\":", "\"written\":"].map(|name| {
        let start = text.find(name).expect("a member") + name.len();
        start..start + text[start..].find([',', '}']).expect("its end")
    });
    let mut silent = 0;
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << (at % 5);
        memory.put(&manifest(2), bytes.into()).await;
        let report = check(&memory.store, Depth::Ends).await.expect("a report");
        if report.problems.is_empty() {
            assert!(free.iter().any(|range| range.contains(&at)), "byte {at} is not found");
            silent += 1;
        }
    }
    assert!(silent > 0, "the list of what is not protected is as short as it can be");
}

async fn sampled(memory: &Memory, seed: u64, covered: &Slots) -> Report {
    let sample = Some(Sample { parts: 100_000, seed, covered: covered.clone() });
    verify(&memory.store, Cpu::Inline, &Options { depth: Depth::Data, sample, identities: vec![], told: None }, &Silent)
        .await
        .expect("a report")
}

#[tokio::test]
async fn repeated_samples_read_every_window_once_they_have_read_every_segment() {
    let mut objects = rolled_up(false).await;
    let name = bundle(&objects, 1);
    flip(&mut objects, &name, |_| 420);
    let memory = Memory::of(&objects).await;
    let (mut covered, mut read, mut finders) = (Slots::default(), 0, 0);
    for run in 0..10 {
        let report = sampled(&memory, run, &covered).await;
        let whole = &report.checked.whole;
        let ends = [31, 33, 36].into_iter().filter(|slot| whole.contains(*slot)).count();
        assert_eq!(report.checked.history.windows_read, ends as u64, "run {run} read {whole}");
        assert_eq!(report.problems.len(), usize::from(whole.contains(33)), "run {run} read {whole}");
        read += if covered.contains_all(&"1-37".parse().expect("slots")) { 0 } else { ends };
        finders += report.problems.len();
        covered.extend(whole);
    }
    assert_eq!(covered.to_string(), "1-37");
    assert!(read >= 3 && finders >= 1, "{read} windows, {finders} finders");
}
