//! The status that virt-controller writes on a VirtualMachine.
//!
//! Follows `kubevirt/kubevirt: pkg/virt-controller/watch/vm/vm.go` (updateStatus, setPrintableStatus).
//!
//! Does not: decide anything.

use kube::Error;
use serde_json::{Value, json};

use super::json::{at, condition, deleting, items, make_condition, namespace, text};
use super::kinds::Kind;
use super::vm::{Wish, wish};
use super::write::VIRT;
use super::{Actor, hotplug};

pub(super) async fn write(actor: &Actor, vm: &Value, instance: Option<&Value>, problem: &str) -> Result<(), Error> {
    let ready = instance.is_some_and(|vmi| text(condition(vmi, "Ready"), "/status") == "True");
    let mut status = json!({
        "created": instance.map(|_| true),
        "ready": ready.then_some(true),
        "printableStatus": printable(actor, vm, instance, problem),
        "conditions": conditions(actor, vm, instance, ready, problem),
        "volumeSnapshotStatuses": snapshot_statuses(actor, vm),
    });
    if instance.is_some() {
        status["desiredGeneration"] = at(vm, "/metadata/generation").clone();
        status["observedGeneration"] = at(vm, "/metadata/generation").clone();
        status["runStrategy"] = json!(run_strategy(vm));
    }
    let answered = match items(vm, "/status/stateChangeRequests").first().map(|request| text(request, "/action")) {
        Some("Start") => instance.is_some(),
        Some("Stop") => instance.is_none(),
        _ => false,
    };
    if answered {
        status["stateChangeRequests"] = Value::Null;
    }
    actor.write.patch_status(Kind::Vm, VIRT, vm, status).await.map(drop)
}

/// Writes the status that a machine has before anything was done for it.
pub(super) async fn write_first(actor: &Actor, vm: &Value) -> Result<(), Error> {
    let status = json!({"printableStatus": "Stopped", "volumeSnapshotStatuses": snapshot_statuses(actor, vm)});
    actor.write.patch_status(Kind::Vm, VIRT, vm, status).await.map(drop)
}

fn run_strategy(vm: &Value) -> &str {
    match at(vm, "/spec/running").as_bool() {
        Some(true) => "Always",
        Some(false) => "Halted",
        None => text(vm, "/spec/runStrategy"),
    }
}

fn printable(actor: &Actor, vm: &Value, instance: Option<&Value>, problem: &str) -> &'static str {
    if deleting(vm) {
        return "Terminating";
    }
    if problem.contains("not found") && instance.is_none() {
        return "Stopped";
    }
    match instance {
        None if wish(vm) == Wish::Run => match unready_disk(actor, vm) {
            Some(reason) => reason,
            None => "Starting",
        },
        None => "Stopped",
        Some(vmi) if deleting(vmi) => "Stopping",
        Some(vmi) => match text(vmi, "/status/phase") {
            "Running" if migrating(vmi) => "Migrating",
            "Running" => "Running",
            "Succeeded" | "Failed" => "Stopped",
            "" | "Pending" => unready_disk(actor, vm).unwrap_or("Starting"),
            _ => "Starting",
        },
    }
}

fn migrating(vmi: &Value) -> bool {
    let migration = at(vmi, "/status/migrationState");
    !migration.is_null() && at(migration, "/completed") != &Value::Bool(true)
}

/// Returns why a machine cannot start yet, in the words of `printableStatus`.
fn unready_disk(actor: &Actor, vm: &Value) -> Option<&'static str> {
    for volume in items(vm, "/spec/template/spec/volumes") {
        let disk = text(volume, "/dataVolume/name");
        let claim = if disk.is_empty() { text(volume, "/persistentVolumeClaim/claimName") } else { disk };
        if claim.is_empty() {
            continue;
        }
        let filled = disk.is_empty()
            || actor
                .stores
                .get(Kind::DataVolume, namespace(vm), disk)
                .is_none_or(|dv| text(&dv, "/status/phase") == "Succeeded");
        match actor.stores.get(Kind::Claim, namespace(vm), claim) {
            None if disk.is_empty() => return Some("ErrorPvcNotFound"),
            None => return Some("Provisioning"),
            Some(_) if !filled => return Some("Provisioning"),
            Some(claim) if text(&claim, "/status/phase") != "Bound" => return Some("WaitingForVolumeBinding"),
            Some(_) => {}
        }
    }
    None
}

fn conditions(actor: &Actor, vm: &Value, instance: Option<&Value>, ready: bool, problem: &str) -> Vec<Value> {
    let now = actor.now();
    let (reason, message) = match instance {
        _ if ready => ("", ""),
        None => ("VMINotExists", "VMI does not exist"),
        Some(vmi) if condition(vmi, "Ready").is_null() => ("VMIConditionMissing", "VMI is missing the Ready condition"),
        Some(_) => ("GuestNotRunning", "Guest VM is not reported as running"),
    };
    let mut made = vec![make_condition(vm, &now, "Ready", ready, reason, message)];
    for copied in ["DataVolumesReady", "LiveMigratable", "AgentConnected"] {
        let of_instance = instance.map_or(&Value::Null, |vmi| condition(vmi, copied));
        if !of_instance.is_null() {
            made.push(of_instance.clone());
        }
    }
    if !problem.is_empty() {
        made.push(make_condition(vm, &now, "Failure", true, "FailedCreate", problem));
    }
    if let Some(vmi) = instance
        && restart_required(actor, vm, vmi)
    {
        let message = "a non-live-updatable field was changed in the template spec";
        made.push(make_condition(vm, &now, "RestartRequired", true, "RestartRequired", message));
    }
    made
}

/// Tells whether the template differs from the one that the instance was started with.
fn restart_required(actor: &Actor, vm: &Value, vmi: &Value) -> bool {
    let revision = text(vmi, "/status/virtualMachineRevisionName");
    actor.stores.get(Kind::Revision, namespace(vm), revision).is_some_and(|started| {
        let [then, now] = [at(&started, "/data/spec/template/spec"), at(vm, "/spec/template/spec")];
        hotplug::from_the_start(then) != hotplug::from_the_start(now)
    })
}

fn snapshot_statuses(actor: &Actor, vm: &Value) -> Vec<Value> {
    let of = |volume: &Value| {
        let named = text(volume, "/name");
        let disk = text(volume, "/dataVolume/name");
        let claim = if disk.is_empty() { text(volume, "/persistentVolumeClaim/claimName") } else { disk };
        let reason = if claim.is_empty() {
            format!("Snapshot is not supported for this volumeSource type [{named}]")
        } else {
            match actor.stores.get(Kind::Claim, namespace(vm), claim) {
                None => "PVC not found".to_owned(),
                Some(claim) => format!(
                    "No VolumeSnapshotClass: Volume snapshots are not configured for this StorageClass [{}] [{named}]",
                    text(&claim, "/spec/storageClassName")
                ),
            }
        };
        json!({"name": named, "enabled": false, "reason": reason})
    };
    items(vm, "/spec/template/spec/volumes").iter().map(of).collect()
}
