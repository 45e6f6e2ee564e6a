//! Looking into untyped objects, and making the parts of them that controllers write.
//!
//! Does not: fail. What is not there reads as empty.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

static NULL: Value = Value::Null;

/// Returns what is at a JSON pointer, or null.
pub(crate) fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&NULL)
}

/// Returns the text at a JSON pointer, or an empty one.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).as_str().unwrap_or_default()
}

/// Returns the items at a JSON pointer, or none.
pub(crate) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    at(object, pointer).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns `metadata.name`.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Returns `metadata.namespace`, or an empty text.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// Returns `metadata.uid`.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Returns an annotation, or an empty text.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    at(object, "/metadata/annotations").get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Tells whether an annotation is there, with whatever value.
pub(crate) fn annotated(object: &Value, key: &str) -> bool {
    at(object, "/metadata/annotations").get(key).is_some()
}

/// Returns a label, or an empty text.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    at(object, "/metadata/labels").get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Tells whether the object is being deleted.
pub(crate) fn deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Tells whether the object has a finalizer.
pub(crate) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    items(object, "/metadata/finalizers").iter().any(|f| f.as_str() == Some(finalizer))
}

/// Returns the owner reference of the managing controller, or null.
pub(crate) fn controller_of(object: &Value) -> &Value {
    items(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| at(owner, "/controller") == &Value::Bool(true))
        .unwrap_or(&NULL)
}

/// Tells whether the managing controller has this uid.
pub(crate) fn owned_by(object: &Value, owner_uid: &str) -> bool {
    !owner_uid.is_empty() && text(controller_of(object), "/uid") == owner_uid
}

/// Makes an owner reference as controllers write it.
pub(crate) fn owner_ref(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, "/apiVersion"), "kind": text(owner, "/kind"), "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Returns a condition by type, or null.
pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    items(object, "/status/conditions").iter().find(|c| text(c, "/type") == type_).unwrap_or(&NULL)
}

/// Makes a condition; `lastTransitionTime` stays as it was unless the status changes.
pub(crate) fn make_condition(was: &Value, now: &str, type_: &str, status: bool, reason: &str, message: &str) -> Value {
    let status = if status { "True" } else { "False" };
    let old = condition(was, type_);
    let since = if text(old, "/status") == status { text(old, "/lastTransitionTime") } else { now };
    let mut made = json!({"type": type_, "status": status, "lastTransitionTime": since});
    for (field, value) in [("reason", reason), ("message", message)] {
        if !value.is_empty() {
            made[field] = json!(value);
        }
    }
    made
}

/// Returns a short text of lower-case letters and digits that depends on the parts alone: the tail of generated names.
pub(crate) fn tail(parts: &[&str]) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut left = number(parts);
    let mut made = String::new();
    while made.len() < 5 {
        let next = usize::try_from(left % ALPHABET.len() as u64).unwrap_or_default();
        made.push(char::from(ALPHABET[next]));
        left /= ALPHABET.len() as u64;
    }
    made
}

/// Returns a number that depends on the parts alone.
pub(crate) fn number(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// Tells whether `want` is already so in `have`: objects are compared member by member, everything else must be equal.
pub(crate) fn holds(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::Object(have), Value::Object(want)) => want.iter().all(|(key, want)| match have.get(key) {
            Some(have) => holds(have, want),
            None => want.is_null(),
        }),
        _ => have == want,
    }
}
