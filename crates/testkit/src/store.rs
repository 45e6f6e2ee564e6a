//! A store that fails on schedule: before, after, in the middle, late, or by a rival that was faster.
//!
//! Does not: know what is stored; it wraps any `object_store`.

mod faulty;
mod schedule;

pub use faulty::FaultyStore;
pub use schedule::{Call, Fault, How};
