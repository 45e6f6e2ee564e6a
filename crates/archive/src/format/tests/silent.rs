//! Texts for people have no place where everybody can read them: in the public frames of encrypted objects.

use bytes::Bytes;

use super::super::{
    Code, ResumeMap,
    decode::{decode, position},
    encode::{Draft, encode, finish},
    footer::{Footer, Kind, LEN},
    home::Home,
    public,
};
use crate::samples;

#[test]
fn an_encrypted_segment_has_no_detail_in_its_resume_map_and_one_that_has_is_refused() {
    let mut entry = samples::resume("virtualmachines", 5, 5);
    entry.detail = "get secrets in namespace prod is forbidden (403)".into();
    let loud = ResumeMap { complete: false, entries: vec![entry] };
    let bytes = |home: Home| {
        let draft = Draft { home, resume: loud.clone(), ..samples::draft(samples::every_shape()) };
        encode(&draft).expect("good").bytes
    };
    let detail = |home: Home| {
        let segment = decode(&bytes(home.clone()), home, 2).expect("good");
        segment.resume.entries[0].detail.clone()
    };
    assert_eq!(detail(samples::ARCHIVE.into()), loud.entries[0].detail, "the test can fail");
    assert_eq!(detail(samples::sealed()), "");
    // Another writer that knows the root key, and leaves it in.
    let (home, good) = (samples::sealed(), bytes(samples::sealed()));
    for (resume, refused) in [(public::silenced(&loud), false), (loud, true)] {
        let read = decode(&with_resume(&good, &home, &resume), home.clone(), 2);
        assert_eq!(read.err().map(|fault| fault.code), refused.then_some(Code::Public));
    }
}

/// Returns an encrypted segment with another resume map, by somebody who knows the root key.
pub(super) fn with_resume(good: &Bytes, home: &Home, resume: &ResumeMap) -> Bytes {
    let footer = Footer::parse(good.last_chunk::<LEN>().expect("a footer"), Kind::Log).expect("good");
    let body = home.body(good, &footer).expect("it opens");
    let public = public::encode(resume).expect("good");
    let (mut out, footer) = finish(home, body.to_vec(), &public, footer).expect("good");
    assert_eq!(out.len(), position(footer.body_length).expect("small") + public.len());
    out.extend_from_slice(&footer.to_bytes());
    out.into()
}
