//! The bytes of an archive: pure, synchronous, without a store. See `spec/format.md`.
//!
//! Does not: do input or output, or know how objects are named in a store.

pub(crate) mod age;
pub(crate) mod bundle;
mod code;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod fault;
pub(crate) mod footer;
pub(crate) mod frame;
pub(crate) mod home;
mod index;
pub(crate) mod limits;
pub(crate) mod line;
pub(crate) mod link;
mod meta;
pub(crate) mod public;
mod root;
mod salvage;
mod segment;
pub(crate) mod strict;
mod tarball;

use std::fmt;

use vmrewind_model::{ResumeEntry, Seq};

pub use age::{KeyError, Recipient, SecretKey};
pub use code::Code;
pub(crate) use segment::{Lines, Place};
pub use segment::{Segment, SegmentSummary};

/// Version of the format: a reader of a major version reads all its minor ones. While the major version is 0
/// the format may still change, and a reader knows only its own minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct FormatVersion {
    /// Grows when old readers cannot read what is new.
    pub major: u16,
    /// Grows when something was added that old readers may pass over.
    pub minor: u16,
}

/// The version of segments and identities.
pub const VERSION: FormatVersion = FormatVersion { major: 0, minor: 1 };

/// The version of files of keys. Encrypted objects have the versions that plain ones have.
pub(crate) const SEALED_VERSION: FormatVersion = FormatVersion { major: 0, minor: 3 };

/// The version of history bundles and manifests.
pub const HISTORY_VERSION: FormatVersion = FormatVersion { major: 0, minor: 2 };

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Records from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeqRange {
    /// The first.
    pub first: Seq,
    /// The last.
    pub last: Seq,
}

impl SeqRange {
    /// Every record.
    pub const ALL: Self = Self { first: Seq(1), last: Seq(u64::MAX) };

    /// Records from `first` to `last`, both included.
    #[must_use]
    pub fn new(first: Seq, last: Seq) -> Self {
        Self { first, last }
    }

    /// Tells whether `seq` is in it.
    #[must_use]
    pub fn contains(self, seq: Seq) -> bool {
        self.first <= seq && seq <= self.last
    }
}

/// What a segment says about the resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ResumeMap {
    /// True if every captured resource is in it, otherwise only those that changed.
    pub complete: bool,
    /// In order of (group, resource, scope), each once.
    pub entries: Vec<ResumeEntry>,
}

#[cfg(test)]
mod tests;
