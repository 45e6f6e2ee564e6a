//! What a real server still knows after restarts, compaction and the restore of a backup.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use serde_json::json;
use vmrewind_cluster::{AsOf, Cluster, ClusterError, WriteOptions};
use vmrewind_testkit::controlplane::{ControlPlane, Options};

use crate::suite::{self, Suite, version};

#[tokio::test]
async fn a_restart_ends_watches_from_before_compaction_ends_walking_back_and_a_backup_goes_back() -> anyhow::Result<()>
{
    vmrewind_cluster::install_crypto_provider();
    let mut plane = ControlPlane::start(Options { without_controllers: true, ..Options::default() }).await?;
    let client = plane.client().await?;
    suite::wait_for_namespace(&client, "default").await?;
    let cluster = Cluster::from_client(client);
    let type_ = cluster.discover().await?.by_kind("", "ConfigMap").context("served")?.clone();
    let suite = Suite { cluster: &cluster, type_, options: WriteOptions::default() };
    let target = suite.target();

    let first = suite.create("walked", &json!({})).await?;
    let second = suite.set_data("walked", "1").await?;
    suite.set_data("walked", "2").await?;
    plane.restart_apiserver().await?;

    // Told in the stream: the server says yes at first.
    let mut watch = cluster.watch(&target, version(&first)?, Duration::from_secs(30)).await?;
    let error = tokio::time::timeout(Duration::from_secs(60), watch.next()).await?.context("an event")?;
    let error = error.expect_err("the watch cache begins after that version");
    assert!(matches!(error, ClusterError::Gone { .. }), "{error}");

    let then = cluster.state_as_of(&target, "walked", version(&first)?).await?;
    assert_eq!(then, AsOf::Found(first.object.clone()));
    let then = cluster.state_as_of(&target, "walked", version(&second)?).await?;
    assert_eq!(then, AsOf::Found(second.object.clone()));

    plane.compact_etcd().await?;
    let then = cluster.state_as_of(&target, "walked", version(&first)?).await?;
    assert_eq!(then, AsOf::Compacted);

    let snapshot = plane.snapshot_etcd().await?;
    let mut late = version(&first)?;
    for value in 3..10 {
        late = version(&suite.set_data("walked", &value.to_string()).await?)?;
    }
    assert!(late.0 > snapshot.revision());
    plane.restore_etcd(&snapshot).await?;
    let (newest, _) = cluster.newest_version(&target).await?;
    let object = cluster.get(&target, "walked").await?.context("it was there")?;
    assert_eq!(object.value()?["data"]["key"], "2");
    assert!(object.head()?.rv < late && newest <= late, "{newest} after {late}");
    Ok(())
}
