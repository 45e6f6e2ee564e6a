//! The types that the server serves, and how it tells.

use serde_json::{Value, json};

/// A type of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeType {
    /// The API group, empty for the core group.
    pub group: String,
    /// The only version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The plural name.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether its status is written through a subresource only.
    pub status: bool,
    /// Short names.
    pub short_names: Vec<String>,
}

impl FakeType {
    /// Describes a type; `short` may be empty. Types of the core group have no status subresource, others have.
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool, short: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            status: !group.is_empty(),
            short_names: Some(short).filter(|short| !short.is_empty()).map(str::to_owned).into_iter().collect(),
        }
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// What capture and restore of virtual machines touch most.
pub(super) fn default_types() -> Vec<FakeType> {
    let kubevirt = "kubevirt.io";
    vec![
        FakeType::new("", "v1", "Namespace", "namespaces", false, "ns"),
        FakeType::new("", "v1", "ConfigMap", "configmaps", true, "cm"),
        FakeType::new("", "v1", "Secret", "secrets", true, ""),
        FakeType::new("", "v1", "ServiceAccount", "serviceaccounts", true, "sa"),
        FakeType::new("", "v1", "Pod", "pods", true, "po"),
        FakeType::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true, "pvc"),
        FakeType::new("", "v1", "PersistentVolume", "persistentvolumes", false, "pv"),
        FakeType::new("apps", "v1", "ControllerRevision", "controllerrevisions", true, ""),
        FakeType::new("storage.k8s.io", "v1", "StorageClass", "storageclasses", false, "sc"),
        FakeType::new("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes", true, "dv"),
        FakeType::new(kubevirt, "v1", "VirtualMachine", "virtualmachines", true, "vm"),
        FakeType::new(kubevirt, "v1", "VirtualMachineInstance", "virtualmachineinstances", true, "vmi"),
    ]
}

/// The answer of `/api` (`core`) and `/apis`; groups in `stale` are told as such.
pub(super) fn discovery(types: &[FakeType], core: bool, stale: &[String]) -> Value {
    let mut groups: Vec<(&str, Vec<&FakeType>)> = Vec::new();
    for served in types.iter().filter(|served| served.group.is_empty() == core) {
        match groups.iter_mut().find(|(group, _)| *group == served.group) {
            Some((_, members)) => members.push(served),
            None => groups.push((&served.group, vec![served])),
        }
    }
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, members)| {
            let freshness = if stale.iter().any(|stale| stale == group) { "Stale" } else { "Current" };
            let resources: Vec<Value> = members.iter().map(|served| resource(served)).collect();
            json!({"metadata": {"name": group}, "versions": [{
                "version": members[0].version, "freshness": freshness, "resources": resources,
            }]})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn resource(served: &FakeType) -> Value {
    json!({
        "resource": served.plural, "singularResource": served.kind.to_lowercase(),
        "responseKind": {"group": served.group, "version": served.version, "kind": served.kind},
        "scope": if served.namespaced { "Namespaced" } else { "Cluster" },
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
        "shortNames": served.short_names,
        "subresources": if served.status { json!([{"subresource": "status", "verbs": ["get", "patch", "update"]}]) } else { json!([]) },
    })
}
