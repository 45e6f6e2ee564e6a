//! The instance that virt-controller makes of a machine, and the launcher pod that it makes of an instance.
//!
//! The pod's shape (labels, annotations, volumes, container) follows a recorded virt-controller and
//! `kubevirt/kubevirt: pkg/virt-controller/services/template.go`.
//!
//! Does not: compute resources or topology as the real one does; what nobody restores is kept short.

use serde_json::{Value, json};

use super::Actor;
use super::hotplug;
use super::json::{at, items, name, namespace, number, owner_ref, tail, text, uid};
use super::kinds::Kind;
use super::{revisions, vm};

/// The older finalizer of instances, which virt-handler removes.
pub(super) const FOREGROUND: &str = "foregroundDeleteVirtualMachine";

/// Tells whether an instance specification needs a claim for its TPM or EFI state.
pub(super) fn keeps_state(spec: &Value) -> bool {
    let yes = |pointer: &str| at(spec, pointer) == &Value::Bool(true);
    yes("/domain/devices/tpm/persistent") || yes("/domain/firmware/bootloader/efi/persistent")
}

/// Makes the instance of a machine.
pub(super) fn instance_of(actor: &Actor, machine: &Value) -> Value {
    let mut spec = at(machine, "/spec/template/spec").clone();
    let revision = text(machine, "/status/instancetypeRef/controllerRevisionRef/name");
    if let Some(size) = actor.stores.get(Kind::Revision, namespace(machine), revision) {
        if let Some(cpu) = size.pointer("/data/spec/cpu/guest") {
            spec["domain"]["cpu"] = json!({"sockets": cpu, "cores": 1, "threads": 1});
        }
        if let Some(memory) = size.pointer("/data/spec/memory/guest") {
            spec["domain"]["memory"] = json!({"guest": memory});
        }
    }
    let mut annotations = at(machine, "/spec/template/metadata/annotations").clone();
    annotations["kubevirt.io/vm-generation"] = json!(at(machine, "/metadata/generation").to_string());
    json!({
        "metadata": {
            "name": name(machine), "namespace": namespace(machine),
            "labels": at(machine, "/spec/template/metadata/labels"), "annotations": annotations,
            "finalizers": [vm::FINALIZER, FOREGROUND], "ownerReferences": [owner_ref(machine)],
        },
        "spec": spec,
        "status": {"guestOSInfo": {}, "runtimeUser": 0, "virtualMachineRevisionName": revisions::start_name(machine)},
    })
}

/// Returns the claims that an instance mounts from its start: of its disks, and of its TPM or EFI state.
pub(super) fn claims_of(actor: &Actor, instance: &Value) -> Vec<(String, Option<String>)> {
    let mut claims = Vec::new();
    for volume in items(instance, "/spec/volumes").iter().filter(|volume| !hotplug::is_hot(volume)) {
        let of_disk = text(volume, "/dataVolume/name");
        let claim = ["/persistentVolumeClaim/claimName", "/ephemeral/persistentVolumeClaim/claimName"];
        let named = claim.iter().map(|pointer| text(volume, pointer)).find(|claim| !claim.is_empty());
        if let Some(claim) = named.or_else(|| (!of_disk.is_empty()).then_some(of_disk)) {
            claims.push((text(volume, "/name").to_owned(), Some(claim.to_owned())));
        }
    }
    if keeps_state(at(instance, "/spec")) {
        claims.push(("vm-state".to_owned(), vm::state_claim(actor, instance)));
    }
    claims
}

