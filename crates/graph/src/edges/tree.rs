//! The table's paths as one tree per kind of source, so that an object is walked once for all rows: a VM has
//! seventy of them.
//!
//! Does not: hold anything that the table does not say.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::Value;

use super::{EdgeRule, Find, NamespaceRule};
use crate::{names::GroupKind, path, rules};

/// All rows for one kind.
#[derive(Default)]
pub(super) struct Rows {
    /// Rows that a function tells: place in the table, path of the root, row.
    pub(super) code: Vec<(usize, &'static str, &'static EdgeRule)>,
    pub(super) tree: Tree,
}

/// A place in an object, and the places below it.
#[derive(Default)]
pub(super) struct Tree {
    named: Vec<Named>,
    below: BTreeMap<&'static str, Member>,
}

#[derive(Default)]
struct Member {
    itself: Tree,
    items: Tree,
}

/// A row that a text names.
pub(super) struct Named {
    /// Its place in the table.
    pub(super) order: usize,
    pub(super) rule: &'static EdgeRule,
    /// From the object, not from the root of the row's table.
    pub(super) path: String,
    pub(super) target: GroupKind,
    pub(super) namespace: NamespaceRule,
}

/// What is done with a text that a row names: the row, the text, the object that holds it, and the place in each
/// list on the way.
type VisitName<'v, 'a> = &'v mut dyn FnMut(&Named, &'a str, &'a Value, &[usize]);

static ROWS: LazyLock<Vec<(GroupKind, Rows)>> = LazyLock::new(|| {
    let mut all: BTreeMap<GroupKind, Rows> = BTreeMap::new();
    let rules = rules::tables().iter().flat_map(|table| table.rules.iter().map(move |rule| (table, rule)));
    for (order, (table, rule)) in rules.enumerate() {
        for &(source, root) in table.sources {
            all.entry(source).or_default().add(order, root, rule);
        }
    }
    all.into_iter().collect()
});

/// Returns the rows for a kind; none if it refers to nothing.
pub(super) fn rows(group: &str, kind: &str) -> Option<&'static Rows> {
    ROWS.iter().find(|(known, _)| known.kind == kind && known.group == group).map(|(_, rows)| rows)
}

impl Rows {
    fn add(&mut self, order: usize, root: &'static str, rule: &'static EdgeRule) {
        match rule.find {
            Find::Code(_) => self.code.push((order, root, rule)),
            Find::Named { path, target, namespace } => {
                let segments = root.split('.').chain(path.split('.')).filter(|segment| !segment.is_empty());
                let place = segments.fold(&mut self.tree, |tree, segment| match segment.strip_suffix("[]") {
                    Some(list) => &mut tree.below.entry(list).or_default().items,
                    None => &mut tree.below.entry(segment).or_default().itself,
                });
                place.named.push(Named { order, rule, path: path::join(root, path), target, namespace });
            }
        }
    }
}

impl Tree {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.below.is_empty()
    }

    /// Calls `visit` for every text in `value` that a row names, with the object that holds it and the places
    /// in lists on the way.
    pub(super) fn visit<'a>(
        &self,
        value: &'a Value,
        holder: &'a Value,
        indexes: &mut Vec<usize>,
        visit: VisitName<'_, 'a>,
    ) {
        if let Some(text) = value.as_str() {
            self.named.iter().for_each(|named| visit(named, text, holder, indexes));
            return;
        }
        let Some(map) = value.as_object() else { return };
        // Objects are small where the tree is wide (a volume has one type of many), and the other way round.
        if map.len() < self.below.len() {
            for (key, next) in map {
                if let Some(member) = self.below.get(key.as_str()) {
                    member.visit(next, value, indexes, visit);
                }
            }
        } else {
            for (key, member) in &self.below {
                if let Some(next) = map.get(*key) {
                    member.visit(next, value, indexes, visit);
                }
            }
        }
    }
}

impl Member {
    fn visit<'a>(&self, value: &'a Value, holder: &'a Value, indexes: &mut Vec<usize>, visit: VisitName<'_, 'a>) {
        self.itself.visit(value, holder, indexes, visit);
        if self.items.is_empty() {
            return;
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            indexes.push(index);
            self.items.visit(item, holder, indexes, visit);
            indexes.pop();
        }
    }
}
