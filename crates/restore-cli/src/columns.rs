//! The columns in which `get` shows objects of each kind.
//!
//! Does not: read definitions of types; kinds without a row have the columns that every object has.

use serde_json::Value;
use vmrewind_model::Timestamp;

use crate::age;

/// A column: its header and how its text is found.
type Column = (&'static str, fn(&Value) -> String);

/// Returns the columns between name and age that a kind has; `wide` adds those for wide screens.
pub(crate) fn columns(group: &str, kind: &str, wide: bool) -> Vec<Column> {
    let (mut narrow, more): (Vec<Column>, Vec<Column>) = match (group, kind) {
        ("kubevirt.io", "VirtualMachine") => (
            vec![("STATUS", |o| or_dying(o, text(o, "/status/printableStatus"))), ("READY", |o| condition(o, "Ready"))],
            vec![("RUN", run_strategy), ("CPU", cpu), ("MEMORY", memory)],
        ),
        ("kubevirt.io", "VirtualMachineInstance") => (
            vec![
                ("PHASE", |o| or_dying(o, text(o, "/status/phase"))),
                ("IP", |o| text(o, "/status/interfaces/0/ipAddress")),
                ("NODENAME", |o| text(o, "/status/nodeName")),
                ("READY", |o| condition(o, "Ready")),
            ],
            vec![("LIVE-MIGRATABLE", |o| condition(o, "LiveMigratable")), ("PAUSED", |o| condition(o, "Paused"))],
        ),
        ("cdi.kubevirt.io", "DataVolume") => (
            vec![
                ("PHASE", |o| or_dying(o, text(o, "/status/phase"))),
                ("PROGRESS", |o| text(o, "/status/progress")),
                ("RESTARTS", |o| text(o, "/status/restartCount")),
            ],
            vec![("SOURCE", |o| members(o, "/spec/source"))],
        ),
        ("", "PersistentVolumeClaim") => (
            vec![
                ("STATUS", |o| or_dying(o, text(o, "/status/phase"))),
                ("VOLUME", |o| text(o, "/spec/volumeName")),
                ("CAPACITY", |o| text(o, "/status/capacity/storage")),
                ("ACCESS MODES", |o| access_modes(o, "/status/accessModes")),
                ("STORAGECLASS", |o| text(o, "/spec/storageClassName")),
            ],
            vec![("VOLUMEMODE", |o| text(o, "/spec/volumeMode"))],
        ),
        ("", "PersistentVolume") => (
            vec![
                ("CAPACITY", |o| text(o, "/spec/capacity/storage")),
                ("ACCESS MODES", |o| access_modes(o, "/spec/accessModes")),
                ("RECLAIM POLICY", |o| text(o, "/spec/persistentVolumeReclaimPolicy")),
                ("STATUS", |o| or_dying(o, text(o, "/status/phase"))),
                ("CLAIM", claim),
                ("STORAGECLASS", |o| text(o, "/spec/storageClassName")),
            ],
            vec![("VOLUMEMODE", |o| text(o, "/spec/volumeMode"))],
        ),
        ("", "Secret") => (vec![("TYPE", |o| text(o, "/type")), ("DATA", |o| count(o, &["/data"]))], vec![]),
        ("", "ConfigMap") => (vec![("DATA", |o| count(o, &["/data", "/binaryData"]))], vec![]),
        ("", "Pod") => (
            vec![("READY", ready_containers), ("STATUS", |o| or_dying(o, text(o, "/status/phase")))],
            vec![("IP", |o| text(o, "/status/podIP")), ("NODE", |o| text(o, "/spec/nodeName"))],
        ),
        ("", "Namespace") => (vec![("STATUS", |o| or_dying(o, text(o, "/status/phase")))], vec![]),
        ("storage.k8s.io", "StorageClass") => (
            vec![
                ("PROVISIONER", |o| text(o, "/provisioner")),
                ("RECLAIMPOLICY", |o| text(o, "/reclaimPolicy")),
                ("VOLUMEBINDINGMODE", |o| text(o, "/volumeBindingMode")),
            ],
            vec![],
        ),
        ("snapshot.storage.k8s.io", "VolumeSnapshot") => (
            vec![
                ("READYTOUSE", |o| text(o, "/status/readyToUse")),
                ("SOURCEPVC", |o| text(o, "/spec/source/persistentVolumeClaimName")),
                ("RESTORESIZE", |o| text(o, "/status/restoreSize")),
            ],
            vec![("CONTENT", |o| text(o, "/status/boundVolumeSnapshotContentName"))],
        ),
        ("kubevirt.io" | "pool.kubevirt.io", _) => (vec![("PHASE", |o| or_dying(o, text(o, "/status/phase")))], vec![]),
        _ => (vec![], vec![]),
    };
    if wide {
        narrow.extend(more);
    }
    narrow
}

/// Returns how old an object was at an instant.
pub(crate) fn age_at(object: &Value, at: Timestamp) -> String {
    let created = object.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    match created.and_then(|created| created.parse::<Timestamp>().ok()) {
        Some(created) => age::human(at.since(created)),
        None => "<unknown>".to_owned(),
    }
}

fn text(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Says that an object is being deleted, whatever its status says.
fn or_dying(object: &Value, status: String) -> String {
    if object.pointer("/metadata/deletionTimestamp").is_some() { "Terminating".to_owned() } else { status }
}

fn condition(object: &Value, type_: &str) -> String {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == type_);
    found.and_then(|condition| condition["status"].as_str()).unwrap_or_default().to_owned()
}

fn members(object: &Value, pointer: &str) -> String {
    let members = object.pointer(pointer).and_then(Value::as_object);
    members.map(|members| members.keys().cloned().collect::<Vec<_>>().join(",")).unwrap_or_default()
}

fn count(object: &Value, pointers: &[&str]) -> String {
    let sizes = pointers.iter().filter_map(|pointer| object.pointer(pointer)?.as_object().map(serde_json::Map::len));
    sizes.sum::<usize>().to_string()
}

fn access_modes(object: &Value, pointer: &str) -> String {
    let modes = object.pointer(pointer).and_then(Value::as_array);
    let short = modes.into_iter().flatten().filter_map(Value::as_str).map(|mode| match mode {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    });
    short.collect::<Vec<_>>().join(",")
}

fn claim(object: &Value) -> String {
    match (text(object, "/spec/claimRef/namespace"), text(object, "/spec/claimRef/name")) {
        (_, name) if name.is_empty() => String::new(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn run_strategy(object: &Value) -> String {
    let strategy = text(object, "/spec/runStrategy");
    match (strategy.is_empty(), object.pointer("/spec/running").and_then(Value::as_bool)) {
        (false, _) => strategy,
        (true, Some(running)) => format!("running={running}"),
        (true, None) => String::new(),
    }
}

fn cpu(object: &Value) -> String {
    let cores = text(object, "/spec/template/spec/domain/cpu/cores");
    let sockets = text(object, "/spec/template/spec/domain/cpu/sockets");
    match (cores.is_empty(), sockets.is_empty()) {
        (true, true) => text(object, "/spec/instancetype/name"),
        (false, true) => cores,
        (true, false) => sockets,
        (false, false) => format!("{sockets}x{cores}"),
    }
}

fn memory(object: &Value) -> String {
    let guest = text(object, "/spec/template/spec/domain/memory/guest");
    if guest.is_empty() { text(object, "/spec/template/spec/domain/resources/requests/memory") } else { guest }
}

fn ready_containers(object: &Value) -> String {
    let all = object.pointer("/status/containerStatuses").and_then(Value::as_array);
    let ready = all.into_iter().flatten().filter(|container| container["ready"] == true).count();
    let wanted = object.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    format!("{ready}/{wanted}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(group: &str, kind: &str, object: &Value) -> Vec<String> {
        columns(group, kind, false).iter().map(|(header, find)| format!("{header}={}", find(object))).collect()
    }

    #[test]
    fn shows_what_kubectl_would_show() {
        let vm = json!({"status": {"printableStatus": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(row("kubevirt.io", "VirtualMachine", &vm), ["STATUS=Running", "READY=True"]);
        let pvc = json!({"spec": {"volumeName": "pv-1", "storageClassName": "fast"},
            "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteMany"]}});
        assert_eq!(
            row("", "PersistentVolumeClaim", &pvc),
            ["STATUS=Bound", "VOLUME=pv-1", "CAPACITY=10Gi", "ACCESS MODES=RWX", "STORAGECLASS=fast"]
        );
    }

    #[test]
    fn an_object_of_any_shape_has_a_row() {
        for kind in ["VirtualMachine", "VirtualMachineInstance"] {
            for (_, find) in columns("kubevirt.io", kind, true) {
                find(&json!("nonsense"));
                find(&json!({"status": [], "spec": 7, "metadata": null}));
            }
        }
    }

    #[test]
    fn says_that_an_object_is_being_deleted() {
        let vm = json!({"metadata": {"deletionTimestamp": "x"}, "status": {"printableStatus": "Running"}});
        assert_eq!(row("kubevirt.io", "VirtualMachine", &vm)[0], "STATUS=Terminating");
    }
}
