//! Drawings: graphs and plans.
//!
//! Does not: work out what they show.

pub(crate) mod graph;
pub(crate) mod plan;
