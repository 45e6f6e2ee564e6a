//! The vectors of checkpoints: good ones, and one for every rule that a part of one by itself can break. What they share with
//! history bundles is in `bundles.rs`.

use bytes::Bytes;
use serde_json::{Value, json};
use vmrewind_model::{Change as RecordChange, Digest, ObjectOp, Record, RecordKey, Rv, Seq};

use super::{
    super::super::Code,
    bundles::{described, encode, replace, vector},
    content,
    file::Vector,
    manifests::{self, BEGIN, Change, hex, manifest, set, text, windows, zeros},
};
use crate::{
    format::{
        SeqRange,
        bundle::{
            Cut, Draft, Earliest, Point, Window,
            tests::forge::{Forge, draft, sorted, split},
        },
        line::Line,
    },
    manifest::Rolled,
    samples,
};

/// Slots 1 to 7, records 1 to 20; ends count from 10.
fn window() -> Window {
    Window {
        level: 0,
        slots: [1, 7],
        seqs: SeqRange::new(Seq(1), Seq(20)),
        times: [samples::t(0), samples::t(25)],
        prev: Digest([0; 32]),
        head: Digest::of(b"seven"),
        earliest: Earliest::default(),
    }
}

fn point() -> Point {
    Point { ends_from: Seq(10), t: samples::t(20), without: vec![[2, 3], [5, 5]] }
}

fn gone(key: RecordKey) -> RecordChange {
    RecordChange::Deleted { key, rv: None, object: None, inferred: true }
}

/// What still matters: an open gap, states of all kinds, one that was back-dated, an end alone, and one behind its state.
pub(super) fn kept() -> Vec<Record> {
    let key = |name: &str| samples::vm_key(name, "u1");
    let state = |name: &str, seq, from| samples::set(ObjectOp::Seen, key(name), seq, from);
    vec![
        samples::record(3, RecordChange::Gap(samples::gap(2, None, None))),
        samples::record(5, state("a", 5, None)),
        samples::record(9, state("b", 9, None)),
        samples::record(12, RecordChange::Absent { key: RecordKey { uid: String::new(), ..key("c") }, from_seq: None }),
        samples::record(13, RecordChange::Withheld { key: key("d"), rv: Rv(13), reason: "policy".into() }),
        samples::record(14, state("e", 14, Some(11))),
        samples::record(15, gone(key("f"))),
        samples::record(16, state("g", 16, None)),
        samples::record(17, RecordChange::Unobserved { key: key("g"), reason: "nobody names it".into() }),
    ]
}

/// A draft of a checkpoint of these lines.
pub(super) fn drafted(lines: &[Line], point: Point) -> Draft {
    Draft { window: window(), point: Some(point), ..draft(lines) }
}

/// A checkpoint with one part that holds these records.
fn forge(records: &[Record]) -> Forge {
    let lines = sorted(records);
    let mut forge = Forge::part(window(), &split(&lines, 2));
    forge.footer.kind = 3;
    forge.point = Some(point());
    forge
}

pub(super) fn all() -> Vec<(String, Vector)> {
    let lines = sorted(&kept());
    let fine = Cut { member: 1, stored: 1, content: 1, part: usize::MAX };
    let alone = sorted(&[samples::record(20, samples::set(ObjectOp::Added, samples::vm_key("a", "u1"), 20, None))]);
    let whole = Point { without: Vec::new(), ..point() };
    let ends = Point { ends_from: Seq(21), ..whole.clone() };
    let good = [
        (
            "ok-checkpoint.txt",
            "lines of every sort that a checkpoint keeps",
            drafted(&lines, point()),
            lines.clone(),
            Cut::USUAL,
        ),
        ("ok-checkpoint-frames.txt", "each line in a frame of its own", drafted(&lines, whole), lines, fine),
        ("ok-checkpoint-one.txt", "one object, and no ends at all", drafted(&alone, ends), alone, Cut::USUAL),
    ];
    let mut all = Vec::new();
    for (name, comment, draft, lines, cut) in good {
        let point = draft.point.clone();
        let (rolled, object) = encode(draft, &lines, cut);
        let rolled = of_checkpoint(rolled, point);
        let vector = vector(comment, "ok", &rolled, 1, object.clone());
        all.push((name.to_owned(), described(vector, &rolled, &content(&object))));
    }
    all.extend(broken());
    all.extend(kept_wrongly());
    all.extend(named());
    all
}

