//! Members that may be absent, but not null.
//!
//! Does not: accept two ways to say nothing.

use serde::{Deserialize, Deserializer};

/// Reads a member that is there, for `#[serde(default, deserialize_with = "present")]`: null is not taken for absence.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(member: D) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}
