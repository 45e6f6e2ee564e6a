//! Reads of ranges: an age header that does not open because it was changed, and one that does not because it is for others.

use super::*;
use crate::{
    ErrorKind,
    format::{
        bundle,
        home::{Keys, RootKey, Seed},
    },
    manifest, window,
};

/// Changes a digit in every stanza, so that no key opens the object.
fn scratched(good: &[u8]) -> Bytes {
    let mut bytes = good.to_vec();
    let stanzas: Vec<usize> =
        good[..1000].windows(10).enumerate().filter(|(_, ten)| *ten == b"-> X25519 ").map(|(at, _)| at).collect();
    assert_eq!(stanzas.len(), 2);
    for at in stanzas {
        bytes[at + 20] = if bytes[at + 20] == b'A' { b'B' } else { b'A' };
    }
    bytes.into()
}

/// Opens the archive as somebody who writes for others under the same root key.
async fn for_others(store: &Store) -> Archive {
    let mut archive = opened(store).await;
    let keys = Keys {
        recipients: [3, 4].map(|n| samples::secret(n).recipient()).to_vec(),
        root: RootKey(zeroize::Zeroizing::new(samples::ROOT_KEY)),
        own: [1, 3].map(samples::secret).to_vec(),
        seed: Some(Seed::new([4; 32])),
    };
    archive.lock = Lock::Open(keys.into());
    archive
}

#[test]
fn a_segment_whose_age_header_was_changed_is_damaged_and_one_for_others_is_locked() {
    now(async {
        let store = Store::in_memory();
        let archive = lived(&store).await;
        let good = bytes_of(&store, &paths::segment(4)).await;
        replace(&store, &paths::segment(4), scratched(&good)).await;
        let archive_of = || async { opened(&store).await.passing_over_damage() };
        let error = read::end(&archive, 4).await.expect_err("it does not open");
        assert_eq!(code(&error), Some(Code::BodyHash), "{error}");
        for (t, expected) in [(21, 2), (31, 2), (41, 4), (51, 5)] {
            let state = told(&archive_of().await, minutes(t)).await.expect("it goes on");
            assert_eq!(rv(&state), Some(expected), "minute {t}");
        }
        let error = told(&archive, minutes(31)).await.expect_err("nobody said to go on");
        assert_eq!(code(&error), Some(Code::BodyHash), "{error}");
        assert!(archive_of().await.timeline().await.is_ok());
        // The same segment, for others: that is no damage.
        let segment = decode(&good, archive.home(), 4).expect("good");
        let record = segment.record(&segment.lines[0]).expect("readable").expect("there");
        let others = Draft {
            home: for_others(&store).await.home(),
            slot: 4,
            epoch: segment.summary.epoch,
            nonce: segment.summary.nonce,
            prev: segment.summary.prev,
            after: (vmrewind_model::Seq(segment.summary.seqs.first.0 - 1), minutes(20)),
            fence: None,
            software: SOFTWARE.into(),
            records: vec![record],
            resume: segment.resume.clone(),
        };
        replace(&store, &paths::segment(4), encode(&others).expect("good").bytes).await;
        for archive in [opened(&store).await, archive_of().await] {
            assert_eq!(read::end(&archive, 4).await.expect_err("locked").kind(), ErrorKind::Locked);
            assert_eq!(told(&archive, minutes(31)).await.expect_err("locked").kind(), ErrorKind::Locked);
        }
    });
}

