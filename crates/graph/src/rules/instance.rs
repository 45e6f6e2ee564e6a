//! What an instance's spec refers to, wherever it stands: in an instance, or in the template of a machine,
//! a replica set or a pool.
//!
//! Does not: cover what only one of these kinds has.

use serde_json::Value;

use crate::{
    edges::{EdgeRule, Found, NamespaceRule, Pick, Source, Strength, Table, Target},
    names, path, view,
};

const SCHEMA: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/schema.go";
const TYPES: &str = "kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go";
const HOOKS: &str = "kubevirt/kubevirt: pkg/hooks/hooks.go";
const BACKEND: &str = "kubevirt/kubevirt: pkg/storage/backend-storage/backend-storage.go";

pub(super) const SPEC: Table = Table {
    sources: &[
        (names::VMI, "spec"),
        (names::VM, "spec.template.spec"),
        (names::REPLICA_SET, "spec.template.spec"),
        (names::POOL, "spec.virtualMachineTemplate.spec.template.spec"),
    ],
    rules: &[
        EdgeRule::named("volume-claim", "volumes[].persistentVolumeClaim.claimName", names::CLAIM, SCHEMA),
        // The claim has the DataVolume's name. The DataVolume itself may be gone: older CDI deleted it when done.
        EdgeRule::named("volume-data-volume", "volumes[].dataVolume.name", names::DATA_VOLUME, SCHEMA).soft(),
        EdgeRule::named("volume-data-volume-claim", "volumes[].dataVolume.name", names::CLAIM, SCHEMA),
        EdgeRule::named(
            "volume-ephemeral-claim",
            "volumes[].ephemeral.persistentVolumeClaim.claimName",
            names::CLAIM,
            SCHEMA,
        ),
        EdgeRule::named("volume-memory-dump", "volumes[].memoryDump.claimName", names::CLAIM, SCHEMA).soft(),
        EdgeRule::named("volume-config-map", "volumes[].configMap.name", names::CONFIG_MAP, SCHEMA),
        EdgeRule::named("volume-secret", "volumes[].secret.secretName", names::SECRET, SCHEMA),
        EdgeRule::named(
            "volume-service-account",
            "volumes[].serviceAccount.serviceAccountName",
            names::SERVICE_ACCOUNT,
            SCHEMA,
        ),
        EdgeRule::named("cloud-init-user-data", "volumes[].cloudInitNoCloud.secretRef.name", names::SECRET, SCHEMA),
        EdgeRule::named(
            "cloud-init-network-data",
            "volumes[].cloudInitNoCloud.networkDataSecretRef.name",
            names::SECRET,
            SCHEMA,
        ),
        EdgeRule::named(
            "config-drive-user-data",
            "volumes[].cloudInitConfigDrive.secretRef.name",
            names::SECRET,
            SCHEMA,
        ),
        EdgeRule::named(
            "config-drive-network-data",
            "volumes[].cloudInitConfigDrive.networkDataSecretRef.name",
            names::SECRET,
            SCHEMA,
        ),
        EdgeRule::named("sysprep-secret", "volumes[].sysprep.secret.name", names::SECRET, SCHEMA),
        EdgeRule::named("sysprep-config-map", "volumes[].sysprep.configMap.name", names::CONFIG_MAP, SCHEMA),
        EdgeRule::named("container-disk-pull-secret", "volumes[].containerDisk.imagePullSecret", names::SECRET, SCHEMA),
        EdgeRule::named(
            "kernel-boot-pull-secret",
            "domain.firmware.kernelBoot.container.imagePullSecret",
            names::SECRET,
            SCHEMA,
        ),
        EdgeRule::named(
            "ssh-key-secret",
            "accessCredentials[].sshPublicKey.source.secret.secretName",
            names::SECRET,
            TYPES,
        ),
        EdgeRule::named(
            "user-password-secret",
            "accessCredentials[].userPassword.source.secret.secretName",
            names::SECRET,
            TYPES,
        ),
        EdgeRule::named("service-account", "serviceAccountName", names::SERVICE_ACCOUNT, TYPES),
        EdgeRule::named("utility-volume-claim", "utilityVolumes[].claimName", names::CLAIM, TYPES).soft(),
        EdgeRule::named("network", "networks[].multus.networkName", names::NETWORK, SCHEMA)
            .within(NamespaceRule::Slash),
        EdgeRule::named("resource-claim", "resourceClaims[].resourceClaimName", names::RESOURCE_CLAIM, TYPES),
        EdgeRule::named(
            "resource-claim-template",
            "resourceClaims[].resourceClaimTemplateName",
            names::RESOURCE_CLAIM_TEMPLATE,
            TYPES,
        ),
        EdgeRule::named("priority-class", "priorityClassName", names::PRIORITY_CLASS, TYPES)
            .within(NamespaceRule::Cluster),
    ],
};

pub(super) const METADATA: Table = Table {
    sources: &[
        (names::VMI, "metadata"),
        (names::VM, "spec.template.metadata"),
        (names::REPLICA_SET, "spec.template.metadata"),
        (names::POOL, "spec.virtualMachineTemplate.spec.template.metadata"),
    ],
    rules: &[EdgeRule::code("hook-sidecar", hook_sidecars, HOOKS)],
};

const SIDECARS: &str = "hooks.kubevirt.io/hookSidecars";

