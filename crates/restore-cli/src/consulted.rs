//! What a walk over the graph has asked for: all that its answer depends on.
//!
//! Does not: walk.

use std::{cell::RefCell, collections::BTreeSet};

use vmrewind_graph::{Presence, Target, World};
use vmrewind_model::ObjectKey;

use crate::{
    certainty::{Touch, Touched},
    names::{TypeName, Types},
};

/// A world that remembers what it was asked.
pub(crate) struct Consulted<'a> {
    world: &'a dyn World,
    asked: RefCell<BTreeSet<Question>>,
}

/// Group, kind, namespace, and the name if the question was about one object.
type Question = (String, String, String, Option<String>);

impl<'a> Consulted<'a> {
    /// Remembers what `world` is asked.
    pub(crate) fn new(world: &'a dyn World) -> Self {
        Self { world, asked: RefCell::default() }
    }

    /// Returns what was asked.
    pub(crate) fn touched(&self, types: &Types) -> Touched {
        let touch = |(group, kind, namespace, name): &Question| {
            let fallback = || TypeName {
                group: group.clone(),
                kind: kind.clone(),
                plural: format!("{}s", kind.to_lowercase()),
                short: Vec::new(),
                namespaced: !namespace.is_empty(),
            };
            let type_ = types.of(group, kind).cloned().unwrap_or_else(fallback);
            Touch::new(&type_, Some(namespace), name.as_deref())
        };
        Touched::Some(self.asked.borrow().iter().map(touch).collect())
    }
}

impl World for Consulted<'_> {
    fn get(&self, key: &ObjectKey) -> Presence<'_> {
        let question = (key.group.clone(), key.kind.clone(), key.namespace.clone(), Some(key.name.clone()));
        self.asked.borrow_mut().insert(question);
        self.world.get(key)
    }

    fn select(&self, target: &Target) -> Vec<ObjectKey> {
        let (group, kind, namespace) = target.place();
        self.asked.borrow_mut().insert((group.to_owned(), kind.to_owned(), namespace.to_owned(), None));
        self.world.select(target)
    }
}
