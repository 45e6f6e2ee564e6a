//! What a request is about, from the archive alone: roots, their closure, and what can be restored at all.
//!
//! Does not: know the target.

use std::collections::BTreeMap;

use vmrewind_graph::{self as graph, Deps, Graph, NodePresence, Strength, Verdict};
use vmrewind_model::ObjectKey;

use crate::{
    error::RestoreError,
    options::PlanRequest,
    select::WithDeps,
    volumes::{ClaimUse, uses},
    world::World,
};

/// What a request is about.
pub(crate) struct Survey {
    /// What was selected.
    pub(crate) graph: Graph,
    /// Everything that the roots need, selected or not.
    pub(crate) whole: Graph,
    /// Each object that exists in `graph`, exactly once.
    pub(crate) candidates: BTreeMap<ObjectKey, Candidate>,
    /// Volumes of the machines that are restored, and claims without a machine.
    pub(crate) uses: Vec<ClaimUse>,
}

/// What can be done with an object, as far as the archive tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// It can be restored.
    Restore,
    /// It never is, for this rule and reason.
    Skip {
        /// The rule.
        rule: String,
        /// The reason.
        reason: String,
    },
    /// Its content is withheld.
    Withheld,
}

impl Survey {
    /// Walks the archive.
    ///
    /// # Errors
    /// As [`crate::Selection`]; [`RestoreError::Unreadable`] if an object that is concerned cannot be parsed.
    pub(crate) fn of(world: &World, request: &PlanRequest) -> Result<Self, RestoreError> {
        let selection = &request.selection;
        let roots = selection.roots(world)?;
        let whole = graph::closure(world, &roots, Deps::All);
        let graph = match selection.with_deps {
            WithDeps::All => whole.clone(),
            narrower => graph::closure(world, &roots, narrower.into()),
        };
        let mut candidates = BTreeMap::new();
        for (key, node) in &graph.nodes {
            world.check_readable(key)?;
            let candidate = match node.presence {
                NodePresence::Absent | NodePresence::Unknown => continue,
                NodePresence::Withheld => Candidate::Withheld,
                NodePresence::Present => match world.value(key).map(graph::verdict) {
                    Some(Verdict::Restore) | None if selection.excludes(key) => Candidate::Skip {
                        rule: "excluded-namespace".to_owned(),
                        reason: "Its namespace is excluded.".to_owned(),
                    },
                    Some(Verdict::Restore) | None => Candidate::Restore,
                    Some(Verdict::Skip { rule, reason }) => Candidate::Skip { rule: rule.to_owned(), reason },
                },
            };
            candidates.insert(key.clone(), candidate);
        }
        let restored = |key: &ObjectKey| candidates.get(key) == Some(&Candidate::Restore);
        let uses = uses(world, &graph, &restored);
        Ok(Self { uses, graph, whole, candidates })
    }

    /// Tells whether the roots do not work without the object.
    pub(crate) fn is_needed(&self, key: &ObjectKey) -> bool {
        self.graph.roots.contains(key) || self.graph.nodes.get(key).is_some_and(|node| node.needed == Strength::Hard)
    }

    /// Tells whether the object is restored, as far as the archive tells.
    pub(crate) fn is_restored(&self, key: &ObjectKey) -> bool {
        self.candidates.get(key) == Some(&Candidate::Restore)
    }
}
