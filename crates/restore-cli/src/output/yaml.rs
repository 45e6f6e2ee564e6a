//! YAML as kubectl prints it: block style, long text in literal blocks, nothing folded.
//!
//! Does not: parse.

use serde::Serialize;

use crate::error::CliError;

/// Writes a value as YAML with a line break at the end.
///
/// # Errors
/// If the value has no form in YAML, which no JSON value lacks.
pub(crate) fn to_yaml<T: Serialize>(value: &T) -> Result<String, CliError> {
    let options = serde_saphyr::ser_options! {
        prefer_block_scalars: true,
        compact_list_indent: true,
        folded_wrap_chars: usize::MAX,
        min_fold_chars: usize::MAX,
    };
    let mut text = serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| CliError::bug(format!("an answer cannot be written as YAML: {error}")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
}
