//! The vectors of encrypted archives: age files, files of keys, segments and bundles.

use bytes::Bytes;
use vmrewind_model::Digest;
use zeroize::Zeroizing;

use super::{
    super::{
        super::{
            Code,
            age::{self, Drawn},
            encode::{self, Draft},
            footer::{Footer, Kind, LEN, flag},
            home::Home,
        },
        silent,
    },
    bundles, content,
    file::{self, Vector},
    set,
};
use crate::{NewKeys, Recipient, Recipients, SecretKey, keys, manifest::Rolled, samples};

/// An age file for the first key of the samples, written by the crate age 0.12.1.
const FOREIGN: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBHQXlXMzRTc1FvZUYwaUhjTGQ4S1JhZTVQMWxGVENKNUh5eHlOWHlXVlRnCmZpMkl2OUxTcXdMajhRNVgxL3MybnZNOVlWcXdZdi9pZEgrK04wbko2ZkkKLT4gWDI1NTE5IExWWWFRL1p1QUFhbFJHeUlIZVFUelZ6WjdYZGNxT3dhTHZjNUdpUHo1eVUKTm84QURncUFZbm9SSHRhZTlJMXRyalc3bEQ1RG9vN0UrYnp5Ym4rbW1nQQotPiBufFYyPzgtZ3JlYXNlCnlhK1IyaHc0Z3ByWGZSS051dwotLS0gVDVCQVZmU3B4ZXNoZ2ptZmFNT1pqcWtYVVlkSmhSTmNJbVlqblRNRm9MOApkoUsGcEiuzEznlnOhRrmWX7ArBtwAp1WWV8UT+wcL7rEZ4xOkB8p5apUY06Z+NLIxR9yiA1h6zuEnRQ==";

type Named = (String, Vector);

pub(super) fn all() -> Vec<Named> {
    let mut all = ages();
    all.extend(key_files());
    all.extend(segments());
    all.extend(bundles_());
    all
}

fn hex(bytes: &[u8]) -> String {
    super::super::super::meta::hex(bytes)
}

/// Reads hex digits.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex digits")).collect()
}

// --- age files

/// What the good age files are made of.
fn drawn(recipients: usize) -> Drawn {
    let ephemeral = (0..recipients).map(|n| Zeroizing::new([0x20 + u8::try_from(n).expect("few"); 32])).collect();
    Drawn { file_key: Zeroizing::new(*b"the key of file "), nonce: [0x11; 16], ephemeral }
}

fn age_file(comment: &str, expect: &str, object: Vec<u8>) -> Vector {
    let identity = samples::secret(1).reveal();
    let headers = [("comment", comment), ("object", "age"), ("expect", expect), ("identity", identity.as_str())];
    Vector::new(&headers, object.into())
}

