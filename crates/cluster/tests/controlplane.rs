//! The launcher of the real control plane: what other tests rely on.

use std::{path::Path, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::json;
use vmrewind_testkit::controlplane::{Component, ControlPlane, Options, User};

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

async fn create(client: &kube::Client, name: &str) -> anyhow::Result<ConfigMap> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    // The namespace appears a moment after the server is ready, and a server whose storage was away needs a moment.
    let mut tries = 0;
    loop {
        match api.create(&PostParams::default(), &config_map(name)).await {
            Ok(created) => return Ok(created),
            Err(error) if tries == 200 => return Err(error.into()),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
