//! What disks refer to: DataVolumes, DataSources, claims, volumes, snapshots.
//!
//! Does not: judge whether a disk has its data.

use serde_json::Value;

use crate::{
    edges::{EdgeRule, Found, NamespaceRule, Source, Table},
    names::{self, GroupKind},
    path, view,
};

const CDI: &str = "kubevirt/containerized-data-importer: \
    staging/src/kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1/types.go";
const CORE: &str = "kubernetes/kubernetes: staging/src/k8s.io/api/core/v1/types.go";
const SNAPSHOT: &str = "kubernetes-csi/external-snapshotter: client/apis/volumesnapshot/v1/types.go";

pub(super) const DATA_VOLUME: Table = Table {
    sources: &[(names::DATA_VOLUME, "")],
    rules: &[EdgeRule::code(
        "data-volume-claim",
        data_volume_claim,
        "kubevirt/containerized-data-importer: pkg/controller/datavolume/controller-base.go",
    )
    .owns()],
};

fn data_volume_claim(source: &Source<'_>, found: &mut Found<'_>) {
    let (path, name) = match view::text(source.object, "status.claimName") {
        "" => ("metadata.name", source.name),
        name => ("status.claimName", name),
    };
    found.object(path.to_owned(), names::CLAIM, source.namespace, name);
}

/// What a DataVolume's spec names is only needed to fill the disk anew.
pub(super) const DATA_VOLUME_SPEC: Table = Table {
    sources: &[
        (names::DATA_VOLUME, "spec"),
        (names::VM, "spec.dataVolumeTemplates[].spec"),
        (names::POOL, "spec.virtualMachineTemplate.spec.dataVolumeTemplates[].spec"),
    ],
    rules: &[
        EdgeRule::named("data-volume-source-claim", "source.pvc.name", names::CLAIM, CDI)
            .within(NamespaceRule::Member)
            .soft(),
        EdgeRule::named("data-volume-source-snapshot", "source.snapshot.name", names::VOLUME_SNAPSHOT, CDI)
            .within(NamespaceRule::Member)
            .soft(),
        EdgeRule::code("data-volume-source-ref", source_ref, CDI).soft(),
        EdgeRule::named("import-http-secret", "source.http.secretRef", names::SECRET, CDI).soft(),
        EdgeRule::named("import-http-headers", "source.http.secretExtraHeaders[]", names::SECRET, CDI).soft(),
        EdgeRule::named("import-http-certificates", "source.http.certConfigMap", names::CONFIG_MAP, CDI).soft(),
        EdgeRule::named("import-s3-secret", "source.s3.secretRef", names::SECRET, CDI).soft(),
        EdgeRule::named("import-s3-certificates", "source.s3.certConfigMap", names::CONFIG_MAP, CDI).soft(),
        EdgeRule::named("import-gcs-secret", "source.gcs.secretRef", names::SECRET, CDI).soft(),
        EdgeRule::named("import-registry-secret", "source.registry.secretRef", names::SECRET, CDI).soft(),
        EdgeRule::named("import-registry-certificates", "source.registry.certConfigMap", names::CONFIG_MAP, CDI).soft(),
        EdgeRule::named("import-imageio-secret", "source.imageio.secretRef", names::SECRET, CDI).soft(),
        EdgeRule::named("import-imageio-certificates", "source.imageio.certConfigMap", names::CONFIG_MAP, CDI).soft(),
        EdgeRule::named("import-vddk-secret", "source.vddk.secretRef", names::SECRET, CDI).soft(),
        EdgeRule::named("import-vddk-certificates", "source.vddk.certConfigMap", names::CONFIG_MAP, CDI).soft(),
        EdgeRule::named("import-vddk-arguments", "source.vddk.extraArgs", names::CONFIG_MAP, CDI).soft(),
        EdgeRule::named("data-volume-storage-class", "storage.storageClassName", names::STORAGE_CLASS, CDI)
            .within(NamespaceRule::Cluster)
            .soft(),
        EdgeRule::named("data-volume-claim-storage-class", "pvc.storageClassName", names::STORAGE_CLASS, CDI)
            .within(NamespaceRule::Cluster)
            .soft(),
        EdgeRule::named("data-volume-volume", "storage.volumeName", names::VOLUME, CDI)
            .within(NamespaceRule::Cluster)
            .soft(),
        EdgeRule::named("data-volume-claim-volume", "pvc.volumeName", names::VOLUME, CDI)
            .within(NamespaceRule::Cluster)
            .soft(),
        EdgeRule::named("data-volume-priority-class", "priorityClassName", names::PRIORITY_CLASS, CDI)
            .within(NamespaceRule::Cluster)
            .soft(),
        EdgeRule::named("data-volume-service-account", "serviceAccountName", names::SERVICE_ACCOUNT, CDI).soft(),
    ],
};

