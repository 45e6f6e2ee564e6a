//! Which objects a restore is about: the roots; what they need follows from the graph.
//!
//! Does not: read an archive; it looks at a `World`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use vmrewind_model::ObjectKey;

use crate::{error::RestoreError, key_text, labels::LabelSelector};

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
