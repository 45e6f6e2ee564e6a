//! kubectl's JSON path templates: text, `{.path}`, `{range .path}…{end}`, `{"\n"}`.
//!
//! Does not: know all of kubectl's dialect; a path inside braces is RFC 9535 without the leading `$`,
//! and `\.` in a member name stands for a dot, as in kubectl.

use std::str::FromStr;

use jsonpath_rust::JsonPath as _;
use serde_json::Value;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Path(String),
    Range(String, Vec<Piece>),
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let pieces = parse_pieces(&mut rest, false)?;
        Ok(Self { pieces })
    }
}

/// Parses up to the end of the text, or up to `{end}` inside a range.
fn parse_pieces(rest: &mut &str, in_range: bool) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    loop {
        let Some(open) = rest.find('{') else {
            if in_range {
                return Err("a {range …} is not closed by {end}".to_owned());
            }
            if !rest.is_empty() {
                pieces.push(Piece::Text(std::mem::take(rest).to_owned()));
            }
            return Ok(pieces);
        };
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        let after = &rest[open + 1..];
        let close = closing_brace(after).ok_or_else(|| "a { is not closed by }".to_owned())?;
        let inside = after[..close].trim();
        *rest = &after[close + 1..];
        if inside == "end" {
            return if in_range { Ok(pieces) } else { Err("an {end} without a {range …}".to_owned()) };
        }
        if let Some(path) = inside.strip_prefix("range ") {
            let path = checked(path.trim())?;
            pieces.push(Piece::Range(path, parse_pieces(rest, true)?));
        } else if inside.starts_with('"') {
            let text = serde_json::from_str(inside).map_err(|_| format!("{inside} is not a quoted text"))?;
            pieces.push(Piece::Text(text));
        } else {
            pieces.push(Piece::Path(checked(inside)?));
        }
    }
}

/// Finds the brace that closes, quotes aside.
fn closing_brace(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '}') => return Some(at),
            _ => {}
        }
    }
    None
}

/// Turns kubectl's form of a path into RFC 9535 and checks it.
fn checked(path: &str) -> Result<String, String> {
    let path = path.strip_prefix('$').or_else(|| path.strip_prefix('@')).unwrap_or(path);
    let mut standard = String::from("$");
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let end = closing_bracket(bracket).ok_or_else(|| format!("{path:?} has a [ without a ]"))?;
            standard.push('[');
            standard.push_str(&bracket[..end]);
            standard.push(']');
            rest = &bracket[end + 1..];
            continue;
        }
        let descent = rest.starts_with("..");
        let name_at = rest.strip_prefix("..").or_else(|| rest.strip_prefix('.')).unwrap_or(rest);
        let mut name = String::new();
        let mut chars = name_at.char_indices();
        let mut end = name_at.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => name.extend(chars.next().map(|(_, c)| c)),
                '.' | '[' => {
                    end = at;
                    break;
                }
                c => name.push(c),
            }
        }
        if descent {
            standard.push_str("..");
        }
        if name == "*" {
            standard.push_str("[*]");
        } else if !name.is_empty() {
            standard.push_str(&format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")));
        }
        rest = &name_at[end..];
    }
    match Value::Null.query(&standard) {
        Ok(_) => Ok(standard),
        Err(_) => Err(format!("{path:?} is not a JSON path")),
    }
}

/// Finds the bracket that closes, nested ones and quotes aside.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

impl Template {
    /// Fills the template in: several values of one path are separated by blanks, texts stand without quotes.
    pub(crate) fn fill(&self, value: &Value) -> String {
        let mut out = String::new();
        fill(&self.pieces, value, &mut out);
        out
    }
}

fn fill(pieces: &[Piece], value: &Value, out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Path(path) => {
                let found: Vec<String> = select(value, path).into_iter().map(plain).collect();
                out.push_str(&found.join(" "));
            }
            Piece::Range(path, inner) => {
                for item in select(value, path) {
                    fill(inner, item, out);
                }
            }
        }
    }
}

/// Returns what a path that was checked when parsed selects.
fn select<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    value.query(path).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str) -> String {
        let value = json!({"items": [
            {"metadata": {"name": "a", "annotations": {"kubevirt.io/x": "1"}}, "n": 4},
            {"metadata": {"name": "b"}, "n": 5, "on": true},
        ]});
        template.parse::<Template>().expect("valid").fill(&value)
    }

    #[test]
    fn fills_paths_ranges_and_texts_as_kubectl_does() {
        assert_eq!(filled("{.items[*].metadata.name}"), "a b");
        assert_eq!(filled("{.items[0].metadata.annotations.kubevirt\\.io/x}"), "1");
        assert_eq!(filled("{range .items[*]}{.metadata.name}={.n}{\"\\n\"}{end}done"), "a=4\nb=5\ndone");
        assert_eq!(filled("{.items[?(@.n==5)].metadata.name}"), "b");
        assert_eq!(filled("{$.items[1].on}{.items[1].missing}"), "true");
        assert_eq!(filled("{..name}"), "a b");
    }

    #[test]
    fn refuses_templates_with_mistakes() {
        for template in ["{", "{range .a}x", "{end}", "{.a[}", "{\"x}"] {
            assert!(template.parse::<Template>().is_err(), "{template}");
        }
    }
}
