//! Tarballs that nobody should have made.

use std::io::Write as _;

use super::*;

const SMALL: Limits =
    Limits { total: 1 << 20, members: 20, member: 64 * 1024, path: 500, paths: 800, broken: 5, manifest: 128 * 1024 };

fn members(bytes: Vec<u8>) -> Result<Vec<Member>, String> {
    let start = bytes[..bytes.len().min(BLOCK)].to_vec();
    let mut members = Members::of(io::Cursor::new(bytes), &start, SMALL).map_err(|error| error.message)?;
    let mut all = Vec::new();
    while let Some(member) = members.next().map_err(|error| error.message)? {
        all.push(member);
    }
    Ok(all)
}

fn refused(bytes: Vec<u8>, why: &str) {
    let error = members(bytes).map(|members| members.len()).expect_err(why);
    assert!(error.contains(why), "{why}: {error}");
}

/// A tarball with one member of a kind, whatever its path.
fn one(path: &[u8], kind: EntryType, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(7);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn ended(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend([0; 2 * BLOCK]);
    bytes
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    one(path.as_bytes(), EntryType::Regular, content.len() as u64, content)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).expect("in memory");
    out.finish().expect("in memory")
}

#[test]
fn plain_gzip_and_zstd_are_read_alike() {
    let plain = ended([file("./a/b.json", b"{}"), one(b"dir/", EntryType::Directory, 0, b""), file("c", b"")].concat());
    let zstd = zstd::stream::encode_all(&plain[..], 3).expect("in memory");
    for bytes in [plain.clone(), gzip(&plain), zstd] {
        let all = members(bytes).expect("readable");
        let told: Vec<(&str, u64, Option<&[u8]>)> =
            all.iter().map(|member| (member.path.as_str(), member.mtime, member.content.as_deref())).collect();
        assert_eq!(told, [("a/b.json", 7, Some(&b"{}"[..])), ("c", 7, Some(&b""[..]))]);
    }
}

#[test]
fn paths_that_lead_outside_are_refused() {
    for path in ["../x", "/etc/passwd", "a/../../x", "a//b", "a/./b", "a\\b", "", "a\nb"] {
        refused(ended(file(path, b"x")), "is no path inside");
    }
    let long = [one(b"long", EntryType::GNULongName, 5, b"../x\0"), file("good", b"x")].concat();
    refused(ended(long), "is no path inside");
    let pax = b"16 path=../../x\n";
    refused(ended([one(b"pax", EntryType::XHeader, 16, pax), file("good", b"x")].concat()), "is no path inside");
}

#[test]
fn links_devices_and_files_with_holes_are_refused() {
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::GNULongLink,
    ];
    for kind in kinds {
        refused(ended(one(b"x", kind, 0, b"")), "neither a file nor a directory");
    }
    let sparse = b"22 GNU.sparse.major=1\n";
    refused(ended([one(b"pax", EntryType::XHeader, 22, sparse), file("x", b"")].concat()), "has holes");
    refused(
        ended([one(b"pax", EntryType::XHeader, 4, b"9 x\n"), file("x", b"")].concat()),
        "extended header is damaged",
    );
    refused(
        ended([one(b"pax", EntryType::XGlobalHeader, 10, b"10 path=x\n"), file("x", b"")].concat()),
        "one path to all",
    );
}

#[test]
fn what_is_cut_off_or_changed_anywhere_is_refused() {
    let good = ended([file("a", &[b'x'; 700]), file("b", b"y")].concat());
    assert_eq!(members(good.clone()).expect("good").len(), 2);
    for length in [BLOCK, 600, 2 * BLOCK, 3 * BLOCK, good.len() - BLOCK, good.len() - 1] {
        refused(good[..length].to_vec(), "it is cut off");
    }
    let zipped = gzip(&good);
    for length in 20..zipped.len() {
        assert!(members(zipped[..length].to_vec()).is_err(), "{length} of {} bytes", zipped.len());
    }
    let mut changed = good.clone();
    changed[0] ^= 1;
    refused(changed, "the header of a member is damaged");
    refused([good.clone(), vec![1; BLOCK]].concat(), "something follows its end");
    refused([file("a", b""), vec![0; BLOCK], file("b", b"")].concat(), "hole between");
    refused(b"PK\x03\x04".to_vec(), "no tarball");
    refused(Vec::new(), "no tarball");
}

