//! Plays virt-controller and virt-handler for instances: a launcher pod, phases, what the guest reports, deletion.
//!
//! Follows `kubevirt/kubevirt: pkg/virt-controller/watch/vmi` and a recorded virt-controller. Each step is taken
//! when the one before it has come back through the watch, so that every phase is a version of its own.
//!
//! Does not: run a guest.

use kube::Error;
use serde_json::{Value, json};

use super::json::{at, condition, deleting, has_finalizer, items, make_condition, name, namespace, text, uid};
use super::kinds::Kind;
use super::launcher::{self, FOREGROUND};
use super::vm::FINALIZER;
use super::write::VIRT;
use super::{Actor, hotplug};

/// Condition of a launcher pod: its guest is not paused.
const UNPAUSED: &str = "kubevirt.io/virtual-machine-unpaused";

pub(super) async fn reconcile(actor: &Actor, vmi: &Value) -> Result<(), Error> {
    let pods = actor.stores.owned(Kind::Pod, vmi);
    for pod in pods.iter().filter(|pod| !deleting(pod) && condition(pod, UNPAUSED).is_null()) {
        let mut conditions = items(pod, "/status/conditions").to_vec();
        let message = "the virtual machine is not paused";
        conditions.push(make_condition(pod, &actor.now(), UNPAUSED, true, "NotPaused", message));
        actor.write.patch_status(Kind::Pod, VIRT, pod, json!({ "conditions": conditions })).await?;
    }
    let phase = text(vmi, "/status/phase");
    let ended = matches!(phase, "Succeeded" | "Failed");
    if deleting(vmi) || ended {
        for pod in pods.iter().filter(|pod| !deleting(pod)) {
            actor.write.delete(Kind::Pod, pod, None).await?;
        }
        if !deleting(vmi) {
            return Ok(());
        }
        if !ended {
            return step(actor, vmi, "Succeeded", json!({})).await;
        }
        if pods.is_empty() {
            let mut conditions = items(vmi, "/status/conditions").to_vec();
            conditions.retain(|condition| text(condition, "/type") != "Ready");
            conditions.push(make_condition(
                vmi,
                &actor.now(),
                "Ready",
                false,
                "PodNotExists",
                "virt-launcher pod has not yet been scheduled",
            ));
            let left = json!({"status": {"conditions": conditions, "activePods": null, "launcherContainerImageVersion": null}});
            if !at(vmi, "/status/activePods").is_null()
                && actor.write.patch(Kind::Vmi, VIRT, vmi, left).await?.is_some()
            {
                return Ok(());
            }
            return actor.write.drop_finalizers(Kind::Vmi, VIRT, vmi, &[FINALIZER, FOREGROUND]).await;
        }
        return Ok(());
    }
    if !has_finalizer(vmi, FINALIZER) {
        let mut finalizers = items(vmi, "/metadata/finalizers").to_vec();
        finalizers.push(json!(FINALIZER));
        return actor
            .write
            .patch(Kind::Vmi, VIRT, vmi, json!({"metadata": {"finalizers": finalizers}}))
            .await
            .map(drop);
    }
    if actor.write.patch(Kind::Vmi, VIRT, vmi, super::vm::observed()).await?.is_some() {
        return Ok(());
    }
    let alive =
        |pod: &&std::sync::Arc<Value>| !deleting(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    let pod = pods.iter().find(|pod| alive(pod) && !is_target(vmi, pod));
    match (phase, pod) {
        ("" | "Pending", None) if disks_bound(actor, vmi) => {
            actor.write.create(Kind::Pod, VIRT, launcher::pod_of(actor, vmi, None)).await.map(drop)
        }
        ("" | "Pending", None) => waiting(actor, vmi).await,
        ("" | "Pending", Some(_)) => scheduling(actor, vmi).await,
        ("Scheduling", Some(pod)) => followed(actor, vmi, pod).await,
        ("Scheduled", Some(_)) => running(actor, vmi).await,
        ("Running", Some(pod)) => settled(actor, vmi, pod).await,
        (_, Some(_)) => Ok(()),
        // Its pod went away behind its back.
        (_, None) => step(actor, vmi, "Failed", json!({})).await,
    }
}

/// Tells whether the pod is the target of a migration that has not ended.
fn is_target(vmi: &Value, pod: &Value) -> bool {
    let job = super::json::label(pod, "kubevirt.io/migrationJobUID");
    let state = at(vmi, "/status/migrationState");
    let handed_over = text(state, "/migrationUid") == job && at(state, "/completed") == &Value::Bool(true);
    !job.is_empty() && !handed_over
}

fn disks_bound(actor: &Actor, vmi: &Value) -> bool {
    launcher::claims_of(actor, vmi).iter().all(|(_, claim)| {
        let claim = claim.as_ref().and_then(|claim| actor.stores.get(Kind::Claim, namespace(vmi), claim));
        // The claim of TPM or EFI state is bound when the pod is scheduled, as with any first consumer.
        claim.is_some_and(|claim| text(&claim, "/status/phase") == "Bound")
    })
}

/// Moves to a phase and notes when.
async fn step(actor: &Actor, vmi: &Value, phase: &str, mut status: Value) -> Result<(), Error> {
    let mut transitions = items(vmi, "/status/phaseTransitionTimestamps").to_vec();
    transitions.push(json!({"phase": phase, "phaseTransitionTimestamp": actor.now()}));
    status["phase"] = json!(phase);
    status["phaseTransitionTimestamps"] = json!(transitions);
    // Instances have no status subresource.
    actor.write.patch(Kind::Vmi, VIRT, vmi, json!({ "status": status })).await.map(drop)
}

async fn waiting(actor: &Actor, vmi: &Value) -> Result<(), Error> {
    if text(vmi, "/status/phase") == "Pending" {
        return Ok(());
    }
    let unready =
        make_condition(vmi, &actor.now(), "Ready", false, "GuestNotRunning", "Guest VM is not reported as running");
    step(actor, vmi, "Pending", json!({"conditions": [unready]})).await
}

async fn scheduling(actor: &Actor, vmi: &Value) -> Result<(), Error> {
    let now = actor.now();
    let conditions = json!([
        make_condition(vmi, &now, "Ready", false, "GuestNotRunning", "Guest VM is not reported as running"),
        make_condition(vmi, &now, "DataVolumesReady", true, "AllDVsReady", "All of the VMI's DVs are bound and ready"),
    ]);
    let status = json!({
        "conditions": conditions,
        "launcherContainerImageVersion": "registry.example/virt-launcher:v1.9.0", "memory": {"memoryOverhead": "312Mi"},
    });
    step(actor, vmi, "Scheduling", status).await
}

/// Notes how far the launcher pod has come.
async fn followed(actor: &Actor, vmi: &Value, pod: &Value) -> Result<(), Error> {
    let active = json!({"status": {"activePods": {uid(pod): text(pod, "/spec/nodeName")}, "qosClass": "Burstable"}});
    let wrote = actor.write.patch(Kind::Vmi, VIRT, vmi, active).await?.is_some();
    if wrote || text(pod, "/status/phase") != "Running" { Ok(()) } else { scheduled(actor, vmi, pod).await }
}

async fn scheduled(actor: &Actor, vmi: &Value, pod: &Value) -> Result<(), Error> {
    let node = text(pod, "/spec/nodeName");
    let label = json!({"metadata": {"labels": {"kubevirt.io/nodeName": node}}});
    if actor.write.patch(Kind::Vmi, VIRT, vmi, label).await?.is_some() {
        return Ok(());
    }
    let disks = launcher::claims_of(actor, vmi);
    let mut volumes: Vec<Value> = disks
        .iter()
        .filter_map(|(volume, claim)| {
            let claim = actor.stores.get(Kind::Claim, namespace(vmi), claim.as_ref()?)?;
            Some(json!({"name": volume, "target": "", "persistentVolumeClaimInfo": claim_info(&claim)}))
        })
        .collect();
    let others = items(vmi, "/spec/volumes").iter().filter(|v| !hotplug::is_hot(v)).map(|v| text(v, "/name"));
    volumes
        .extend(others.filter(|n| disks.iter().all(|(disk, _)| disk != n)).map(|n| json!({"name": n, "target": ""})));
    volumes.sort_by(|a, b| text(a, "/name").cmp(text(b, "/name")));
    let names = items(vmi, "/spec/domain/devices/interfaces").iter().map(|interface| text(interface, "/name"));
    let interfaces: Vec<Value> =
        names.enumerate().map(|(n, name)| json!({"name": name, "podInterfaceName": format!("eth{n}")})).collect();
    let status = json!({
        "nodeName": node, "migrationTransport": "Unix", "volumeStatus": volumes, "interfaces": interfaces,
    });
    step(actor, vmi, "Scheduled", status).await
}

/// What an instance reports of a claim.
pub(super) fn claim_info(claim: &Value) -> Value {
    json!({
        "accessModes": at(claim, "/spec/accessModes"), "claimName": name(claim), "filesystemOverhead": "0.055",
        "requests": at(claim, "/spec/resources/requests"), "volumeMode": at(claim, "/spec/volumeMode"),
    })
}

async fn running(actor: &Actor, vmi: &Value) -> Result<(), Error> {
    let now = actor.now();
    let conditions = json!([
        condition(vmi, "DataVolumesReady"),
        make_condition(vmi, &now, "Ready", true, "", ""),
        make_condition(vmi, &now, "LiveMigratable", true, "", ""),
    ]);
    let status = json!({
        "conditions": conditions, "interfaces": launcher::interfaces(vmi, false), "migrationMethod": "BlockMigration",
        "selinuxContext": "system_u:object_r:container_file_t:s0:c1,c2",
        "machine": {"type": at(vmi, "/spec/domain/machine/type")},
        "memory": {"guestAtBoot": at(vmi, "/spec/domain/memory/guest"), "guestCurrent": at(vmi, "/spec/domain/memory/guest")},
    });
    step(actor, vmi, "Running", status).await
}

/// Lets the guest agent connect, plugs disks, and notes the pods after a migration.
async fn settled(actor: &Actor, vmi: &Value, pod: &Value) -> Result<(), Error> {
    let node = json!({"metadata": {"labels": {"kubevirt.io/nodeName": text(pod, "/spec/nodeName")}}});
    actor.write.patch(Kind::Pod, VIRT, pod, node).await?;
    if hotplug::plug(actor, vmi, pod).await? {
        return Ok(());
    }
    if !actor.options.guest_agent || !condition(vmi, "AgentConnected").is_null() {
        let lone = json!({"status": {"activePods": {uid(pod): text(pod, "/spec/nodeName")}}});
        return actor.write.patch(Kind::Vmi, VIRT, vmi, lone).await.map(drop);
    }
    let mut conditions = items(vmi, "/status/conditions").to_vec();
    conditions.push(make_condition(vmi, &actor.now(), "AgentConnected", true, "", ""));
    let status = json!({
        "conditions": conditions, "interfaces": launcher::interfaces(vmi, true),
        "currentCPUTopology": at(vmi, "/spec/domain/cpu"),
        "guestOSInfo": {
            "id": "fedora", "name": "Fedora Linux", "prettyName": "Fedora Linux 41", "version": "41", "versionId": "41",
            "kernelRelease": "6.11.4-301.fc41.x86_64", "kernelVersion": "#1 SMP", "machine": "x86_64",
        },
    });
    actor.write.patch(Kind::Vmi, VIRT, vmi, json!({ "status": status })).await.map(drop)
}