/// Makes an age file out of the headers of a good vector.
pub(super) fn sealed_again(vector: &Vector) -> Option<Vec<u8>> {
    let words = |name| vector.get(name).map(|text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let recipients: Vec<Recipient> =
        words("recipients")?.iter().map(|text| text.parse().expect("a recipient")).collect();
    let bytes32 = |text: &String| Zeroizing::new(<[u8; 32]>::try_from(unhex(text)).expect("32 bytes"));
    let drawn = Drawn {
        file_key: Zeroizing::new(unhex(vector.get("file-key")?).try_into().expect("16 bytes")),
        nonce: unhex(vector.get("nonce")?).try_into().expect("16 bytes"),
        ephemeral: words("ephemeral")?.iter().map(bytes32).collect(),
    };
    Some(age::seal(&unhex(vector.get("plaintext")?), &recipients, &drawn).expect("good").0)
}

/// Puts a stanza with a share of small order into the header of a file, in place of its stanzas or before them, with a MAC that is right.
fn hides_nothing(small: &[u8], point: u8, alone: bool) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
    use hmac::Mac as _;
    let find = |from: usize, word: &[u8]| {
        from + small[from..].windows(word.len()).position(|window| window == word).expect("it is there")
    };
    let (stanzas, end) = (find(0, b"-> "), find(0, b"---"));
    let body = find(stanzas, b"\n") + 1;
    let mut share = [0; 32];
    share[0] = point;
    let mut out = small[..stanzas].to_vec();
    out.extend_from_slice(format!("-> X25519 {}\n", BASE64.encode(share)).as_bytes());
    out.extend_from_slice(&small[body..=find(body, b"\n")]);
    out.extend_from_slice(if alone { b"" } else { &small[stanzas..end] });
    out.extend_from_slice(b"---");
    let mut key = [0; 32];
    let file_key = hkdf::Hkdf::<sha2::Sha256>::new(Some(&[]), &*drawn(2).file_key);
    file_key.expand(b"header", &mut key).expect("32 bytes");
    let mut mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(&key).expect("any length");
    mac.update(&out);
    out.extend_from_slice(format!(" {}", BASE64.encode(mac.finalize().into_bytes())).as_bytes());
    out.extend_from_slice(&small[find(end, b"\n")..]);
    out
}

fn ages() -> Vec<Named> {
    let to = [1, 2].map(|n| samples::secret(n).recipient());
    let good = |name: &str, comment: &str, plaintext: &[u8]| {
        let drawn = drawn(2);
        let object = age::seal(plaintext, &to, &drawn).expect("good").0;
        let vector = age_file(comment, "ok", object)
            .with("plaintext", &hex(plaintext))
            .with("file-key", &hex(&*drawn.file_key))
            .with("nonce", &hex(&drawn.nonce))
            .with("ephemeral", &drawn.ephemeral.iter().map(|secret| hex(&**secret)).collect::<Vec<_>>().join(" "))
            .with("recipients", &to.map(|recipient| recipient.to_string()).join(" "));
        (format!("ok-age-{name}.txt"), vector)
    };
    let foreign = file::decode(FOREIGN).expect("base64");
    let plaintext = hex(b"written by another program\n");
    let foreign = age_file("written by the crate age 0.12.1", "ok", foreign).with("plaintext", &plaintext);
    let mut all = vec![
        good("small", "two recipients", b"a body\n"),
        good("empty", "nothing", b""),
        good("full-chunk", "exactly one chunk, which is the last one", &[b'x'; 65_536]),
        good("two-chunks", "a chunk and one byte", &[b'x'; 65_537]),
        ("ok-age-foreign.txt".to_owned(), foreign),
    ];
    let small = age::seal(b"a body\n", &to, &drawn(2)).expect("good").0;
    let end = small.len();
    let with = |at: usize| {
        let mut bytes = small.clone();
        bytes[at] ^= 1;
        bytes
    };
    let text = |from: &str, to: &str| {
        let mut bytes = small.clone();
        super::super::forge::replace(&mut bytes, from.as_bytes(), to.as_bytes());
        bytes
    };
    let at = |word: &[u8]| small.windows(word.len()).position(|window| window == word).expect("it is there");
    let crowd: Vec<Recipient> = (1..18).map(|n| samples::secret(n).recipient()).collect();
    let (many, header) = age::seal(b"", &crowd[..16], &drawn(16)).expect("good");
    let stanza_at = many.windows(3).position(|window| window == b"-> ").expect("a stanza");
    let stanza = &many[stanza_at..stanza_at + 98];
    let seventeen = [&many[..stanza_at], stanza, &many[stanza_at..]].concat();
    assert!(header < 4096 && stanza.ends_with(b"\n"));
    let strangers = age::seal(b"a body\n", &crowd[5..7], &drawn(2)).expect("good").0;
    let chunks = age::seal(&vec![b'x'; 65_537], &to, &drawn(2)).expect("good").0;
    let rows: Vec<(&str, Code, &str, Vec<u8>)> = vec![
        ("version", Code::Age, "another version", text("org/v1", "org/v2")),
        ("stanza", Code::Age, "a passphrase beside a recipient", text("-> X25519", "-> scrypt")),
        ("stanza-long", Code::Age, "a stanza with more words than its kind has", text("-> X25519", "-> X25519 x")),
        ("stanza-space", Code::Age, "an empty word in a stanza", text("-> X25519", "->  X25519")),
        ("share", Code::NoKey, "another ephemeral share for our key", with(at(b"-> X25519") + 12)),
        ("padding", Code::Age, "base64 that is padded", text("\n--- ", "=\n--- ")),
        ("mac", Code::Age, "another MAC", with(at(b"\n--- ") + 6)),
        ("crlf", Code::Age, "CR LF behind the version", text("v1\n", "v1\r\n")),
        ("no-end", Code::Age, "a header without end", small[..at(b"\n---")].to_vec()),
        ("recipients", Code::Age, "17 recipients", seventeen),
        ("nonce", Code::Age, "another nonce", with(end - 7 - 16 - 16)),
        ("chunk", Code::Age, "another byte in the chunk", with(end - 20)),
        ("tag", Code::Age, "another tag", with(end - 1)),
        ("cut", Code::Age, "the last byte is missing", small[..end - 1].to_vec()),
        ("longer", Code::Age, "a byte more", [&small[..], b"x"].concat()),
        ("no-last", Code::Age, "the last chunk is missing", chunks[..chunks.len() - 17].to_vec()),
        ("no-key", Code::NoKey, "other recipients", strangers),
        ("share-zero", Code::Age, "a share that hides nothing, and no other stanza", hides_nothing(&small, 0, true)),
        (
            "share-one",
            Code::Age,
            "a share that hides nothing before stanzas that open",
            hides_nothing(&small, 1, false),
        ),
    ];
    all.extend(rows.into_iter().map(|(name, code, comment, object)| {
        (format!("bad-age-{name}.txt"), age_file(comment, code.as_str(), object))
    }));
    all
}

