//! Whether two states of an object mean the same.
//!
//! Does not: compare status, or what is in a disk.

use serde::Serialize;
use serde_json::Value;

use super::{metadata::is_null, sanitise};
use crate::{names, path, template, view};

/// Returns the form in which two states of an object are compared: sanitised, and without what servers and
/// controllers write by themselves. Equal forms mean "unchanged".
///
/// Besides what [`sanitise`] takes away (server metadata, owner references, finalizers of controllers, status,
/// bindings of claims, marks of importers) it leaves out:
/// - the version in `apiVersion`: one object is served under several;
/// - the annotation of `kubectl apply`, which repeats the object;
/// - CDI's own labels on claims, and its marks for adoption on DataVolumes;
/// - members that are null, and labels, annotations, finalizers and template metadata that are empty: clients
///   with typed objects write those, others do not.
///
/// It cannot know what a webhook fills in where nothing was: [`differences`], which sees both sides, does.
#[must_use]
pub fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    drop_nulls(&mut object);
    sanitise(&mut object);
    if let Some(version) = object.get_mut("apiVersion") {
        let group = version.as_str().and_then(|text| text.split_once('/')).map(|(group, _)| format!("{group}/*"));
        *version = group.unwrap_or_else(|| "*".to_owned()).into();
    }
    drop_keys(&mut object, "metadata.annotations", &|key| key == names::LAST_APPLIED);
    if template::is(&object, names::DATA_VOLUME) {
        drop_keys(&mut object, "metadata.annotations", &|key| {
            matches!(key, names::ALLOW_ADOPTION | "cdi.kubevirt.io/storage.usePopulator")
        });
    }
    if template::is(&object, names::CLAIM) {
        drop_cdi_labels(&mut object);
    }
    for member in ["labels", "annotations", "finalizers"] {
        drop_empty(&mut object, &format!("metadata.{member}"));
    }
    if let Some(places) = template::places(&object) {
        let disks = places.machine.map(|machine| format!("{machine}.dataVolumeTemplates[].metadata"));
        for metadata in places.metadata.iter().map(|path| (*path).to_owned()).chain(disks) {
            drop_empty(&mut object, &path::join(&metadata, "labels"));
            drop_empty(&mut object, &path::join(&metadata, "annotations"));
            drop_empty(&mut object, &metadata);
        }
        drop_empty(&mut object, &path::join(places.spec, "domain.resources"));
    }
    object
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !is_null(value));
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn drop_keys(object: &mut Value, path: &str, drop: &dyn Fn(&str) -> bool) {
    if let Some(map) = view::at_mut(object, path).and_then(Value::as_object_mut) {
        map.retain(|key, _| !drop(key));
    }
}

fn drop_empty(object: &mut Value, path: &str) {
    path::each_mut(object, path, &mut |map, member, _| {
        let empty = match &map[member] {
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if empty {
            map.remove(member);
        }
    });
}

fn drop_cdi_labels(claim: &mut Value) {
    let managed = view::label(claim, "app.kubernetes.io/managed-by") == "cdi-controller";
    let importer = view::label(claim, "app") == "containerized-data-importer";
    drop_keys(claim, "metadata.labels", &|key| {
        (managed && key.starts_with("app.kubernetes.io/"))
            || (importer && key == "app")
            || key == "alerts.k8s.io/KubePersistentVolumeFillingUp"
    });
}

/// One place where two states of an object differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where, for example `spec.template.spec.domain.memory.guest`.
    pub path: String,
    /// What the recorded object has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Value>,
    /// What the live object has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
}

/// Compares the comparable forms of a recorded and a live object, in the order of the paths. What a server is
/// known to fill in where the recorded object has nothing is no difference: uuid, serial, MAC addresses,
/// machine type and architecture of a machine, defaults of claims, classes, snapshots and accounts.
///
/// The values may be secret: mask both objects first if they are to be shown.
#[must_use]
pub fn differences(recorded: &Value, live: &Value) -> Vec<Difference> {
    let (recorded, live) = (comparable(recorded), comparable(live));
    let mut all = Vec::new();
    diff(String::new(), Some(&recorded), Some(&live), &mut all);
    all.retain(|difference| difference.recorded.is_some() || !is_filled_in(&recorded, &difference.path));
    all
}

fn diff(path: String, recorded: Option<&Value>, live: Option<&Value>, all: &mut Vec<Difference>) {
    match (recorded, live) {
        (Some(a), Some(b)) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
            keys.sort();
            for key in keys {
                let plain = !key.contains(['.', '[', '/']);
                let path = if plain { path::join(&path, key) } else { path::keyed(&path, key) };
                diff(path, a.get(key), b.get(key), all);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                diff(format!("{path}[{index}]"), a.get(index), b.get(index), all);
            }
        }
        (recorded, live) => all.push(Difference { path, recorded: recorded.cloned(), live: live.cloned() }),
    }
}

/// Below an instance's spec.
const FILLED_IN_SPEC: &[&str] = &[
    "domain.firmware",
    "domain.firmware.uuid",
    "domain.firmware.serial",
    "domain.machine",
    "domain.machine.type",
    "domain.devices.interfaces[].macAddress",
    "architecture",
];

/// Anywhere, by kind.
const FILLED_IN: &[(names::GroupKind, &[&str])] = &[
    (names::VM, &["spec.instancetype.kind", "spec.preference.kind"]),
    (names::CLAIM, &["spec.volumeMode", "spec.storageClassName"]),
    (names::VOLUME, &["spec.volumeMode"]),
    (names::STORAGE_CLASS, &["reclaimPolicy", "volumeBindingMode"]),
    (names::PRIORITY_CLASS, &["preemptionPolicy"]),
    (names::VOLUME_SNAPSHOT, &["spec.volumeSnapshotClassName"]),
    (names::SERVICE_ACCOUNT, &["secrets"]),
    (names::SECRET, &["type"]),
];

fn is_filled_in(object: &Value, path: &str) -> bool {
    let general = generalised(path);
    let by_kind = FILLED_IN.iter().find(|(kind, _)| template::is(object, *kind));
    let in_spec = template::places(object).and_then(|places| general.strip_prefix(places.spec)?.strip_prefix('.'));
    by_kind.is_some_and(|(_, paths)| paths.contains(&general.as_str()))
        || in_spec.is_some_and(|rest| FILLED_IN_SPEC.contains(&rest))
        || general.ends_with("metadata.annotations[\"kubevirt.io/pci-topology-version\"]")
}

/// Replaces the indexes in a path: `disks[3].name` becomes `disks[].name`.
fn generalised(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('[') {
        let digits = after.trim_start_matches(|c: char| c.is_ascii_digit());
        text.push_str(before);
        text.push('[');
        rest = if digits.starts_with(']') { digits } else { after };
    }
    text + rest
}
