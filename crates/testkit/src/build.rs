//! Builders of the objects that tests are about: `vm("web").running().with_secret("tls").json()`.
//!
//! A built object looks as the API server returns it: it lies in namespace `prod`, has the uid
//! `<kind>-<name>-uid` in lower case and resource version `1`. [`Build::to_post`] is the same as a client
//! would send it, for tests against a real server.
//!
//! Does not: know rules of the product, or check that what is built makes sense.

mod core;
mod group;
mod storage;
mod template;
mod virtual_machine;

use serde_json::{Map, Value, json};
use vmrewind_model::RawObject;

pub use self::{core::*, group::*, storage::*, virtual_machine::*};

/// The namespace of every built object that has one, until [`Build::namespace`] is called.
pub const NAMESPACE: &str = "prod";

/// An object that is being built. Every method returns it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Build(pub(crate) Value);

impl Build {
    /// Starts an object of a kind that lies in a namespace.
    #[must_use]
    pub fn namespaced(api_version: &str, kind: &str, name: &str) -> Self {
        Self::cluster(api_version, kind, name).namespace(NAMESPACE)
    }

    /// Starts an object of a kind that lies in no namespace.
    #[must_use]
    pub fn cluster(api_version: &str, kind: &str, name: &str) -> Self {
        let uid = format!("{}-{name}-uid", kind.to_lowercase());
        Self(json!({"apiVersion": api_version, "kind": kind, "metadata": {
            "name": name, "uid": uid, "resourceVersion": "1", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }}))
    }

    /// Goes on from an object that is there already.
    #[must_use]
    pub fn from_json(object: Value) -> Self {
        Self(object)
    }

    /// Sets the value at a dotted path, making the objects on the way. A number in the path is an index.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        *place(&mut self.0, path) = value.into();
        self
    }

    /// Appends to the list at a dotted path, making it where it is missing.
    #[must_use]
    pub fn push(mut self, path: &str, value: impl Into<Value>) -> Self {
        self.append(path, value.into());
        self
    }

    /// Removes the value at a dotted path, if there is one.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        let (parent, member) = path.rsplit_once('.').unwrap_or(("", path));
        if let Some(map) = place(&mut self.0, parent).as_object_mut() {
            map.remove(member);
        }
        self
    }

    /// Moves it to another namespace.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.set("metadata.namespace", namespace)
    }

    /// Makes it another incarnation.
    #[must_use]
    pub fn uid(self, uid: &str) -> Self {
        self.set("metadata.uid", uid)
    }

    /// Sets the resource version.
    #[must_use]
    pub fn rv(self, rv: u64) -> Self {
        self.set("metadata.resourceVersion", rv.to_string())
    }

    /// Sets the generation.
    #[must_use]
    pub fn generation(self, generation: u64) -> Self {
        self.set("metadata.generation", generation)
    }

    /// Sets when it was created, in RFC 3339.
    #[must_use]
    pub fn created_at(self, time: &str) -> Self {
        self.set("metadata.creationTimestamp", time)
    }

    /// Marks it as being deleted since `time`, in RFC 3339.
    #[must_use]
    pub fn deleting_since(self, time: &str) -> Self {
        self.set("metadata.deletionTimestamp", time).set("metadata.deletionGracePeriodSeconds", 0)
    }

    /// Adds a label.
    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.member("metadata.labels", key, value)
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(self, key: &str, value: &str) -> Self {
        self.member("metadata.annotations", key, value)
    }

    /// Adds a finalizer.
    #[must_use]
    pub fn finalizer(self, finalizer: &str) -> Self {
        self.push("metadata.finalizers", finalizer)
    }

    /// Adds an entry of `managedFields` that names `manager`.
    #[must_use]
    pub fn managed_by(self, manager: &str) -> Self {
        let entry = json!({"manager": manager, "operation": "Update", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}});
        self.push("metadata.managedFields", entry)
    }

    /// Adds an owner reference to another built object, which becomes its controller.
    #[must_use]
    pub fn owned_by(self, owner: &Self) -> Self {
        let reference = json!({"apiVersion": owner.0["apiVersion"], "kind": owner.0["kind"],
            "name": owner.0["metadata"]["name"], "uid": owner.0["metadata"]["uid"],
            "controller": true, "blockOwnerDeletion": true});
        self.push("metadata.ownerReferences", reference)
    }

    /// Sets the member `key` of the object at a dotted path; `key` may hold dots.
    #[must_use]
    pub fn member(mut self, path: &str, key: &str, value: impl Into<Value>) -> Self {
        let map = place(&mut self.0, path);
        if !map.is_object() {
            *map = Value::Object(Map::new());
        }
        map[key] = value.into();
        self
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Returns the object.
    #[must_use]
    pub fn json(self) -> Value {
        self.0
    }

    /// Returns the object as a client would create it: without what the server sets, and without status.
    #[must_use]
    pub fn to_post(&self) -> Value {
        let mut object = self.0.clone();
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for member in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
                metadata.remove(member);
            }
        }
        object
    }

    /// Returns the object as the server would send it.
    ///
    /// # Panics
    /// If what was built cannot be recorded, which is a mistake in the test.
    #[must_use]
    pub fn raw(&self) -> RawObject {
        RawObject::from_server(self.0.to_string().as_bytes()).expect("a built object is JSON that can be recorded")
    }

    fn append(&mut self, path: &str, value: Value) {
        let list = place(&mut self.0, path);
        match list {
            Value::Array(items) => items.push(value),
            _ => *list = Value::Array(vec![value]),
        }
    }
}

impl From<Build> for Value {
    fn from(build: Build) -> Self {
        build.0
    }
}

/// Finds the place of a dotted path, making the objects on the way; the empty path is the value itself.
fn place<'a>(value: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').filter(|segment| !segment.is_empty()).fold(value, |at, segment| match segment.parse::<usize>() {
        Ok(index) if at.is_array() => &mut at[index],
        _ => {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            &mut at[segment]
        }
    })
}

#[cfg(test)]
mod tests;
