//! What changed between two states of an object, in a few words.
//!
//! Does not: hide noise or secrets; the caller takes them away before.

mod fields;
mod words;

pub(crate) use fields::{FieldChange, changes};
pub(crate) use words::describe;
