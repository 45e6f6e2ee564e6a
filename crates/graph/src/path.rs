//! Dotted paths with `[]` for "every item": `volumes[].secret.secretName`.
//!
//! Does not: understand anything else of JSONPath.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Calls `visit` for every value at `path`, with its place in each list on the way.
pub(crate) fn each<'a>(
    value: &'a Value,
    path: &str,
    indexes: &mut Vec<usize>,
    visit: &mut dyn FnMut(&'a Value, &[usize]),
) {
    if path.is_empty() {
        visit(value, indexes);
        return;
    }
    let (segment, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(member) = segment.strip_suffix("[]") else {
        if let Some(next) = value.get(segment) {
            each(next, rest, indexes, visit);
        }
        return;
    };
    for (index, item) in value.get(member).and_then(Value::as_array).into_iter().flatten().enumerate() {
        indexes.push(index);
        each(item, rest, indexes, visit);
        indexes.pop();
    }
}

/// What is done with a member that was found: the object that has it, its name, and its path.
type VisitMember<'a> = &'a mut dyn FnMut(&mut Map<String, Value>, &str, &str);

/// Calls `visit` for every object that has the last member of `path`.
pub(crate) fn each_mut(value: &mut Value, path: &str, visit: VisitMember<'_>) {
    let (parent, member) = path.rsplit_once('.').unwrap_or(("", path));
    step_mut(value, parent, "", &mut |at, parent| {
        let Some(map) = at.as_object_mut() else { return };
        if map.contains_key(member) {
            visit(map, member, &join(parent, member));
        }
    });
}

fn step_mut(value: &mut Value, path: &str, walked: &str, visit: &mut dyn FnMut(&mut Value, &str)) {
    if path.is_empty() {
        visit(value, walked);
        return;
    }
    let (segment, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(member) = segment.strip_suffix("[]") else {
        if let Some(next) = value.get_mut(segment) {
            step_mut(next, rest, &join(walked, segment), visit);
        }
        return;
    };
    for (index, item) in value.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        step_mut(item, rest, &format!("{}[{index}]", join(walked, member)), visit);
    }
}

/// Joins two paths, of which either may be empty.
pub(crate) fn join(path: &str, member: &str) -> String {
    match (path.is_empty(), member.is_empty()) {
        (true, _) => member.to_owned(),
        (_, true) => path.to_owned(),
        _ => format!("{path}.{member}"),
    }
}

/// Writes the `indexes` into the `[]` of a path.
pub(crate) fn filled(path: &str, indexes: &[usize]) -> String {
    let mut text = String::with_capacity(path.len() + 4);
    let mut parts = path.split("[]");
    text.push_str(parts.next().unwrap_or_default());
    for (part, index) in parts.zip(indexes) {
        write!(text, "[{index}]{part}").expect("writing to a string cannot fail");
    }
    text
}

/// Names a member of a map whose keys may hold dots: `metadata.labels["a.b/c"]`.
pub(crate) fn keyed(path: &str, key: &str) -> String {
    format!("{path}[\"{key}\"]")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(value: &Value, path: &str) -> Vec<(String, String)> {
        let mut all = Vec::new();
        each(value, path, &mut Vec::new(), &mut |value, indexes| {
            all.push((filled(path, indexes), value.to_string()));
        });
        all
    }

    #[test]
    fn finds_every_item_of_nested_lists_and_says_where() {
        let value = json!({"a": [{"b": [{"c": 1}, {"c": 2}]}, {"b": 3}, {"b": [{"c": 4}, 5]}]});
        let expected = [("a[0].b[0].c", "1"), ("a[0].b[1].c", "2"), ("a[2].b[0].c", "4")];
        let expected: Vec<_> = expected.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
        assert_eq!(found(&value, "a[].b[].c"), expected);
    }

    #[test]
    fn finds_lists_of_texts_and_the_whole_value() {
        assert_eq!(found(&json!({"a": ["x"]}), "a[]"), [("a[0]".to_owned(), "\"x\"".to_owned())]);
        assert_eq!(found(&json!(7), ""), [(String::new(), "7".to_owned())]);
        assert_eq!(found(&json!({"a": {"b": 1}}), "a[].b"), []);
    }

    #[test]
    fn changes_what_it_finds_and_says_where() {
        let mut value = json!({"a": [{"n": "x"}, {"m": "x"}, {"n": "y"}]});
        let mut paths = Vec::new();
        each_mut(&mut value, "a[].n", &mut |map, member, path| {
            paths.push(path.to_owned());
            map[member] = "z".into();
        });
        assert_eq!(value, json!({"a": [{"n": "z"}, {"m": "x"}, {"n": "z"}]}));
        assert_eq!(paths, ["a[0].n", "a[2].n"]);
    }
}
