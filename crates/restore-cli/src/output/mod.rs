//! How answers look: formats, tables, YAML, JSON paths, colours.
//!
//! Does not: decide what the answer is.

mod format;
mod jsonpath;
mod pretty;
mod size;
mod stream;
mod table;
mod yaml;

pub(crate) use format::{Format, choose};
pub(crate) use jsonpath::Template;
pub(crate) use pretty::{to_json, to_line};
pub(crate) use size::size;
pub(crate) use stream::{Lost, Out, Patient, Talk, style};
pub(crate) use table::Table;
pub(crate) use yaml::{breaks, to_yaml};

use serde_json::{Map, Value};

/// The API version of every answer in JSON.
pub(crate) const API_VERSION: &str = "vmrewind.io/v1alpha1";

/// Wraps the members of an answer into its envelope: API version and kind.
pub(crate) fn envelope(kind: &str, members: Value) -> Value {
    let mut all = Map::new();
    all.insert("apiVersion".to_owned(), API_VERSION.into());
    all.insert("kind".to_owned(), kind.into());
    if let Value::Object(members) = members {
        all.extend(members);
    }
    Value::Object(all)
}
