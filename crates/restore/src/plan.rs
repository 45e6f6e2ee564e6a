//! The plan: a value and a file. What stands in it is what happens, nothing else.
//!
//! The JSON form is `spec/schemas/plan.schema.json`. It holds no content of any object.
//!
//! Does not: make plans (`planner`) or carry them out (`execute`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vmrewind_model::{Seq, Timestamp};

use crate::{options::PlanRequest, time_text};

mod file;
mod rows;
mod steps;

pub use rows::{DataSource, IdentityField, IdentityRow, Missing, Refusal, RefusalKind, VolumePlan, Warning};
pub use steps::{Action, AppliedRule, Check, Effect, LiveRef, Source, Step};

/// The `apiVersion` of plans and journals.
pub const API_VERSION: &str = "vmrewind.io/v1alpha1";

/// What a restore will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestorePlan {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `RestorePlan`.
    pub kind: String,
    /// Twelve hex digits derived from everything below but `created`, the warnings and what dry runs said: plans that do
    /// the same have equal ids.
    pub id: String,
    /// When it was made.
    #[serde(with = "time_text")]
    pub created: Timestamp,
    /// From what.
    pub archive: ArchiveRef,
    /// For what.
    pub target: TargetRef,
    /// What the user asked for.
    pub request: PlanRequest,
    /// Counts.
    pub summary: Summary,
    /// What happens, in this order. Each captured object that is concerned has exactly one step whose action is
    /// about the object itself ([`Action::of_object`]); further steps repair owners and power.
    pub steps: Vec<Step>,
    /// Per volume, where its data comes from.
    pub volumes: Vec<VolumePlan>,
    /// Identity fields of each machine, before and after.
    pub identities: Vec<IdentityRow>,
    /// What the user should know before saying yes.
    pub warnings: Vec<Warning>,
    /// What makes the plan impossible to execute, with a way out each.
    pub refusals: Vec<Refusal>,
    /// What something in the plan needs and the archive does not hold.
    pub missing: Vec<Missing>,
}

/// The archive that a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRef {
    /// Uuid of the archive.
    pub uuid: String,
    /// Uid of the cluster it captured.
    pub cluster: String,
    /// The state is the one after this record.
    pub seq: Seq,
    /// The instant asked for.
    #[serde(with = "time_text")]
    pub t: Timestamp,
}

/// The cluster that a plan is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRef {
    /// Uid of its `kube-system` namespace.
    pub cluster: String,
    /// Version of its API server.
    pub server: String,
}

/// Counts by action, plus volumes and refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Steps per action, by its text.
    pub actions: BTreeMap<String, usize>,
    /// Volumes per data source, by its text.
    pub volumes: BTreeMap<String, usize>,
    /// How many refusals.
    pub refusals: usize,
    /// How many warnings.
    pub warnings: usize,
}
