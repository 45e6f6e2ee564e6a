//! What every object has that only a server or a controller may set.
//!
//! Does not: touch labels and annotations; those differ by kind.

use serde_json::Value;

use super::Rule;
use crate::edit::Edit;

pub(super) const SERVER: Rule = Rule {
    id: "server-metadata",
    reason: "the server sets it when the object is created",
    source: "vmware-tanzu/velero: pkg/restore/restore.go",
};

const GENERATE_NAME: Rule = Rule {
    id: "generate-name",
    reason: "the object has its name already",
    source: "vmware-tanzu/velero: pkg/restore/restore.go",
};

const STATUS: Rule = Rule {
    id: "status",
    reason: "a controller observes it anew",
    source: "vmware-tanzu/velero: pkg/restore/restore.go",
};

pub(super) const OWNERS: Rule = Rule {
    id: "owner-references",
    reason: "they name uids that are gone; the garbage collector would delete the object",
    source: "kubernetes/kubernetes: pkg/controller/garbagecollector/garbagecollector.go",
};

const FINALIZERS: Rule = Rule {
    id: "controller-finalizers",
    reason: "the controller that added it adds it again; without its work it blocks deletion",
    source: "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go",
};

/// Members of `metadata` that only a server sets.
pub(super) const SERVER_MEMBERS: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

pub(super) fn sanitise(edit: &mut Edit<'_>) {
    for member in SERVER_MEMBERS {
        edit.remove(&SERVER, &format!("metadata.{member}"));
    }
    if !crate::view::name(edit.object).is_empty() {
        edit.remove(&GENERATE_NAME, "metadata.generateName");
    }
    edit.remove(&OWNERS, "metadata.ownerReferences");
    edit.remove_items(&FINALIZERS, "metadata.finalizers", |item| item.as_str().is_some_and(belongs_to_controller));
    edit.remove(&STATUS, "status");
}

/// Tells whether a finalizer is one that Kubernetes, its storage sidecars, KubeVirt or CDI add by themselves.
/// Those of users and other operators stay.
pub(super) fn belongs_to_controller(finalizer: &str) -> bool {
    let domain = finalizer.split_once('/').map_or("", |(domain, _)| domain);
    matches!(finalizer, "foregroundDeletion" | "orphan" | "foregroundDeleteVirtualMachine")
        || matches!(domain, "kubevirt.io" | "kubernetes.io" | "external-attacher")
        || domain.ends_with(".kubevirt.io")
        || domain.ends_with(".kubernetes.io")
}

/// Tells whether a value is nothing.
pub(super) fn is_null(value: &Value) -> bool {
    value.is_null()
}
