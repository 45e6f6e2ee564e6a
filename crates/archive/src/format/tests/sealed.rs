//! Encrypted segments: what whoever knows no key can change in one, and what is left of one that is damaged.

use bytes::Bytes;
use vmrewind_model::Digest;

use super::super::{
    Code,
    decode::{FRONT, decode, decode_or_salvage, peek, peek_index},
    encode::{Draft, encode},
    footer::{Footer, Kind, LEN},
    home::{Home, Keys, Lock, RootKey},
};
use crate::{format::decode::Peek, samples};

fn sealed(records: Vec<vmrewind_model::Record>) -> Bytes {
    encode(&Draft { home: samples::sealed(), ..samples::draft(records) }).expect("good").bytes
}

/// Makes the hashes anew that need no key.
fn hashed(mut bytes: Vec<u8>) -> Bytes {
    let end = bytes.len() - LEN;
    let body = Digest::of(&bytes[..end]);
    bytes[end + 160..end + 192].copy_from_slice(&body.0);
    let check = Digest::of(&bytes[end..end + 304]);
    bytes[end + 304..end + 320].copy_from_slice(&check.0[..16]);
    bytes.into()
}

#[test]
fn every_flipped_bit_and_every_cut_of_an_encrypted_segment_is_found() {
    let good = sealed(samples::every_shape());
    let home = samples::sealed();
    assert!(decode(&good, home.clone(), 2).is_ok());
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << bit;
            assert!(decode(&bytes.into(), home.clone(), 2).is_err(), "bit {bit} of byte {at}");
        }
        assert!(decode(&good.slice(..at), home.clone(), 2).is_err(), "cut at {at}");
    }
}

#[test]
fn whoever_knows_no_key_cannot_change_a_bit_whatever_hashes_he_makes_anew() {
    let good = sealed(samples::every_shape());
    let home = samples::sealed();
    assert_eq!(hashed(good.to_vec()), good);
    let hashes = good.len() - LEN + 160..good.len() - LEN + 192;
    let check = good.len() - LEN + 304..good.len() - LEN + 320;
    for at in (0..good.len()).filter(|at| !hashes.contains(at) && !check.contains(at)) {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1 << (at % 8);
        assert!(decode(&hashed(bytes), home.clone(), 2).is_err(), "byte {at}");
    }
}

/// Reads the end of a segment by ranges.
fn ranged(bytes: &Bytes) -> Option<String> {
    let front = &bytes[..bytes.len().min(usize::try_from(FRONT).expect("small"))];
    match peek_index(front, bytes, bytes.len() as u64, &samples::sealed(), 2) {
        Ok(Peek::Done(end)) => Some(format!("{end:?}")),
        Ok(Peek::Longer(_)) | Err(_) => None,
    }
}

#[test]
fn no_range_and_nothing_that_is_left_tells_anything_that_was_changed_whatever_hashes_are_made_anew() {
    let good = sealed(samples::every_shape());
    let whole = decode(&good, samples::sealed(), 2).expect("good");
    let (honest, end) = (ranged(&good).expect("good"), good.len() - LEN);
    let (mut silent, mut left) = (0, 0);
    for at in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let anew = hashed(bytes.clone());
        if anew != good {
            assert_eq!(ranged(&anew), None, "byte {at}");
            let broken = decode_or_salvage(&anew, samples::sealed(), 2).expect_err("changed");
            assert!(broken.salvaged.is_none() && broken.fault.readable.is_empty(), "byte {at}");
        }
        let bytes = Bytes::from(bytes);
        if let Some(told) = ranged(&bytes) {
            silent += 1;
            assert_eq!(told, honest, "byte {at}");
        }
        if let Some(salvaged) = decode_or_salvage(&bytes, samples::sealed(), 2).expect_err("changed").salvaged {
            left += 1;
            assert_eq!(salvaged.summary, whole.summary, "byte {at}");
            assert!(salvaged.resume == whole.resume || salvaged.resume.entries.is_empty(), "byte {at}");
            assert!(salvaged.lines.iter().all(|line| whole.lines.iter().any(|own| own.text == line.text)), "byte {at}");
        }
    }
    assert!(silent < end / 4 && left < good.len() / 2, "{silent} and {left} of {}", good.len());
}

