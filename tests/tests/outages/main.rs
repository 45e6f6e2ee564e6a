//! What the archive says of times when nobody watched, or when the cluster itself forgot.

mod forbidden;
mod full_disk;
mod interval;
mod rewound;
mod unfetched;
mod unwatched;

use anyhow::Context as _;
use serde_json::{Value, json};
use vmrewind_testkit::bench::{Bench, vm};
use vmrewind_tests::{History, Line, Site};

/// Labels a machine and returns the resource version that it has since.
async fn label(bench: &Bench, namespace: &str, name: &str, value: &str) -> anyhow::Result<String> {
    let changed = bench.patch(&vm(namespace, name), &json!({"metadata": {"labels": {"turn": value}}})).await?;
    Ok(changed["metadata"]["resourceVersion"].as_str().context("a version")?.to_owned())
}

/// Waits until a version of a machine stands in the archive, and returns its record and the history.
async fn recorded(site: &Site, namespace: &str, name: &str, rv: &str) -> anyhow::Result<(Line, History)> {
    let version = |history: &History| {
        history.of("VirtualMachine", namespace, name).find(|line| line.rv().as_deref() == Some(rv)).cloned()
    };
    site.shows(&format!("{namespace}/{name} at {rv}"), version).await
}

/// A machine that does not run, so that nobody writes to it but the test.
async fn quiet_machine(bench: &Bench, namespace: &str, name: &str) -> anyhow::Result<()> {
    let machine = vmrewind_testkit::build::vm(name).namespace(namespace).with_secret(&format!("{name}-key"));
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"key": "value"},
        "metadata": {"name": format!("{name}-key"), "namespace": namespace}});
    bench.create_all(&[secret, machine.to_post()]).await?;
    // The conditions are the last thing that is written.
    let settled = |vm: Option<&Value>| vm.is_some_and(|vm| vm["status"]["conditions"][0]["type"] == "Ready");
    bench.wait(&vm(namespace, name), "settled", settled).await?;
    Ok(())
}
