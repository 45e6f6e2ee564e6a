//! What the actors know of the cluster: the newest state of every object, as their watches told.
//!
//! Does not: talk to the server. May be behind it, so that writes carry the resource version they were
//! decided on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::json::{at, owned_by, text};
use super::kinds::{Key, Kind};

/// The newest known state of every object.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    // A lock rather than a channel: sixteen watches write what a few workers look up at random.
    objects: Mutex<BTreeMap<Key, Arc<Value>>>,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Value>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a state.
    pub(crate) fn put(&self, key: Key, object: Value) {
        self.lock().insert(key, Arc::new(object));
    }

    /// Forgets an object.
    pub(crate) fn remove(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Returns an object.
    pub(crate) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.lock().get(&Key::new(kind, namespace, name)).cloned()
    }

    /// Returns the objects of a kind in a namespace (all of them if it is empty), by name.
    pub(crate) fn list(&self, kind: Kind, namespace: &str) -> Vec<Arc<Value>> {
        let objects = self.lock();
        objects
            .range(Key { kind, namespace: namespace.to_owned(), name: String::new() }..)
            .take_while(|(key, _)| key.kind == kind && (namespace.is_empty() || key.namespace == namespace))
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Returns the objects of a kind that name `owner` as their controller.
    pub(crate) fn owned(&self, kind: Kind, owner: &Value) -> Vec<Arc<Value>> {
        let uid = text(owner, "/metadata/uid");
        let namespace = text(owner, "/metadata/namespace");
        self.list(kind, namespace).into_iter().filter(|object| owned_by(object, uid)).collect()
    }

    /// Returns the keys of all objects of the kinds.
    pub(crate) fn keys(&self, kinds: &[Kind]) -> Vec<Key> {
        self.lock().keys().filter(|key| kinds.contains(&key.kind)).cloned().collect()
    }

    /// Returns the pods of a namespace that mount a claim and have not ended.
    pub(crate) fn pods_using(&self, namespace: &str, claim: &str) -> Vec<Arc<Value>> {
        let uses = |pod: &Value| {
            at(pod, "/spec/volumes")
                .as_array()
                .is_some_and(|volumes| volumes.iter().any(|v| text(v, "/persistentVolumeClaim/claimName") == claim))
        };
        let ended = |pod: &Value| matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        self.list(Kind::Pod, namespace).into_iter().filter(|pod| uses(pod) && !ended(pod)).collect()
    }
}
