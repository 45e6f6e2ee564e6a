//! `archive.json`: which archive this is. Written once, never changed.
//!
//! Does not: hold anything that changes while the archive lives.

use uuid::Uuid;
use vmrewind_model::Timestamp;

use crate::format::FormatVersion;

/// Which archive this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Version of the format it is written in.
    pub format: FormatVersion,
    /// What a program must know beyond the version.
    pub features: Features,
    /// The archive itself.
    pub archive: Uuid,
    /// The cluster it holds: the uid of its namespace `kube-system`.
    pub cluster: String,
    /// When it was made.
    pub created: Timestamp,
    /// The program that made it.
    pub software: String,
}

/// What a program must know beyond the format version, by what it wants to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Features {
    /// Needed to read.
    pub read: Vec<String>,
    /// Needed to append.
    pub write: Vec<String>,
    /// Needed to compact, thin out or repair.
    pub maintain: Vec<String>,
}
