//! The scope: every kind that is recorded, and how.
//!
//! Does not: know which versions or short names a server has; that is discovered.

use serde_json::Value;

use crate::{
    names::{self, GroupKind},
    view,
};

/// How objects of a kind come to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capture {
    /// All of them, always.
    Always,
    /// Those that some followed object names.
    ByName,
    /// All of them, for the timeline; they are never put back.
    Operation,
    /// What the cluster is: recorded so that a restore knows where the objects came from.
    Site,
}

/// One kind of the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindRow {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The plural name that stands in URLs.
    pub plural: &'static str,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// How its objects come to be recorded.
    pub capture: Capture,
    /// The label selector of its watch, if not all objects belong to the scope and one can tell them.
    pub selector: Option<&'static str>,
    /// Whether a list or watch returns objects outside the scope that no selector keeps away: only those
    /// for which [`in_scope`] is true are recorded.
    pub filtered: bool,
    /// Whether it is something a user asks for by itself: a machine, an instance, a replica set, a pool.
    pub root: bool,
    /// Where its definition can be read.
    pub source: &'static str,
}

const KUBEVIRT_CRDS: &str = "kubevirt/kubevirt: pkg/virt-operator/resource/generate/components/crds.go";
const CDI_TYPES: &str = "kubevirt/containerized-data-importer: \
    staging/src/kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1/types.go";
const CORE_TYPES: &str = "kubernetes/kubernetes: staging/src/k8s.io/api/core/v1/types.go";
const SNAPSHOT_TYPES: &str = "kubernetes-csi/external-snapshotter: client/apis/volumesnapshot/v1/types.go";

const fn row(kind: GroupKind, plural: &'static str, source: &'static str) -> KindRow {
    KindRow {
        group: kind.group,
        kind: kind.kind,
        plural,
        namespaced: true,
        capture: Capture::Always,
        selector: None,
        filtered: false,
        root: false,
        source,
    }
}

impl KindRow {
    const fn root(self) -> Self {
        Self { root: true, ..self }
    }
    const fn cluster(self) -> Self {
        Self { namespaced: false, ..self }
    }
    const fn by(self, capture: Capture) -> Self {
        Self { capture, ..self }
    }
    const fn select(self, selector: &'static str) -> Self {
        Self { selector: Some(selector), ..self }
    }
    const fn filter(self) -> Self {
        Self { filtered: true, ..self }
    }

    /// Returns the group and kind.
    #[must_use]
    pub const fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group, kind: self.kind }
    }
}

static KINDS: &[KindRow] = &[
    // roots
    row(names::VM, "virtualmachines", KUBEVIRT_CRDS).root(),
    row(names::VMI, "virtualmachineinstances", KUBEVIRT_CRDS).root(),
    row(names::REPLICA_SET, "virtualmachineinstancereplicasets", KUBEVIRT_CRDS).root(),
    row(names::POOL, "virtualmachinepools", KUBEVIRT_CRDS).root(),
    // what they are made from
    row(names::INSTANCETYPE, "virtualmachineinstancetypes", KUBEVIRT_CRDS),
    row(names::CLUSTER_INSTANCETYPE, "virtualmachineclusterinstancetypes", KUBEVIRT_CRDS).cluster(),
    row(names::PREFERENCE, "virtualmachinepreferences", KUBEVIRT_CRDS),
    row(names::CLUSTER_PREFERENCE, "virtualmachineclusterpreferences", KUBEVIRT_CRDS).cluster(),
    row(names::REVISION, "controllerrevisions", "kubevirt/kubevirt: pkg/instancetype/revision/store.go").filter(),
    // storage
    row(names::DATA_VOLUME, "datavolumes", CDI_TYPES),
    row(names::DATA_SOURCE, "datasources", CDI_TYPES),
    row(names::CLAIM, "persistentvolumeclaims", CORE_TYPES),
    row(names::VOLUME, "persistentvolumes", CORE_TYPES).cluster(),
    row(names::STORAGE_CLASS, "storageclasses", "kubernetes/kubernetes: staging/src/k8s.io/api/storage/v1/types.go")
        .cluster(),
    row(names::VOLUME_SNAPSHOT, "volumesnapshots", SNAPSHOT_TYPES),
    row(names::VOLUME_SNAPSHOT_CONTENT, "volumesnapshotcontents", SNAPSHOT_TYPES).cluster(),
    row(names::VOLUME_SNAPSHOT_CLASS, "volumesnapshotclasses", SNAPSHOT_TYPES).cluster(),
    // the rest of what they need
    row(names::NAMESPACE, "namespaces", CORE_TYPES).cluster(),
    row(
        names::NETWORK,
        "network-attachment-definitions",
        "k8snetworkplumbingwg/network-attachment-definition-client: pkg/apis/k8s.cni.cncf.io/v1/types.go",
    ),
    row(
        names::PRIORITY_CLASS,
        "priorityclasses",
        "kubernetes/kubernetes: staging/src/k8s.io/api/scheduling/v1/types.go",
    )
    .cluster(),
    row(names::POD, "pods", "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go")
        .select("kubevirt.io in (virt-launcher,hotplug-disk)"),
    // many, and mostly foreign
    row(names::SECRET, "secrets", CORE_TYPES).by(Capture::ByName),
    row(names::CONFIG_MAP, "configmaps", CORE_TYPES).by(Capture::ByName),
    row(names::SERVICE_ACCOUNT, "serviceaccounts", CORE_TYPES).by(Capture::ByName),
    // operations
    row(names::MIGRATION, "virtualmachineinstancemigrations", KUBEVIRT_CRDS).by(Capture::Operation),
    row(names::VM_SNAPSHOT, "virtualmachinesnapshots", KUBEVIRT_CRDS).by(Capture::Operation),
    row(names::VM_SNAPSHOT_CONTENT, "virtualmachinesnapshotcontents", KUBEVIRT_CRDS).by(Capture::Operation),
    row(names::VM_RESTORE, "virtualmachinerestores", KUBEVIRT_CRDS).by(Capture::Operation),
    row(names::VM_CLONE, "virtualmachineclones", KUBEVIRT_CRDS).by(Capture::Operation),
    row(names::VM_EXPORT, "virtualmachineexports", KUBEVIRT_CRDS).by(Capture::Operation),
    row(names::VM_BACKUP, "virtualmachinebackups", KUBEVIRT_CRDS).by(Capture::Operation),
    row(names::VM_BACKUP_TRACKER, "virtualmachinebackuptrackers", KUBEVIRT_CRDS).by(Capture::Operation),
    // site
    row(names::KUBEVIRT_CR, "kubevirts", KUBEVIRT_CRDS).by(Capture::Site),
    row(names::CDI_CR, "cdis", CDI_TYPES).cluster().by(Capture::Site),
    row(
        names::CRD,
        "customresourcedefinitions",
        "kubernetes/kubernetes: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1/types.go",
    )
    .cluster()
    .by(Capture::Site)
    .filter(),
];

