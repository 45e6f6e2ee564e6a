//! Whose encrypted archive it is, and what is done if part of its keys is gone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use vmrewind_archive::{ArchiveUrl, NewArchive, NewKeys, Recipients, Store, init};

use crate::{
    harness::{BEGIN, CLUSTER, Told, time},
    sealed::{sealed, secret, story},
};

/// Replaces all but `archive.json` by keys that somebody else made for the same recipients: he needs to know nothing for that.
fn taken_over(told: &Told) {
    let place = told.place();
    for folder in ["log", "keys"] {
        fs::remove_dir_all(place.join(folder)).expect("removed");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let url: ArchiveUrl = place.display().to_string().parse().expect("an archive URL");
        let recipients = Recipients::new([1, 2].map(|n| secret(n).recipient()).to_vec(), false).expect("two");
        let keys = Some(NewKeys { recipients, root_key: [0x66; 32], seed: [5; 32] });
        let (software, created) = ("story 1".to_owned(), time(BEGIN));
        let new = NewArchive {
            archive: uuid::Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdee),
            cluster: CLUSTER.to_owned(),
            created,
            software,
            keys,
        };
        init(&Store::open(&url).expect("a store"), new).await.expect("finished");
    });
}

fn fingerprint(told: &Told, flags: &str) -> String {
    let listed = told.run(&format!("key list -o json {flags}"));
    assert_eq!(listed.code, 0, "{}", listed.all());
    listed.json()["fingerprint"].as_str().expect("a fingerprint").to_owned()
}

#[test]
fn another_archive_in_the_place_of_ours_is_refused_until_its_fingerprint_is_given() {
    let (told, files) = sealed();
    let identity = format!("--identity {}", files[0]);
    let first = told.run(&format!("get vm -A {identity}"));
    assert!(first.code == 0 && first.stderr.contains("is remembered"), "{}", first.all());
    let second = told.run(&format!("get vm -A {identity}"));
    assert!(second.code == 0 && !second.stderr.contains("remembered"), "{}", second.all());
    let ours = fingerprint(&told, &identity);
    assert!(told.run(&format!("key list {identity}")).stdout.contains(&ours));
    taken_over(&told);
    for verb in ["get vm -A", "log -A", "key list", "verify", "info", "get vm -A --allow-damage"] {
        let refused = told.run(&format!("{verb} {identity}"));
        assert!(refused.code == 12 && refused.stdout.is_empty(), "{verb}: {}", refused.all());
        assert!(refused.stderr.contains(&ours) && refused.stderr.contains("give --fingerprint "), "{}", refused.all());
    }
    let refused = told.run(&format!("key list {identity} --fingerprint {ours}"));
    assert!(refused.code == 12 && refused.stderr.contains(&ours), "{}", refused.all());
    let (_, theirs) = refused.stderr.split_once("its key is ").expect("both are told");
    let theirs = &theirs[..32];
    assert_ne!(theirs, ours);
    assert_eq!(fingerprint(&told, &format!("{identity} --fingerprint {theirs}")), theirs);
    assert_eq!(fingerprint(&told, &identity), theirs, "it is remembered instead");
}

#[test]
fn the_fingerprint_may_be_given_from_the_first_use_on() {
    let (told, files) = sealed();
    let ours = fingerprint(&told, &format!("--identity {}", files[0]));
    let (told, files) = sealed();
    let run = |fingerprint: &str| {
        let mut command = told.command();
        command.env("VMREWIND_FINGERPRINT", fingerprint).env("VMREWIND_IDENTITY", &files[0]).args(["get", "vm", "-A"]);
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&ours).0, Some(0));
    let other = "0".repeat(32);
    let (code, stderr) = run(&other);
    assert!(code == Some(12) && stderr.contains(&ours) && stderr.contains(&other), "{stderr}");
    let (code, stderr) = run("0123");
    assert!(code == Some(2) && stderr.contains("no fingerprint"), "{stderr}");
    let plain = story().write().run(&format!("get vm -A --fingerprint {ours}"));
    assert!(plain.code == 12 && plain.stderr.contains("not encrypted"), "{}", plain.all());
}

