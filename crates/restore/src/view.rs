//! What was read of the target cluster: all that a plan depends on besides the archive.
//!
//! Does not: read it; see `observe`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::{
    json::{self, at},
    plan::IdentityField,
};

/// What was read of the target cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetView {
    /// Uid of its `kube-system` namespace.
    pub cluster: String,
    /// Version of its API server.
    pub server: String,
    /// Objects that were looked for. A key that is not in it was not looked for.
    pub objects: BTreeMap<ObjectKey, Seen>,
    /// Kinds that it serves.
    pub kinds: Vec<ServedKind>,
    /// Identities of all its machines.
    pub identities: Vec<IdentityInUse>,
    /// Whether `identities` is complete; otherwise, why not.
    pub identities_unread: Option<String>,
    /// Its nodes.
    pub nodes: Nodes,
}

/// What is known of the nodes of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// Nobody asked: nothing that is planned is tied to nodes.
    #[default]
    NotAsked,
    /// They could not be read, for this reason.
    Unread(String),
    /// They are these.
    Known(Vec<Node>),
}

/// What machines may ask of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Resources of which it has any to give.
    pub resources: BTreeSet<String>,
}

/// What came of looking for an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// It exists.
    Present(Value),
    /// It does not exist.
    Absent,
    /// It could not be read.
    Unreadable(String),
}

/// A kind that the target serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedKind {
    /// Group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Preferred version.
    pub preferred: String,
    /// All served versions.
    pub versions: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// An identity that a machine in the target has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityInUse {
    /// Which field.
    pub field: IdentityField,
    /// Its value, in normal form.
    pub value: String,
    /// Who has it.
    pub holder: ObjectKey,
}

impl Node {
    /// Reads it from the object of the target.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let members = |path: &str| at(object, path).and_then(Value::as_object).into_iter().flatten();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self {
            name: json::text(object, "metadata.name").to_owned(),
            labels: members("metadata.labels").map(|(name, value)| (name.clone(), text(value))).collect(),
            resources: members("status.allocatable")
                .filter(|(_, amount)| text(amount) != "0")
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }
}

impl TargetView {
    /// Returns the live object, if it was looked for and exists.
    #[must_use]
    pub fn live(&self, key: &ObjectKey) -> Option<&Value> {
        match self.objects.get(key) {
            Some(Seen::Present(object)) => Some(object),
            Some(Seen::Absent | Seen::Unreadable(_)) | None => None,
        }
    }

    /// Returns how a kind is served, if it is.
    #[must_use]
    pub fn served(&self, group: &str, kind: &str) -> Option<&ServedKind> {
        self.kinds.iter().find(|served| served.group == group && served.kind == kind)
    }
}
