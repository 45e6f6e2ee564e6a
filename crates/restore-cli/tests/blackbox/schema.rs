//! A small validator for the part of JSON Schema that `spec/schemas` uses, and the check that it is used.

use std::path::Path;

use serde_json::Value;

/// Checks a document against a schema of `spec/schemas`.
pub(crate) fn check(name: &str, document: &Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/schemas").join(format!("{name}.schema.json"));
    let schema = load(&file);
    let mut problems = Vec::new();
    validate(&schema, &schema, document, "$", &mut problems);
    assert!(problems.is_empty(), "{name}: {problems:#?}");
}

fn load(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).expect("a schema is JSON")
}

/// Keywords that the validator understands; a schema with another one would be checked less than it says. Patterns
/// are left to the types, which parse what has one.
const KEYWORDS: [&str; 17] = [
    "$schema",
    "$id",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "additionalProperties",
    "$ref",
    "$defs",
    "format",
    "oneOf",
    "minimum",
    "pattern",
];

fn validate(root: &Value, schema: &Value, value: &Value, path: &str, problems: &mut Vec<String>) {
    for keyword in schema.as_object().expect("a schema is an object").keys() {
        assert!(KEYWORDS.contains(&keyword.as_str()), "the validator does not know {keyword:?}");
    }
    if let Some(file) = schema["$ref"].as_str().filter(|reference| reference.ends_with(".json")) {
        let other = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/schemas").join(file));
        return validate(&other, &other, value, path, problems);
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let fits = |alternative: &&Value| {
            let mut problems = Vec::new();
            validate(root, alternative, value, path, &mut problems);
            problems.is_empty()
        };
        let fitting = alternatives.iter().filter(fits).count();
        if fitting != 1 {
            problems.push(format!("{path} fits {fitting} of the alternatives: {value}"));
        }
    }
    if let Some(least) = schema["minimum"].as_i64()
        && value.as_i64().is_some_and(|number| number < least)
    {
        problems.push(format!("{path} is {value}, which is less than {least}"));
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/$defs/").expect("a reference inside the schema");
        return validate(root, &root["$defs"][name], value, path, problems);
    }
    if let Some(expected) = schema.get("const")
        && expected != value
    {
        problems.push(format!("{path} is not {expected}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        problems.push(format!("{path} is {value}, which is none of {allowed:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|type_| is(type_, value)) {
        problems.push(format!("{path} is no {types:?}: {value}"));
    }
    if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str())
        && (text.len() != 27 || text.parse::<vmrewind_model::Timestamp>().is_err())
    {
        problems.push(format!("{path} is no time with six decimals: {text}"));
    }
    if let Some(members) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                problems.push(format!("{path} lacks {name}"));
            }
        }
        for (name, member) in members {
            match schema["properties"].get(name) {
                Some(schema) => validate(root, schema, member, &format!("{path}.{name}"), problems),
                None if schema["additionalProperties"] == false => problems.push(format!("{path} has {name}")),
                None if schema["additionalProperties"].is_object() => {
                    validate(root, &schema["additionalProperties"], member, &format!("{path}.{name}"), problems);
                }
                None => {}
            }
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (index, item) in items.iter().enumerate() {
            validate(root, schema, item, &format!("{path}[{index}]"), problems);
        }
    }
}

fn is(type_: &str, value: &Value) -> bool {
    match type_ {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the validator does not know the type {other:?}"),
    }
}

#[test]
fn the_validator_refuses_what_does_not_fit() {
    let schema = serde_json::json!({"type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "integer"}, "b": {"enum": ["x"]}}});
    let problems = |value: Value| {
        let mut problems = Vec::new();
        validate(&schema, &schema, &value, "$", &mut problems);
        problems.len()
    };
    assert_eq!(problems(serde_json::json!({"a": 1, "b": "x"})), 0);
    assert_eq!(problems(serde_json::json!({"b": "y", "c": 1})), 3);
    assert_eq!(problems(serde_json::json!({"a": "1"})), 1);
    assert_eq!(problems(serde_json::json!([])), 1);
}
