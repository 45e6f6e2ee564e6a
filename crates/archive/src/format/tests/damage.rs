//! Every kind of damage is found, and has its code.

use vmrewind_model::{Digest, Epoch, Seq};

use super::{
    super::{Code, SeqRange, decode::decode, encode::encode, footer::flag, link::Before},
    forge::{Forge, replace},
};
use crate::samples;

/// Breaks a good segment in one place and returns the code that reading it gives.
fn code(name: &str, change: impl FnOnce(&mut Forge)) -> Code {
    let mut forge = Forge::new(&samples::every_shape());
    change(&mut forge);
    decode(&forge.build(), samples::ARCHIVE, 2).expect_err(name).code
}

macro_rules! cases {
    ($($name:literal: $code:ident <- $field:ident = $hook:expr;)*) => {
        $( assert_eq!(code($name, |forge| forge.$field = Box::new($hook)), Code::$code, $name); )*
    };
}

#[test]
fn a_forged_segment_without_a_change_is_good() {
    let segment = decode(&Forge::new(&samples::every_shape()).build(), samples::ARCHIVE, 2).expect("good");
    assert_eq!(segment.summary.records, 14);
}

#[test]
fn damage_to_the_object_and_its_footer_has_its_code() {
    cases! {
        "empty": Truncated <- on_object = Vec::clear;
        "one byte": Truncated <- on_object = |o| o.truncate(1);
        "shorter than a footer": Truncated <- on_object = |o| o.truncate(383);
        "cut by a byte": FooterMagic <- on_object = |o| o.truncate(o.len() - 1);
        "longer by a byte": FooterMagic <- on_object = |o| o.push(0);
        "only a footer": FooterField <- on_object = |o| { o.drain(..o.len() - 384); };
        "two footers": BodyHash <- on_object = |o| o.extend_from_within(o.len() - 384..);
        "zstd magic": FooterMagic <- on_footer_bytes = |f| f[0] ^= 1;
        "footer length": FooterMagic <- on_footer_bytes = |f| f[4] ^= 1;
        "footer magic": FooterMagic <- on_footer_bytes = |f| f[8] ^= 1;
        "footer check": FooterCheck <- on_footer_bytes = |f| f[304] ^= 1;
        "major version": Version <- on_footer = |f| f.version.major = 1;
        "minor version": Version <- on_footer = |f| f.version.minor = 2;
        "feature bit": Feature <- on_footer = |f| f.features = 1 << 63;
        "encrypted": Feature <- on_footer = |f| f.flags |= flag::ENCRYPTED;
        "signed": Feature <- on_footer = |f| f.flags |= flag::SIGNED;
        "signer": Feature <- on_footer = |f| f.signer = 1;
        "encryption header": Feature <- on_footer = |f| f.encryption_header = 1;
        "reserved flag": Reserved <- on_footer = |f| f.flags |= 1 << 7;
        "level": Reserved <- on_footer = |f| f.level = 1;
        "signature": Reserved <- on_footer = |f| f.signature[63] = 1;
        "kind": FooterField <- on_footer = |f| f.kind = 2;
        "shard": FooterField <- on_footer = |f| f.shard = 1;
        "slots differ": FooterField <- on_footer = |f| f.slots = [2, 3];
        "slot 0": FooterField <- on_footer = |f| f.slots = [0, 0];
        "epoch 0": FooterField <- on_footer = |f| f.epoch = 0;
        "seqs and records": FooterField <- on_footer = |f| f.records += 1;
        "seqs overflow": FooterField <- on_footer = |f| f.seqs = [1, u64::MAX];
        "no records and no fence": FooterField <- on_footer = |f| (f.seqs, f.records) = ([15, 14], 0);
        "fence with records": FooterField <- on_footer = |f| f.flags |= flag::FENCE | flag::COMPLETE;
        "time in 1970": FooterField <- on_footer = |f| f.times[0] = 0;
        "times go back": FooterField <- on_footer = |f| f.times.swap(0, 1);
        "index offset": FooterField <- on_footer = |f| f.index_offset += 1;
        "body longer than the object": FooterField <- on_footer = |f| { f.index_offset += 1 << 40; f.body_length += 1 << 40; };
        "lengths overflow": FooterField <- on_footer = |f| f.index_offset = u64::MAX;
        "no members": FooterField <- on_footer = |f| f.members = 1;
        "another archive": Archive <- on_footer = |f| f.archive = uuid::Uuid::from_u128(1);
        "another slot": Name <- on_footer = |f| f.slots = [3, 3];
        "body hash": BodyHash <- on_footer = |f| f.body_sha256 = Digest([0; 32]);
        "root": Meta <- on_footer = |f| f.root = Digest([0; 32]);
        "complete flag": Flags <- on_footer = |f| f.flags |= flag::COMPLETE;
        "missing gap flag": Flags <- on_footer = |f| f.flags &= !flag::GAPS;
        "missing late flag": Flags <- on_footer = |f| f.flags &= !flag::LATE;
        "missing back-dated flag": Flags <- on_footer = |f| f.flags &= !flag::BACK_DATED;
    }
    assert_eq!(code("wrong root", |forge| forge.footer.root = Digest([0; 32])), Code::Root);
    assert_eq!(code("wrong last time", |forge| forge.footer.times[1] += 1), Code::Time);
}

