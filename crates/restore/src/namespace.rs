//! Where a captured object goes: the key in the target.
//!
//! Does not: rewrite references inside objects; that is a mutation.

use std::collections::{BTreeMap, BTreeSet};

use vmrewind_model::ObjectKey;

use crate::options::Mutations;

/// Maps captured keys to target keys.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    namespaces: &'a BTreeMap<String, String>,
    storage_classes: &'a BTreeMap<String, String>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(mutations: &'a Mutations) -> Self {
        Self { namespaces: &mutations.namespace_map, storage_classes: &mutations.storage_class_map }
    }

    /// Returns the key in the target. Namespaces and storage classes are themselves mapped by name.
    pub(crate) fn of(&self, key: &ObjectKey) -> ObjectKey {
        let mapped = |map: &BTreeMap<String, String>, name: &String| map.get(name).unwrap_or(name).clone();
        let mut place = key.clone();
        place.namespace = mapped(self.namespaces, &key.namespace);
        if key.is("", "Namespace") {
            place.name = mapped(self.namespaces, &key.name);
        } else if key.is("storage.k8s.io", "StorageClass") {
            place.name = mapped(self.storage_classes, &key.name);
        }
        place
    }

    /// Returns the captured namespaces that become a target namespace, among those that are used.
    pub(crate) fn captured_namespaces(&self, target: &str, used: &BTreeSet<String>) -> Vec<String> {
        used.iter().filter(|captured| self.namespaces.get(*captured).unwrap_or(captured) == target).cloned().collect()
    }
}

/// Returns the key of a namespace.
pub(crate) fn namespace_key(name: &str) -> ObjectKey {
    ObjectKey::new("", "Namespace", "", name)
}
