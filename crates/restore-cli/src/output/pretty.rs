//! JSON with line breaks and indentation, number tokens untouched.
//!
//! Does not: check the JSON; it comes from a serialiser or from the archive.

use serde::Serialize;

use crate::error::CliError;

/// Writes a value as indented JSON with a line break at the end. Raw values keep their number tokens.
///
/// # Errors
/// If the value has no form in JSON.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, CliError> {
    let compact = to_line(value)?;
    Ok(indent(&compact))
}

/// Writes a value as one line of JSON, without the line break.
///
/// # Errors
/// As [`to_json`].
pub(crate) fn to_line<T: Serialize>(value: &T) -> Result<String, CliError> {
    serde_json::to_string(value)
        .map_err(|error| CliError::bug(format!("an answer cannot be written as JSON: {error}.")))
}

fn indent(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut chars = compact.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::RawValue};

    use super::*;

    #[test]
    fn indents_as_serde_does() {
        let value = json!({"a": [1, {"b": "x,{}[]:\"\\"}], "e": {}, "f": [], "n": null});
        let expected = serde_json::to_string_pretty(&value).expect("JSON") + "\n";
        assert_eq!(to_json(&value).expect("JSON"), expected);
    }

    #[test]
    fn keeps_number_tokens_of_raw_values() {
        let raw = RawValue::from_string("[1.0,1e400,123456789012345678901234567890]".to_owned()).expect("JSON");
        let text = to_json(&raw).expect("JSON");
        assert_eq!(text, "[\n  1.0,\n  1e400,\n  123456789012345678901234567890\n]\n");
    }
}
