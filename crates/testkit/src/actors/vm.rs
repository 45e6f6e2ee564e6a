//! Plays virt-controller for VirtualMachines: disks from templates, revisions, start and stop, status, deletion.
//!
//! Follows `kubevirt/kubevirt: pkg/virt-controller/watch/vm/vm.go`: orphaned DataVolumes and instances of the
//! right name are adopted, the finalizer goes once the instance is gone.
//!
//! Does not: default or refuse anything, as virt-api's webhooks would.

use kube::Error;
use serde_json::{Value, json};

use super::json::{
    annotation, at, controller_of, deleting, has_finalizer, items, name, namespace, owned_by, owner_ref, tail, text,
    uid,
};
use super::kinds::Kind;
use super::revisions::{self, Frozen};
use super::vm_status;
use super::write::VIRT;
use super::{Actor, hotplug, launcher};

/// The finalizer of machines and instances.
pub(super) const FINALIZER: &str = "kubevirt.io/virtualMachineControllerFinalize";
/// Label of the claim that keeps the state of a persistent TPM or of EFI variables.
pub const STATE_LABEL: &str = "persistent-state-for";

/// What the run strategy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Run,
    Stop,
    Keep,
}

pub(super) async fn reconcile(actor: &Actor, vm: &Value) -> Result<(), Error> {
    let instance = actor.stores.get(Kind::Vmi, namespace(vm), name(vm));
    if deleting(vm) {
        return delete(actor, vm, instance.as_deref()).await;
    }
    // In the order of the recorded one: a first status, what it is known as, the finalizer.
    if text(vm, "/status/printableStatus").is_empty() {
        return vm_status::write_first(actor, vm).await;
    }
    if actor.write.patch(Kind::Vm, VIRT, vm, observed()).await?.is_some() {
        return Ok(());
    }
    if !has_finalizer(vm, FINALIZER) {
        let mut finalizers = items(vm, "/metadata/finalizers").to_vec();
        finalizers.push(json!(FINALIZER));
        let kept = json!({"metadata": {"finalizers": finalizers}});
        return actor.write.patch(Kind::Vm, VIRT, vm, kept).await.map(drop);
    }
    let frozen = revisions::freeze(actor, vm).await?;
    if frozen == Frozen::Wait {
        return Ok(());
    }
    if let Frozen::Failed(problem) = frozen {
        return vm_status::write(actor, vm, instance.as_deref(), &problem).await;
    }
    let ready = make_disks(actor, vm).await?;
    let problem = power(actor, vm, instance.as_deref(), ready).await?;
    if let Some(instance) = instance.as_deref().filter(|instance| owned_by(instance, uid(vm))) {
        hotplug::hand_down(actor, vm, instance).await?;
    }
    vm_status::write(actor, vm, instance.as_deref(), problem).await
}

/// What virt-controller notes on machines and instances that it has seen.
pub(super) fn observed() -> Value {
    json!({"metadata": {"annotations": {
        "kubevirt.io/latest-observed-api-version": "v1", "kubevirt.io/storage-observed-api-version": "v1",
    }}})
}

async fn delete(actor: &Actor, vm: &Value, instance: Option<&Value>) -> Result<(), Error> {
    match instance {
        Some(instance) if owned_by(instance, uid(vm)) && !has_finalizer(vm, "orphan") => {
            if !deleting(instance) {
                actor.write.delete(Kind::Vmi, instance, None).await?;
            }
            vm_status::write(actor, vm, Some(instance), "").await
        }
        _ => actor.write.drop_finalizers(Kind::Vm, VIRT, vm, &[FINALIZER]).await,
    }
}

