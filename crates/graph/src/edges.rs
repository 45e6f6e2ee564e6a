//! References between objects: what a row of the table is, and reading the rows off an object.
//!
//! The rows are in `rules/`, one file per kind of source.
//!
//! Does not: know whether a target exists, or follow it.

use serde::Serialize;
use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::{
    kinds::{Capture, kind_row},
    names::GroupKind,
    path, rules, view,
};

/// How much the source needs the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// A machine does not start, or starts wrong, without it.
    Hard,
    /// It is good to have, or only needed to make something anew.
    Soft,
}

/// Which of two related objects came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// The target is there for itself, and the source uses it.
    Needs,
    /// The target is a child that came into being because of the source.
    Owns,
}

/// In which namespace a named target lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamespaceRule {
    /// In that of the source.
    Same,
    /// In the one that the member `namespace` beside the name tells, else in that of the source.
    Member,
    /// `namespace/name` in one text; a bare name lies in the namespace of the source.
    Slash,
    /// In none.
    Cluster,
}

/// Which of several objects that match a target is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pick {
    /// All of them.
    All,
    /// The newest that is not being deleted.
    NewestLive,
}

/// How a rule finds its targets.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// The text at `path`, below the root of the source, is the target's name.
    Named {
        /// Dotted path, `[]` for every item of a list.
        path: &'static str,
        /// What is named.
        target: GroupKind,
        /// Where it lies.
        namespace: NamespaceRule,
    },
    /// A function tells.
    Code(fn(&Source<'_>, &mut Found<'_>)),
}

/// One row of the table: a place in some kinds of objects that refers to another object.
#[derive(Clone, Copy, Debug)]
pub struct EdgeRule {
    /// A stable name in kebab-case, for example `volume-secret`.
    pub id: &'static str,
    /// How much the source needs the target, unless the object says that it is optional.
    pub strength: Strength,
    /// Which came first.
    pub relation: Relation,
    /// How targets are found.
    pub find: Find,
    /// Which of several matching objects is meant.
    pub pick: Pick,
    /// The upstream file that says so.
    pub source: &'static str,
}

impl EdgeRule {
    /// Makes a row for a hard need that a text at a path names in the source's namespace.
    pub(crate) const fn named(id: &'static str, path: &'static str, target: GroupKind, source: &'static str) -> Self {
        let find = Find::Named { path, target, namespace: NamespaceRule::Same };
        Self { id, strength: Strength::Hard, relation: Relation::Needs, find, pick: Pick::All, source }
    }

    /// Makes a row for a hard need that a function tells.
    pub(crate) const fn code(id: &'static str, code: fn(&Source<'_>, &mut Found<'_>), source: &'static str) -> Self {
        let find = Find::Code(code);
        Self { id, strength: Strength::Hard, relation: Relation::Needs, find, pick: Pick::All, source }
    }

    pub(crate) const fn soft(self) -> Self {
        Self { strength: Strength::Soft, ..self }
    }

    pub(crate) const fn owns(self) -> Self {
        Self { relation: Relation::Owns, ..self }
    }

    pub(crate) const fn pick(self, pick: Pick) -> Self {
        Self { pick, ..self }
    }

    pub(crate) const fn within(self, rule: NamespaceRule) -> Self {
        match self.find {
            Find::Named { path, target, .. } => Self { find: Find::Named { path, target, namespace: rule }, ..self },
            Find::Code(_) => self,
        }
    }
}

/// Rows that hold for the same sources. Each source has the path (`[]` allowed) below which the rows look.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Kinds, each with the path of the root of the rows' paths; empty for the object itself.
    pub sources: &'static [(GroupKind, &'static str)],
    /// The rows.
    pub rules: &'static [EdgeRule],
}

/// What an edge leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The object of that name.
    Object(ObjectKey),
    /// Those that have an owner reference to the owner.
    Owned {
        /// Group of the targets.
        group: &'static str,
        /// Kind of the targets.
        kind: &'static str,
        /// Namespace of the targets.
        namespace: String,
        /// The owner's uid; never empty.
        owner_uid: String,
    },
    /// Those that carry a label with that value.
    Labelled {
        /// Group of the targets.
        group: &'static str,
        /// Kind of the targets.
        kind: &'static str,
        /// Namespace of the targets.
        namespace: String,
        /// The label's key.
        label: &'static str,
        /// Its value.
        value: String,
    },
    /// Those that carry an annotation with that value and have no controller: nobody else claims them.
    Annotated {
        /// Group of the targets.
        group: &'static str,
        /// Kind of the targets.
        kind: &'static str,
        /// Namespace of the targets.
        namespace: String,
        /// The annotation's key.
        annotation: &'static str,
        /// Its value.
        value: String,
    },
}

