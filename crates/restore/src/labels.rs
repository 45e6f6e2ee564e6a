//! Label selectors as kubectl writes them: `app=web,tier!=db,env in (a,b),!canary,has`.
//!
//! Does not: ask a server; it matches the labels of a captured object.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RestoreError;

/// A parsed label selector; its text form is what the user wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelSelector {
    text: String,
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl LabelSelector {
    /// Tells whether the labels of `object` (its `metadata.labels`) match.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key).and_then(Value::as_str);
            match &requirement.test {
                Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
            }
        })
    }
}

/// Splits at commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    let part = part.trim();
    let key_of = |text: &str| {
        let text = text.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!text.is_empty() && text.chars().all(fits)).then(|| text.to_owned())
    };
    let set_of = |text: &str| -> Option<Vec<String>> {
        let inside = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inside.split(',').map(|value| value.trim().to_owned()).collect())
    };
    if let Some((key, set)) = part
        .split_once(" notin ")
        .or_else(|| part.split_once(" notin(").map(|_| part.split_at(part.find('(').unwrap_or(0))))
    {
        let key = key.trim().trim_end_matches("notin");
        return Some(Requirement { key: key_of(key)?, test: Test::NotIn(set_of(set)?) });
    }
    if let Some((key, set)) =
        part.split_once(" in ").or_else(|| part.split_once(" in(").map(|_| part.split_at(part.find('(').unwrap_or(0))))
    {
        let key = key.trim().trim_end_matches(" in");
        return Some(Requirement { key: key_of(key)?, test: Test::In(set_of(set)?) });
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Requirement { key: key_of(key)?, test: Test::NotIn(vec![value.trim().to_owned()]) });
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement { key: key_of(key)?, test: Test::In(vec![value.trim().to_owned()]) });
    }
    if let Some(key) = part.strip_prefix('!') {
        return Some(Requirement { key: key_of(key)?, test: Test::Missing });
    }
    Some(Requirement { key: key_of(part)?, test: Test::Exists })
}

impl FromStr for LabelSelector {
    type Err = RestoreError;

    fn from_str(text: &str) -> Result<Self, RestoreError> {
        let requirements = split(text).into_iter().map(requirement).collect::<Option<Vec<_>>>().ok_or_else(|| {
            RestoreError::invalid(
                format!("{text:?} is no label selector"),
                "Write it as kubectl does: app=web,tier!=db,env in (a,b),!canary.",
            )
        })?;
        Ok(Self { text: text.to_owned(), requirements })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for LabelSelector {
    type Error = RestoreError;

    fn try_from(text: String) -> Result<Self, RestoreError> {
        text.parse()
    }
}

impl From<LabelSelector> for String {
    fn from(selector: LabelSelector) -> Self {
        selector.text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selects_as_kubectl_does() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "fe", "example.com/x": "1"}}});
        let cases = [
            ("app=web", true),
            ("app==web,tier!=db", true),
            ("app=db", false),
            ("tier in (fe, be)", true),
            ("tier in(be)", false),
            ("tier notin (be,db)", true),
            ("tier notin(fe)", false),
            ("canary notin (x)", true),
            ("app", true),
            ("!app", false),
            ("!canary,example.com/x=1", true),
            ("canary!=x", true),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<LabelSelector>().expect(text).matches(&object), expected, "{text}");
        }
    }

    #[test]
    fn refuses_texts_that_are_no_selector() {
        for text in ["", "=web", "app in web", "a b", "app=web,"] {
            assert!(text.parse::<LabelSelector>().is_err(), "{text:?}");
        }
    }
}
