//! What goes wrong between us and the server, on the fake one, and what comes out of it.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use vmrewind_cluster::{
    AsOf, Cluster, ClusterError, ErrorKind, Preconditions, Propagation, ServedType, Target, Watch, WatchEvent,
    WriteOptions,
};
use vmrewind_model::{ObjectKey, Rv};
use vmrewind_testkit::apiserver::{FakeApiServer, FakeType, Fault};

const MINUTE: Duration = Duration::from_secs(60);

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"k": value}})
}

async fn served(cluster: &Cluster) -> ServedType {
    cluster.discover().await.expect("discovery").by_kind("", "ConfigMap").expect("served").clone()
}

async fn set_up() -> (FakeApiServer, Cluster, ServedType, Target) {
    let server = FakeApiServer::new();
    let cluster = Cluster::from_client(server.client());
    let type_ = served(&cluster).await;
    let target = type_.target(Some("default"));
    (server, cluster, type_, target)
}

/// The next event; the bound is there for a failing test only.
async fn next(watch: &mut Watch) -> Option<Result<WatchEvent, ClusterError>> {
    tokio::time::timeout(MINUTE, watch.next()).await.expect("an event or an end")
}

#[tokio::test]
async fn a_list_whose_version_is_forgotten_between_two_pages_starts_again_and_never_uses_the_offered_token() {
    let (server, cluster, _, target) = set_up().await;
    for index in 0..30 {
        server.put(&config_map(&format!("a-{index:02}"), "0"));
    }
    // The second page of the first two attempts comes too late.
    for _ in 0..2 {
        server.fail("list", "configmaps", Fault::Warn("the first page is fine".to_owned()), 1);
        server.fail("list", "configmaps", Fault::Compact, 1);
    }
    let listing = cluster.list_consistent(&target, 2).await.expect("a list");
    let names: Vec<_> = listing.items.iter().map(|item| item.head().expect("an object").key.name).collect();
    let expected: Vec<_> = (0..30).map(|index| format!("a-{index:02}")).collect();
    assert_eq!(names, expected, "each exactly once");
    assert_eq!(listing.rv, Rv(server.revision()), "the version of the last attempt");
    assert_eq!(server.requests().len(), 2 + 2 + 1, "pages of 2, of 8, of 32");
}

