//! Plays the Containerized Data Importer: fills the disks of DataVolumes, or adopts claims that are there.
//!
//! Adoption follows `kubevirt/containerized-data-importer: pkg/controller/common/util.go` (ClaimMayExistBeforeDataVolume)
//! and `pkg/controller/datavolume/import-controller.go`: a claim is adopted if it says `populatedFor` this
//! DataVolume, or the DataVolume allows it; any other claim of that name is an error. A DataVolume that says
//! `prePopulated` waits for its claim for ever.
//!
//! Does not: know webhooks, so that what CDI's would refuse is created here and then warned about.

use kube::Error;
use serde_json::{Value, json};

use super::json::{
    annotated, annotation, at, controller_of, deleting, make_condition, name, namespace, owned_by, owner_ref, text, uid,
};
use super::kinds::Kind;
use super::ledger::Filling;
use super::volumes::{self, size_of};
use super::write::CDI;
use super::{Actor, json::items};

const PRE_POPULATED: &str = "cdi.kubevirt.io/storage.prePopulated";
const POPULATED_FOR: &str = "cdi.kubevirt.io/storage.populatedFor";
const ALLOW_ADOPTION: &str = "cdi.kubevirt.io/allowClaimAdoption";
const CREATED_FOR: &str = "cdi.kubevirt.io/createdForDataVolume";
/// Annotation of a claim: the phase of the pod that fills it.
pub(super) const POD_PHASE: &str = "cdi.kubevirt.io/storage.pod.phase";
/// Annotation of a claim: it is filled before it is bound.
pub(super) const USE_POPULATOR: &str = "cdi.kubevirt.io/storage.usePopulator";

/// The steps of an import, as seen from outside.
const STEPS: [(&str, &str); 4] = [
    ("ImportScheduled", "0.0%"),
    ("ImportInProgress", "24.71%"),
    ("ImportInProgress", "55.47%"),
    ("ImportInProgress", "98.14%"),
];

pub(super) async fn reconcile(actor: &Actor, volume: &Value) -> Result<(), Error> {
    if deleting(volume) {
        return Ok(());
    }
    match actor.stores.get(Kind::Claim, namespace(volume), name(volume)) {
        None if annotated(volume, PRE_POPULATED) => set_status(actor, volume, "Pending", "N/A", None).await,
        None if text(volume, "/status/phase") == "Succeeded" => Ok(()), // its claim was deleted behind its back
        None => create_claim(actor, volume).await,
        Some(claim) if deleting(&claim) => Ok(()),
        Some(claim) if owned_by(&claim, uid(volume)) => advance(actor, volume, &claim).await,
        Some(claim) if may_adopt(volume, &claim) => adopt(actor, volume, &claim).await,
        Some(claim) => {
            let message = format!("Resource \"{}\" already exists and is not managed by DataVolume", name(&claim));
            actor.write.warn(volume, &actor.now(), "ErrResourceExists", &message).await?;
            set_status(actor, volume, "Pending", "", None).await
        }
    }
}

fn may_adopt(volume: &Value, claim: &Value) -> bool {
    if !controller_of(claim).is_null() {
        return false;
    }
    let allowed = annotation(volume, ALLOW_ADOPTION) == "true" && annotation(claim, CREATED_FOR) != uid(volume);
    annotation(claim, POPULATED_FOR) == name(volume) || allowed
}

async fn adopt(actor: &Actor, volume: &Value, claim: &Value) -> Result<(), Error> {
    let mut owners = items(claim, "/metadata/ownerReferences").to_vec();
    owners.push(owner_ref(volume));
    let adopted = actor.write.patch(Kind::Claim, CDI, claim, json!({"metadata": {"ownerReferences": owners}})).await?;
    if adopted.is_some() {
        actor.ledger.add(Filling {
            namespace: namespace(volume).to_owned(),
            data_volume: name(volume).to_owned(),
            uid: uid(volume).to_owned(),
            data: None,
        });
    }
    Ok(())
}

async fn create_claim(actor: &Actor, volume: &Value) -> Result<(), Error> {
    let storage = if volume.pointer("/spec/storage").is_some() { "/spec/storage" } else { "/spec/pvc" };
    let wanted = at(volume, storage);
    let class = text(wanted, "/storageClassName");
    let modes = wanted.get("accessModes").cloned().unwrap_or_else(|| json!(["ReadWriteMany"]));
    let claim = json!({
        "metadata": {
            "name": name(volume), "namespace": namespace(volume),
            "labels": {"app": "containerized-data-importer", "app.kubernetes.io/managed-by": "cdi-controller"},
            "annotations": {
                "cdi.kubevirt.io/storage.contentType": "kubevirt", POD_PHASE: "Pending", USE_POPULATOR: "true",
                CREATED_FOR: uid(volume),
            },
            "ownerReferences": [owner_ref(volume)],
        },
        "spec": {
            "accessModes": modes,
            "resources": {"requests": {"storage": size_of(wanted)}},
            "storageClassName": if class.is_empty() { actor.default_class() } else { class.to_owned() },
            "volumeMode": wanted.get("volumeMode").and_then(Value::as_str).unwrap_or("Block"),
        },
    });
    actor.write.create(Kind::Claim, CDI, claim).await?;
    Ok(())
}

