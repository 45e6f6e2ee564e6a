//! The vectors in `spec/vectors`: what every reader must say to the same bytes.
//!
//! To write them anew after a change of the format: `VMREWIND_WRITE_VECTORS=1 cargo test -p vmrewind-archive vectors`.

mod bundles;
mod checkpoints;
mod file;
mod manifests;
mod sealed;
mod set;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use bytes::Bytes;
use vmrewind_model::Digest;
use zeroize::Zeroizing;

use super::super::{
    Code, bundle,
    decode::decode,
    encode::encode,
    fault::{Checked, Fault, demand},
    footer::Kind,
    frame::{FrameHeader, Unpacker},
    home::{Home, Keys, Lock, RootKey},
    link::Before,
};
use crate::{
    ArchiveError, Identity,
    manifest::{Found, Manifest},
    paths, samples, window,
};
use file::Vector;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors")
}

fn on_disk() -> BTreeMap<String, Vector> {
    let files = fs::read_dir(folder()).expect("the folder is there").map(|file| file.expect("listed").path());
    let texts = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    texts
        .map(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
            let text = fs::read_to_string(&path).expect("readable");
            (name.clone(), Vector::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect()
}

/// Returns the concatenated contents of the data frames.
fn content(object: &Bytes) -> Vec<u8> {
    let mut unpacker = Unpacker::new().expect("zstd");
    let (mut at, mut out) = (0, Vec::new());
    let mut frames = Vec::new();
    while let Ok(header) = object.get(at..).map_or(Err(Fault::new(Code::Zstd, "")), FrameHeader::parse) {
        let length = zstd::zstd_safe::find_frame_compressed_size(&object[at..]).expect("a frame");
        frames.push(unpacker.unpack(&object[at..at + length], header.content).expect("a good frame"));
        at += length;
    }
    frames.pop().expect("the last frame is the index");
    frames.iter().for_each(|frame| out.extend_from_slice(frame));
    out
}

/// What this reader says to a vector: the code, or none.
fn said(vector: &Vector, all: &BTreeMap<String, Vector>) -> Option<Code> {
    match vector.get("object") {
        Some("identity") => return Identity::check(&vector.object).err().map(|fault| fault.code),
        Some("bundle" | "checkpoint") => return said_of_bundle(vector).err().map(|fault| fault.code),
        Some("keys") => return said_of_keys(vector).err().map(|fault| fault.code),
        Some("age") => return said_of_age(vector).err().map(|fault| fault.code),
        Some("manifest") => return said_of_manifest(vector, all).err().map(|fault| fault.code),
        _ => {}
    }
    let slot = vector.number("slot");
    let segment = match decode(&vector.object, home(vector), slot) {
        Ok(segment) => segment,
        Err(fault) => return Some(fault.code),
    };
    if let Some(before) = vector.get("follows") {
        let before = &all[before];
        let before = decode(&before.object, home(before), before.number("slot")).expect("what it follows is good");
        let before = Before::of(&before.summary, Some(before.digest));
        if let Err(fault) = before.check(&segment.summary) {
            return Some(fault.code);
        }
    }
    if slot == 1
        && let Err(fault) = Before::first().check(&segment.summary)
    {
        return Some(fault.code);
    }
    if vector.get("expect") == Some("ok") {
        assert_eq!(vector.get("records"), Some(segment.summary.records.to_string().as_str()));
        assert_eq!(vector.get("root"), Some(segment.summary.root.hex().as_str()));
        assert_eq!(vector.get("sha256"), Some(segment.digest.hex().as_str()));
        assert_eq!(vector.get("content"), Some(Digest::of(&content(&body(vector))).hex().as_str()));
    }
    match segment.check_objects() {
        Ok(()) => None,
        Err(ArchiveError::Damaged(damage)) => {
            assert_eq!(vector.get("deep"), Some("yes"));
            Some(damage.code)
        }
        Err(error) => panic!("{error}"),
    }
}

/// Returns what the reader of a vector has.
fn home(vector: &Vector) -> Home {
    let Some(root) = vector.get("root-key") else { return samples::ARCHIVE.into() };
    let keys = Keys {
        recipients: Vec::new(),
        root: RootKey(Zeroizing::new(sealed::unhex(root).try_into().expect("32 bytes"))),
        own: vec![vector.get("identity").and_then(|text| text.parse().ok()).expect("an identity")],
        seed: None,
    };
    Home { archive: samples::ARCHIVE, lock: Lock::Open(keys.into()) }
}

/// Returns the content of the body of a good vector.
fn body(vector: &Vector) -> Bytes {
    let kind = match vector.get("object") {
        Some("bundle") => Kind::History,
        Some("checkpoint") => Kind::Checkpoint,
        _ => Kind::Log,
    };
    sealed::body(&vector.object, kind, &home(vector))
}

fn said_of_keys(vector: &Vector) -> Checked<()> {
    let identity = [vector.get("identity").and_then(|text| text.parse().ok()).expect("an identity")];
    let prev = vector.get("prev").and_then(bundle::digest).expect("a digest");
    let root = crate::keys::check(&vector.object, samples::ARCHIVE, vector.number("n"), prev, &identity)?;
    assert_eq!(vector.get("root-key"), Some(super::super::meta::hex(&*root.0).as_str()));
    Ok(())
}

fn said_of_age(vector: &Vector) -> Checked<()> {
    let identity = [vector.get("identity").and_then(|text| text.parse().ok()).expect("an identity")];
    let content = super::super::age::open_file(&vector.object, &identity)?;
    assert_eq!(vector.get("plaintext"), Some(super::super::meta::hex(&content).as_str()));
    Ok(())
}

fn said_of_bundle(vector: &Vector) -> Checked<()> {
    let rolled =
        bundles::read_window(vector.get("window").expect("a window"), vector.get("object") == Some("checkpoint"));
    let part = usize::try_from(vector.number("part")).expect("small") - 1;
    let mut lines = 0;
    let read = bundle::whole(rolled.kind(), &vector.object, home(vector), window::number(part), |_| lines += 1)?;
    demand(vector.object.len() as u64 == rolled.parts[part].size, Code::Count, "its size")?;
    window::belongs(&read, &rolled, part)?;
    let digest = Digest::of(&vector.object);
    if let Some(name) = vector.get("name") {
        demand(paths::bundle(rolled.kind(), &digest) == name, Code::Name, "its name")?;
    }
    if vector.get("expect") == Some("ok") {
        assert_eq!((vector.number("records"), lines), (read.records, read.records));
        assert_eq!(vector.get("root"), Some(read.root.hex().as_str()));
        assert_eq!(vector.get("sha256"), Some(digest.hex().as_str()));
        assert_eq!(vector.get("content"), Some(Digest::of(&content(&body(vector))).hex().as_str()));
    }
    Ok(())
}

fn said_of_manifest(vector: &Vector, all: &BTreeMap<String, Vector>) -> Checked<()> {
    let read = |vector: &Vector| {
        let manifest = Manifest::parse(&vector.object, &home(vector), vector.number("n"))?;
        Ok(Found { manifest, digest: Digest::of(&vector.object) })
    };
    let found = read(vector)?;
    if let Some(before) = vector.get("follows") {
        found.manifest.follows(&read(&all[before]).expect("what it follows is good"))?;
    }
    Ok(())
}

#[test]
fn this_reader_says_to_every_vector_what_the_vector_demands() {
    if std::env::var_os("VMREWIND_WRITE_VECTORS").is_some() {
        let mut names = BTreeSet::new();
        for (name, vector) in set::all()
            .into_iter()
            .chain(bundles::all())
            .chain(checkpoints::all())
            .chain(manifests::all())
            .chain(manifests::sealed())
            .chain(sealed::all())
        {
            assert!(names.insert(name.clone()), "{name} is there twice");
            fs::write(folder().join(name), vector.to_text()).expect("written");
        }
    }
    let all = on_disk();
    assert!(all.len() >= 50, "only {} vectors", all.len());
    for (name, vector) in &all {
        let said = said(vector, &all).map_or("ok", Code::as_str);
        assert_eq!(Some(said), vector.get("expect"), "{name}");
    }
}

#[test]
fn every_code_that_one_object_can_have_has_a_vector() {
    let all = on_disk();
    for code in Code::ALL {
        assert!(all.values().any(|vector| vector.get("expect") == Some(code.as_str())), "{code} has no vector");
    }
}

#[test]
fn the_writer_gives_the_same_content_as_when_the_vectors_were_made() {
    let all = on_disk();
    for (name, draft) in set::good() {
        let fresh = encode(&draft).expect("a good draft");
        assert_eq!(all[name].get("content"), Some(Digest::of(&content(&fresh.bytes)).hex().as_str()), "{name}");
    }
    for (name, draft) in sealed::good() {
        let fresh = sealed::body(&encode(&draft).expect("a good draft").bytes, Kind::Log, &draft.home);
        assert_eq!(all[name].get("content"), Some(Digest::of(&content(&fresh)).hex().as_str()), "{name}");
    }
    let again = |vector: &Vector| sealed::sealed_again(vector).map(|again| assert_eq!(again, vector.object));
    assert_eq!(all.values().filter_map(again).count(), 4, "age files that can be made again byte for byte");
    for (name, _, draft, lines, cut) in bundles::good() {
        let (_, fresh) = bundles::encode(draft, &lines, cut);
        assert_eq!(all[name].get("content"), Some(Digest::of(&content(&fresh)).hex().as_str()), "{name}");
    }
}

#[test]
fn the_specification_lists_every_code_and_no_other() {
    let spec = fs::read_to_string(folder().join("../format.md")).expect("the specification is there");
    let rows = spec.lines().filter_map(|line| line.strip_prefix("| `E_")?.split_once('`'));
    let listed: Vec<String> = rows.map(|(name, _)| format!("E_{name}")).collect();
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, known);
}
