//! Each way in which a connection cannot be had is told apart.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vmrewind_cluster::{Cluster, ClusterError, ConnectOptions, ErrorKind};
use vmrewind_testkit::controlplane::{ControlPlane, Options, User};

const TOKEN: &str = "hunter2";

fn kubeconfig(server: &str, user: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "there", "context": {"cluster": "c", "user": "u"}}]})
}

fn write(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("config");
    std::fs::write(&path, text).expect("written");
    path
}

async fn refusal(options: ConnectOptions) -> ClusterError {
    let error = Cluster::connect(&options).await.expect_err("no connection");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
    error
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_or_not_one_is_named() {
    vmrewind_cluster::install_crypto_provider();
    vmrewind_cluster::install_crypto_provider();
    let directory = tempfile::tempdir().expect("a directory");
    let home = || ConnectOptions { home: Some(directory.path().to_owned()), ..ConnectOptions::default() };
    let named = |path: &Path| ConnectOptions { kubeconfig: Some(path.to_owned()), ..ConnectOptions::default() };

    let error = refusal(home()).await;
    assert!(
        matches!(&error, ClusterError::NoKubeconfig { tried } if *tried == [directory.path().join(".kube/config")]),
        "{error}"
    );
    let missing = directory.path().join("missing");
    let error = refusal(named(&missing)).await;
    assert!(matches!(&error, ClusterError::Kubeconfig { path, .. } if *path == missing), "{error}");
    for garbage in ["token: hunter2: [", "hunter2", "users: hunter2"] {
        let error = refusal(named(&write(directory.path(), garbage))).await;
        assert!(
            matches!(&error, ClusterError::Kubeconfig { .. } | ClusterError::UnknownContext { .. }),
            "{garbage}: {error}"
        );
    }
}

#[tokio::test]
async fn an_unknown_context_is_named_beside_those_there_are() {
    vmrewind_cluster::install_crypto_provider();
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = kubeconfig("https://127.0.0.1:1", &json!({"token": TOKEN}));
    let path = write(directory.path(), &config.to_string());
    let options = ConnectOptions { kubeconfig: Some(path.clone()), ..ConnectOptions::default() };
    let error = refusal(ConnectOptions { context: Some("elsewhere".to_owned()), ..options.clone() }).await;
    let ClusterError::UnknownContext { name, known } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), known.as_slice()), ("elsewhere", &["here".to_owned(), "there".to_owned()][..]));
    let cluster = Cluster::connect(&options).await.expect("a connection");
    assert_eq!(cluster.default_namespace(), "team");

    config["current-context"] = json!("");
    write(directory.path(), &config.to_string());
    let error = refusal(options.clone()).await;
    assert!(matches!(&error, ClusterError::UnknownContext { name, .. } if name.is_empty()), "{error}");
    let groups =
        ConnectOptions { impersonate_groups: vec!["g".to_owned()], context: Some("here".to_owned()), ..options };
    let error = refusal(groups).await;
    assert!(matches!(error, ClusterError::Options { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    vmrewind_cluster::install_crypto_provider();
    let directory = tempfile::tempdir().expect("a directory");
    // Nobody listens on port 1.
    let path = write(directory.path(), &kubeconfig("https://127.0.0.1:1", &json!({"token": TOKEN})).to_string());
    let cluster = Cluster::connect(&ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }).await;
    let error = cluster.expect("nothing is sent yet").identity().await.expect_err("refused");
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_real_server_tells_bad_certificates_bad_tokens_and_missing_rights_apart() -> anyhow::Result<()> {
    vmrewind_cluster::install_crypto_provider();
    let rules = vec![json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]})];
    let users = vec![User { name: "watcher".to_owned(), rules }];
    let plane = ControlPlane::start(Options { users, without_controllers: true, ..Options::default() }).await?;
    let options = ConnectOptions { kubeconfig: Some(plane.kubeconfig()), ..ConnectOptions::default() };
    let cluster = Cluster::connect(&options).await?;
    let secrets = cluster.discover().await?.by_kind("", "Secret").expect("served").target(None);
    let config_maps = cluster.discover().await?.by_kind("", "ConfigMap").expect("served").target(None);
    cluster.newest_version(&secrets).await?;

    let directory = tempfile::tempdir()?;
    let path = write(directory.path(), &kubeconfig(&plane.url(), &json!({"token": TOKEN})).to_string());
    let stranger = Cluster::connect(&ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }).await?;
    let error = stranger.newest_version(&secrets).await.expect_err("the authority is unknown");
    assert!(matches!(error, ClusterError::Certificate { .. }), "{error:?}");

    let mut config: Value = serde_json::from_slice(&std::fs::read(plane.kubeconfig())?)?;
    config["users"][0]["user"]["token"] = json!(TOKEN);
    let path = write(directory.path(), &config.to_string());
    let stranger = Cluster::connect(&ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }).await?;
    let error = stranger.newest_version(&secrets).await.expect_err("the token is unknown");
    assert!(matches!(error, ClusterError::Unauthorized { .. }), "{error:?}");

    // By its own token and by acting as it, the user has the same rights.
    let own = ConnectOptions { kubeconfig: Some(plane.kubeconfig_of("watcher")), ..ConnectOptions::default() };
    let acting = ConnectOptions { impersonate_user: Some("watcher".to_owned()), ..options.clone() };
    for options in [own, acting.clone()] {
        let limited = Cluster::connect(&options).await?;
        limited.newest_version(&config_maps).await?;
        let error = limited.newest_version(&secrets).await.expect_err("no right");
        let ClusterError::Forbidden { verb, resource, message, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*verb, resource.as_str()), ("list", "secrets"));
        assert!(message.contains("\"watcher\""), "{message}");
    }
    let groups = ConnectOptions { impersonate_groups: vec!["system:masters".to_owned()], ..acting };
    Cluster::connect(&groups).await?.newest_version(&secrets).await?;
    Ok(())
}