impl Target {
    /// Returns group, kind and namespace of the targets.
    #[must_use]
    pub fn place(&self) -> (&str, &str, &str) {
        match self {
            Self::Object(key) => (&key.group, &key.kind, &key.namespace),
            Self::Owned { group, kind, namespace, .. }
            | Self::Labelled { group, kind, namespace, .. }
            | Self::Annotated { group, kind, namespace, .. } => (group, kind, namespace),
        }
    }

    /// Tells whether an object is one of the targets: what an implementation of `World::select` asks of every
    /// object of the target's kind and namespace.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let (group, kind, namespace) = self.place();
        if view::group_kind(object) != (group, kind) || view::namespace(object) != namespace {
            return false;
        }
        match self {
            Self::Object(key) => view::name(object) == key.name,
            Self::Owned { owner_uid, .. } => view::owners(object).any(|owner| owner.uid == owner_uid),
            Self::Labelled { label, value, .. } => view::label(object, label) == value,
            Self::Annotated { annotation, value, .. } => {
                view::annotation(object, annotation) == value && !view::owners(object).any(|owner| owner.controller)
            }
        }
    }
}

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

/// Returns the references that can be told from the object alone, in the order of the table.
///
/// Never fails: what has another shape than expected yields no edge.
#[must_use]
pub fn edges(object: &Value) -> Vec<Edge> {
    let (group, kind) = view::group_kind(object);
    let mut edges = Vec::new();
    for table in rules::tables() {
        for &(source, root) in table.sources {
            if source.kind == kind && source.group == group {
                read_table(object, root, table.rules, &mut edges);
            }
        }
    }
    edges.retain(|edge| rules::applies(object, edge));
    edges
}

fn read_table(object: &Value, root_path: &str, rules: &'static [EdgeRule], edges: &mut Vec<Edge>) {
    let (namespace, name, uid) = (view::namespace(object), view::name(object), view::uid(object));
    path::each(object, root_path, &mut Vec::new(), &mut |root, _, indexes| {
        let root_path = path::filled(root_path, indexes);
        let source = Source { object, root, root_path: &root_path, namespace, name, uid };
        for rule in rules {
            match rule.find {
                Find::Code(code) => code(&source, &mut Found { rule, edges }),
                Find::Named { path, target, namespace } => read_named(&source, rule, path, target, namespace, edges),
            }
        }
    });
}

fn read_named(
    source: &Source<'_>,
    rule: &'static EdgeRule,
    path: &'static str,
    target: GroupKind,
    namespace: NamespaceRule,
    edges: &mut Vec<Edge>,
) {
    path::each(source.root, path, &mut Vec::new(), &mut |value, holder, indexes| {
        let Some(name) = value.as_str() else { return };
        let (namespace, name) = match namespace {
            NamespaceRule::Same => (source.namespace, name),
            NamespaceRule::Cluster => ("", name),
            NamespaceRule::Slash => name.split_once('/').unwrap_or((source.namespace, name)),
            NamespaceRule::Member => match view::text(holder, "namespace") {
                "" => (source.namespace, name),
                namespace => (namespace, name),
            },
        };
        let strength = if view::is_true(holder, "optional") { Strength::Soft } else { rule.strength };
        let path = path::join(source.root_path, &path::filled(path, indexes));
        Found { rule, edges }.object_if(path, target, namespace, name, strength);
    });
}

/// Returns the keys of by-name kinds that the object names, each once, in order: what has to be followed
/// because of it.
#[must_use]
pub fn wanted(object: &Value) -> Vec<ObjectKey> {
    let mut keys: Vec<ObjectKey> = edges(object)
        .into_iter()
        .filter_map(|edge| match edge.target {
            Target::Object(key) => Some(key),
            Target::Owned { .. } | Target::Labelled { .. } | Target::Annotated { .. } => None,
        })
        .filter(|key| kind_row(&key.group, &key.kind).is_some_and(|row| row.capture == Capture::ByName))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

#[cfg(test)]
pub(crate) mod tests;
