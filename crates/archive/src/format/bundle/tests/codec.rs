//! Any lines, cut anywhere, come out as they went in.

use std::sync::Arc;

use proptest::prelude::*;
use vmrewind_model::{Change, ObjectKey, ObjectOp, Record, RecordKey};

use super::{
    super::{Bundle, Cut, Encoded, Leaves, Peek, SortKey, Window, Writer, filter, peek, whole},
    forge::{Forge, draft, lines, sorted},
};
use crate::{
    format::{
        Code,
        footer::{Footer, Kind},
        frame::Unpacker,
        line::Line,
    },
    samples,
};

/// The parts of the window of these lines.
fn written(lines: &[Line], cut: Cut) -> (Window, Vec<Encoded>) {
    let draft = Arc::new(draft(lines));
    let mut writer = Writer::new(Arc::clone(&draft), cut).expect("zstd");
    let mut parts: Vec<Encoded> = lines.iter().filter_map(|line| writer.push(line).expect("in order")).collect();
    parts.push(writer.finish().expect("good lines"));
    (draft.window.clone(), parts)
}

fn texts(lines: &[Line]) -> Vec<Vec<u8>> {
    lines.iter().map(|line| line.text.to_vec()).collect()
}

fn read(part: &Encoded, n: usize) -> (Bundle, Vec<Line>) {
    let mut lines = Vec::new();
    let number = u32::try_from(n + 1).expect("few");
    let bundle = whole(Kind::History, &part.bytes, samples::ARCHIVE, number, |line| lines.push(line.clone()))
        .expect("what was just written");
    (bundle, lines)
}

/// The frames of a part, each by itself, behind what its end says.
fn frame_by_frame(part: &Encoded) -> Vec<Line> {
    let size = part.bytes.len() as u64;
    let short = part.bytes.slice(part.bytes.len() - 384..);
    let Peek::Longer(needed) = peek(Kind::History, &[], &short, size, &samples::ARCHIVE.into()).expect("a good footer")
    else {
        panic!("a footer is not all of an end")
    };
    let tail = part.bytes.slice(part.bytes.len() - usize::try_from(needed).expect("small")..);
    let Peek::Done(bundle) = peek(Kind::History, &[], &tail, size, &samples::ARCHIVE.into()).expect("a good end")
    else {
        panic!("it is all there")
    };
    let mut lines = Vec::new();
    for n in 0..bundle.frames() {
        let place = bundle.place(n);
        let at = |offset: u64| usize::try_from(offset).expect("small");
        let stored = part.bytes.slice(at(place.start)..at(place.end));
        lines.extend(bundle.frame(n, &stored, &mut Unpacker::new().expect("zstd")).expect("a good frame"));
    }
    lines
}

fn cuts() -> impl Strategy<Value = Cut> {
    let size = || prop_oneof![Just(1_usize), 1_usize..4000, Just(1 << 20)];
    (size(), size(), size(), size()).prop_map(|(member, stored, content, part)| Cut { member, stored, content, part })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_lines_in_any_cut_come_back_byte_for_byte(records in samples::any_records(), cut in cuts()) {
        let before = lines(&records);
        let (window, parts) = written(&sorted(&records), cut);
        let mut all = Vec::new();
        let mut leaves = Leaves::default();
        let mut last: Option<SortKey> = None;
        for (n, part) in parts.iter().enumerate() {
            let (bundle, held) = read(part, n);
            prop_assert_eq!(&bundle.window, &window);
            prop_assert_eq!((bundle.records, bundle.root), (held.len() as u64, part.root));
            prop_assert_eq!(texts(&frame_by_frame(part)), texts(&held));
            for line in &held {
                let key = SortKey::of(line);
                prop_assert!(last.as_ref().is_none_or(|last| *last <= key));
                if let Some(object) = key.object() {
                    prop_assert!(filter::may_hold_object(&bundle.index.filter, object));
                    prop_assert!(filter::may_hold_home(&bundle.index.filter, key.home()));
                }
                leaves.add(line);
                last = Some(key);
            }
            all.extend(held);
        }
        all.sort_by_key(|line| line.head.seq);
        prop_assert_eq!(texts(&all), texts(&before));
        let mut plain = Leaves::default();
        before.iter().for_each(|line| plain.add(line));
        prop_assert_eq!(leaves.root(), plain.root());
    }

    #[test]
    fn lines_that_are_not_in_order_are_refused(records in samples::any_records(), one: prop::sample::Index, other: prop::sample::Index) {
        let mut lines = sorted(&records);
        let (one, other) = (one.index(lines.len()), other.index(lines.len()));
        let draft = Arc::new(draft(&lines));
        if one == other { lines.insert(one, lines[one].clone()) } else { lines.swap(one, other) }
        let mut writer = Writer::new(draft, Cut::USUAL).expect("zstd");
        prop_assert!(lines.iter().any(|line| writer.push(line).is_err()));
    }
}

