//! Every vector of the specification, as a segment of an archive.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use vmrewind_archive::{
    ArchiveError, Store,
    verify::{Depth, Problem},
};

use super::{
    Found, check, found,
    places::{self, Memory, Objects, segment},
    python, set,
};

/// A vector: its headers, and the object.
struct Vector {
    headers: BTreeMap<String, String>,
    object: Bytes,
}

fn vectors() -> BTreeMap<String, Vector> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors");
    let files = fs::read_dir(folder).expect("the folder is there").map(|file| file.expect("listed").path());
    let parse = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        let (head, body) = text.split_once("\n\n").expect("an empty line");
        let headers = head.lines().filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned()));
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        (name, Vector { headers: headers.collect(), object: base64(body) })
    };
    let all = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).map(parse);
    // Those of what is rolled up need an archive that was: see `history`.
    // Those of encrypted archives need one that is: see `sealed`.
    let plain = |vector: &Vector| !vector.headers.contains_key("root-key");
    all.filter(|(_, vector)| ["segment", "identity"].contains(&vector.headers["object"].as_str()) && plain(vector))
        .collect()
}

fn base64(text: &str) -> Bytes {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut group, mut bits) = (Vec::new(), 0_usize, 0);
    for digit in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        group = group << 6 | alphabet.iter().position(|known| *known == digit).expect("base64");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(group >> bits & 0xFF).expect("masked"));
        }
    }
    bytes.into()
}

/// An archive around a vector: what it follows if that is told, nothing otherwise; and what is wrong with it then.
fn around(vector: &Vector, all: &BTreeMap<String, Vector>) -> (Objects, Found) {
    let expect = vector.headers["expect"].clone();
    let mut objects = Objects::new();
    let mut wrong = Found::new();
    if vector.headers["object"] == "identity" {
        objects.insert("archive.json".to_owned(), vector.object.clone());
        objects.insert(segment(1), all["ok-fence"].object.clone());
        if expect != "ok" {
            wrong.insert((expect, None));
        }
        return (objects, wrong);
    }
    objects.insert("archive.json".to_owned(), all["identity-ok"].object.clone());
    let slot: u64 = vector.headers["slot"].parse().expect("a number");
    let before = vector.headers.get("follows").map(|file| file.trim_end_matches(".txt"));
    let mut first = slot;
    let mut follows = before;
    while let Some(name) = follows {
        first = all[name].headers["slot"].parse().expect("a number");
        objects.insert(segment(first), all[name].object.clone());
        follows = all[name].headers.get("follows").map(|file| file.trim_end_matches(".txt"));
    }
    if expect == "E_MISSING" {
        // The vector stands two slots behind what it follows.
        wrong.insert((expect, Some(slot - 1)));
    } else {
        if first > 1 {
            wrong.insert(("E_MISSING".to_owned(), Some(1)));
        }
        if expect != "ok" {
            wrong.insert((expect, Some(slot)));
        }
    }
    objects.insert(segment(slot), vector.object.clone());
    (objects, wrong)
}

/// What a check says; a format that is not known is no damage, and has a code all the same.
async fn said(store: &Store, depth: Depth) -> (Found, Vec<Problem>) {
    match check(store, depth).await {
        Ok(report) => (found(&report), report.problems),
        Err(ArchiveError::Unsupported { what, .. }) => {
            let code = if what.contains("format version") { "E_VERSION" } else { "E_FEATURE" };
            (set(&[(code, None)]), Vec::new())
        }
        Err(error) => panic!("{error}"),
    }
}

/// Tells whether a vector is wrong before the index, in what the index says of that, in the hash of the predecessor or in
/// an object only, so that its end does not tell.
fn is_silent_at_the_end(name: &str) -> bool {
    let families = ["bad-frame-", "bad-line-", "bad-meta-", "bad-tar-", "deep-"];
    let others =
        ["bad-bit-in-frame", "bad-flag-gaps", "bad-follows-chain", "bad-index-first-seq", "bad-index-frame-members"];
    name != "bad-tar-no-end" && (families.iter().any(|family| name.starts_with(family)) || others.contains(&name))
}

#[tokio::test]
async fn every_vector_is_found_with_its_code_at_the_depth_that_promises_it() {
    let all = vectors();
    for (name, vector) in &all {
        let (objects, mut expected) = around(vector, &all);
        let memory = Memory::of(&objects).await;
        let deep = vector.headers.contains_key("deep");
        assert_eq!(said(&memory.store, Depth::Deep).await.0, expected, "{name}, deep");
        let mut at_the_end = expected.clone();
        if deep {
            expected.retain(|(code, _)| !["E_OBJECT", "E_KEY"].contains(&code.as_str()));
        }
        assert_eq!(said(&memory.store, Depth::Data).await.0, expected, "{name}, data");
        let (ends, problems) = said(&memory.store, Depth::Ends).await;
        if is_silent_at_the_end(name) {
            at_the_end.retain(|(code, _)| code == "E_MISSING");
        }
        assert_eq!(ends, at_the_end, "{name}, ends");
        for problem in problems {
            assert!(problem.loss.records.is_some() || problem.slots.is_some(), "{name}: {problem:?}");
        }
    }
}

#[tokio::test]
async fn the_reader_in_python_says_the_same_to_every_vector() {
    let all = vectors();
    let root = tempfile::tempdir().expect("a directory");
    let mut ours = Vec::new();
    let mut places = Vec::new();
    for (name, vector) in &all {
        let (objects, _) = around(vector, &all);
        let place = root.path().join(name);
        places::write(&place, &objects);
        let store = Store::open(&place.display().to_string().parse().expect("a path")).expect("a directory");
        ours.push((name, said(&store, Depth::Deep).await.0));
        places.push(place);
    }
    for ((name, ours), theirs) in ours.into_iter().zip(python::said(&places)) {
        assert_eq!(ours, theirs, "{name}");
    }
}
