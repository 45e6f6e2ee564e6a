//! Answers byte by byte, as no well-behaved server sends them.

use std::{
    convert::Infallible,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::StreamBody;
use kube::client::Body;
use proptest::prelude::*;
use serde_json::json;
use vmrewind_cluster::{Cluster, ClusterError, Target, WatchEvent, WriteOptions};
use vmrewind_model::Rv;

const SECRET: &str = "aHVudGVyMg==";

/// A server that gives the same answer to everything.
fn always(status: u16, chunks: Vec<Bytes>) -> Cluster {
    let service = tower::service_fn(move |_: Request<Body>| {
        let frames: Vec<_> =
            chunks.iter().cloned().map(|chunk| Ok::<_, Infallible>(http_body::Frame::data(chunk))).collect();
        async move {
            let mut response = Response::new(StreamBody::new(stream::iter(frames)));
            *response.status_mut() = status.try_into().expect("a status");
            Ok::<_, Infallible>(response)
        }
    });
    Cluster::from_client(kube::Client::new(service, "default"))
}

fn text(status: u16, body: impl Into<String>) -> Cluster {
    always(status, vec![Bytes::from(body.into())])
}

fn secrets() -> Target {
    Target {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        plural: "secrets".to_owned(),
        namespace: Some("default".to_owned()),
        selector: None,
    }
}

fn event(type_: &str, name: &str, rv: u64) -> String {
    json!({"type": type_, "object": {"apiVersion": "v1", "kind": "Secret", "data": {"k": SECRET},
        "metadata": {"name": name, "namespace": "default", "uid": "u", "resourceVersion": rv.to_string()}}})
    .to_string()
        + "\n"
}

async fn events(cluster: &Cluster) -> Vec<Result<WatchEvent, ClusterError>> {
    let watch = cluster.watch(&secrets(), Rv(1), Duration::from_secs(60)).await.expect("a watch");
    watch.collect().await
}

#[tokio::test]
async fn answers_that_make_no_sense_are_errors_without_their_content() {
    let page = |rv: &str, token: &str| {
        format!(r#"{{"metadata":{{"resourceVersion":"{rv}","continue":"{token}"}},"items":[{{"data":"{SECRET}"}}]}}"#)
    };
    let bodies = [
        String::new(),
        format!("<html>{SECRET}</html>"),
        format!(r#"{{"metadata":{{"resourceVersion":"7"}},"items":"{SECRET}"}}"#),
        page("abc", ""),
        page("", ""),
        // For ever the same page.
        page("7", "again"),
    ];
    for body in bodies {
        let error = text(200, &body).list_consistent(&secrets(), 10).await.expect_err("no list");
        assert!(matches!(error, ClusterError::Protocol { .. }), "{body}: {error}");
        assert!(!format!("{error:?}").contains(SECRET), "{error}");
        assert!(error.hint().is_some());
    }
    let error = text(200, page("8", "")).state_as_of(&secrets(), "a", Rv(7)).await.expect_err("another version");
    assert!(matches!(error, ClusterError::Protocol { .. }), "{error}");
    let error = text(200, r#"{"kind":"APIGroupList","groups":[]}"#).discover().await.expect_err("too old a server");
    assert!(matches!(error, ClusterError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn pages_of_different_versions_are_no_list() {
    // The second page always belongs to a later version than the first, with or without a word about it.
    let service = tower::service_fn(|request: Request<Body>| async move {
        let second = request.uri().query().is_some_and(|query| query.contains("continue="));
        let metadata =
            if second { json!({"resourceVersion": "8"}) } else { json!({"resourceVersion": "7", "continue": "t"}) };
        Ok::<_, Infallible>(Response::new(Body::from(
            json!({"metadata": metadata, "items": []}).to_string().into_bytes(),
        )))
    });
    let cluster = Cluster::from_client(kube::Client::new(service, "default"));
    let error = cluster.list_consistent(&secrets(), 10).await.expect_err("no list");
    assert!(matches!(error, ClusterError::Inconsistent { attempts: 5, .. }), "{error}");
}

#[tokio::test]
async fn refusals_name_the_field_but_not_the_value() {
    let message = format!("Secret \"s\" is invalid: data[k]: Invalid value: \"{SECRET}\": must be short");
    let body = json!({"kind": "Status", "code": 422, "reason": "Invalid", "message": message, "details": {"causes": [
        {"field": "data[k]", "reason": "FieldValueInvalid", "message": format!("Invalid value: \"{SECRET}\": must be short")}]}});
    let patch = json!({"data": {"k": SECRET}});
    let error = text(422, body.to_string()).patch_merge(&secrets(), "s", &patch, &WriteOptions::default()).await;
    let error = error.expect_err("refused");
    let ClusterError::Invalid { causes, .. } = &error else { panic!("{error}") };
    assert_eq!((causes[0].field.as_str(), causes[0].message.as_str()), ("data[k]", "Invalid value: …: must be short"));
    assert!(error.to_string().contains("data[k]: Invalid value: …: must be short"), "{error}");
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_ends_inside_an_event_is_an_error_and_one_that_ends_after_it_is_not() {
    let (first, second) = (event("ADDED", "a", 2), event("MODIFIED", "a", 3));
    let whole = events(&text(200, format!("{first}\n{second}"))).await;
    assert!(matches!(whole.as_slice(), [Ok(WatchEvent::Added(_)), Ok(WatchEvent::Modified(_))]), "{whole:?}");
    let torn = events(&text(200, format!("{first}{}", &second[..second.len() - 2]))).await;
    let [Ok(WatchEvent::Added(_)), Err(error)] = torn.as_slice() else { panic!("{torn:?}") };
    assert!(matches!(error, ClusterError::Protocol { .. }) && !format!("{error:?}").contains(SECRET), "{error:?}");
}

#[tokio::test]
async fn an_event_that_is_not_understood_ends_the_watch_with_an_error() {
    let after = event("ADDED", "b", 3);
    for line in [event("RENAMED", "a", 2), "{\"type\":\"ADDED\"\n".to_owned(), "[]\n".to_owned()] {
        let told = events(&text(200, format!("{line}{after}"))).await;
        assert!(matches!(told.as_slice(), [Err(ClusterError::Protocol { .. })]), "{line}: {told:?}");
    }
    let gone =
        json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}});
    let told = events(&text(200, format!("{gone}\n{after}"))).await;
    assert!(matches!(told.as_slice(), [Err(ClusterError::Gone { .. })]), "{told:?}");
}

proptest! {
    #[test]
    fn events_do_not_depend_on_how_the_network_cuts_them(cuts in prop::collection::vec(0usize..1000, 0..12)) {
        let stream: String = (2..6).map(|rv| event("ADDED", "ä", rv)).collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % stream.len()).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let bytes = Bytes::from(stream);
        let chunks = cuts.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let told = runtime.block_on(async { events(&always(200, chunks)).await });
        let versions: Vec<_> = told
            .iter()
            .map(|event| match event {
                Ok(WatchEvent::Added(object)) => object.head().expect("an object").rv.0,
                other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(versions, vec![2, 3, 4, 5]);
    }
}

/// A log that tests can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_body_reaches_a_log_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::trace!("the log works");
    for (status, body) in
        [(200, format!("{{\"broken\": \"{SECRET}\"")), (500, SECRET.to_owned()), (200, event("ADDED", "a", 2))]
    {
        let cluster = text(status, body);
        let target = secrets();
        let patch = json!({"data": {"k": SECRET}});
        // Their outcomes are the matter of other tests.
        drop(cluster.list_consistent(&target, 10).await);
        drop(cluster.get(&target, "a").await);
        drop(cluster.patch_merge(&target, "a", &patch, &WriteOptions::default()).await);
        if let Ok(watch) = cluster.watch(&target, Rv(1), Duration::from_secs(60)).await {
            drop(watch.collect::<Vec<_>>().await);
        }
    }
    drop(guard);
    let log = String::from_utf8(log.0.lock().expect("a lock").clone()).expect("text");
    assert!(log.contains("the log works"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}
