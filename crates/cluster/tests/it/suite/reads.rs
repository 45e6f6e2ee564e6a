//! Discovery, lists, reads of the past.

use anyhow::{Context as _, ensure};
use serde_json::json;
use vmrewind_cluster::{AsOf, Cluster, ClusterError, Preconditions, Propagation, ServedType, Target};
use vmrewind_model::Rv;

use super::{Suite, version};

pub(crate) async fn discovery(cluster: &Cluster) -> anyhow::Result<ServedType> {
    let discovery = cluster.discover().await?;
    ensure!(discovery.stale.is_empty(), "{:?}", discovery.stale);
    let type_ = discovery.by_kind("", "ConfigMap").context("config maps are served")?.clone();
    assert!(type_.namespaced && type_.can_be_watched());
    assert_eq!(type_.short_names, ["cm"]);
    for text in ["cm", "configmap", "configmaps", "ConfigMap"] {
        assert_eq!(discovery.resolve(text).first(), Some(&type_), "{text}");
    }
    let revisions = discovery.resolve("controllerrevisions.apps");
    assert_eq!(revisions, discovery.resolve("controllerrevisions.v1.apps"));
    assert_eq!(revisions.len(), 1);
    assert_eq!(revisions[0].kind, "ControllerRevision");
    assert_eq!(discovery.resolve("controllerrevisions.batch"), []);
    assert_eq!(discovery.resolve("nonsense"), []);
    Ok(type_)
}

pub(crate) async fn identity(suite: &Suite<'_>) -> anyhow::Result<()> {
    let identity = suite.cluster.identity().await?;
    assert_eq!(identity.uid.len(), 36, "{}", identity.uid);
    assert!(identity.server_version.starts_with("v1."), "{}", identity.server_version);
    assert_eq!(identity, suite.cluster.identity().await?);
    Ok(())
}

pub(crate) async fn lists_belong_to_one_version(suite: &Suite<'_>) -> anyhow::Result<()> {
    let labels = json!({"part": "lists"});
    for index in 0..5 {
        suite.create(&format!("list-{index}"), &labels).await?;
    }
    let target = suite.target().with_selector(Some("part in (lists)"));
    let paged = suite.cluster.list_consistent(&target, 2).await?;
    assert!(paged.date.is_some());
    assert_eq!(paged.rejected, []);
    assert_eq!(paged.items.len(), 5);
    // Items of lists come without apiVersion and kind; recorded, they equal what a GET returns, byte by byte.
    for item in &paged.items {
        let name = item.head()?.key.name;
        assert_eq!(Some(item), suite.cluster.get(&target, &name).await?.as_ref(), "{name}");
    }
    let whole = suite.cluster.list_consistent(&target, 1000).await?;
    assert_eq!(paged.items, whole.items);
    let newest = suite.cluster.newest_version(&target).await?;
    assert!(newest.0 >= paged.rv, "{} after {}", newest.0, paged.rv);
    assert!(newest.1.is_some());
    Ok(())
}

pub(crate) async fn earlier_states(suite: &Suite<'_>) -> anyhow::Result<()> {
    let target = suite.target();
    let (before, _) = suite.cluster.newest_version(&target).await?;
    let first = suite.create("past", &json!({})).await?;
    let second = suite.set_data("past", "1").await?;
    suite.cluster.delete(&target, "past", &Preconditions::default(), Propagation::Background, &suite.options).await?;
    let (after, _) = suite.cluster.newest_version(&target).await?;
    let then = async |rv: Rv| suite.cluster.state_as_of(&target, "past", rv).await;
    assert_eq!(then(before).await?, AsOf::NotThere);
    assert_eq!(then(version(&first)?).await?, AsOf::Found(first.object.clone()));
    assert_eq!(then(version(&second)?).await?, AsOf::Found(second.object.clone()));
    // Between two versions it is what it was at the earlier one.
    let between = Rv(version(&second)?.0 - 1);
    assert_eq!(then(between).await?, AsOf::Found(first.object));
    assert_eq!(then(after).await?, AsOf::NotThere);
    Ok(())
}

pub(crate) async fn what_does_not_exist(suite: &Suite<'_>) -> anyhow::Result<()> {
    assert_eq!(suite.cluster.get(&suite.target(), "nobody").await?, None);
    assert_eq!(suite.cluster.get(&suite.target().in_namespace("nowhere"), "nobody").await?, None);
    let unknown = Target { plural: "nonsenses".to_owned(), ..suite.target() };
    let error = suite.cluster.list_consistent(&unknown, 10).await.expect_err("not served");
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error}");
    let error = suite.cluster.newest_version(&unknown).await.expect_err("not served");
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error}");
    Ok(())
}