/// Records of so many objects, each of a home of its own.
pub(super) fn many(count: u64) -> Vec<Record> {
    let key = |n: u64| RecordKey {
        home: format!("prod/vm-{n}"),
        object: ObjectKey::new("", "ConfigMap", "prod", &format!("map-{n}")),
        uid: "u".into(),
    };
    (1..=count).map(|seq| samples::record(seq, samples::set(ObjectOp::Seen, key(seq), seq, None))).collect()
}

#[test]
fn the_filter_holds_what_is_there_and_few_of_what_is_not() {
    let (_, parts) = written(&sorted(&many(2000)), Cut::USUAL);
    let [part] = &parts[..] else { panic!("{} parts", parts.len()) };
    let (bundle, _) = read(part, 0);
    let filter = &bundle.index.filter;
    assert_eq!(filter.len(), 2 * 2000 * 10 / 8);
    let homes = |from: u64| (from..from + 10_000).map(|n| format!("prod/vm-{n}"));
    let held = homes(1).take(2000).filter(|home| filter::may_hold_home(filter, home.as_bytes())).count();
    let invented = homes(10_000).filter(|home| filter::may_hold_home(filter, home.as_bytes())).count();
    let objects = (10_000..20_000).map(|n| format!("prod\0map-{n}\0\0ConfigMap"));
    let objects = objects.filter(|object| filter::may_hold_object(filter, object.as_bytes())).count();
    // 10 bits and 7 probes for each entry: 0.8 % of what is not there. The names are fixed, and so is what comes out.
    assert_eq!(held, 2000);
    assert!((20..200).contains(&invented) && (20..200).contains(&objects), "{invented} and {objects} of 10000");
    assert!(!filter::may_hold_object(filter, b"prod/vm-1"), "a home is no object");
}

#[test]
fn a_bundle_without_keys_has_a_filter_that_holds_nothing() {
    let beats: Vec<Record> = (1..=3).map(|seq| samples::record(seq, Change::Heartbeat)).collect();
    let (_, parts) = written(&sorted(&beats), Cut::USUAL);
    let (bundle, held) = read(&parts[0], 0);
    assert_eq!((bundle.index.filter.as_slice(), held.len()), (&[0][..], 3));
    assert!(!filter::may_hold_home(&bundle.index.filter, b""));
}

#[test]
fn parts_are_as_large_as_they_may_be_and_tell_the_same_of_their_window() {
    let cut = Cut { member: 1, stored: 1, content: 1, part: 4096 };
    let (window, parts) = written(&sorted(&many(200)), cut);
    assert!(parts.len() > 5, "{} parts", parts.len());
    let ends: Vec<(Bundle, Footer)> = parts
        .iter()
        .enumerate()
        .map(|(n, part)| {
            let footer = Footer::parse(part.bytes.last_chunk().expect("a footer"), Kind::History).expect("a good one");
            (read(part, n).0, footer)
        })
        .collect();
    for (bundle, footer) in &ends {
        assert_eq!((&bundle.window, &bundle.known), (&window, &ends[0].0.known));
        assert_eq!((footer.seqs, footer.epoch, footer.nonce), ([1, 200], 1, [7; 16]));
    }
    assert_eq!(parts.iter().map(|part| part.records).sum::<u64>(), window.records());
}

#[test]
fn a_window_without_lines_has_no_part_and_a_frame_of_another_place_is_refused() {
    let records = samples::every_shape();
    let writer = Writer::new(Arc::new(draft(&lines(&records))), Cut::USUAL).expect("zstd");
    assert!(writer.finish().expect_err("nothing to write").contains("without lines"));
    let forge = Forge::new(&records);
    let object = forge.build();
    let Peek::Done(bundle) =
        peek(Kind::History, &[], &object, object.len() as u64, &samples::ARCHIVE.into()).expect("good")
    else {
        panic!("all of it is there")
    };
    let place = bundle.place(2);
    let stored = object.slice(usize::try_from(place.start).expect("small")..usize::try_from(place.end).expect("small"));
    let fault = bundle.frame(1, &stored, &mut Unpacker::new().expect("zstd")).expect_err("another frame");
    assert_eq!(fault.code, Code::FrameHash);
}
