//! Archives as a whole: what is asked of the store, names, holes, neighbours, what gaps account for.

use std::path::PathBuf;

use bytes::Bytes;
use vmrewind_archive::{
    ArchiveError, FenceOutcome, SeqRange, Store, damage_detail,
    verify::{About, Depth, NoteKind},
};
use vmrewind_model::{Change, Gap, GapCause, ResourceId, Seq};
use vmrewind_testkit::store::Call;

use super::{
    check, found,
    places::{Memory, lived, segment},
    report, set,
};
use crate::{
    conformance::writing,
    world::{Clock, commit, faulty, input, lived as recorded, make, open, own, record, resume, t, take_over},
};

const DEPTHS: [Depth; 3] = [Depth::Ends, Depth::Data, Depth::Deep];

#[tokio::test]
async fn nothing_is_wrong_with_archives_that_were_only_written() {
    let memory = Memory::new();
    make(&memory.store).await.expect("made");
    assert_eq!(report(&memory.store, Depth::Deep).await.problems, [], "no segment yet");
    writing(&memory.store, &Clock::default()).await;
    for depth in DEPTHS {
        let report = report(&memory.store, depth).await;
        assert_eq!((report.problems, report.accounted), (vec![], vec![]), "{depth:?}");
        assert_eq!((report.checked.records, report.checked.epochs, report.checked.found.count()), (13, 1, 4));
    }
    let deep = report(&memory.store, Depth::Deep).await;
    assert_eq!((deep.checked.records_read, deep.checked.unchained), (13, 0));
    assert_eq!(deep.checked.read, deep.checked.bytes);
}

#[tokio::test]
async fn nothing_is_wrong_with_the_golden_archive() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden-0_1");
    let store = Store::open(&path.display().to_string().parse().expect("a path")).expect("a directory");
    for depth in DEPTHS {
        assert_eq!(report(&store, depth).await.problems, [], "{depth:?}");
    }
    // It was written by a test, whose second writer knows less than the first, and changes what was deleted.
    let notes = report(&store, Depth::Deep).await.notes;
    let kinds: Vec<_> = notes.iter().map(|note| note.kind).collect();
    assert!(kinds.contains(&NoteKind::ResumeBack) && kinds.contains(&NoteKind::OddRecord), "{notes:?}");
    assert!(kinds.iter().all(|kind| [NoteKind::ResumeBack, NoteKind::OddRecord].contains(kind)), "{notes:?}");
}

#[tokio::test]
async fn the_ends_of_all_segments_take_one_request_each_and_one_listing() {
    let clock = Clock::default();
    let (store, place, mut writer) = recorded(&clock).await;
    for _ in 0..70 {
        commit(&mut writer, 2, &clock).await.expect("committed");
    }
    let before = store.calls().len();
    let ends = report(&place, Depth::Ends).await;
    assert_eq!((ends.checked.found.count(), ends.problems), (73, vec![]));
    let calls = store.calls().split_off(before);
    let count =
        |call: Call, prefix: &str| calls.iter().filter(|(c, name)| *c == call && name.starts_with(prefix)).count();
    assert_eq!((count(Call::Get, "log/"), count(Call::Get, ""), count(Call::List, "")), (73, 75, 1));
    assert_eq!(count(Call::Get, "man/"), 1, "whether there is one behind the last, which the listing lacks");
    assert_eq!(count(Call::Head, ""), 1, "whether there is one behind the last");
    assert!(ends.checked.read < ends.checked.bytes || ends.checked.bytes < 73 * 16 * 1024);
    let before = store.calls().len();
    report(&place, Depth::Deep).await;
    let calls = store.calls().split_off(before);
    assert_eq!(calls.iter().filter(|(call, _)| *call == Call::Get).count(), 75, "and no more to read all of it");
}

