//! Checks values against the schemas in `spec/schemas`: the keywords that those two files use.
//!
//! Does not: know formats and patterns; what has them is parsed by the types anyway.

use serde_json::Value;

/// Checks a value against a schema file. Panics with the path of what does not fit.
pub(crate) fn check(file: &str, value: &Value) {
    let root = load(file);
    if let Err(problem) = fits(&root, &root, value) {
        panic!("{file}: {problem}\n{value:#}");
    }
}

fn load(file: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/schemas").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("a schema is JSON")
}

fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = schema.as_object().ok_or("a schema is an object")?;
    for (keyword, rule) in schema {
        let fine = match keyword.as_str() {
            "$ref" => match rule.as_str().expect("a reference") {
                file if file.ends_with(".json") => {
                    let other = load(file);
                    fits(&other, &other, value)?;
                    true
                }
                inside => {
                    fits(root, root.pointer(inside.trim_start_matches('#')).expect("a definition"), value)?;
                    true
                }
            },
            "type" => match rule {
                Value::Array(names) => names.iter().any(|name| is(name.as_str().expect("a type"), value)),
                name => is(name.as_str().expect("a type"), value),
            },
            "const" => rule == value,
            "enum" => rule.as_array().expect("a list").contains(value),
            "minimum" => value.as_i64() >= rule.as_i64(),
            "required" => {
                rule.as_array().expect("a list").iter().all(|name| value.get(name.as_str().expect("a name")).is_some())
            }
            "properties" => members(value)
                .try_for_each(|(name, member)| match rule.get(name) {
                    Some(schema) => fits(root, schema, member).map_err(|problem| format!("{name}.{problem}")),
                    None => Ok(()),
                })
                .map(|()| true)?,
            "additionalProperties" => members(value)
                .filter(|(name, _)| schema.get("properties").is_none_or(|known| known.get(name).is_none()))
                .try_for_each(|(name, member)| match rule {
                    Value::Bool(false) => Err(format!("{name} is not in the schema")),
                    Value::Bool(true) => Ok(()),
                    schema => fits(root, schema, member).map_err(|problem| format!("{name}.{problem}")),
                })
                .map(|()| true)?,
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .try_for_each(|(index, item)| fits(root, rule, item).map_err(|problem| format!("[{index}].{problem}")))
                .map(|()| true)?,
            "oneOf" => {
                rule.as_array().expect("a list").iter().filter(|one| fits(root, one, value).is_ok()).count() == 1
            }
            "$schema" | "$id" | "$defs" | "title" | "description" | "pattern" | "format" => true,
            other => return Err(format!("the checker does not know {other}")),
        };
        if !fine {
            return Err(format!("{keyword} {rule} does not fit {value}"));
        }
    }
    Ok(())
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the checker does not know type {other}"),
    }
}
