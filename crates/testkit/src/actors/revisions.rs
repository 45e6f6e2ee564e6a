//! Plays the part of virt-controller that freezes what a machine was made from: ControllerRevisions.
//!
//! Names and labels follow `kubevirt/kubevirt: pkg/instancetype/revision`; the revision of a start follows
//! `pkg/virt-controller/watch/vm/vm.go`. A revision of the right name with other data is an error, never replaced.
//!
//! Does not: know how an instancetype changes a guest; see `launcher.rs` for the two fields that matter here.

use kube::Error;
use serde_json::{Value, json};

use super::Actor;
use super::json::{at, name, namespace, owner_ref, text, uid};
use super::kinds::Kind;
use super::write::VIRT;

/// Whether the revisions that a machine needs are there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frozen {
    /// They are, and its status names them.
    Ready,
    /// Something was written that will bring the machine back here.
    Wait,
    /// They cannot be made: the message says why.
    Failed(String),
}

/// Sees to the revisions of a machine's instancetype and preference.
pub(super) async fn freeze(actor: &Actor, vm: &Value) -> Result<Frozen, Error> {
    let matchers = [
        ("instancetype", "instancetypeRef", Kind::Instancetype, Kind::ClusterInstancetype),
        ("preference", "preferenceRef", Kind::Preference, Kind::ClusterPreference),
    ];
    let mut status = json!({});
    for (field, reference, local, cluster) in matchers {
        let matcher = at(vm, &format!("/spec/{field}"));
        if matcher.is_null() {
            continue;
        }
        let pinned = text(matcher, "/revisionName");
        let known = text(vm, &format!("/status/{reference}/controllerRevisionRef/name"));
        if !known.is_empty() && (pinned.is_empty() || pinned == known) {
            continue;
        }
        let kind = if is_cluster(text(matcher, "/kind"), cluster) { cluster } else { local };
        let revision = if pinned.is_empty() {
            match make(actor, vm, kind, text(matcher, "/name")).await? {
                Ok(revision) => revision,
                Err(problem) => return Ok(Frozen::Failed(problem)),
            }
        } else if actor.stores.get(Kind::Revision, namespace(vm), pinned).is_some() {
            pinned.to_owned()
        } else {
            return Ok(Frozen::Failed(format!("controllerrevisions.apps \"{pinned}\" not found")));
        };
        status[reference] = json!({
            "kind": kind.name(), "name": text(matcher, "/name"), "controllerRevisionRef": {"name": revision},
        });
    }
    if status.as_object().is_none_or(serde_json::Map::is_empty) {
        return Ok(Frozen::Ready);
    }
    actor.write.patch_status(Kind::Vm, VIRT, vm, status).await?;
    Ok(Frozen::Wait)
}

/// An empty kind means the cluster kind; kinds are matched in lower case, singular or plural.
fn is_cluster(kind: &str, cluster: Kind) -> bool {
    let kind = kind.to_lowercase();
    kind.is_empty() || kind.trim_end_matches('s') == cluster.name().to_lowercase()
}

async fn make(actor: &Actor, vm: &Value, kind: Kind, of: &str) -> Result<Result<String, String>, Error> {
    let Some(object) = actor.stores.get(kind, namespace(vm), of) else {
        return Ok(Err(format!("{}.instancetype.kubevirt.io \"{of}\" not found", kind.resource().plural)));
    };
    let generation = at(&object, "/metadata/generation").as_i64().unwrap_or(1);
    let revision = format!("{}-{of}-v1beta1-{}-{generation}", name(vm), uid(&object));
    let mut data = (*object).clone();
    if let Some(metadata) = data.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(there) = actor.stores.get(Kind::Revision, namespace(vm), &revision) {
        if at(&there, "/data/spec") != at(&data, "/spec") {
            return Ok(Err(format!("found existing ControllerRevision with unexpected data: {revision}")));
        }
        return Ok(Ok(revision));
    }
    let created = json!({
        "metadata": {
            "name": revision, "namespace": namespace(vm), "ownerReferences": [owner_ref(vm)],
            "labels": {
                "instancetype.kubevirt.io/object-generation": generation.to_string(),
                "instancetype.kubevirt.io/object-kind": kind.name(),
                "instancetype.kubevirt.io/object-name": of,
                "instancetype.kubevirt.io/object-uid": uid(&object),
                "instancetype.kubevirt.io/object-version": "v1beta1",
            },
        },
        "data": data, "revision": 0,
    });
    actor.write.create(Kind::Revision, VIRT, created).await?;
    Ok(Ok(revision))
}

/// Returns the name of the revision of a start at the machine's current generation.
pub(super) fn start_name(vm: &Value) -> String {
    format!("revision-start-vm-{}-{}", uid(vm), at(vm, "/metadata/generation").as_i64().unwrap_or(1))
}

/// Freezes the specification that a machine is started with; those of earlier starts go.
pub(super) async fn freeze_start(actor: &Actor, vm: &Value) -> Result<(), Error> {
    let revision = start_name(vm);
    for old in actor.stores.owned(Kind::Revision, vm) {
        if name(&old).starts_with("revision-start-vm-") && name(&old) != revision {
            actor.write.delete(Kind::Revision, &old, None).await?;
        }
    }
    if actor.stores.get(Kind::Revision, namespace(vm), &revision).is_none() {
        let generation = at(vm, "/metadata/generation").as_i64().unwrap_or(1);
        let created = json!({
            "metadata": {"name": revision, "namespace": namespace(vm), "ownerReferences": [owner_ref(vm)]},
            "data": {"spec": at(vm, "/spec")}, "revision": generation,
        });
        actor.write.create(Kind::Revision, VIRT, created).await?;
    }
    Ok(())
}
