//! What records say of each other: promises that are broken, and oddities of which nothing follows.

use vmrewind_archive::verify::{Depth, NoteKind};
use vmrewind_model::{Change, Gap, GapCause, ObjectOp, Record, RecordKey, ResourceId, Rv, Seq};

use super::{
    found,
    places::{self, Memory, Objects, numbered, segment, told},
    python, report, set,
};
use crate::world::{Clock, input, make, own, record, resume, state, t, vm};

fn as_uid(name: &str, uid: &str) -> RecordKey {
    RecordKey { uid: uid.to_owned(), ..vm(name) }
}

fn seen(key: &RecordKey, rv: u64) -> Change {
    match state(key, rv) {
        Change::Object { key, rv, object, .. } => {
            Change::Object { op: ObjectOp::Seen, key, rv, object, from_seq: None }
        }
        other => other,
    }
}

fn gone(key: RecordKey) -> Change {
    Change::Deleted { key, rv: None, object: None, inferred: true }
}

fn unobserved(key: RecordKey) -> Change {
    Change::Unobserved { key, reason: "unnamed".into() }
}

fn withheld(key: RecordKey, rv: u64) -> Change {
    Change::Withheld { key, rv: Rv(rv), reason: "on purpose".into() }
}

fn gap(resource: &str, opened: Option<u64>) -> Change {
    Change::Gap(Gap {
        resource: ResourceId::new("kubevirt.io", resource, ""),
        object: None,
        from: t(1),
        to: opened.map(|_| t(5)),
        cause: GapCause::Expired,
        detail: String::new(),
        opened: opened.map(Seq),
    })
}

/// A history, the seqs of the records that break a promise, and those that are odd.
type Case = (&'static str, Vec<Change>, &'static [u64], &'static [u64]);

fn cases() -> Vec<Case> {
    let (a, b) = (as_uid("db", "a"), as_uid("db", "b"));
    let back_dated = |key: &RecordKey, rv| match seen(key, rv) {
        Change::Object { op, key, rv, object, .. } => Change::Object { op, key, rv, object, from_seq: Some(Seq(1)) },
        other => other,
    };
    let moved = RecordKey { home: "prod/other".into(), ..a.clone() };
    vec![
        ("a life", vec![state(&a, 1), state(&a, 2), gone(a.clone()), state(&b, 1), state(&b, 5)], &[], &[]),
        ("a version twice", vec![state(&a, 1), state(&a, 5), state(&a, 5)], &[3], &[]),
        ("an older version", vec![state(&a, 1), state(&a, 5), state(&a, 4), state(&a, 6)], &[3], &[]),
        ("withheld twice", vec![withheld(a.clone(), 3), withheld(a.clone(), 3)], &[2], &[]),
        ("seen again after it was unobserved", vec![seen(&a, 5), unobserved(a.clone()), seen(&a, 5)], &[], &[]),
        ("another uid", vec![seen(&a, 5), seen(&b, 6), seen(&b, 7)], &[2], &[]),
        (
            "another uid, after the end of one that was not there",
            vec![seen(&a, 5), gone(b.clone()), seen(&b, 6)],
            &[3],
            &[2],
        ),
        ("back-dated with another uid", vec![seen(&a, 5), back_dated(&b, 2), state(&a, 6)], &[], &[]),
        ("changed, but never created", vec![state(&a, 2)], &[], &[1]),
        (
            "created twice",
            vec![state(&a, 1), gone(a.clone()), state(&a, 1), gone(a.clone()), gone(a.clone())],
            &[],
            &[5],
        ),
        ("another home", vec![seen(&a, 5), seen(&moved, 6)], &[], &[2]),
        ("a gap that is closed", vec![gap("pods", None), gap("pods", Some(1))], &[], &[]),
        ("a gap that is closed for another", vec![gap("pods", None), gap("secrets", Some(1))], &[], &[2]),
    ]
}

async fn archive(changes: Vec<Change>, cut: usize) -> Objects {
    let records = numbered(1, changes);
    let (first, second) = records.split_at(cut.min(records.len()));
    let segments = [first.to_vec(), second.to_vec()].into_iter().filter(|records| !records.is_empty());
    told(segments.collect()).await
}

/// The seqs that details speak of.
fn seqs<'a>(details: impl Iterator<Item = &'a str>) -> Vec<u64> {
    let seq = |detail: &str| detail.strip_prefix("record ")?.split(':').next()?.parse().ok();
    details.map(|detail| seq(detail).unwrap_or_else(|| panic!("{detail}"))).collect()
}

#[tokio::test]
async fn broken_promises_are_problems_and_oddities_are_notes_wherever_the_segments_are_cut() {
    for (name, changes, broken, odd) in cases() {
        for cut in 1..=changes.len() {
            let memory = Memory::of(&archive(changes.clone(), cut).await).await;
            let report = report(&memory.store, Depth::Deep).await;
            let problems = report.problems.iter().map(|problem| problem.detail.as_str());
            assert_eq!(seqs(problems), broken, "{name}, cut at {cut}");
            assert!(report.problems.iter().all(|problem| problem.symptom.as_str() == "FACT" && !problem.loss.is_any()));
            assert_eq!(seqs(report.notes.iter().map(|note| note.detail.as_str())), odd, "{name}, cut at {cut}");
            let shallow = super::report(&memory.store, Depth::Data).await;
            assert!(shallow.problems.is_empty() && shallow.notes.is_empty(), "{name}: only a deep check looks");
        }
    }
}

