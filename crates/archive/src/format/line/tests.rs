use proptest::prelude::*;

use super::{super::Code, *};
use crate::samples;

fn text(record: &vmrewind_model::Record) -> String {
    let mut out = Vec::new();
    write(&mut out, record).expect("a record that may be written");
    String::from_utf8(out).expect("UTF-8")
}

fn read(line: &str) -> Result<Line, Code> {
    let bytes = Bytes::copy_from_slice(line.as_bytes());
    parse(&bytes, 0, line).map_err(|fault| fault.code)
}

#[test]
fn writes_each_shape_of_record_as_the_specification_shows() {
    let lines: Vec<String> = samples::every_shape().iter().map(text).collect();
    let vm = r#""k":["prod/db-1","prod","db-1","kubevirt.io","VirtualMachine","u1"]"#;
    let gap = r#""gap":{"group":"kubevirt.io","resource":"virtualmachines""#;
    let heads = [
        format!(r#"{{"seq":1,"t":1800000000000001,"op":"A",{vm},"obj":{{"apiVersion""#),
        format!(r#"{{"seq":2,"t":1800000000000002,"op":"M",{vm},"era":2,"obj":{{"apiVersion""#),
        r#"{"seq":3,"t":1800000000000003,"op":"S","k":["prod/db-2","prod","db-2","kubevirt.io","VirtualMachine",""],"from":1,"obj":{"#.into(),
        format!(r#"{{"seq":4,"t":1800000000000004,"op":"D",{vm},"obj":{{"apiVersion""#),
        format!(r#"{{"seq":5,"t":1800000000000005,"op":"D",{vm},"rv":"8"}}"#),
        format!(r#"{{"seq":6,"t":1800000000000006,"op":"D",{vm},"lo":1799999999999995,"i":1}}"#),
        format!(r#"{{"seq":7,"t":1800000000000007,"op":"X",{vm},"reason":"left the selector"}}"#),
        r#"{"seq":8,"t":1800000000000008,"op":"N","k":["prod/gone \"\u0001é","prod","gone \"\u0001é","kubevirt.io","VirtualMachine",""]}"#.into(),
        r#"{"seq":9,"t":1800000000000009,"op":"N","k":["prod/gone \"\u0001é","prod","gone \"\u0001é","kubevirt.io","VirtualMachine",""],"from":2}"#.into(),
        format!(r#"{{"seq":10,"t":1800000000000010,"op":"W",{vm},"rv":"9","reason":"capture.secrets"}}"#),
        format!(r#"{{"seq":11,"t":1800000000000011,"op":"G",{gap},"from":1800000000000001,"cause":"expired"}}}}"#),
        format!(r#"{{"seq":12,"t":1800000000000012,"op":"G",{gap},"from":1800000000000001,"to":1800000000000004,"cause":"expired","opened":11}}}}"#),
        format!(r#"{{"seq":13,"t":1800000000000013,"op":"G",{gap},"object":{{"namespace":"prod","name":"db-1","group":"kubevirt.io","kind":"VirtualMachine"}},"from":1800000000000000,"to":1800000000000003,"cause":"expired","detail":"why"}}}}"#),
        r#"{"seq":14,"t":1800000000000014,"op":"H"}"#.into(),
    ];
    assert_eq!(lines.len(), heads.len());
    for (line, head) in lines.iter().zip(heads) {
        assert!(line.starts_with(&head), "{line}\n{head}");
        assert!(line.ends_with("}\n"));
    }
}

#[test]
fn refuses_lines_that_break_the_form_each_with_its_code() {
    let head = |rest: &str| format!(r#"{{"seq":5,"t":1800000000000000,{rest}}}"#);
    let k = r#""k":["","n","a","","Kind","u"]"#;
    let cases = [
        (String::new(), Code::Line),
        ("{}".into(), Code::Line),
        ("[]".into(), Code::Line),
        (head(r#""op":"H""#) + "\r", Code::Line),
        (format!("\u{feff}{}", head(r#""op":"H""#)), Code::Line),
        (head(r#""op":"H","op":"H""#), Code::Line),
        (head(r#""op":"Q""#), Code::Op),
        (head(r#""op":"""#), Code::Line),
        (head(r#""op":"AM""#), Code::Line),
        (head(r#""op":"h""#), Code::Line),
        (head(r#""op":"Q","skip":2"#), Code::Line),
        (head(r#""op":"H","lo":null"#), Code::Line),
        (head(r#""op":"H","era":1"#), Code::Line),
        (head(r#""op":"H" "#), Code::Line),
        (head(r#""op":"H","new":{"a":1,"a":2}"#), Code::Line),
        (head(r#""op":"H","k":["","n","a","","Kind","u"]"#), Code::Line),
        (head(&format!(r#""op":"A",{k}"#)), Code::Line),
        (head(&format!(r#""op":"A",{k},"obj":"#)), Code::Line),
        (head(&format!(r#""op":"A",{k},"obj":[]"#)), Code::Line),
        (head(&format!(r#""op":"A",{k},"rv":"1","obj":{{}}"#)), Code::Line),
        (head(&format!(r#""op":"A",{k},"era":0,"obj":{{}}"#)), Code::Line),
        (head(&format!(r#""op":"A",{k},"i":1,"obj":{{}}"#)), Code::Line),
        (head(&format!(r#""op":"D",{k},"i":2"#)), Code::Line),
        (head(&format!(r#""op":"D",{k},"from":1"#)), Code::Line),
        (head(&format!(r#""op":"W",{k},"reason":"r""#)), Code::Line),
        (head(&format!(r#""op":"W",{k},"rv":"1""#)), Code::Line),
        (head(&format!(r#""op":"W",{k},"rv":"01","reason":"r""#)), Code::Line),
        (head(&format!(r#""op":"X",{k}"#)), Code::Line),
        (head(&format!(r#""op":"N",{k}"#)), Code::Line),
        (head(r#""op":"D","k":["","n","a","","","u"]"#), Code::Line),
        (head(r#""op":"D","k":["n","a","","Kind","u"]"#), Code::Line),
        (head(&format!(r#""op":"D","k":["","n","{}","","Kind","u"]"#, "a".repeat(1024))), Code::Limit),
        (head(&format!(r#""op":"X",{k},"reason":"{}""#, "a".repeat(1025))), Code::Limit),
        (head(&format!(r#""op":"H","new":"{}""#, "a".repeat(9000))), Code::Limit),
        (head(&format!(r#""op":"A",{k},"obj":{{"a":"{}"}}"#, "a".repeat(8 << 20))), Code::Limit),
        (head(&format!(r#""op":"A",{k},"from":5,"obj":{{}}"#)), Code::Seq),
        (head(&format!(r#""op":"A",{k},"from":0,"obj":{{}}"#)), Code::Seq),
        (head(&format!(r#""op":"D",{k},"lo":1800000000000000"#)), Code::Time),
        (head(&format!(r#""op":"D",{k},"lo":1"#)), Code::Time),
        (r#"{"seq":5,"t":0,"op":"H"}"#.into(), Code::Time),
        (r#"{"seq":5,"t":7258118400000001,"op":"H"}"#.into(), Code::Time),
        (r#"{"seq":5,"t":1e15,"op":"H"}"#.into(), Code::Line),
        (r#"{"seq":0,"t":1800000000000000,"op":"H"}"#.into(), Code::Seq),
        (r#"{"seq":18446744073709551615,"t":1800000000000000,"op":"H"}"#.into(), Code::Seq),
        (r#"{"seq":18446744073709551616,"t":1800000000000000,"op":"H"}"#.into(), Code::Line),
        (head(r#""op":"G""#), Code::Line),
        (head(r#""op":"G","gap":{"group":"","resource":"r","from":0,"cause":"expired"}"#), Code::Line),
        (head(r#""op":"G","gap":{"group":"","resource":"r","from":1800000000000000,"cause":"boredom"}"#), Code::Line),
        (
            head(r#""op":"G","gap":{"group":"","resource":"r","from":1800000000000000,"cause":"expired","opened":4}"#),
            Code::Line,
        ),
    ];
    for (line, code) in cases {
        let short: String = line.chars().take(200).collect();
        assert_eq!(read(&line).expect_err(&short), code, "{short}");
    }
}

#[test]
fn passes_over_what_a_later_version_may_add() {
    let newer = r#"{"seq":5,"t":1800000000000000,"op":"H","new":{"a":[1]}}"#;
    assert_eq!(read(newer).expect("readable").head.op, Some(Op::Heartbeat));
    let skipped = r#"{"seq":5,"t":1800000000000000,"op":"Z","skip":1,"obj":{"a":1}}"#;
    assert_eq!(read(skipped).expect("readable").head.op, None);
}

#[test]
fn refuses_to_write_records_that_break_the_form() {
    let good = || samples::every_shape().remove(0);
    let refused = |record: vmrewind_model::Record| write(&mut Vec::new(), &record).expect_err("a bad record");
    use vmrewind_model::{Change, ObjectOp, Record};
    let with = |change| Record { change, ..good() };
    assert!(refused(Record { era: Era(0), ..good() }).contains("era"));
    assert!(refused(Record { lo: Some(good().t), ..good() }).contains("lo"));
    let vm = samples::vm_key("a", "u");
    let other = samples::object(&samples::vm_key("b", "u"), 1, "");
    let state =
        |rv, object, from_seq| Change::Object { op: ObjectOp::Added, key: vm.clone(), rv: Rv(rv), object, from_seq };
    assert!(refused(with(state(1, other, None))).contains("is that of"));
    let own = samples::object(&vm, 1, "");
    assert!(refused(with(state(2, own.clone(), None))).contains("resource version 1, not 2"));
    assert!(refused(with(state(1, own.clone(), Some(Seq(1))))).contains("back-dated"));
    let dead = Change::Deleted { key: vm.clone(), rv: None, object: Some(own), inferred: false };
    assert!(refused(with(dead)).contains("resource version"));
    assert!(refused(with(Change::Absent { key: vm.clone(), from_seq: None })).contains("no uid"));
    assert!(refused(with(Change::Unobserved { key: vm, reason: "r".repeat(1025) })).contains("reason"));
    assert!(refused(with(Change::Gap(samples::gap(3, Some(2), None)))).contains("before it begins"));
    assert!(refused(with(Change::Gap(samples::gap(1, None, Some(1))))).contains("itself"));
    let long = samples::vm_key(&"n".repeat(600), "u");
    assert!(refused(with(samples::set(ObjectOp::Seen, long, 1, None))).contains("key"));
}

proptest! {
    #[test]
    fn a_line_reads_back_as_written_and_its_leaf_is_that_of_its_parts(record in samples::any_record(9)) {
        let mut out = Vec::new();
        let leaf = write(&mut out, &record).expect("a record that may be written");
        let line = std::str::from_utf8(&out).expect("UTF-8").strip_suffix('\n').expect("a line feed");
        let parsed = parse(&Bytes::copy_from_slice(&out), 0, line).expect("a good line");
        prop_assert_eq!(parsed.leaf, leaf);
        prop_assert_eq!(parsed.head.key.as_ref(), record.change.key());
        prop_assert_eq!(parsed.head.counts_from(), record.counts_from());
        prop_assert_eq!(parsed.object.as_ref(), record.change.object().map(vmrewind_model::RawObject::bytes));
    }
}
