//! The launcher of the real control plane: what other tests rely on.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use vmrewind_cluster::{Cluster, Preconditions, Propagation, Watch, WatchEvent, WriteOptions};
use vmrewind_testkit::controlplane::{Component, ControlPlane, Lifetime, Options, Process, User};
use vmrewind_testkit::wait::{Seen, wait_for};

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

async fn create(client: &kube::Client, name: &str) -> anyhow::Result<ConfigMap> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    // The namespace appears a moment after the server is ready, and a server whose storage was away needs a moment.
    wait_for(name, Duration::from_secs(30), async || {
        let created = api.create(&PostParams::default(), &config_map(name)).await;
        Ok(created.map_or_else(|error| Seen::NotYet(error.to_string()), Seen::There))
    })
    .await
}

async fn exists(client: &kube::Client, name: &str) -> anyhow::Result<bool> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    Ok(api.get_opt(name).await?.is_some())
}

fn version(object: &ConfigMap) -> u64 {
    object.metadata.resource_version.as_ref().and_then(|text| text.parse().ok()).expect("a decimal version")
}

fn watcher() -> User {
    User {
        name: "watcher".to_owned(),
        rules: vec![json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]})],
    }
}

#[tokio::test]
async fn a_control_plane_survives_what_tests_do_to_it_and_leaves_nothing_behind() -> anyhow::Result<()> {
    let mut plane = ControlPlane::start(Options { users: vec![watcher()], ..Options::default() }).await?;
    let client = plane.client().await?;
    let before = create(&client, "before").await?;

    // Rights are those asked for, no more.
    let limited = plane.client_of("watcher").await?;
    assert!(exists(&limited, "before").await?);
    let refused = Api::<Namespace>::all(limited).get("default").await.expect_err("no right to read namespaces");
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");

    // A restarted API server is the same one for its clients.
    plane.restart_apiserver().await?;
    assert!(exists(&client, "before").await?);

    // Compaction goes up to now.
    assert!(plane.compact_etcd().await? >= version(&before));

    // Storage that goes back forgets what came later, and uses its versions again.
    let snapshot = plane.snapshot_etcd().await?;
    let later = create(&client, "later").await?;
    plane.restore_etcd(&snapshot).await?;
    assert!(exists(&client, "before").await?);
    assert!(!exists(&client, "later").await?);
    let again = create(&client, "again").await?;
    assert!(version(&again) <= version(&later) + 100, "{} after {}", version(&again), version(&later));

    let directory = plane.directory().to_owned();
    let pids =
        [Component::Etcd, Component::ApiServer, Component::ControllerManager].map(|component| plane.pid(component));
    assert!(pids.iter().all(Option::is_some), "{pids:?}");
    drop(plane);
    for pid in pids.into_iter().flatten() {
        assert!(!Path::new("/proc").join(pid.to_string()).exists(), "process {pid} is left");
    }
    assert!(!directory.exists());
    Ok(())
}

/// A type that exists before the controllers start.
fn widgets() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
}

#[tokio::test]
async fn deletes_cascade_through_the_real_garbage_collector_and_namespaces_come_to_an_end() -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    vmrewind_cluster::install_crypto_provider();
    let plane = ControlPlane::start(Options { crds: vec![widgets()], ..Options::default() }).await?;
    let cluster = Cluster::from_client(plane.client().await?);
    let discovery = cluster.discover().await?;
    let type_ = |group: &str, kind: &str| discovery.by_kind(group, kind).cloned().context("served");
    let (namespaces, widgets, config_maps) =
        (type_("", "Namespace")?, type_("example.com", "Widget")?, type_("", "ConfigMap")?);
    let options = WriteOptions::default();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cascade"}});
    cluster.create(&namespaces, &namespace, &options).await?;
    let owner = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "owner", "namespace": "cascade"}});
    let owner = cluster.create(&widgets, &owner, &options).await?.object.head()?;
    let owned = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "namespace": "cascade",
        "ownerReferences": [{"apiVersion": "example.com/v1", "kind": "Widget", "name": "owner", "uid": owner.uid}]}});
    cluster.create(&config_maps, &owned, &options).await?;

    // The ends are watched for; a silent watch ends by itself and with it the test.
    let target = config_maps.target(Some("cascade"));
    let (from, _) = cluster.newest_version(&target).await?;
    let mut watch = cluster.watch(&target, from, PATIENCE).await?;
    let place = widgets.target(Some("cascade"));
    let this = Preconditions { uid: Some(owner.uid), rv: None };
    cluster.delete(&place, "owner", &this, Propagation::Background, &options).await?;
    deletion(&mut watch, "owned").await?;

    let everywhere = namespaces.target(None);
    let (from, _) = cluster.newest_version(&everywhere).await?;
    let mut watch = cluster.watch(&everywhere, from, PATIENCE).await?;
    cluster.delete(&everywhere, "cascade", &Preconditions::default(), Propagation::Background, &options).await?;
    deletion(&mut watch, "cascade").await
}

