//! Which objects a restore is about: the roots; what they need follows from the graph.
//!
//! Does not: read an archive; it looks at a `World`.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use vmrewind_model::ObjectKey;

use crate::{error::RestoreError, key_text, labels::LabelSelector, world::World};

/// Which objects. The parts add up; `labels` narrows `namespaces` and `all`, and alone means all namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Selection {
    /// Objects by key. Each must exist at the instant.
    #[serde(with = "key_text::list")]
    pub roots: Vec<ObjectKey>,
    /// Objects whose labels match.
    pub labels: Option<LabelSelector>,
    /// Everything in these (captured) namespaces, and the Namespace objects themselves.
    pub namespaces: Vec<String>,
    /// Everything in the archive.
    pub all: bool,
    /// Nothing of these (captured) namespaces, whatever else says so.
    pub exclude_namespaces: Vec<String>,
    /// What comes along with the roots.
    pub with_deps: WithDeps,
}

impl Selection {
    /// Returns the roots: sorted, each once.
    ///
    /// # Errors
    /// [`RestoreError::NoSuchObject`] for a named root that does not exist, [`RestoreError::NothingSelected`] if there
    /// is none at all.
    pub(crate) fn roots(&self, world: &World) -> Result<Vec<ObjectKey>, RestoreError> {
        let mut roots = BTreeSet::new();
        for key in &self.roots {
            world.check_readable(key)?;
            if world.value(key).is_none() {
                return Err(RestoreError::NoSuchObject { key: Box::new(key.clone()) });
            }
            roots.insert(key.clone());
        }
        let everything = self.all || (self.labels.is_some() && self.namespaces.is_empty());
        let inside = |key: &ObjectKey| {
            let namespace = if key.is("", "Namespace") { &key.name } else { &key.namespace };
            everything || (!namespace.is_empty() && self.namespaces.contains(namespace))
        };
        for key in world.keys().filter(|key| inside(key) && !self.excludes(key)) {
            let matches = |labels: &LabelSelector| world.value(key).is_some_and(|object| labels.matches(object));
            if self.labels.as_ref().is_none_or(matches) {
                world.check_readable(key)?;
                roots.insert(key.clone());
            }
        }
        if roots.is_empty() { Err(RestoreError::NothingSelected) } else { Ok(roots.into_iter().collect()) }
    }

    /// Tells whether an object lies in an excluded namespace.
    pub(crate) fn excludes(&self, key: &ObjectKey) -> bool {
        let namespace = if key.is("", "Namespace") { &key.name } else { &key.namespace };
        self.exclude_namespaces.contains(namespace)
    }
}

/// What comes along with the roots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithDeps {
    /// Everything they need and own.
    #[default]
    All,
    /// Only what they own.
    Owned,
    /// Nothing.
    None,
}

impl FromStr for WithDeps {
    type Err = RestoreError;

    fn from_str(text: &str) -> Result<Self, RestoreError> {
        Ok(match text {
            "all" => Self::All,
            "owned" => Self::Owned,
            "none" => Self::None,
            _ => {
                return Err(RestoreError::invalid(
                    format!("{text:?} is no choice of dependencies"),
                    "Use all, owned or none.",
                ));
            }
        })
    }
}

impl fmt::Display for WithDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Owned => "owned",
            Self::None => "none",
        })
    }
}

impl From<WithDeps> for vmrewind_graph::Deps {
    fn from(deps: WithDeps) -> Self {
        match deps {
            WithDeps::All => Self::All,
            WithDeps::Owned => Self::Owned,
            WithDeps::None => Self::None,
        }
    }
}
