//! Names that Kubernetes, KubeVirt and CDI gave: kinds, labels and annotations that several modules use.
//!
//! Does not: say what follows from a name.

/// An API group and a kind of it; the group is empty for core kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The kind, for example `VirtualMachine`.
    pub kind: &'static str,
}

const fn of(group: &'static str, kind: &'static str) -> GroupKind {
    GroupKind { group, kind }
}

pub(crate) const KUBEVIRT: &str = "kubevirt.io";
pub(crate) const POOL_GROUP: &str = "pool.kubevirt.io";
pub(crate) const INSTANCETYPE_GROUP: &str = "instancetype.kubevirt.io";
pub(crate) const SNAPSHOT_GROUP: &str = "snapshot.kubevirt.io";
pub(crate) const CDI_GROUP: &str = "cdi.kubevirt.io";
const CSI_SNAPSHOT: &str = "snapshot.storage.k8s.io";

pub(crate) const VM: GroupKind = of(KUBEVIRT, "VirtualMachine");
pub(crate) const VMI: GroupKind = of(KUBEVIRT, "VirtualMachineInstance");
pub(crate) const REPLICA_SET: GroupKind = of(KUBEVIRT, "VirtualMachineInstanceReplicaSet");
pub(crate) const POOL: GroupKind = of(POOL_GROUP, "VirtualMachinePool");
pub(crate) const MIGRATION: GroupKind = of(KUBEVIRT, "VirtualMachineInstanceMigration");
pub(crate) const KUBEVIRT_CR: GroupKind = of(KUBEVIRT, "KubeVirt");
pub(crate) const VM_SNAPSHOT: GroupKind = of(SNAPSHOT_GROUP, "VirtualMachineSnapshot");
pub(crate) const VM_SNAPSHOT_CONTENT: GroupKind = of(SNAPSHOT_GROUP, "VirtualMachineSnapshotContent");
pub(crate) const VM_RESTORE: GroupKind = of(SNAPSHOT_GROUP, "VirtualMachineRestore");
pub(crate) const VM_CLONE: GroupKind = of("clone.kubevirt.io", "VirtualMachineClone");
pub(crate) const VM_EXPORT: GroupKind = of("export.kubevirt.io", "VirtualMachineExport");
pub(crate) const VM_BACKUP: GroupKind = of("backup.kubevirt.io", "VirtualMachineBackup");
pub(crate) const VM_BACKUP_TRACKER: GroupKind = of("backup.kubevirt.io", "VirtualMachineBackupTracker");
pub(crate) const INSTANCETYPE: GroupKind = of(INSTANCETYPE_GROUP, "VirtualMachineInstancetype");
pub(crate) const CLUSTER_INSTANCETYPE: GroupKind = of(INSTANCETYPE_GROUP, "VirtualMachineClusterInstancetype");
pub(crate) const PREFERENCE: GroupKind = of(INSTANCETYPE_GROUP, "VirtualMachinePreference");
pub(crate) const CLUSTER_PREFERENCE: GroupKind = of(INSTANCETYPE_GROUP, "VirtualMachineClusterPreference");
pub(crate) const DATA_VOLUME: GroupKind = of(CDI_GROUP, "DataVolume");
pub(crate) const DATA_SOURCE: GroupKind = of(CDI_GROUP, "DataSource");
pub(crate) const CDI_CR: GroupKind = of(CDI_GROUP, "CDI");
pub(crate) const CLAIM: GroupKind = of("", "PersistentVolumeClaim");
pub(crate) const VOLUME: GroupKind = of("", "PersistentVolume");
pub(crate) const STORAGE_CLASS: GroupKind = of("storage.k8s.io", "StorageClass");
pub(crate) const VOLUME_SNAPSHOT: GroupKind = of(CSI_SNAPSHOT, "VolumeSnapshot");
pub(crate) const VOLUME_SNAPSHOT_CONTENT: GroupKind = of(CSI_SNAPSHOT, "VolumeSnapshotContent");
pub(crate) const VOLUME_SNAPSHOT_CLASS: GroupKind = of(CSI_SNAPSHOT, "VolumeSnapshotClass");
pub(crate) const SECRET: GroupKind = of("", "Secret");
pub(crate) const CONFIG_MAP: GroupKind = of("", "ConfigMap");
pub(crate) const SERVICE_ACCOUNT: GroupKind = of("", "ServiceAccount");
pub(crate) const NAMESPACE: GroupKind = of("", "Namespace");
pub(crate) const POD: GroupKind = of("", "Pod");
pub(crate) const REVISION: GroupKind = of("apps", "ControllerRevision");
pub(crate) const NETWORK: GroupKind = of("k8s.cni.cncf.io", "NetworkAttachmentDefinition");
pub(crate) const PRIORITY_CLASS: GroupKind = of("scheduling.k8s.io", "PriorityClass");
pub(crate) const RESOURCE_CLAIM: GroupKind = of("resource.k8s.io", "ResourceClaim");
pub(crate) const RESOURCE_CLAIM_TEMPLATE: GroupKind = of("resource.k8s.io", "ResourceClaimTemplate");
pub(crate) const CRD: GroupKind = of("apiextensions.k8s.io", "CustomResourceDefinition");
pub(crate) const ROLE_BINDING: GroupKind = of("rbac.authorization.k8s.io", "RoleBinding");
pub(crate) const CLUSTER_ROLE_BINDING: GroupKind = of("rbac.authorization.k8s.io", "ClusterRoleBinding");

/// Label of a claim that holds the TPM or EFI state of the machine it names.
pub(crate) const PERSISTENT_STATE_FOR: &str = "persistent-state-for";
/// Label of launcher and hotplug pods.
pub(crate) const APP_LABEL: &str = "kubevirt.io";
/// Annotation of a launcher pod: the name of its instance.
pub(crate) const DOMAIN_ANNOTATION: &str = "kubevirt.io/domain";
/// Annotation of a launcher pod, on newer releases: the name of its instance.
pub(crate) const OWNER_VMI_ANNOTATION: &str = "kubevirt.io/owner-vmi-name";
/// Label that holds the uid of the machine (on a DataVolume) or instance (on a pod).
pub(crate) const CREATED_BY: &str = "kubevirt.io/created-by";
/// Annotation with which `kubectl apply` remembers what it sent.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Name prefix of the revision that remembers the spec with which a machine was started.
pub(crate) const START_REVISION_PREFIX: &str = "revision-start-vm-";
/// Annotation on a DataVolume: its claim has its data already.
pub(crate) const PRE_POPULATED: &str = "cdi.kubevirt.io/storage.prePopulated";
/// Annotation on a claim: the DataVolume whose data it holds.
pub(crate) const POPULATED_FOR: &str = "cdi.kubevirt.io/storage.populatedFor";
/// Annotation on a claim that names its class, from before the field.
pub(crate) const BETA_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// Annotation on a DataVolume: it may adopt a claim of its name that nobody owns.
pub(crate) const ALLOW_ADOPTION: &str = "cdi.kubevirt.io/allowClaimAdoption";
