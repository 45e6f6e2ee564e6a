//! A small API server without sockets: every write ever, and what it says of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use vmrewind_model::{ObjectKey, RawObject, ResourceId, Rv};

use super::rig::{POD, SECRET, VM, key};
use crate::engine::{AsOf, Event};

pub(super) fn kind_of(id: &ResourceId) -> &'static str {
    match id.resource.as_str() {
        VM => "VirtualMachine",
        SECRET => "Secret",
        _ => "Pod",
    }
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) rv: u64,
    pub(super) key: ObjectKey,
    /// None: deleted.
    pub(super) body: Option<Value>,
    last: Value,
}

/// The API server: every write ever, and from when on it still knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) rv: u64,
    pub(super) writes: Vec<Write>,
    pub(super) live: BTreeMap<ObjectKey, Value>,
    pub(super) uids: u64,
    /// Watches cannot begin before this version.
    pub(super) window: u64,
    /// Exact reads cannot be made before this version.
    pub(super) compacted: u64,
    pub(super) denied: BTreeSet<&'static str>,
    /// Resources of which no single object may be read.
    pub(super) denied_gets: BTreeSet<&'static str>,
}

impl Server {
    #[allow(clippy::needless_pass_by_value, reason = "calls read better")]
    pub(super) fn put(&mut self, kind: &str, name: &str, spec: Value) -> u64 {
        self.rv += 1;
        let key = key(kind, name);
        let uid = match self.live.get(&key) {
            Some(old) => old["metadata"]["uid"].clone(),
            None => {
                self.uids += 1;
                json!(format!("u{}", self.uids))
            }
        };
        let api = if kind == "VirtualMachine" { "kubevirt.io/v1" } else { "v1" };
        let body = json!({"apiVersion": api, "kind": kind, "spec": spec, "metadata":
            {"namespace": "n", "name": name, "uid": uid, "resourceVersion": self.rv.to_string()}});
        self.live.insert(key.clone(), body.clone());
        self.writes.push(Write { rv: self.rv, key, body: Some(body.clone()), last: body });
        self.rv
    }

    pub(super) fn delete(&mut self, kind: &str, name: &str) -> bool {
        let key = key(kind, name);
        let Some(mut last) = self.live.remove(&key) else { return false };
        self.rv += 1;
        last["metadata"]["resourceVersion"] = json!(self.rv.to_string());
        self.writes.push(Write { rv: self.rv, key, body: None, last });
        true
    }

    pub(super) fn selected(id: &ResourceId, body: &Value) -> bool {
        id.resource != POD || body["spec"]["label"] == "yes"
    }

    pub(super) fn raw(body: &Value) -> RawObject {
        RawObject::from_server(body.to_string().as_bytes()).expect("canonical")
    }

    pub(super) fn as_of(&self, key: &ObjectKey, rv: Rv) -> AsOf {
        if rv.0 < self.compacted {
            return AsOf::Compacted;
        }
        match self.writes.iter().rev().find(|write| write.key == *key && write.rv <= rv.0).map(|write| &write.body) {
            Some(Some(body)) => AsOf::Found(Self::raw(body)),
            _ => AsOf::NotThere,
        }
    }

    /// The events after `from`, as a watch of the resource reports them.
    pub(super) fn events(&self, id: &ResourceId, from: u64) -> VecDeque<(u64, Event)> {
        let mut before: BTreeMap<ObjectKey, bool> = BTreeMap::new();
        let mut events = VecDeque::new();
        for write in self.writes.iter().filter(|write| write.key.kind == kind_of(id)) {
            let was = before.get(&write.key).copied().unwrap_or(false);
            let is = write.body.as_ref().is_some_and(|body| Self::selected(id, body));
            before.insert(write.key.clone(), is);
            if write.rv <= from {
                continue;
            }
            let raw = Self::raw(&write.last);
            match (was, is) {
                (false, true) => events.push_back((write.rv, Event::Added(raw))),
                (true, true) => events.push_back((write.rv, Event::Modified(raw))),
                (true, false) => events.push_back((write.rv, Event::Deleted(raw))),
                (false, false) => {}
            }
        }
        events
    }
}
