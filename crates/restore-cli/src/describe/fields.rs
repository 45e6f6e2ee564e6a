//! The fields in which two JSON values differ.
//!
//! Does not: judge which fields matter.

use serde_json::Value;

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldChange {
    /// Where: `spec.running`, `spec.template.spec.volumes[rootdisk].dataVolume.name`.
    pub(crate) path: String,
    /// The value before; none if there was none.
    pub(crate) before: Option<Value>,
    /// The value after; none if there is none.
    pub(crate) after: Option<Value>,
}

/// Returns the fields in which `after` differs from `before`, in the order of their names.
///
/// Elements of a list are matched by the member that names them where all have one, else by position.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut found);
    found
}

fn compare(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                compare(member(&path, name), before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            if let Some(id) = identity(&before.iter().chain(after)) {
                let name = |item: &Value| text(item.get(id)).to_owned();
                let mut names: Vec<String> = before.iter().chain(after).map(name).collect();
                let mut seen = std::collections::BTreeSet::new();
                names.retain(|name| seen.insert(name.clone()));
                let find = |list: &'_ [Value], wanted: &str| list.iter().position(|item| text(item.get(id)) == wanted);
                for name in &names {
                    let of = |list: &'_ [Value]| find(list, name);
                    let (b, a) = (of(before).map(|i| &before[i]), of(after).map(|i| &after[i]));
                    compare(format!("{path}[{name}]"), b, a, found);
                }
                return;
            }
            for index in 0..before.len().max(after.len()) {
                compare(format!("{path}[{index}]"), before.get(index), after.get(index), found);
            }
        }
        (before, after) => found.push(FieldChange { path, before: before.cloned(), after: after.cloned() }),
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn member(path: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    match (path.is_empty(), plain) {
        (true, _) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (false, false) => format!("{path}[{name}]"),
    }
}

/// Returns the member that names the elements: all have it as text, and in no list twice.
fn identity<'a>(items: &(impl Iterator<Item = &'a Value> + Clone)) -> Option<&'static str> {
    ["name", "type", "key", "uid"].into_iter().find(|id| {
        let mut any = false;
        let named = items.clone().all(|item| {
            any = true;
            !text(item.get(*id)).is_empty()
        });
        named && any
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(before: &Value, after: &Value) -> Vec<String> {
        changes(before, after).into_iter().map(|change| change.path).collect()
    }

    #[test]
    fn names_changed_added_and_removed_fields() {
        let (before, after) = (json!({"a": {"x": 1, "y": 2}}), json!({"a": {"x": 3, "z": 4}}));
        assert_eq!(paths(&before, &after), ["a.x", "a.y", "a.z"]);
        assert!(changes(&before, &before).is_empty());
    }

    #[test]
    fn matches_list_elements_by_name_where_they_have_one() {
        let before = json!({"volumes": [{"name": "root", "size": 1}, {"name": "data", "size": 1}]});
        let after = json!({"volumes": [{"name": "data", "size": 2}, {"name": "root", "size": 1}]});
        assert_eq!(paths(&before, &after), ["volumes[data].size"]);
        assert_eq!(paths(&json!({"l": [1, 2]}), &json!({"l": [1, 3, 4]})), ["l[1]", "l[2]"]);
    }

    #[test]
    fn brackets_stand_around_names_that_hold_dots() {
        let change = paths(&json!({"annotations": {}}), &json!({"annotations": {"a.b/c": "1"}}));
        assert_eq!(change, ["annotations[a.b/c]"]);
    }
}
