//! Machines of several shapes with all that they depend on, dependents last, ready to be created.
//!
//! Does not: create them.

use serde_json::{Value, json};

use crate::build::{self, Build, vm};

/// The storage class whose disks go with their claims; the default one.
pub const FAST: &str = "fast";
/// The storage class whose disks stay when their claims go.
pub const KEEP: &str = "keep";

/// Returns the storage classes of the bench.
pub fn storage_classes() -> Vec<Value> {
    let class = |name: &str, policy: &str, default: bool| {
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
            "provisioner": crate::actors::DRIVER, "reclaimPolicy": policy, "volumeBindingMode": "Immediate",
        })
    };
    vec![class(FAST, "Delete", true), class(KEEP, "Retain", false)]
}

/// Builds a Secret with cloud-init user data in its `userdata`.
pub fn cloud_init(namespace: &str, name: &str, user_data: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name, "namespace": namespace},
        "stringData": {"userdata": user_data},
    })
}

/// Builds a DataVolume that is filled from a registry.
pub fn data_volume(namespace: &str, name: &str, class: &str) -> Value {
    json!({
        "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "source": {"registry": {"url": "docker://registry.test/debian:13"}},
            "storage": {"resources": {"requests": {"storage": "20Gi"}}, "storageClassName": class},
        },
    })
}

/// Builds a plain claim.
pub fn claim(namespace: &str, name: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}, "storageClassName": class,
            "volumeMode": "Filesystem",
        },
    })
}

/// Starts a machine that runs, with a pod network and an identity of its own that depends on namespace and name alone.
pub fn machine(namespace: &str, name: &str) -> Build {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let own = namespace.bytes().chain(name.bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    let [a, b, c, d, e, f, ..] = own.to_be_bytes();
    vm(name)
        .namespace(namespace)
        .label("app", name)
        .set("spec.runStrategy", "Always")
        .with_pod_network(&format!("02:00:00:{a:02x}:{b:02x}:{c:02x}"))
        .with_firmware(
            &format!("5d307ca9-b3ef-428c-8861-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}"),
            &format!("sn-{d:02x}{e:02x}{f:02x}"),
        )
        .set_template("domain.machine", json!({"type": "pc-q35-rhel9.6.0"}))
        .set_template("evictionStrategy", "LiveMigrate")
}

/// A machine with one disk from a template, and cloud-init in a Secret.
pub fn with_template_disk(namespace: &str, name: &str) -> Vec<Value> {
    let (disk, secret) = (format!("{name}-root"), format!("{name}-ci"));
    let machine = machine(namespace, name).with_template_disk(&disk).with_cloud_init_secret(&secret);
    vec![cloud_init(namespace, &secret, &format!("#cloud-config\nhostname: {name}\n")), machine.to_post()]
}

/// A machine whose disk is a DataVolume of its own, in class `class`, and cloud-init in a Secret.
pub fn with_own_disk(namespace: &str, name: &str, class: &str) -> Vec<Value> {
    let (disk, secret) = (format!("{name}-disk"), format!("{name}-ci"));
    let machine = machine(namespace, name).with_dv(&disk).with_cloud_init_secret(&secret);
    vec![
        cloud_init(namespace, &secret, &format!("#cloud-config\nhostname: {name}\n")),
        data_volume(namespace, &disk, class),
        machine.to_post(),
    ]
}

/// A machine with one of everything that a machine can depend on: a template disk, a claim, an instancetype and a
/// preference, a TPM that keeps its state, a secondary network, a ConfigMap, a Secret, a ServiceAccount, access
/// credentials. The network `lan`, the instancetype `small` and the preference `linux` are shared by name.
pub fn with_everything(namespace: &str, name: &str) -> Vec<Value> {
    let named = |part: &str| format!("{name}-{part}");
    let machine = machine(namespace, name)
        .without("spec.template.spec.domain.cpu")
        .without("spec.template.spec.domain.memory")
        .with_template_disk(&named("root"))
        .with_pvc(&named("data"))
        .with_cloud_init_secret(&named("ci"))
        .with_instancetype("VirtualMachineInstancetype", "small")
        .with_preference("VirtualMachinePreference", "linux")
        .with_persistent_tpm()
        .with_network("lan", "")
        .with_config_map(&named("conf"))
        .with_secret(&named("tls"))
        .with_service_account(&named("sa"))
        .with_ssh_key(&named("keys"));
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": named("conf"), "namespace": namespace},
        "data": {"app.conf": format!("name = {name}\n")},
    });
    let secret = |part: &str, value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": named(part), "namespace": namespace},
            "stringData": {"value": value},
        })
    };
    let service_account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": named("sa"), "namespace": namespace}});
    let mut all: Vec<Value> = [build::network("lan"), build::instancetype("small"), build::preference("linux")]
        .map(|shared| shared.namespace(namespace).to_post())
        .into();
    all.extend([
        cloud_init(namespace, &named("ci"), &format!("#cloud-config\nhostname: {name}\n")),
        secret("tls", "certificate and key"),
        secret("keys", "ssh-ed25519 AAAA test"),
        config_map,
        service_account,
        claim(namespace, &named("data"), FAST),
        machine.to_post(),
    ]);
    all
}