fn hook_sidecars(source: &Source<'_>, found: &mut Found<'_>) {
    let text = source.root.get("annotations").and_then(|annotations| annotations.get(SIDECARS)?.as_str());
    let Some(Ok(Value::Array(sidecars))) = text.map(serde_json::from_str) else { return };
    for (index, sidecar) in sidecars.iter().enumerate() {
        let at = format!("{}[{index}]", path::keyed(&path::join(source.root_path, "annotations"), SIDECARS));
        let (config_map, claim) = (view::text(sidecar, "configMap.name"), view::text(sidecar, "pvc.name"));
        found.object(format!("{at}.configMap.name"), names::CONFIG_MAP, source.namespace, config_map);
        found.object(format!("{at}.pvc.name"), names::CLAIM, source.namespace, claim);
    }
}

/// What is only in an instance.
pub(super) const INSTANCE: Table = Table {
    sources: &[(names::VMI, "")],
    rules: &[
        EdgeRule::code("backend-storage", backend_storage, BACKEND).pick(Pick::NewestLive).owns(),
        EdgeRule::code("launcher-pod", launcher_pods, "kubevirt/kubevirt: pkg/virt-controller/services/template.go")
            .soft()
            .owns(),
        EdgeRule::named(
            "volume-in-use",
            "status.volumeStatus[].persistentVolumeClaimInfo.claimName",
            names::CLAIM,
            TYPES,
        )
        .soft(),
        EdgeRule::named(
            "migration-source-state",
            "status.migrationState.sourcePersistentStatePVCName",
            names::CLAIM,
            TYPES,
        )
        .soft(),
        EdgeRule::named(
            "migration-target-state",
            "status.migrationState.targetPersistentStatePVCName",
            names::CLAIM,
            TYPES,
        )
        .soft(),
    ],
};

/// Tells that the claim that holds TPM, EFI or changed-block state is needed, for an instance and for a
/// machine. A preference may ask for such state where the machine's own spec does not: then the claim is
/// looked for too, but none is missing if there is none.
pub(super) fn backend_storage(source: &Source<'_>, found: &mut Found<'_>) {
    let spec = view::at(source.object, "spec.template.spec").or_else(|| source.object.get("spec"));
    let needed = spec.is_some_and(keeps_state) || tracks_blocks(source.object);
    let by_preference = source.object.get("spec").is_some_and(|spec| spec.get("preference").is_some());
    if source.name.is_empty() || !(needed || by_preference) {
        return;
    }
    let target = Target::Labelled {
        group: names::CLAIM.group,
        kind: names::CLAIM.kind,
        namespace: source.namespace.to_owned(),
        label: names::PERSISTENT_STATE_FOR,
        value: source.name.to_owned(),
    };
    // Before 1.4 the claim had no label but this name.
    let legacy = format!("{}-{}", names::PERSISTENT_STATE_FOR, source.name);
    let fallback = needed.then(|| {
        let names::GroupKind { group, kind } = names::CLAIM;
        vmrewind_model::ObjectKey::new(group, kind, source.namespace, &legacy)
    });
    let strength = if needed { Strength::Hard } else { Strength::Soft };
    found.push("metadata.name".to_owned(), target, strength, fallback);
}

/// Tells whether an instance's spec has a TPM or EFI variables that outlive the instance.
pub(crate) fn keeps_state(spec: &Value) -> bool {
    keeps_tpm_state(spec) || view::is_true(spec, "domain.firmware.bootloader.efi.persistent")
}

/// Tells whether an instance's spec has a TPM that outlives the instance.
pub(crate) fn keeps_tpm_state(spec: &Value) -> bool {
    let disabled = view::at(spec, "domain.devices.tpm.enabled") == Some(&Value::Bool(false));
    view::is_true(spec, "domain.devices.tpm.persistent") && !disabled
}

fn tracks_blocks(object: &Value) -> bool {
    matches!(view::text(object, "status.changedBlockTracking.state"), "Initializing" | "Enabled")
}

/// A launcher pod has an owner reference to its instance; one without any owner tells by an annotation.
fn launcher_pods(source: &Source<'_>, found: &mut Found<'_>) {
    found.owned(names::POD, source.namespace, source.uid);
    for annotation in [names::DOMAIN_ANNOTATION, names::OWNER_VMI_ANNOTATION] {
        let target = Target::Annotated {
            group: names::POD.group,
            kind: names::POD.kind,
            namespace: source.namespace.to_owned(),
            annotation,
            value: source.name.to_owned(),
        };
        if !source.name.is_empty() {
            found.push("metadata.name".to_owned(), target, Strength::Soft, None);
        }
    }
}

/// What pods that run as an account are given.
pub(super) const SERVICE_ACCOUNT: Table = Table {
    sources: &[(names::SERVICE_ACCOUNT, "")],
    // Not `secrets[]`: those are mostly tokens that the control plane made, and nothing needs them recorded.
    rules: &[EdgeRule::named(
        "account-pull-secret",
        "imagePullSecrets[].name",
        names::SECRET,
        "kubernetes/kubernetes: staging/src/k8s.io/api/core/v1/types.go",
    )
    .soft()],
};

/// What is only in a launcher pod.
pub(super) const POD: Table = Table {
    sources: &[(names::POD, "")],
    rules: &[EdgeRule::code(
        "hotplug-pod",
        hotplug_pods,
        "kubevirt/kubevirt: pkg/virt-controller/watch/vmi/volume-hotplug.go",
    )
    .soft()
    .owns()],
};

fn hotplug_pods(source: &Source<'_>, found: &mut Found<'_>) {
    if view::label(source.object, names::APP_LABEL) == "virt-launcher" {
        found.owned(names::POD, source.namespace, source.uid);
    }
}
