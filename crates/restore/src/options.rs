//! What the user asked for, as data: it is stored in the plan, so that applying a plan file means the same.
//!
//! Does not: decide anything; see the planner for that.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{error::RestoreError, select::Selection};

/// Everything that shapes a plan besides the archive, the target and the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRequest {
    /// Which objects.
    pub selection: Selection,
    /// How they are changed on the way.
    #[serde(default)]
    pub mutations: Mutations,
    /// What to do where an object exists and differs.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// What to do where a machine that is to be replaced is running.
    #[serde(default)]
    pub running: RunningVm,
    /// Create namespaces that the target lacks, with the captured labels and annotations.
    #[serde(default)]
    pub create_namespace: bool,
    /// Create cluster-scoped objects (storage class, priority class, cluster instancetype …) that the target
    /// lacks. Those that exist are never changed.
    #[serde(default)]
    pub cluster_scoped: bool,
    /// Go on although something that a machine needs exists neither in the archive nor in the target.
    #[serde(default)]
    pub allow_missing: bool,
}

/// How objects are changed on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Mutations {
    /// Captured namespace to target namespace. A namespace that is not in it stays.
    pub namespace_map: BTreeMap<String, String>,
    /// Captured storage class to target storage class.
    pub storage_class_map: BTreeMap<String, String>,
    /// MAC addresses; the map's keys are `vm/interface`.
    pub mac: IdentityPolicy,
    /// SMBIOS serial; the map's keys are VM names.
    pub serial: IdentityPolicy,
    /// SMBIOS UUID; the map's keys are VM names.
    pub firmware_uuid: IdentityPolicy,
    /// Power state.
    pub run_strategy: RunStrategy,
    /// Where the data of volumes comes from.
    pub volumes: Volumes,
    /// Regenerated identities are derived from this text, the target object and the field.
    pub seed: String,
    /// Leave an annotation of ours on what is created.
    pub mark: bool,
}

/// What becomes of an identity field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IdentityPolicy {
    /// In place keeps, a copy (another namespace) regenerates.
    #[default]
    Auto,
    /// Stays as captured.
    Keep,
    /// Is removed, so that the platform fills in a new one.
    Clear,
    /// Gets a new value derived from seed, target and field.
    Regenerate,
    /// Gets the value given for it; those not named are treated as under [`Self::Auto`].
    Map(BTreeMap<String, String>),
}

impl FromStr for IdentityPolicy {
    type Err = RestoreError;

    fn from_str(text: &str) -> Result<Self, RestoreError> {
        Ok(match text {
            "auto" => Self::Auto,
            "keep" => Self::Keep,
            "clear" => Self::Clear,
            "regenerate" => Self::Regenerate,
            _ => {
                let pairs = text.strip_prefix("map:").ok_or_else(|| {
                    RestoreError::invalid(
                        format!("{text:?} is no identity policy"),
                        "Use auto, keep, clear, regenerate or map:NAME=VALUE[,NAME=VALUE].",
                    )
                })?;
                Self::Map(pairs_of(pairs)?)
            }
        })
    }
}

impl fmt::Display for IdentityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Keep => f.write_str("keep"),
            Self::Clear => f.write_str("clear"),
            Self::Regenerate => f.write_str("regenerate"),
            Self::Map(map) => write!(f, "map:{}", join(map)),
        }
    }
}

/// What becomes of the power state of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RunStrategy {
    /// As captured.
    #[default]
    Keep,
    /// This run strategy.
    Set(String),
}

/// The run strategies of KubeVirt (`kubevirt/kubevirt: staging/src/kubevirt.io/api/core/v1/types.go`).
const RUN_STRATEGIES: [&str; 5] = ["Always", "RerunOnFailure", "Manual", "Halted", "Once"];

impl FromStr for RunStrategy {
    type Err = RestoreError;

    fn from_str(text: &str) -> Result<Self, RestoreError> {
        if text.eq_ignore_ascii_case("keep") {
            return Ok(Self::Keep);
        }
        RUN_STRATEGIES
            .iter()
            .find(|known| known.eq_ignore_ascii_case(text))
            .map(|known| Self::Set((*known).to_owned()))
            .ok_or_else(|| {
                RestoreError::invalid(
                    format!("{text:?} is no run strategy"),
                    format!("Use keep, {}.", RUN_STRATEGIES.join(", ")),
                )
            })
    }
}

impl fmt::Display for RunStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Set(strategy) => f.write_str(strategy),
        }
    }
}

