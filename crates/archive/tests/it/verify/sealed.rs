//! Encrypted archives: both readers find nothing wrong with good ones, and say the same of what somebody put in.

use std::{collections::BTreeSet, path::Path};

use vmrewind_archive::{
    Archive, ArchiveError, At, Cpu, Door, ErrorKind, Fingerprint, Rules, SegmentInput, Silent, maintain,
    verify::{Depth, Options, verify},
};
use vmrewind_model::{Change, RawObject, Record, RecordKey, Timestamp};

use super::{
    found,
    places::{Memory, Objects, segment, write},
    python, report,
};
use crate::world::{Clock, input, make, make_sealed, open, own, record, secret, state, t, vm};

fn minutes(n: u64) -> Timestamp {
    t(60_000_000 * n.cast_signed())
}

/// Half an hour, rolled up but for its end. The same records, archive and writer whether it is encrypted or not.
async fn lived(sealed: bool) -> Objects {
    lived_with(sealed, 0).await
}

/// As [`lived`], with so much in each object that does not compress.
async fn lived_with(sealed: bool, noise: usize) -> Objects {
    let memory = Memory::new();
    if sealed { make_sealed(&memory.store).await } else { make(&memory.store).await }.expect("made");
    let clock = Clock::default();
    let mut writer = own(&memory.store, 1, &clock).await.expect("owned");
    for n in 0..18 {
        let change = state(&vm(if n % 3 == 0 { "db" } else { "web" }), n + 1);
        let change = with_noise(change, n, noise);
        let first = Record { t: minutes(2 * n + 1), ..record(2 * n + 1, change) };
        let beat = Record {
            t: minutes(2 * n + 1).plus(std::time::Duration::from_secs(1)),
            ..record(2 * n + 2, Change::Heartbeat)
        };
        let segment = SegmentInput { resume: Vec::new(), ..input(vec![first, beat]) };
        writer.commit(segment, &|| clock.now()).await.expect("committed");
    }
    let archive = open(&memory.store).await.expect("opened");
    let door = Door { now: &|| minutes(40), salt: &|| [3; 16] };
    let done = maintain(&archive, &Rules::of(&archive, "test 1"), door).await.expect("rolled up");
    assert!(done.windows > 1 && done.damage.is_empty(), "{done:?}");
    memory.objects().await
}

/// Adds text to an object that does not compress well.
fn with_noise(change: Change, seed: u64, length: usize) -> Change {
    let Change::Object { op, key, rv, object, from_seq } = change else { return change };
    let mut dice = seed;
    let digits = (0..length.div_ceil(16)).map(|_| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{dice:016x}")
    });
    let mut value = object.value().expect("JSON");
    value["spec"]["text"] = digits.collect::<String>().into();
    let object = RawObject::from_server(value.to_string().as_bytes()).expect("valid");
    Change::Object { op, key, rv, object, from_seq }
}

/// What both readers find: the one in Rust by a deep check, the one in Python by its check.
async fn both(objects: &Objects, identity: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), objects);
    let theirs = python::said_with(Some(identity), &[dir.path().to_owned()]).remove(0);
    let ours = report(&Memory::of(objects).await.store, Depth::Deep).await;
    (found(&ours).into_iter().map(|(code, _)| code).collect(), theirs)
}

fn codes(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|code| (*code).to_owned()).collect()
}