#[tokio::test]
async fn an_end_that_is_longer_than_usual_takes_a_second_request() {
    let (store, place) = faulty();
    make(&place).await.expect("made");
    let clock = Clock::default();
    let mut writer = own(&place, 1, &clock).await.expect("owned");
    let long = vmrewind_archive::SegmentInput {
        resume: (0..400).map(|n| resume(&format!("r{n:03}"), 1, 0)).collect(),
        ..input(vec![record(1, Change::Heartbeat)])
    };
    writer.commit(long, &|| clock.now()).await.expect("committed");
    let before = store.calls().len();
    assert_eq!(report(&place, Depth::Ends).await.problems, []);
    let gets = store.calls().split_off(before).into_iter().filter(|(c, name)| *c == Call::Get && name.ends_with('2'));
    assert_eq!(gets.count(), 2);
}

#[tokio::test]
async fn names_that_do_not_belong_there_are_told_and_lose_nothing() {
    let memory = Memory::of(&lived(&[2]).await).await;
    for name in ["log/0000/0000000000000000", "log/0000/000000000000000A", "log/0000/ffffffffffffffff"] {
        memory.put(name, Bytes::from_static(b"x")).await;
    }
    memory.put("notes.txt", Bytes::from_static(b"x")).await;
    memory.put("probe/old", Bytes::from_static(b"x")).await;
    let report = report(&memory.store, Depth::Ends).await;
    assert_eq!(found(&report), set(&[("E_NAME", None)]));
    assert_eq!(report.problems.len(), 3);
    assert!(report.problems.iter().all(|problem| !problem.loss.is_any() && problem.about == About::Archive));
    let notes: Vec<_> = report.notes.iter().map(|note| (note.kind, note.object.as_str())).collect();
    assert_eq!(notes, [(NoteKind::UnknownName, "notes.txt")]);
}

#[tokio::test]
async fn missing_segments_are_one_problem_with_all_that_they_held() {
    let memory = Memory::of(&lived(&[2; 6]).await).await;
    for slot in [3, 4, 5] {
        memory.remove(&segment(slot)).await;
    }
    for depth in DEPTHS {
        let report = report(&memory.store, depth).await;
        assert_eq!(report.problems.len(), 1);
        let problem = &report.problems[0];
        assert_eq!(
            (problem.symptom.as_str(), problem.slots, &problem.object),
            ("E_MISSING", Some((3, 5)), &segment(3))
        );
        assert_eq!(problem.loss.records, Some(vec![SeqRange::new(Seq(3), Seq(8))]));
        assert_eq!((problem.loss.after, problem.loss.before), (Some(t(20)), Some(t(90))));
        let resources: Vec<String> = problem.loss.resources.iter().map(ToString::to_string).collect();
        assert_eq!(resources, ["datavolumes.kubevirt.io", "virtualmachines.kubevirt.io"]);
    }
    // A name far behind makes a hole that nobody can look into slot by slot.
    memory.put("log/0000/7fffffffffffffff", Bytes::new()).await;
    let wide = report(&memory.store, Depth::Deep).await;
    assert_eq!(
        found(&wide),
        set(&[("E_MISSING", Some(3)), ("E_MISSING", Some(8)), ("E_TRUNCATED", Some(i64::MAX as u64))])
    );
}

#[tokio::test]
async fn a_segment_of_another_history_is_found_by_the_hash_of_its_successor() {
    let (ours, theirs) = (lived(&[2, 2, 2]).await, {
        let memory = Memory::new();
        make(&memory.store).await.expect("made");
        let clock = Clock::default();
        let mut writer = own(&memory.store, 1, &clock).await.expect("owned");
        for first in [1, 3] {
            let records = [first, first + 1].map(|seq| record(seq, Change::Heartbeat)).to_vec();
            writer.commit(input(records), &|| clock.now()).await.expect("committed");
        }
        memory.objects().await
    });
    let memory = Memory::of(&ours).await;
    memory.put(&segment(2), theirs[&segment(2)].clone()).await;
    assert_eq!(
        found(&report(&memory.store, Depth::Ends).await),
        set(&[]),
        "its end fits: this is what ends do not prove"
    );
    assert_eq!(report(&memory.store, Depth::Ends).await.checked.unchained, 3);
    assert_eq!(found(&report(&memory.store, Depth::Data).await), set(&[("E_CHAIN", Some(3))]));
    memory.put(&segment(2), ours[&segment(3)].clone()).await;
    assert_eq!(found(&report(&memory.store, Depth::Ends).await), set(&[("E_NAME", Some(2))]));
}

