//! The vectors of manifests: good ones, and one for every rule that a manifest can break.

use bytes::Bytes;
use serde_json::{Value, json};
use vmrewind_model::{Digest, canonical};

use super::{super::super::Code, file::Vector};
use crate::{format::home::Home, samples};

pub(super) const BEGIN: i64 = 1_800_000_000_000_000;

pub(super) fn hex(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()
}

pub(super) fn zeros() -> String {
    Digest([0; 32]).hex()
}

fn window(level: u16, slots: [u64; 2], seqs: [u64; 2], times: [i64; 2], ends: [String; 2]) -> Value {
    let [prev, head] = ends;
    json!({
        "earliest": {}, "firstSegment": slots[0], "firstSeq": seqs[0], "firstTime": BEGIN + times[0], "head": head,
        "lastSegment": slots[1], "lastSeq": seqs[1], "lastTime": BEGIN + times[1], "level": level,
        "parts": [{"records": seqs[1] + 1 - seqs[0], "sha256": hex("part"), "size": 4711}], "prev": prev, "root": hex("root"),
    })
}

/// Two windows that follow each other, and one behind a hole.
pub(super) fn windows() -> [Value; 3] {
    let one = window(3, [1, 3], [1, 10], [0, 10], [zeros(), hex("one")]);
    let mut two = window(2, [4, 5], [11, 12], [10, 20], [hex("one"), hex("two")]);
    two["earliest"] = json!({"from": 3, "gap": BEGIN - 9, "lo": BEGIN - 1});
    let part = |name: &str| json!({"records": 1, "sha256": hex(name), "size": 384});
    two["parts"] = json!([part("a"), part("b")]);
    [one, two, window(1, [9, 9], [20, 20], [30, 30], [hex("eight"), hex("nine")])]
}

/// A manifest that follows another.
pub(super) fn manifest(n: u64, prev: &str, windows: &[Value]) -> Value {
    json!({"archive": samples::ARCHIVE.hyphenated().to_string(), "format": "0.2", "n": n, "prev": prev, "software": "test 1",
        "windows": windows, "written": BEGIN + 100 * n.cast_signed()})
}

pub(super) fn text(value: &Value) -> String {
    let bytes = canonical::canonicalize(value.to_string().as_bytes()).expect("JSON");
    String::from_utf8(bytes).expect("UTF-8") + "\n"
}

/// The text of a manifest of an encrypted archive.
fn sealed_text(value: &Value, home: &Home) -> String {
    let text = text(value);
    let covered = &text[..text.len() - 2];
    let mac = home.manifest_mac(covered.as_bytes()).expect("it is open").hex();
    format!("{covered},\"mac\":\"{mac}\"}}\n")
}

