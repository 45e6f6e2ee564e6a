//! Where the parts that machines, instances, replica sets and pools share stand in each of them.
//!
//! Does not: look into those parts.

use serde_json::Value;

use crate::{
    names::{self, GroupKind},
    view,
};

/// Paths of the shared parts of one kind.
pub(crate) struct Places {
    /// The instance's spec.
    pub(crate) spec: &'static str,
    /// Metadata of templates, of the instance and of the machine.
    pub(crate) metadata: &'static [&'static str],
    /// The machine's spec: power, disk templates.
    pub(crate) machine: Option<&'static str>,
}

const PLACES: &[(GroupKind, Places)] = &[
    (names::VM, Places { spec: "spec.template.spec", metadata: &["spec.template.metadata"], machine: Some("spec") }),
    (names::VMI, Places { spec: "spec", metadata: &[], machine: None }),
    (names::REPLICA_SET, Places { spec: "spec.template.spec", metadata: &["spec.template.metadata"], machine: None }),
    (
        names::POOL,
        Places {
            spec: "spec.virtualMachineTemplate.spec.template.spec",
            metadata: &["spec.virtualMachineTemplate.metadata", "spec.virtualMachineTemplate.spec.template.metadata"],
            machine: Some("spec.virtualMachineTemplate.spec"),
        },
    ),
];

/// Returns where the shared parts of an object stand; none for other kinds.
pub(crate) fn places(object: &Value) -> Option<&'static Places> {
    let (group, kind) = view::group_kind(object);
    PLACES.iter().find(|(known, _)| known.group == group && known.kind == kind).map(|(_, places)| places)
}

/// Tells whether an object is of a kind.
pub(crate) fn is(object: &Value, kind: GroupKind) -> bool {
    view::group_kind(object) == (kind.group, kind.kind)
}
