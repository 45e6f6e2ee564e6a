//! What users call things: types by plural, singular, kind or short name, objects by `TYPE/NAME`.
//!
//! Works without a cluster: from the scope table, and from the type definitions that the archive holds.
//!
//! Does not: look for objects; it only says which ones are meant.

mod nearest;
mod target;
mod types;

pub(crate) use nearest::nearest;
pub(crate) use target::{Target, anchor, parse_one, parse_targets, refuse_selector_with_names};
pub(crate) use types::{TypeName, Types};
