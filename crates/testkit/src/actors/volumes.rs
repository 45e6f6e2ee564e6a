//! Plays the volume binder, a CSI provisioner and the protection of claims in use.
//!
//! A volume stands for its data: deleting it loses them, a reclaim policy of Retain keeps them.
//!
//! Does not: check sizes, topology or access modes.

use kube::Error;
use serde_json::{Value, json};

use super::Actor;
use super::cdi::{POD_PHASE, USE_POPULATOR};
use super::json::{annotation, at, deleting, has_finalizer, name, namespace, text, uid};
use super::kinds::Kind;
use super::ledger::DATA;
use super::write::BINDER;

const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// The name of the CSI driver that the bench pretends to have.
pub const DRIVER: &str = "csi.bench.vmrewind.io";

/// Returns the requested size of a claim specification, 1Gi if it names none.
pub(super) fn size_of(spec: &Value) -> String {
    let size = text(spec, "/resources/requests/storage");
    if size.is_empty() { "1Gi".to_owned() } else { size.to_owned() }
}

/// Makes the volume of a claim with these data; false if it exists already.
pub(super) async fn provision(actor: &Actor, claim: &Value, data: &str) -> Result<bool, Error> {
    let class = text(claim, "/spec/storageClassName");
    let policy = actor.stores.get(Kind::StorageClass, "", class).map_or_else(
        || "Delete".to_owned(),
        |class| class.get("reclaimPolicy").and_then(Value::as_str).unwrap_or("Delete").to_owned(),
    );
    let volume = json!({
        "metadata": {
            "name": format!("pvc-{}", uid(claim)),
            "annotations": {DATA: data, "pv.kubernetes.io/provisioned-by": DRIVER},
        },
        "spec": {
            "accessModes": at(claim, "/spec/accessModes"),
            "capacity": {"storage": size_of(at(claim, "/spec"))},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name(claim), "namespace": namespace(claim),
                "uid": uid(claim),
            },
            "csi": {"driver": DRIVER, "volumeHandle": format!("disk-{}", uid(claim))},
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": class,
            "volumeMode": claim.pointer("/spec/volumeMode").and_then(Value::as_str).unwrap_or("Filesystem"),
        },
    });
    Ok(actor.write.create(Kind::Volume, BINDER, volume).await?.is_some())
}

pub(super) async fn reconcile_claim(actor: &Actor, claim: &Value) -> Result<(), Error> {
    if deleting(claim) {
        let unused = actor.stores.pods_using(namespace(claim), name(claim)).is_empty();
        if unused && has_finalizer(claim, CLAIM_PROTECTION) {
            actor.write.drop_finalizers(Kind::Claim, BINDER, claim, &[CLAIM_PROTECTION]).await?;
        }
        return Ok(());
    }
    let wanted = text(claim, "/spec/volumeName");
    if wanted.is_empty() {
        return find_volume(actor, claim).await;
    }
    let Some(volume) = actor.stores.get(Kind::Volume, "", wanted) else {
        let lost = annotation(claim, BIND_COMPLETED) == "yes" && text(claim, "/status/phase") == "Bound";
        if lost && actor.write.get(Kind::Volume, "", wanted).await?.is_none() {
            let status = json!({"phase": "Lost", "capacity": null, "accessModes": null});
            actor.write.patch_status(Kind::Claim, BINDER, claim, status).await?;
        }
        return Ok(());
    };
    if is_for(&volume, claim) { bind(actor, claim, &volume).await } else { Ok(()) }
}

/// Tells whether the volume is bound to the claim, meant for it, or free.
fn is_for(volume: &Value, claim: &Value) -> bool {
    let reference = at(volume, "/spec/claimRef");
    let same = text(reference, "/namespace") == namespace(claim) && text(reference, "/name") == name(claim);
    let its_uid = text(reference, "/uid");
    reference.is_null() || (same && (its_uid.is_empty() || its_uid == uid(claim)))
}

async fn find_volume(actor: &Actor, claim: &Value) -> Result<(), Error> {
    if annotation(claim, USE_POPULATOR) == "true" && annotation(claim, POD_PHASE) != "Succeeded" {
        return Ok(()); // it is being filled
    }
    let meant = |volume: &Value| !at(volume, "/spec/claimRef").is_null() && is_for(volume, claim) && !deleting(volume);
    let volume = actor.stores.list(Kind::Volume, "").into_iter().find(|volume| meant(volume));
    if let Some(volume) = volume {
        let change = json!({"spec": {"volumeName": name(&volume)}});
        actor.write.patch(Kind::Claim, BINDER, claim, change).await?;
    } else if !text(claim, "/spec/storageClassName").is_empty() {
        // Nobody fills it: the provisioner makes an empty disk, as it does for every plain claim.
        provision(actor, claim, &format!("empty-{}", actor.next_number())).await?;
    }
    Ok(())
}

async fn bind(actor: &Actor, claim: &Value, volume: &Value) -> Result<(), Error> {
    let reference = json!({"spec": {"claimRef": {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name(claim), "namespace": namespace(claim), "uid": uid(claim),
    }}});
    if actor.write.patch(Kind::Volume, BINDER, volume, reference).await?.is_some() {
        return Ok(());
    }
    actor.write.patch_status(Kind::Volume, BINDER, volume, json!({"phase": "Bound"})).await?;
    let status = json!({
        "phase": "Bound", "accessModes": at(volume, "/spec/accessModes"), "capacity": at(volume, "/spec/capacity"),
    });
    if actor.write.patch_status(Kind::Claim, BINDER, claim, status).await?.is_none() {
        let done = json!({"metadata": {"annotations": {BIND_COMPLETED: "yes"}}});
        actor.write.patch(Kind::Claim, BINDER, claim, done).await?;
    }
    Ok(())
}

pub(super) async fn reconcile_volume(actor: &Actor, volume: &Value) -> Result<(), Error> {
    let reference = at(volume, "/spec/claimRef");
    let (claim_namespace, claim_name, claim_uid) =
        (text(reference, "/namespace"), text(reference, "/name"), text(reference, "/uid"));
    if claim_uid.is_empty() {
        if deleting(volume) {
            actor.write.drop_finalizers(Kind::Volume, BINDER, volume, &[VOLUME_PROTECTION]).await?;
        }
        return Ok(());
    }
    let holds = |claim: &Value| uid(claim) == claim_uid;
    if actor.stores.get(Kind::Claim, claim_namespace, claim_name).is_some_and(|claim| holds(&claim)) {
        return Ok(());
    }
    // Data are about to be lost, so the cache is not believed.
    let live = actor.write.get(Kind::Claim, claim_namespace, claim_name).await?;
    if live.is_some_and(|claim| holds(&claim)) {
        return Ok(());
    }
    if deleting(volume) {
        actor.write.drop_finalizers(Kind::Volume, BINDER, volume, &[VOLUME_PROTECTION]).await
    } else if text(volume, "/spec/persistentVolumeReclaimPolicy") == "Delete" {
        actor.write.delete(Kind::Volume, volume, None).await
    } else {
        actor.write.patch_status(Kind::Volume, BINDER, volume, json!({"phase": "Released"})).await.map(drop)
    }
}
