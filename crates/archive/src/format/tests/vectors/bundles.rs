//! The vectors of history bundles: good ones, and one for every rule that a bundle by itself can break.

use bytes::Bytes;
use vmrewind_model::{Change, Digest, ObjectKey, ObjectOp, Record, RecordKey, Timestamp};

use super::{super::super::Code, content, file::Vector};
use crate::{
    format::{
        bundle::{
            Cut, Draft, Earliest, Writer,
            tests::forge::{Forge, draft, parse, sorted, split},
        },
        footer::{Footer, flag},
        line::Line,
        tarball,
    },
    manifest::{Manifest, Rolled, Unknown},
    samples,
};

/// Cuts as often as it can: each home into members of one line, each in a frame of its own.
const FINE: Cut = Cut { member: 1, stored: 1, content: 1, part: usize::MAX };

/// The good vectors of one part that a writer makes, each with its comment, its window and how it is cut.
pub(super) fn good() -> Vec<(&'static str, &'static str, Draft, Vec<Line>, Cut)> {
    let shapes = sorted(&samples::every_shape());
    let homes = sorted(&homes());
    let beats: Vec<Line> = sorted(&[1, 2, 3].map(|seq| samples::record(seq, Change::Heartbeat)));
    let day = {
        let mut draft = draft(&homes);
        (draft.window.level, draft.window.slots, draft.window.prev) = (4, [1, 9], Digest([0; 32]));
        draft
    };
    let usual = Cut::USUAL;
    vec![
        ("ok-bundle-shapes.txt", "one record of every shape", draft(&shapes), shapes.clone(), usual),
        ("ok-bundle-members.txt", "homes of several members, each in a frame of its own", draft(&shapes), shapes, FINE),
        (
            "ok-bundle-homes.txt",
            "homes that are empty, long, or of odd characters",
            draft(&homes),
            homes.clone(),
            usual,
        ),
        ("ok-bundle-day.txt", "a day from slot 1 on", day, homes, usual),
        ("ok-bundle-keyless.txt", "nothing but heartbeats", draft(&beats), beats, usual),
    ]
}

/// Makes the one part of a window.
pub(super) fn encode(draft: Draft, lines: &[Line], cut: Cut) -> (Rolled, Bytes) {
    let window = draft.window.clone();
    let mut writer = Writer::new(draft.into(), cut).expect("zstd");
    for line in lines {
        assert!(writer.push(line).expect("in order").is_none(), "one part");
    }
    let part = writer.finish().expect("good lines");
    let mut rolled = Forge::new(&samples::every_shape()).rolled(&part.bytes);
    (rolled.window, rolled.root, rolled.parts[0].records) = (window, part.root, part.records);
    (rolled, part.bytes)
}

fn homes() -> Vec<Record> {
    let long = format!("prod/{}", "x".repeat(100));
    let homes = ["", "prod/a", "prod/a.b-c", "prod/a b", "prod/é\"\\\u{1}", "prod/\u{1F4BE}", &long];
    let key = |home: &str, name: &str| RecordKey {
        home: home.into(),
        object: ObjectKey::new("", "Secret", "prod", name),
        uid: "u".into(),
    };
    let mut seq = 0;
    let mut record = |home: &str, name: &str| {
        seq += 1;
        samples::record(seq, samples::set(ObjectOp::Added, key(home, name), seq, None))
    };
    let mut all: Vec<Record> = homes.iter().rev().map(|home| record(home, "b")).collect();
    all.extend(homes.iter().map(|home| record(home, "a\u{7f}é")));
    all.push(samples::record(15, Change::Heartbeat));
    all
}

/// Returns a WINDOW or a CHECKPOINT as one line of JSON.
pub(super) fn window_text(rolled: &Rolled) -> String {
    let (mut windows, mut checkpoints) = (Vec::new(), Vec::new());
    if rolled.point.is_some() { &mut checkpoints } else { &mut windows }.push(rolled.clone());
    let manifest = Manifest {
        archive: samples::ARCHIVE,
        n: 1,
        prev: Digest([0; 32]),
        software: String::new(),
        windows,
        checkpoints,
        written: Timestamp::MIN,
        unknown: Unknown::new(),
    };
    let bytes = manifest.to_bytes(&samples::ARCHIVE.into()).expect("a good window");
    let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    json[if rolled.point.is_some() { "checkpoints" } else { "windows" }][0].to_string()
}