async fn deletion(watch: &mut Watch, name: &str) -> anyhow::Result<()> {
    while let Some(event) = watch.next().await {
        if let WatchEvent::Deleted(object) = event?
            && object.head()?.key.name == name
        {
            return Ok(());
        }
    }
    anyhow::bail!("{name} is still there")
}

/// Waits for something that other processes do; bounded.
async fn until(what: &str, done: impl Fn() -> bool) {
    wait_for(what, Duration::from_secs(30), async || {
        Ok(Seen::or_not_yet(done().then_some(()), || "it did not happen".to_owned()))
    })
    .await
    .expect("it happens");
}

/// Tells whether a process runs; one that ended and that nobody asked for its exit status does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

#[tokio::test]
async fn a_detached_program_goes_on_when_it_is_dropped() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut sleep = std::process::Command::new("sleep");
    sleep.arg("60");
    let program = Process::start("sleep", sleep, &directory.path().join("log"), Lifetime::Detached)?;
    let pid = program.pid().to_string();
    drop(program);
    assert!(runs(&pid));
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status()?.success());
    until("the end of the program", || !runs(&pid)).await;
    Ok(())
}

#[tokio::test]
async fn a_program_that_is_asked_to_end_tells_how_it_ended() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut shell = std::process::Command::new("sh");
    // It says when it is ready to be asked.
    shell.args(["-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"]);
    let log = directory.path().join("log");
    let program = Process::start("shell", shell, &log, Lifetime::WithOwner)?;
    until("its first word", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"))).await;
    assert_eq!(program.tail().trim(), "ready");
    assert_eq!(program.terminate(Duration::from_secs(30)).await?.code(), Some(7));
    Ok(())
}

#[tokio::test]
async fn programs_end_when_their_owner_is_killed() -> anyhow::Result<()> {
    const OWNER: &str = "VMREWIND_TEST_OWNER_DIRECTORY";
    if let Some(directory) = std::env::var_os(OWNER) {
        // This is the owner: a copy of this test that the test below started and is about to kill.
        let directory = Path::new(&directory);
        let mut sleep = std::process::Command::new("sleep");
        sleep.arg("600");
        let program = Process::start("sleep", sleep, &directory.join("log"), Lifetime::WithOwner)?;
        std::fs::write(directory.join("new"), program.pid().to_string())?;
        std::fs::rename(directory.join("new"), directory.join("pid"))?;
        return std::future::pending().await;
    }
    let directory = tempfile::tempdir()?;
    let mut owner = std::process::Command::new(std::env::current_exe()?);
    owner.args(["--exact", "controlplane::programs_end_when_their_owner_is_killed"]).env(OWNER, directory.path());
    let owner = Process::start("owner", owner, &directory.path().join("owner.log"), Lifetime::WithOwner)?;
    let file = directory.path().join("pid");
    until("the start of the program", || file.exists()).await;
    let pid = std::fs::read_to_string(&file)?;
    assert!(runs(&pid), "{}", owner.tail());
    owner.kill_9()?;
    until("the end of the program", || !runs(&pid)).await;
    Ok(())
}
