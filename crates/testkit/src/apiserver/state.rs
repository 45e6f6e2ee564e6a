//! Objects, and everything that ever happened to them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    faults::{Fault, Rule},
    types::FakeType,
};

/// Where an object is: type (group and plural), namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) group: String,
    pub(super) plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Place {
    pub(super) fn new(served: &FakeType, namespace: &str, name: &str) -> Self {
        Self {
            group: served.group.clone(),
            plural: served.plural.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn is_of(&self, served: &FakeType) -> bool {
        self.group == served.group && self.plural == served.plural
    }
}

/// One change: `after` is none for a deletion, and `last` is then the state that watchers are told.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub(super) revision: u64,
    pub(super) place: Place,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    pub(super) last: Value,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) types: Vec<FakeType>,
    pub(super) objects: BTreeMap<Place, Value>,
    pub(super) log: Vec<Logged>,
    pub(super) revision: u64,
    /// Reads at exact versions below this one are gone.
    pub(super) compacted: u64,
    /// Watches that start below this one are gone.
    pub(super) window: u64,
    pub(super) uids: u64,
    pub(super) rules: Vec<Rule>,
    pub(super) denied: BTreeSet<(String, String)>,
    pub(super) stale: Vec<String>,
    /// Counts the commands to cut all watches.
    pub(super) cuts: u64,
    /// Counts the commands to send a bookmark to all watches.
    pub(super) bookmarks: u64,
    /// Requests that arrived, as `verb plural`, oldest first.
    pub(super) requests: Vec<String>,
}

impl State {
    /// Returns the fault that this request is to suffer, and uses it up.
    pub(super) fn take_fault(&mut self, verb: &str, plural: &str) -> Option<Fault> {
        let rule = self.rules.iter_mut().find(|rule| rule.matches(verb, plural))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    /// Returns the objects of a type as they were at a revision.
    pub(super) fn as_of(&self, served: &FakeType, revision: u64) -> BTreeMap<Place, Value> {
        let mut objects = BTreeMap::new();
        for logged in self.log.iter().filter(|logged| logged.revision <= revision && logged.place.is_of(served)) {
            match &logged.after {
                Some(object) => objects.insert(logged.place.clone(), object.clone()),
                None => objects.remove(&logged.place),
            };
        }
        objects
    }

    /// Stores a new state and returns it with its version.
    pub(super) fn store(&mut self, place: Place, mut object: Value) -> Value {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let before = self.objects.insert(place.clone(), object.clone());
        self.log.push(Logged {
            revision: self.revision,
            place,
            before,
            after: Some(object.clone()),
            last: object.clone(),
        });
        object
    }

    /// Deletes an object and returns its last state, which has the version of the deletion.
    pub(super) fn remove(&mut self, place: &Place) -> Option<Value> {
        let before = self.objects.remove(place)?;
        self.revision += 1;
        let mut last = before.clone();
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.log.push(Logged {
            revision: self.revision,
            place: place.clone(),
            before: Some(before),
            after: None,
            last: last.clone(),
        });
        Some(last)
    }

    /// Makes the storage what it was at a revision: what came later never happened.
    pub(super) fn rewind(&mut self, revision: u64) {
        self.log.retain(|logged| logged.revision <= revision);
        self.revision = revision;
        self.objects.clear();
        for logged in &self.log {
            match &logged.after {
                Some(object) => self.objects.insert(logged.place.clone(), object.clone()),
                None => self.objects.remove(&logged.place),
            };
        }
        self.compacted = self.compacted.min(revision);
        // A restarted server has no events from before its start.
        self.window = revision;
        self.cuts += 1;
    }

    /// Returns an id that was not used before.
    pub(super) fn new_uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }
}