/// A CHECKPOINT that ends with the second of the windows of `manifests.rs`.
fn checkpoint(slot: u64, seq: u64, last: i64, head: &str) -> Value {
    json!({
        "endsFrom": 5, "firstTime": BEGIN, "head": hex(head), "lastSegment": slot, "lastSeq": seq, "lastTime": BEGIN + last,
        "parts": [{"records": 3, "sha256": hex("ckpt"), "size": 4711}], "root": hex("state"), "t": BEGIN + last, "without": [[2, 2]],
    })
}

/// Manifests that name checkpoints.
fn named() -> Vec<(String, Vector)> {
    use Code::Manifest;
    let first = manifest(1, &zeros(), &windows());
    let with = |mut value: Value| {
        value["checkpoints"] = json!([checkpoint(3, 10, 10, "one"), checkpoint(5, 12, 20, "two")]);
        value
    };
    let good = with(first);
    let digest = |value: &Value| Digest::of(text(value).as_bytes()).hex();
    let next = |mut value: Value| {
        (value["n"], value["prev"], value["written"]) = (json!(2), json!(digest(&good)), json!(BEGIN + 200));
        value
    };
    let mut fewer = next(good.clone());
    fewer["checkpoints"].as_array_mut().expect("two").remove(0);
    let mut none = next(good.clone());
    none.as_object_mut().expect("members").remove("checkpoints");
    let mut anew = next(good.clone());
    anew["checkpoints"][1]["root"] = json!(hex("another"));
    anew["checkpoints"][1]["endsFrom"] = json!(6);
    anew["checkpoints"][1]["parts"][0]["sha256"] = json!(hex("another part"));
    anew["checkpoints"][1]["new"] = json!("a member that is not known");
    let mut all =
        vec![("ok-manifest-checkpoints.txt".to_owned(), manifests::vector(1, "ok", "two checkpoints", &text(&good)))];
    for (name, comment, value) in [
        ("fewer", "one checkpoint less than before", &fewer),
        ("no", "no checkpoint any more", &none),
        ("other", "a checkpoint with other ends than before", &anew),
    ] {
        let vector = manifests::vector(2, "ok", comment, &text(value)).with("follows", "ok-manifest-checkpoints.txt");
        all.push((format!("ok-manifest-{name}-checkpoints.txt"), vector));
    }
    let one = "/checkpoints/1";
    let missing = |name, member| (name, "a member is missing", set(one, member, None));
    let rows: Vec<(&str, &str, Change)> = vec![
        missing("no-ends-from", "endsFrom"),
        missing("no-first-time", "firstTime"),
        missing("no-head", "head"),
        missing("no-last-segment", "lastSegment"),
        missing("no-last-seq", "lastSeq"),
        missing("no-last-time", "lastTime"),
        missing("no-parts", "parts"),
        missing("no-root", "root"),
        missing("no-t", "t"),
        ("empty", "an empty list", set("", "checkpoints", json!([]))),
        ("null", "null", set("", "checkpoints", json!(null))),
        ("order", "not sorted", Box::new(|value| value["checkpoints"].as_array_mut().expect("two").reverse())),
        ("twice", "two of the same slot", Box::new(|value| value["checkpoints"][0] = value["checkpoints"][1].clone())),
        ("records", "more records than seqs", set("/checkpoints/1/parts/0", "records", json!(13))),
        ("no-records", "a part without records", set("/checkpoints/1/parts/0", "records", json!(0))),
        ("size", "a part that is too small", set("/checkpoints/1/parts/0", "size", json!(383))),
        ("ends-from", "ends from behind the next seq", set(one, "endsFrom", json!(14))),
        ("ends-from-0", "ends from 0", set(one, "endsFrom", json!(0))),
        ("t", "t behind its last time", set(one, "t", json!(BEGIN + 21))),
        ("without-empty", "an empty without", set(one, "without", json!([]))),
        ("without", "a slot behind its own", set(one, "without", json!([[6, 6]]))),
        ("without-large", "more slots than may be", set(one, "without", json!([[1, 1_u64 << 40]]))),
        ("window-seq", "another seq than that of the window", set(one, "lastSeq", json!(11))),
        ("window-head", "another head than that of the window", set(one, "head", json!(hex("x")))),
        ("window-time", "another time than that of the window", set(one, "lastTime", json!(BEGIN + 21))),
        ("times", "times that descend", set(one, "firstTime", json!(BEGIN + 22))),
    ];
    for (name, comment, change) in rows {
        let mut value = good.clone();
        change(&mut value);
        let vector = manifests::vector(1, Manifest.as_str(), comment, &text(&value));
        all.push((format!("bad-manifest-checkpoint-{name}.txt"), vector));
    }
    let follows: Vec<(&str, &str, Change)> = vec![
        ("root", "another state root than before", set(one, "root", json!(hex("x")))),
        ("other-t", "another t than before", set(one, "t", json!(BEGIN + 19))),
    ];
    for (name, comment, change) in follows {
        let mut value = next(good.clone());
        change(&mut value);
        let vector = manifests::vector(2, Manifest.as_str(), comment, &text(&value));
        let vector = vector.with("follows", "ok-manifest-checkpoints.txt");
        all.push((format!("bad-manifest-checkpoint-{name}.txt"), vector));
    }
    all
}

