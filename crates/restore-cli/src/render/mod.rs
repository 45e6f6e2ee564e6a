//! Drawings: graphs, plans, and what a check found.
//!
//! Does not: work out what they show.

pub(crate) mod graph;
pub(crate) mod plan;
pub(crate) mod verify;
