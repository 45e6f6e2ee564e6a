//! Machines, instances, replica sets and pools: labels that the server refuses, marks of controllers, power,
//! instancetype revisions, volumes that exist only at run time.
//!
//! Does not: change identities (MAC, serial, uuid) or what powers a machine on; that is the user's choice.

use serde_json::Value;

use super::{
    Rule,
    metadata::{OWNERS, SERVER, SERVER_MEMBERS},
};
use crate::{edit::Edit, path, template::Places, view};

const RESERVED_LABELS: Rule = Rule {
    id: "reserved-labels",
    reason: "the server refuses them on a new instance",
    source: "kubevirt/kubevirt: pkg/virt-api/webhooks/validating-webhook/admitters/vmi-create-admitter.go",
};

const MARKS: Rule = Rule {
    id: "controller-annotations",
    reason: "a controller's note about the old object",
    source: "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go",
};

const REVISION: Rule = Rule {
    id: "instancetype-revision",
    reason: "binds the machine to the recorded revision, not to what the instancetype is today",
    source: "kubevirt/kubevirt-velero-plugin: pkg/plugin/vm_backup_item_action.go",
};

const INFER: Rule = Rule {
    id: "infer-from-volume",
    reason: "the inferred name is there already, and the server refuses both",
    source: "kubevirt/kubevirt: pkg/instancetype/infer/handler.go",
};

const ONE_POWER_FIELD: Rule = Rule {
    id: "one-power-field",
    reason: "the server refuses running beside runStrategy",
    source: "kubevirt/kubevirt: pkg/virt-api/webhooks/validating-webhook/admitters/vms-admitter.go",
};

const RECEIVER: Rule = Rule {
    id: "receiver-run-strategy",
    reason: "the machine was waiting for a migration; it gets back the strategy it had before",
    source: "kubevirt/kubevirt: pkg/virt-controller/watch/vm/vm.go",
};

const MEMORY_DUMP: Rule = Rule {
    id: "memory-dump-volume",
    reason: "a memory dump is made at run time and is not part of the machine",
    source: "kubevirt/kubevirt: pkg/storage/snapshot/restore.go",
};

const UTILITY_VOLUMES: Rule = Rule {
    id: "utility-volumes",
    reason: "they can only be added to an instance that runs",
    source: "kubevirt/kubevirt: pkg/virt-api/webhooks/validating-webhook/admitters/vmi-create-admitter.go",
};

const HOTPLUGGED: Rule = Rule {
    id: "hotplugged-volume",
    reason: "it was plugged into the running instance and must be plugged in again",
    source: "kubevirt/kubevirt: pkg/virt-api/webhooks/validating-webhook/admitters/vmi-create-admitter.go",
};

const RESTORE_RUN_STRATEGY: &str = "kubevirt.io/restore-run-strategy";

const MARK_KEYS: [&str; 8] = [
    "kubevirt.io/latest-observed-api-version",
    "kubevirt.io/storage-observed-api-version",
    "kubevirt.io/vm-generation",
    "restore.kubevirt.io/lastRestoreUID",
    RESTORE_RUN_STRATEGY,
    "kubevirt.io/evacuationMigration",
    "kubevirt.io/eviction-source",
    "kubevirt.io/workloadUpdateMigration",
];

const RESERVED: [&str; 6] = [
    "kubevirt.io/created-by",
    "kubevirt.io/migrationJobUID",
    "kubevirt.io/nodeName",
    "kubevirt.io/migrationTargetNodeName",
    "kubevirt.io/schedulable",
    "kubevirt.io/install-strategy",
];