#[tokio::test]
async fn an_archive_whose_identity_is_lost_is_checked_all_the_same() {
    let memory = Memory::of(&lived(&[2, 2]).await).await;
    memory.remove("archive.json").await;
    let report_ = report(&memory.store, Depth::Deep).await;
    assert_eq!(found(&report_), set(&[("E_IDENTITY", None)]));
    assert_eq!((report_.identity, report_.checked.records_read), (None, 4));
    let nothing = check(&Memory::new().store, Depth::Ends).await.expect_err("nothing at all");
    assert!(matches!(nothing, ArchiveError::NoArchive { .. }), "{nothing}");
    memory.put("man/0000000000000001", Bytes::new()).await;
    let empty = report(&memory.store, Depth::Ends).await;
    assert_eq!(found(&empty), set(&[("E_IDENTITY", None), ("E_MANIFEST", None)]));
}

#[tokio::test]
async fn a_listing_that_lags_is_no_damage() {
    let clock = Clock::default();
    let (store, place, _writer) = recorded(&clock).await;
    store.fail(vmrewind_testkit::store::Fault::on(Call::List, 0, vmrewind_testkit::store::How::Torn(2)));
    let report = report(&place, Depth::Data).await;
    assert_eq!((report.problems, report.checked.found.to_string().as_str()), (vec![], "1-3"));
}

#[tokio::test]
async fn a_store_that_fails_is_an_error_and_no_damage() {
    let clock = Clock::default();
    for call in [Call::List, Call::Get, Call::Head] {
        let (store, place, _writer) = recorded(&clock).await;
        store.fail(vmrewind_testkit::store::Fault::on(call, 0, vmrewind_testkit::store::How::Before));
        let error = check(&place, Depth::Ends).await.expect_err("no answer");
        assert!(matches!(error, ArchiveError::Unavailable { .. }), "{call:?}: {error}");
    }
}

#[tokio::test]
async fn damage_that_gaps_account_for_is_told_and_is_no_problem() {
    let memory = Memory::of(&lived(&[2; 4]).await).await;
    let mut bytes = memory.objects().await[&segment(3)].to_vec();
    bytes[40] ^= 1;
    memory.put(&segment(3), bytes.into()).await;
    let before = report(&memory.store, Depth::Data).await;
    assert_eq!((found(&before), before.accounted), (set(&[("E_BODY_HASH", Some(3))]), vec![]));
    let clock = Clock::default();
    let archive = open(&memory.store).await.expect("opened");
    let head = archive.head_behind_damage().await.expect("a head");
    let FenceOutcome::Owner(mut writer) = take_over(&archive, &head, 2, &clock).await.expect("a fence") else {
        panic!("nobody else is there")
    };
    let gaps = ["datavolumes", "virtualmachines"].map(|resource| {
        Change::Gap(Gap {
            resource: ResourceId::new("kubevirt.io", resource, ""),
            object: None,
            from: t(20),
            to: Some(t(95)),
            cause: GapCause::Damage,
            detail: damage_detail(&[3]),
            opened: None,
        })
    });
    let records = (9..).zip(gaps).map(|(seq, gap)| record(seq, gap)).collect();
    writer.commit(input(records), &|| clock.now()).await.expect("committed");
    for depth in [Depth::Data, Depth::Deep] {
        let report = report(&memory.store, depth).await;
        assert_eq!(report.problems, [], "{depth:?}");
        let [problem] = &report.accounted[..] else { panic!("{:?}", report.accounted) };
        assert_eq!((problem.slots, problem.accounted), (Some((3, 3)), true));
        assert_eq!(problem.loss.records, Some(vec![SeqRange::new(Seq(3), Seq(4))]), "it is lost all the same");
    }
    // At the ends nothing is seen of it; but what is seen there is judged in the same way.
    let mut bytes = memory.objects().await[&segment(3)].to_vec();
    bytes.pop();
    memory.put(&segment(3), bytes.into()).await;
    let ends = report(&memory.store, Depth::Ends).await;
    assert_eq!((ends.problems.len(), ends.accounted.len()), (0, 1));
}
