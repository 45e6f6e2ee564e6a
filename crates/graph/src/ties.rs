//! What ties a machine to the place where it ran: files of a node, labels of nodes, devices, the kind of hardware.
//!
//! None of it is captured, moved or changed by a restore. Who plans one looks at each tie and warns.
//!
//! Does not: know any node, or judge whether a tie matters.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{template, view};

#[cfg(test)]
mod tests;

/// Something outside of every captured object that a machine needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// JSON path of the member that says so.
    pub path: String,
    /// What it is tied to.
    pub to: TiedTo,
}

/// What a machine is tied to. Sources: `kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/schema.go`, and
/// `pkg/virt-controller/services/nodeselectorrenderer.go` for what becomes a demand on nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TiedTo {
    /// A disk image that is a file on a node (`hostDisk`).
    HostDisk {
        /// Name of the volume.
        volume: String,
        /// The file.
        path: String,
        /// An empty one is made where there is none (`DiskOrCreate`).
        made: bool,
    },
    /// A folder of the launcher's container (`containerPath`).
    ContainerPath {
        /// Name of the volume.
        volume: String,
        /// The folder.
        path: String,
    },
    /// Nodes with all of these labels (`nodeSelector`).
    NodeLabels(BTreeMap<String, String>),
    /// Nodes that an affinity requires.
    NodeAffinity,
    /// A scheduler other than the cluster's own.
    Scheduler(String),
    /// Nodes of this architecture.
    Architecture(String),
    /// An emulated board, for example `pc-q35-rhel9.4.0`.
    MachineType(String),
    /// A model of CPU; `host-model` and `host-passthrough` are those of the node.
    CpuModel(String),
    /// A device of a node.
    Device {
        /// Its name in the machine.
        name: String,
        /// The resource that nodes advertise it as.
        resource: String,
    },
}

/// Lists the ties of a machine, instance, replica set or pool, in the order of its members; nothing for other kinds.
#[must_use]
pub fn ties(object: &Value) -> Vec<Tie> {
    let Some(places) = template::places(object) else { return Vec::new() };
    let Some(spec) = view::at(object, places.spec) else { return Vec::new() };
    let mut found = Found { spec, root: places.spec, ties: Vec::new() };
    found.word("architecture", TiedTo::Architecture);
    found.word("domain.machine.type", TiedTo::MachineType);
    found.word("domain.cpu.model", TiedTo::CpuModel);
    found.word("schedulerName", TiedTo::Scheduler);
    found.labels();
    let required = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    if view::at(spec, required).is_some_and(|terms| !terms.is_null()) {
        found.add(required, TiedTo::NodeAffinity);
    }
    found.devices();
    found.volumes();
    found.ties
}

struct Found<'a> {
    spec: &'a Value,
    root: &'static str,
    ties: Vec<Tie>,
}

impl Found<'_> {
    fn add(&mut self, path: &str, to: TiedTo) {
        self.ties.push(Tie { path: format!("{}.{path}", self.root), to });
    }

    fn word(&mut self, path: &str, to: fn(String) -> TiedTo) {
        let word = view::text(self.spec, path);
        if !word.is_empty() {
            self.add(path, to(word.to_owned()));
        }
    }

    fn labels(&mut self) {
        let labels = view::at(self.spec, "nodeSelector").and_then(Value::as_object).into_iter().flatten();
        let labels: BTreeMap<String, String> =
            labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        if !labels.is_empty() {
            self.add("nodeSelector", TiedTo::NodeLabels(labels));
        }
    }

    /// Devices by claim (`claimName`) are references to objects, and no ties.
    fn devices(&mut self) {
        for list in ["domain.devices.gpus", "domain.devices.hostDevices"] {
            for (index, device) in view::list(self.spec, list).iter().enumerate() {
                let resource = view::text(device, "deviceName");
                if !resource.is_empty() {
                    let to =
                        TiedTo::Device { name: view::text(device, "name").to_owned(), resource: resource.to_owned() };
                    self.add(&format!("{list}[{index}].deviceName"), to);
                }
            }
        }
    }

    fn volumes(&mut self) {
        for (index, volume) in view::list(self.spec, "volumes").iter().enumerate() {
            let name = || view::text(volume, "name").to_owned();
            let (file, folder) = (view::text(volume, "hostDisk.path"), view::text(volume, "containerPath.path"));
            if !file.is_empty() {
                let made = view::text(volume, "hostDisk.type") == "DiskOrCreate";
                let to = TiedTo::HostDisk { volume: name(), path: file.to_owned(), made };
                self.add(&format!("volumes[{index}].hostDisk.path"), to);
            }
            if !folder.is_empty() {
                let to = TiedTo::ContainerPath { volume: name(), path: folder.to_owned() };
                self.add(&format!("volumes[{index}].containerPath.path"), to);
            }
        }
    }
}
