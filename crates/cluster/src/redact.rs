//! The words of a server without the values it quotes, which may be secret.

/// Longest message that is passed on.
const MAX: usize = 600;

/// Takes values out of a message of the server: what stands after `value:` up to the end of the value, and what some
/// servers quote from the middle of a body they cannot parse.
pub(crate) fn redact(message: &str) -> String {
    // `json-iterator`, used by servers up to 1.22 and by some aggregated ones, quotes the surroundings of an error.
    let message = message.split(", error found in #").next().unwrap_or_default();
    let message = message.split(", bigger context").next().unwrap_or_default();
    let mut safe = String::with_capacity(message.len().min(MAX));
    let mut rest = message;
    while let Some(at) = rest.find("value: ") {
        let (before, value) = rest.split_at(at + "value: ".len());
        safe.push_str(before);
        safe.push('…');
        rest = &value[value_length(value)..];
    }
    safe.push_str(rest);
    match safe.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &safe[..end]),
        None => safe,
    }
}

/// Length of the value at the start of `text`, as `k8s.io/apimachinery/pkg/util/validation/field` prints it: strings
/// quoted as Go does, everything else in any form up to the last `: `, which begins the explanation.
fn value_length(text: &str) -> usize {
    if text.starts_with('"') {
        let mut escaped = false;
        for (at, c) in text.char_indices().skip(1) {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => return at + 1,
                _ => escaped = false,
            }
        }
        return text.len();
    }
    // Numbers, booleans and null are harmless to measure exactly; composite values end where the explanation begins.
    let plain = text.find(|c: char| !(c.is_ascii_alphanumeric() || ".-+".contains(c))).unwrap_or(text.len());
    if plain > 0 && text[plain..].starts_with(": ") { plain } else { text.rfind(": ").unwrap_or(text.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_quoted_and_composite_values_out_and_keeps_the_explanation() {
        for (message, expected) in [
            (r#"Invalid value: "pass: \"word\"": must be short"#, "Invalid value: …: must be short"),
            (
                r#"a: Invalid value: "x": no, b: Unsupported value: 7: no"#,
                "a: Invalid value: …: no, b: Unsupported value: …: no",
            ),
            (
                r#"Invalid value: map[string]interface {}{"a":"b: c"}: must be a string"#,
                "Invalid value: …: must be a string",
            ),
            (r#"Invalid value: "never ends"#, "Invalid value: …"),
            (
                r#"cannot be handled: expect }, error found in #10 byte of ...|{"k":"hunter2"|..."#,
                "cannot be handled: expect }",
            ),
            ("strict decoding error: unknown field \"spec.foo\"", "strict decoding error: unknown field \"spec.foo\""),
        ] {
            assert_eq!(redact(message), expected);
        }
    }

    #[test]
    fn cuts_long_messages_between_characters() {
        let cut = redact(&"ä".repeat(2000));
        assert_eq!(cut.chars().count(), MAX + 1);
    }
}