#[test]
fn a_bundle_whose_age_header_was_changed_is_damaged_and_one_for_others_is_locked() {
    now(async {
        let store = Store::in_memory();
        let archive = rolled_up(&store).await;
        let windows = manifest::newest(&archive).await.expect("readable").expect("a manifest").manifest.windows;
        for rolled in &windows {
            let name = rolled.parts[0].name();
            // Also if all hashes are made anew: its name is one as well.
            let scratched = scratched(&bytes_of(&store, &name).await);
            for bytes in [rehashed(scratched.to_vec()), scratched] {
                replace(&store, &name, bytes).await;
                let error = window::open(&archive, rolled, 0).await.expect_err("it does not open");
                assert_eq!(code(&error), Some(Code::Name), "{error}");
            }
        }
        for t in [11, 31, 51] {
            for archive in [opened(&store).await, opened(&store).await.passing_over_damage()] {
                let log = told(&archive.clone().reading_the_log_only(), minutes(t)).await.expect("the log is there");
                let state = told(&archive, minutes(t)).await.expect("the log is there");
                assert_eq!(format!("{:?}", state.objects), format!("{:?}", log.objects));
            }
        }
        let store = Store::in_memory();
        let archive = lived(&store).await;
        own(&archive, fence(2, minutes(55), vec![])).await.expect("fenced");
        roll(&for_others(&store).await).await;
        let windows = manifest::newest(&archive).await.expect("readable").expect("a manifest").manifest.windows;
        let error = window::open(&archive, &windows[0], 0).await.expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        assert_eq!(told(&archive, minutes(31)).await.expect_err("locked").kind(), ErrorKind::Locked);
    });
}

/// The end of a bundle and its frames, as far as they can be read.
fn ranged(bytes: &Bytes, home: &Home) -> Option<String> {
    let front = &bytes[..bytes.len().min(usize::try_from(crate::format::decode::FRONT).expect("small"))];
    let Ok(bundle::Peek::Done(bundle)) = bundle::peek(Kind::History, front, bytes, bytes.len() as u64, home) else {
        return None;
    };
    let mut unpacker = crate::format::frame::Unpacker::new().expect("zstd");
    let at = |offset: u64| usize::try_from(offset).expect("small");
    let mut told = format!("{:?} {:?} {} {:?}", bundle.window, bundle.known, bundle.records, bundle.root);
    for n in 0..bundle.frames() {
        let place = bundle.place(n);
        let lines = bundle.frame(n, &bytes.slice(at(place.start)..at(place.end)), &mut unpacker).ok()?;
        told += &lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect::<String>();
    }
    Some(told)
}

#[test]
fn no_range_of_a_bundle_tells_anything_that_was_changed_whatever_hashes_are_made_anew() {
    now(async {
        let store = Store::in_memory();
        let archive = rolled_up(&store).await;
        let windows = manifest::newest(&archive).await.expect("readable").expect("a manifest").manifest.windows;
        let good = bytes_of(&store, &windows[1].parts[0].name()).await;
        let home = archive.home();
        let honest = ranged(&good, &home).expect("good");
        assert!(honest.contains("db-1"), "{honest}");
        let (mut silent, end) = (0, good.len() - LEN);
        for at in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << (at % 8);
            let bytes = Bytes::from(bytes);
            match ranged(&bytes, &home) {
                None => {}
                Some(told) => {
                    silent += 1;
                    assert_eq!(told, honest, "byte {at}");
                }
            }
            assert!(bundle::whole(Kind::History, &bytes, home.clone(), 1, |_| ()).is_err(), "byte {at}");
            // Hashes of the body and of the footer need no key.
            if !(end + 160..end + 192).contains(&at) && !(end + 304..end + 320).contains(&at) {
                let bytes = rehashed(bytes.to_vec());
                assert_eq!(ranged(&bytes, &home), None, "byte {at}");
                assert!(bundle::whole(Kind::History, &bytes, home.clone(), 1, |_| ()).is_err(), "byte {at}");
            }
        }
        assert!(silent < 400, "stanzas of others, and the nonce of nothing that was read: {silent}");
    });
}

fn rehashed(mut bytes: Vec<u8>) -> Bytes {
    let end = bytes.len() - LEN;
    let body = Digest::of(&bytes[..end]);
    bytes[end + 160..end + 192].copy_from_slice(&body.0);
    let check = Digest::of(&bytes[end..end + 304]);
    bytes[end + 304..end + 320].copy_from_slice(&check.0[..16]);
    bytes.into()
}
