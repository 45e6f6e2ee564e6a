//! Plays virt-controller for live migrations: a second pod, the phases, the hand-over.
//!
//! Follows `kubevirt/kubevirt: pkg/virt-controller/watch/migration`.
//!
//! Does not: fail or cancel a migration.

use kube::Error;
use serde_json::{Value, json};

use super::Actor;
use super::json::{at, deleting, items, label, name, namespace, text, uid};
use super::kinds::Kind;
use super::launcher;
use super::write::VIRT;

const FINALIZER: &str = "kubevirt.io/migrationJobFinalize";

pub(super) async fn reconcile(actor: &Actor, migration: &Value) -> Result<(), Error> {
    let phase = text(migration, "/status/phase");
    if deleting(migration) || matches!(phase, "Succeeded" | "Failed") {
        return actor.write.drop_finalizers(Kind::Migration, VIRT, migration, &[FINALIZER]).await;
    }
    let vmi_name = text(migration, "/spec/vmiName");
    let Some(vmi) = actor.stores.get(Kind::Vmi, namespace(migration), vmi_name) else {
        return Ok(());
    };
    if phase.is_empty() {
        let known = json!({"metadata": {"finalizers": [FINALIZER], "labels": {"kubevirt.io/vmi-name": vmi_name}}});
        if actor.write.patch(Kind::Migration, VIRT, migration, known).await?.is_some() {
            return Ok(());
        }
        return step(actor, migration, "Pending").await;
    }
    let pods = actor.stores.owned(Kind::Pod, &vmi);
    let target = pods.iter().find(|pod| label(pod, "kubevirt.io/migrationJobUID") == uid(migration));
    let source = pods.iter().find(|pod| {
        label(pod, "kubevirt.io/migrationJobUID") != uid(migration) && text(pod, "/status/phase") == "Running"
    });
    match (phase, target) {
        ("Pending", None) if text(&vmi, "/status/phase") == "Running" => {
            actor.write.create(Kind::Pod, VIRT, launcher::pod_of(actor, &vmi, Some(migration))).await.map(drop)
        }
        ("Pending", Some(_)) => step(actor, migration, "Scheduling").await,
        ("Scheduling", Some(target)) if text(target, "/status/phase") == "Running" => {
            step(actor, migration, "Scheduled").await
        }
        ("Scheduled", Some(target)) => {
            let state = json!({
                "migrationUid": uid(migration), "startTimestamp": actor.now(), "mode": "PreCopy", "completed": null,
                "sourceNode": text(&vmi, "/status/nodeName"), "sourcePod": source.map(|pod| name(pod)),
                "targetNode": text(target, "/spec/nodeName"), "targetPod": name(target), "endTimestamp": null,
            });
            if text(&vmi, "/status/migrationState/migrationUid") != uid(migration) {
                let mut pods = at(&vmi, "/status/activePods").clone();
                pods[uid(target)] = json!(text(target, "/spec/nodeName"));
                let status = json!({"status": {"migrationState": state, "activePods": pods}});
                return actor.write.patch(Kind::Vmi, VIRT, &vmi, status).await.map(drop);
            }
            step(actor, migration, "Running").await
        }
        ("Running", Some(target)) => hand_over(actor, migration, &vmi, target, source.map(AsRef::as_ref)).await,
        _ => Ok(()),
    }
}

async fn hand_over(
    actor: &Actor,
    migration: &Value,
    vmi: &Value,
    target: &Value,
    source: Option<&Value>,
) -> Result<(), Error> {
    let node = text(target, "/spec/nodeName");
    if at(vmi, "/status/migrationState/completed") != &Value::Bool(true) {
        let change = json!({
            "metadata": {"labels": {"kubevirt.io/nodeName": node}},
            "status": {"nodeName": node, "migrationState": {"completed": true, "endTimestamp": actor.now()}},
        });
        return actor.write.patch(Kind::Vmi, VIRT, vmi, change).await.map(drop);
    }
    if let Some(source) = source {
        actor.write.patch_status(Kind::Pod, VIRT, source, json!({"phase": "Succeeded"})).await?;
    }
    step(actor, migration, "Succeeded").await
}

async fn step(actor: &Actor, migration: &Value, phase: &str) -> Result<(), Error> {
    let mut transitions = items(migration, "/status/phaseTransitionTimestamps").to_vec();
    transitions.push(json!({"phase": phase, "phaseTransitionTimestamp": actor.now()}));
    let status = json!({"phase": phase, "phaseTransitionTimestamps": transitions});
    actor.write.patch_status(Kind::Migration, VIRT, migration, status).await.map(drop)
}