/// Makes or adopts the DataVolumes of the templates; tells whether all disks named by DataVolume are filled.
async fn make_disks(actor: &Actor, vm: &Value) -> Result<bool, Error> {
    let wish = wish(vm);
    for template in items(vm, "/spec/dataVolumeTemplates") {
        let template_name = name(template);
        if let Some(there) = actor.stores.get(Kind::DataVolume, namespace(vm), template_name) {
            if controller_of(&there).is_null() && !deleting(&there) {
                let mut owners = items(&there, "/metadata/ownerReferences").to_vec();
                owners.push(owner_ref(vm));
                let adopted =
                    json!({"metadata": {"ownerReferences": owners, "labels": {"kubevirt.io/created-by": uid(vm)}}});
                actor.write.patch(Kind::DataVolume, VIRT, &there, adopted).await?;
            }
            continue;
        }
        if wish == Wish::Stop && annotation(vm, "kubevirt.io/immediate-data-volume-creation") == "false" {
            continue;
        }
        let mut metadata = json!({
            "name": template_name, "namespace": namespace(vm), "ownerReferences": [owner_ref(vm)],
            "labels": at(template, "/metadata/labels"), "annotations": at(template, "/metadata/annotations"),
        });
        metadata["labels"]["kubevirt.io/created-by"] = json!(uid(vm));
        metadata["annotations"]["cdi.kubevirt.io/allowClaimAdoption"] = json!("true");
        actor
            .write
            .create(Kind::DataVolume, VIRT, json!({"metadata": metadata, "spec": at(template, "/spec")}))
            .await?;
    }
    let filled = |volume: &Value| {
        let disk = text(volume, "/dataVolume/name");
        let claim_bound =
            || actor.stores.get(Kind::Claim, namespace(vm), disk).is_some_and(|c| text(&c, "/status/phase") == "Bound");
        disk.is_empty()
            || actor
                .stores
                .get(Kind::DataVolume, namespace(vm), disk)
                .map_or_else(claim_bound, |there| text(&there, "/status/phase") == "Succeeded")
    };
    Ok(items(vm, "/spec/template/spec/volumes").iter().all(filled))
}

/// Returns what the machine's run strategy, or the older `running`, asks for.
pub(super) fn wish(vm: &Value) -> Wish {
    if let Some(running) = at(vm, "/spec/running").as_bool() {
        return if running { Wish::Run } else { Wish::Stop };
    }
    match text(vm, "/spec/runStrategy") {
        "Always" | "RerunOnFailure" => Wish::Run,
        "Once" if text(vm, "/status/printableStatus") == "Succeeded" => Wish::Keep,
        "Once" => Wish::Run,
        "Halted" => Wish::Stop,
        _ => match items(vm, "/status/stateChangeRequests").first().map(|request| text(request, "/action")) {
            Some("Start") => Wish::Run,
            Some("Stop") => Wish::Stop,
            _ => Wish::Keep,
        },
    }
}

/// Starts or stops; returns what stands in the way, if anything does.
async fn power(actor: &Actor, vm: &Value, instance: Option<&Value>, ready: bool) -> Result<&'static str, Error> {
    match (wish(vm), instance) {
        (Wish::Run, None) if ready => {
            if launcher::keeps_state(at(vm, "/spec/template/spec")) && state_claim(actor, vm).is_none() {
                return make_state_claim(actor, vm).await.map(|()| "");
            }
            revisions::freeze_start(actor, vm).await?;
            actor.write.create(Kind::Vmi, VIRT, launcher::instance_of(actor, vm)).await?;
        }
        (_, Some(instance)) if controller_of(instance).is_null() && !deleting(instance) => {
            let adopted = json!({"metadata": {"ownerReferences": [owner_ref(vm)]}});
            actor.write.patch(Kind::Vmi, VIRT, instance, adopted).await?;
        }
        (_, Some(instance)) if !owned_by(instance, uid(vm)) => {
            return Ok("an instance of that name belongs to somebody else");
        }
        (Wish::Stop, Some(instance)) if !deleting(instance) => {
            actor.write.delete(Kind::Vmi, instance, None).await?;
        }
        (Wish::Run, Some(instance))
            if matches!(text(instance, "/status/phase"), "Succeeded" | "Failed") && !deleting(instance) =>
        {
            actor.write.delete(Kind::Vmi, instance, None).await?;
        }
        _ => {}
    }
    Ok("")
}

/// Returns the claim that keeps a machine's TPM or EFI state: found by label, so that a restored one is used again.
pub(super) fn state_claim(actor: &Actor, vm: &Value) -> Option<String> {
    let claims = actor.stores.list(Kind::Claim, namespace(vm));
    let mine = |claim: &&std::sync::Arc<Value>| super::json::label(claim, STATE_LABEL) == name(vm) && !deleting(claim);
    claims
        .iter()
        .filter(mine)
        .max_by_key(|claim| text(claim, "/metadata/creationTimestamp"))
        .map(|claim| name(claim).to_owned())
}

async fn make_state_claim(actor: &Actor, vm: &Value) -> Result<(), Error> {
    let claim = json!({
        "metadata": {
            "name": format!("{STATE_LABEL}-{}-{}", name(vm), tail(&[uid(vm)])), "namespace": namespace(vm),
            "labels": {STATE_LABEL: name(vm)}, "ownerReferences": [owner_ref(vm)],
        },
        "spec": {
            "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Mi"}},
            "storageClassName": actor.default_class(), "volumeMode": "Filesystem",
        },
    });
    actor.write.create(Kind::Claim, VIRT, claim).await.map(drop)
}
