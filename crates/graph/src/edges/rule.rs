//! What a row of the table says.
//!
//! Does not: hold rows.

use serde::Serialize;

use super::{Found, Source};
use crate::names::GroupKind;

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