/// What a manifest says of a checkpoint that was written as a window.
pub(super) fn of_checkpoint(mut rolled: Rolled, point: Option<Point>) -> Rolled {
    rolled.point = point;
    let kind = rolled.kind();
    rolled.parts.iter_mut().for_each(|part| part.kind = kind);
    rolled
}

fn bad(name: &str, code: Code, comment: &str, rolled: &Rolled, object: &Bytes) -> (String, Vector) {
    (format!("bad-checkpoint-{name}.txt"), vector(comment, code.as_str(), rolled, 1, object.clone()))
}

/// Makes one vector per row: the code, a name, a comment, and what is done to a good part.
macro_rules! broken {
    ($($code:ident $name:literal $comment:literal: $field:ident = $hook:expr;)*) => {
        vec![$({
            let mut forge = forge(&kept());
            forge.$field = Box::new($hook);
            let object = forge.build();
            let rolled = of_checkpoint(forge.rolled(&object), Some(point()));
            bad($name, Code::$code, $comment, &rolled, &object)
        }),*]
    };
}

fn swap(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from} does not occur in {text}");
    *text = text.replacen(from, to, 1);
}

fn broken() -> Vec<(String, Vector)> {
    broken! {
        FooterField "kind" "a window of history": on_footer = |f| f.kind = 2;
        FooterField "level" "level 1": on_footer = |f| f.level = 1;
        FooterField "first-slot" "it begins with slot 2": on_footer = |f| f.slots[0] = 2;
        FooterField "first-seq" "it begins with seq 2": on_footer = |f| f.seqs[0] = 2;
        FooterField "prev" "something stands before it": on_footer = |f| f.prev = Digest([1; 32]);
        FooterField "records" "more records than seqs": on_footer = |f| f.records = 21;
        Public "no-checkpoint" "nothing that a checkpoint says": on_json = |j| swap(j, r#""checkpoint""#, r#""was""#);
        Public "null" "null": on_json = |j| swap(j, r#""checkpoint":{"#, r#""checkpoint":null,"was":{"#);
        Public "ends-from-0" "ends from 0": on_json = |j| swap(j, r#""endsFrom":10"#, r#""endsFrom":0"#);
        Public "ends-from-22" "ends from behind the next seq": on_json = |j| swap(j, r#""endsFrom":10"#, r#""endsFrom":22"#);
        Public "no-t" "no t": on_json = |j| swap(j, r#""t":"#, r#""was":"#);
        Public "t-early" "t before its first time": on_json = |j| swap(j, r#""t":1800000000000020"#, r#""t":1799999999999999"#);
        Public "t-late" "t behind its last time": on_json = |j| swap(j, r#""t":1800000000000020"#, r#""t":1800000000000026"#);
        Public "without-empty" "an empty without": on_json = |j| swap(j, r#""without":[[2,3],[5,5]]"#, r#""without":[]"#);
        Public "without-order" "slots that descend": on_json = |j| swap(j, r#"[[2,3],[5,5]]"#, r#"[[5,5],[2,3]]"#);
        Public "without-touching" "ranges that touch": on_json = |j| swap(j, r#"[[2,3],[5,5]]"#, r#"[[2,3],[4,4]]"#);
        Public "without-back" "a range that descends": on_json = |j| swap(j, r#"[[2,3],[5,5]]"#, r#"[[3,2],[5,5]]"#);
        Public "without-zero" "slot 0": on_json = |j| swap(j, r#"[[2,3],[5,5]]"#, r#"[[0,3],[5,5]]"#);
        Public "without-behind" "a slot behind its own": on_json = |j| swap(j, r#"[[2,3],[5,5]]"#, r#"[[2,3],[5,8]]"#);
        Public "earliest" "it reaches back": on_json = |j| swap(j, r#""earliest":{}"#, r#""earliest":{"from":11}"#);
        Count "other-ends-from" "other ends than the manifest says": on_json = |j| swap(j, r#""endsFrom":10"#, r#""endsFrom":9"#);
        Count "other-t" "another t than the manifest says": on_json = |j| swap(j, r#""t":1800000000000020"#, r#""t":1800000000000021"#);
        Count "other-without" "other slots than the manifest says": on_json = |j| swap(j, r#"[[2,3],[5,5]]"#, r#"[[2,3]]"#);
        Meta "meta-kind" "history": on_meta = |m| replace(m, br#""kind":"checkpoint""#, br#""kind":"history""#);
    }
}

/// Lines that no checkpoint keeps.
fn kept_wrongly() -> Vec<(String, Vector)> {
    let key = |name: &str| samples::vm_key(name, "u1");
    let state = |name: &str, seq, from| samples::record(seq, samples::set(ObjectOp::Seen, key(name), seq, from));
    let rows = [
        ("two-states", "two states of one object", state("a", 7, None)),
        ("old-end", "an end that counts from before its ends", samples::record(8, gone(key("h")))),
        (
            "end-before",
            "an end before the state",
            samples::record(11, gone(RecordKey { uid: "u2".into(), ..key("g") })),
        ),
        ("heartbeat", "a heartbeat", samples::record(19, RecordChange::Heartbeat)),
    ];
    let mut all = Vec::new();
    for (name, comment, record) in rows {
        let mut records = kept();
        records.push(record);
        records.sort_by_key(|record| record.seq);
        let forge = forge(&records);
        let object = forge.build();
        let rolled = of_checkpoint(forge.rolled(&object), Some(point()));
        all.push(bad(name, Code::Seq, comment, &rolled, &object));
    }
    let mut forge = forge(&kept());
    forge.replace(br#""op":"N""#, br#""op":"Q","skip":1"#);
    let object = forge.build();
    all.push(bad(
        "op",
        Code::Seq,
        "an op that is not known",
        &of_checkpoint(forge.rolled(&object), Some(point())),
        &object,
    ));
    // The other way round: a window of history that says what a checkpoint says.
    let mut history = Forge::new(&samples::every_shape());
    let said = serde_json::to_string(&point()).expect("serialisable");
    history.on_json = Box::new(move |json| {
        json.pop();
        json.push_str(&format!(",\"checkpoint\":{said}}}"));
    });
    let object = history.build();
    let rolled = history.rolled(&object);
    let comment = "it says what a checkpoint says";
    all.push(("bad-bundle-checkpoint.txt".to_owned(), vector(comment, Code::Public.as_str(), &rolled, 1, object)));
    all
}
