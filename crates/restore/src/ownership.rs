//! Owner references of live objects: which owners are gone.
//!
//! The garbage collector deletes an object once all its owners are gone, or are others of the same name
//! (`kubernetes/kubernetes: pkg/controller/garbagecollector/garbagecollector.go`). That may be any time later, so
//! that an object is there says nothing about whether it stays.
//!
//! Does not: change references.

use std::collections::BTreeSet;

use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::{
    json::{group_of, is_deleting, list, text, uid},
    view::{Seen, ServedKind, TargetView},
};

/// How far owners of owners are followed: KubeVirt's longest chain is a claim of a DataVolume of a machine of a pool.
pub(crate) const GENERATIONS: usize = 8;

/// Returns the key of the owner that a reference of an object names; none if the target does not serve its kind, as
/// the garbage collector then leaves the object alone.
pub(crate) fn owner_key(kinds: &[ServedKind], namespace: &str, reference: &Value) -> Option<ObjectKey> {
    let (group, kind) = (group_of(text(reference, "apiVersion")), text(reference, "kind"));
    let served = kinds.iter().find(|served| served.group == group && served.kind == kind)?;
    let namespace = if served.namespaced { namespace } else { "" };
    Some(ObjectKey::new(group, kind, namespace, text(reference, "name")))
}

/// Tells whether the owner that a reference names is gone or going, given what is live in its place.
pub(crate) fn is_gone(reference: &Value, owner: Option<&Value>) -> bool {
    owner.is_none_or(|owner| uid(owner) != text(reference, "uid") || is_deleting(owner))
}

/// Lists the owners of what was found that were not looked for.
pub(crate) fn unseen(view: &TargetView) -> BTreeSet<ObjectKey> {
    let mut unseen = BTreeSet::new();
    for (key, seen) in &view.objects {
        let Seen::Present(object) = seen else { continue };
        for reference in list(object, "metadata.ownerReferences") {
            unseen.extend(owner_key(&view.kinds, &key.namespace, reference));
        }
    }
    unseen.retain(|key| !view.objects.contains_key(key));
    unseen
}

/// Lists what is live and owns a live object, directly or over others, nearest first.
pub(crate) fn ancestors(view: &TargetView, key: &ObjectKey) -> Vec<ObjectKey> {
    let mut found: Vec<ObjectKey> = Vec::new();
    let mut next = vec![key.clone()];
    while let Some(of) = next.pop() {
        let Some(live) = view.live(&of) else { continue };
        for reference in list(live, "metadata.ownerReferences") {
            let Some(owner) = owner_key(&view.kinds, &of.namespace, reference) else { continue };
            let is_it = view.live(&owner).is_some_and(|live| !is_gone(reference, Some(live)));
            if is_it && owner != *key && !found.contains(&owner) {
                found.push(owner.clone());
                next.push(owner);
            }
        }
    }
    found
}

/// What is known of the owners of a live object.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// Those that are gone or going.
    pub(crate) gone: BTreeSet<ObjectKey>,
    /// Those that could not be read.
    pub(crate) unknown: BTreeSet<ObjectKey>,
}

impl Owners {
    /// Looks at the owners of an object.
    pub(crate) fn of(view: &TargetView, key: &ObjectKey, live: &Value) -> Self {
        let mut owners = Self::default();
        for reference in list(live, "metadata.ownerReferences") {
            let Some(owner) = owner_key(&view.kinds, &key.namespace, reference) else { continue };
            match view.objects.get(&owner) {
                Some(Seen::Present(live)) if is_gone(reference, Some(live)) => drop(owners.gone.insert(owner)),
                Some(Seen::Absent) => drop(owners.gone.insert(owner)),
                Some(Seen::Present(_)) => {}
                Some(Seen::Unreadable(_)) | None => drop(owners.unknown.insert(owner)),
            }
        }
        owners
    }
}
