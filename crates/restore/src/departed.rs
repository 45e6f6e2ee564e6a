//! What a request needs, the state at its instant lacks, and the archive had before: when it went, and how to get it.
//!
//! Does not: read the archive; whoever has it looks for what [`lacking`] lists and tells the [`World`].

use std::collections::BTreeSet;

use vmrewind_graph::{NodePresence, Strength};
use vmrewind_model::{ObjectKey, Seq, Timestamp};

use crate::{error::RestoreError, options::PlanRequest, survey::Survey, world::World};

/// An object that was deleted before the instant of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Which object.
    pub key: ObjectKey,
    /// When it was deleted.
    pub t: Timestamp,
    /// The record of its deletion.
    pub record: Seq,
    /// The newest record at which it is there as it was used: before its deletion began.
    pub last: Seq,
}

/// What is known of everything that was deleted too early.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departures {
    /// Each object once.
    pub each: Vec<Departure>,
    /// A record at which all of them and everything that was asked for are there, if there is one.
    pub together: Option<Seq>,
}

/// Lists what the roots of a request do not work without and the state does not hold. What it holds without content
/// is not lacking.
///
/// # Errors
/// As [`crate::plan()`].
pub fn lacking(world: &World, request: &PlanRequest) -> Result<BTreeSet<ObjectKey>, RestoreError> {
    let survey = Survey::of(world, request)?;
    let gone = |key: &&ObjectKey| {
        let node = survey.whole.nodes.get(*key);
        node.is_some_and(|node| matches!(node.presence, NodePresence::Absent | NodePresence::Unknown))
    };
    let needed = survey.whole.edges.iter().filter(|edge| edge.strength == Strength::Hard).map(|edge| &edge.to);
    let claims = survey.uses.iter().map(|one| &one.claim);
    Ok(needed.chain(claims).filter(gone).cloned().collect())
}

impl Departure {
    /// Says when it went, for a message about it.
    pub(crate) fn told(&self) -> String {
        format!("it was deleted at {} (record {}), before this instant", self.t, self.record)
    }

    /// Returns the command that brings it back, into the namespace where it is wanted.
    pub(crate) fn command(&self, place: &ObjectKey) -> String {
        let Self { key, last, .. } = self;
        let kind = key.kind.to_lowercase();
        let word = if key.group.is_empty() { kind } else { format!("{kind}.{}", key.group) };
        let namespace = if key.namespace.is_empty() {
            " --cluster-scoped".to_owned()
        } else if key.namespace == place.namespace {
            format!(" -n {}", key.namespace)
        } else {
            format!(" -n {} --namespace-map {}={}", key.namespace, key.namespace, place.namespace)
        };
        format!("kubectl vmrewind restore {word}/{}{namespace} --at seq:{last}", key.name)
    }
}
