//! What operations on machines refer to. They are recorded for the timeline and never put back, so nothing here
//! is hard, and the Secrets that grant access to an export are not named: they must not be followed.
//!
//! Does not: cover objects embedded in operations.

use crate::{
    edges::{EdgeRule, Found, Source, Table},
    names::{self, GroupKind},
    view,
};

const SNAPSHOT: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/snapshot/v1beta1/types.go";
const CLONE: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/clone/v1beta1/types.go";
const EXPORT: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/export/v1/types.go";
const BACKUP: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/backup/v1alpha1/types.go";
const TYPES: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go";

pub(super) const VM_SNAPSHOT: Table = Table {
    sources: &[(names::VM_SNAPSHOT, "")],
    rules: &[
        EdgeRule::code("vm-snapshot-source", subject, SNAPSHOT).soft(),
        EdgeRule::named(
            "vm-snapshot-content",
            "status.virtualMachineSnapshotContentName",
            names::VM_SNAPSHOT_CONTENT,
            SNAPSHOT,
        )
        .soft()
        .owns(),
    ],
};

pub(super) const VM_SNAPSHOT_CONTENT: Table = Table {
    sources: &[(names::VM_SNAPSHOT_CONTENT, "")],
    rules: &[EdgeRule::named(
        "vm-snapshot-volume",
        "spec.volumeBackups[].volumeSnapshotName",
        names::VOLUME_SNAPSHOT,
        SNAPSHOT,
    )
    .soft()
    .owns()],
};

pub(super) const VM_RESTORE: Table = Table {
    sources: &[(names::VM_RESTORE, "")],
    rules: &[
        EdgeRule::code("vm-restore-target", subject, SNAPSHOT).soft(),
        EdgeRule::named("vm-restore-snapshot", "spec.virtualMachineSnapshotName", names::VM_SNAPSHOT, SNAPSHOT).soft(),
        EdgeRule::named("vm-restore-claim", "status.restores[].persistentVolumeClaim", names::CLAIM, SNAPSHOT).soft(),
    ],
};

pub(super) const VM_CLONE: Table = Table {
    sources: &[(names::VM_CLONE, "")],
    rules: &[
        EdgeRule::code("vm-clone-source", subject, CLONE).soft(),
        EdgeRule::code("vm-clone-target", clone_target, CLONE).soft(),
    ],
};

pub(super) const VM_EXPORT: Table =
    Table { sources: &[(names::VM_EXPORT, "")], rules: &[EdgeRule::code("vm-export-source", subject, EXPORT).soft()] };

pub(super) const VM_BACKUP: Table = Table {
    sources: &[(names::VM_BACKUP, ""), (names::VM_BACKUP_TRACKER, "")],
    rules: &[
        EdgeRule::code("vm-backup-source", subject, BACKUP).soft(),
        EdgeRule::named("vm-backup-claim", "spec.pvcName", names::CLAIM, BACKUP).soft(),
    ],
};

pub(super) const MIGRATION: Table = Table {
    sources: &[(names::MIGRATION, "")],
    rules: &[EdgeRule::named("migration-instance", "spec.vmiName", names::VMI, TYPES).soft()],
};

const SUBJECTS: [GroupKind; 5] =
    [names::VM, names::VM_SNAPSHOT, names::CLAIM, names::VM_BACKUP, names::VM_BACKUP_TRACKER];

/// The object in `spec.source`, or in `spec.target` for a restore.
fn subject(source: &Source<'_>, found: &mut Found<'_>) {
    let member = if view::at(source.object, "spec.source").is_some() { "source" } else { "target" };
    reference(source, found, member);
}

fn clone_target(source: &Source<'_>, found: &mut Found<'_>) {
    reference(source, found, "target");
}

fn reference(source: &Source<'_>, found: &mut Found<'_>, member: &str) {
    let text = |field: &str| view::text(source.object, &format!("spec.{member}.{field}"));
    if let Some(&kind) = SUBJECTS.iter().find(|kind| kind.kind == text("kind") && kind.group == text("apiGroup")) {
        found.object(format!("spec.{member}.name"), kind, source.namespace, text("name"));
    }
}