/// Reads a WINDOW, or a CHECKPOINT.
pub(super) fn read_window(text: &str, checkpoint: bool) -> Rolled {
    let (archive, zeros) = (samples::ARCHIVE.hyphenated(), "0".repeat(64));
    let (before, windows) = match checkpoint {
        true => (format!(r#""checkpoints":[{text}],"#), ""),
        false => (String::new(), text),
    };
    let manifest = format!(
        r#"{{"archive":"{archive}",{before}"format":"0.2","n":1,"prev":"{zeros}","software":"","windows":[{windows}],"written":946684800000000}}"#
    );
    let manifest = Manifest::parse((manifest + "\n").as_bytes(), &samples::ARCHIVE.into(), 1).expect("a good window");
    manifest.windows.into_iter().chain(manifest.checkpoints).next().expect("one")
}

pub(super) fn vector(comment: &str, expect: &str, rolled: &Rolled, part: usize, object: Bytes) -> Vector {
    let (archive, window) = (samples::ARCHIVE.hyphenated().to_string(), window_text(rolled));
    let headers = [
        ("comment", comment),
        ("object", if rolled.point.is_some() { "checkpoint" } else { "bundle" }),
        ("expect", expect),
        ("archive", &archive),
        ("window", &window),
        ("part", &part.to_string()),
    ];
    Vector::new(&headers, object)
}

/// Adds what a good bundle says.
pub(super) fn described(vector: Vector, rolled: &Rolled, body: &[u8]) -> Vector {
    let (sha256, content) = (Digest::of(&vector.object).hex(), Digest::of(body).hex());
    let records = rolled.parts[usize::try_from(vector.number("part")).expect("small") - 1].records;
    let footer = Footer::parse(vector.object.last_chunk().expect("a footer"), rolled.kind()).expect("a good footer");
    vector
        .with("records", &records.to_string())
        .with("root", &footer.root.hex())
        .with("sha256", &sha256)
        .with("content", &content)
}

pub(super) fn all() -> Vec<(String, Vector)> {
    let mut all = Vec::new();
    for (name, comment, draft, lines, cut) in good() {
        let (rolled, object) = encode(draft, &lines, cut);
        all.push((
            name.to_owned(),
            described(vector(comment, "ok", &rolled, 1, object.clone()), &rolled, &content(&object)),
        ));
    }
    let mut shared = Forge::new(&samples::every_shape());
    shared.shared = true;
    let (object, comment) = (shared.build(), "meta.json shares a frame with lines");
    let rolled = shared.rolled(&object);
    all.push((
        "ok-bundle-shared.txt".into(),
        described(vector(comment, "ok", &rolled, 1, object.clone()), &rolled, &content(&object)),
    ));
    all.extend(parts());
    all.extend(footers());
    all.extend(indexes());
    all.extend(insides());
    all.extend(arranged());
    all.extend(named());
    all
}

/// A window of two parts, and what a manifest may say wrongly of them.
fn parts() -> Vec<(String, Vector)> {
    let lines = sorted(&samples::every_shape());
    let whole = Forge::new(&samples::every_shape());
    let forges = split(&lines, 3).map(|lines| Forge::part(whole.window.clone(), &[lines]));
    let [one, mut two] = forges;
    two.part = 2;
    let objects = [one.build(), two.build()];
    let mut rolled = whole.rolled(&[]);
    rolled.parts = vec![one.rolled(&objects[0]).parts.remove(0), two.rolled(&objects[1]).parts.remove(0)];
    let mut all = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        let text = format!("part {} of a window of two", n + 1);
        let vector = described(vector(&text, "ok", &rolled, n + 1, object.clone()), &rolled, &content(object));
        all.push((format!("ok-bundle-part-{}.txt", n + 1), vector));
    }
    let mut fewer = rolled.clone();
    (fewer.parts[0].records, fewer.parts[1].records) = (rolled.parts[0].records - 1, rolled.parts[1].records + 1);
    all.push(bad("part-records", Code::Count, "another number of records than the manifest says", &fewer, &objects[0]));
    let mut deeper = Forge::part(whole.window.clone(), &[split(&lines, 3)[0]]);
    deeper.window.earliest.lo = None;
    let object = deeper.build();
    let mut less = rolled.clone();
    (less.window, less.parts[0]) = (deeper.window.clone(), deeper.rolled(&object).parts.remove(0));
    all.push(bad("part-earliest", Code::Public, "a line reaches back farther than earliest says", &less, &object));
    let mut other = rolled;
    other.window.earliest.lo = Some(samples::t(-100));
    all.push(bad(
        "window-earliest",
        Code::Count,
        "the manifest says that lines reach back farther",
        &other,
        &objects[0],
    ));
    all
}

fn bad(name: &str, code: Code, comment: &str, rolled: &Rolled, object: &Bytes) -> (String, Vector) {
    (format!("bad-bundle-{name}.txt"), vector(comment, code.as_str(), rolled, 1, object.clone()))
}

/// Makes one vector per row: the code, a name, a comment, and what is done to a good bundle.
macro_rules! broken {
    ($($code:ident $name:literal $comment:literal: $field:ident = $hook:expr;)*) => {
        vec![$({
            let mut forge = Forge::new(&samples::every_shape());
            forge.$field = Box::new($hook);
            let object = forge.build();
            bad($name, Code::$code, $comment, &forge.rolled(&object), &object)
        }),*]
    };
}

fn footers() -> Vec<(String, Vector)> {
    broken! {
        Truncated "short" "one byte less than a footer": on_object = |o| o.truncate(383);
        FooterMagic "cut" "the last byte is missing": on_object = |o| o.truncate(o.len() - 1);
        FooterMagic "longer" "a byte was appended": on_object = |o| o.push(0);
        FooterCheck "footer-check" "a bit of the footer's check": on_footer_bytes = |f| f[304] ^= 1;
        Version "version" "format 0.1": on_footer = |f| f.version.minor = 1;
        Version "major" "format 1.2": on_footer = |f| f.version.major = 1;
        Feature "feature" "an unknown feature bit": on_footer = |f| f.features = 1 << 63;
        Feature "encrypted" "encryption is not in 0.2": on_footer = |f| f.flags |= flag::ENCRYPTED;
        Feature "signer" "a signer": on_footer = |f| f.signer = 1;
        Feature "encryption-header" "an encryption header": on_footer = |f| f.encryption_header = 1;
        Reserved "flag" "a reserved flag": on_footer = |f| f.flags |= 1 << 7;
        Reserved "signature" "a signature without a signer": on_footer = |f| f.signature[63] = 1;
        FooterField "kind" "a log segment of 0.2": on_footer = |f| f.kind = 1;
        FooterField "kind-3" "a part of a checkpoint": on_footer = |f| f.kind = 3;
        FooterField "level-0" "level 0": on_footer = |f| f.level = 0;
        FooterField "level-5" "level 5": on_footer = |f| f.level = 5;
        FooterField "shard" "another shard": on_footer = |f| f.shard = 1;
        FooterField "fence" "a fence": on_footer = |f| f.flags |= flag::FENCE;
        FooterField "incomplete" "the flag for a complete map is missing": on_footer = |f| f.flags &= !flag::COMPLETE;
        FooterField "epoch" "epoch 0": on_footer = |f| f.epoch = 0;
        FooterField "slots" "slots that descend": on_footer = |f| f.slots = [3, 2];
        FooterField "slot-0" "slot 0": on_footer = |f| f.slots = [0, 3];
        FooterField "no-records" "no records": on_footer = |f| f.records = 0;
        FooterField "more-records" "more records than seqs": on_footer = |f| f.records += 1;
        FooterField "seqs" "seqs that descend": on_footer = |f| f.seqs = [9, 1];
        FooterField "seq-0" "seq 0": on_footer = |f| f.seqs[0] = 0;
        FooterField "times" "times that descend": on_footer = |f| f.times.swap(0, 1);
        FooterField "time-1970" "the first time is 0": on_footer = |f| f.times[0] = 0;
        FooterField "no-members" "no members of lines": on_footer = |f| f.members = 1;
        FooterField "body-length" "a body longer than the object": on_footer = |f| { f.index_offset += 1 << 40; f.body_length += 1 << 40; };
        FooterField "index-overflow" "an index behind the end of numbers": on_footer = |f| f.index_offset = u64::MAX;
        Archive "archive" "of another archive": on_footer = |f| f.archive = uuid::Uuid::from_u128(1);
        BodyHash "bit" "a bit of the second frame": on_object = |o| o[900] ^= 1;
        Public "public-missing" "no public frame": on_public = Vec::clear;
        Public "public-magic" "another skippable frame": on_public = |p| p[0] ^= 1;
        Public "public-hash" "a bit of the public frame": on_public = |p| p[60] ^= 1;
        Public "public-longer" "a byte behind the public JSON": on_public = |p| p.push(b' ');
        Public "public-complete" "a map that is not complete": on_json = |j| swap(j, r#""complete":true"#, r#""complete":false"#);
        Public "public-twice" "a member twice": on_json = |j| swap(j, r#""complete":true"#, r#""complete":true,"complete":true"#);
        Public "public-no-head" "no head": on_json = |j| swap(j, r#""head""#, r#""was""#);
        Public "public-head" "a head that is no digest": on_json = |j| swap(j, r#""head":""#, r#""head":"x"#);
        Public "public-no-earliest" "no earliest": on_json = |j| swap(j, r#""earliest""#, r#""was""#);
        Public "public-null" "a reach that is null": on_json = |j| swap(j, r#""earliest":{"#, r#""earliest":{"lo":null,"was":{"a":1}},"was":{"#);
        Public "public-since-null" "a since that is null": on_json = |j| swap(j, r#""since":1800000000000000"#, r#""since":null"#);
        Public "public-since" "a since in 1970": on_json = |j| swap(j, r#""since":1800000000000000"#, r#""since":1"#);
        Public "public-no-named" "an entry without named": on_json = |j| swap(j, r#""named""#, r#""was""#);
        Public "public-no-current" "an entry without current": on_json = |j| swap(j, r#""current""#, r#""was""#);
        Public "public-order" "entries that are not sorted": on_json = |j| swap(j, r#""resource":"datavolumes""#, r#""resource":"z""#);
        Flags "flag-gaps" "the flag for gaps is missing": on_footer = |f| f.flags &= !flag::GAPS;
        Flags "flag-late" "the flag for lo is missing": on_footer = |f| f.flags &= !flag::LATE;
        Flags "flag-from" "the flag for from is missing": on_footer = |f| f.flags &= !flag::BACK_DATED;
    }
}

fn swap(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from} does not occur in {text}");
    *text = text.replacen(from, to, 1);
}

fn indexes() -> Vec<(String, Vector)> {
    broken! {
        IndexHash "index-hash" "the index has another hash": on_footer = |f| f.index_sha256 = Digest([0; 32]);
        Limit "index-size" "an index of 4 GiB": on_footer = |f| f.index_content = u32::MAX;
        Tar "index-end" "one zero block at the end": on_index_content = |c| c.truncate(c.len() - 512);
        Tar "index-name" "another name for the index": on_index_content = |c| c[1] ^= 1;
        Index "index-trailing" "a byte after the index": on_index_bytes = |b| b.push(0);
        Index "index-magic" "another magic": on_index_bytes = |b| b[0] ^= 1;
        Index "index-no-frames" "no frames": on_index = |i| i.frames.clear();
        Index "index-hole" "frames leave a hole": on_index = |i| i.frames[1].offset += 1;
        Index "index-probes" "six probes": on_index = |i| i.filter_probes = 6;
        Index "index-filter-bits" "bits that are no whole bytes": on_index = |i| i.filter_bits -= 1;
        Index "index-no-filter" "no filter": on_index = |i| (i.filter_bits, i.filter) = (0, vec![]);
        Index "index-filter-lacks" "a bit of the filter is missing": on_index = |i| { let byte = i.filter.iter_mut().find(|b| **b > 0).expect("one"); *byte &= *byte - 1; };
        Index "index-filter-more" "a bit of the filter too many": on_index = |i| { let byte = i.filter.iter_mut().find(|b| **b < 255).expect("one"); *byte |= *byte + 1; };
        Index "index-filter-longer" "a filter with a byte too many": on_index = |i| { i.filter.push(0); i.filter_bits += 8; };
        Index "index-keys" "a first key below the last one before it": on_index = |i| i.frames[2].first_key.clear();
        Index "index-keys-back" "a last key below the first one": on_index = |i| i.frames[2].last_key.clear();
        Index "index-frame-empty" "a later frame without lines": on_index = |i| { i.frames[2].records += i.frames[1].records; i.frames[1].records = 0; };
        Index "index-meta-key" "a key of the frame with meta.json alone": on_index = |i| i.frames[0].last_key = vec![b'x'];
        Index "index-meta-seq" "a seq of the frame with meta.json alone": on_index = |i| i.frames[0].last_seq = 1;
        Count "index-key" "another last key": on_index = |i| i.frames[2].last_key.push(b'x');
        Count "index-seq" "another first seq": on_index = |i| i.frames[2].first_seq += 1;
        Count "index-seq-outside" "a seq behind the window": on_index = |i| i.frames[2].last_seq = 99;
        Count "index-time" "another last time": on_index = |i| i.frames[1].last_time -= 1;
        Count "index-members" "another number of members": on_index = |i| i.members += 1;
        Count "index-records" "records that are counted with another frame": on_index = |i| { i.frames[1].records += 1; i.frames[2].records -= 1; };
        Limit "index-frame-size" "a frame of 4 GiB": on_index = |i| i.frames[1].content = u32::MAX;
        FrameHash "frame-hash" "a frame with another hash": on_index = |i| i.frames[2].sha256 = [0; 32];
    }
}

fn insides() -> Vec<(String, Vector)> {
    let mut all = reaches();
    all.extend(broken! {
        Zstd "frame-checksum" "the frame's own checksum": on_frame = |f| { let last = f.len() - 1; f[last] ^= 1; };
        Zstd "frame-no-checksum" "a frame without checksum": on_frame = |f| f[4] &= !0b100;
        Zstd "frame-dictionary" "a frame that names a dictionary": on_frame = |f| f[4] |= 1;
        Zstd "frame-twice" "two frames where there is one": on_frame = |f| f.extend_from_within(..);
        Zstd "frame-hidden" "a skippable frame inside": on_frame = |f| f.extend_from_slice(b"\x50\x2A\x4D\x18\x01\x00\x00\x00x");
        Tar "tar-nothing" "a frame that holds nothing": on_content = Vec::clear;
        Tar "tar-checksum" "a header's checksum": on_content = |c| c[148] ^= 1;
        Tar "tar-padding" "padding that is not zero": on_content = |c| { let last = c.len() - 1; c[last] = 1; };
        Tar "tar-number" "a member with another number": on_content = |c| rename(c, "00000099-prod_db-1.jsonl");
        Tar "tar-home" "a member with another home": on_content = |c| rename(c, "00000003-prod_db-9.jsonl");
        Meta "meta-kind" "a segment": on_meta = |m| replace(m, br#""kind":"history""#, br#""kind":"log""#);
        Meta "meta-format" "format 0.1": on_meta = |m| replace(m, br#""format":"0.2""#, br#""format":"0.1""#);
        Meta "meta-level" "another level": on_meta = |m| replace(m, br#""level":2"#, br#""level":3"#);
        Meta "meta-head" "another head than the public frame": on_meta = |m| replace(m, br#""head":""#, br#""head":"0"#);
        Meta "meta-segment" "another last segment": on_meta = |m| replace(m, br#""lastSegment":3"#, br#""lastSegment":4"#);
        Meta "meta-no-salt" "no salt": on_meta = |m| replace(m, br#""salt""#, br#""was""#);
        Meta "meta-salt" "a salt that is too short": on_meta = |m| replace(m, br#""salt":"05"#, br#""salt":""#);
        Meta "meta-part" "part 0": on_meta = |m| replace(m, br#""part":1"#, br#""part":0"#);
        Meta "meta-part-2" "part 2 of one": on_meta = |m| replace(m, br#""part":1"#, br#""part":2"#);
        Meta "meta-twice" "a member twice": on_meta = |m| replace(m, br#""part":1"#, br#""part":1,"part":1"#);
        Meta "meta-lines" "two lines": on_meta = |m| replace(m, br#""epoch""#, b"\n\"epoch\"");
        Limit "meta-large" "more than 64 KiB": on_meta = |m| replace(m, b"test 1", &[b'x'; 70_000]);
    });
    let lines: [Row<'_>; 14] = [
        ("line-utf8", Code::Line, "not UTF-8", b"left the", b"left\xFFthe"),
        ("line-crlf", Code::Line, "a carriage return", b"}\n", b"}\r\n"),
        ("line-empty", Code::Line, "an empty line", b"}\n", b"}\n\n"),
        ("line-cut", Code::Line, "a last line without line feed", b"\"op\":\"H\"}\n", b"\"op\":\"H\"}"),
        ("line-nul", Code::Line, "U+0000 in a home", b"[\"prod/db-2\"", b"[\"prod/db\\u00002\""),
        ("line-nul-name", Code::Line, "U+0000 in a name", b"\"prod\",\"db-2\"", b"\"prod\",\"db\\u00002\""),
        ("line-op", Code::Op, "an unknown op", b"\"op\":\"X\"", b"\"op\":\"Y\""),
        ("line-seq", Code::Seq, "a seq behind the window", b"{\"seq\":3,", b"{\"seq\":15,"),
        ("line-time", Code::Time, "a time before the window", b"\"t\":1800000000000002", b"\"t\":1800000000000000"),
        (
            "line-home",
            Code::Tar,
            "a line of another home in a member",
            b"[\"prod/db-1\",\"prod\",\"db-1\",\"kubevirt.io\",\"VirtualMachine\",\"u1\"],\"reason\":\"l",
            b"[\"prod/db-0\",\"prod\",\"db-1\",\"kubevirt.io\",\"VirtualMachine\",\"u1\"],\"reason\":\"l",
        ),
        ("line-key", Code::Count, "another key than the index says", b"\"prod\",\"db-2\"", b"\"prod\",\"db-3\""),
        ("line-object", Code::Root, "another object than the root says", b"\"text\":\"x\"", b"\"text\":\"y\""),
        ("line-head", Code::Root, "another reason than the root says", b"left the", b"lost the"),
        ("line-reason", Code::Limit, "a reason of more than 1 KiB", b"left the selector", &[b'r'; 1025]),
    ];
    for (name, code, comment, from, to) in lines {
        let mut forge = Forge::new(&samples::every_shape());
        forge.replace(from, to);
        all.push(forged(name, code, comment, &forge));
    }
    all
}

/// A name, the code, a comment, and which bytes of the lines are replaced by which.
type Row<'a> = (&'a str, Code, &'a str, &'a [u8], &'a [u8]);

/// Bundles that say how far back their lines reach, and so does the manifest, and both are wrong.
fn reaches() -> Vec<(String, Vector)> {
    let row = |name, comment, change: &dyn Fn(&mut Earliest)| {
        let mut forge = Forge::new(&samples::every_shape());
        change(&mut forge.window.earliest);
        forged(name, Code::Public, comment, &forge)
    };
    vec![
        row("earliest-lo", "a line reaches back farther than it says", &|e| e.lo = Some(samples::t(-4))),
        row("earliest-gap", "a gap reaches back farther than it says", &|e| e.gap = Some(samples::t(1))),
        row("earliest-none", "a line has from, and it has none", &|e| e.from = None),
        row("earliest-more", "no line reaches back as far as it says", &|e| e.lo = Some(samples::t(-6))),
    ]
}

fn forged(name: &str, code: Code, comment: &str, forge: &Forge) -> (String, Vector) {
    let object = forge.build();
    bad(name, code, comment, &forge.rolled(&object), &object)
}

/// Renames the first member of a frame.
fn rename(content: &mut Vec<u8>, name: &str) {
    let member = tarball::member(content, 0).expect("a member");
    let rest = content.split_off(member.end);
    let text = content[member.content].to_vec();
    content.clear();
    tarball::append(content, name, &text);
    content.extend_from_slice(&rest);
}

/// Replaces `from`, which must occur, by `to` of any length.
pub(super) fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    super::super::forge::replace(bytes, from, to);
}

/// Lines that are arranged otherwise than they should be, with an index that says so.
fn arranged() -> Vec<(String, Vector)> {
    let lines = sorted(&samples::every_shape());
    let window = draft(&lines).window;
    let forge = |name: &str, code, comment: &str, frames: &[&[Line]]| {
        forged(name, code, comment, &Forge::part(window.clone(), frames))
    };
    let at = |seq: u64| lines.iter().position(|line| line.head.seq.0 == seq).expect("it is there");
    let swapped = |one: u64, other: u64| {
        let mut lines = lines.clone();
        lines.swap(at(one), at(other));
        lines
    };
    let [before, behind] = split(&lines, 2);
    let with_home = |line: &Line, from: &str, to: &str| {
        parse(&std::str::from_utf8(&line.text).expect("UTF-8").replacen(from, to, 1))
    };
    // Lines 1 and 2 are of the same object, 1 and 3 of different ones.
    let twice: Vec<Line> =
        lines.iter().flat_map(|line| vec![line.clone(); 1 + usize::from(line.head.seq.0 == 4)]).collect();
    let dropped = |twice: Vec<Line>| -> Vec<Line> { twice.into_iter().filter(|line| line.head.seq.0 != 5).collect() };
    let other = with_home(&lines[at(3)], r#"{"seq":3"#, r#"{"seq":4"#);
    let mut under_two_keys = lines.clone();
    under_two_keys[at(3)] = other;
    let mut late = lines.clone();
    late[at(4)] = with_home(&lines[at(4)], r#""t":1800000000000004"#, r#""t":1800000000000006"#);
    let mut moved = lines.clone();
    let last = moved.len() - 1;
    moved[last] = with_home(&moved[last], "[\"prod/gone", "[\"aaaa/gone");
    let mut empty = Forge::part(window.clone(), &[before, behind]);
    empty.frames[1].members[0].text.clear();
    let mut merged = Forge::part(window.clone(), &[&lines]);
    let text = merged.frames[0].members.remove(2).text;
    merged.frames[0].members[1].text.extend_from_slice(&text);
    vec![
        forge("order-seqs", Code::Index, "two lines of one object in the wrong order", &[&swapped(1, 2)]),
        forge("order-frames", Code::Index, "frames in the wrong order", &[behind, before]),
        forge("order-homes", Code::Index, "homes in the wrong order within a frame", &[&moved]),
        forge("seq-repeated", Code::Seq, "a line is there twice, another one is missing", &[&dropped(twice)]),
        forge("seq-two-keys", Code::Seq, "a seq under two keys", &[&under_two_keys]),
        forge("order-times", Code::Time, "times that do not increase with seqs", &[&late]),
        forged("tar-empty", Code::Tar, "a member without lines", &empty),
        forged("tar-two-homes", Code::Tar, "a member with lines of two homes", &merged),
    ]
}

/// Good bundles that are not the ones that were asked for.
fn named() -> Vec<(String, Vector)> {
    let forge = Forge::new(&samples::every_shape());
    let object = forge.build();
    let good = forge.rolled(&object);
    let row = |name: &str, code, comment: &str, change: &dyn Fn(&mut Rolled)| {
        let mut rolled = good.clone();
        change(&mut rolled);
        bad(name, code, comment, &rolled, &object)
    };
    let name = row("name", Code::Name, "under the name of another", &|_| {});
    let zeros = format!("hist/{}", Digest([0; 32]).hex());
    vec![
        (name.0, name.1.with("name", &zeros)),
        row("window-size", Code::Count, "the manifest says another size", &|rolled| rolled.parts[0].size += 1),
        row("window-level", Code::Count, "the manifest says another level", &|rolled| rolled.window.level = 3),
        row("window-slots", Code::Count, "the manifest says another slot", &|rolled| rolled.window.slots[1] = 4),
        row("window-time", Code::Count, "the manifest says another time", &|r| r.window.times[1] = samples::t(99)),
        row("window-prev", Code::Count, "the manifest says another predecessor", &|r| r.window.prev = Digest([1; 32])),
        row("window-head", Code::Count, "the manifest says another head", &|r| r.window.head = Digest([1; 32])),
        row("window-root", Code::Count, "the manifest says another root", &|rolled| rolled.root = Digest([1; 32])),
    ]
}