#[test]
fn a_plain_archive_in_the_place_of_an_encrypted_one_is_refused_also_without_an_identity() {
    let (told, files) = sealed();
    assert_eq!(told.run(&format!("get vm -A --identity {}", files[0])).code, 0);
    let plain = story().write();
    fs::remove_dir_all(told.place()).expect("removed");
    fs::rename(plain.place(), told.place()).expect("moved");
    let refused = told.run("get vm -A");
    assert!(refused.code == 12 && refused.stderr.contains("is not encrypted"), "{}", refused.all());
    fs::remove_dir_all(Path::new(&told.file(".local"))).expect("forgotten");
    assert_eq!(told.run("get vm -A").code, 0, "the test can fail");
}

#[test]
fn a_state_folder_that_cannot_be_used_stops_no_read_and_is_said() {
    let (told, files) = sealed();
    fs::write(told.file(".local"), "no folder").expect("written");
    let ran = told.run(&format!("get vm -A --identity {}", files[0]));
    assert!(ran.code == 0 && ran.stderr.contains("Warning:") && ran.stdout.contains("db-1"), "{}", ran.all());
}

#[test]
fn a_damaged_file_of_keys_stops_those_who_do_not_pass_over_damage_and_is_reported_to_the_others() {
    let (told, files) = sealed();
    let identity = format!("--identity {}", files[0]);
    let third = secret(3).recipient();
    assert_eq!(told.run(&format!("key add {third} --yes {identity}")).code, 0);
    let name = "keys/0000000000000002.json";
    let file = told.place().join(name);
    let mut bytes = fs::read(&file).expect("there");
    bytes[20] ^= 1;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    fs::write(&file, bytes).expect("written");
    let strict = told.run(&format!("get vm -A {identity}"));
    assert!(strict.code == 7 && strict.stdout.is_empty() && strict.stderr.contains(name), "{}", strict.all());
    let passing = told.run(&format!("get vm -A --allow-damage {identity}"));
    assert!(passing.code == 0 && passing.stdout.contains("db-1") && passing.stderr.contains(name), "{}", passing.all());
    let verified = told.run(&format!("verify --deep -o json {identity}"));
    assert_eq!(verified.code, 7, "{}", verified.all());
    let problems = verified.json()["problems"].as_array().expect("a list").clone();
    assert!(problems.len() == 1 && problems[0]["object"] == name, "{problems:?}");
    let added = told.run(&format!("key add {} --yes {identity}", secret(4).recipient()));
    assert_eq!(added.code, 7, "a writer does not go on: {}", added.all());
}

#[test]
fn an_identity_file_that_others_can_read_is_used_and_warned_of() {
    let (told, files) = sealed();
    for (mode, warned) in [(0o600, false), (0o640, true), (0o644, true)] {
        fs::set_permissions(&files[0], fs::Permissions::from_mode(mode)).expect("set");
        let ran = told.run(&format!("verify --quiet --identity {}", files[0]));
        assert_eq!(
            (ran.code, ran.stderr.matches("can read the identity file").count()),
            (0, warned.into()),
            "{}",
            ran.all()
        );
    }
}

#[test]
fn an_import_is_encrypted_if_recipients_are_given_and_plain_in_a_remote_store_only_if_that_is_meant() {
    let (told, files) = sealed();
    let tarball = told.file("all.tar.zst");
    let exported =
        told.run(&format!("export --all-namespaces --format tar --show-secrets -f {tarball} --identity {}", files[0]));
    assert_eq!(exported.code, 0, "{}", exported.all());
    let to = |n: u8| secret(n).recipient();
    let place = told.file("imported");
    let single = told.run(&format!("import {tarball} --archive {place} --recipient {}", to(1)));
    assert!(single.code == 1 && single.stderr.contains("--single-recipient"), "{}", single.all());
    let made = told.run(&format!("import {tarball} --archive {place} --recipient {} --recipient {}", to(1), to(2)));
    assert!(made.code == 0 && made.stderr.contains("fingerprint"), "{}", made.all());
    assert_eq!(told.run(&format!("get vm -A --archive {place}")).code, 12);
    let read = told.run(&format!("get vm -A --archive {place} --allow-gaps --identity {}", files[1]));
    assert!(read.code == 0 && read.stdout.contains("db-1"), "{}", read.all());
    assert_eq!(told.run(&format!("verify --deep --archive {place} --identity {}", files[1])).code, 0);
    let remote = told.run(&format!("import {tarball} --archive s3://nowhere/at-all"));
    assert!(remote.code == 1 && remote.stderr.contains("--plain"), "{}", remote.all());
    let plain = told.file("plain");
    assert_eq!(told.run(&format!("import {tarball} --archive {plain}")).code, 0);
}