/// Moves a DataVolume on whose claim is its own: filled step by step, or adopted and thus done when bound.
async fn advance(actor: &Actor, volume: &Value, claim: &Value) -> Result<(), Error> {
    let phase = text(volume, "/status/phase");
    let own = annotation(claim, CREATED_FOR) == uid(volume);
    let bound = text(claim, "/status/phase") == "Bound";
    if phase == "Succeeded" {
        return Ok(());
    }
    if !own {
        if !bound {
            return set_status(actor, volume, "Pending", "N/A", None).await;
        }
        let mark = json!({"metadata": {"annotations": {PRE_POPULATED: name(claim)}}});
        if actor.write.patch(Kind::DataVolume, CDI, volume, mark).await?.is_some() {
            return Ok(());
        }
        return set_status(actor, volume, "Succeeded", "N/A", Some(claim)).await;
    }
    if bound {
        return set_status(actor, volume, "Succeeded", "100.0%", Some(claim)).await;
    }
    let at_step = STEPS.iter().position(|step| *step == (phase, text(volume, "/status/progress")));
    match at_step.map_or(0, |step| step + 1) {
        step if step < STEPS.len() => set_status(actor, volume, STEPS[step].0, STEPS[step].1, Some(claim)).await,
        _ => fill(actor, volume, claim).await,
    }
}

/// Ends an import: the volume with its data appears, and the claim may be bound to it.
async fn fill(actor: &Actor, volume: &Value, claim: &Value) -> Result<(), Error> {
    if annotation(claim, POD_PHASE) != "Succeeded" {
        let source = source_of(volume);
        let (word, from) = if source == "blank" { ("blank", String::new()) } else { ("import", format!(" {source}")) };
        let data = format!("{word}-{}{from}", actor.next_number());
        if volumes::provision(actor, claim, &data).await? {
            actor.ledger.add(Filling {
                namespace: namespace(volume).to_owned(),
                data_volume: name(volume).to_owned(),
                uid: uid(volume).to_owned(),
                data: Some(data),
            });
        }
    }
    let done = json!({"metadata": {"annotations": {POD_PHASE: "Succeeded", "cdi.kubevirt.io/storage.condition.running": "false"}}});
    actor.write.patch(Kind::Claim, CDI, claim, done).await?;
    Ok(())
}

/// Says in a few words where the data of a DataVolume comes from.
fn source_of(volume: &Value) -> String {
    if let Some(reference) = volume.pointer("/spec/sourceRef") {
        return format!("{}/{}/{}", text(reference, "/kind"), text(reference, "/namespace"), text(reference, "/name"));
    }
    match at(volume, "/spec/source").as_object().and_then(|source| source.iter().next()) {
        Some((kind, _)) if kind == "blank" => "blank".to_owned(),
        Some((kind, body)) if body.get("url").is_some() => format!("{kind} {}", text(body, "/url")),
        Some((kind, body)) => format!("{kind} {}/{}", text(body, "/namespace"), text(body, "/name")),
        None => "blank".to_owned(),
    }
}

async fn set_status(
    actor: &Actor,
    volume: &Value,
    phase: &str,
    progress: &str,
    claim: Option<&Value>,
) -> Result<(), Error> {
    let now = actor.now();
    let done = phase == "Succeeded";
    let bound = claim.is_some_and(|claim| text(claim, "/status/phase") == "Bound");
    let running = claim.is_some() && !done;
    let message = if bound { format!("PVC {} Bound", name(volume)) } else { format!("PVC {} Pending", name(volume)) };
    let mut status = json!({
        "phase": phase,
        "progress": progress,
        "conditions": [
            make_condition(volume, &now, "Bound", bound, if bound { "Bound" } else { "Pending" }, &message),
            make_condition(volume, &now, "Ready", done, "", ""),
            make_condition(volume, &now, "Running", running, if done { "Completed" } else if running { "Running" } else { "" }, if done { "Import Complete" } else { "" }),
        ],
    });
    if done {
        status["claimName"] = json!(name(volume));
    }
    actor.write.patch_status(Kind::DataVolume, CDI, volume, status).await?;
    Ok(())
}
