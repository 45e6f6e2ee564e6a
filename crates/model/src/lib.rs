//! What an object, its key, a version of it, a change and a gap are.
//!
//! ```text
//! server bytes -> canonical::canonicalize -> RawObject (bytes + Head) -> Change -> Record -> archive
//! ```
//!
//! Every other crate speaks in these types. A [`Record`] is one line of history: when it was observed
//! ([`Timestamp`]), in which order ([`Seq`]), and what happened ([`Change`]).
//!
//! Does not: talk to a server or a store, read a clock, or know how records are laid out in an archive.

pub mod canonical;
mod change;
mod digest;
mod key;
mod number;
mod optional;
mod raw;
mod resume;
mod time;

pub use change::{Change, Gap, GapCause, ObjectOp, Op, Record};
pub use digest::{Digest, DigestParseError};
pub use key::{KeyParseError, ObjectKey, RecordKey, ResourceId};
pub use number::{Epoch, Era, Rv, RvError, Seq};
pub use raw::{Head, OwnerRef, RawError, RawObject};
pub use resume::{ProofState, ResumeEntry};
pub use time::{Timestamp, TimestampError};
