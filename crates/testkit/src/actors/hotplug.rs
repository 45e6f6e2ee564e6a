//! Plays virt-controller and virt-handler for disks that are plugged into a running instance: a pod beside the launcher
//! holds them, and the instance reports how far each has come.
//!
//! Follows `kubevirt/kubevirt: pkg/virt-controller/watch/volume-migration`, `pkg/virt-controller/services/template.go`
//! (RenderHotplugAttachmentPodTemplate) and `pkg/virt-controller/watch/vmi/volume-hotplug.go`: one pod holds all such disks;
//! when their set changes another pod takes over before the old one goes.
//!
//! Does not: know the `addvolume` subresource; a hotpluggable volume in the machine's template is the same request.

use kube::Error;
use serde_json::{Value, json};

use super::Actor;
use super::json::{at, deleting, items, label, name, namespace, owner_ref, tail, text, uid};
use super::kinds::Kind;
use super::write::VIRT;

/// Value of the label `kubevirt.io` of the pods that hold plugged disks.
const HOTPLUG: &str = "hotplug-disk";

/// Tells whether a volume is plugged in rather than there from the start.
pub(super) fn is_hot(volume: &Value) -> bool {
    ["/dataVolume/hotpluggable", "/persistentVolumeClaim/hotpluggable"]
        .iter()
        .any(|pointer| at(volume, pointer) == &Value::Bool(true))
}

fn claim_of(volume: &Value) -> &str {
    let disk = text(volume, "/dataVolume/name");
    if disk.is_empty() { text(volume, "/persistentVolumeClaim/claimName") } else { disk }
}

/// Splits volumes and disks of an instance specification: what is there from the start, and what is plugged in.
fn split(spec: &Value) -> [(Vec<Value>, Vec<Value>); 2] {
    let (hot, cold): (Vec<Value>, Vec<Value>) = items(spec, "/volumes").iter().cloned().partition(is_hot);
    let is_of_hot = |disk: &Value| hot.iter().any(|volume| text(volume, "/name") == text(disk, "/name"));
    let (hot_disks, disks) = items(spec, "/domain/devices/disks").iter().cloned().partition(is_of_hot);
    [(cold, disks), (hot, hot_disks)]
}

/// Returns an instance specification without what is plugged in, which can change without a restart.
pub(super) fn from_the_start(spec: &Value) -> Value {
    let [(volumes, disks), _] = split(spec);
    let mut spec = spec.clone();
    for (pointer, kept) in [("/volumes", volumes), ("/domain/devices/disks", disks)] {
        if let Some(place) = spec.pointer_mut(pointer) {
            *place = json!(kept);
        }
    }
    spec
}

/// Gives a running instance the plugged volumes of its machine, and takes those that the machine has no more.
pub(super) async fn hand_down(actor: &Actor, vm: &Value, vmi: &Value) -> Result<(), Error> {
    if deleting(vmi) || text(vmi, "/status/phase") != "Running" {
        return Ok(());
    }
    let [(mut volumes, mut disks), has] = split(at(vmi, "/spec"));
    let [_, wanted] = split(at(vm, "/spec/template/spec"));
    if has == wanted {
        return Ok(());
    }
    volumes.extend(wanted.0);
    disks.extend(wanted.1);
    let change = json!({"spec": {"volumes": volumes, "domain": {"devices": {"disks": disks}}}});
    actor.write.patch(Kind::Vmi, VIRT, vmi, change).await.map(drop)
}

