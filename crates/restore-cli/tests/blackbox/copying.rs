//! `copy`: from directory to directory, again, and where it is refused.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::{
    harness::{Ran, Told},
    schema,
    stories::*,
};

/// Every file below a directory, by its path there.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                found.insert(name, fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

fn ran(told: &Told, words: &[&str], code: i32) -> Ran {
    let ran = told.run_words(words);
    assert_eq!(ran.code, code, "{words:?}: {}", ran.all());
    ran
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).expect("readable");
    bytes[40] ^= 1;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(file, bytes).expect("writable");
}

#[test]
fn a_copy_is_the_same_archive_and_answers_as_the_original_does() {
    let told = morning().write();
    let to = told.file("mirror");
    let first = ran(&told, &["copy", &to, "-o", "json"], 0).json();
    schema::check("archive-copy", &first);
    assert_eq!((&first["made"], &first["copied"]["segments"]), (&true.into(), &4.into()));
    assert_eq!(first["source"]["t"], first["target"]["t"]);
    assert_eq!(files(Path::new(&to)), files(told.place()));
    let mode = |name: &str| fs::metadata(Path::new(&to).join(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("archive.json"), mode("log/0000/0000000000000002")), (0o700, 0o600, 0o600));
    ran(&told, &["verify", "--deep", "--archive", &to], 0);
    let dump = |place: &str| ran(&told, &["dump", "-A", "--archive", place], 0).stdout;
    assert_eq!(dump(&to), dump(&told.place().display().to_string()));
    let again = ran(&told, &["copy", &told.place().display().to_string(), &to, "-o", "json"], 0).json();
    schema::check("archive-copy", &again);
    assert_eq!((&again["copied"]["segments"], &again["there"]["segments"]), (&0.into(), &4.into()));
    let shown = ran(&told, &["copy", &to, "--quick"], 0).stdout;
    assert!(shown.contains("Copied:   0 segments"), "{shown}");
}

#[test]
fn a_copy_goes_on_where_it_stopped_and_fills_what_is_missing() {
    let told = morning().write();
    let to = told.file("mirror");
    ran(&told, &["copy", &to], 0);
    for lost in ["0000000000000004", "0000000000000003"] {
        fs::remove_file(Path::new(&to).join("log/0000").join(lost)).expect("there");
    }
    let done = ran(&told, &["copy", &to, "-o", "json"], 0).json();
    assert_eq!((&done["copied"]["segments"], &done["there"]["segments"]), (&2.into(), &2.into()));
    assert_eq!(files(Path::new(&to)), files(told.place()));
}

#[test]
fn damage_stops_a_copy_and_a_difference_is_named() {
    let told = morning().write();
    let to = told.file("mirror");
    ran(&told, &["copy", &to], 0);
    flip(&Path::new(&to).join("log/0000/0000000000000002"));
    let differs = ran(&told, &["copy", &to], 7).all();
    assert!(differs.contains("log/0000/0000000000000002") && differs.contains("Nothing was overwritten"), "{differs}");
    flip(&told.segments()[2]);
    let other = told.file("other");
    let stopped = ran(&told, &["copy", &other], 7).all();
    assert!(stopped.contains("E_BODY_HASH") && stopped.contains("--allow-damage"), "{stopped}");
    assert_eq!(files(Path::new(&other)).len(), 3, "archive.json and two segments");
    let done = ran(&told, &["copy", &other, "--allow-damage", "-o", "json"], 0);
    schema::check("archive-copy", &done.json());
    assert_eq!(done.json()["damage"][0]["segment"], 3);
    assert!(done.stderr.contains("so is the copy"), "{}", done.all());
    assert_eq!(files(Path::new(&other)), files(told.place()));
}

#[test]
fn places_that_are_no_copy_are_refused_by_name() {
    let told = morning().write();
    let place = told.place().display().to_string();
    let same = ran(&told, &["copy", &place], 2).all();
    assert!(same.contains("onto itself"), "{same}");
    let foreign = told.file("foreign");
    fs::create_dir(&foreign).expect("made");
    fs::write(Path::new(&foreign).join("holiday.jpg"), "x").expect("written");
    assert!(ran(&told, &["copy", &foreign], 2).all().contains("holiday.jpg"));
    let other = told.file("other");
    fs::create_dir(&other).expect("made");
    let identity = fs::read_to_string(told.place().join("archive.json")).expect("readable");
    fs::write(Path::new(&other).join("archive.json"), identity.replace("01234567-", "11234567-")).expect("written");
    assert!(ran(&told, &["copy", &other], 5).all().contains("another archive"));
    let ahead = told.file("ahead");
    ran(&told, &["copy", &ahead], 0);
    let last = told.segments().pop().expect("segments");
    let kept = fs::read(&last).expect("readable");
    fs::remove_file(&last).expect("removed");
    assert!(ran(&told, &["copy", &ahead], 5).all().contains("is ahead"));
    fs::write(&last, kept).expect("written");
    fs::create_dir(told.place().join("list")).expect("made");
    fs::write(told.place().join("list/1"), "x").expect("written");
    ran(&told, &["copy", &told.file("none")], 10);
    assert!(!Path::new(&told.file("none")).exists(), "nothing is made for what cannot be copied");
    ran(&told, &["copy", &told.file("a/b"), "--archive", "/nonexistent"], 10);
}
