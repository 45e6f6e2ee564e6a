//! From roots to everything they need, and from an object back to everything that needs it.
//!
//! Does not: know where objects come from; a [`World`] answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::{
    edges::{Edge, Pick, Relation, Strength, Target, edges},
    view,
};

mod graph;

pub use graph::{Graph, GraphEdge, Node, NodePresence};

/// What is known of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Presence<'a> {
    /// It exists, and this is it.
    Present(&'a Value),
    /// It is known not to exist.
    Absent,
    /// It exists, but its content was not recorded.
    Withheld,
    /// It was never looked for, or its kind is not recorded.
    Unknown,
}

/// The objects among which a graph is drawn: an archive at an instant, or a cluster.
pub trait World {
    /// Returns what is known of an object.
    fn get(&self, key: &ObjectKey) -> Presence<'_>;

    /// Returns the keys of all present objects that match a target ([`Target::matches`]), in any order.
    fn select(&self, target: &Target) -> Vec<ObjectKey>;
}

/// Which references are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deps {
    /// All.
    #[default]
    All,
    /// Those to children only.
    Owned,
    /// None: the roots stand alone.
    None,
}

/// Walks from the roots along all references that `deps` allows. What is missing is a node like any other, with
/// its presence. The result does not depend on the order in which the world answers.
#[must_use]
pub fn closure(world: &dyn World, roots: &[ObjectKey], deps: Deps) -> Graph {
    let mut graph = Graph { roots: roots.to_vec(), ..Graph::default() };
    graph.roots.sort();
    graph.roots.dedup();
    let mut found = BTreeSet::new();
    let mut queue: VecDeque<(ObjectKey, Strength)> =
        graph.roots.iter().map(|root| (root.clone(), Strength::Hard)).collect();
    while let Some((key, needed)) = queue.pop_front() {
        // A node that was reached along a soft reference is walked again if a hard way to it is found.
        match graph.nodes.get_mut(&key) {
            Some(node) if node.needed <= needed => continue,
            Some(node) => node.needed = needed,
            None => {
                let presence = NodePresence::of(world.get(&key));
                graph.nodes.insert(key.clone(), Node { presence, needed });
            }
        }
        let Presence::Present(object) = world.get(&key) else { continue };
        for edge in edges(object).into_iter().filter(|edge| follows(deps, edge)) {
            for to in targets(world, &edge, &mut graph.warnings) {
                queue.push_back((to.clone(), needed.max(edge.strength)));
                found.insert(GraphEdge::new(&key, to, &edge));
            }
        }
    }
    graph.edges = found.into_iter().collect();
    graph
}

/// Finds everything among `all` that needs an object, directly or over others. The edges lead from what needs
/// to what is needed, as in [`closure`]; the only root is the object asked for.
#[must_use]
pub fn reverse(world: &dyn World, all: &[ObjectKey], of: &ObjectKey) -> Graph {
    let mut graph = Graph { roots: vec![of.clone()], ..Graph::default() };
    let mut sources: BTreeMap<ObjectKey, BTreeSet<GraphEdge>> = BTreeMap::new();
    for key in all.iter().collect::<BTreeSet<_>>() {
        let Presence::Present(object) = world.get(key) else { continue };
        for edge in edges(object) {
            for to in targets(world, &edge, &mut BTreeSet::new()) {
                sources.entry(to.clone()).or_default().insert(GraphEdge::new(key, to, &edge));
            }
        }
    }
    let mut found = BTreeSet::new();
    let mut queue = VecDeque::from([of.clone()]);
    while let Some(key) = queue.pop_front() {
        if graph.nodes.contains_key(&key) {
            continue;
        }
        let presence = NodePresence::of(world.get(&key));
        graph.nodes.insert(key.clone(), Node { presence, needed: Strength::Hard });
        for edge in sources.get(&key).into_iter().flatten() {
            queue.push_back(edge.from.clone());
            found.insert(edge.clone());
        }
    }
    graph.edges = found.into_iter().collect();
    graph
}

fn follows(deps: Deps, edge: &Edge) -> bool {
    match deps {
        Deps::All => true,
        Deps::Owned => edge.rule.relation == Relation::Owns,
        Deps::None => false,
    }
}

/// Returns the keys that an edge leads to. Where nothing matches, what would have had to is the answer.
fn targets(world: &dyn World, edge: &Edge, warnings: &mut BTreeSet<String>) -> Vec<ObjectKey> {
    if let Target::Object(key) = &edge.target {
        return vec![key.clone()];
    }
    let mut keys = world.select(&edge.target);
    keys.sort();
    keys.dedup();
    if edge.rule.pick == Pick::NewestLive && keys.len() > 1 {
        keys = newest_live(world, &keys, edge, warnings);
    }
    if keys.is_empty() {
        keys.extend(edge.fallback.clone());
    }
    keys
}

fn newest_live(world: &dyn World, keys: &[ObjectKey], edge: &Edge, warnings: &mut BTreeSet<String>) -> Vec<ObjectKey> {
    let age = |key: &ObjectKey| match world.get(key) {
        Presence::Present(object) => {
            let live = view::at(object, "metadata.deletionTimestamp").is_none();
            (live, view::text(object, "metadata.creationTimestamp"))
        }
        Presence::Absent | Presence::Withheld | Presence::Unknown => (false, ""),
    };
    let newest = keys.iter().max_by_key(|key| (age(key), *key)).cloned();
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let chosen = newest.as_ref().map(ToString::to_string).unwrap_or_default();
    warnings.insert(format!("{}: several objects match: {}; taken: {chosen}.", edge.rule.id, names.join(", ")));
    newest.into_iter().collect()
}

#[cfg(test)]
mod tests;