// --- files of keys

fn key_files() -> Vec<Named> {
    let to = Recipients::new([1, 2].map(|n| samples::secret(n).recipient()).to_vec(), false).expect("two");
    let new = NewKeys { recipients: to, root_key: samples::ROOT_KEY, seed: [6; 32] };
    let identity = crate::Identity {
        format: crate::format::VERSION,
        features: crate::Features::default(),
        archive: samples::ARCHIVE,
        encrypted: true,
        cluster: "2f1e0a5c-0000-4000-8000-000000000001".into(),
        created: samples::t(0),
        software: "test 1".into(),
    };
    let bytes = identity.to_bytes().expect("good");
    let good = keys::first(&identity, &bytes, &new, "test 1").expect("good");
    let text = String::from_utf8(good.to_vec()).expect("JSON");
    let prev = Digest::of(&bytes).hex();
    let archive = samples::ARCHIVE.hyphenated().to_string();
    let vector = |comment: &str, expect: &str, object: String| {
        let identity = samples::secret(1).reveal();
        let headers = [
            ("comment", comment),
            ("object", "keys"),
            ("expect", expect),
            ("archive", &archive),
            ("n", "1"),
            ("prev", &prev),
            ("identity", &identity),
        ];
        Vector::new(&headers, object.into())
    };
    let root = hex(&samples::ROOT_KEY);
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} in {text}");
        text.replacen(from, to, 1)
    };
    let other = samples::secret(3).recipient().to_string();
    let ours: Vec<String> = new.recipients.as_slice().iter().map(ToString::to_string).collect();
    let pair = format!("\"{}\",\"{}\"", ours[0], ours[1]);
    let swapped = format!("\"{}\",\"{}\"", ours[1], ours[0]);
    let rows: Vec<(&str, Code, &str, String)> = vec![
        ("mac", Code::Keys, "not written by anybody who knows the root key", changed("test 1", "test 2")),
        ("recipient", Code::Keys, "a recipient was put in the place of another", {
            let mut names = ours.clone();
            names[0] = other;
            let mut keys: Vec<Recipient> = names.iter().map(|name| name.parse().expect("good")).collect();
            keys.sort_unstable();
            changed(&pair, &format!("\"{}\",\"{}\"", keys[0], keys[1]))
        }),
        ("order", Code::Keys, "recipients that are not in order", changed(&pair, &swapped)),
        ("nobody", Code::Keys, "no recipients", changed(&pair, "")),
        ("ssh", Code::Keys, "a recipient of another kind", changed(&ours[0], "ssh-ed25519 AAAA")),
        ("twice", Code::Keys, "a member twice", changed("\"n\":1,", "\"n\":1,\"n\":1,")),
        ("behind-mac", Code::Keys, "a member behind the mac", changed("\"}\n", "\",\"x\":1}\n")),
        ("no-line-feed", Code::Keys, "no line feed at the end", changed("\"}\n", "\"}")),
        ("version", Code::Version, "format 0.4", changed("\"minor\":3", "\"minor\":4")),
        ("name", Code::Name, "another number", changed("\"n\":1", "\"n\":2")),
        ("chain", Code::Chain, "it follows something else", changed(&prev, &"0".repeat(64))),
        ("archive", Code::Archive, "another archive", {
            let mut other = archive.clone();
            other.replace_range(..1, if archive.starts_with('0') { "1" } else { "0" });
            changed(&archive, &other)
        }),
        ("large", Code::TooLarge, "more than 64 KiB", changed("test 1", &"x".repeat(70_000))),
    ];
    let mut all =
        vec![("ok-keys.txt".to_owned(), vector("the first file of keys", "ok", text.clone()).with("root-key", &root))];
    let stranger = SecretKey::new([9; 32]).reveal();
    let no_key = Vector::new(
        &[
            ("comment", "another identity"),
            ("object", "keys"),
            ("expect", Code::NoKey.as_str()),
            ("archive", &archive),
            ("n", "1"),
            ("prev", &prev),
            ("identity", &stranger),
        ],
        text.clone().into(),
    );
    all.push(("bad-keys-no-key.txt".to_owned(), no_key));
    all.extend(
        rows.into_iter().map(|(name, code, comment, object)| {
            (format!("bad-keys-{name}.txt"), vector(comment, code.as_str(), object))
        }),
    );
    all
}

