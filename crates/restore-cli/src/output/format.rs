//! The values of `-o`.
//!
//! Does not: print.

use super::Template;

/// A form of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For people with a wide screen.
    Wide,
    /// One JSON document.
    Json,
    /// One JSON document per line.
    Jsonl,
    /// YAML.
    Yaml,
    /// `kind.group/name`, one per line.
    Name,
    /// A JSON path template, as kubectl's.
    JsonPath(Template),
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
}

impl Format {
    /// Returns the format of this name, or none.
    ///
    /// # Errors
    /// A sentence, if it is a JSON path with a mistake in it.
    fn named(text: &str) -> Result<Option<Self>, String> {
        if let Some(template) = text.strip_prefix("jsonpath=") {
            return template.parse().map(|template| Some(Self::JsonPath(template)));
        }
        Ok(Some(match text {
            "table" => Self::Table,
            "wide" => Self::Wide,
            "json" => Self::Json,
            "jsonl" => Self::Jsonl,
            "yaml" => Self::Yaml,
            "name" => Self::Name,
            "dot" => Self::Dot,
            "mermaid" => Self::Mermaid,
            _ => return Ok(None),
        }))
    }

    fn allowed_by(&self, allowed: &[&str]) -> bool {
        allowed.iter().any(|name| match self {
            Self::JsonPath(_) => name.starts_with("jsonpath"),
            other => Self::named(name).ok().flatten().as_ref() == Some(other),
        })
    }
}

/// Returns a parser of `-o` for a command that has these formats; `jsonpath=…` stands for itself.
pub(crate) fn choose(
    allowed: &'static [&'static str],
) -> impl Fn(&str) -> Result<Format, String> + Clone + Send + Sync {
    move |text| match Format::named(text)? {
        Some(format) if format.allowed_by(allowed) => Ok(format),
        _ => Err(format!("expected one of: {}", allowed.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_takes_its_own_formats_and_names_them_otherwise() {
        let parse = choose(&["table", "json", "jsonpath=…"]);
        assert_eq!(parse("json"), Ok(Format::Json));
        assert!(matches!(parse("jsonpath={.a}"), Ok(Format::JsonPath(_))));
        assert_eq!(parse("yaml"), Err("expected one of: table, json, jsonpath=…".to_owned()));
        assert!(choose(&["table"])("jsonpath={.a}").is_err());
        assert!(parse("jsonpath={.a").is_err());
    }
}