/// Moves the plugged disks of a running instance on by one step; tells whether there was one to take.
pub(super) async fn plug(actor: &Actor, vmi: &Value, launcher: &Value) -> Result<bool, Error> {
    let bound = |volume: &&Value| {
        let claim = actor.stores.get(Kind::Claim, namespace(vmi), claim_of(volume));
        claim.is_some_and(|claim| text(&claim, "/status/phase") == "Bound")
    };
    let wanted: Vec<&Value> = items(vmi, "/spec/volumes").iter().filter(|v| is_hot(v)).filter(bound).collect();
    let mut pods = actor.stores.owned(Kind::Pod, launcher);
    pods.retain(|pod| label(pod, "kubevirt.io") == HOTPLUG && !deleting(pod));
    let mut parts = vec![uid(launcher)];
    parts.extend(wanted.iter().map(|volume| text(volume, "/name")));
    let pod_name = format!("hp-volume-{}", tail(&parts));
    let pod = pods.iter().find(|pod| name(pod) == pod_name);

    let mut statuses = Vec::new();
    for status in items(vmi, "/status/volumeStatus") {
        let stays = status.get("hotplugVolume").is_none();
        let known = wanted.iter().any(|volume| text(volume, "/name") == text(status, "/name"));
        if stays || known {
            statuses.push(status.clone());
        } else if text(status, "/phase") != "Detaching" {
            let mut leaving = status.clone();
            leaving["phase"] = json!("Detaching");
            statuses.push(leaving);
        }
    }
    for volume in &wanted {
        let known = statuses.iter_mut().find(|status| text(status, "/name") == text(volume, "/name"));
        match (known, pod) {
            (None, _) => statuses.push(first_status(actor, vmi, volume)),
            (Some(status), Some(pod)) => advance(status, pod),
            (Some(_), None) => {}
        }
    }
    statuses.sort_by(|a, b| text(a, "/name").cmp(text(b, "/name")));
    let change = json!({"status": {"volumeStatus": statuses}});
    if actor.write.patch(Kind::Vmi, VIRT, vmi, change).await?.is_some() {
        return Ok(true);
    }
    if pod.is_none() && !wanted.is_empty() {
        let created = pod_of(vmi, launcher, &pod_name, &wanted);
        return Ok(actor.write.create(Kind::Pod, VIRT, created).await?.is_some());
    }
    if pod.is_none_or(|pod| text(pod, "/status/phase") == "Running") {
        for old in pods.iter().filter(|old| name(old) != pod_name) {
            actor.write.delete(Kind::Pod, old, None).await?;
        }
    }
    Ok(false)
}

fn first_status(actor: &Actor, vmi: &Value, volume: &Value) -> Value {
    let info = actor
        .stores
        .get(Kind::Claim, namespace(vmi), claim_of(volume))
        .map_or(Value::Null, |claim| super::vmi::claim_info(&claim));
    json!({
        "name": text(volume, "/name"), "target": "", "phase": "Bound", "hotplugVolume": {},
        "persistentVolumeClaimInfo": info, "reason": "PVCIsBound", "message": "PVC is in phase Bound",
    })
}

/// Moves what is reported of one disk on by one phase.
fn advance(status: &mut Value, pod: &Value) {
    let running = text(pod, "/status/phase") == "Running";
    let (phase, reason) = match text(status, "/phase") {
        "Bound" => ("AttachedToNode", "SuccessfulCreate"),
        "AttachedToNode" if running => ("MountedToPod", "VolumeMountedToPod"),
        "MountedToPod" | "Ready" if running => ("Ready", "VolumeReady"),
        _ => return,
    };
    let named = text(status, "/name").to_owned();
    status["hotplugVolume"] = json!({"attachPodName": name(pod), "attachPodUID": uid(pod)});
    status["phase"] = json!(phase);
    status["reason"] = json!(reason);
    status["message"] = match phase {
        "AttachedToNode" => json!(format!("Created hotplug attachment pod {}, for volume {named}", name(pod))),
        "MountedToPod" => json!(format!("Volume {named} has been mounted in virt-launcher pod")),
        _ => {
            status["target"] = json!(format!("sd{}", tail(&[&named])));
            json!(format!("Successfully attach hotplugged volume {named} to VM"))
        }
    };
}

fn pod_of(vmi: &Value, launcher: &Value, pod_name: &str, wanted: &[&Value]) -> Value {
    let mut volumes = vec![json!({"name": "hotplug-disks", "emptyDir": {}})];
    volumes.extend(
        wanted.iter().map(|v| json!({"name": text(v, "/name"), "persistentVolumeClaim": {"claimName": claim_of(v)}})),
    );
    json!({
        "metadata": {
            "name": pod_name, "generateName": "hp-volume-", "namespace": namespace(vmi),
            "labels": {"kubevirt.io": HOTPLUG}, "ownerReferences": [owner_ref(launcher)],
        },
        "spec": {
            "automountServiceAccountToken": false, "enableServiceLinks": false, "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [text(launcher, "/spec/nodeName")]}]},
            ]}}},
            "containers": [{
                "name": HOTPLUG, "image": text(launcher, "/spec/containers/0/image"),
                "command": ["/bin/sh", "-c", "/usr/bin/container-disk --copy-path /path/hp"],
                "resources": {"limits": {"cpu": "100m", "memory": "80M"}, "requests": {"cpu": "10m", "memory": "2M"}},
                "volumeMounts": [{"name": "hotplug-disks", "mountPath": "/path"}],
            }],
            "volumes": volumes,
        },
    })
}
