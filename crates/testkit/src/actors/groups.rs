//! Plays virt-controller for VirtualMachineInstanceReplicaSets and VirtualMachinePools.
//!
//! Follows `kubevirt/kubevirt: pkg/virt-controller/watch/replicaset` (orphans that match are adopted) and
//! `pkg/virt-controller/watch/pool` (orphans are ignored, names are `<pool>-<n>`, disks get the same suffix).
//!
//! Does not: roll out a changed template.

use kube::Error;
use serde_json::{Value, json};

use super::Actor;
use super::json::{at, condition, controller_of, deleting, items, label, name, namespace, owner_ref, tail, text, uid};
use super::kinds::Kind;
use super::launcher::FOREGROUND;
use super::vm;
use super::write::VIRT;

fn replicas(group: &Value) -> usize {
    at(group, "/spec/replicas").as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1)
}

/// Tells whether an object carries all labels of `spec.selector.matchLabels`.
fn selects(group: &Value, object: &Value) -> bool {
    let wanted = at(group, "/spec/selector/matchLabels").as_object();
    wanted.is_some_and(|labels| !labels.is_empty() && labels.iter().all(|(k, v)| v.as_str() == Some(label(object, k))))
}

pub(super) async fn reconcile_replica_set(actor: &Actor, set: &Value) -> Result<(), Error> {
    if deleting(set) {
        return Ok(());
    }
    for orphan in actor.stores.list(Kind::Vmi, namespace(set)) {
        if controller_of(&orphan).is_null() && !deleting(&orphan) && selects(set, &orphan) {
            let adopted = json!({"metadata": {"ownerReferences": [owner_ref(set)]}});
            actor.write.patch(Kind::Vmi, VIRT, &orphan, adopted).await?;
        }
    }
    let mut own: Vec<_> = actor.stores.owned(Kind::Vmi, set).into_iter().filter(|vmi| !deleting(vmi)).collect();
    let wanted = replicas(set);
    while own.len() > wanted {
        if let Some(extra) = own.pop() {
            actor.write.delete(Kind::Vmi, &extra, None).await?;
        }
    }
    let names = (0..2 * wanted).map(|n| format!("{}{}", name(set), tail(&[uid(set), &n.to_string()])));
    let free = names.filter(|n| actor.stores.get(Kind::Vmi, namespace(set), n).is_none());
    for vmi in free.take(wanted - own.len()) {
        let created = json!({
            "metadata": {
                "name": vmi, "generateName": name(set), "namespace": namespace(set),
                "labels": at(set, "/spec/template/metadata/labels"), "annotations": at(set, "/spec/template/metadata/annotations"),
                "finalizers": [vm::FINALIZER, FOREGROUND], "ownerReferences": [owner_ref(set)],
            },
            "spec": at(set, "/spec/template/spec"),
        });
        actor.write.create(Kind::Vmi, VIRT, created).await?;
    }
    let ready = own.iter().filter(|vmi| text(condition(vmi, "Ready"), "/status") == "True").count();
    let status = json!({"replicas": own.len(), "readyReplicas": ready});
    actor.write.patch_status(Kind::ReplicaSet, VIRT, set, status).await.map(drop)
}

pub(super) async fn reconcile_pool(actor: &Actor, pool: &Value) -> Result<(), Error> {
    if deleting(pool) {
        return Ok(());
    }
    let mut own: Vec<_> = actor.stores.owned(Kind::Vm, pool).into_iter().filter(|vm| !deleting(vm)).collect();
    let wanted = replicas(pool);
    while own.len() > wanted {
        if let Some(extra) = own.pop() {
            actor.write.delete(Kind::Vm, &extra, None).await?;
        }
    }
    let mut lacking = wanted - own.len();
    for index in 0..2 * wanted + 16 {
        let machine = format!("{}-{index}", name(pool));
        if lacking == 0 {
            break;
        }
        if actor.stores.get(Kind::Vm, namespace(pool), &machine).is_none() {
            lacking -= 1;
            actor.write.create(Kind::Vm, VIRT, member(pool, &machine, index)).await?;
        }
    }
    let ready = own.iter().filter(|vm| at(vm, "/status/ready") == &Value::Bool(true)).count();
    let status = json!({"replicas": own.len(), "readyReplicas": ready});
    actor.write.patch_status(Kind::Pool, VIRT, pool, status).await.map(drop)
}

fn member(pool: &Value, machine: &str, index: usize) -> Value {
    let template = at(pool, "/spec/virtualMachineTemplate");
    let mut spec = at(template, "/spec").clone();
    let disks: Vec<String> = items(&spec, "/dataVolumeTemplates").iter().map(|disk| name(disk).to_owned()).collect();
    for disk in spec["dataVolumeTemplates"].as_array_mut().into_iter().flatten() {
        disk["metadata"]["name"] = json!(format!("{}-{index}", name(disk)));
    }
    for volume in spec.pointer_mut("/template/spec/volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        let disk = text(volume, "/dataVolume/name").to_owned();
        if disks.contains(&disk) {
            volume["dataVolume"]["name"] = json!(format!("{disk}-{index}"));
        }
    }
    json!({
        "metadata": {
            "name": machine, "namespace": namespace(pool), "labels": at(template, "/metadata/labels"),
            "annotations": at(template, "/metadata/annotations"), "ownerReferences": [owner_ref(pool)],
        },
        "spec": spec,
    })
}
