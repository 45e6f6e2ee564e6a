//! Identities: of an object by name, of a recorded object, and of a watched resource.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An object by its name: what users mean by "this VM". A re-created object has the same key.
///
/// The text form is `Kind.group/namespace/name`, without `.group` for the core group and without
/// `namespace/` for objects that have none: `Secret/prod/db-1-ci`, `StorageClass.storage.k8s.io/fast`.
/// The API version is not part of it: one object is served under several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The namespace, empty for objects that have none.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The kind, for example `VirtualMachine`.
    pub kind: String,
}

/// A text that is not an [`ObjectKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an object key: expected Kind.group/namespace/name or Kind.group/name")]
pub struct KeyParseError(pub String);

impl ObjectKey {
    /// Makes a key from its parts; `group` and `namespace` may be empty.
    #[must_use]
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned(), group: group.to_owned(), kind: kind.to_owned() }
    }

    /// Tells whether the key has this group and kind.
    #[must_use]
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}

impl FromStr for ObjectKey {
    type Err = KeyParseError;

    fn from_str(text: &str) -> Result<Self, KeyParseError> {
        let refuse = || KeyParseError(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let (type_, namespace, name) = match parts[..] {
            [type_, name] => (type_, "", name),
            [type_, namespace, name] if !namespace.is_empty() => (type_, namespace, name),
            _ => return Err(refuse()),
        };
        let (kind, group) = type_.split_once('.').unwrap_or((type_, ""));
        if kind.is_empty() || name.is_empty() || type_.ends_with('.') {
            return Err(refuse());
        }
        Ok(Self::new(group, kind, namespace, name))
    }
}

/// The key that stands in every record of an object: the object, which incarnation of it, and its home.
///
/// Written as the array `[home, namespace, name, group, kind, uid]`, which is also its sort order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(
    from = "(String, String, String, String, String, String)",
    into = "(String, String, String, String, String, String)"
)]
pub struct RecordKey {
    /// `namespace/name` of the root (a virtual machine, say) for which the object was first followed,
    /// so that a root and what it needs sort beside each other. May be empty. Never changes for a key.
    pub home: String,
    /// The object by name.
    pub object: ObjectKey,
    /// The incarnation of the object; empty where none exists (an absent object).
    pub uid: String,
}

impl From<(String, String, String, String, String, String)> for RecordKey {
    fn from((home, namespace, name, group, kind, uid): (String, String, String, String, String, String)) -> Self {
        Self { home, object: ObjectKey { namespace, name, group, kind }, uid }
    }
}

impl From<RecordKey> for (String, String, String, String, String, String) {
    fn from(RecordKey { home, object, uid }: RecordKey) -> Self {
        (home, object.namespace, object.name, object.group, object.kind, uid)
    }
}

/// A resource as it is listed and watched: all objects of a type, or those of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId {
    /// The API group, empty for the core group.
    pub group: String,
    /// The plural name, for example `virtualmachines`.
    pub resource: String,
    /// The namespace it is watched in; empty for all namespaces and for cluster-scoped types.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

impl ResourceId {
    /// Makes an id from its parts; `group` and `scope` may be empty.
    #[must_use]
    pub fn new(group: &str, resource: &str, scope: &str) -> Self {
        Self { group: group.to_owned(), resource: resource.to_owned(), scope: scope.to_owned() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.scope.is_empty() {
            write!(f, " in namespace {}", self.scope)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_keys_as_kind_dot_group_slash_namespace_slash_name() {
        let vm = ObjectKey::new("kubevirt.io", "VirtualMachine", "prod", "db-1");
        assert_eq!(vm.to_string(), "VirtualMachine.kubevirt.io/prod/db-1");
        assert_eq!(ObjectKey::new("", "Namespace", "", "prod").to_string(), "Namespace/prod");
    }

    #[test]
    fn refuses_texts_that_are_no_key() {
        for text in ["", "vm", "/a", "Kind/", "Kind//a", "a/b/c/d", ".group/a", "Kind./a"] {
            assert_eq!(text.parse::<ObjectKey>(), Err(KeyParseError(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn parsing_undoes_printing(
            group in "|[a-z][a-z0-9.]{0,8}[a-z]",
            kind in "[A-Z][A-Za-z]{0,9}",
            namespace in "|[a-z0-9-]{1,9}",
            name in "[a-z0-9.:-]{1,9}",
        ) {
            let key = ObjectKey::new(&group, &kind, &namespace, &name);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn writes_a_record_key_as_an_array_in_sort_order() {
        let key = RecordKey {
            home: "prod/db-1".into(),
            object: ObjectKey::new("", "Secret", "prod", "db-1-ci"),
            uid: "u".into(),
        };
        let text = serde_json::to_string(&key).expect("serialisable");
        assert_eq!(text, r#"["prod/db-1","prod","db-1-ci","","Secret","u"]"#);
        assert_eq!(serde_json::from_str::<RecordKey>(&text).expect("parsable"), key);
    }
}
