//! With which flags the programs run.

use std::path::Path;

use super::files::{ADMIN, Layout};

/// Controllers that keep the promises which objects rely on: deletes cascade, namespaces come to an end, finalizers
/// that the API server puts on volumes are taken off again. Others would interfere with what tests play themselves.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    persistentvolume-protection-controller,persistentvolumeclaim-protection-controller,clusterrole-aggregation-controller";

pub(super) fn etcd(layout: &Layout, port: u16) -> Vec<String> {
    vec![
        "--unsafe-no-fsync".to_owned(),
        format!("--data-dir={}", text(&layout.etcd())),
        format!("--listen-client-urls={}", url(port)),
        format!("--advertise-client-urls={}", url(port)),
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub(super) fn apiserver(layout: &Layout, etcd_port: u16, port: u16, more: &[String]) -> Vec<String> {
    let mut flags = vec![
        format!("--etcd-servers={}", url(etcd_port)),
        // Tests decide when history is forgotten.
        "--etcd-compaction-interval=0".to_owned(),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", text(&layout.certificates())),
        format!("--service-account-key-file={}", text(&layout.key())),
        format!("--service-account-signing-key-file={}", text(&layout.key())),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--token-auth-file={}", text(&layout.tokens())),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // Pods may be created the moment after their namespace.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ];
    flags.extend(more.iter().cloned());
    flags
}

pub(super) fn controller_manager(layout: &Layout) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", text(&layout.kubeconfig(ADMIN))),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        format!("--service-account-private-key-file={}", text(&layout.key())),
        "--controller-start-interval=0s".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