#[test]
fn damage_to_public_frame_and_index_has_its_code() {
    cases! {
        "no public frame": Public <- on_public = Vec::clear;
        "public magic": Public <- on_public = |p| p[0] ^= 1;
        "public length": Public <- on_public = |p| p.push(b' ');
        "public hash": Public <- on_public = |p| p[60] ^= 1;
        "public JSON": Public <- on_public = |p| {
            p.truncate(48);
            p.extend_from_slice(b"{}");
            p[16..48].copy_from_slice(&Digest::of(b"{}").0);
            p[4..8].copy_from_slice(&42_u32.to_le_bytes());
        };
        "index hash": IndexHash <- on_footer = |f| f.index_sha256 = Digest([0; 32]);
        "index content size": Zstd <- on_footer = |f| f.index_content += 1;
        "index too large": Limit <- on_footer = |f| f.index_content = u32::MAX;
        "index name": Tar <- on_index_content = |c| c[1] ^= 1;
        "no end of the tar file": Tar <- on_index_content = |c| c.truncate(c.len() - 512);
        "data after the end": Tar <- on_index_content = |c| c.extend_from_slice(&[0; 512]);
        "bytes after the index": Index <- on_index_bytes = |b| b.push(0);
        "index cut": Index <- on_index_bytes = |b| { b.pop(); };
        "index magic": Index <- on_index_bytes = |b| b[0] ^= 1;
        "2^63 frames": Index <- on_index_bytes = |b| b[48] = 0x80;
        "no frames": Index <- on_index = |i| i.frames.clear();
        "filter": Index <- on_index = |i| i.filter = vec![1];
        "keys": Index <- on_index = |i| i.frames[0].first_key = vec![1];
        "hole": Index <- on_index = |i| i.frames[0].offset = 1;
        "short frame": Index <- on_index = |i| i.frames[0].length -= 1;
        "frame outside": Index <- on_index = |i| i.frames[0].length = u32::MAX;
        "members in total": Count <- on_index = |i| i.members += 1;
        "records in total": Count <- on_index = |i| i.records += 1;
        "frame hash": FrameHash <- on_index = |i| i.frames[0].sha256 = [0; 32];
        "frame content too large": Limit <- on_index = |i| i.frames[0].content = u32::MAX;
        "frame content size lies": Zstd <- on_index = |i| i.frames[0].content += 512;
        "first seq of the frame": Count <- on_index = |i| i.frames[0].first_seq = 2;
        "last time of the frame": Count <- on_index = |i| i.frames[0].last_time += 1;
    }
}