fn source_ref(source: &Source<'_>, found: &mut Found<'_>) {
    let Some(reference) = source.root.get("sourceRef") else { return };
    if view::text(reference, "kind") == names::DATA_SOURCE.kind {
        let namespace = or(view::text(reference, "namespace"), source.namespace);
        let path = path::join(source.root_path, "sourceRef.name");
        found.object(path, names::DATA_SOURCE, namespace, view::text(reference, "name"));
    }
}

pub(super) const DATA_SOURCE: Table = Table {
    sources: &[(names::DATA_SOURCE, "spec.source")],
    rules: &[
        EdgeRule::named("data-source-claim", "pvc.name", names::CLAIM, CDI).within(NamespaceRule::Member).soft(),
        EdgeRule::named("data-source-snapshot", "snapshot.name", names::VOLUME_SNAPSHOT, CDI)
            .within(NamespaceRule::Member)
            .soft(),
        EdgeRule::named("data-source-data-source", "dataSource.name", names::DATA_SOURCE, CDI)
            .within(NamespaceRule::Member)
            .soft(),
    ],
};

pub(super) const CLAIM: Table = Table {
    sources: &[(names::CLAIM, "")],
    rules: &[
        // A volume may name a claim that a DataVolume made; only the claim tells.
        EdgeRule::code("claim-data-volume", claim_data_volume, CDI).soft(),
        EdgeRule::named("claim-volume", "spec.volumeName", names::VOLUME, CORE).within(NamespaceRule::Cluster),
        EdgeRule::named("claim-storage-class", "spec.storageClassName", names::STORAGE_CLASS, CORE)
            .within(NamespaceRule::Cluster)
            .soft(),
        // Once the claim is bound, from where it was filled is history.
        EdgeRule::code("claim-data-source", claim_data_source, CORE).soft(),
    ],
};

fn claim_data_volume(source: &Source<'_>, found: &mut Found<'_>) {
    for (index, owner) in view::owners(source.object).enumerate() {
        if owner.is(names::DATA_VOLUME) {
            let path = format!("metadata.ownerReferences[{index}]");
            found.object(path, names::DATA_VOLUME, source.namespace, owner.name);
        }
    }
}

fn claim_data_source(source: &Source<'_>, found: &mut Found<'_>) {
    let spec = source.object.get("spec").unwrap_or(&Value::Null);
    let field = if spec.get("dataSourceRef").is_some() { "dataSourceRef" } else { "dataSource" };
    let Some(reference) = spec.get(field) else { return };
    let known = [names::VOLUME_SNAPSHOT, names::CLAIM, names::DATA_VOLUME];
    let is = |kind: &&GroupKind| {
        kind.kind == view::text(reference, "kind") && kind.group == view::text(reference, "apiGroup")
    };
    if let Some(&kind) = known.iter().find(is) {
        let namespace = or(view::text(reference, "namespace"), source.namespace);
        found.object(format!("spec.{field}.name"), kind, namespace, view::text(reference, "name"));
    }
}

pub(super) const VOLUME: Table = Table {
    sources: &[(names::VOLUME, "")],
    rules: &[EdgeRule::named("volume-storage-class", "spec.storageClassName", names::STORAGE_CLASS, CORE)
        .within(NamespaceRule::Cluster)
        .soft()],
};

pub(super) const VOLUME_SNAPSHOT: Table = Table {
    sources: &[(names::VOLUME_SNAPSHOT, "")],
    rules: &[
        EdgeRule::named("snapshot-claim", "spec.source.persistentVolumeClaimName", names::CLAIM, SNAPSHOT).soft(),
        EdgeRule::named(
            "snapshot-content",
            "spec.source.volumeSnapshotContentName",
            names::VOLUME_SNAPSHOT_CONTENT,
            SNAPSHOT,
        )
        .within(NamespaceRule::Cluster),
        EdgeRule::named(
            "snapshot-bound-content",
            "status.boundVolumeSnapshotContentName",
            names::VOLUME_SNAPSHOT_CONTENT,
            SNAPSHOT,
        )
        .within(NamespaceRule::Cluster),
        EdgeRule::named("snapshot-class", "spec.volumeSnapshotClassName", names::VOLUME_SNAPSHOT_CLASS, SNAPSHOT)
            .within(NamespaceRule::Cluster)
            .soft(),
    ],
};

pub(super) const VOLUME_SNAPSHOT_CONTENT: Table = Table {
    sources: &[(names::VOLUME_SNAPSHOT_CONTENT, "")],
    rules: &[EdgeRule::named(
        "snapshot-content-class",
        "spec.volumeSnapshotClassName",
        names::VOLUME_SNAPSHOT_CLASS,
        SNAPSHOT,
    )
    .within(NamespaceRule::Cluster)
    .soft()],
};

fn or<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}
