//! The daemon: turns cluster changes into archive commits without losing or inventing one.
//!
//! ```text
//! driver (sockets, clocks, channels) --Input--> arrivals --> engine::step --Record--> batcher --> archive::Writer
//!    ^                                             (pure)      (pure)  |               (pure)
//!    +------------- Action: probe, list, watch, get -------------------+
//! ```
//!
//! Does not: know how a cluster is spoken to (`cluster`), what an object refers to (`graph`), or how an archive is
//! laid out (`archive`).

pub mod arrivals;
pub mod batcher;
pub mod driver;
pub mod engine;
pub mod error;
pub mod maintaining;
pub mod report;
pub mod scope;
pub mod serve;
pub mod settings;