#[test]
fn damage_to_frames_and_members_has_its_code() {
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 0];
    cases! {
        "frame magic": Zstd <- on_frame = |f| f[0] ^= 1;
        "frame checksum": Zstd <- on_frame = |f| { let last = f.len() - 1; f[last] ^= 1; };
        "no checksum": Zstd <- on_frame = |f| f[4] &= !0b100;
        "dictionary": Zstd <- on_frame = |f| f[4] |= 1;
        "reserved bit": Zstd <- on_frame = |f| f[4] |= 0b1000;
        "frame cut": Zstd <- on_frame = |f| f.truncate(f.len() - 1);
        "two frames": Zstd <- on_frame = |f| f.extend_from_within(..);
        "hidden frame": Zstd <- on_frame = move |f| f.extend_from_slice(&skippable);
        "header only": Zstd <- on_frame = |f| f.truncate(5);
        "wide window": Zstd <- on_frame = |f| *f = {
            // Not a single segment: the window has a byte of its own, here for 16 MiB.
            let mut wide = f.clone();
            wide[4] &= !0b10_0000;
            wide.insert(5, 14 << 3);
            wide
        };
        "tar checksum": Tar <- on_content = |c| c[148] ^= 1;
        "tar mode": Tar <- on_content = |c| replace(c, b"0000644", b"0000755");
        "symlink": Tar <- on_content = |c| c[156] = b'2';
        "PAX header": Tar <- on_content = |c| c[156] = b'x';
        "base-256 size": Tar <- on_content = |c| c[124] = 0x80;
        "huge size": Tar <- on_content = |c| c[124..135].fill(b'7');
        "name with dots": Tar <- on_content = |c| c[..9].copy_from_slice(b"../..meta");
        "padding": Tar <- on_content = |c| { let last = c.len() - 1; c[last] = 1; };
        "cut member": Tar <- on_content = |c| c.truncate(c.len() - 512);
        "no meta.json": Tar <- on_content = |c| { c.drain(..1024); };
        "member twice": Tar <- on_content = |c| c.extend_from_within(1024..);
        "meta says another epoch": Meta <- on_meta = |m| replace(m, br#""epoch":1"#, br#""epoch":2"#);
        "meta is not JSON": Meta <- on_meta = |m| { m[0] = b'['; };
        "meta without line feed": Meta <- on_meta = |m| { m.pop(); };
        "meta too large": Limit <- on_meta = |m| replace(m, b"test 1", &[b'x'; 70_000]);
    }
    assert_eq!(code("an empty member of lines", |forge| forge.lines[0].clear()), Code::Tar);
}

