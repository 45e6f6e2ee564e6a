//! Label and field selectors, as far as they are used here.

use serde_json::Value;

use super::{answer::Refusal, request::Asked};

/// Which objects a list or a watch is about.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    name: Option<String>,
}

#[derive(Clone, Debug)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selector {
    /// # Errors
    /// 400 for what is not understood.
    pub(super) fn read(asked: &Asked) -> Result<Self, Refusal> {
        let refuse = |text: &str| Refusal::new(400, format!("selector {text:?} is not supported"));
        let text = asked.parameter("labelSelector");
        let labels =
            split(text).iter().map(|part| requirement(part).ok_or_else(|| refuse(text))).collect::<Result<_, _>>()?;
        let fields = asked.parameter("fieldSelector");
        let name = match fields.split_once('=') {
            None if fields.is_empty() => None,
            Some(("metadata.name", name)) => Some(name.trim_start_matches('=').to_owned()),
            _ => return Err(refuse(fields)),
        };
        Ok(Self { labels, name })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |name: &str| object.pointer("/metadata/labels").and_then(|labels| labels.get(name)?.as_str());
        let one_of = |values: &[String], value: &str| values.iter().any(|wanted| wanted == value);
        self.name.as_deref().is_none_or(|name| object.pointer("/metadata/name").is_some_and(|given| given == name))
            && self.labels.iter().all(|requirement| match requirement {
                Requirement::In(name, values) => label(name).is_some_and(|value| one_of(values, value)),
                Requirement::NotIn(name, values) => !label(name).is_some_and(|value| one_of(values, value)),
                Requirement::Exists(name) => label(name).is_some(),
                Requirement::Missing(name) => label(name).is_none(),
            })
    }
}

/// Splits at commas that are not in parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn requirement(text: &str) -> Option<Requirement> {
    let values = |list: &str| -> Option<Vec<String>> {
        let list = list.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(list.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let word = |text: &str| (!text.is_empty() && !text.contains([' ', '(', ')', '='])).then(|| text.to_owned());
    if let Some((name, list)) = text.split_once(" notin ") {
        return Some(Requirement::NotIn(word(name.trim())?, values(list)?));
    }
    if let Some((name, list)) = text.split_once(" in ") {
        return Some(Requirement::In(word(name.trim())?, values(list)?));
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(word(name.trim())?, vec![value.trim().to_owned()]));
    }
    if let Some((name, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Some(Requirement::In(word(name.trim())?, vec![value.trim().to_owned()]));
    }
    if let Some(name) = text.strip_prefix('!') {
        return word(name.trim()).map(Requirement::Missing);
    }
    word(text).map(Requirement::Exists)
}
