//! The words for a change, for one line of a timeline.
//!
//! Does not: tell everything: beyond a few fields it says how many more there are, and `diff` shows them.

use serde_json::Value;

use super::{FieldChange, changes};
use crate::mask::is_masked;

/// A change in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// What changed.
    pub(crate) words: String,
    /// Whether nothing changed that a user would restore or look for: bookkeeping and status only.
    pub(crate) minor: bool,
}

/// Fields named in one line before the rest is only counted.
const NAMED: usize = 3;

/// Longest text of one value in a line, in characters.
const VALUE_CHARS: usize = 40;

/// Members of `status` whose changes are events for people: they are told, and not folded away.
const TELLING: [&str; 5] = ["phase", "printableStatus", "nodeName", "ready", "readyToUse"];

/// Describes how an object changed. Both states come without noise and with secrets masked.
pub(crate) fn describe(before: &Value, after: &Value) -> Described {
    let all = changes(before, after);
    if all.is_empty() {
        return Described { words: "nothing that is shown".to_owned(), minor: true };
    }
    let (status, own): (Vec<_>, Vec<_>) = all.into_iter().partition(|change| {
        change.path == "status" || change.path.starts_with("status.") || change.path.starts_with("status[")
    });
    let mut words: Vec<String> = Vec::new();
    if own.iter().any(|change| change.path == "metadata.deletionTimestamp" && change.before.is_none()) {
        words.push("deletion begins".to_owned());
    }
    let fields = own.iter().filter(|change| !change.path.starts_with("metadata.deletion"));
    let mut told: Vec<String> = fields.clone().take(NAMED).map(sentence).collect();
    let untold = fields.count() - told.len();
    words.append(&mut told);
    if untold > 0 {
        words.push(format!("{untold} more"));
    }
    let minor = words.is_empty();
    let telling: Vec<String> = status.iter().filter_map(status_words).take(NAMED).collect();
    let events = !telling.is_empty();
    words.extend(telling);
    if words.is_empty() {
        words.push("status only".to_owned());
    }
    Described { words: words.join(", "), minor: minor && !events }
}

/// Returns the words for a change of the status that is an event, none for other ones.
fn status_words(change: &FieldChange) -> Option<String> {
    let short = change.path.strip_prefix("status.")?;
    let condition = short.strip_prefix("conditions[").and_then(|rest| rest.split_once(']'));
    if let Some((type_, rest)) = condition {
        let state = |value: &Option<Value>| match value {
            Some(Value::Object(condition)) => condition.get("status").map_or_else(String::new, shown),
            Some(other) => shown(other),
            None => "unset".to_owned(),
        };
        let changed = rest == ".status" || rest.is_empty();
        return changed.then(|| format!("{type_} {} -> {}", state(&change.before), state(&change.after)));
    }
    TELLING.contains(&short).then(|| sentence(&FieldChange { path: short.to_owned(), ..change.clone() }))
}

fn sentence(change: &FieldChange) -> String {
    let path = &change.path;
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if is_masked(before) || is_masked(after) => format!("{path} changed (masked)"),
        (Some(before), Some(after)) => format!("{path} {} -> {}", shown(before), shown(after)),
        (None, Some(after)) if is_masked(after) => format!("{path} added (masked)"),
        (None, Some(after)) => format!("{path} added: {}", shown(after)),
        (Some(_), None) => format!("{path} removed"),
        (None, None) => path.clone(),
    }
}

/// Writes a value in one short line.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.replace(char::is_control, " "),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Array(items) => format!("[{} items]", items.len()),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => format!("{{{}}}", members.keys().map(String::as_str).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    };
    if text.chars().count() <= VALUE_CHARS {
        return text;
    }
    text.chars().take(VALUE_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mask::Masker;

    fn words(before: &Value, after: &Value) -> String {
        describe(before, after).words
    }

    #[test]
    fn names_the_field_and_both_values() {
        let vm = |memory: &str| json!({"spec": {"template": {"spec": {"domain": {"memory": {"guest": memory}}}}}});
        assert_eq!(words(&vm("4Gi"), &vm("8Gi")), "spec.template.spec.domain.memory.guest 4Gi -> 8Gi");
        assert!(!describe(&vm("4Gi"), &vm("8Gi")).minor);
    }

    #[test]
    fn folds_bookkeeping_but_tells_phases_and_conditions() {
        let quiet = describe(&json!({"status": {"observed": 1}}), &json!({"status": {"observed": 2}}));
        assert_eq!(quiet, Described { words: "status only".to_owned(), minor: true });
        let phase = describe(&json!({"status": {"phase": "Pending"}}), &json!({"status": {"phase": "Running"}}));
        assert_eq!(phase, Described { words: "phase Pending -> Running".to_owned(), minor: false });
        let condition =
            |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status, "reason": "x"}]}});
        assert_eq!(words(&condition("False"), &condition("True")), "Ready False -> True");
        assert_eq!(words(&json!({"status": {"conditions": []}}), &condition("True")), "Ready unset -> True");
    }

    #[test]
    fn says_when_deletion_begins() {
        let after = json!({"metadata": {"deletionTimestamp": "2026-11-22T00:00:00Z", "deletionGracePeriodSeconds": 0}});
        assert_eq!(words(&json!({"metadata": {}}), &after), "deletion begins");
    }

    #[test]
    fn counts_what_it_does_not_name() {
        let after = json!({"spec": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}});
        assert_eq!(words(&json!({"spec": {}}), &after), "spec.a added: 1, spec.b added: 2, spec.c added: 3, 2 more");
    }

    #[test]
    fn never_shows_a_secret_value() {
        let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": value}});
        let mut masker = Masker::new(false);
        let (before, after) = (masker.comparable(&secret("aHVudGVyMg==")), masker.comparable(&secret("b3RoZXI=")));
        assert_eq!(words(&before, &after), "data.password changed (masked)");
    }

    #[test]
    fn long_values_are_cut() {
        let text = words(&json!({"a": "x"}), &json!({"a": "y".repeat(500)}));
        assert!(text.chars().count() < 60, "{text}");
    }
}