#[test]
fn damage_to_lines_has_its_code() {
    let line =
        |name: &str, from: &'static [u8], to: &'static [u8]| code(name, |forge| replace(&mut forge.lines[0], from, to));
    assert_eq!(line("not UTF-8", b"left the", b"left\xFFthe"), Code::Line);
    assert_eq!(line("CRLF", b"}\n", b"}\r\n"), Code::Line);
    assert_eq!(line("empty line", b"}\n", b"}\n\n"), Code::Line);
    assert_eq!(line("unknown op", br#""op":"X""#, br#""op":"Y""#), Code::Op);
    assert_eq!(line("seq repeats", br#"{"seq":2"#, br#"{"seq":1"#), Code::Seq);
    assert_eq!(line("seq jumps", br#"{"seq":2"#, br#"{"seq":4"#), Code::Seq);
    assert_eq!(line("time repeats", br#""t":1800000000000002"#, br#""t":1800000000000001"#), Code::Time);
    assert_eq!(line("another body", br#""text":"x""#, br#""text":"y""#), Code::Root);
    assert_eq!(line("another head", br#""reason":"left"#, br#""reason":"Left"#), Code::Root);
    assert_eq!(
        code("last line cut", |forge| {
            forge.lines[0].pop();
        }),
        Code::Line
    );
    assert_eq!(
        code("a record too many", |forge| {
            let more = b"{\"seq\":15,\"t\":1800000000000015,\"op\":\"H\"}\n";
            forge.lines[0].extend_from_slice(more);
        }),
        Code::Count
    );
    assert_eq!(
        code("a record too few", |forge| {
            let last = forge.lines[0].len() - b"{\"seq\":14,\"t\":1800000000000014,\"op\":\"H\"}\n".len();
            forge.lines[0].truncate(last);
        }),
        Code::Count
    );
}

#[test]
fn a_deep_check_finds_objects_that_are_not_canonical_or_belong_to_another_key() {
    let deep = |from: &'static [u8], to: &'static [u8]| {
        let mut records = samples::every_shape();
        records.truncate(1);
        let mut forge = Forge::new(&records);
        replace(&mut forge.lines[0], from, to);
        let line = std::str::from_utf8(&forge.lines[0]).expect("UTF-8").trim_end().to_owned();
        let frame = bytes::Bytes::copy_from_slice(line.as_bytes());
        let leaf = super::super::line::parse(&frame, 0, &line).expect("a good line").leaf;
        let mut tree = super::super::root::Tree::default();
        tree.push(leaf);
        forge.footer.root = tree.root();
        let segment = decode(&forge.build(), samples::ARCHIVE, 2).expect("good but for the object");
        match segment.check_objects().expect_err("a bad object") {
            crate::ArchiveError::Damaged(damage) => damage.code,
            error => panic!("{error}"),
        }
    };
    assert_eq!(deep(br#","spec":{"#, br#", "spec":{"#), Code::Object);
    assert_eq!(deep(br#""text":"x"}"#, br#""text":"x","text":"y"}"#), Code::Object);
    assert_eq!(deep(br#"{"apiVersion""#, br#"{"a":"\ud800","apiVersion""#), Code::Object);
    assert_eq!(deep(br#","uid":"u1"}"#, br#","uid":"u2"}"#), Code::Key);
    assert_eq!(deep(br#""resourceVersion":"5""#, br#""resourceVersion":"x""#), Code::Object);
}

#[test]
fn every_flipped_bit_every_cut_and_every_added_byte_of_a_small_segment_is_found() {
    let good = encode(&samples::draft(samples::every_shape())).expect("good records").bytes;
    let found = |bytes: Vec<u8>, what: &str, at: usize| {
        assert!(decode(&bytes.into(), samples::ARCHIVE, 2).is_err(), "{what} at {at} was not found");
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

#[test]
fn a_damaged_segment_says_which_records_are_still_intact() {
    let key = samples::vm_key("big", "u");
    let noise = |seed: u64| -> String {
        let mut state = seed;
        let next = std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 59) as u8 % 26)
        });
        next.take(1 << 20).collect()
    };
    let records: Vec<_> = (1..=11)
        .map(|seq| {
            let object = samples::object(&key, seq, &noise(seq));
            let (op, rv) = (vmrewind_model::ObjectOp::Modified, vmrewind_model::Rv(seq));
            samples::record(seq, vmrewind_model::Change::Object { op, key: key.clone(), rv, object, from_seq: None })
        })
        .collect();
    let good = encode(&samples::draft(records)).expect("good records").bytes;
    let fault = |bytes: Vec<u8>| {
        super::super::decode::decode_or_salvage(&bytes.into(), samples::ARCHIVE, 2).expect_err("damaged").fault
    };
    let mut flipped = good.to_vec();
    flipped[good.len() / 2] ^= 1;
    let found = fault(flipped);
    assert_eq!(found.code, Code::BodyHash);
    assert_eq!(found.readable, [SeqRange::new(Seq(1), Seq(4)), SeqRange::new(Seq(9), Seq(11))]);
    assert!(found.offset.is_some_and(|offset| offset > 0 && offset < good.len() as u64 / 2));
    let cut = fault(good[..good.len() / 2].to_vec());
    assert_eq!((cut.code, cut.readable), (Code::FooterMagic, vec![SeqRange::new(Seq(1), Seq(4))]));
    let damage = fault(good[..good.len() / 2].to_vec()).in_object("log/0000/0000000000000002".into(), Some(2));
    let text = damage.to_string();
    assert!(
        text.contains("log/0000/0000000000000002 is damaged") && text.ends_with("still readable: records 1 to 4"),
        "{text}"
    );
}

#[test]
fn a_segment_must_follow_the_one_before_in_every_respect() {
    let good = decode(&Forge::new(&samples::every_shape()).build(), samples::ARCHIVE, 2).expect("good").summary;
    let mut before = Before::first();
    before.head.segment = 1;
    (before.head.epoch, before.head.nonce) = (Epoch(1), [7; 16]);
    (before.head.t, before.head.digest) = (samples::t(0), Digest::of(b"before"));
    before.check(&good).expect("it follows");
    let mut fence = good.clone();
    (fence.fence, fence.epoch, fence.nonce) = (true, Epoch(2), [8; 16]);
    before.check(&fence).expect("a fence follows");
    let code = |change: &dyn Fn(&mut Before), next: &super::SegmentSummary| {
        let mut other = before.clone();
        change(&mut other);
        other.check(next).expect_err("it does not follow").code
    };
    assert_eq!(code(&|b| b.head.segment = 2, &good), Code::Missing);
    assert_eq!(code(&|b| b.head.digest = Digest([1; 32]), &good), Code::Chain);
    assert_eq!(code(&|b| b.head.epoch = Epoch(2), &good), Code::Epoch);
    assert_eq!(code(&|b| b.head.nonce = [1; 16], &good), Code::Epoch);
    assert_eq!(code(&|b| b.head.epoch = Epoch(2), &fence), Code::Epoch);
    assert_eq!(code(&|b| b.head.nonce = [8; 16], &fence), Code::Epoch);
    assert_eq!(code(&|b| b.head.seq = Seq(1), &good), Code::Seq);
    assert_eq!(code(&|b| b.head.t = samples::t(1), &good), Code::Time);
    assert_eq!(code(&|b| b.head.t = samples::t(2), &fence), Code::Time);
    let mut unknown = before.clone();
    (unknown.digest_known, unknown.head.digest) = (false, Digest([1; 32]));
    unknown.check(&good).expect("a digest that is not known cannot differ");
}