/// Copies the names of the instancetype and preference revisions from status into spec. A revision that spec
/// names already is the user's choice and stays; one in status that is of another instancetype than spec names
/// now is out of date and is not taken.
pub(super) fn keep_revisions(edit: &mut Edit<'_>) {
    for field in ["instancetype", "preference"] {
        let text = |path: String| view::text(edit.object, &path);
        let pinned = text(format!("spec.{field}.revisionName"));
        let recorded = text(format!("status.{field}Ref.controllerRevisionRef.name"));
        let (of, name) = (text(format!("status.{field}Ref.name")), text(format!("spec.{field}.name")));
        if pinned.is_empty() && !recorded.is_empty() && !name.is_empty() && (of.is_empty() || of == name) {
            let recorded = Value::from(recorded);
            edit.set(&REVISION, &format!("spec.{field}"), "revisionName", recorded);
        }
    }
}

pub(super) fn sanitise(edit: &mut Edit<'_>, places: &Places) {
    if let Some(machine) = places.machine {
        sanitise_power(edit, machine);
        for field in ["instancetype", "preference"] {
            if !view::text(edit.object, &format!("{machine}.{field}.name")).is_empty() {
                edit.remove(&INFER, &format!("{machine}.{field}.inferFromVolume"));
                edit.remove(&INFER, &format!("{machine}.{field}.inferFromVolumeFailurePolicy"));
            }
        }
        let templates = format!("{machine}.dataVolumeTemplates[].metadata");
        sanitise_embedded(edit, &templates);
    }
    for metadata in places.metadata {
        sanitise_embedded(edit, metadata);
        edit.remove_keys(&RESERVED_LABELS, &format!("{metadata}.labels"), |key| RESERVED.contains(&key));
    }
    edit.remove_keys(&MARKS, "metadata.annotations", |key| MARK_KEYS.contains(&key));
    let volumes = format!("{}.volumes", places.spec);
    edit.remove_items(&MEMORY_DUMP, &volumes, |volume| volume.get("memoryDump").is_some_and(|dump| !dump.is_null()));
}

/// A template's metadata is of an object that does not exist yet.
fn sanitise_embedded(edit: &mut Edit<'_>, metadata: &str) {
    for member in SERVER_MEMBERS {
        edit.remove(&SERVER, &path::join(metadata, member));
    }
    edit.remove(&OWNERS, &path::join(metadata, "ownerReferences"));
}

fn sanitise_power(edit: &mut Edit<'_>, machine: &str) {
    let strategy = view::text(edit.object, &path::join(machine, "runStrategy")).to_owned();
    let before = view::annotation(edit.object, RESTORE_RUN_STRATEGY).to_owned();
    if strategy == "WaitAsReceiver" && !before.is_empty() {
        edit.set(&RECEIVER, machine, "runStrategy", before.into());
    }
    if !strategy.is_empty() {
        edit.remove(&ONE_POWER_FIELD, &path::join(machine, "running"));
    }
}

/// An instance that is put back stands alone: one that has an owner is made again by it.
pub(super) fn sanitise_instance(edit: &mut Edit<'_>) {
    edit.remove_keys(&RESERVED_LABELS, "metadata.labels", |key| {
        RESERVED.contains(&key) || key == "kubevirt.io/outdatedLauncherImage"
    });
    edit.remove(&UTILITY_VOLUMES, "spec.utilityVolumes");
    let hotplugged: Vec<String> = view::list(edit.object, "spec.volumes")
        .iter()
        .filter(|volume| is_hotplugged(volume))
        .map(|volume| view::text(volume, "name").to_owned())
        .collect();
    edit.remove_items(&HOTPLUGGED, "spec.volumes", is_hotplugged);
    for list in ["spec.domain.devices.disks", "spec.domain.devices.filesystems"] {
        edit.remove_items(&HOTPLUGGED, list, |disk| {
            let name = view::text(disk, "name");
            !name.is_empty() && hotplugged.iter().any(|volume| volume == name)
        });
    }
}

fn is_hotplugged(volume: &Value) -> bool {
    ["persistentVolumeClaim", "dataVolume"].iter().any(|of| view::is_true(volume, &format!("{of}.hotpluggable")))
}