#[test]
fn a_bomb_is_stopped_and_memory_follows_what_is_there() {
    let large = vec![0; 100 * 1024];
    let all = members(ended([file("big", &large), file("manifest.json", &large)].concat())).expect("passed over");
    assert!(all[0].content.is_none() && all[1].content.is_some());
    let bomb = gzip(&ended(file("bomb", &vec![0; 4 << 20])));
    assert!(bomb.len() < 16 * 1024);
    refused(bomb, "too large");
    refused(ended((0..21).flat_map(|n| file(&n.to_string(), b"")).collect()), "more than 20 members");
    refused(one(b"lie", EntryType::Regular, 60 * 1024, b"x"), "cut off");
    let mut huge = Header::new_gnu();
    huge.set_path("huge").expect("a path");
    huge.set_entry_type(EntryType::Regular);
    huge.set_size(u64::MAX);
    huge.set_cksum();
    assert!(members(huge.as_bytes().to_vec()).is_err());
    refused(one(b"long", EntryType::GNULongName, 100 * 1024, &large), "are said of one member");
}

#[test]
fn names_are_bounded_one_by_one_and_together_and_so_is_what_cannot_be_recorded() {
    let named = |name: &str| {
        let long = name.as_bytes();
        [one(b"long", EntryType::GNULongName, long.len() as u64, long), file("x", b"")].concat()
    };
    assert_eq!(members(ended(named(&"x".repeat(500)))).expect("within").len(), 1);
    refused(ended(named(&"x".repeat(501))), "longer than 500 bytes");
    refused(ended([named(&"x".repeat(401)), named(&"y".repeat(400))].concat()), "paths take more than 800 bytes");
    let long = members(ended(named(&format!("../{}", "x".repeat(2000))))).map(|all| all.len()).expect_err("outside");
    assert!(long.len() < 200, "{long}");

    let dir = tempfile::tempdir().expect("a directory");
    let broken = |count: usize| {
        let path = dir.path().join("a.tar");
        let one = |n| file(&format!("resources/pods/namespaces/p/{n}.json"), b"{\"a\":1,\"a\":2}");
        let files = std::iter::once(file("metadata/version", b"1.1.0")).chain((0..count).map(one));
        std::fs::write(&path, ended(files.flatten().collect())).expect("written");
        crate::portable::incoming::read(&path, SMALL).map_err(|error| error.message)
    };
    assert_eq!(broken(5).expect("within").broken.len(), 5);
    assert!(broken(6).expect_err("too many").contains("more than 5 objects in it cannot be recorded"));
}

#[test]
fn no_changed_bit_makes_it_fall_over_and_none_in_a_gzip_goes_unnoticed() {
    let plain = ended(
        [file("a/b.json", b"{\"x\":1}"), one(b"p", EntryType::XHeader, 10, b"10 path=y\n"), file("c", b"z")].concat(),
    );
    for bit in 0..plain.len() * 8 {
        let mut changed = plain.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let all = members(changed).unwrap_or_default();
        assert!(all.iter().all(|member| !member.path.starts_with('/') && !member.path.contains("..")), "bit {bit}");
    }
    let zipped = gzip(&plain);
    let told =
        |members: Vec<Member>| -> Vec<_> { members.into_iter().map(|member| (member.path, member.content)).collect() };
    let good = told(members(zipped.clone()).expect("good"));
    for bit in 0..zipped.len() * 8 {
        let mut changed = zipped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(all) = members(changed) {
            assert_eq!(told(all), good, "bit {bit}"); // the time in the header, say
        }
    }
}
