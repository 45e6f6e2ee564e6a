//! YAML as kubectl prints it: block style, long text in literal blocks, nothing folded.
//!
//! Does not: parse.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

use crate::error::CliError;

/// Writes a value as YAML with a line break at the end.
///
/// # Errors
/// If the value has no form in YAML, which no JSON value lacks.
pub(crate) fn to_yaml<T: Serialize>(value: &T) -> Result<String, CliError> {
    let value = serde_json::to_value(value)
        .map_err(|error| CliError::bug(format!("an answer cannot be written as JSON: {error}")))?;
    let options = serde_saphyr::ser_options! {
        prefer_block_scalars: true,
        compact_list_indent: true,
        folded_wrap_chars: usize::MAX,
        min_fold_chars: usize::MAX,
    };
    let mut text = serde_saphyr::to_string_with_options(&Node(&value), options)
        .map_err(|error| CliError::bug(format!("an answer cannot be written as YAML: {error}")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Tells whether a character ends a line in some version of YAML, is not printable there, or turns the direction of text.
pub(crate) fn breaks(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Tells whether a text must be quoted although the writer would make a block of it: a block that begins with a tab is refused by
/// readers of YAML 1.1.
fn quoted(text: &str) -> bool {
    let first = text.split('\n').find(|line| !line.is_empty()).unwrap_or_default();
    text.contains(|c| breaks(c) && c != '\n' && c != '\t') || text.contains('\n') && first.starts_with(['\t', ' '])
}

/// A value whose texts are quoted where a block would not be read back.
struct Node<'a>(&'a Value);

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) if quoted(text) => serde_saphyr::DoubleQuoted(text.as_str()).serialize(serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Node)),
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, &Node(value))?;
                }
                map.end()
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn looks_like_the_output_of_kubectl() {
        let value = json!({"a": {"list": [{"name": "x", "count": 1}], "empty": {}, "none": []}, "script": "#!/bin/sh\necho hi\n", "t": "true"});
        insta::assert_snapshot!(to_yaml(&value).expect("yaml"), @r##"
        a:
          empty: {}
          list:
          - count: 1
            name: x
          none: []
        script: |
          #!/bin/sh
          echo hi
        t: "true"
        "##);
    }

    #[test]
    fn reading_it_back_gives_the_same_value() {
        let long = "word ".repeat(60);
        let texts = [
            "true",
            "no",
            "1e3",
            "0x1F",
            "~",
            "",
            " lead",
            "trail ",
            "a: b",
            "# c",
            "- d",
            "line\nbreak",
            "line\n",
            "\ttab",
            "%x",
            "@y",
            "`z",
            "\"q\"",
            "'s'",
            "\u{e9}",
            "2026-11-22T00:00:00Z",
            "00:16:3e",
            "\u{7}",
            "a\r\nb",
            "012",
            "*x",
            "&y",
            "!z",
            "null",
            long.trim(),
        ];
        for text in texts {
            let value = json!({"k": text, "l": [text]});
            let yaml = to_yaml(&value).expect("yaml");
            let back: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
            assert_eq!(back, value, "{yaml}");
        }
    }

    #[test]
    fn no_character_anywhere_in_a_text_makes_another_line_or_document() {
        let odd = (0..0xa1).chain(0x2000..0x2070).chain([0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1f600]);
        for c in odd.filter_map(char::from_u32) {
            for text in [format!("x{c}---{c}kind: Evil"), format!("{c}a\nb"), format!("a\n{c}b\n"), c.to_string()] {
                let value = json!({"k": text, "l": [text], text.clone(): {"m": [{"n": text}]}});
                let yaml = to_yaml(&value).expect("yaml");
                let back: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml:?}: {error}"));
                assert_eq!(back, value, "{yaml:?}");
                assert!(!yaml.contains(|c| breaks(c) && c != '\n' && c != '\t' && !bidi(c)), "{yaml:?}");
                assert!(!yaml.lines().any(|line| line.starts_with("---")), "{yaml:?}");
            }
        }
    }

    /// These end no line, and the writer leaves them as they are.
    fn bidi(c: char) -> bool {
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }

    #[test]
    fn a_text_whose_first_line_is_indented_is_no_block_without_an_indicator() {
        for text in ["\ta\nb", "\ta\n", "\t\n", "\techo\nall:\n", "\n\ta\n", "  a\nb\n"] {
            let yaml = to_yaml(&json!({"a": text})).expect("yaml");
            assert!(yaml.starts_with("a: \"") && yaml.lines().count() == 1, "{yaml:?}");
        }
        assert_eq!(to_yaml(&json!({"a": "all:\n\techo\n"})).expect("yaml"), "a: |\n  all:\n  \techo\n");
    }
}
