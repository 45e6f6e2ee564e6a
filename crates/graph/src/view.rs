//! Reading untyped JSON: what is not there, or has another shape, reads as nothing.
//!
//! Does not: change anything, or know kinds.

use serde_json::Value;
use vmrewind_model::ObjectKey;

/// Follows a dotted path of members.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    path.split('.').try_fold(value, |value, member| value.get(member))
}

/// Follows a dotted path of members to something that can be changed.
pub(crate) fn at_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    if path.is_empty() {
        return Some(value);
    }
    path.split('.').try_fold(value, |value, member| value.get_mut(member))
}

/// Reads the text at a dotted path; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// Tells whether `true` stands at a dotted path.
pub(crate) fn is_true(value: &Value, path: &str) -> bool {
    at(value, path) == Some(&Value::Bool(true))
}

/// Reads the list at a dotted path; empty if there is none.
pub(crate) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Splits `group/version` and returns the group; empty for core.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

pub(crate) fn group_kind(object: &Value) -> (&str, &str) {
    (group_of(text(object, "apiVersion")), text(object, "kind"))
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "metadata.name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "metadata.namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "metadata.uid")
}

/// Reads the key of an object; none if it has no kind or no name.
///
/// This is the key under which the object is recorded, whatever else it looks like.
#[must_use]
pub fn key(object: &Value) -> Option<ObjectKey> {
    let (group, kind) = group_kind(object);
    let name = name(object);
    (!kind.is_empty() && !name.is_empty()).then(|| ObjectKey::new(group, kind, namespace(object), name))
}

fn texts<'a>(object: &'a Value, path: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let map = at(object, path).and_then(Value::as_object);
    map.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

pub(crate) fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    texts(object, "metadata.labels")
}

pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    at(object, "metadata.labels").and_then(|labels| labels.get(key)?.as_str()).unwrap_or_default()
}

pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    at(object, "metadata.annotations").and_then(|annotations| annotations.get(key)?.as_str()).unwrap_or_default()
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) controller: bool,
}

impl Owner<'_> {
    pub(crate) fn is(&self, kind: crate::names::GroupKind) -> bool {
        self.group == kind.group && self.kind == kind.kind
    }
}

pub(crate) fn owners(object: &Value) -> impl Iterator<Item = Owner<'_>> {
    list(object, "metadata.ownerReferences").iter().map(|owner| Owner {
        group: group_of(text(owner, "apiVersion")),
        kind: text(owner, "kind"),
        name: text(owner, "name"),
        uid: text(owner, "uid"),
        controller: is_true(owner, "controller"),
    })
}
