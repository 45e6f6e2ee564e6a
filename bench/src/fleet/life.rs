//! One machine from its making on: its objects, and what is told of them when.
//!
//! Does not: give versions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Chance, Variety};
use crate::history::What;

const MINUTE: u64 = 60_000_000;
const HOUR: u64 = 60 * MINUTE;
/// Microseconds.
pub(super) const DAY: u64 = 24 * HOUR;

/// One machine and what belongs to it.
#[derive(Debug)]
pub(super) struct Life {
    chance: Chance,
    name: String,
    shape: u64,
    own: bool,
    vm: Value,
    vmi: Value,
    pod: Value,
    born: u64,
    /// When, what, in which home, and the object, without its version.
    pub(super) events: Vec<(u64, What, String, Value)>,
}

const NAMESPACE: &str = "prod";

/// A time as Kubernetes writes it.
pub(super) fn stamp(at: u64) -> String {
    let seconds = at / 1_000_000;
    let (day, rest) = (seconds / 86_400 + 1, seconds % 86_400);
    format!("2026-01-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

impl Life {
    pub(super) fn new(seed: u64, index: usize, variety: Variety) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9).wrapping_add(index as u64 * 0x1234_5678_9ABC));
        chance.next();
        let own = variety == Variety::NothingShared;
        let shape = if own { index as u64 % 20 } else { index as u64 % 4 };
        let name = if own {
            format!("{}-{}", chance.word(), chance.word())
        } else {
            format!("{}-{index:04}", ["web", "db", "queue", "build"][index % 4])
        };
        let born = chance.below(HOUR);
        let none = Value::Null;
        Self { chance, name, shape, own, vm: none.clone(), vmi: none.clone(), pod: none, born, events: Vec::new() }
    }

    fn told(&mut self, at: u64, what: What, object: &Value) {
        self.events.push((at, what, format!("{NAMESPACE}/{}", self.name), object.clone()));
    }

    /// A text of the machine: its own, or that of all of its template.
    fn text(&mut self, shared: &str) -> String {
        if self.own { format!("{}-{}", self.chance.word(), self.chance.word()) } else { shared.to_owned() }
    }

    fn meta(&mut self, name: &str, at: u64, owner: Option<(&Value, &str)>) -> Value {
        let mut meta = json!({"name": name, "namespace": NAMESPACE, "uid": self.chance.uid(), "creationTimestamp": stamp(at), "generation": 1});
        if let Some((owner, kind)) = owner {
            meta["ownerReferences"] = json!([{"apiVersion": owner["apiVersion"], "kind": kind, "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}]);
        }
        meta
    }

    fn disks(&self) -> u64 {
        if self.own { 1 + self.shape % 4 } else { 1 + u64::from(self.shape == 1) }
    }

    /// A machine is made, its disks are filled, it starts.
    pub(super) fn begin(&mut self) {
        let mut at = self.born;
        let (name, disks) = (self.name.clone(), self.disks());
        let secret_meta = self.meta(&format!("{name}-cloudinit"), at, None);
        let script = (0..if self.own { 20 } else { 4 })
            .map(|line| format!("  - {}\n", self.text(&format!("systemctl enable --now service-{line}"))))
            .collect::<String>();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": secret_meta,
            "data": {"userdata": STANDARD.encode(format!("#cloud-config\nhostname: {name}\nruncmd:\n{script}"))}});
        self.told(at, What::Added, &secret);
        at += 40_000;
        self.vm = self.machine(at);
        let vm = self.vm.clone();
        self.told(at, What::Added, &vm);
        for disk in 0..disks {
            at = self.import(&format!("{name}-disk-{disk}"), at + 120_000);
        }
        self.start(at + 200_000);
    }

    fn machine(&mut self, at: u64) -> Value {
        let (name, shape, disks) = (self.name.clone(), self.shape, self.disks());
        let mut labels = Map::new();
        for label in 0..3 + if self.own { shape % 5 } else { 0 } {
            let key = if self.own {
                format!("{}.example.com/{}", self.chance.word(), self.chance.word())
            } else {
                format!("example.com/label-{label}")
            };
            labels.insert(key, self.text("production").into());
        }
        let mac = format!(
            "02:00:{:02x}:{:02x}:{:02x}:{:02x}",
            self.chance.below(256),
            self.chance.below(256),
            self.chance.below(256),
            self.chance.below(256)
        );
        let volumes = (0..disks)
            .map(|disk| json!({"name": format!("disk-{disk}"), "dataVolume": {"name": format!("{name}-disk-{disk}")}}))
            .chain([
                json!({"name": "cloudinit", "cloudInitNoCloud": {"secretRef": {"name": format!("{name}-cloudinit")}}}),
            ])
            .collect::<Vec<_>>();
        let devices = (0..disks).map(|disk| json!({"name": format!("disk-{disk}"), "bootOrder": disk + 1, "disk": {"bus": if shape % 7 == 6 { "scsi" } else { "virtio" }}}))
            .chain([json!({"name": "cloudinit", "disk": {"bus": "virtio"}})]).collect::<Vec<_>>();
        let templates = (0..disks).map(|disk| json!({"metadata": {"name": format!("{name}-disk-{disk}")}, "spec": {
            "source": {"registry": {"url": format!("docker://registry.example.com/images/{}", self.text("rhel:9.6"))}},
            "storage": {"resources": {"requests": {"storage": format!("{}Gi", 20 + 10 * disk)}}, "storageClassName": "ceph-rbd-virtualization"}}})).collect::<Vec<_>>();
        let mut template = json!({
            "architecture": "amd64", "evictionStrategy": "LiveMigrate", "terminationGracePeriodSeconds": 180,
            "domain": {
                "cpu": {"cores": 1 + shape % 4, "sockets": 1 + shape % 2, "threads": 1, "model": "host-model"},
                "memory": {"guest": format!("{}Gi", 2 << (shape % 5))},
                "machine": {"type": "pc-q35-rhel9.6.0"},
                "firmware": {"uuid": self.chance.uid(), "serial": self.chance.uid()},
                "features": {"acpi": {}, "smm": {"enabled": true}},
                "devices": {"disks": devices, "interfaces": [{"name": "default", "masquerade": {}, "macAddress": mac, "model": "virtio"}], "rng": {}},
                "resources": {},
            },
            "networks": [{"name": "default", "pod": {}}], "volumes": volumes,
        });
        if shape % 3 == 2 {
            template["tolerations"] = json!([{"key": self.text("dedicated"), "operator": "Equal", "value": self.text("virt"), "effect": "NoSchedule"}]);
        }
        if shape % 5 == 3 {
            template["affinity"] = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100,
                "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": self.text("web")}}}}]}});
        }
        if shape % 4 == 1 {
            template["readinessProbe"] = json!({"tcpSocket": {"port": 1024 + self.chance.below(9000)}, "initialDelaySeconds": 30, "periodSeconds": 10});
        }
        let mut meta = self.meta(&name, at, None);
        meta["labels"] = Value::Object(labels.clone());
        meta["annotations"] = json!({"example.com/owner": self.text("team-platform@example.com"), "example.com/description": self.text("made by the pipeline"),
            "kubevirt.io/latest-observed-api-version": "v1", "kubevirt.io/storage-observed-api-version": "v1"});
        meta["finalizers"] = json!(["kubevirt.io/virtualMachineControllerFinalize"]);
        json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": meta,
            "spec": {"runStrategy": "Always", "dataVolumeTemplates": templates, "template": {"metadata": {"labels": labels, "creationTimestamp": null}, "spec": template}}})
    }

    /// CDI fills a disk, and says how far it is.
    fn import(&mut self, name: &str, mut at: u64) -> u64 {
        let vm = self.vm.clone();
        let volume = json!({"accessModes": ["ReadWriteMany"], "volumeMode": "Block", "storageClassName": "ceph-rbd-virtualization", "resources": {"requests": {"storage": "20Gi"}}});
        let mut disk = json!({"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "metadata": self.meta(name, at, Some((&vm, "VirtualMachine"))),
            "spec": {"source": {"registry": {"url": "docker://registry.example.com/images/rhel:9.6"}}, "storage": volume}});
        disk["metadata"]["annotations"] = json!({"cdi.kubevirt.io/storage.usePopulator": "true"});
        self.told(at, What::Added, &disk);
        let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self.meta(name, at, Some((&disk, "DataVolume"))), "spec": volume, "status": {"phase": "Pending"}});
        claim["metadata"]["annotations"] = json!({"cdi.kubevirt.io/storage.contentType": "kubevirt", "volume.beta.kubernetes.io/storage-provisioner": "openshift-storage.rbd.csi.ceph.com"});
        claim["spec"]["dataSourceRef"] = json!({"apiGroup": "cdi.kubevirt.io", "kind": "VolumeImportSource", "name": format!("volume-import-source-{}", self.chance.uid())});
        self.told(at + 300_000, What::Added, &claim);
        for progress in 0..6 + self.chance.below(6) {
            at += 4_000_000 + self.chance.below(9_000_000);
            disk["status"] = json!({"phase": "ImportInProgress", "progress": format!("{}.{:02}%", progress * 9, self.chance.below(100)), "claimName": name,
                "conditions": [{"type": "Bound", "status": "False", "reason": "Pending", "message": format!("PVC {name} Pending"), "lastHeartbeatTime": stamp(at), "lastTransitionTime": stamp(at)},
                    {"type": "Running", "status": "True", "reason": "Pod is running", "lastHeartbeatTime": stamp(at), "lastTransitionTime": stamp(at)}]});
            self.told(at, What::Modified, &disk);
        }
        claim["spec"]["volumeName"] = json!(format!("pvc-{}", claim["metadata"]["uid"].as_str().unwrap_or_default()));
        claim["status"] = json!({"phase": "Bound", "accessModes": ["ReadWriteMany"], "capacity": {"storage": "20Gi"}});
        self.told(at + 500_000, What::Modified, &claim);
        disk["status"] = json!({"phase": "Succeeded", "progress": "100.0%", "claimName": name,
            "conditions": [{"type": "Bound", "status": "True", "reason": "Bound", "message": format!("PVC {name} Bound"), "lastHeartbeatTime": stamp(at), "lastTransitionTime": stamp(at)}]});
        self.told(at + 700_000, What::Modified, &disk);
        at + 800_000
    }

    fn launcher(&mut self, at: u64) -> Value {
        let (name, vmi) = (self.name.clone(), self.vmi.clone());
        let node = format!("worker-{:02}.example.com", self.chance.below(24));
        let pod = format!("virt-launcher-{name}-{}", self.chance.suffix());
        let mut meta = self.meta(&pod, at, Some((&vmi, "VirtualMachineInstance")));
        meta["labels"] = json!({"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": vmi["metadata"]["uid"], "vm.kubevirt.io/name": name});
        meta["annotations"] = json!({"kubevirt.io/domain": name, "kubevirt.io/migrationTransportUnix": "true", "post.hook.backup.velero.io/container": "compute"});
        let env = json!([{"name": "KUBEVIRT_RESOURCE_NAME_default"}, {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}]);
        let mounts: Vec<Value> =
            ["private", "public", "ephemeral-disks", "container-disks", "libvirt-runtime", "sockets", "hotplug-disks"]
                .iter()
                .map(|mount| json!({"mountPath": format!("/var/run/kubevirt-{mount}"), "name": mount}))
                .collect();
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {
            "containers": [{"name": "compute", "image": "registry.example.com/kubevirt/virt-launcher@sha256:5f3c6e2d0b9b0e6c9a1f0d7e5a4c3b2a1908f7e6d5c4b3a291807f6e5d4c3b2a",
                "command": ["/usr/bin/virt-launcher-monitor", "--qemu-timeout", "309s", "--name", name, "--uid", vmi["metadata"]["uid"], "--namespace", NAMESPACE, "--kubevirt-share-dir", "/var/run/kubevirt", "--ephemeral-disk-dir", "/var/run/kubevirt-ephemeral-disks", "--container-disk-dir", "/var/run/kubevirt/container-disks", "--grace-period-seconds", "195", "--hook-sidecars", "0", "--ovmf-path", "/usr/share/OVMF"],
                "env": env, "resources": {"limits": {"devices.kubevirt.io/kvm": "1", "devices.kubevirt.io/tun": "1", "devices.kubevirt.io/vhost-net": "1"}, "requests": {"cpu": "100m", "memory": "2294Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}, "runAsNonRoot": true, "runAsUser": 107}, "volumeMounts": mounts}],
            "nodeName": node, "restartPolicy": "Never", "terminationGracePeriodSeconds": 210, "hostname": name, "automountServiceAccountToken": false,
            "nodeSelector": {"kubernetes.io/arch": "amd64", "kubevirt.io/schedulable": "true", "machine-type.node.kubevirt.io/pc-q35-rhel9.6.0": "true"},
            "tolerations": [{"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}]},
            "status": {"phase": "Pending", "qosClass": "Burstable"}})
    }

    /// A launcher pod comes up.
    fn launch(&mut self, mut at: u64) -> u64 {
        let mut pod = self.launcher(at);
        self.told(at, What::Added, &pod);
        let ip = format!("10.{}.{}.{}", 128 + self.chance.below(4), self.chance.below(256), self.chance.below(254) + 1);
        for step in 0..4_u64 {
            at += 600_000 + self.chance.below(2_000_000);
            let ready = step == 3;
            pod["status"]["conditions"] = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].iter().take(usize::try_from(step).unwrap_or(0) + 1)
                .map(|kind| json!({"type": kind, "status": if ready || *kind == "PodScheduled" { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": stamp(at)})).collect();
            if step > 1 {
                pod["status"]["podIP"] = json!(ip);
                pod["status"]["podIPs"] = json!([{"ip": ip}]);
                pod["status"]["containerStatuses"] = json!([{"name": "compute", "ready": ready, "restartCount": 0, "started": ready,
                    "containerID": format!("cri-o://{:016x}{:016x}{:016x}{:016x}", self.chance.next(), self.chance.next(), self.chance.next(), self.chance.next()), "state": {"running": {"startedAt": stamp(at)}}}]);
            }
            if ready {
                pod["status"]["phase"] = json!("Running");
            }
            self.told(at, What::Modified, &pod);
        }
        self.pod = pod;
        at
    }

    /// A machine starts: its instance comes into being, a pod comes up, the guest reports.
    fn start(&mut self, at: u64) {
        let (name, vm) = (self.name.clone(), self.vm.clone());
        let mut meta = self.meta(&name, at, Some((&vm, "VirtualMachine")));
        meta["labels"] = vm["metadata"]["labels"].clone();
        meta["finalizers"] = json!(["kubevirt.io/virtualMachineControllerFinalize", "foregroundDeleteVirtualMachine"]);
        self.vmi = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": meta, "spec": vm["spec"]["template"]["spec"], "status": {"phase": "Pending"}});
        let vmi = self.vmi.clone();
        self.told(at, What::Added, &vmi);
        let mut up = self.launch(at + 300_000);
        for phase in ["Scheduling", "Scheduled", "Running"] {
            up += 400_000 + self.chance.below(900_000);
            self.vmi["status"]["phase"] = json!(phase);
            self.vmi["status"]["nodeName"] = self.pod["spec"]["nodeName"].clone();
            self.vmi["status"]["activePods"] =
                json!({self.pod["metadata"]["uid"].as_str().unwrap_or_default(): self.pod["spec"]["nodeName"]});
            let stamps: Vec<Value> = ["Pending", "Scheduling", "Scheduled", "Running"]
                .iter()
                .map(|of| json!({"phase": of, "phaseTransitionTimestamp": stamp(up)}))
                .collect();
            self.vmi["status"]["phaseTransitionTimestamps"] = json!(stamps);
            self.instance(up);
            self.mirror(up + 100_000, phase);
        }
        for _ in 0..3 {
            up += 5_000_000 + self.chance.below(10_000_000);
            self.report(up);
        }
    }

    fn instance(&mut self, at: u64) {
        let vmi = self.vmi.clone();
        self.told(at, What::Modified, &vmi);
    }

    /// virt-controller says of the machine what its instance says.
    fn mirror(&mut self, at: u64, status: &str) {
        let running = status == "Running";
        self.vm["status"] = json!({"created": true, "ready": running, "printableStatus": if running { "Running" } else { "Starting" }, "runStrategy": "Always", "observedGeneration": 1, "desiredGeneration": 1,
            "conditions": [{"type": "Ready", "status": if running { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": stamp(at)}, {"type": "LiveMigratable", "status": "True", "lastProbeTime": null, "lastTransitionTime": null}],
            "volumeSnapshotStatuses": [{"name": "disk-0", "enabled": true}, {"name": "cloudinit", "enabled": false, "reason": "Snapshot is not supported for this volumeSource type [cloudinit]"}]});
        let vm = self.vm.clone();
        self.told(at, What::Modified, &vm);
    }

    /// The guest agent reports.
    fn report(&mut self, at: u64) {
        let ip = self.pod["status"]["podIP"].clone();
        self.vmi["status"]["interfaces"] = json!([{"name": "default", "interfaceName": "eth0", "infoSource": "domain, guest-agent", "ipAddress": ip, "ipAddresses": [ip],
            "mac": self.vmi["spec"]["domain"]["devices"]["interfaces"][0]["macAddress"], "queueCount": 1, "podInterfaceName": "eth0"}]);
        self.vmi["status"]["guestOSInfo"] = json!({"id": "rhel", "name": "Red Hat Enterprise Linux", "prettyName": "Red Hat Enterprise Linux 9.6 (Plow)", "version": "9.6", "versionId": "9.6",
            "kernelRelease": "5.14.0-570.12.1.el9_6.x86_64", "kernelVersion": "#1 SMP PREEMPT_DYNAMIC Fri Apr 4 10:41:31 EDT 2025", "machine": "x86_64"});
        self.vmi["status"]["memory"] = json!({"guestAtBoot": self.vmi["spec"]["domain"]["memory"]["guest"], "guestCurrent": self.vmi["spec"]["domain"]["memory"]["guest"], "guestRequested": self.vmi["spec"]["domain"]["memory"]["guest"]});
        self.vmi["status"]["volumeStatus"] = json!([{"name": "disk-0", "target": "vda", "persistentVolumeClaimInfo": {"accessModes": ["ReadWriteMany"], "capacity": {"storage": "20Gi"}, "filesystemOverhead": "0", "volumeMode": "Block", "claimName": format!("{}-disk-0", self.name)}},
            {"name": "cloudinit", "target": "vdb", "size": 1_048_576 + self.chance.below(4096)}]);
        self.vmi["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": stamp(self.born)},
            {"type": "LiveMigratable", "status": "True", "lastProbeTime": null, "lastTransitionTime": null},
            {"type": "AgentConnected", "status": if self.chance.one_in(3) { "False" } else { "True" }, "lastProbeTime": stamp(at), "lastTransitionTime": stamp(at)}]);
        self.instance(at);
    }

    /// A day: reports about every quarter of an hour, flaps, in every fourth machine a migration, in every tenth an edit.
    pub(super) fn live(&mut self, from: u64) {
        let mut at = from.max(self.born + HOUR / 2);
        let migrates = self.chance.one_in(4).then(|| from + 2 * HOUR + self.chance.below(20 * HOUR));
        let edited = self.chance.one_in(10).then(|| from + 2 * HOUR + self.chance.below(20 * HOUR));
        let (mut migrates, mut edited) = (migrates, edited);
        loop {
            at += 8 * MINUTE + self.chance.below(14 * MINUTE);
            if at >= from + DAY {
                return;
            }
            if migrates.take_if(|when| *when <= at).is_some() {
                self.migrate(at);
            } else if edited.take_if(|when| *when <= at).is_some() {
                self.vm["spec"]["template"]["spec"]["domain"]["memory"]["guest"] =
                    json!(format!("{}Gi", 4 + self.chance.below(28)));
                self.vm["metadata"]["generation"] = json!(self.vm["metadata"]["generation"].as_u64().unwrap_or(1) + 1);
                self.mirror(at, "Running");
            } else {
                self.report(at);
                if self.chance.one_in(6) {
                    self.mirror(at + 200_000, "Running");
                }
            }
        }
    }

    fn migrate(&mut self, mut at: u64) {
        let old = self.pod.clone();
        at = self.launch(at);
        let (source, target) = (old["spec"]["nodeName"].clone(), self.pod["spec"]["nodeName"].clone());
        let migration = self.chance.uid();
        for step in 0..4 {
            at += 1_000_000 + self.chance.below(8_000_000);
            self.vmi["status"]["migrationState"] = json!({"migrationUid": migration, "sourceNode": source, "targetNode": target, "targetPod": self.pod["metadata"]["name"], "sourcePod": old["metadata"]["name"],
                "startTimestamp": stamp(at), "completed": step == 3, "mode": "PreCopy", "migrationConfiguration": {"allowAutoConverge": false, "bandwidthPerMigration": "0", "completionTimeoutPerGiB": 150, "parallelMigrationsPerCluster": 5, "progressTimeout": 150}});
            if step == 3 {
                self.vmi["status"]["nodeName"] = target.clone();
            }
            self.instance(at);
        }
        self.told(at + 3_000_000, What::Deleted, &old);
    }
}
