//! The program, on a real control plane: captured, killed, resumed, stopped; and no secret in its log.

use std::{process::Command, time::Duration};

use futures::TryStreamExt as _;
use kube::{
    api::{Api, DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use vmrewind_archive::{Archive, ArchiveUrl, SeqRange, Store};
use vmrewind_model::{ObjectKey, Record, Seq};
use vmrewind_testkit::{
    bench::own_definitions,
    controlplane::{ControlPlane, Lifetime, Options, Process},
    wait::{Seen, wait_for},
};

const PLANTED: &str = "cGxhbnRlZC1zZWNyZXQ=";

async fn read(archive: &std::path::Path) -> anyhow::Result<Vec<Record>> {
    let url: ArchiveUrl = archive.display().to_string().parse()?;
    let archive = Archive::open(Store::open(&url)?).await?;
    Ok(archive.records(SeqRange { first: Seq(1), last: Seq(u64::MAX) }).try_collect().await?)
}

/// Waits until `test` says yes of the records, for two minutes at most.
async fn until(archive: &std::path::Path, what: &str, test: impl Fn(&[Record]) -> bool) -> anyhow::Result<Vec<Record>> {
    wait_for(what, Duration::from_mins(2), async || {
        Ok(match read(archive).await {
            Ok(records) if test(&records) => Seen::There(records),
            Ok(records) => Seen::NotYet(format!("{} records", records.len())),
            Err(error) => Seen::NotYet(format!("{error:#}")),
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_on_a_real_control_plane_and_survives_a_kill() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options { crds: own_definitions()?, ..Options::default() }).await?;
    let client = plane.client().await?;
    let of = |gvk: GroupVersionKind, plural: &str| -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), "default", &ApiResource::from_gvk_with_plural(&gvk, plural))
    };
    let machines = of(GroupVersionKind::gvk("kubevirt.io", "v1", "VirtualMachine"), "virtualmachines");
    let secrets = of(GroupVersionKind::gvk("", "v1", "Secret"), "secrets");
    let put = |api: Api<DynamicObject>, object: serde_json::Value| async move {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await
    };
    let vm = |turn: &str| {
        json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
            "metadata": {"name": "db", "labels": {"turn": turn}}, "spec": {"runStrategy": "Halted",
            "template": {"spec": {"domain": {"devices": {}}, "volumes": [
                {"name": "ci", "cloudInitNoCloud": {"secretRef": {"name": "db-ci"}}}]}}}})
    };
    let folder = tempfile::tempdir()?;
    let (archive, log) = (folder.path().join("archive"), folder.path().join("log"));
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vmrewind-watcher"));
        command.arg("run").arg("--archive").arg(&archive).arg("--kubeconfig").arg(plane.kubeconfig());
        command.args(["--listen=127.0.0.1:0", "--watch-timeout=3s", "--heartbeat=1s"]);
        Process::start("vmrewind-watcher", command, &log, Lifetime::WithOwner)
    };
    put(secrets, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db-ci"}, "data": {"v": PLANTED}}))
        .await?;
    let first = put(machines.clone(), vm("one")).await?;

    let process = start()?;
    let secret = ObjectKey::new("", "Secret", "default", "db-ci");
    until(&archive, "the secret is captured", |records| {
        records.iter().any(|record| record.change.key().is_some_and(|key| key.object == secret))
    })
    .await?;
    process.kill_9()?;
    let second = put(machines.clone(), vm("two")).await?;
    let process = start()?;
    let third = put(machines.clone(), vm("three")).await?;
    let wanted: Vec<String> =
        [&first, &second, &third].iter().filter_map(|vm| vm.metadata.resource_version.clone()).collect();
    let versions = |records: &[Record]| -> Vec<String> {
        let machines = records.iter().filter(|record| record.change.key().is_some_and(|key| key.object.name == "db"));
        machines.filter_map(|record| record.change.rv().map(|rv| rv.to_string())).collect()
    };
    until(&archive, "the third version is captured", |records| versions(records).contains(&wanted[2])).await?;
    let status = process.terminate(Duration::from_secs(30)).await?;
    assert!(status.success(), "{status}");
    let records = read(&archive).await?;
    assert_eq!(versions(&records), wanted);
    let said = std::fs::read_to_string(&log)?;
    assert!(said.contains("archive taken over"));
    assert!(!said.contains(PLANTED) && !said.contains("planted-secret"), "a secret in the log");
    Ok(())
}