#[tokio::test]
async fn a_gap_that_is_closed_without_having_been_opened_has_a_code_unless_its_opening_cannot_be_read() {
    let beat = || Change::Heartbeat;
    let objects = archive(vec![beat(), gap("pods", Some(1))], 1).await;
    let memory = Memory::of(&objects).await;
    let deep = report(&memory.store, Depth::Deep).await;
    assert_eq!(found(&deep), set(&[("E_LINE", Some(3))]));
    memory.put(&segment(2), bytes::Bytes::new()).await;
    assert_eq!(found(&report(&memory.store, Depth::Deep).await), set(&[("E_TRUNCATED", Some(2))]));
}

#[tokio::test]
async fn a_hole_forgets_what_was_known_of_objects() {
    let (a, b) = (as_uid("db", "a"), as_uid("db", "b"));
    let objects =
        told(vec![numbered(1, vec![seen(&a, 5)]), numbered(2, vec![gone(a)]), numbered(3, vec![state(&b, 2)])]).await;
    let memory = Memory::of(&objects).await;
    memory.remove(&segment(3)).await;
    let report = report(&memory.store, Depth::Deep).await;
    assert_eq!(found(&report), set(&[("E_MISSING", Some(3))]));
    assert_eq!(report.notes, []);
}

/// A machine is recorded in the third segment; the second one says that all machines are proven up to `proven`.
async fn claimed(proven: i64, version: u64) -> Objects {
    let memory = Memory::new();
    make(&memory.store).await.expect("made");
    let clock = Clock::default();
    let mut writer = own(&memory.store, 1, &clock).await.expect("owned");
    let mut entry = resume("virtualmachines", version, proven);
    entry.kind = "VirtualMachine".into();
    let first = vmrewind_archive::SegmentInput { resume: vec![entry], ..input(numbered(1, vec![Change::Heartbeat])) };
    writer.commit(first, &|| clock.now()).await.expect("committed");
    let late: Record = record(2, state(&vm("db"), 1));
    let second = vmrewind_archive::SegmentInput { resume: Vec::new(), ..input(vec![late]) };
    writer.commit(second, &|| clock.now()).await.expect("committed");
    memory.objects().await
}

#[tokio::test]
async fn a_resume_entry_that_claims_more_than_the_records_hold_is_found() {
    let proven = Memory::of(&claimed(20, 0).await).await;
    let report_ = report(&proven.store, Depth::Deep).await;
    assert_eq!(found(&report_), set(&[("FACT", Some(3))]));
    assert!(report_.problems[0].detail.contains("virtualmachines.kubevirt.io"), "{:?}", report_.problems);
    let honest = Memory::of(&claimed(19, 0).await).await;
    assert_eq!(found(&report(&honest.store, Depth::Deep).await), set(&[]));
    let version = Memory::of(&claimed(19, 1).await).await;
    let odd = report(&version.store, Depth::Deep).await;
    assert_eq!((odd.problems.len(), odd.notes.len()), (0, 1));
    assert_eq!(odd.notes[0].kind, NoteKind::OddRecord);
}

#[tokio::test]
async fn the_reader_in_python_names_the_same_facts() {
    let root = tempfile::tempdir().expect("a directory");
    let (mut places, mut ours) = (Vec::new(), Vec::new());
    let mut archives: Vec<(String, Objects)> = Vec::new();
    for (name, changes, _, _) in cases() {
        archives.push((name.to_owned(), archive(changes, 1).await));
    }
    archives.push((
        "a gap that nothing opened".to_owned(),
        archive(vec![Change::Heartbeat, gap("pods", Some(1))], 1).await,
    ));
    for proven in [19, 20] {
        archives.push((format!("proven up to {proven}"), claimed(proven, 0).await));
    }
    for (name, objects) in archives {
        let memory = Memory::of(&objects).await;
        ours.push((name, found(&report(&memory.store, Depth::Deep).await)));
        let place = root.path().join(places.len().to_string());
        places::write(&place, &objects);
        places.push(place);
    }
    for ((name, ours), theirs) in ours.into_iter().zip(python::said(&places)) {
        assert_eq!(ours, theirs, "{name}");
    }
}

#[tokio::test]
async fn only_so_many_of_a_kind_are_told_one_by_one() {
    let a = as_uid("db", "a");
    let twice: Vec<Change> = (0..50).map(|_| withheld(a.clone(), 3)).collect();
    let memory = Memory::of(&archive(twice, 100).await).await;
    let report = report(&memory.store, Depth::Deep).await;
    assert_eq!(report.problems.len(), 21);
    assert!(report.problems[20].detail.starts_with("29 more"), "{:?}", report.problems[20]);
}