// --- segments and bundles

/// Adds what the reader of an encrypted archive has.
pub(super) fn opened(vector: Vector) -> Vector {
    let identity = samples::secret(1).reveal();
    vector.with("identity", &identity).with("root-key", &hex(&samples::ROOT_KEY))
}

/// The drafts of good segments, in order.
pub(super) fn good() -> Vec<(&'static str, Draft)> {
    let mut plain = set::good().into_iter().map(|(_, draft)| draft);
    let (fence, shapes) = (plain.next().expect("a fence"), plain.next().expect("the shapes"));
    // Each draft has its own: what is drawn depends on what was drawn before.
    let fence = || Draft { home: samples::sealed(), ..fence.clone() };
    let prev = encode::encode(&fence()).expect("good").digest;
    let shapes = Draft { home: samples::sealed(), prev, ..shapes };
    vec![("ok-sealed-fence.txt", fence()), ("ok-sealed-shapes.txt", shapes)]
}

/// Changes what is stored of an encrypted object, and makes the hashes over it anew, as far as that needs no root key.
fn forged(good: &Bytes, kind: Kind, change: impl FnOnce(&mut Vec<u8>, &mut Footer)) -> Bytes {
    let mut footer = Footer::parse(good.last_chunk().expect("a footer"), kind).expect("good");
    let mut bytes = good[..good.len() - LEN].to_vec();
    change(&mut bytes, &mut footer);
    footer.body_sha256 = Digest::of(&bytes);
    bytes.extend_from_slice(&footer.to_bytes());
    bytes.into()
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).expect("small")
}

