//! Create, replace, patch, apply, delete.

use anyhow::Context as _;
use serde_json::{Value, json};
use vmrewind_cluster::{ClusterError, Preconditions, Propagation, WriteOptions, Written};

use super::{Suite, config_map, version};

fn dry_run(options: &WriteOptions) -> WriteOptions {
    WriteOptions { dry_run: true, ..options.clone() }
}

fn value(written: &Written) -> anyhow::Result<Value> {
    Ok(written.object.value()?)
}

pub(crate) async fn creates(suite: &Suite<'_>) -> anyhow::Result<()> {
    let object = config_map("created", &json!({}));
    let would = suite.cluster.create(&suite.type_, &object, &dry_run(&suite.options)).await?;
    assert_eq!(value(&would)?["data"]["key"], "0");
    assert_eq!(suite.cluster.get(&suite.target(), "created").await?, None, "a dry run stores nothing");

    let written = suite.create("created", &json!({})).await?;
    let head = written.object.head()?;
    assert_eq!((head.key.kind.as_str(), head.key.namespace.as_str(), head.uid.len()), ("ConfigMap", "default", 36));
    assert_eq!(suite.cluster.get(&suite.target(), "created").await?, Some(written.object));

    let error = suite.cluster.create(&suite.type_, &object, &suite.options).await.expect_err("it exists");
    assert!(matches!(error, ClusterError::AlreadyExists { .. }), "{error}");
    let error = suite.cluster.create(&suite.type_, &object, &dry_run(&suite.options)).await.expect_err("it exists");
    assert!(matches!(error, ClusterError::AlreadyExists { .. }), "{error}");

    let mut lost = config_map("lost", &json!({}));
    lost["metadata"]["namespace"] = json!("nowhere");
    let error = suite.cluster.create(&suite.type_, &lost, &suite.options).await.expect_err("no such namespace");
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error}");

    let mut old = config_map("old", &json!({}));
    old["metadata"]["resourceVersion"] = json!("1");
    let error = suite.cluster.create(&suite.type_, &old, &suite.options).await.expect_err("it has a version");
    assert!(matches!(error, ClusterError::Invalid { .. } | ClusterError::Server { .. }), "{error}");
    Ok(())
}

pub(crate) async fn replaces(suite: &Suite<'_>) -> anyhow::Result<()> {
    let first = suite.create("replaced", &json!({})).await?;
    let mut object = value(&first)?;
    let same = suite.cluster.replace(&suite.type_, &object, &suite.options).await?;
    assert_eq!(version(&same)?, version(&first)?, "a write that changes nothing makes no new version");

    object["data"]["key"] = json!("1");
    let second = suite.cluster.replace(&suite.type_, &object, &suite.options).await?;
    assert!(version(&second)? > version(&first)?);
    let error = suite.cluster.replace(&suite.type_, &object, &suite.options).await.expect_err("an old version");
    assert!(matches!(error, ClusterError::Conflict { .. }), "{error}");

    // Without a version it is unconditional.
    object["metadata"].as_object_mut().context("metadata")?.remove("resourceVersion");
    object["data"]["key"] = json!("2");
    suite.cluster.replace(&suite.type_, &object, &suite.options).await?;
    Ok(())
}

pub(crate) async fn patches(suite: &Suite<'_>) -> anyhow::Result<()> {
    let first = suite.create("patched", &json!({})).await?;
    let (cluster, target, options) = (suite.cluster, suite.target(), &suite.options);
    let merge = json!({"metadata": {"labels": {"a": "b"}}, "data": {"key": null, "other": "1"}});
    let merged = cluster.patch_merge(&target, "patched", &merge, options).await?;
    let object = value(&merged)?;
    assert_eq!((&object["data"], &object["metadata"]["labels"]), (&json!({"other": "1"}), &json!({"a": "b"})));

    let stale = json!({"metadata": {"resourceVersion": version(&first)?.to_string(), "labels": {"a": "c"}}});
    let error = cluster.patch_merge(&target, "patched", &stale, options).await.expect_err("an old version");
    assert!(matches!(error, ClusterError::Conflict { .. }), "{error}");

    let steps = json!([{"op": "test", "path": "/data/other", "value": "1"}, {"op": "replace", "path": "/data/other", "value": "2"}]);
    let patched = cluster.patch_json(&target, "patched", &steps, options).await?;
    assert_eq!(value(&patched)?["data"]["other"], "2");
    let error = cluster.patch_json(&target, "patched", &steps, options).await.expect_err("the test fails");
    assert!(matches!(error, ClusterError::Invalid { .. }), "{error}");

    let error = cluster.patch_merge(&target, "nobody", &merge, options).await.expect_err("it does not exist");
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error}");
    Ok(())
}

pub(crate) async fn applies(suite: &Suite<'_>) -> anyhow::Result<()> {
    let object = config_map("applied", &json!({}));
    let error = suite.cluster.apply(&suite.type_, &object, false, &suite.options).await.expect_err("no field manager");
    assert!(matches!(error, ClusterError::Invalid { .. }), "{error}");
    let options = WriteOptions { field_manager: Some("suite".to_owned()), ..suite.options.clone() };
    let first = suite.cluster.apply(&suite.type_, &object, false, &options).await?;
    let mut object = object;
    object["data"]["key"] = json!("1");
    let second = suite.cluster.apply(&suite.type_, &object, true, &options).await?;
    assert_eq!(first.object.head()?.uid, second.object.head()?.uid);
    assert_eq!(value(&second)?["data"]["key"], "1");
    Ok(())
}

pub(crate) async fn deletes(suite: &Suite<'_>) -> anyhow::Result<()> {
    let (cluster, target, options) = (suite.cluster, suite.target(), &suite.options);
    let written = suite.create("deleted", &json!({})).await?;
    let head = written.object.head()?;
    let delete = async |preconditions: Preconditions, options: &WriteOptions| {
        cluster.delete(&target, "deleted", &preconditions, Propagation::Background, options).await
    };
    let other = Preconditions { uid: Some("another".to_owned()), rv: None };
    let error = delete(other, options).await.expect_err("another incarnation");
    assert!(matches!(error, ClusterError::Conflict { .. }), "{error}");
    suite.set_data("deleted", "1").await?;
    let stale = Preconditions { uid: Some(head.uid.clone()), rv: Some(head.rv) };
    let error = delete(stale, options).await.expect_err("an old version");
    assert!(matches!(error, ClusterError::Conflict { .. }), "{error}");

    let this = Preconditions { uid: Some(head.uid), rv: None };
    delete(this.clone(), &dry_run(options)).await?;
    assert!(cluster.get(&target, "deleted").await?.is_some(), "a dry run deletes nothing");

    // What has a finalizer stays until it is taken off.
    let finalizer = json!({"metadata": {"finalizers": ["example.com/wait"]}});
    cluster.patch_merge(&target, "deleted", &finalizer, options).await?;
    let deleted = delete(this.clone(), options).await?;
    let pending = deleted.pending.context("it waits for its finalizer")?;
    assert!(pending.head()?.deletion_timestamp.is_some());
    assert!(cluster.get(&target, "deleted").await?.is_some());
    let none = json!({"metadata": {"finalizers": null}});
    cluster.patch_merge(&target, "deleted", &none, options).await?;
    assert_eq!(cluster.get(&target, "deleted").await?, None);

    let error = delete(this, options).await.expect_err("it is gone");
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error}");
    suite.create("deleted", &json!({})).await?;
    let deleted = delete(Preconditions::default(), options).await?;
    assert_eq!(deleted.pending, None);
    assert_eq!(cluster.get(&target, "deleted").await?, None);
    Ok(())
}
