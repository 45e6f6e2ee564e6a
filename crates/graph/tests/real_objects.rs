//! The rules on objects of real releases and on a recorded history, where `$VMREWIND_EXTRA_FIXTURES` has them.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use serde_json::{Value, json};
use vmrewind_graph::{Home, comparable, edges, home, in_scope, key, mask_secrets, sanitise, wanted};

/// The folder with the extra objects; none if the variable is not set.
fn folder() -> Option<PathBuf> {
    let root = PathBuf::from(env::var_os("VMREWIND_EXTRA_FIXTURES")?);
    let inside = root.join("fixtures");
    Some(if inside.is_dir() { inside } else { root })
}

fn objects() -> Vec<(String, Value)> {
    let Some(folder) = folder() else { return Vec::new() };
    let files = fs::read_dir(&folder).expect("the folder of extra fixtures can be read");
    let json = files.map(|file| file.expect("entry").path()).filter(|path| path.extension() == Some("json".as_ref()));
    let mut objects: Vec<(String, Value)> = json
        .map(|path| {
            let object = serde_json::from_slice(&fs::read(&path).expect("a fixture can be read"));
            (path.display().to_string(), object.expect("a fixture is JSON"))
        })
        .collect();
    objects.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!objects.is_empty(), "{} holds no objects", folder.display());
    objects
}

/// Adds a member that nobody knows to every object in a value.
fn plant(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(plant);
            map.insert("brandNew".to_owned(), json!(["x", 1]));
        }
        Value::Array(list) => list.iter_mut().for_each(plant),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn every_object_has_it(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("brandNew") && map.values().all(every_object_has_it),
        Value::Array(list) => list.iter().all(every_object_has_it),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[test]
fn members_of_releases_to_come_survive_sanitising() {
    for (file, mut object) in objects() {
        plant(&mut object);
        sanitise(&mut object);
        assert!(every_object_has_it(&object), "{file}");
        assert!(object["spec"].as_object().is_some_and(|spec| spec.len() > 3), "{file}");
    }
}

#[test]
fn an_object_with_every_field_set_has_every_edge_of_its_kind() {
    let of_spec = [
        "volume-claim",
        "volume-data-volume",
        "volume-data-volume-claim",
        "volume-ephemeral-claim",
        "volume-memory-dump",
        "volume-config-map",
        "volume-secret",
        "volume-service-account",
        "cloud-init-user-data",
        "cloud-init-network-data",
        "config-drive-user-data",
        "config-drive-network-data",
        "sysprep-secret",
        "sysprep-config-map",
        "container-disk-pull-secret",
        "kernel-boot-pull-secret",
        "ssh-key-secret",
        "user-password-secret",
        "network",
        "priority-class",
        "resource-claim",
        "resource-claim-template",
        "utility-volume-claim",
        "backend-storage",
    ];
    let of_machine = [
        "instance",
        "instancetype-revision",
        "preference-revision",
        "data-volume-template",
        "memory-dump-request",
        "volume-request-claim",
        "volume-request-data-volume",
        "migrated-volume-source",
        "migrated-volume-destination",
        "data-volume-source-claim",
        "data-volume-source-snapshot",
        "import-http-secret",
        "import-http-headers",
        "import-s3-secret",
        "import-gcs-secret",
        "import-registry-secret",
        "import-imageio-secret",
        "import-vddk-secret",
        "import-vddk-arguments",
        "data-volume-storage-class",
    ];
    let of_instance = ["launcher-pod", "volume-in-use", "migration-source-state", "migration-target-state"];
    for (file, object) in objects() {
        let found: Vec<&str> = edges(&object).iter().map(|edge| edge.rule.id).collect();
        let more: &[&str] = if object["kind"] == "VirtualMachine" { &of_machine } else { &of_instance };
        for id in of_spec.iter().chain(more) {
            assert!(found.contains(id), "{id} in {file}");
        }
        let keys: Vec<String> = wanted(&object).iter().map(ToString::to_string).collect();
        assert!(keys.contains(&"Secret/namespaceValue/secretNameValue".to_owned()), "{keys:?}");
        assert_eq!(home(&object), Home::Own("namespaceValue/nameValue".to_owned()));
        assert!(mask_secrets(&mut object.clone()) >= 8, "{file}");
    }
}

/// The recorded watch events: kind, and the object of the event.
fn events() -> Vec<(String, Value)> {
    let Some(path) = folder().map(|folder| folder.join("virt-controller-stream.jsonl.zst")) else { return Vec::new() };
    let bytes = zstd::decode_all(&*fs::read(&path).expect("the recorded stream can be read")).expect("zstd");
    let text = String::from_utf8(bytes).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines
        .map(|mut line| {
            let kind = line["e"]["type"].as_str().expect("an event has a type").to_owned();
            (kind, line["e"]["object"].take())
        })
        .filter(|(kind, _)| kind != "BOOKMARK")
        .collect()
}

#[test]
fn in_a_recorded_history_an_object_compares_as_changed_only_when_its_generation_changes() {
    let mut last: BTreeMap<String, (Value, Value, Value)> = BTreeMap::new();
    let mut unchanged = 0;
    for (_, object) in events() {
        // Only of these kinds is the generation a count of changes of the spec alone.
        if !matches!(object["kind"].as_str(), Some("VirtualMachine" | "DataVolume" | "ControllerRevision")) {
            continue;
        }
        let uid = object["metadata"]["uid"].as_str().expect("uid").to_owned();
        let generation = object["metadata"]["generation"].clone();
        let form = comparable(&object);
        // A revision appears in status after the machine was made, and is part of what a restore would write.
        let revisions = json!([object["status"]["instancetypeRef"], object["status"]["preferenceRef"]]);
        let labels = json!([object["metadata"]["labels"], object["metadata"]["annotations"], revisions]);
        if let Some((old_generation, old_labels, old_form)) = last.get(&uid)
            && *old_generation == generation
            && *old_labels == labels
        {
            assert_eq!(*old_form, form, "{} {}", object["kind"], object["metadata"]["name"]);
            unchanged += 1;
        }
        last.insert(uid, (generation, labels, form));
    }
    assert!(folder().is_none() || unchanged > 500, "{unchanged} pairs were compared");
}

#[test]
fn in_a_recorded_history_every_object_is_in_scope_and_all_but_shared_ones_tell_their_home() {
    let mut homeless: BTreeMap<String, usize> = BTreeMap::new();
    for (_, object) in events() {
        let name = key(&object).expect("key").to_string();
        assert!(in_scope(&object), "{name}");
        if home(&object) == Home::None {
            *homeless.entry(object["kind"].as_str().expect("kind").to_owned()).or_default() += 1;
        }
    }
    let shared = ["Secret", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim", "StorageClass", "Namespace"];
    for kind in homeless.keys() {
        assert!(
            shared.contains(&kind.as_str()) || kind.contains("nstancetype") || kind.contains("reference"),
            "{kind}"
        );
    }
}
