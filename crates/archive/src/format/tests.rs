//! Segments as a whole: what is written reads back, and every kind of damage has its code.

mod damage;
mod forge;
mod sealed;
mod silent;
mod vectors;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use proptest::prelude::*;
use vmrewind_model::{Record, Seq};

use super::{decode::decode, encode::encode, *};
use crate::samples;

fn read_back(records: Vec<Record>) -> Segment {
    let encoded = encode(&samples::draft(records)).expect("records that may be written");
    decode(&encoded.bytes, samples::ARCHIVE, 2).expect("what was just written")
}

fn records(segment: &Segment) -> Vec<Record> {
    segment.records().collect::<Result<_, _>>().expect("good records")
}

#[test]
fn one_record_of_every_shape_reads_back_as_written() {
    let segment = read_back(samples::every_shape());
    assert_eq!(records(&segment), samples::every_shape());
    segment.check_objects().expect("canonical objects under their own keys");
    let summary = &segment.summary;
    assert!(summary.gaps && summary.late && summary.back_dated && !summary.fence && !summary.complete);
    assert_eq!((summary.seqs, summary.records), (SeqRange::new(Seq(1), Seq(14)), 14));
    assert_eq!(segment.resume, samples::draft(vec![]).resume);
    assert_eq!(segment.software, "test 1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_records_read_back_as_written(written in samples::any_records()) {
        let segment = read_back(written.clone());
        segment.check_objects().expect("canonical objects under their own keys");
        prop_assert_eq!(records(&segment), written);
    }
}

#[test]
fn the_end_alone_tells_the_same_as_the_whole_segment() {
    let encoded = encode(&samples::draft(samples::every_shape())).expect("good records");
    let size = encoded.bytes.len() as u64;
    let whole = decode(&encoded.bytes, samples::ARCHIVE, 2).expect("good");
    let peek = |length: usize| {
        let tail = encoded.bytes.slice(encoded.bytes.len() - length..);
        super::decode::peek(&tail, size, samples::ARCHIVE, 2).expect("a good end")
    };
    let super::decode::Peek::Longer(needed) = peek(footer::LEN) else { panic!("the map is longer than nothing") };
    let super::decode::Peek::Done(end) = peek(usize::try_from(needed).expect("small")) else {
        panic!("it is all there")
    };
    assert_eq!((end.0, end.1), (whole.summary, whole.resume));
}

#[test]
fn long_histories_are_cut_into_members_that_each_fill_a_frame() {
    let key = samples::vm_key("big", "u");
    let big = "x".repeat(1 << 20);
    let written: Vec<Record> = (1..=11)
        .map(|seq| {
            let object = samples::object(&key, seq, &big);
            let rv = vmrewind_model::Rv(seq);
            let change = vmrewind_model::Change::Object {
                op: vmrewind_model::ObjectOp::Modified,
                key: key.clone(),
                rv,
                object,
                from_seq: None,
            };
            samples::record(seq, change)
        })
        .collect();
    let encoded = encode(&samples::draft(written.clone())).expect("good records");
    let names = list(&encoded.bytes);
    assert_eq!(names, ["meta.json", "events-0000.jsonl", "events-0001.jsonl", "events-0002.jsonl", ".index"]);
    let segment = decode(&encoded.bytes, samples::ARCHIVE, 2).expect("good");
    assert_eq!(records(&segment), written);
    let too_many: Vec<Record> =
        (1..=64).map(|seq| Record { seq: Seq(seq), t: samples::t(seq as i64), ..written[0].clone() }).collect();
    assert!(encode(&samples::draft(too_many)).expect_err("too much").contains("several segments"));
}

/// Lists the members with the tools that everybody has.
fn list(bytes: &[u8]) -> Vec<String> {
    let mut zstd = Command::new("zstd")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool zstd is installed");
    let tar = Command::new("tar")
        .arg("t")
        .stdin(zstd.stdout.take().expect("piped"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool tar is installed");
    zstd.stdin.take().expect("piped").write_all(bytes).expect("zstd reads");
    assert!(zstd.wait().expect("zstd ends").success());
    let output = tar.wait_with_output().expect("tar ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("names").lines().map(str::to_owned).collect()
}

#[test]
fn the_tools_zstd_and_tar_list_a_segment() {
    let encoded = encode(&samples::draft(samples::every_shape())).expect("good records");
    assert_eq!(list(&encoded.bytes), ["meta.json", "events.jsonl", ".index"]);
}

#[test]
fn refuses_to_write_records_that_do_not_follow_each_other() {
    let beat =
        |seq, micros| Record { t: samples::t(micros), ..samples::record(seq, vmrewind_model::Change::Heartbeat) };
    let refused = |records| encode(&samples::draft(records)).expect_err("records that do not follow");
    assert!(refused(vec![]).contains("unless it is a fence"));
    assert!(refused(vec![beat(2, 5)]).contains("record 2 follows record 0"));
    assert!(refused(vec![beat(1, 5), beat(3, 6)]).contains("record 3 follows record 1"));
    assert!(refused(vec![beat(1, 5), beat(2, 5)]).contains("not after"));
    assert!(refused(vec![beat(1, 0)]).contains("not after"));
    let mut twice = samples::draft(vec![beat(1, 5)]);
    twice.resume.entries = vec![samples::resume("a", 1, 1), samples::resume("a", 2, 1)];
    assert!(encode(&twice).expect_err("a resource twice").contains("twice"));
}