/// Returns the scope, one row per kind.
#[must_use]
pub fn kinds() -> &'static [KindRow] {
    KINDS
}

/// Finds the row of a kind.
#[must_use]
pub fn kind_row(group: &str, kind: &str) -> Option<&'static KindRow> {
    KINDS.iter().find(|row| row.kind == kind && row.group == group)
}

/// Tells whether an object belongs to the scope: its kind has a row, and where the row is `filtered`, the
/// object is one that is meant: a ControllerRevision of a virtual machine, pool or instancetype; the
/// definition of a kind of the scope. The answer never changes from true to false while KubeVirt keeps an
/// object's content.
#[must_use]
pub fn in_scope(object: &Value) -> bool {
    let (group, kind) = view::group_kind(object);
    match kind_row(group, kind) {
        None => false,
        Some(row) if !row.filtered => true,
        Some(row) if row.group_kind() == names::CRD => view::name(object)
            .split_once('.')
            .is_some_and(|(plural, group)| KINDS.iter().any(|row| row.plural == plural && row.group == group)),
        Some(_) => is_revision_of_kubevirt(object),
    }
}

fn is_revision_of_kubevirt(revision: &Value) -> bool {
    let kubevirts = |group: &str| group == names::KUBEVIRT || group.ends_with(".kubevirt.io");
    let data_group = view::text(revision, "data.apiVersion").split_once('/').map_or("", |(group, _)| group);
    kubevirts(data_group)
        || view::name(revision).starts_with(names::START_REVISION_PREFIX)
        || view::owners(revision).any(|owner| kubevirts(owner.group))
        || view::labels(revision).any(|(key, _)| key.starts_with("instancetype.kubevirt.io/"))
}

#[cfg(test)]
mod tests {
    use vmrewind_testkit::build::{Build, revision, secret, vm};

    use super::*;

    #[test]
    fn every_kind_has_one_row_and_every_plural_is_lower_case() {
        for row in kinds() {
            assert_eq!(kind_row(row.group, row.kind), Some(row), "{}", row.kind);
            assert_eq!(row.plural, row.plural.to_lowercase());
        }
    }

    #[test]
    fn the_roots_are_machines_instances_replica_sets_and_pools() {
        let roots: Vec<&str> = kinds().iter().filter(|row| row.root).map(|row| row.kind).collect();
        assert_eq!(
            roots,
            ["VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceReplicaSet", "VirtualMachinePool"]
        );
    }

    #[test]
    fn revisions_of_other_owners_are_out_of_scope() {
        let ours = revision("web-small-v1beta1-1", &vm("web"));
        assert!(in_scope(&ours.clone().json()));
        assert!(in_scope(&ours.without("metadata.ownerReferences").json()), "an orphan still tells by its data");
        let started = Build::namespaced("apps/v1", "ControllerRevision", "revision-start-vm-1-2");
        assert!(in_scope(&started.json()));
        let daemon_set = Build::namespaced("apps/v1", "DaemonSet", "agent");
        let foreign = Build::namespaced("apps/v1", "ControllerRevision", "agent-1").owned_by(&daemon_set);
        assert!(!in_scope(&foreign.json()));
    }

    #[test]
    fn only_definitions_of_kinds_of_the_scope_are_in_scope() {
        let crd = |name| Build::cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", name).json();
        assert!(in_scope(&crd("virtualmachines.kubevirt.io")));
        assert!(in_scope(&crd("network-attachment-definitions.k8s.cni.cncf.io")));
        assert!(!in_scope(&crd("certificates.cert-manager.io")));
        assert!(in_scope(&secret("tls").json()));
        assert!(!in_scope(&Build::namespaced("apps/v1", "Deployment", "web").json()));
    }
}
