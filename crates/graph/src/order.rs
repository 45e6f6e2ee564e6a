//! In which order objects are put back.
//!
//! Does not: wait for anything between waves, or power machines on; the executor does.

use crate::names::{self, GroupKind};

/// What must exist before what, in waves: every object of a lower wave is there before a higher one is begun.
/// The claim is before the machine even if the machine is halted, because a machine without its claim gets a
/// new, empty one at once.
const WAVES: &[(u32, GroupKind)] = &[
    (10, names::CRD),
    (20, names::NAMESPACE),
    (30, names::STORAGE_CLASS),
    (30, names::PRIORITY_CLASS),
    (30, names::CLUSTER_INSTANCETYPE),
    (30, names::CLUSTER_PREFERENCE),
    (40, names::NETWORK),
    (50, names::SERVICE_ACCOUNT),
    (60, names::SECRET),
    (60, names::CONFIG_MAP),
    (70, names::INSTANCETYPE),
    (70, names::PREFERENCE),
    (70, names::REVISION),
    (80, names::VOLUME_SNAPSHOT_CLASS),
    (82, names::VOLUME_SNAPSHOT_CONTENT),
    (84, names::VOLUME_SNAPSHOT),
    (88, names::VOLUME),
    (90, names::CLAIM),
    (100, names::DATA_SOURCE),
    (110, names::DATA_VOLUME),
    (120, names::VM),
    (140, names::REPLICA_SET),
    (140, names::POOL),
    (140, names::VMI),
];

/// The wave of kinds that nothing else waits for.
const LAST: u32 = 150;

/// Returns the wave of a kind: lower ones first. Unknown kinds come last.
#[must_use]
pub fn wave(group: &str, kind: &str) -> u32 {
    let known = WAVES.iter().find(|(_, known)| known.group == group && known.kind == kind);
    known.map_or(LAST, |(wave, _)| *wave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_comes_before_machines_and_claims_before_data_volumes() {
        let order = [
            wave("", "Namespace"),
            wave("k8s.cni.cncf.io", "NetworkAttachmentDefinition"),
            wave("", "ServiceAccount"),
            wave("", "Secret"),
            wave("apps", "ControllerRevision"),
            wave("snapshot.storage.k8s.io", "VolumeSnapshot"),
            wave("", "PersistentVolume"),
            wave("", "PersistentVolumeClaim"),
            wave("cdi.kubevirt.io", "DataSource"),
            wave("cdi.kubevirt.io", "DataVolume"),
            wave("kubevirt.io", "VirtualMachine"),
            wave("pool.kubevirt.io", "VirtualMachinePool"),
            wave("", "Service"),
        ];
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    }
}
