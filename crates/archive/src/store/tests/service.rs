//! Services that answer oddly: what their answers mean, how often they are asked, and what people are told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use vmrewind_testkit::store::{Asked, Canned, Reply};

use crate::{
    ArchiveError, ErrorKind, Store,
    paths::{self, segment},
    store::{
        Created,
        open::{remote, s3},
    },
};

fn store(canned: &Canned) -> Store {
    let options = BTreeMap::from([
        ("endpoint".to_owned(), "http://127.0.0.1:1".to_owned()),
        ("allow_http".to_owned(), "true".to_owned()),
    ]);
    let service = s3(canned.client(), "bucket", &options).expect("a client");
    remote(Arc::new(service), "", "s3://bucket".into())
}

fn answering(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Canned, Store) {
    let canned = Canned::new(reply);
    (canned.clone(), store(&canned))
}

/// An error as people see it: with its causes and what to do.
fn told(error: &ArchiveError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    format!("{text}\n{}", error.hint().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_denied_with_its_code_and_nothing_else_of_its_body() {
    let cases = [
        (403, "AccessDenied", "Access Denied.", "A reader needs get and list"),
        (403, "SignatureDoesNotMatch", "It does not match.", "AWS_SECRET_ACCESS_KEY"),
        (403, "InvalidAccessKeyId", "There is no such key.", "AWS_ACCESS_KEY_ID"),
        (401, "Unauthorized", "Who are you?", "AWS_ACCESS_KEY_ID"),
        (404, "XAdminUserNotFound", "There is no such key.", "AWS_ACCESS_KEY_ID"),
    ];
    for (status, code, message, advice) in cases {
        let (canned, store) = answering(move |_| Reply::refusal(status, code, message));
        let read = store.get(paths::IDENTITY, 1000).await.expect_err(code);
        let created = store.create(&segment(1), Bytes::from("x")).await.expect_err(code);
        let listed = store.last_slot().await.expect_err(code);
        for error in [read, created, listed] {
            assert_eq!(error.kind(), ErrorKind::Denied, "{code}: {error}");
            let told = told(&error);
            assert!(told.contains(&format!("{status} {code}: {message}")) && told.contains(advice), "{told}");
            assert!(!told.contains("AKIAPLANTED") && !told.contains("StringToSign"), "{told}");
        }
        assert_eq!(canned.asked(), 3, "asking again does not help");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_is_told_apart_from_a_missing_object() {
    let (_, store) = answering(|_| Reply::refusal(404, "NoSuchBucket", "The specified bucket does not exist."));
    let read = store.get(paths::IDENTITY, 1000).await.expect_err("no bucket");
    let created = store.create(&segment(1), Bytes::from("x")).await.expect_err("no bucket");
    for error in [read, created] {
        assert!(matches!(error, ArchiveError::NoPlace { files: false, .. }), "{error}");
        let told = told(&error);
        assert!(
            told.contains("the bucket of s3://bucket does not exist") && told.contains("makes no bucket"),
            "{told}"
        );
    }
    let (_, store) = answering(|_| Reply::refusal(404, "NoSuchKey", "The specified key does not exist."));
    assert_eq!(store.get(paths::IDENTITY, 1000).await.expect("an answer"), None);
    assert_eq!(store.size(paths::IDENTITY).await.expect("an answer"), None);
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_waited_for() {
    for status in [0, 429, 500, 502, 503, 504] {
        let (canned, store) = answering(move |asked| match asked.before {
            0..5 => Reply::refusal(status, "SlowDown", "Please reduce your request rate."),
            _ => Reply::new(200, b"content"),
        });
        let read = store.get(paths::IDENTITY, 1000).await;
        assert_eq!(read.expect("it passed").as_deref(), Some(&b"content"[..]), "{status}");
        assert_eq!(canned.asked(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_that_stays_is_an_error_after_a_bounded_time_and_number_of_requests() {
    let (canned, store) = answering(|_| Reply::refusal(503, "SlowDown", "Please reduce your request rate."));
    let begun = Instant::now();
    let error = store.get(paths::IDENTITY, 1000).await.expect_err("it stays");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(told(&error).contains("503 SlowDown: Please reduce your request rate."), "{}", told(&error));
    // Six tries, and the client library repeats each of them twice.
    assert_eq!(canned.asked(), 18);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_an_error_at_once() {
    for status in [400, 405, 501] {
        let (canned, store) = answering(move |_| Reply::refusal(status, "Odd", "No."));
        let error = store.get(paths::IDENTITY, 1000).await.expect_err("odd");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(told(&error).contains(&format!("{status} Odd: No.")), "{}", told(&error));
        assert!(canned.asked() <= 3, "{status}: {} requests", canned.asked());
    }
    // The wrong region of Amazon S3.
    let (canned, store) = answering(|_| Reply::new(301, b""));
    let error = store.get(paths::IDENTITY, 1000).await.expect_err("elsewhere");
    assert!(told(&error).contains("region"), "{}", told(&error));
    assert_eq!(canned.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ignores_ranges_is_read_whole_and_asked_for_ranges_only_once() {
    let (canned, store) = answering(|asked| match asked.method.as_str() {
        "HEAD" => Reply { headers: vec![("content-length", "10".into())], ..Reply::new(200, b"") },
        _ => Reply::new(200, b"0123456789"),
    });
    assert_eq!(store.size(&segment(1)).await.expect("there"), Some(10));
    for (range, part) in [(2..5, "234"), (0..10, "0123456789"), (9..10, "9")] {
        assert_eq!(store.range(&segment(1), range).await.expect("cut out of the whole"), part);
    }
    assert_eq!(canned.asked(), 5, "one for the size, one that asked for a range in vain, and one for each part");
    let error = store.range(&segment(1), 5..11).await.expect_err("it is shorter");
    assert!(told(&error).contains("it has 10 bytes"), "{}", told(&error));
}

#[tokio::test(start_paused = true)]
async fn a_range_is_cut_out_of_one_that_is_larger_and_never_taken_from_elsewhere() {
    // Some services round ranges; the client library refuses other bytes than those it asked for.
    let (_, store) = answering(|asked| {
        assert_eq!(asked.range.as_deref(), Some("bytes=2-4"));
        Reply { headers: vec![("content-range", "bytes 0-4/10".into())], ..Reply::new(206, b"01234") }
    });
    let error = store.range(&segment(1), 2..5).await.expect_err("not what was asked for");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_read_again() {
    let (canned, store) = answering(|asked| {
        let short = asked.before < 2;
        let body: &[u8] = if short { b"0123" } else { b"0123456789" };
        Reply { headers: vec![("content-length", "10".into())], ..Reply::new(200, body) }
    });
    assert_eq!(store.get(paths::IDENTITY, 1000).await.expect("whole"), Some(Bytes::from("0123456789")));
    assert_eq!(canned.asked(), 3);
}

/// S3 answers 409 while another create of the name is under way, of which nobody knows yet how it ends; the client library
/// takes it for "already exists" (apache/arrow-rs-object-store#852).
#[tokio::test(start_paused = true)]
async fn a_conflict_that_left_nothing_is_tried_again() {
    let (canned, store) = answering(|asked| match (asked.method.as_str(), asked.before) {
        ("PUT", 0) => Reply::refusal(409, "ConditionalRequestConflict", "Try again."),
        ("PUT", _) => Reply::new(200, b""),
        _ => Reply::refusal(404, "NoSuchKey", "It is not there."),
    });
    assert_eq!(store.settle(&segment(1), &Bytes::from("ours")).await.expect("settled"), None);
    assert_eq!(canned.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn every_answer_to_a_create_that_says_that_it_exists_is_understood() {
    for (status, code) in [(409, "ConditionalRequestConflict"), (412, "PreconditionFailed"), (304, "NotModified")] {
        let (_, store) = answering(move |asked| match asked.method.as_str() {
            "PUT" => Reply::refusal(status, code, "It exists."),
            _ => Reply::new(200, b"theirs"),
        });
        let created = store.create(&segment(1), Bytes::from("ours")).await.expect("an answer");
        assert!(matches!(created, Created::Exists), "{code}: {created:?}");
        let settled = store.settle(&segment(1), &Bytes::from("ours")).await.expect("settled");
        assert_eq!(settled, Some(Bytes::from("theirs")));
        let ours = store.settle(&segment(1), &Bytes::from("theirs")).await.expect("settled");
        assert_eq!(ours, None, "an earlier attempt of our own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_without_an_answer_ends_in_time_and_is_settled_by_reading() {
    let (_, store) = answering(|asked| match asked.method.as_str() {
        "PUT" => Reply::new(0, b""),
        _ => Reply::new(200, b"ours"),
    });
    assert_eq!(store.settle(&segment(1), &Bytes::from("ours")).await.expect("settled"), None);
}