fn segments() -> Vec<Named> {
    let mut all = Vec::new();
    let mut before: Option<&str> = None;
    for (name, draft) in good() {
        let bytes = encode::encode(&draft).expect("good").bytes;
        let mut vector = opened(set::segment("in an encrypted archive", draft.slot, "ok", bytes.clone()));
        if let Some(before) = before {
            vector = vector.with("follows", before);
        }
        all.push((name.to_owned(), set::described(vector, &content(&body(&bytes, Kind::Log, &draft.home)))));
        before = Some(name);
    }
    let (_, draft) = good().pop().expect("the shapes");
    let good = encode::encode(&draft).expect("good").bytes;
    let plain = encode::encode(&samples::draft(samples::every_shape())).expect("good").bytes;
    let forge = |change: &dyn Fn(&mut Vec<u8>, &mut Footer)| forged(&good, Kind::Log, change);
    let rows: Vec<(&str, Code, &str, Bytes)> = vec![
        ("plain", Code::Plain, "a good segment that is not encrypted", plain),
        ("chunk", Code::Age, "a byte of the chunk was changed", forge(&|bytes, f| bytes[at(f.body_length) - 20] ^= 1)),
        (
            "mac",
            Code::Age,
            "a byte of the MAC was changed",
            forge(&|bytes, f| bytes[at(f.encryption_header.into()) - 3] ^= 1),
        ),
        (
            "header-short",
            Code::Age,
            "the length of the age header is one too small",
            forge(&|bytes, f| {
                (f.encryption_header, f.body_length) = (f.encryption_header - 1, f.body_length - 1);
                bytes.remove(at(f.body_length));
            }),
        ),
        (
            "header-length",
            Code::FooterField,
            "a length of the age header that does not fit the body",
            forge(&|_, f| f.encryption_header += 1),
        ),
        (
            "header-large",
            Code::Age,
            "an age header of more than 4 KiB",
            forge(&|bytes, f| {
                let more = 5000 - f.encryption_header;
                bytes.splice(0..0, vec![b'x'; more as usize]);
                (f.encryption_header, f.body_length) = (5000, f.body_length + u64::from(more));
            }),
        ),
        ("body-length", Code::FooterField, "a body that is said to be shorter", forge(&|_, f| f.body_length -= 1)),
        ("no-flag", Code::Feature, "an age header, but no flag", forge(&|_, f| f.flags &= !flag::ENCRYPTED)),
        ("epoch", Code::IndexHash, "another epoch, and all hashes that need no key", forge(&|_, f| f.epoch += 1)),
        ("time", Code::IndexHash, "another watermark, and all hashes that need no key", forge(&|_, f| f.times[1] += 1)),
        (
            "root",
            Code::IndexHash,
            "another event root, and all hashes that need no key",
            forge(&|_, f| f.root.0[0] ^= 1),
        ),
        (
            "prev",
            Code::IndexHash,
            "another predecessor, and all hashes that need no key",
            forge(&|_, f| f.prev.0[0] ^= 1),
        ),
        (
            "public",
            Code::IndexHash,
            "another resume map, and all hashes that need no key",
            forge(&|bytes, f| {
                let map =
                    crate::ResumeMap { complete: false, entries: vec![samples::resume("virtualmachines", 10, 1)] };
                bytes.truncate(at(f.body_length));
                bytes.extend_from_slice(&super::super::super::public::encode(&map).expect("good"));
            }),
        ),
        ("detail", Code::Public, "a resume map that tells a detail, by somebody who knows the root key", {
            let mut entry = samples::resume("virtualmachines", 5, 5);
            entry.detail = "get secrets in namespace prod is forbidden (403)".into();
            let map = crate::ResumeMap { complete: false, entries: vec![entry] };
            silent::with_resume(&good, &draft.home, &map)
        }),
        ("plain-hash", Code::IndexHash, "sealed by somebody who does not know the root key", {
            let stranger = Home { lock: samples::lock_of([0x66; 32]), archive: samples::ARCHIVE };
            encode::encode(&Draft { home: stranger, ..draft.clone() }).expect("good").bytes
        }),
        ("no-key", Code::NoKey, "sealed to others", {
            let others = Home { lock: samples::lock_to(&[3, 4]), archive: samples::ARCHIVE };
            encode::encode(&Draft { home: others, ..draft.clone() }).expect("good").bytes
        }),
    ];
    all.extend(rows.into_iter().map(|(name, code, comment, object)| {
        (format!("bad-sealed-{name}.txt"), opened(set::segment(comment, 2, code.as_str(), object)))
    }));
    let downgraded = set::segment("an encrypted segment in an archive that is not", 2, Code::Encrypted.as_str(), good);
    all.push(("bad-sealed-in-plain.txt".to_owned(), downgraded));
    all
}

