//! Machines put back: onto a disk that is there, onto a disk that has to be fetched again, beside the original.

mod copied;
mod deleted;
mod lost_disk;
mod two_watchers;

use anyhow::Context as _;
use serde_json::Value;
use vmrewind_testkit::bench::{Bench, ObjectName, PATIENCE, shared};
use vmrewind_testkit::wait::{Seen, wait_for};
use vmrewind_tests::{Answer, History, Site, Watcher, agree_with_python_reader, now};

/// Takes a namespace on the shared bench, and an archive with a watcher that is ready.
async fn begin(ns: &str) -> anyhow::Result<(&'static Bench, Site, Watcher)> {
    let bench = shared();
    bench.namespace(ns).await?;
    let site = Site::new(bench)?;
    let watcher = site.watcher()?.ready().await?;
    Ok((bench, site, watcher))
}

/// Stops the watcher; the archive must read the same to the second implementation.
async fn end(site: &Site, watcher: Watcher) -> anyhow::Result<()> {
    watcher.stop().await?;
    agree_with_python_reader(&site.tool, &site.archive()).await
}

/// Restores a machine to just before its deletion.
async fn restore(site: &Site, ns: &str, machine: &str, flags: &[&str]) -> anyhow::Result<Answer> {
    let restore = ["restore", machine, "-n", ns, "--at", "before-delete", "--allow-late", "--yes"];
    site.tool.run(&[&restore, flags].concat()).await
}

/// Waits until the newest version of each of these objects stands in the archive.
async fn recorded(bench: &Bench, site: &Site, objects: &[ObjectName<'_>]) -> anyhow::Result<()> {
    wait_for("the newest versions in the archive", PATIENCE, async || {
        let history = History::read(&site.tool).await?;
        for object in objects {
            let live = bench.get(object).await?;
            let rv = live.as_ref().and_then(|live| live["metadata"]["resourceVersion"].as_str());
            let newest = history.of(object.kind, object.namespace, object.name).last();
            if !newest.is_some_and(|line| if rv.is_none() { line.op == "D" } else { line.rv().as_deref() == rv }) {
                return Ok(Seen::NotYet(format!("{object:?} is at {rv:?} and was recorded at {newest:?}")));
            }
        }
        Ok(Seen::There(()))
    })
    .await?;
    site.proven_up_to(&now()).await.map(drop)
}

/// Deletes a machine, and waits until the archive has it that its deletion began. What it depended on may go then: watches
/// of different kinds are not ordered against each other, and "before the deletion" is a moment of the archive.
async fn deleted(bench: &Bench, site: &Site, machine: &ObjectName<'_>) -> anyhow::Result<()> {
    bench.delete(machine).await?;
    let number = |rv: &str| rv.parse::<u64>().unwrap_or_default();
    // Whatever version it has now carries the time of its deletion.
    let live = bench.get(machine).await?;
    let marked = live.as_ref().and_then(|live| live["metadata"]["resourceVersion"].as_str()).map(number);
    let begun = |history: &History| {
        let mut lines = history.of(machine.kind, machine.namespace, machine.name);
        lines
            .find(|line| {
                let version = line.rv().map(|rv| number(&rv));
                line.op == "D" || (marked.is_some() && version >= marked)
            })
            .cloned()
    };
    site.shows("the beginning of the deletion", begun).await.map(drop)
}

async fn live(bench: &Bench, object: &ObjectName<'_>) -> anyhow::Result<Value> {
    bench.get(object).await?.with_context(|| format!("{object:?} does not exist"))
}

/// Returns an object of the core group by name.
fn core<'a>(kind: &'a str, namespace: &'a str, name: &'a str) -> ObjectName<'a> {
    ObjectName { api_version: "v1", kind, namespace, name }
}