#[test]
fn what_was_opened_for_reading_only_encrypts_nothing() {
    let root = RootKey(zeroize::Zeroizing::new(samples::ROOT_KEY));
    let (recipients, own) = (vec![samples::secret(1).recipient()], vec![samples::secret(1)]);
    let lock = Lock::Open(Keys { recipients, root, own, seed: None }.into());
    let home = Home { archive: samples::ARCHIVE, lock };
    assert!(decode(&sealed(samples::every_shape()), home.clone(), 2).is_ok());
    let error =
        encode(&Draft { home, ..samples::draft(samples::every_shape()) }).map(|_| ()).expect_err("no randomness");
    assert!(error.contains("reading only"), "{error}");
}

#[test]
fn a_segment_of_another_root_key_is_refused_although_it_opens() {
    let stranger = Home { lock: samples::lock_of([0x66; 32]), archive: samples::ARCHIVE };
    let draft = Draft { home: stranger, ..samples::draft(samples::every_shape()) };
    let forged = encode(&draft).expect("good by itself").bytes;
    let broken = decode_or_salvage(&forged, samples::sealed(), 2).expect_err("forged");
    assert_eq!((broken.fault.code, broken.salvaged.is_none()), (Code::IndexHash, true));
}

#[test]
fn an_object_that_is_not_encrypted_is_refused_in_an_archive_that_is_and_the_reverse() {
    let plain = encode(&samples::draft(samples::every_shape())).expect("good").bytes;
    let good = sealed(samples::every_shape());
    let shut = Home { archive: samples::ARCHIVE, lock: Lock::Shut };
    for home in [samples::sealed(), shut.clone()] {
        assert_eq!(decode(&plain, home.clone(), 2).expect_err("downgraded").code, Code::Plain);
        let end = peek(&plain, plain.len() as u64, home, 2).map(|_| ()).expect_err("not even its end");
        assert_eq!(end.code, Code::Plain);
    }
    assert_eq!(decode(&good, samples::ARCHIVE, 2).expect_err("encrypted").code, Code::Encrypted);
    assert_eq!(decode(&good, shut.clone(), 2).expect_err("shut").code, Code::NoKey);
    assert!(matches!(peek(&good, good.len() as u64, shut, 2), Ok(Peek::Done(_))), "its end is plain");
}

#[test]
fn a_chunk_that_was_changed_costs_the_frames_that_touch_it() {
    // Text that does not compress well, so that members, and so frames, take several chunks.
    let mut dice = 7_u64;
    let mut noise = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{dice:016x}")
    };
    let vm = |seq: u64, text: &str| {
        let key = samples::vm_key("db-1", "u1");
        let object = samples::object(&key, seq, text);
        let op = vmrewind_model::ObjectOp::Modified;
        let rv = vmrewind_model::Rv(seq);
        samples::record(seq, vmrewind_model::Change::Object { op, key, rv, object, from_seq: None })
    };
    let records: Vec<_> = (1..=9).map(|seq| vm(seq, &(0..70_000).map(|_| noise()).collect::<String>())).collect();
    let good = sealed(records);
    let footer = Footer::parse(good.last_chunk().expect("a footer"), Kind::Log).expect("good");
    let whole = decode(&good, samples::sealed(), 2).expect("good");
    let lines: Vec<Bytes> = whole.lines.iter().map(|line| line.text.clone()).collect();
    assert_eq!((lines.len(), footer.content() > 10 << 16), (9, true));
    let mut bytes = good.to_vec();
    bytes[usize::try_from(footer.encryption_header).expect("small") + 16 + 65_552 + 9] ^= 1;
    let broken = decode_or_salvage(&bytes.into(), samples::sealed(), 2).expect_err("damaged");
    assert_eq!(broken.fault.code, Code::BodyHash);
    let left = broken.salvaged.expect("something is left");
    assert!(!left.lines.is_empty() && left.lines.len() < lines.len(), "{} lines are left", left.lines.len());
    assert!(left.lines.iter().all(|line| lines.contains(&line.text)));
}
