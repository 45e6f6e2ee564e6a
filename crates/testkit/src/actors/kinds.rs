//! The kinds that the actors read and write, and how each is addressed.
//!
//! Does not: know what any of them means.

use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client};
use kube_runtime::reflector::ObjectRef;

use super::object::Object;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $group:literal, $version:literal, $kind:literal, $plural:literal, $namespaced:literal;)*) => {
        /// A kind that an actor reads or writes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn row(self) -> (&'static str, &'static str, &'static str, &'static str, bool) {
                match self {
                    $(Self::$variant => ($group, $version, $kind, $plural, $namespaced),)*
                }
            }
        }
    };
}

kinds! {
    /// The virtual machine as its owner describes it.
    Vm = "kubevirt.io", "kubevirt.io/v1", "VirtualMachine", "virtualmachines", true;
    /// The virtual machine as it runs.
    Vmi = "kubevirt.io", "kubevirt.io/v1", "VirtualMachineInstance", "virtualmachineinstances", true;
    /// One live migration.
    Migration = "kubevirt.io", "kubevirt.io/v1", "VirtualMachineInstanceMigration", "virtualmachineinstancemigrations", true;
    /// A number of equal instances.
    ReplicaSet = "kubevirt.io", "kubevirt.io/v1", "VirtualMachineInstanceReplicaSet", "virtualmachineinstancereplicasets", true;
    /// A number of equal machines.
    Pool = "pool.kubevirt.io", "pool.kubevirt.io/v1beta1", "VirtualMachinePool", "virtualmachinepools", true;
    /// A size, in a namespace.
    Instancetype = "instancetype.kubevirt.io", "instancetype.kubevirt.io/v1beta1", "VirtualMachineInstancetype", "virtualmachineinstancetypes", true;
    /// A size, for the whole cluster.
    ClusterInstancetype = "instancetype.kubevirt.io", "instancetype.kubevirt.io/v1beta1", "VirtualMachineClusterInstancetype", "virtualmachineclusterinstancetypes", false;
    /// Defaults for a guest system, in a namespace.
    Preference = "instancetype.kubevirt.io", "instancetype.kubevirt.io/v1beta1", "VirtualMachinePreference", "virtualmachinepreferences", true;
    /// Defaults for a guest system, for the whole cluster.
    ClusterPreference = "instancetype.kubevirt.io", "instancetype.kubevirt.io/v1beta1", "VirtualMachineClusterPreference", "virtualmachineclusterpreferences", false;
    /// A disk to be filled.
    DataVolume = "cdi.kubevirt.io", "cdi.kubevirt.io/v1beta1", "DataVolume", "datavolumes", true;
    /// A claim for a disk.
    Claim = "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true;
    /// A disk.
    Volume = "", "v1", "PersistentVolume", "persistentvolumes", false;
    /// How disks are made.
    StorageClass = "storage.k8s.io", "storage.k8s.io/v1", "StorageClass", "storageclasses", false;
    /// A frozen copy of an object's specification.
    Revision = "apps", "apps/v1", "ControllerRevision", "controllerrevisions", true;
    /// Launcher pods.
    Pod = "", "v1", "Pod", "pods", true;
    /// Looked at before a pod starts that mounts it.
    Secret = "", "v1", "Secret", "secrets", true;
    /// Looked at before a pod starts that mounts it.
    ConfigMap = "", "v1", "ConfigMap", "configmaps", true;
    /// Looked at before a pod starts that attaches to it.
    Network = "k8s.cni.cncf.io", "k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", "network-attachment-definitions", true;
}

impl Kind {
    /// Returns the API group, empty for the core group.
    pub fn group(self) -> &'static str {
        self.row().0
    }

    /// Returns the kind's name, for example `VirtualMachine`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Returns `group/version`, or the version alone for the core group.
    pub fn served(self) -> &'static str {
        self.row().1
    }

    /// Tells whether its objects live in namespaces.
    pub fn namespaced(self) -> bool {
        self.row().4
    }

    /// Returns the address of its resource.
    pub fn resource(self) -> ApiResource {
        let (group, served, kind, plural, _) = self.row();
        let version = served.rsplit('/').next().unwrap_or(served);
        ApiResource::from_gvk_with_plural(&kube::core::GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// Returns an `Api` for its objects in `namespace`; empty means all of them, or a cluster-scoped kind.
    pub fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        let resource = self.resource();
        if namespace.is_empty() || !self.namespaced() {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    }

    /// Returns an `Api` for all its objects as the actors read them.
    pub(super) fn objects(self, client: &Client) -> Api<Object> {
        Api::all_with(client.clone(), &self.resource())
    }

    /// Names one of its objects; the namespace is dropped if the kind has none.
    pub(super) fn reference(self, namespace: &str, name: &str) -> ObjectRef<Object> {
        let reference = ObjectRef::new_with(name, self.resource());
        if self.namespaced() { reference.within(namespace) } else { reference }
    }

    /// Returns the kind with this group and name, if actors know it.
    pub fn find(group: &str, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.group() == group && kind.name() == name)
    }
}
