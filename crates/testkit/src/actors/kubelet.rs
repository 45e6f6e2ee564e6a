//! Plays scheduler and kubelet for launcher pods: a node, then running once everything it mounts is there.
//!
//! A pod whose Secret, ConfigMap, claim or network is missing stays Pending, as on a real node: that is how a
//! restore that forgot a dependency shows.
//!
//! Does not: know nodes. There are three, which nobody sees.

use kube::Error;
use serde_json::{Value, json};

use super::Actor;
use super::json::{annotation, at, condition, deleting, items, label, make_condition, namespace, number, text, uid};
use super::kinds::Kind;
use super::write::KUBELET;

/// Where a pod says which node it must be on.
const HOSTNAME: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0/values/0";

pub(super) async fn reconcile(actor: &Actor, pod: &Value) -> Result<(), Error> {
    if deleting(pod) {
        return actor.write.delete(Kind::Pod, pod, Some(0)).await;
    }
    if text(pod, "/spec/nodeName").is_empty() {
        let job = label(pod, "kubevirt.io/migrationJobUID");
        let home = number(&[label(pod, "kubevirt.io/created-by")]);
        let away = if job.is_empty() { 0 } else { 1 + number(&[job]) % 2 };
        let chosen = text(pod, HOSTNAME);
        let node = if chosen.is_empty() { format!("node-{}", (home % 3 + away) % 3) } else { chosen.to_owned() };
        return actor.write.bind(pod, &node).await;
    }
    // In the recorded histories pods have passed their gates long before they run.
    let gates = items(pod, "/spec/readinessGates").iter().map(|gate| text(gate, "/conditionType"));
    let passed = gates.into_iter().all(|gate| !condition(pod, gate).is_null());
    if text(pod, "/status/phase") != "Pending" || !passed || missing(actor, pod).is_some() {
        return Ok(());
    }
    let now = actor.now();
    let types = ["Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let mut conditions: Vec<Value> = types.iter().map(|type_| make_condition(pod, &now, type_, true, "", "")).collect();
    let of_others = |condition: &&Value| !types.contains(&text(condition, "/type"));
    conditions.extend(items(pod, "/status/conditions").iter().filter(of_others).cloned());
    let own = number(&[uid(pod)]).to_be_bytes();
    let ip = format!("10.128.{}.{}", own[0], own[1]);
    let status = json!({
        "phase": "Running", "conditions": conditions, "hostIP": "192.0.2.9", "podIP": ip, "podIPs": [{"ip": ip}],
        "startTime": now,
        "containerStatuses": [{
            "name": text(pod, "/spec/containers/0/name"), "image": text(pod, "/spec/containers/0/image"), "imageID": "", "ready": true, "started": true,
            "restartCount": 0, "lastState": {}, "state": {"running": {"startedAt": now}},
        }],
    });
    actor.write.patch_status(Kind::Pod, KUBELET, pod, status).await.map(drop)
}

/// Returns what the pod mounts or attaches to that is not there.
fn missing(actor: &Actor, pod: &Value) -> Option<String> {
    let space = namespace(pod);
    for volume in items(pod, "/spec/volumes") {
        let (kind, what, optional) = if let Some(secret) = volume.pointer("/secret") {
            (Kind::Secret, text(secret, "/secretName"), at(secret, "/optional"))
        } else if let Some(map) = volume.pointer("/configMap") {
            (Kind::ConfigMap, text(map, "/name"), at(map, "/optional"))
        } else if let Some(claim) = volume.pointer("/persistentVolumeClaim") {
            (Kind::Claim, text(claim, "/claimName"), &Value::Null)
        } else {
            continue;
        };
        if optional != &Value::Bool(true) && actor.stores.get(kind, space, what).is_none() {
            return Some(format!("{} {what}", kind.name()));
        }
    }
    let networks = annotation(pod, "k8s.v1.cni.cncf.io/networks");
    for network in networks.split(',').filter(|network| !network.is_empty()) {
        let (space, network) = network.split_once('/').unwrap_or((space, network));
        if actor.stores.get(Kind::Network, space, network).is_none() {
            return Some(format!("network {network}"));
        }
    }
    None
}