/// Makes a launcher pod; `migration` is the migration it is the target of.
pub(super) fn pod_of(actor: &Actor, instance: &Value, migration: Option<&Value>) -> Value {
    let vmi = name(instance);
    let mut labels = at(instance, "/metadata/labels").clone();
    for (key, value) in [
        ("kubevirt.io", "virt-launcher"),
        ("kubevirt.io/created-by", uid(instance)),
        ("vm.kubevirt.io/name", vmi),
        ("vmi.kubevirt.io/id", vmi),
    ] {
        labels[key] = json!(value);
    }
    let mut annotations = json!({
        "kubectl.kubernetes.io/default-container": "compute",
        "kubevirt.io/domain": vmi,
        "kubevirt.io/owner-vmi-name": vmi,
        "kubevirt.io/owner-vmi-uid": uid(instance),
        "kubevirt.io/migrationTransportUnix": "true",
        "pre.hook.backup.velero.io/container": "compute",
        "pre.hook.backup.velero.io/command": format!("[\"/usr/bin/virt-freezer\", \"--freeze\", \"--name\", \"{vmi}\", \"--namespace\", \"{}\"]", namespace(instance)),
        "pre.hook.backup.velero.io/timeout": "60s",
        "post.hook.backup.velero.io/container": "compute",
        "post.hook.backup.velero.io/command": format!("[\"/usr/bin/virt-freezer\", \"--unfreeze\", \"--name\", \"{vmi}\", \"--namespace\", \"{}\"]", namespace(instance)),
    });
    let networks: Vec<&str> = items(instance, "/spec/networks")
        .iter()
        .map(|n| text(n, "/multus/networkName"))
        .filter(|n| !n.is_empty())
        .collect();
    if !networks.is_empty() {
        annotations["k8s.v1.cni.cncf.io/networks"] = json!(networks.join(","));
    }
    let mut job = "";
    if let Some(migration) = migration {
        job = uid(migration);
        labels["kubevirt.io/migrationJobUID"] = json!(job);
        annotations["kubevirt.io/migrationJobName"] = json!(name(migration));
    }
    let service_account = items(instance, "/spec/volumes")
        .iter()
        .map(|v| text(v, "/serviceAccount/serviceAccountName"))
        .find(|sa| !sa.is_empty());
    let mut pod = json!({
        "metadata": {
            "name": format!("virt-launcher-{vmi}-{}", tail(&[uid(instance), job])),
            "generateName": format!("virt-launcher-{vmi}-"), "namespace": namespace(instance),
            "labels": labels, "annotations": annotations, "ownerReferences": [owner_ref(instance)],
        },
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false, "hostname": vmi,
            "terminationGracePeriodSeconds": 210,
            "serviceAccountName": service_account.unwrap_or("default"),
            "nodeSelector": {"kubernetes.io/arch": "amd64", "kubevirt.io/schedulable": "true"},
            "readinessGates": [{"conditionType": "kubevirt.io/virtual-machine-unpaused"}],
            "volumes": volumes(actor, instance),
            "containers": [{
                "name": "compute", "image": "registry.example/virt-launcher:v1.9.0",
                "command": ["/usr/bin/virt-launcher-monitor"],
                "args": ["--qemu-timeout", "292s", "--name", vmi, "--uid", uid(instance), "--namespace", namespace(instance)],
                "resources": {
                    "limits": {"devices.kubevirt.io/kvm": "1", "devices.kubevirt.io/tun": "1"},
                    "requests": {"cpu": "100m", "memory": "1Gi", "devices.kubevirt.io/kvm": "1", "devices.kubevirt.io/tun": "1"},
                },
            }],
        },
    });
    let priority = text(instance, "/spec/priorityClassName");
    if !priority.is_empty() {
        pod["spec"]["priorityClassName"] = json!(priority);
    }
    pod
}

fn volumes(actor: &Actor, instance: &Value) -> Vec<Value> {
    let mut made = vec![json!({"name": "private", "emptyDir": {}}), json!({"name": "libvirt-runtime", "emptyDir": {}})];
    for (volume, claim) in claims_of(actor, instance) {
        if let Some(claim) = claim {
            made.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
        }
    }
    for volume in items(instance, "/spec/volumes") {
        let named = text(volume, "/name");
        let secrets = [
            ("", "/secret/secretName", "/secret/optional"),
            ("-udata", "/cloudInitNoCloud/secretRef/name", ""),
            ("-ndata", "/cloudInitNoCloud/networkDataSecretRef/name", ""),
            ("-udata", "/cloudInitConfigDrive/secretRef/name", ""),
            ("-ndata", "/cloudInitConfigDrive/networkDataSecretRef/name", ""),
            ("", "/sysprep/secret/name", ""),
        ];
        for (suffix, pointer, optional) in secrets {
            let secret = text(volume, pointer);
            if !secret.is_empty() {
                let optional = !optional.is_empty() && at(volume, optional) == &Value::Bool(true);
                made.push(
                    json!({"name": format!("{named}{suffix}"), "secret": {"secretName": secret, "optional": optional}}),
                );
            }
        }
        for pointer in ["/configMap", "/sysprep/configMap"] {
            let map = text(volume, &format!("{pointer}/name"));
            if !map.is_empty() {
                let optional = at(volume, &format!("{pointer}/optional")) == &Value::Bool(true);
                made.push(json!({"name": named, "configMap": {"name": map, "optional": optional}}));
            }
        }
    }
    for (index, credential) in items(instance, "/spec/accessCredentials").iter().enumerate() {
        for pointer in ["/sshPublicKey/source/secret/secretName", "/userPassword/source/secret/secretName"] {
            let secret = text(credential, pointer);
            if !secret.is_empty() {
                let kind = if pointer.contains("ssh") { "ssh" } else { "password" };
                made.push(json!({"name": format!("access-{kind}-{index}"), "secret": {"secretName": secret}}));
            }
        }
    }
    made
}

/// Returns the interfaces that an instance reports: as named by its specification, or as drawn at its start.
pub(super) fn interfaces(instance: &Value, agent: bool) -> Vec<Value> {
    let own = number(&[uid(instance)]).to_be_bytes();
    let made = items(instance, "/spec/domain/devices/interfaces").iter().zip(0u8..).map(|(interface, index)| {
        let mac = match text(interface, "/macAddress") {
            "" => format!("02:00:00:{:02x}:{:02x}:{:02x}", own[0], own[1], own[2].wrapping_add(index)),
            mac => mac.to_owned(),
        };
        let ip = format!("10.{}.{}.{}", own[3], own[4], own[5].wrapping_add(index));
        json!({
            "name": text(interface, "/name"), "mac": mac, "ipAddress": ip, "ipAddresses": [ip], "queueCount": 1,
            "infoSource": if agent { "domain, guest-agent" } else { "domain" }, "podInterfaceName": format!("eth{index}"),
        })
    });
    made.collect()
}
