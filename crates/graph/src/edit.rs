//! Taking members away, and remembering which.
//!
//! Does not: decide what has to go.

use serde_json::{Map, Value};

use crate::{
    path,
    sanitise::{Applied, Rule},
    view,
};

/// An object that is being sanitised, and what was done to it.
pub(crate) struct Edit<'a> {
    pub(crate) object: &'a mut Value,
    pub(crate) applied: Vec<Applied>,
}

impl<'a> Edit<'a> {
    pub(crate) fn new(object: &'a mut Value) -> Self {
        Self { object, applied: Vec::new() }
    }

    pub(crate) fn note(&mut self, rule: &Rule, path: String) {
        self.applied.push(Applied { rule: rule.id, path, reason: rule.reason, source: rule.source });
    }

    /// Removes a member wherever `path` (which may hold `[]`) finds it.
    pub(crate) fn remove(&mut self, rule: &Rule, path: &str) {
        self.remove_if(rule, path, |_| true);
    }

    /// Removes a member wherever `path` finds it with a value that passes.
    pub(crate) fn remove_if(&mut self, rule: &Rule, path: &str, pass: impl Fn(&Value) -> bool) {
        let mut paths = Vec::new();
        path::each_mut(self.object, path, &mut |map, member, path| {
            if map.get(member).is_some_and(&pass) {
                map.remove(member);
                paths.push(path.to_owned());
            }
        });
        paths.into_iter().for_each(|path| self.note(rule, path));
    }

    /// Removes entries of a map by their key, wherever `path` finds a map, and the map once it is empty.
    pub(crate) fn remove_keys(&mut self, rule: &Rule, path: &str, drop: impl Fn(&str) -> bool) {
        let mut paths = Vec::new();
        path::each_mut(self.object, path, &mut |holder, member, path| {
            let Some(map) = holder.get_mut(member).and_then(Value::as_object_mut) else { return };
            let keys: Vec<String> = map.keys().filter(|key| drop(key)).cloned().collect();
            for key in keys {
                map.remove(&key);
                paths.push(path::keyed(path, &key));
            }
            remove_emptied(holder, member, !paths.is_empty());
        });
        paths.into_iter().for_each(|path| self.note(rule, path));
    }

    /// Removes items of a list, wherever `path` finds a list, and the list once it is empty. Paths tell the
    /// places that the items had.
    pub(crate) fn remove_items(&mut self, rule: &Rule, path: &str, drop: impl Fn(&Value) -> bool) {
        let mut paths = Vec::new();
        path::each_mut(self.object, path, &mut |holder, member, path| {
            let Some(list) = holder.get_mut(member).and_then(Value::as_array_mut) else { return };
            let gone = list.iter().enumerate().filter(|(_, item)| drop(item));
            paths.extend(gone.map(|(index, _)| format!("{path}[{index}]")));
            list.retain(|item| !drop(item));
            remove_emptied(holder, member, !paths.is_empty());
        });
        paths.into_iter().for_each(|path| self.note(rule, path));
    }

    /// Sets a member of an object that is there; nothing if the object is not.
    pub(crate) fn set(&mut self, rule: &Rule, parent: &str, member: &str, value: Value) {
        if let Some(map) = view::at_mut(self.object, parent).and_then(Value::as_object_mut) {
            map.insert(member.to_owned(), value);
            self.note(rule, path::join(parent, member));
        }
    }
}

fn remove_emptied(holder: &mut Map<String, Value>, member: &str, touched: bool) {
    let empty = match holder.get(member) {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        _ => false,
    };
    if touched && empty {
        holder.remove(member);
    }
}