/// Where the data of a volume comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumePolicy {
    /// The live claim is used as it is; it must be bound to the captured volume.
    #[default]
    Keep,
    /// The persistent volume is still there (reclaim policy Retain) and is bound again.
    Rebind,
    /// CDI fetches the disk again from its source.
    Reimport,
    /// An empty disk.
    Blank,
}

impl FromStr for VolumePolicy {
    type Err = RestoreError;

    fn from_str(text: &str) -> Result<Self, RestoreError> {
        Ok(match text {
            "keep" => Self::Keep,
            "rebind" => Self::Rebind,
            "reimport" => Self::Reimport,
            "blank" => Self::Blank,
            _ => {
                return Err(RestoreError::invalid(
                    format!("{text:?} is no data source of a volume"),
                    "Use keep, rebind, reimport or blank.",
                ));
            }
        })
    }
}

impl fmt::Display for VolumePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "keep",
            Self::Rebind => "rebind",
            Self::Reimport => "reimport",
            Self::Blank => "blank",
        })
    }
}

/// The policy of all volumes, with exceptions.
///
/// Text form: `POLICY[,NAME=POLICY…]` or `NAME=POLICY[,…]`, where NAME is `VM/VOLUME` or the name of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Volumes {
    /// For volumes without an entry in `overrides`.
    pub default: VolumePolicy,
    /// `VM/VOLUME` or claim name to policy. An entry that names nothing in the plan is an error.
    pub overrides: BTreeMap<String, VolumePolicy>,
}

impl FromStr for Volumes {
    type Err = RestoreError;

    fn from_str(text: &str) -> Result<Self, RestoreError> {
        let mut volumes = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, policy)) => {
                    volumes.overrides.insert(name.to_owned(), policy.parse()?);
                }
                None => volumes.default = part.parse()?,
            }
        }
        Ok(volumes)
    }
}

impl fmt::Display for Volumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.default)?;
        self.overrides.iter().try_for_each(|(name, policy)| write!(f, ",{name}={policy}"))
    }
}

/// What to do where an object exists in the target and differs from what would be restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// Refuse the whole plan.
    #[default]
    Fail,
    /// Leave the object as it is and say so.
    Skip,
    /// Replace it, after the previous object was journaled.
    Replace,
}

/// What to do where a machine that is to be replaced is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunningVm {
    /// Refuse the plan.
    #[default]
    Refuse,
    /// Replace it while it runs; most changes take effect at its next restart.
    Live,
    /// Stop it first.
    Stop,
}

macro_rules! as_string {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = RestoreError;

            fn try_from(text: String) -> Result<Self, RestoreError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}
as_string!(IdentityPolicy, RunStrategy, Volumes);

/// Parses `a=b,c=d`, the form of every map flag.
///
/// # Errors
/// [`RestoreError::Invalid`] for a part without `=` or with an empty side.
pub(crate) fn pairs_of(text: &str) -> Result<BTreeMap<String, String>, RestoreError> {
    text.split(',')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(RestoreError::invalid(format!("{pair:?} is not NAME=VALUE"), "Write NAME=VALUE[,NAME=VALUE].")),
        })
        .collect()
}

fn join(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_survive_their_text_form() {
        for text in ["auto", "keep", "clear", "regenerate", "map:web/default=02:00:00:00:00:01"] {
            assert_eq!(text.parse::<IdentityPolicy>().expect("valid").to_string(), text);
        }
        let volumes: Volumes = "reimport,web/root=blank,data-1=rebind".parse().expect("valid");
        assert_eq!(volumes.default, VolumePolicy::Reimport);
        assert_eq!(volumes.overrides["web/root"], VolumePolicy::Blank);
        assert_eq!(volumes.to_string().parse::<Volumes>().expect("valid"), volumes);
        let only_one: Volumes = "web/root=blank".parse().expect("valid");
        assert_eq!(only_one.default, VolumePolicy::Keep);
    }

    #[test]
    fn a_run_strategy_is_found_whatever_its_case_and_an_unknown_one_gets_a_hint() {
        assert_eq!("halted".parse::<RunStrategy>().expect("valid"), RunStrategy::Set("Halted".into()));
        let error = "Sometimes".parse::<RunStrategy>().expect_err("unknown");
        assert!(error.hint().expect("a hint").contains("RerunOnFailure"));
    }

    #[test]
    fn a_map_without_a_value_is_refused() {
        assert!("map:web/default".parse::<IdentityPolicy>().is_err());
        assert!("web/root=tape".parse::<Volumes>().is_err());
    }
}