/// Those of encrypted archives.
pub(super) fn sealed() -> Vec<(String, Vector)> {
    let home = samples::sealed();
    let [one, two, three] = windows();
    let version = |mut value: Value, version: &str| {
        value["format"] = json!(version);
        value
    };
    let first = version(manifest(1, &zeros(), std::slice::from_ref(&one)), "0.3");
    let first_text = sealed_text(&first, &home);
    let prev = Digest::of(first_text.as_bytes()).hex();
    let second = version(manifest(2, &prev, &[one, two, three]), "0.3");
    let good = sealed_text(&second, &home);
    let (covered, mac) = good.split_at(good.len() - 75);
    let no_mac = format!("{covered}}}\n");
    let mut more = second.clone();
    more["mac"] = json!("0".repeat(64));
    let stranger = Home { archive: samples::ARCHIVE, lock: samples::lock_of([0x66; 32]) };
    let changed = |from: &str, to: &str| {
        assert!(covered.contains(from), "{from}");
        format!("{}{mac}", covered.replacen(from, to, 1))
    };
    let plain = text(&version(second.clone(), "0.2"));
    let old = sealed_text(&version(second.clone(), "0.2"), &home);
    let new = sealed_text(&version(second.clone(), "0.4"), &home);
    let upper = format!("{covered}{}", mac.to_uppercase().replace("MAC", "mac"));
    let rows = [
        ("plain", 2, Code::Plain, "one that is as in an archive that is not encrypted", plain),
        ("plain-mac", 2, Code::Plain, "version 0.2, with a mac", old),
        ("version", 2, Code::Version, "version 0.4", new),
        ("no-mac", 2, Code::Manifest, "the mac is missing", no_mac),
        ("mac-upper", 2, Code::Manifest, "a mac in capitals", upper),
        ("mac-sorted", 2, Code::Manifest, "a mac where members are sorted to", text(&more)),
        ("mac-twice", 2, Code::Manifest, "a second member mac", sealed_text(&more, &home)),
        ("stranger", 2, Code::Manifest, "by somebody who does not know the root key", sealed_text(&second, &stranger)),
        (
            "earliest",
            2,
            Code::Manifest,
            "a reach was taken away",
            changed(r#""earliest":{"from":3,"#, r#""earliest":{"#),
        ),
        ("prev", 2, Code::Manifest, "another predecessor", changed(&prev, &zeros())),
        ("older", 2, Code::Name, "an older one under a newer name", first_text.clone()),
    ];
    let opened = |n, expect: &str, comment: &str, text: &str| super::sealed::opened(vector(n, expect, comment, text));
    let mut all = vec![
        (
            "ok-sealed-manifest-first.txt".to_owned(),
            opened(1, "ok", "the first one of an encrypted archive", &first_text),
        ),
        (
            "ok-sealed-manifest-second.txt".to_owned(),
            opened(2, "ok", "one that follows it", &good).with("follows", "ok-sealed-manifest-first.txt"),
        ),
    ];
    all.extend(rows.into_iter().map(|(name, n, code, comment, text)| {
        (format!("bad-sealed-manifest-{name}.txt"), opened(n, code.as_str(), comment, &text))
    }));
    let in_plain = vector(2, Code::Encrypted.as_str(), "one of an encrypted archive in one that is not", &good);
    all.push(("bad-sealed-manifest-in-plain.txt".to_owned(), in_plain));
    let mac = vector(
        2,
        Code::Manifest.as_str(),
        "a mac in an archive that is not encrypted",
        &sealed_text(&version(second, "0.2"), &home),
    );
    all.push(("bad-manifest-mac.txt".to_owned(), mac));
    all
}

pub(super) fn vector(n: u64, expect: &str, comment: &str, text: &str) -> Vector {
    let archive = samples::ARCHIVE.hyphenated().to_string();
    let headers = [
        ("comment", comment),
        ("object", "manifest"),
        ("expect", expect),
        ("archive", &archive),
        ("n", &n.to_string()),
    ];
    Vector::new(&headers, Bytes::copy_from_slice(text.as_bytes()))
}

pub(super) fn all() -> Vec<(String, Vector)> {
    let [one, two, three] = windows();
    let first = manifest(1, &zeros(), std::slice::from_ref(&one));
    let digest = |value: &Value| Digest::of(text(value).as_bytes()).hex();
    let mut second = manifest(2, &digest(&first), &[one, two.clone(), three.clone()]);
    second["new"] = json!({"a": [1.5, null]});
    second["windows"][1]["new"] = json!("é");
    second["windows"][1]["parts"][0]["new"] = json!(1);
    second["windows"][1]["earliest"]["new"] = json!(true);
    let mut parted = second.clone();
    (parted["n"], parted["prev"], parted["written"]) = (json!(3), json!(digest(&second)), json!(BEGIN + 300));
    let mut halves = [
        window(1, [1, 1], [1, 4], [0, 4], [zeros(), hex("half")]),
        window(1, [2, 3], [5, 10], [4, 10], [hex("half"), hex("one")]),
    ];
    halves[1]["stale"] = json!(true);
    parted["windows"].as_array_mut().expect("windows").splice(0..1, halves);
    let longer = window(4, [1, 5], [1, 12], [0, 20], [zeros(), hex("two")]);
    let third = manifest(3, &digest(&second), &[longer, three]);
    let mut anew = manifest(2, &hex("manifest 1"), &windows());
    (anew["windows"][1]["prev"], anew["windows"][1]["firstSeq"]) = (json!(zeros()), json!(100));
    (anew["windows"][1]["lastSeq"], anew["windows"][2]["firstSeq"]) = (json!(101), json!(200));
    anew["windows"][2]["lastSeq"] = json!(200);
    let good = [
        ("anew", "a window that begins with a fence that begins anew", 2, anew, None),
        ("none", "no window", 1, manifest(1, &zeros(), &[]), None),
        ("first", "the first one", 1, first.clone(), None),
        (
            "second",
            "three windows, one behind a hole, and members that are not known",
            2,
            second.clone(),
            Some("first"),
        ),
        ("parted", "two shorter windows in place of one, one of them stale", 3, parted, Some("second")),
        ("third", "a longer window in place of two", 3, third, Some("second")),
    ];
    let mut all: Vec<(String, Vector)> = Vec::new();
    for (name, comment, n, value, follows) in good {
        let mut vector = vector(n, "ok", comment, &text(&value));
        if let Some(follows) = follows {
            vector = vector.with("follows", &format!("ok-manifest-{follows}.txt"));
        }
        all.push((format!("ok-manifest-{name}.txt"), vector));
    }
    let bad = |name: &str, code: Code, comment: &str, n: u64, text: &str| {
        (format!("bad-manifest-{name}.txt"), vector(n, code.as_str(), comment, text))
    };
    let plain = manifest(2, &hex("manifest 1"), &windows());
    for (name, code, comment, from, to) in written() {
        let text = text(&plain);
        assert!(text.contains(from), "{name}: {from} does not occur in {text}");
        all.push(bad(name, code, comment, 2, &text.replacen(from, to, 1)));
    }
    for (name, code, comment, change) in changed() {
        let mut value = plain.clone();
        change(&mut value);
        all.push(bad(name, code, comment, 2, &text(&value)));
    }
    all.push(bad("name", Code::Name, "under the name of another", 3, &text(&plain)));
    all.push(bad("first-prev", Code::Chain, "the first one follows another", 1, &text(&manifest(1, &hex("x"), &[]))));
    for (name, code, comment, change) in followed() {
        let mut value = second.clone();
        change(&mut value);
        let (name, vector) = bad(name, code, comment, 2, &text(&value));
        all.push((name, vector.with("follows", "ok-manifest-first.txt")));
    }
    all
}

type Written = (&'static str, Code, &'static str, &'static str, &'static str);

/// What is wrong with the text: what is replaced by what.
fn written() -> Vec<Written> {
    use Code::{Manifest, Version};
    vec![
        ("no-line-feed", Manifest, "no line feed", "}\n", "}"),
        ("line-feeds", Manifest, "two line feeds", "}\n", "}\n\n"),
        ("space", Manifest, "a space", r#""n":2"#, r#""n": 2"#),
        ("order", Manifest, "members that are not sorted", r#"{"archive""#, r#"{"z":1,"archive""#),
        ("twice", Manifest, "a member twice", r#""n":2"#, r#""n":2,"n":2"#),
        ("twice-inside", Manifest, "a member of a window twice", r#""level":3"#, r#""level":3,"level":3"#),
        ("escape", Manifest, "an escape that is not the shortest", r#""test 1""#, r#""\u0074est 1""#),
        ("array", Manifest, "an array", r#"{"archive""#, r#"[{"archive""#),
        ("no-format", Manifest, "no format", r#""format""#, r#""formal""#),
        ("format-number", Manifest, "a format that is no text", r#""format":"0.2""#, r#""format":0.2"#),
        ("format-old", Version, "format 0.1", r#""format":"0.2""#, r#""format":"0.1""#),
        ("format-new", Version, "format 0.4 without n", r#""format":"0.2","n""#, r#""format":"0.4","m""#),
        ("n-text", Manifest, "a number as text", r#""n":2"#, r#""n":"2""#),
        ("n-fraction", Manifest, "a number with a fraction", r#""n":2"#, r#""n":2.0"#),
        ("lo-null", Manifest, "a reach that is null", r#""lo":1799999999999999"#, r#""lo":null"#),
        (
            "slot-large",
            Manifest,
            "a slot above 2^63 - 1",
            r#""firstSegment":9"#,
            r#""firstSegment":9223372036854775808"#,
        ),
        ("size-negative", Manifest, "a size below 0", r#""size":4711"#, r#""size":-1"#),
    ]
}

pub(super) type Change = Box<dyn Fn(&mut Value)>;

/// Sets a member, or takes it away.
pub(super) fn set(pointer: &'static str, member: &'static str, to: impl Into<Option<Value>>) -> Change {
    let to = to.into();
    Box::new(move |value| {
        let members = value.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object");
        match &to {
            Some(to) => drop(members.insert(member.to_owned(), to.clone()).expect("it was there")),
            None => drop(members.remove(member).expect("it was there")),
        }
    })
}

/// What is wrong with the content: a member that is missing or is something else.
fn changed() -> Vec<(&'static str, Code, &'static str, Change)> {
    use Code::{Archive, Chain, Manifest, Seq};
    let missing = |name, pointer, member| (name, Manifest, "a member is missing", set(pointer, member, None));
    let (first, second, third) = ("/windows/0", "/windows/1", "/windows/2");
    let part = "/windows/0/parts/0";
    vec![
        missing("no-archive", "", "archive"),
        missing("no-n", "", "n"),
        missing("no-prev", "", "prev"),
        missing("no-software", "", "software"),
        missing("no-windows", "", "windows"),
        missing("no-written", "", "written"),
        missing("no-earliest", first, "earliest"),
        missing("no-first-segment", first, "firstSegment"),
        missing("no-last-segment", first, "lastSegment"),
        missing("no-first-seq", first, "firstSeq"),
        missing("no-last-seq", first, "lastSeq"),
        missing("no-first-time", first, "firstTime"),
        missing("no-last-time", first, "lastTime"),
        missing("no-head", first, "head"),
        missing("no-level", first, "level"),
        missing("no-parts", first, "parts"),
        missing("no-window-prev", first, "prev"),
        missing("no-root", first, "root"),
        missing("no-records", part, "records"),
        missing("no-sha256", part, "sha256"),
        missing("no-size", part, "size"),
        ("archive-text", Manifest, "an archive that is no UUID", set("", "archive", json!("x"))),
        ("archive", Archive, "of another archive", set("", "archive", json!("0f0e0d0c-0b0a-4908-8706-050403020101"))),
        ("software", Manifest, "a program that is no text", set("", "software", json!(1))),
        ("written", Manifest, "written in 1970", set("", "written", json!(1))),
        ("prev-short", Manifest, "a digest that is too short", set("", "prev", json!("00"))),
        ("head-upper", Manifest, "a digest in capitals", set(first, "head", json!(hex("one").to_uppercase()))),
        ("root-id", Manifest, "a content id for a digest", set(first, "root", json!(format!("sha256:{}", zeros())))),
        ("level-0", Manifest, "level 0", set(first, "level", json!(0))),
        ("level-5", Manifest, "level 5", set(first, "level", json!(5))),
        ("slot-0", Manifest, "slot 0", set(first, "firstSegment", json!(0))),
        ("slots", Manifest, "slots that descend", set(third, "firstSegment", json!(10))),
        ("seqs", Manifest, "a window without records", set(third, "lastSeq", json!(19))),
        ("times", Manifest, "times that descend", set(third, "firstTime", json!(BEGIN + 31))),
        ("time-1970", Manifest, "a window of 1970", set(first, "firstTime", json!(1))),
        ("lo-1970", Manifest, "a line that reaches back to 1970", set("/windows/1/earliest", "lo", json!(1))),
        ("slot-1", Manifest, "something before slot 1", set(first, "prev", json!(hex("zero")))),
        (
            "slot-1-seq",
            Manifest,
            "a first record in slot 1 that is not record 1",
            Box::new(|value| {
                value["windows"][0]["firstSeq"] = json!(2);
                value["windows"][0]["parts"][0]["records"] = json!(9);
            }),
        ),
        (
            "records-many",
            Manifest,
            "more than 2^26 records",
            Box::new(|value| {
                value["windows"][2]["lastSeq"] = json!(20 + (1 << 26));
                value["windows"][2]["parts"][0]["records"] = json!((1 << 26) + 1);
            }),
        ),
        ("stale-false", Manifest, "stale, but false", Box::new(|value| value["windows"][0]["stale"] = json!(false))),
        ("stale-null", Manifest, "stale, but null", Box::new(|value| value["windows"][0]["stale"] = json!(null))),
        ("parts", Manifest, "no parts", set(first, "parts", json!([]))),
        (
            "records-0",
            Manifest,
            "a part without records",
            Box::new(|value| {
                let parts = json!([{"records": 0, "sha256": hex("p"), "size": 384}, {"records": 10, "sha256": hex("q"), "size": 384}]);
                value["windows"][0]["parts"] = parts;
            }),
        ),
        ("records", Manifest, "parts with fewer records than seqs", set(part, "records", json!(9))),
        ("size-small", Manifest, "a size below that of a footer", set(part, "size", json!(383))),
        ("size-large", Manifest, "a size above 128 MiB", set(part, "size", json!((128 << 20) + 1))),
        (
            "not-sorted",
            Manifest,
            "windows that are not sorted",
            Box::new(|value| {
                value["windows"].as_array_mut().expect("windows").swap(0, 1);
            }),
        ),
        ("overlap", Manifest, "windows that overlap", set(second, "firstSegment", json!(3))),
        (
            "seqs-overlap",
            Manifest,
            "seqs that overlap",
            Box::new(|value| {
                (value["windows"][2]["firstSeq"], value["windows"][2]["lastSeq"]) = (json!(12), json!(12));
            }),
        ),
        ("times-overlap", Manifest, "times that overlap", set(second, "firstTime", json!(BEGIN + 9))),
        ("chain", Chain, "a window that does not follow the one before", set(second, "prev", json!(hex("x")))),
        (
            "seq",
            Seq,
            "records between two windows are missing",
            Box::new(|value| {
                (value["windows"][1]["firstSeq"], value["windows"][1]["lastSeq"]) = (json!(12), json!(13));
            }),
        ),
    ]
}

/// What is wrong beside the manifest before.
fn followed() -> Vec<(&'static str, Code, &'static str, Change)> {
    vec![
        ("follows-chain", Code::Chain, "another predecessor", set("", "prev", json!(hex("x")))),
        ("follows-time", Code::Time, "older than the one before", set("", "written", json!(BEGIN + 99))),
        (
            "follows-lacks",
            Code::Manifest,
            "a window of the one before is missing",
            Box::new(|value| {
                value["windows"].as_array_mut().expect("windows").remove(0);
            }),
        ),
        (
            "follows-other",
            Code::Manifest,
            "other records in the same slots",
            set("/windows/0", "root", json!(hex("x"))),
        ),
        (
            "follows-parted",
            Code::Manifest,
            "shorter windows in place of one, the last of which ends otherwise",
            Box::new(|value| {
                let one = window(1, [1, 1], [1, 4], [0, 4], [zeros(), hex("half")]);
                let two = window(1, [2, 3], [5, 10], [4, 9], [hex("half"), hex("one")]);
                value["windows"].as_array_mut().expect("windows").splice(0..1, [one, two]);
            }),
        ),
        (
            "follows-parted-anew",
            Code::Manifest,
            "shorter windows in place of one, the second of which follows nothing",
            Box::new(|value| {
                let one = window(1, [1, 1], [1, 3], [0, 4], [zeros(), hex("half")]);
                let two = window(1, [2, 3], [5, 10], [4, 10], [zeros(), hex("one")]);
                value["windows"].as_array_mut().expect("windows").splice(0..1, [one, two]);
            }),
        ),
        (
            "follows-straddles",
            Code::Manifest,
            "a window that holds the end of one and more",
            Box::new(|value| {
                let one = window(1, [1, 1], [1, 4], [0, 4], [zeros(), hex("half")]);
                let two = window(2, [2, 5], [5, 12], [4, 20], [hex("half"), hex("two")]);
                value["windows"].as_array_mut().expect("windows").splice(0..2, [one, two]);
            }),
        ),
        (
            "follows-hole",
            Code::Manifest,
            "shorter windows in place of one, with a hole between them",
            Box::new(|value| {
                let one = window(1, [1, 1], [1, 4], [0, 4], [zeros(), hex("half")]);
                let two = window(1, [3, 3], [6, 10], [4, 10], [hex("half"), hex("one")]);
                value["windows"].as_array_mut().expect("windows").splice(0..1, [one, two]);
            }),
        ),
        (
            "follows-shorter",
            Code::Manifest,
            "a window that is shorter than the one before",
            Box::new(|value| {
                let two = window(2, [2, 3], [2, 10], [0, 10], [hex("zero"), hex("one")]);
                value["windows"][0] = two;
            }),
        ),
    ]
}
