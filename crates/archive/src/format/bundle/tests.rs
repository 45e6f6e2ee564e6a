//! Bundles as a whole: what is written reads back, and damage is found. Every rule has a vector in `spec/vectors`.

mod codec;
pub(in crate::format) mod forge;
mod mutations;
