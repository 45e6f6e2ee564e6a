//! What the actors know of the cluster: the reflector stores that their watches fill.
//!
//! Does not: talk to the server. May be behind it, so that writes carry the resource version they were
//! decided on.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube_runtime::reflector::Store;
use serde_json::Value;

use super::json::{items, name, namespace, owned_by, text};
use super::kinds::Kind;
use super::object::Object;

/// The newest known state of every object, by kind.
#[derive(Clone)]
pub(crate) struct Stores {
    by_kind: Arc<BTreeMap<Kind, Store<Object>>>,
}

impl Stores {
    pub(super) fn new(by_kind: BTreeMap<Kind, Store<Object>>) -> Self {
        Self { by_kind: Arc::new(by_kind) }
    }

    /// Returns an object.
    pub(crate) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let found = self.by_kind.get(&kind)?.get(&kind.reference(namespace, name))?;
        Some(Arc::clone(found.whole()))
    }

    fn filter(&self, kind: Kind, wanted: impl Fn(&Value) -> bool) -> Vec<Arc<Value>> {
        let Some(store) = self.by_kind.get(&kind) else { return Vec::new() };
        let found = store.state_filter(|object| wanted(object.whole()));
        let mut found: Vec<_> = found.iter().map(|object| Arc::clone(object.whole())).collect();
        found.sort_by(|a, b| (namespace(a), name(a)).cmp(&(namespace(b), name(b))));
        found
    }

    /// Returns the objects of a kind in a namespace (all of them if it is empty), by name.
    pub(crate) fn list(&self, kind: Kind, within: &str) -> Vec<Arc<Value>> {
        self.filter(kind, |object| within.is_empty() || namespace(object) == within)
    }

    /// Returns the objects of a kind that name `owner` as their controller, by name.
    pub(crate) fn owned(&self, kind: Kind, owner: &Value) -> Vec<Arc<Value>> {
        let uid = text(owner, "/metadata/uid");
        self.filter(kind, |object| owned_by(object, uid))
    }

    /// Returns the pods of a namespace that mount a claim and have not ended, by name.
    pub(crate) fn pods_using(&self, within: &str, claim: &str) -> Vec<Arc<Value>> {
        let uses = |pod: &Value| {
            items(pod, "/spec/volumes").iter().any(|v| text(v, "/persistentVolumeClaim/claimName") == claim)
        };
        let ended = |pod: &Value| matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        self.filter(Kind::Pod, |pod| namespace(pod) == within && uses(pod) && !ended(pod))
    }
}
