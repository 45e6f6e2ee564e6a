//! Changes that a restore makes because of its target or of what the user chose.
//!
//! Each function changes one object and returns what it changed; where nothing had to be changed, nothing.
//!
//! Does not: choose values, or know which objects are restored together.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{names, path, template, view};

mod identity;
mod power;
mod quantity;
mod remap;
mod volumes;

pub use identity::{
    Identity, Interface, clear_firmware_uuid, clear_macs, clear_serial, fill_legacy_firmware_uuid, has_persistent_tpm,
    identity, legacy_firmware_uuid, set_firmware_uuid, set_mac, set_serial,
};
pub use power::{Power, halt, power, set_power, set_run_strategy};
pub use quantity::{Quantity, QuantityError};
pub use remap::{remap_namespaces, remap_storage_classes};
pub use volumes::{
    allow_claim_adoption, at_least, mark_populated, mark_prepopulated, set_snapshot_source, set_volume_name,
    unmark_populated, unmark_prepopulated,
};

/// One change of a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// Where, for example `spec.storageClassName`.
    pub path: String,
    /// What stood there; none if nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What stands there now; none if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// Removes the annotation with which `kubectl apply` remembers what it sent. Needed as soon as spec, labels or
/// annotations are changed: a later apply would compute a wrong difference from it.
pub fn drop_last_applied(object: &mut Value) -> Vec<Changed> {
    remove_annotation(object, names::LAST_APPLIED)
}

/// Sets the value at a dotted path, making the objects on the way.
pub(crate) fn set(object: &mut Value, at: &str, to: Value) -> Vec<Changed> {
    let (parent, member) = at.rsplit_once('.').unwrap_or(("", at));
    let Some(map) = make(object, parent) else { return Vec::new() };
    put(map, member, to, at.to_owned()).into_iter().collect()
}

/// Removes the value at a dotted path.
pub(crate) fn remove(object: &mut Value, at: &str) -> Vec<Changed> {
    let (parent, member) = at.rsplit_once('.').unwrap_or(("", at));
    let map = view::at_mut(object, parent).and_then(Value::as_object_mut);
    let from = map.and_then(|map| map.remove(member));
    from.map(|from| Changed { path: at.to_owned(), from: Some(from), to: None }).into_iter().collect()
}

pub(crate) fn annotate(object: &mut Value, key: &str, value: &str) -> Vec<Changed> {
    let Some(map) = make(object, "metadata.annotations") else { return Vec::new() };
    put(map, key, value.into(), path::keyed("metadata.annotations", key)).into_iter().collect()
}

pub(crate) fn remove_annotation(object: &mut Value, key: &str) -> Vec<Changed> {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return Vec::new() };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return Vec::new() };
    let Some(from) = annotations.remove(key) else { return Vec::new() };
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    vec![Changed { path: path::keyed("metadata.annotations", key), from: Some(from), to: None }]
}

pub(crate) fn put(map: &mut Map<String, Value>, member: &str, to: Value, path: String) -> Option<Changed> {
    if map.get(member) == Some(&to) {
        return None;
    }
    let from = map.insert(member.to_owned(), to.clone());
    Some(Changed { path, from, to: Some(to) })
}

/// Finds the object at a dotted path and makes it, and those on the way, where nothing is there. None if
/// something else is.
fn make<'a>(object: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut at = object.as_object_mut()?;
    for member in path.split('.').filter(|member| !member.is_empty()) {
        let next = at.entry(member).or_insert(Value::Null);
        if next.is_null() {
            *next = Value::Object(Map::new());
        }
        at = next.as_object_mut()?;
    }
    Some(at)
}

/// Returns the path of the instance's spec, for kinds that have one.
fn spec_path(object: &Value) -> Option<&'static str> {
    template::places(object).map(|places| places.spec)
}

#[cfg(test)]
mod tests;
