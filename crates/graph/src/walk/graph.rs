//! The graph that a walk returns, and how it is written.
//!
//! Does not: draw.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use vmrewind_model::ObjectKey;

use super::Presence;
use crate::edges::{Edge, Relation, Strength};

/// What is known of a node, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum NodePresence {
    /// It exists.
    Present,
    /// It is known not to exist.
    Absent,
    /// It exists, but its content was not recorded.
    Withheld,
    /// It was never looked for, or its kind is not recorded.
    Unknown,
}

impl NodePresence {
    pub(super) fn of(presence: Presence<'_>) -> Self {
        match presence {
            Presence::Present(_) => Self::Present,
            Presence::Absent => Self::Absent,
            Presence::Withheld => Self::Withheld,
            Presence::Unknown => Self::Unknown,
        }
    }
}

/// An object in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What is known of it.
    pub presence: NodePresence,
    /// `Hard` if the roots do not work without it: there is a way to it of hard references only.
    pub needed: Strength,
}

/// A reference in a graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GraphEdge {
    /// The object that holds the reference.
    #[serde(serialize_with = "as_text")]
    pub from: ObjectKey,
    /// Where in it.
    pub path: String,
    /// The row of the table that found it.
    pub rule: &'static str,
    /// What it leads to.
    #[serde(serialize_with = "as_text")]
    pub to: ObjectKey,
    /// Which came first.
    pub relation: Relation,
    /// How much the one needs the other.
    pub strength: Strength,
    /// The upstream file that says so.
    pub source: &'static str,
}

impl GraphEdge {
    pub(super) fn new(from: &ObjectKey, to: ObjectKey, edge: &Edge) -> Self {
        Self {
            from: from.clone(),
            path: edge.path.clone(),
            rule: edge.rule.id,
            to,
            relation: edge.rule.relation,
            strength: edge.strength,
            source: edge.rule.source,
        }
    }
}

/// Objects and the references between them.
///
/// Written as `{roots: [key], nodes: [{key, group, kind, namespace, name, presence, needed}], edges: [{from,
/// path, rule, to, relation, strength, source}], warnings: [text]}` with keys in their text form; `namespace`
/// is left out where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// Where the walk began, sorted.
    pub roots: Vec<ObjectKey>,
    /// Every object met, the missing ones too.
    pub nodes: BTreeMap<ObjectKey, Node>,
    /// Every reference followed, sorted.
    pub edges: Vec<GraphEdge>,
    /// What was ambiguous, in sentences.
    pub warnings: BTreeSet<String>,
}

impl Graph {
    /// Returns the nodes that are not present, with the references that lead to them.
    pub fn missing(&self) -> impl Iterator<Item = (&ObjectKey, Node, Vec<&GraphEdge>)> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.presence != NodePresence::Present)
            .map(|(key, node)| (key, *node, self.edges.iter().filter(|edge| edge.to == *key).collect()))
    }

    /// Returns the references that an object holds.
    pub fn edges_from<'a>(&'a self, key: &'a ObjectKey) -> impl Iterator<Item = &'a GraphEdge> {
        self.edges.iter().filter(move |edge| edge.from == *key)
    }

    /// Returns the references that lead to an object.
    pub fn edges_to<'a>(&'a self, key: &'a ObjectKey) -> impl Iterator<Item = &'a GraphEdge> {
        self.edges.iter().filter(move |edge| edge.to == *key)
    }
}

fn as_text<S: Serializer>(key: &ObjectKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

#[derive(Serialize)]
struct WrittenNode<'a> {
    key: String,
    group: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    name: &'a str,
    presence: NodePresence,
    needed: Strength,
}

impl Serialize for Graph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let roots: Vec<String> = self.roots.iter().map(ToString::to_string).collect();
        let nodes: Vec<WrittenNode<'_>> = self
            .nodes
            .iter()
            .map(|(key, node)| WrittenNode {
                key: key.to_string(),
                group: &key.group,
                kind: &key.kind,
                namespace: &key.namespace,
                name: &key.name,
                presence: node.presence,
                needed: node.needed,
            })
            .collect();
        let mut graph = serializer.serialize_struct("Graph", 4)?;
        graph.serialize_field("roots", &roots)?;
        graph.serialize_field("nodes", &nodes)?;
        graph.serialize_field("edges", &self.edges)?;
        graph.serialize_field("warnings", &self.warnings)?;
        graph.end()
    }
}
