//! Claims, volumes and DataVolumes: what binders and importers wrote about the old object.
//!
//! Does not: say where a disk's data come from: a sanitised claim is bound to nothing, and marks that say "the
//! data are there" are gone. The planner puts them back where it knows (`mutate`).

use super::Rule;
use crate::{edit::Edit, names};

const BINDING: Rule = Rule {
    id: "claim-binding",
    reason: "the claim is bound anew",
    source: "vmware-tanzu/velero: pkg/restore/actions/pvc_action.go",
};

const CLAIM_ANNOTATIONS: Rule = Rule {
    id: "claim-annotations",
    reason: "a binder's or importer's note about the old claim",
    source: "kubevirt/kubevirt: pkg/storage/snapshot/restore.go",
};

const CREATED_BY: Rule = Rule {
    id: "created-by-label",
    reason: "it holds the uid of the machine that is gone",
    source: "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go",
};

const IMPORT_ANNOTATIONS: Rule = Rule {
    id: "import-annotations",
    reason: "an importer's note about the old DataVolume",
    source: "kubevirt/containerized-data-importer: pkg/controller/common/util.go",
};

const CLAIM_REF: Rule = Rule {
    id: "volume-claim-identity",
    reason: "the claim it was bound to is gone; only name and namespace stay",
    source: "vmware-tanzu/velero: pkg/restore/pv_restorer.go",
};

pub(super) fn sanitise_claim(edit: &mut Edit<'_>) {
    edit.remove_keys(&CLAIM_ANNOTATIONS, "metadata.annotations", is_of_old_claim);
    edit.remove_keys(&CREATED_BY, "metadata.labels", |key| key == names::CREATED_BY);
    for member in ["volumeName", "dataSource", "dataSourceRef"] {
        edit.remove(&BINDING, &format!("spec.{member}"));
    }
}

/// All annotations of binders and of CDI, but for those that say what the data are or, in the old way, which
/// class was asked for.
pub(super) fn is_of_old_claim(key: &str) -> bool {
    let kept = key == "cdi.kubevirt.io/storage.contentType"
        || key.starts_with("cdi.kubevirt.io/storage.preallocation")
        || key == names::BETA_STORAGE_CLASS;
    let domains = ["pv.kubernetes.io/", "volume.beta.kubernetes.io/", "volume.kubernetes.io/", "cdi.kubevirt.io/"];
    !kept
        && (domains.iter().any(|domain| key.starts_with(domain))
            || matches!(key, "k8s.io/CloneRequest" | "k8s.io/CloneOf"))
}

pub(super) fn sanitise_volume(edit: &mut Edit<'_>) {
    edit.remove(&CLAIM_REF, "spec.claimRef.uid");
    edit.remove(&CLAIM_REF, "spec.claimRef.resourceVersion");
    edit.remove_keys(&BINDING, "metadata.annotations", |key| key == "pv.kubernetes.io/bound-by-controller");
}

pub(super) fn sanitise_data_volume(edit: &mut Edit<'_>) {
    edit.remove_keys(&IMPORT_ANNOTATIONS, "metadata.annotations", is_of_old_import);
    edit.remove_keys(&CREATED_BY, "metadata.labels", |key| key == names::CREATED_BY);
}

fn is_of_old_import(key: &str) -> bool {
    const KEYS: [&str; 10] = [
        names::PRE_POPULATED,
        names::POPULATED_FOR,
        "cdi.kubevirt.io/storage.clone.token",
        "cdi.kubevirt.io/storage.extended.clone.token",
        "cdi.kubevirt.io/createdForDataVolume",
        "cdi.kubevirt.io/ownerUID",
        "cdi.kubevirt.io/cloneType",
        "cdi.kubevirt.io/storage.populator.pvcPrime",
        "k8s.io/CloneRequest",
        "k8s.io/CloneOf",
    ];
    const FAMILIES: [&str; 4] = [
        "cdi.kubevirt.io/storage.pod.",
        "cdi.kubevirt.io/storage.condition.",
        "cdi.kubevirt.io/storage.import.",
        "cdi.kubevirt.io/storage.checkpoint.",
    ];
    KEYS.contains(&key) || FAMILIES.iter().any(|family| key.starts_with(family))
}
