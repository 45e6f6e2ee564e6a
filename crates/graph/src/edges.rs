//! References between objects: what a row of the table is, and reading the rows off an object.
//!
//! The rows are in `rules/`, one file per kind of source.
//!
//! Does not: know whether a target exists, or follow it.

use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::{
    kinds::{Capture, kind_row},
    names::GroupKind,
    path, rules, view,
};

mod rule;
mod target;
mod tree;

pub use rule::{EdgeRule, Find, NamespaceRule, Pick, Relation, Strength, Table};
pub use target::Target;

/// One reference that an object holds.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The row that found it.
    pub rule: &'static EdgeRule,
    /// Where in the source it stands, for example `spec.template.spec.volumes[0].secret.secretName`.
    pub path: String,
    /// How much the source needs the target; the object may say less than the row.
    pub strength: Strength,
    /// What it leads to.
    pub target: Target,
    /// The object that is missing if nothing matches a target that is not an object.
    pub fallback: Option<ObjectKey>,
}

/// The object whose references are read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub(crate) object: &'a Value,
    /// The value at the root of the table's paths.
    pub(crate) root: &'a Value,
    pub(crate) root_path: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
}

/// Takes the edges that a rule finds.
pub struct Found<'a> {
    rule: &'static EdgeRule,
    edges: &'a mut Vec<Edge>,
}

impl Found<'_> {
    /// Adds an edge to a named object; nothing for an empty name.
    pub(crate) fn object(&mut self, path: String, kind: GroupKind, namespace: &str, name: &str) {
        self.object_if(path, kind, namespace, name, self.rule.strength);
    }

    /// The same with another strength than the rule's.
    pub(crate) fn object_if(&mut self, path: String, kind: GroupKind, namespace: &str, name: &str, strength: Strength) {
        if !name.is_empty() {
            let target = Target::Object(ObjectKey::new(kind.group, kind.kind, namespace, name));
            self.push(path, target, strength, None);
        }
    }

    /// Adds an edge to the objects of a kind that have this owner.
    pub(crate) fn owned(&mut self, kind: GroupKind, namespace: &str, uid: &str) {
        if !uid.is_empty() {
            let (namespace, owner_uid) = (namespace.to_owned(), uid.to_owned());
            let target = Target::Owned { group: kind.group, kind: kind.kind, namespace, owner_uid };
            self.push("metadata.uid".to_owned(), target, self.rule.strength, None);
        }
    }

    pub(crate) fn push(&mut self, path: String, target: Target, strength: Strength, fallback: Option<ObjectKey>) {
        self.edges.push(Edge { rule: self.rule, path, strength, target, fallback });
    }
}

/// Returns the references that can be told from the object alone, in the order of the table; those of one row in
/// the order of the object.
///
/// Never fails: what has another shape than expected yields no edge.
#[must_use]
pub fn edges(object: &Value) -> Vec<Edge> {
    let (group, kind) = view::group_kind(object);
    let Some(rows) = tree::rows(group, kind) else { return Vec::new() };
    let source = Source {
        object,
        root: object,
        root_path: "",
        namespace: view::namespace(object),
        name: view::name(object),
        uid: view::uid(object),
    };
    let mut ordered = Vec::new();
    let mut edges = Vec::new();
    for &(order, root_path, rule) in &rows.code {
        read_code(&source, root_path, rule, &mut edges);
        ordered.extend(edges.drain(..).map(|edge| (order, edge)));
    }
    rows.tree.visit(object, object, &mut Vec::new(), &mut |named, name, holder, indexes| {
        read_named(&source, named, name, holder, indexes, &mut edges);
        ordered.extend(edges.drain(..).map(|edge| (named.order, edge)));
    });
    ordered.sort_by_key(|(order, _)| *order);
    edges.extend(ordered.into_iter().map(|(_, edge)| edge));
    rules::retain_those_that_apply(object, &mut edges);
    edges
}

fn read_code(source: &Source<'_>, root_path: &str, rule: &'static EdgeRule, edges: &mut Vec<Edge>) {
    let Find::Code(code) = rule.find else { return };
    path::each(source.object, root_path, &mut Vec::new(), &mut |root, indexes| {
        let root_path = path::filled(root_path, indexes);
        code(&Source { root, root_path: &root_path, ..*source }, &mut Found { rule, edges });
    });
}

fn read_named(
    source: &Source<'_>,
    named: &tree::Named,
    name: &str,
    holder: &Value,
    indexes: &[usize],
    edges: &mut Vec<Edge>,
) {
    let (namespace, name) = match named.namespace {
        NamespaceRule::Same => (source.namespace, name),
        NamespaceRule::Cluster => ("", name),
        NamespaceRule::Slash => name.split_once('/').unwrap_or((source.namespace, name)),
        NamespaceRule::Member => match view::text(holder, "namespace") {
            "" => (source.namespace, name),
            namespace => (namespace, name),
        },
    };
    let rule = named.rule;
    let strength = if view::is_true(holder, "optional") { Strength::Soft } else { rule.strength };
    let path = path::filled(&named.path, indexes);
    Found { rule, edges }.object_if(path, named.target, namespace, name, strength);
}

/// Returns the keys of by-name kinds that the object names, each once, in order: what has to be followed
/// because of it.
#[must_use]
pub fn wanted(object: &Value) -> Vec<ObjectKey> {
    wanted_by(&edges(object))
}

/// The same as [`wanted`] for who has the object's edges already.
#[must_use]
pub fn wanted_by(edges: &[Edge]) -> Vec<ObjectKey> {
    let mut keys: Vec<&ObjectKey> = edges
        .iter()
        .filter_map(|edge| match &edge.target {
            Target::Object(key) => Some(key),
            Target::Owned { .. } | Target::Labelled { .. } | Target::Annotated { .. } => None,
        })
        .filter(|key| kind_row(&key.group, &key.kind).is_some_and(|row| row.capture == Capture::ByName))
        .collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().cloned().collect()
}

#[cfg(test)]
pub(crate) mod tests;
