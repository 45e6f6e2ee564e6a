//! What only a VirtualMachine has: its instance, instancetype and preference, disk templates, operations in
//! flight.
//!
//! Does not: cover the instance's spec in its template.

use serde_json::Value;

use crate::{
    edges::{EdgeRule, Found, Pick, Source, Strength, Table},
    names::{self, GroupKind},
    view,
};

const TYPES: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go";
const FIND: &str = "kubevirt/kubevirt: pkg/instancetype/find/spec.go";
const REVISION: &str = "kubevirt/kubevirt: pkg/instancetype/revision/store.go";
const BACKEND: &str = "kubevirt/kubevirt: pkg/storage/backend-storage/backend-storage.go";

pub(super) const TABLE: Table = Table {
    sources: &[(names::VM, "")],
    rules: &[
        EdgeRule::code("instance", instance, "kubevirt/kubevirt: pkg/virt-controller/watch/vm/vm.go").soft().owns(),
        EdgeRule::code("instancetype", instancetype, FIND),
        EdgeRule::code("preference", preference, FIND),
        // Revisions and state came into being because of the machine: they go where it goes.
        EdgeRule::code("instancetype-revision", instancetype_revision, REVISION).owns(),
        EdgeRule::code("preference-revision", preference_revision, REVISION).owns(),
        EdgeRule::named("data-volume-template", "spec.dataVolumeTemplates[].metadata.name", names::DATA_VOLUME, TYPES)
            .soft()
            .owns(),
        EdgeRule::code("backend-storage", super::instance::backend_storage, BACKEND).pick(Pick::NewestLive).owns(),
        EdgeRule::named("memory-dump-request", "status.memoryDumpRequest.claimName", names::CLAIM, TYPES).soft(),
        EdgeRule::named(
            "volume-request-claim",
            "status.volumeRequests[].addVolumeOptions.volumeSource.persistentVolumeClaim.claimName",
            names::CLAIM,
            TYPES,
        )
        .soft(),
        EdgeRule::named(
            "volume-request-data-volume",
            "status.volumeRequests[].addVolumeOptions.volumeSource.dataVolume.name",
            names::DATA_VOLUME,
            TYPES,
        )
        .soft(),
        EdgeRule::named(
            "migrated-volume-source",
            "status.volumeUpdateState.volumeMigrationState.migratedVolumes[].sourcePVCInfo.claimName",
            names::CLAIM,
            TYPES,
        )
        .soft(),
        EdgeRule::named(
            "migrated-volume-destination",
            "status.volumeUpdateState.volumeMigrationState.migratedVolumes[].destinationPVCInfo.claimName",
            names::CLAIM,
            TYPES,
        )
        .soft(),
    ],
};

fn instance(source: &Source<'_>, found: &mut Found<'_>) {
    if view::is_true(source.object, "status.created") {
        found.object("status.created".to_owned(), names::VMI, source.namespace, source.name);
    }
}

fn instancetype(source: &Source<'_>, found: &mut Found<'_>) {
    matcher(source, found, "instancetype", names::INSTANCETYPE, names::CLUSTER_INSTANCETYPE);
}

fn preference(source: &Source<'_>, found: &mut Found<'_>) {
    matcher(source, found, "preference", names::PREFERENCE, names::CLUSTER_PREFERENCE);
}

/// The matcher's kind is read in any case, singular or plural; no kind means the cluster-wide one. Once a
/// revision of the object is stored the object itself is not needed any more.
fn matcher(source: &Source<'_>, found: &mut Found<'_>, field: &str, local: GroupKind, cluster: GroupKind) {
    let name = view::text(source.object, &format!("spec.{field}.name"));
    let kind = view::text(source.object, &format!("spec.{field}.kind")).to_lowercase();
    let is = |known: GroupKind| kind.strip_suffix('s').unwrap_or(&kind) == known.kind.to_lowercase();
    let stored = revisions(source.object, field).iter().any(|(_, revision)| !revision.is_empty());
    let strength = if stored { Strength::Soft } else { Strength::Hard };
    let path = format!("spec.{field}.name");
    if kind.is_empty() || is(cluster) {
        found.object_if(path, cluster, "", name, strength);
    } else if is(local) {
        found.object_if(path, local, source.namespace, name, strength);
    }
}

fn instancetype_revision(source: &Source<'_>, found: &mut Found<'_>) {
    revision(source, found, "instancetype");
}

fn preference_revision(source: &Source<'_>, found: &mut Found<'_>) {
    revision(source, found, "preference");
}

/// The revision in status is the one in use. One that the user pinned in spec is what the machine starts with
/// next; it is usually the same.
fn revision(source: &Source<'_>, found: &mut Found<'_>, field: &str) {
    let [(status_path, status), (spec_path, spec)] = revisions(source.object, field);
    found.object(status_path, names::REVISION, source.namespace, status);
    if spec != status {
        found.object(spec_path, names::REVISION, source.namespace, spec);
    }
}

/// Returns path and name of the revision in status and of the one in spec; a name may be empty.
fn revisions<'a>(vm: &'a Value, field: &str) -> [(String, &'a str); 2] {
    [format!("status.{field}Ref.controllerRevisionRef.name"), format!("spec.{field}.revisionName")].map(|path| {
        let name = view::text(vm, &path);
        (path, name)
    })
}
