//! A small API server in memory, which does on command what a real one does rarely.
//!
//! ```
//! # async fn example() -> anyhow::Result<()> {
//! use vmrewind_testkit::apiserver::{FakeApiServer, Fault};
//! let server = FakeApiServer::new();
//! let client = server.client();             // a kube::Client without sockets
//! server.fail("watch", "configmaps", Fault::Gone, 1);
//! # Ok(()) }
//! ```
//!
//! It serves aggregated discovery, list (pages, exact versions, label and name selectors), watch (history window,
//! bookmarks), get, create, update, patch, delete (finalizers, preconditions), status, dry run. A conformance suite runs
//! on it and on a real server. Where it is simpler: no schemas and no field validation, no managed fields (an apply is a
//! merge patch that may create), no garbage collection, and built-in types follow no rules of their own.
//!
//! Its clock is tokio's, so that it stands still where a test pauses time.
//!
//! Does not: open sockets, read the wall clock, or use randomness.

mod answer;
mod faults;
mod list;
mod request;
mod selector;
mod service;
mod state;
mod types;
mod watch;
mod write;

pub use faults::Fault;
pub use service::FakeApiServer;
pub use types::FakeType;
