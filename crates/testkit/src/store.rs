//! A store that fails on schedule: before, after, in the middle, late, or by a rival that was faster; or as a seed draws it.
//!
//! Does not: know what is stored; it wraps any `object_store`.

mod canned;
mod faulty;
mod schedule;
mod script;

pub use canned::{Asked, Canned, Reply};
pub use faulty::FaultyStore;
pub use schedule::{Call, Fault, How};
pub use script::Script;
