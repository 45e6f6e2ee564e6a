//! Hiding values that nobody should see.
//!
//! Does not: tell secrets by how they look; it knows the places where they are kept.

use serde_json::{Map, Value};

use crate::{names, view};

/// What stands in the place of a hidden value.
pub const MASK: &str = "(masked)";

/// Hides the values of Secrets, inline cloud-init and ignition, Windows answer files in ConfigMaps, copies of
/// applied objects, tokens of clones and exports, headers and passwords in import URLs. Returns how many values
/// were hidden. Keys stay, so that one sees what is there.
///
/// Objects inside objects are found too: lists, embedded machines of snapshots, data of revisions.
pub fn mask_secrets(object: &mut Value) -> usize {
    let mut hidden = 0;
    mask(object, false, &mut hidden);
    hidden
}

/// Masks a value; `in_export` tells that it is somewhere in an export, whose tokens open disks.
fn mask(value: &mut Value, in_export: bool, hidden: &mut usize) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|item| mask(item, in_export, hidden)),
        Value::Object(_) => mask_object(value, in_export, hidden),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn mask_object(value: &mut Value, in_export: bool, hidden: &mut usize) {
    let kind = view::text(value, "kind").to_owned();
    let in_export = in_export || view::group_kind(value).0 == names::VM_EXPORT.group;
    let Some(map) = value.as_object_mut() else { return };
    match kind.as_str() {
        // A kind named so by others is hidden as well: better one too many.
        "Secret" => hide_secret(map, hidden),
        // The items of a list need not repeat their kind.
        "SecretList" => {
            let items = map.get_mut("items").and_then(Value::as_array_mut);
            let items = items.into_iter().flatten().filter_map(Value::as_object_mut);
            items.for_each(|item| hide_secret(item, hidden));
        }
        "ConfigMap" => {
            for data in ["data", "binaryData"] {
                hide_members(map.get_mut(data), is_answer_file, hidden);
            }
        }
        _ => {}
    }
    for (key, value) in map.iter_mut() {
        match key.as_str() {
            "cloudInitNoCloud" | "cloudInitConfigDrive" => hide_members(Some(value), is_inline_data, hidden),
            "annotations" => hide_members(Some(value), is_secret_annotation, hidden),
            "extraHeaders" => hide_all(value, hidden),
            "token" if in_export => hide(value, hidden),
            "url" | "initImageURL" => hide_password(value, hidden),
            "env" => hide_environment(value, hidden),
            _ => {}
        }
        mask(value, in_export, hidden);
    }
}

fn hide_secret(secret: &mut Map<String, Value>, hidden: &mut usize) {
    hide_members(secret.get_mut("data"), |_| true, hidden);
    hide_members(secret.get_mut("stringData"), |_| true, hidden);
}

fn is_inline_data(key: &str) -> bool {
    matches!(key, "userData" | "userDataBase64" | "networkData" | "networkDataBase64")
}

fn is_answer_file(key: &str) -> bool {
    let key = key.to_lowercase();
    key == "unattend.xml" || key == "autounattend.xml"
}

fn is_secret_annotation(key: &str) -> bool {
    matches!(
        key,
        names::LAST_APPLIED
            | "kubevirt.io/ignitiondata"
            | "cdi.kubevirt.io/storage.clone.token"
            | "cdi.kubevirt.io/storage.extended.clone.token"
    )
}

fn hide(value: &mut Value, hidden: &mut usize) {
    if !value.is_null() && value != MASK {
        *value = MASK.into();
        *hidden += 1;
    }
}

fn hide_all(value: &mut Value, hidden: &mut usize) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|item| hide(item, hidden)),
        value => hide(value, hidden),
    }
}

/// Hides the members with such a key; what should be an object and is not is hidden whole.
fn hide_members(value: Option<&mut Value>, secret: impl Fn(&str) -> bool, hidden: &mut usize) {
    match value {
        Some(Value::Object(map)) => {
            map.iter_mut().filter(|(key, _)| secret(key)).for_each(|(_, value)| hide(value, hidden));
        }
        Some(value) => hide(value, hidden),
        None => {}
    }
}

/// Hides `user:password@` in a URL, and what follows its path: signed URLs carry their signature there.
fn hide_password(value: &mut Value, hidden: &mut usize) {
    let Some(text) = value.as_str() else { return };
    let Some((scheme, rest)) = text.split_once("://") else { return };
    let (place, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let user = if user.is_some() { format!("{MASK}@") } else { String::new() };
    let query = query.chars().next().filter(|_| query.len() > 1).map(|mark| format!("{mark}{MASK}"));
    let masked = format!("{scheme}://{user}{host}{path}{}", query.unwrap_or_default());
    if masked != text {
        *value = masked.into();
        *hidden += 1;
    }
}

/// A launcher pod may hold its whole instance in the environment.
fn hide_environment(value: &mut Value, hidden: &mut usize) {
    let entries = value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
    let is_instance = |entry: &Map<String, Value>| entry.get("name").is_some_and(|name| name == "STANDALONE_VMI");
    for entry in entries.filter(|entry| is_instance(entry)) {
        if let Some(value) = entry.get_mut("value") {
            hide(value, hidden);
        }
    }
}

#[cfg(test)]
mod tests;