fn bundles_() -> Vec<Named> {
    let (_, _, draft, lines, cut) = bundles::good().swap_remove(1);
    let plain = bundles::encode(draft.clone(), &lines, cut);
    let home = samples::sealed();
    let sealed =
        |home: &Home| bundles::encode(super::bundle::Draft { home: home.clone(), ..draft.clone() }, &lines, cut);
    let (rolled, good) = sealed(&home);
    let describe = |vector: Vector, rolled: &Rolled| {
        bundles::described(vector, rolled, &content(&body(&good, Kind::History, &home)))
    };
    let vector = |comment: &str, expect: &str, rolled: &Rolled, object: Bytes| {
        let mut rolled = rolled.clone();
        rolled.parts[0].size = object.len() as u64;
        opened(bundles::vector(comment, expect, &rolled, 1, object))
    };
    let mut all = vec![(
        "ok-sealed-bundle.txt".to_owned(),
        describe(vector("a bundle of an encrypted archive", "ok", &rolled, good.clone()), &rolled),
    )];
    let mut add = |name: &str, code: Code, comment: &str, object: Bytes| {
        all.push((format!("bad-sealed-bundle-{name}.txt"), vector(comment, code.as_str(), &rolled, object)));
    };
    add("plain", Code::Plain, "a good bundle that is not encrypted", plain.1);
    let forge = |change: &dyn Fn(&mut Vec<u8>, &mut Footer)| forged(&good, Kind::History, change);
    add("chunk", Code::Age, "a byte of the chunk was changed", forge(&|bytes, f| bytes[at(f.body_length) - 20] ^= 1));
    let flags = forge(&|_, f| f.flags ^= flag::LATE);
    add("flags", Code::IndexHash, "another flag, and all hashes that need no key", flags);
    let stranger = Home { lock: samples::lock_of([0x66; 32]), archive: samples::ARCHIVE };
    let (forged_rolled, object) = sealed(&stranger);
    let vector_of =
        vector("rolled up by somebody who does not know the root key", "E_INDEX_HASH", &forged_rolled, object);
    all.push(("bad-sealed-bundle-stranger.txt".to_owned(), vector_of));
    let mut rolled = rolled;
    rolled.parts[0].size = good.len() as u64;
    let comment = "an encrypted bundle in an archive that is not";
    let downgraded = bundles::vector(comment, Code::Encrypted.as_str(), &rolled, 1, good.clone());
    all.push(("bad-sealed-bundle-in-plain.txt".to_owned(), downgraded));
    all
}

/// Returns the content of the body of a good object.
pub(super) fn body(object: &Bytes, kind: Kind, home: &Home) -> Bytes {
    let footer = Footer::parse(object.last_chunk().expect("a footer"), kind).expect("good");
    home.body(object, &footer).expect("it opens")
}
