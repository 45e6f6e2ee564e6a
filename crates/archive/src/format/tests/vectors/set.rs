//! The vectors that there are, and how each is made.

use bytes::Bytes;
use vmrewind_model::{Digest, Epoch, Record, Seq};

use super::{
    super::{
        super::{
            Code, VERSION,
            encode::{Draft, encode},
            footer::{Footer, Kind, flag},
            line,
            root::Tree,
            tarball,
        },
        forge::{Forge, replace},
    },
    content,
    file::Vector,
};
use crate::{Features, Identity, ResumeMap, samples};

/// The drafts of the good vectors, in the order in which they follow each other.
pub(super) fn good() -> Vec<(&'static str, Draft)> {
    let fence = Draft {
        slot: 1,
        prev: Digest([0; 32]),
        fence: Some(samples::t(0)),
        resume: ResumeMap {
            complete: true,
            entries: vec![samples::resume("datavolumes", 8, 0), samples::resume("virtualmachines", 9, 0)],
        },
        ..samples::draft(vec![])
    };
    let prev = encode(&fence).expect("good").digest;
    let shapes = Draft { prev, ..samples::draft(samples::every_shape()) };
    let prev = encode(&shapes).expect("good").digest;
    let rival = Draft {
        slot: 3,
        epoch: Epoch(2),
        nonce: [8; 16],
        prev,
        after: (Seq(14), samples::t(14)),
        fence: Some(samples::t(20)),
        ..fence.clone()
    };
    vec![("ok-fence.txt", fence), ("ok-shapes.txt", shapes), ("ok-second-fence.txt", rival)]
}

pub(super) fn all() -> Vec<(String, Vector)> {
    let mut all: Vec<(String, Vector)> = Vec::new();
    let mut before: Option<&str> = None;
    for (name, draft) in good() {
        let encoded = encode(&draft).expect("a good draft");
        let mut vector = segment("written by the first writer of the format", draft.slot, "ok", encoded.bytes.clone());
        if let Some(before) = before {
            vector = vector.with("follows", before);
        }
        let body = content(&vector.object);
        all.push((name.into(), described(vector, &body)));
        before = Some(name);
    }
    let shapes = samples::every_shape();
    let two = Forge::new(&shapes).cut(&shapes, 5).build();
    all.push(("ok-two-members.txt".into(), {
        let body = content(&two);
        described(segment("the lines are cut into two members", 2, "ok", two), &body)
    }));
    all.extend(damaged());
    all.extend(counted());
    all.extend(neighbours());
    all.extend(deep());
    all.extend(identities());
    all
}

pub(super) fn segment(comment: &str, slot: u64, expect: &str, object: Bytes) -> Vector {
    let archive = samples::ARCHIVE.hyphenated().to_string();
    let headers = [
        ("comment", comment),
        ("object", "segment"),
        ("expect", expect),
        ("archive", &archive),
        ("slot", &slot.to_string()),
    ];
    Vector::new(&headers, object)
}

/// Adds what a good segment says.
pub(super) fn described(vector: Vector, body: &[u8]) -> Vector {
    let footer = Footer::parse(vector.object.last_chunk().expect("a footer"), Kind::Log).expect("a good footer");
    let (sha256, content) = (Digest::of(&vector.object).hex(), Digest::of(body).hex());
    vector
        .with("records", &footer.records.to_string())
        .with("root", &footer.root.hex())
        .with("sha256", &sha256)
        .with("content", &content)
}

/// A name, the code, a comment, and which bytes of the lines are replaced by which.
type Row<'a> = (&'a str, Code, &'a str, &'a [u8], &'a [u8]);

/// Makes one vector per row: a name, the code, a comment, and what is done to a good segment.
macro_rules! broken {
    ($($code:ident $name:literal $comment:literal: $field:ident = $hook:expr;)*) => {
        vec![$({
            let mut forge = Forge::new(&samples::every_shape());
            forge.$field = Box::new($hook);
            (concat!("bad-", $name, ".txt").to_owned(), segment($comment, 2, Code::$code.as_str(), forge.build()))
        }),*]
    };
}

