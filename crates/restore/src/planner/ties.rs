//! What ties a restored machine to the place where it ran, said as warnings: none of it moves with a restore.
//!
//! Does not: refuse; a cluster without the right node today may have it tomorrow, and the machine waits for it.

use std::collections::BTreeMap;

use serde_json::Value;
use vmrewind_graph::{Tie, TiedTo, ties};
use vmrewind_model::ObjectKey;

use super::Draft;
use crate::{
    json::text,
    view::{Node, Nodes},
};

/// Label of nodes with their architecture.
const ARCHITECTURE: &str = "kubernetes.io/arch";
/// Labels that `kubevirt/kubevirt: pkg/virt-handler/node-labeller` sets, one per machine type and CPU model.
const MACHINE_TYPE: &str = "machine-type.node.kubevirt.io/";
const CPU_MODEL: &str = "cpu-model.node.kubevirt.io/";

impl Draft<'_> {
    /// Warns of everything outside of the plan that a machine is tied to and may miss.
    pub(super) fn ties(&mut self, key: &ObjectKey, place: &ObjectKey, object: &Value) {
        let found = ties(object);
        let ground = Ground {
            nodes: &self.view.nodes,
            elsewhere: self.view.cluster != self.world.archive().cluster,
            ran_on: self.ran_on(key),
        };
        let mut warnings: Vec<String> = found.iter().filter_map(|tie| ground.warning(tie)).collect();
        let unchecked: Vec<&str> =
            found.iter().filter(|tie| ground.is_unchecked(tie)).map(|tie| tie.path.as_str()).collect();
        if let (Nodes::Unread(reason), false) = (&self.view.nodes, unchecked.is_empty()) {
            let which = unchecked.join(", ");
            warnings.push(format!(
                "whether any node of the target fits {which} was not checked: nodes could not be read: {reason}"
            ));
        }
        for warning in warnings {
            self.warn(place, warning);
        }
    }

    /// Returns the node that the machine ran on when it was captured.
    fn ran_on(&self, key: &ObjectKey) -> Option<String> {
        let instance = ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &key.namespace, &key.name);
        let node = text(self.world.value(&instance)?, "status.nodeName");
        (key.group == "kubevirt.io" && !node.is_empty()).then(|| node.to_owned())
    }
}

/// What a tie is judged against.
struct Ground<'a> {
    nodes: &'a Nodes,
    /// The target is not the cluster that was captured.
    elsewhere: bool,
    ran_on: Option<String>,
}

impl Ground<'_> {
    fn warning(&self, tie: &Tie) -> Option<String> {
        match &tie.to {
            TiedTo::HostDisk { volume, path, made } => Some(self.host_disk(volume, path, *made)),
            TiedTo::ContainerPath { volume, path } => Some(format!(
                "volume {volume} shows {path} of the container it runs in (containerPath): what is in it is neither in \
                 the archive nor restored"
            )),
            TiedTo::NodeLabels(wanted) => self.node_labels(wanted),
            TiedTo::NodeAffinity => self.elsewhere.then(|| {
                format!("{} was written for the nodes of another cluster: check that it fits the target's", tie.path)
            }),
            TiedTo::Scheduler(name) => self
                .elsewhere
                .then(|| format!("it is placed by scheduler {name}: check that the target has one of that name")),
            TiedTo::Architecture(wanted) => {
                let what = format!("architecture {wanted}");
                self.none_has(&what, |node| node.labels.get(ARCHITECTURE) == Some(wanted), ARCHITECTURE)
            }
            TiedTo::MachineType(wanted) => {
                let label = format!("{MACHINE_TYPE}{wanted}");
                let what = format!("machine type {wanted}");
                self.none_has(&what, |node| node.labels.contains_key(&label), MACHINE_TYPE)
            }
            TiedTo::CpuModel(wanted) if wanted == "host-model" || wanted == "host-passthrough" => {
                self.elsewhere.then(|| {
                    format!("its CPU is that of the node ({wanted}): in another cluster its guest may see another one")
                })
            }
            TiedTo::CpuModel(wanted) => {
                let label = format!("{CPU_MODEL}{wanted}");
                self.none_has(&format!("CPU model {wanted}"), |node| node.labels.contains_key(&label), CPU_MODEL)
            }
            TiedTo::Device { name, resource } => {
                let Nodes::Known(nodes) = self.nodes else { return None };
                let has = nodes.iter().any(|node| node.resources.contains(resource));
                (!has).then(|| {
                    format!(
                        "device {name} needs a node that offers {resource}, and no node of the target does: \
                         it will not start until one does"
                    )
                })
            }
        }
    }

    fn host_disk(&self, volume: &str, path: &str, made: bool) -> String {
        let node = self.ran_on.as_deref();
        let there = match (node, self.nodes) {
            (Some(node), Nodes::Known(nodes)) if nodes.iter().all(|known| known.name != node) => {
                format!("it ran on node {node} when it was captured, and the target has no node of that name")
            }
            (Some(node), _) => format!("it ran on node {node} when it was captured"),
            (None, _) => "it did not run when it was captured, so the archive does not tell on which node".to_owned(),
        };
        let else_ = if made { "it gets an empty disk there" } else { "it does not start" };
        format!(
            "volume {volume} is the file {path} on a node (hostDisk): its data is not in the archive and never moves; \
             {there}; on a node without the file {else_}"
        )
    }

    fn node_labels(&self, wanted: &BTreeMap<String, String>) -> Option<String> {
        let Nodes::Known(nodes) = self.nodes else { return None };
        let fits = |node: &Node| wanted.iter().all(|(name, value)| node.labels.get(name) == Some(value));
        let shown = wanted.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
        (!nodes.iter().any(fits)).then(|| {
            format!("it runs only on nodes with {shown}, and no node of the target has that: it will not start until one does")
        })
    }

    /// Warns if no node has what is wanted. Where no node says anything of that sort (`family` is the label or the
    /// beginning of it), it cannot be told, which is worth a word only in another cluster.
    fn none_has(&self, what: &str, has: impl Fn(&Node) -> bool, family: &str) -> Option<String> {
        let Nodes::Known(nodes) = self.nodes else { return None };
        let tells = |node: &Node| node.labels.keys().any(|label| label.starts_with(family));
        if !nodes.iter().any(tells) {
            return self.elsewhere.then(|| {
                format!(
                    "it keeps {what} as captured; whether the target, which is another cluster, has it cannot be told"
                )
            });
        }
        (!nodes.iter().any(has)).then(|| {
            format!("it keeps {what} as captured, and no node of the target has that: it will not start until one does")
        })
    }

    /// Tells whether only the nodes could have told if a tie holds.
    fn is_unchecked(&self, tie: &Tie) -> bool {
        match &tie.to {
            TiedTo::NodeLabels(_) | TiedTo::Device { .. } => true,
            TiedTo::Architecture(_) | TiedTo::MachineType(_) => self.elsewhere,
            TiedTo::CpuModel(model) => self.elsewhere && model != "host-model" && model != "host-passthrough",
            TiedTo::HostDisk { .. } | TiedTo::ContainerPath { .. } | TiedTo::NodeAffinity | TiedTo::Scheduler(_) => {
                false
            }
        }
    }
}