#[tokio::test]
async fn a_list_that_never_holds_together_is_an_error_and_not_half_a_list() {
    let (server, cluster, _, target) = set_up().await;
    for index in 0..600 {
        server.put(&config_map(&format!("a-{index}"), "0"));
    }
    for _ in 0..5 {
        server.fail("list", "configmaps", Fault::Warn("the first page is fine".to_owned()), 1);
        server.fail("list", "configmaps", Fault::Compact, 1);
    }
    let error = cluster.list_consistent(&target, 2).await.expect_err("no list");
    assert!(matches!(error, ClusterError::Inconsistent { attempts: 5, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn objects_that_cannot_be_recorded_are_told_and_not_dropped() {
    let (server, cluster, _, target) = set_up().await;
    let mut twice = config_map("twice", "hunter2");
    twice["metadata"]["annotations"] = json!({"test.vmrewind.io/twice": "yes"});
    server.put(&config_map("once", "0"));
    let rv = Rv(server.put(&twice));
    let listing = cluster.list_consistent(&target, 10).await.expect("a list");
    assert_eq!(listing.items.len(), 1);
    let [rejected] = listing.rejected.as_slice() else { panic!("{:?}", listing.rejected) };
    assert_eq!(rejected.key, ObjectKey::new("", "ConfigMap", "default", "twice"));
    assert_eq!((rejected.rv, rejected.deleted, rejected.uid.len()), (Some(rv), false, 36));
    assert!(rejected.reason.contains("twice") && !rejected.reason.contains("hunter2"), "{}", rejected.reason);

    let mut watch = cluster.watch(&target, Rv(rv.0 - 1), MINUTE).await.expect("a watch");
    let event = next(&mut watch).await.expect("an event").expect("no error");
    let WatchEvent::Rejected(again) = &event else { panic!("{event:?}") };
    assert_eq!((&again.key, &again.uid, again.rv, again.deleted), (&rejected.key, &rejected.uid, Some(rv), false));
    server.remove("ConfigMap", "default", "twice");
    server.put(&config_map("once", "1"));
    let event = next(&mut watch).await.expect("an event").expect("no error");
    assert!(matches!(&event, WatchEvent::Rejected(rejected) if rejected.deleted), "{event:?}");
    let event = next(&mut watch).await.expect("an event").expect("no error");
    assert!(matches!(event, WatchEvent::Modified(_)), "the watch goes on: {event:?}");

    let error = cluster.get(&target, "twice").await;
    assert!(matches!(error, Ok(None)), "{error:?}");
    server.put(&twice);
    let error = cluster.get(&target, "twice").await.expect_err("it cannot be recorded");
    assert!(matches!(error, ClusterError::Protocol { .. }) && !format!("{error:?}").contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_forgotten_version_is_gone_whether_told_by_status_or_in_the_stream() {
    let (server, cluster, _, target) = set_up().await;
    let old = Rv(server.put(&config_map("a", "0")));
    server.put(&config_map("a", "1"));
    server.restart();
    let mut watch = cluster.watch(&target, old, MINUTE).await.expect("the server says yes at first");
    let error = next(&mut watch).await.expect("an event").expect_err("an error");
    assert!(matches!(error, ClusterError::Gone { .. }), "{error}");
    assert!(next(&mut watch).await.is_none(), "nothing follows an error");

    server.fail("watch", "configmaps", Fault::Gone, 1);
    let error = cluster.watch(&target, old, MINUTE).await.expect_err("gone");
    assert!(matches!(error, ClusterError::Gone { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Gone);

    // History is still there for exact reads, until it is compacted.
    let found = cluster.state_as_of(&target, "a", old).await.expect("an answer");
    assert!(matches!(&found, AsOf::Found(object) if object.head().expect("an object").rv == old), "{found:?}");
    server.compact();
    assert_eq!(cluster.state_as_of(&target, "a", old).await.expect("an answer"), AsOf::Compacted);
}

#[tokio::test]
async fn a_cut_watch_ends_with_an_error_after_all_events_that_arrived() {
    let (server, cluster, _, target) = set_up().await;
    let from = Rv(server.revision());
    server.put(&config_map("a", "0"));
    server.put(&config_map("b", "0"));
    server.fail("watch", "configmaps", Fault::CutStream(1), 1);
    let mut watch = cluster.watch(&target, from, MINUTE).await.expect("a watch");
    assert!(matches!(next(&mut watch).await, Some(Ok(WatchEvent::Added(_)))));
    let error = next(&mut watch).await.expect("an event").expect_err("an error");
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
    assert!(next(&mut watch).await.is_none());
    let mut watch = cluster.watch(&target, from, MINUTE).await.expect("a watch");
    server.cut_watches();
    while let Some(Ok(event)) = next(&mut watch).await {
        assert!(matches!(event, WatchEvent::Added(_)), "{event:?}");
    }
}

#[tokio::test]
async fn events_with_reversed_members_are_understood() {
    let (server, cluster, _, target) = set_up().await;
    let from = Rv(server.revision());
    let rv = Rv(server.put(&config_map("a", "0")));
    server.fail("watch", "configmaps", Fault::Reversed, 1);
    let mut watch = cluster.watch(&target, from, MINUTE).await.expect("a watch");
    let event = next(&mut watch).await.expect("an event").expect("no error");
    assert!(matches!(&event, WatchEvent::Added(object) if object.head().expect("an object").rv == rv), "{event:?}");
    server.send_bookmarks();
    assert!(matches!(next(&mut watch).await, Some(Ok(WatchEvent::Bookmark(at))) if at == rv));
}

#[tokio::test]
async fn storage_that_went_back_shows_in_the_newest_version() {
    let (server, cluster, _, target) = set_up().await;
    let early = server.put(&config_map("a", "0"));
    let late = Rv(server.put(&config_map("a", "1")));
    server.rewind(early);
    let (newest, _) = cluster.newest_version(&target).await.expect("an answer");
    assert!(newest < late, "{newest} is below {late}");
}

#[tokio::test]
async fn each_refusal_is_an_error_of_its_own_and_nothing_is_tried_twice() {
    let (server, cluster, type_, target) = set_up().await;
    for (status, kind) in [
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (429, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (504, ErrorKind::Unavailable),
    ] {
        let before = server.requests().len();
        server.fail("*", "configmaps", Fault::Status(status), 1);
        let error = cluster.newest_version(&target).await.expect_err("refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(server.requests().len(), before + 1, "one call is one request");
    }
    server.fail("list", "configmaps", Fault::Status(429), 1);
    let error = cluster.newest_version(&target).await.expect_err("refused");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));

    // A write whose answer is lost has happened; the caller is told that it may have.
    server.fail("create", "configmaps", Fault::LostAnswer, 1);
    let error = cluster.create(&type_, &config_map("a", "0"), &WriteOptions::default()).await.expect_err("no answer");
    assert!(error.may_have_happened(), "{error}");
    assert!(server.object("ConfigMap", "default", "a").is_some());
    server.fail("create", "configmaps", Fault::Status(422), 1);
    let error = cluster.create(&type_, &config_map("b", "0"), &WriteOptions::default()).await.expect_err("refused");
    assert!(!error.may_have_happened(), "{error}");
}

#[tokio::test]
async fn a_missing_right_is_named_with_verb_resource_and_namespace() {
    let (server, cluster, _, target) = set_up().await;
    server.deny("watch", "configmaps");
    let error = cluster.watch(&target, Rv(100), MINUTE).await.expect_err("forbidden");
    let ClusterError::Forbidden { verb, resource, namespace, .. } = &error else { panic!("{error}") };
    assert_eq!((*verb, resource.as_str(), namespace.as_str()), ("watch", "configmaps", "default"));
    assert!(error.hint().expect("a hint").contains("kubectl auth can-i watch configmaps -n default"));
    server.allow("watch", "configmaps");
    assert!(cluster.watch(&target, Rv(server.revision()), MINUTE).await.is_ok());
}

#[tokio::test]
async fn warnings_of_the_server_come_back_with_writes() {
    let (server, cluster, type_, target) = set_up().await;
    server.fail("create", "configmaps", Fault::Warn("field \"spec.x\" is \\ gone".to_owned()), 1);
    let written = cluster.create(&type_, &config_map("a", "0"), &WriteOptions::default()).await.expect("created");
    assert_eq!(written.warnings, ["field \"spec.x\" is \\ gone"]);
    server.fail("delete", "configmaps", Fault::Warn("careful".to_owned()), 1);
    let (any, options) = (Preconditions::default(), WriteOptions::default());
    let deleted = cluster.delete(&target, "a", &any, Propagation::Background, &options).await.expect("deleted");
    assert_eq!(deleted.warnings, ["careful"]);
}

#[tokio::test]
async fn discovery_tells_stale_groups_and_types_that_come_and_go() {
    let (server, cluster, _, _) = set_up().await;
    server.set_stale("cdi.kubevirt.io");
    server.add_type(FakeType::new("snapshot.storage.k8s.io", "v1", "VolumeSnapshot", "volumesnapshots", true, "vs"));
    server.remove_type("VirtualMachineInstance");
    let discovery = cluster.discover().await.expect("discovery");
    let stale: Vec<_> = discovery.stale.iter().map(|stale| (stale.group.as_str(), stale.version.as_str())).collect();
    assert_eq!(stale, [("cdi.kubevirt.io", "v1beta1")]);
    assert!(discovery.by_kind("snapshot.storage.k8s.io", "VolumeSnapshot").is_some());
    assert!(discovery.by_kind("kubevirt.io", "VirtualMachineInstance").is_none());
    assert!(discovery.by_plural("kubevirt.io", "virtualmachines").is_some());
}
