use std::os::unix::fs::PermissionsExt as _;

use vmrewind_testkit::build::vm;

use super::*;
use crate::scene::Scene;

fn plan() -> RestorePlan {
    Scene::captured([vm("web")]).roots(&["VirtualMachine/web"]).plan()
}

fn entry(step: u32, event: Event) -> Entry {
    Entry { t: Timestamp::MIN, step, key: ObjectKey::new("", "Secret", "prod", "s1"), event }
}

fn done() -> Event {
    Event::Done { uid: "u".into(), resource_version: "7".into(), digest: None, notes: Vec::new() }
}

#[test]
fn what_was_written_is_there_again_after_a_crash_and_a_torn_line_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let mut journal = Journal::create(&path, &plan(), Timestamp::MIN).expect("created");
    journal.append(entry(1, Event::Intent { previous: Some(serde_json::json!({"a": 1})) })).expect("written");
    journal.append(entry(1, done())).expect("written");
    journal.append(entry(2, Event::Intent { previous: None })).expect("written");
    drop(journal);
    let mut bytes = fs::read(&path).expect("read");
    bytes.extend_from_slice(br#"{"t":"2026"#);
    fs::write(&path, bytes).expect("torn");
    let mut journal = Journal::open(&path).expect("opened");
    assert_eq!(journal.plan(), &plan());
    assert_eq!(journal.progressed(1), Progressed::Done);
    assert_eq!(journal.progressed(2), Progressed::Begun);
    assert_eq!(journal.progressed(3), Progressed::Open);
    assert_eq!(journal.previous(1), Some(&serde_json::json!({"a": 1})));
    journal.append(entry(2, done())).expect("goes on");
    drop(journal);
    assert_eq!(Journal::open(&path).expect("opened").entries().len(), 4);
}

#[test]
fn only_its_owner_can_read_it_and_it_never_takes_the_place_of_another_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let journal = Journal::create(&path, &plan(), Timestamp::MIN).expect("created");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(matches!(Journal::create(&path, &plan(), Timestamp::MIN), Err(RestoreError::File { .. })));
    assert!(matches!(Journal::open(&path), Err(RestoreError::File { .. })), "another one has it open");
    drop(journal);
    assert!(Journal::open(&path).is_ok());
}

#[test]
fn damage_in_the_middle_is_named_not_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let mut journal = Journal::create(&path, &plan(), Timestamp::MIN).expect("created");
    journal.append(entry(1, done())).expect("written");
    drop(journal);
    let text = fs::read_to_string(&path).expect("read") + "rubbish\n";
    fs::write(&path, text).expect("damaged");
    let Err(RestoreError::Format { reason, .. }) = Journal::open(&path) else { panic!("damage is an error") };
    assert!(reason.contains("line 3"), "{reason}");
    fs::write(&path, "{}\n").expect("another file");
    assert!(Journal::open(&path).is_err());
}

#[test]
fn what_another_process_is_writing_is_not_judged_before_it_has_finished() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let busy = Journal::create(&path, &plan(), Timestamp::MIN).expect("created");
    let whole = fs::read(&path).expect("read");
    fs::write(&path, "half a line\n").expect("half written");
    assert!(matches!(Journal::open(&path), Err(RestoreError::File { .. })), "it is not read while it is written");
    fs::write(&path, whole).expect("written");
    drop(busy);
    assert!(Journal::open(&path).is_ok());
}

#[test]
fn after_a_line_that_could_not_be_written_nothing_follows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let mut journal = Journal::create(&path, &plan(), Timestamp::MIN).expect("created");
    journal.append(entry(1, Event::Intent { previous: None })).expect("written");
    let full = fs::OpenOptions::new().append(true).open("/dev/full").expect("a full disk");
    let real = std::mem::replace(&mut journal.file, full);
    assert!(matches!(journal.append(entry(1, done())), Err(RestoreError::File { .. })));
    journal.file = real;
    let error = journal.append(entry(2, done())).expect_err("a line may be torn");
    assert!(format!("{error:?}").contains("an earlier entry"), "{error:?}");
    assert_eq!(journal.progressed(2), Progressed::Open);
    drop(journal);
    assert_eq!(Journal::open(&path).expect("opened").entries().len(), 1);
}
