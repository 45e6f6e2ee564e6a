//! Damage of any kind: it is found, whole or frame by frame, and lines are never other than they were.

use bytes::Bytes;

use super::{
    super::{Cut, Peek, Writer, peek, whole},
    codec::many,
    forge::{Forge, draft, sorted},
};
use crate::{
    format::{footer::Kind, frame::Unpacker},
    samples::{self, mutated},
};

#[test]
fn every_flipped_bit_every_cut_and_every_added_byte_of_a_small_bundle_is_found() {
    let good = Forge::new(&samples::every_shape()).build();
    let found = |bytes: Vec<u8>, what: &str, at: usize| {
        assert!(
            whole(Kind::History, &bytes.into(), samples::ARCHIVE, 1, |_| {}).is_err(),
            "{what} at {at} was not found"
        );
    };
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << bit;
            found(bytes, "a flipped bit", at);
        }
        found(good[..at].to_vec(), "a cut", at);
    }
    for more in [1, 8, 384, 385] {
        let mut bytes = good.to_vec();
        bytes.resize(good.len() + more, 0);
        found(bytes, "added bytes", more);
    }
}

/// The texts of the lines of every frame that can be read behind an end that can be read; none if it cannot.
fn left(bytes: &Bytes) -> Option<Vec<Vec<u8>>> {
    let Ok(Peek::Done(bundle)) = peek(Kind::History, &[], bytes, bytes.len() as u64, &samples::ARCHIVE.into()) else {
        return None;
    };
    let mut texts = Vec::new();
    for n in 0..bundle.frames() {
        let place = bundle.place(n);
        let at = |offset: u64| usize::try_from(offset).expect("small");
        let Some(stored) = bytes.get(at(place.start)..at(place.end)) else { continue };
        let lines = bundle.frame(n, stored, &mut Unpacker::new().expect("zstd"));
        texts.extend(lines.unwrap_or_default().iter().map(|line| line.text.to_vec()));
    }
    Some(texts)
}

#[test]
fn a_flipped_bit_of_a_frame_costs_that_frame_and_one_of_the_end_costs_all() {
    let forge = Forge::new(&samples::every_shape());
    let good = forge.build();
    let Ok(Peek::Done(bundle)) = peek(Kind::History, &[], &good, good.len() as u64, &samples::ARCHIVE.into()) else {
        panic!("it is good")
    };
    let index = bundle.place(bundle.frames() - 1).end;
    let all = left(&good).expect("good").len();
    for at in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let left = left(&bytes.into());
        assert_eq!(left.is_some(), (at as u64) < index, "byte {at}");
        let hit = (0..bundle.frames()).find(|n| bundle.place(*n).contains(&(at as u64)));
        // The first frame holds meta.json alone: without it every line can be read.
        assert!(left.is_none_or(|left| (left.len() < all) == (hit > Some(0))), "byte {at}");
    }
}

#[test]
fn twenty_thousand_mutations_of_a_larger_bundle_give_an_error_or_the_lines_that_were_there() {
    let records = many(150);
    let lines = sorted(&records);
    let cut = Cut { member: 4096, stored: 2048, content: 8192, part: usize::MAX };
    let mut writer = Writer::new(draft(&lines).into(), cut).expect("zstd");
    lines.iter().for_each(|line| assert!(writer.push(line).expect("in order").is_none()));
    let good = writer.finish().expect("good lines").bytes;
    let texts: Vec<Vec<u8>> = lines.iter().map(|line| line.text.to_vec()).collect();
    let known: std::collections::HashSet<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let mut unharmed = 0;
    for seed in 0..20_000 {
        let bytes = Bytes::from(mutated(&good, seed));
        let mut read = Vec::new();
        match whole(Kind::History, &bytes, samples::ARCHIVE, 1, |line| read.push(line.text.to_vec())) {
            Ok(_) => {
                assert!(bytes == good && read == texts, "seed {seed} gives other lines");
                unharmed += 1;
            }
            Err(_) => assert!(read.iter().all(|text| known.contains(text.as_slice())), "seed {seed} invents a line"),
        }
        let left = left(&bytes).unwrap_or_default();
        assert!(left.iter().all(|text| known.contains(text.as_slice())), "seed {seed} invents a line of a frame");
    }
    assert!(unharmed < 200, "{unharmed} mutations changed nothing");
}
