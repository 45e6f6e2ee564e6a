//! Machines put back: onto a disk that is there, onto a disk that has to be fetched again, beside the original.

mod copied;
mod deleted;
mod lost_disk;
mod two_watchers;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use vmrewind_testkit::bench::{Bench, ObjectName};
use vmrewind_tests::{History, Site, now};

/// Waits until the newest version of each of these objects stands in the archive.
async fn recorded(bench: &Bench, site: &Site, objects: &[ObjectName<'_>]) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + vmrewind_testkit::bench::PATIENCE;
    for object in objects {
        loop {
            let live = bench.get(object).await?;
            let rv = live.as_ref().and_then(|live| live["metadata"]["resourceVersion"].as_str());
            let history = History::read(&site.tool).await?;
            let newest = history.of(object.kind, object.namespace, object.name).last().cloned();
            let there =
                newest.is_some_and(|line| if rv.is_none() { line.op == "D" } else { line.rv().as_deref() == rv });
            if there {
                break;
            }
            ensure!(tokio::time::Instant::now() < deadline, "{object:?} at {rv:?} is not in the archive");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    site.proven_up_to(&now()).await.map(drop)
}

async fn live(bench: &Bench, object: &ObjectName<'_>) -> anyhow::Result<Value> {
    bench.get(object).await?.with_context(|| format!("{object:?} does not exist"))
}

/// Returns an object of the core group by name.
fn core<'a>(kind: &'a str, namespace: &'a str, name: &'a str) -> ObjectName<'a> {
    ObjectName { api_version: "v1", kind, namespace, name }
}
