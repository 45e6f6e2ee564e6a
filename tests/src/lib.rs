//! What scenarios share: the programs as their users run them, against a real control plane.
//!
//! ```text
//! testkit::bench (control plane, actors, journal)  <- Watcher (the daemon) -> archive <- Tool (the command line)
//!                                                                               ^ reader (Python, from the specification)
//! ```
//!
//! Does not: look inside a program. What a scenario knows of an archive it knows from the command line, or from
//! the independent reader.

mod chance;
mod essence;
mod history;
mod reader;
mod scope;
mod site;
mod tool;
mod watcher;

pub use self::chance::{Chance, SEED};
pub use self::essence::essence;
pub use self::history::{History, Line, assert_complete};
pub use self::reader::agree_with_python_reader;
pub use self::scope::scope;
pub use self::site::{Site, now};
pub use self::tool::{Answer, Tool};
pub use self::watcher::{Watcher, WatcherOptions};