fn damaged() -> Vec<(String, Vector)> {
    let mut all = broken! {
        Truncated "empty" "nothing at all": on_object = |o: &mut Vec<u8>| o.clear();
        Truncated "short" "one byte less than a footer": on_object = |o: &mut Vec<u8>| o.truncate(383);
        FooterMagic "cut" "the last byte is missing": on_object = |o: &mut Vec<u8>| o.truncate(o.len() - 1);
        FooterMagic "longer" "a byte was appended": on_object = |o: &mut Vec<u8>| o.push(0);
        FooterCheck "footer-check" "a bit of the footer's check": on_footer_bytes = |f| f[304] ^= 1;
        Version "major" "format 1.1": on_footer = |f| f.version.major = 1;
        Version "minor" "format 0.2": on_footer = |f| f.version.minor = 2;
        Feature "feature" "an unknown feature bit": on_footer = |f| f.features = 1 << 63;
        Feature "encrypted" "encryption is not in 0.1": on_footer = |f| f.flags |= flag::ENCRYPTED;
        Reserved "flag" "a reserved flag": on_footer = |f| f.flags |= 1 << 7;
        Reserved "signature" "a signature without a signer": on_footer = |f| f.signature[63] = 1;
        FooterField "kind" "a history bundle": on_footer = |f| f.kind = 2;
        FooterField "seqs" "more records than seqs": on_footer = |f| f.records += 1;
        FooterField "time-1970" "the first time is 0": on_footer = |f| f.times[0] = 0;
        FooterField "body-length" "a body longer than the object": on_footer = |f| { f.index_offset += 1 << 40; f.body_length += 1 << 40; };
        FooterField "index-overflow" "an index behind the end of numbers": on_footer = |f| f.index_offset = u64::MAX;
        Archive "archive" "of another archive": on_footer = |f| f.archive = uuid::Uuid::from_u128(1);
        Name "slot" "segment 3 in slot 2": on_footer = |f| f.slots = [3, 3];
        BodyHash "bit-in-frame" "a bit of the first frame": on_object = |o: &mut Vec<u8>| o[40] ^= 1;
        BodyHash "two-footers" "the footer twice": on_object = |o: &mut Vec<u8>| o.extend_from_within(o.len() - 384..);
        Public "public-magic" "another skippable frame": on_public = |p: &mut Vec<u8>| p[0] ^= 1;
        Public "public-hash" "a bit of the resume map": on_public = |p: &mut Vec<u8>| p[60] ^= 1;
        Public "public-missing" "no public frame": on_public = Vec::clear;
        IndexHash "index-hash" "the index has another hash": on_footer = |f| f.index_sha256 = Digest([0; 32]);
        Index "index-trailing" "a byte after the index": on_index_bytes = |b: &mut Vec<u8>| b.push(0);
        Index "index-count" "2^63 frames": on_index_bytes = |b: &mut Vec<u8>| b[48] = 0x80;
        Index "index-hole" "frames leave a hole": on_index = |i| i.frames[0].offset = 1;
        Index "index-filter" "a filter in a log segment": on_index = |i| i.filter = vec![1];
        Count "index-members" "another number of members": on_index = |i| i.members += 1;
        Count "index-first-seq" "another first seq": on_index = |i| i.frames[0].first_seq = 2;
        Limit "index-frame-size" "a frame of 4 GiB": on_index = |i| i.frames[0].content = u32::MAX;
        FrameHash "frame-hash" "a frame with another hash": on_index = |i| i.frames[0].sha256 = [0; 32];
        Zstd "frame-checksum" "the frame's own checksum": on_frame = |f: &mut Vec<u8>| { let last = f.len() - 1; f[last] ^= 1; };
        Zstd "frame-no-checksum" "a frame without checksum": on_frame = |f: &mut Vec<u8>| f[4] &= !0b100;
        Zstd "frame-dictionary" "a frame that names a dictionary": on_frame = |f: &mut Vec<u8>| f[4] |= 1;
        Zstd "frame-twice" "two frames where there is one": on_frame = |f: &mut Vec<u8>| f.extend_from_within(..);
        Zstd "frame-hidden" "a skippable frame inside": on_frame = |f: &mut Vec<u8>| f.extend_from_slice(b"\x50\x2A\x4D\x18\x01\x00\x00\x00x");
        Zstd "frame-unused-bit" "the unused bit of a frame": on_frame = |f: &mut Vec<u8>| f[4] |= 0b1_0000;
        Tar "tar-alone" "lines that were not cut, named as if they were": on_content = |c: &mut Vec<u8>| rename(c, "events-0000.jsonl");
        Meta "meta-twice" "a member of meta.json twice": on_meta = |m: &mut Vec<u8>| replace(m, br#""epoch":1"#, br#""epoch":1,"epoch":1"#);
        Meta "meta-lines" "meta.json on two lines": on_meta = |m: &mut Vec<u8>| replace(m, br#""epoch""#, b"\n\"epoch\"");
        Public "public-twice" "a member of the resume map twice": on_public = |p: &mut Vec<u8>| resume_json(p, br#"{"complete":false,"complete":false,"entries":[]}"#);
        Public "public-null" "a time of proof that is null": on_public = |p: &mut Vec<u8>| {
            let json = String::from_utf8(p[48..].to_vec()).expect("JSON").replace(r#""provenAt":1800000000000001"#, r#""provenAt":null"#);
            resume_json(p, json.as_bytes());
        };
        Tar "tar-checksum" "a header's checksum": on_content = |c: &mut Vec<u8>| c[148] ^= 1;
        Tar "tar-symlink" "a symbolic link": on_content = |c: &mut Vec<u8>| c[156] = b'2';
        Tar "tar-pax" "a PAX header": on_content = |c: &mut Vec<u8>| c[156] = b'x';
        Tar "tar-size" "a member larger than its frame": on_content = |c: &mut Vec<u8>| c[124..135].copy_from_slice(b"00000777777");
        Tar "tar-dots" "a name that leads out": on_content = |c: &mut Vec<u8>| c[..9].copy_from_slice(b"../..meta");
        Tar "tar-padding" "padding that is not zero": on_content = |c: &mut Vec<u8>| { let last = c.len() - 1; c[last] = 1; };
        Tar "tar-twice" "a member twice": on_content = |c: &mut Vec<u8>| c.extend_from_within(1024..);
        Tar "tar-no-meta" "no meta.json": on_content = |c: &mut Vec<u8>| { c.drain(..1024); };
        Tar "tar-no-end" "one zero block at the end": on_index_content = |c: &mut Vec<u8>| c.truncate(c.len() - 512);
        Meta "meta-epoch" "meta.json says another epoch": on_meta = |m: &mut Vec<u8>| replace(m, br#""epoch":1"#, br#""epoch":2"#);
        Flags "flag-gaps" "the flag for gaps is missing": on_footer = |f| f.flags &= !flag::GAPS;
        Flags "flag-complete" "the flag for a complete map is wrong": on_footer = |f| f.flags |= flag::COMPLETE;
    };
    let lines: [Row<'_>; 30] = [
        ("line-utf8", Code::Line, "not UTF-8", b"left the", b"left\xFFthe"),
        ("line-crlf", Code::Line, "a carriage return", b"}\n", b"}\r\n"),
        ("line-empty", Code::Line, "an empty line", b"}\n", b"}\n\n"),
        ("line-twice", Code::Line, "a member twice", br#""op":"X""#, br#""op":"X","op":"X""#),
        ("line-no-object", Code::Line, "an M without object", br#""op":"X""#, br#""op":"M""#),
        ("line-op", Code::Op, "an unknown op", br#""op":"X""#, br#""op":"Y""#),
        ("line-seq", Code::Seq, "a seq twice", br#"{"seq":2"#, br#"{"seq":1"#),
        ("line-time", Code::Time, "a time twice", br#""t":1800000000000002"#, br#""t":1800000000000001"#),
        ("line-year", Code::Time, "a time in 1970", br#""t":1800000000000002"#, br#""t":2"#),
        ("line-body", Code::Root, "another object than the root says", br#""text":"x""#, br#""text":"y""#),
        ("line-space", Code::Line, "a space between members", br#","op":"X""#, br#", "op":"X""#),
        (
            "line-space-inside",
            Code::Line,
            "a space in the key",
            br#","VirtualMachine","u1"]"#,
            br#","VirtualMachine", "u1"]"#,
        ),
        ("line-escape", Code::Line, "an escape that is not the shortest", br#""left the"#, br#""\u006ceft the"#),
        (
            "line-unknown-twice",
            Code::Line,
            "an unknown member twice, deep inside",
            br#","reason":"#,
            br#","new":{"a":1,"a":1},"reason":"#,
        ),
        ("line-null", Code::Line, "lo is null", br#","reason":"#, br#","lo":null,"reason":"#),
        ("line-era-1", Code::Line, "era 1 is not written", br#","reason":"#, br#","era":1,"reason":"#),
        ("line-lo", Code::Time, "lo is t", br#","reason":"#, br#","lo":1800000000000007,"reason":"#),
        ("line-from", Code::Seq, "from is its own seq", br#""op":"M""#, br#""op":"M","from":2"#),
        ("line-seq-0", Code::Seq, "seq 0", br#"{"seq":2"#, br#"{"seq":0"#),
        ("line-op-long", Code::Line, "an op of two letters", br#""op":"X""#, br#""op":"XX","skip":1"#),
        ("line-op-small", Code::Line, "an op that is a small letter", br#""op":"X""#, br#""op":"y","skip":1"#),
        ("line-skip-2", Code::Line, "skip is 2", br#""op":"X""#, br#""op":"Y","skip":2"#),
        (
            "line-skip-key",
            Code::Line,
            "a line to be passed over with a number for a key",
            br#""op":"H""#,
            br#""op":"Y","skip":1,"k":5"#,
        ),
        ("line-no-name", Code::Line, "a key without a name", br#","db-1","kubevirt.io""#, br#","","kubevirt.io""#),
        ("line-gap-back", Code::Line, "a gap ends before it begins", br#""to":"#, br#""to":946684800000000,"was":"#),
        ("line-gap-time", Code::Line, "a gap of 1970", br#""from":1800000000000001"#, br#""from":1"#),
        ("line-object-null", Code::Line, "an object that is null", br#""obj":{"#, br#""obj":null,"was":{"#),
        ("line-object-utf8", Code::Line, "an object that is not UTF-8", br#""text":"x""#, b"\"text\":\"\xFF\""),
        ("line-integer", Code::Line, "a seq that is written with a fraction", br#"{"seq":2"#, br#"{"seq":2.0"#),
        ("line-reason", Code::Limit, "a reason of more than 1 KiB", b"left the selector", &[b'r'; 1025]),
    ];
    for (name, code, comment, from, to) in lines {
        let mut forge = Forge::new(&samples::every_shape());
        replace(&mut forge.lines[0], from, to);
        all.push((format!("bad-{name}.txt"), segment(comment, 2, code.as_str(), forge.build())));
    }
    all
}

/// Renames the second member of a frame.
fn rename(content: &mut Vec<u8>, name: &str) {
    let lines = content.split_off(1024);
    let member = tarball::member(&lines, 0).expect("the lines");
    tarball::append(content, name, &lines[member.content]);
}

/// Makes the public frame of other JSON.
fn resume_json(frame: &mut Vec<u8>, json: &[u8]) {
    frame.truncate(48);
    frame.extend_from_slice(json);
    frame[16..48].copy_from_slice(&Digest::of(json).0);
    let length = u32::try_from(frame.len() - 8).expect("small");
    frame[4..8].copy_from_slice(&length.to_le_bytes());
}

/// Segments in which footer and index agree on what is wrong, and one with two mistakes of which one comes first.
fn counted() -> Vec<(String, Vector)> {
    let mut members = Forge::new(&samples::every_shape());
    members.footer.members = 3;
    members.on_index = Box::new(|index| index.frames[0].members = 3);
    let mut both = Forge::new(&samples::every_shape());
    both.on_index = Box::new(|index| (index.records, index.frames[0].content) = (99, u32::MAX));
    let mut empty = Forge::new(&samples::every_shape());
    empty.lines[0].clear();
    let due = Draft { slot: 64, ..samples::draft(samples::every_shape()) };
    let due = encode(&due).expect("good but for its slot").bytes;
    let rows = [
        ("index-frame-members", "a frame with another number of members", 2, Code::Count, members.build()),
        ("index-two-mistakes", "another number of records, and a frame of 4 GiB", 2, Code::Count, both.build()),
        ("tar-empty-member", "a member of lines without lines", 2, Code::Tar, empty.build()),
        ("public-due", "slot 64 without a complete resume map", 64, Code::Public, due),
    ];
    let vector = |(name, comment, slot, code, object): (&str, &str, u64, Code, Bytes)| {
        (format!("bad-{name}.txt"), segment(comment, slot, code.as_str(), object))
    };
    rows.into_iter().map(vector).collect()
}

/// Good segments that do not follow the one before.
fn neighbours() -> Vec<(String, Vector)> {
    let mut good = good().into_iter();
    let (fence, shapes) = (good.next().expect("the fence").1, good.next().expect("the shapes").1);
    let prev = encode(&fence).expect("good").digest;
    let beat = |seq: u64, micros| {
        let beat = samples::record(seq, vmrewind_model::Change::Heartbeat);
        vec![Record { t: samples::t(micros), ..beat }]
    };
    let next = |after: (u64, i64), records| Draft {
        prev,
        after: (Seq(after.0), samples::t(after.1)),
        records,
        ..shapes.clone()
    };
    let rows = [
        ("chain", Code::Chain, "another predecessor", Draft { prev: Digest([1; 32]), ..shapes.clone() }),
        ("epoch", Code::Epoch, "a new epoch without a fence", Draft { epoch: Epoch(2), ..shapes.clone() }),
        ("nonce", Code::Epoch, "another nonce in the same epoch", Draft { nonce: [9; 16], ..shapes.clone() }),
        ("seq", Code::Seq, "a record is left out", next((1, 0), beat(2, 5))),
        ("time", Code::Time, "earlier than the segment before", next((0, -9), beat(1, -5))),
    ];
    let vector = |(name, code, comment, draft): (&str, Code, &str, Draft)| {
        let object = encode(&draft).expect("good by itself").bytes;
        let vector = segment(comment, draft.slot, code.as_str(), object).with("follows", "ok-fence.txt");
        (format!("bad-follows-{name}.txt"), vector)
    };
    let mut all: Vec<_> = rows.into_iter().map(vector).collect();
    all.push(vector(("missing", Code::Missing, "slot 2 is missing", Draft { slot: 3, ..shapes.clone() })));
    // Behind a damaged segment a fence names no predecessor, and leaves out what that may have held.
    let anew = |epoch, seq| Draft {
        slot: 2,
        epoch: Epoch(epoch),
        nonce: [9; 16],
        prev: Digest([0; 32]),
        after: (Seq(seq), samples::t(0)),
        ..fence.clone()
    };
    let object = encode(&anew(3, 2_097_152)).expect("good").bytes;
    let vector_of = |expect: &str, comment, object| segment(comment, 2, expect, object).with("follows", "ok-fence.txt");
    let body = content(&object);
    let anew_vector = described(vector_of("ok", "a fence that begins anew", object), &body);
    all.push(("ok-fence-anew.txt".into(), anew_vector));
    let old = encode(&anew(1, 0)).expect("good").bytes;
    let epoch = vector_of(Code::Epoch.as_str(), "a fence that begins anew in the same epoch", old);
    all.push(("bad-follows-anew.txt".into(), epoch));
    all
}

/// Segments in which only an object is wrong.
fn deep() -> Vec<(String, Vector)> {
    let rows: [Row<'_>; 5] = [
        ("space", Code::Object, "a space between members", br#","spec":{"#, br#", "spec":{"#),
        ("order", Code::Object, "members that are not sorted", br#"{"apiVersion""#, br#"{"b":1,"apiVersion""#),
        ("twice", Code::Object, "a member twice", br#""text":"x"}"#, br#""text":"x","text":"y"}"#),
        ("surrogate", Code::Object, "half a character", br#""text":"x""#, br#""text":"\ud800""#),
        ("uid", Code::Key, "another uid than the key's", br#","uid":"u1"}"#, br#","uid":"u2"}"#),
    ];
    let vector = |(name, code, comment, from, to): Row<'_>| {
        let mut forge = Forge::new(&samples::every_shape()[..1]);
        replace(&mut forge.lines[0], from, to);
        let text = String::from_utf8(forge.lines[0].clone()).expect("UTF-8");
        let frame = Bytes::copy_from_slice(text.trim_end().as_bytes());
        let mut tree = Tree::default();
        tree.push(line::parse(&frame, 0, text.trim_end()).expect("a good line").leaf);
        forge.footer.root = tree.root();
        let vector = segment(comment, 2, code.as_str(), forge.build()).with("deep", "yes");
        (format!("deep-{name}.txt"), vector)
    };
    rows.into_iter().map(vector).collect()
}

fn identities() -> Vec<(String, Vector)> {
    let identity = Identity {
        format: VERSION,
        features: Features::default(),
        archive: samples::ARCHIVE,
        encrypted: false,
        cluster: "2f1e0a5c-0000-4000-8000-000000000001".into(),
        created: samples::t(0),
        software: "test 1".into(),
    };
    let good = String::from_utf8(identity.to_bytes().expect("good").to_vec()).expect("JSON");
    let rows = [
        ("ok", "ok", "an identity", "", ""),
        ("newer-member", "ok", "a member that is not known", r#","hash""#, r#","new":{"a":1},"hash""#),
        ("write-feature", "ok", "appending needs more, reading does not", r#""write":[]"#, r#""write":["w"]"#),
        ("read-feature", Code::Feature.as_str(), "reading needs more", r#""read":[]"#, r#""read":["r"]"#),
        ("major", Code::Version.as_str(), "format 1.1", r#""major":0"#, r#""major":1"#),
        ("no-cluster", Code::Identity.as_str(), "no cluster", r#""cluster""#, r#""clusters""#),
        ("not-json", Code::Identity.as_str(), "not JSON", "{", "["),
    ];
    let large = format!(r#""software":"{}""#, "x".repeat(70_000));
    let more = [
        ("twice", Code::Identity.as_str(), "a member twice", r#""hash""#, r#""hash":"sha256","hash""#),
        ("no-line-feed", Code::Identity.as_str(), "no line feed at the end", "}\n", "}"),
        ("zone", Code::Identity.as_str(), "a time that is not written with Z", r#"Z","hash""#, r#"+00:00","hash""#),
        ("large", Code::TooLarge.as_str(), "more than 64 KiB", r#""software":"test 1""#, large.as_str()),
    ];
    let rows = rows.into_iter().chain(more);
    let vector = |(name, expect, comment, from, to): (&str, &str, &str, &str, &str)| {
        assert!(good.contains(from), "{from}");
        let text = if from.is_empty() { good.clone() } else { good.replacen(from, to, 1) };
        let headers = [("comment", comment), ("object", "identity"), ("expect", expect)];
        (format!("identity-{name}.txt"), Vector::new(&headers, Bytes::from(text)))
    };
    rows.map(vector).collect()
}