#[tokio::test]
async fn nothing_is_wrong_with_an_encrypted_archive_that_was_rolled_up_and_both_readers_say_so() {
    let home = tempfile::tempdir().expect("a directory");
    let identity = home.path().join("key");
    std::fs::write(&identity, format!("# a comment\n\n{}\n", *secret(2).reveal())).expect("written");
    let objects = lived(true).await;
    assert!(objects.keys().any(|name| name.starts_with("hist/")) && objects.contains_key("keys/0000000000000001.json"));
    assert_eq!(both(&objects, &identity).await, (codes(&[]), codes(&[])));
    for depth in [Depth::Ends, Depth::Data] {
        assert_eq!(report(&Memory::of(&objects).await.store, depth).await.problems, [], "{depth:?}");
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_checked_and_neither_reader_calls_that_damage() {
    let objects = lived(true).await;
    let memory = Memory::of(&objects).await;
    for identities in [vec![], vec![secret(3)]] {
        let options = Options { depth: Depth::Ends, sample: None, identities, told: None };
        let error = verify(&memory.store, Cpu::Inline, &options, &Silent).await.expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), &objects);
    assert_eq!(python::said_with(None, &[dir.path().to_owned()]), [codes(&["E_NO_KEY"])]);
}

#[tokio::test]
async fn another_archive_than_the_one_that_is_meant_is_not_checked() {
    let (sealed, plain) = (Memory::of(&lived(true).await).await, Memory::of(&lived(false).await).await);
    let opened = Archive::open(sealed.store.clone()).await.expect("there").with_cpu(Cpu::Inline);
    let ours = opened.unlock(vec![secret(1)], [1; 32]).await.expect("opened").fingerprint().expect("encrypted");
    let other: Fingerprint = "00112233445566778899aabbccddeeff".parse().expect("a fingerprint");
    for (store, told, good) in [(&sealed.store, ours, true), (&sealed.store, other, false), (&plain.store, ours, false)]
    {
        let options = Options { depth: Depth::Ends, sample: None, identities: vec![secret(1)], told: Some(told) };
        let said = verify(store, Cpu::Inline, &options, &Silent).await;
        assert!(if good { said.is_ok() } else { matches!(said, Err(ArchiveError::OtherKey { .. })) }, "{told}");
    }
}

/// Somebody who can write to the store, but knows no key.
#[tokio::test]
async fn what_is_not_encrypted_is_found_in_an_encrypted_archive_and_the_reverse() {
    let home = tempfile::tempdir().expect("a directory");
    let identity = home.path().join("key");
    std::fs::write(&identity, secret(1).reveal().as_bytes()).expect("written");
    let (sealed, plain) = (lived(true).await, lived(false).await);
    let last = segment(19);
    let mut downgraded = sealed.clone();
    downgraded.insert(last.clone(), plain[&last].clone());
    assert_eq!(both(&downgraded, &identity).await, (codes(&["E_PLAIN"]), codes(&["E_PLAIN"])));
    let mut upgraded = plain.clone();
    upgraded.insert(last.clone(), sealed[&last].clone());
    assert_eq!(both(&upgraded, &identity).await, (codes(&["E_ENCRYPTED"]), codes(&["E_ENCRYPTED"])));
    // All of it, but for what says that it is encrypted: each object is refused.
    let mut replaced = plain.clone();
    for (name, bytes) in sealed.iter().filter(|(name, _)| *name == "archive.json" || name.starts_with("keys/")) {
        replaced.insert(name.clone(), bytes.clone());
    }
    let (ours, theirs) = both(&replaced, &identity).await;
    assert!(ours.contains("E_PLAIN") && theirs.contains("E_PLAIN"), "{ours:?} {theirs:?}");
    assert!(!ours.contains("E_CHAIN") && !theirs.contains("E_CHAIN"), "{ours:?} {theirs:?}");
}

#[tokio::test]
async fn every_changed_byte_of_the_keys_is_found_and_so_is_that_they_are_gone() {
    let sealed = lived(true).await;
    let keys = "keys/0000000000000001.json".to_owned();
    for at in 0..sealed[&keys].len() {
        let mut changed = sealed.clone();
        let mut bytes = sealed[&keys].to_vec();
        bytes[at] ^= 1;
        changed.insert(keys.clone(), bytes.into());
        let error = super::check(&Memory::of(&changed).await.store, Depth::Deep).await.expect_err("not the same keys");
        assert!(matches!(error.kind(), ErrorKind::Data | ErrorKind::Locked), "byte {at}: {error}");
    }
    let mut gone = sealed.clone();
    gone.remove(&keys);
    let error = super::check(&Memory::of(&gone).await.store, Depth::Deep).await.expect_err("no keys");
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
}

#[tokio::test]
async fn an_encrypted_archive_answers_at_every_moment_as_one_that_is_not() {
    let (sealed, plain) = (lived_with(true, 120_000).await, lived_with(false, 120_000).await);
    let bundles = |objects: &Objects| -> Vec<usize> {
        objects.iter().filter(|(name, _)| name.starts_with("hist/")).map(|(_, bytes)| bytes.len()).collect()
    };
    // Otherwise no frame would go from one chunk into the next.
    assert!(bundles(&sealed).iter().any(|size| *size > 100_000), "{:?}", bundles(&sealed));
    let (sealed, plain) = (Memory::of(&sealed).await, Memory::of(&plain).await);
    let (sealed, plain) = (open(&sealed.store).await.expect("opened"), open(&plain.store).await.expect("opened"));
    let mut answers = 0;
    for minute in 0..=40 {
        for name in [None, Some("db"), Some("web"), Some("nobody")] {
            let filter = move |key: &RecordKey| name.is_none_or(|name| key.object.name == name);
            let at = At::Time(minutes(minute));
            let ours = sealed.state_at(at, &filter, &Silent).await;
            let theirs = plain.state_at(at, &filter, &Silent).await;
            answers += usize::from(ours.as_ref().is_ok_and(|state| !state.objects.is_empty()));
            assert!(format!("{ours:?}") == format!("{theirs:?}"), "{name:?} at minute {minute}");
        }
    }
    assert!(answers > 80, "{answers}");
}

/// Three days, rolled up, so that checkpoints are made.
async fn days(sealed: bool) -> Objects {
    let memory = Memory::new();
    if sealed { make_sealed(&memory.store).await } else { make(&memory.store).await }.expect("made");
    let clock = Clock::default();
    let mut writer = own(&memory.store, 1, &clock).await.expect("owned");
    for n in 0..12 {
        let change = state(&vm(if n % 3 == 0 { "db" } else { "web" }), n + 1);
        let records = vec![Record { t: minutes(360 * n + 1), ..record(n + 1, change) }];
        let segment = SegmentInput { resume: Vec::new(), ..input(records) };
        writer.commit(segment, &|| clock.now()).await.expect("committed");
    }
    let archive = open(&memory.store).await.expect("opened");
    let door = Door { now: &|| minutes(360 * 12), salt: &|| [3; 16] };
    let done = maintain(&archive, &Rules::of(&archive, "test 1"), door).await.expect("rolled up");
    assert!(done.checkpoints > 1 && done.damage.is_empty(), "{done:?}");
    memory.objects().await
}

#[tokio::test]
async fn checkpoints_of_an_encrypted_archive_are_checked_by_both_readers_and_answer_as_plain_ones_do() {
    let home = tempfile::tempdir().expect("a directory");
    let identity = home.path().join("key");
    std::fs::write(&identity, secret(1).reveal().as_bytes()).expect("written");
    let (sealed, plain) = (days(true).await, days(false).await);
    assert_eq!(both(&sealed, &identity).await, (codes(&[]), codes(&[])));
    assert_eq!(both(&plain, &identity).await, (codes(&[]), codes(&[])));
    let named: Vec<&String> = sealed.keys().filter(|name| name.starts_with("ckpt/")).collect();
    assert!(named.len() > 1, "{named:?}");
    // Nothing that a checkpoint tells everybody names an object.
    for name in &named {
        let shown = sealed[*name].windows(3).any(|text| text == b"web");
        assert!(!shown, "{name}");
    }
    let answers = async |objects: &Objects| {
        let memory = Memory::of(objects).await;
        let archive = open(&memory.store).await.expect("opened");
        let mut all = Vec::new();
        for hour in 0..72 {
            all.push(format!("{:?}", archive.state_at(At::Time(minutes(60 * hour)), &|_| true, &Silent).await));
        }
        all
    };
    let good = answers(&plain).await;
    assert_eq!(answers(&sealed).await, good);
    // A changed one is not used, and both readers say so.
    for name in named {
        let mut changed = sealed.clone();
        let mut bytes = sealed[name].to_vec();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        changed.insert(name.clone(), bytes.into());
        let (ours, theirs) = both(&changed, &identity).await;
        assert!(ours == codes(&["E_BODY_HASH"]) && theirs.len() == 1, "{name}: {ours:?} {theirs:?}");
        assert_eq!(answers(&changed).await, good, "{name}");
    }
}
