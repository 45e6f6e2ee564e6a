//! What can go wrong, and what the operator must do about it.
//!
//! Does not: hold content of any object; messages name keys, paths and reasons only.

use std::path::PathBuf;

use vmrewind_model::ObjectKey;

use crate::target::TargetError;

/// What the operator must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The cluster or the store did not answer: try again.
    Unavailable,
    /// A right is missing: grant it.
    Denied,
    /// The archive, the plan or the journal is damaged or does not hold what it should.
    Data,
    /// The input is wrong: fix it.
    Invalid,
    /// What was named does not exist at that instant.
    NotFound,
    /// Something in the target is in the way.
    Conflict,
    /// The target or the archive moved since the plan was made: plan again.
    Drifted,
    /// The plan holds refusals: choose how to go on.
    Refused,
    /// Some steps were done, others not: the journal knows which; resume or undo.
    Partial,
    /// The user stopped it; the journal is complete.
    Cancelled,
    /// A defect: report it.
    Bug,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Input that makes no sense.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// A selected object is not in the state of the archive.
    #[error("{key} does not exist in the archive at that instant")]
    NoSuchObject {
        /// Which.
        key: Box<ObjectKey>,
    },
    /// Nothing matches the selection.
    #[error("nothing matches the selection at that instant")]
    NothingSelected,
    /// An object in the archive cannot be read as JSON.
    #[error("{key} (seq {seq}) cannot be read from the archive: {reason}")]
    Unreadable {
        /// Which.
        key: Box<ObjectKey>,
        /// Its record.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// The plan holds refusals.
    #[error("the plan refuses {count} thing(s); first: {first}")]
    Refused {
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
        /// Its hint.
        hint: String,
        /// True if the only reason is that objects exist and differ.
        only_conflicts: bool,
    },
    /// The plan is for another cluster.
    #[error("the plan was made for cluster {planned}, this is cluster {found}")]
    OtherCluster {
        /// Uid in the plan.
        planned: String,
        /// Uid of the target.
        found: String,
    },
    /// The plan is for another archive.
    #[error("the plan was made from archive {planned}, this is archive {found}")]
    OtherArchive {
        /// Uuid in the plan.
        planned: String,
        /// Uuid at hand.
        found: String,
    },
    /// The plan no longer says what would happen.
    #[error("plan drifted: {}", .changes.join("; "))]
    Drifted {
        /// What moved, one sentence each.
        changes: Vec<String>,
    },
    /// The archive does not yield the bytes that the plan was made from.
    #[error("{key}: the archive yields {found}, the plan was made with {planned}")]
    OtherBytes {
        /// Which object.
        key: Box<ObjectKey>,
        /// Digest in the plan.
        planned: String,
        /// Digest made now.
        found: String,
    },
    /// The target answered with an error.
    #[error("{doing} {key}: {source}")]
    Target {
        /// What was tried, for example `create`.
        doing: &'static str,
        /// On which object.
        key: Box<ObjectKey>,
        /// The answer.
        #[source]
        source: TargetError,
    },
    /// The target could not be observed.
    #[error("cannot read the target cluster: {source}")]
    Observe {
        /// The answer.
        #[source]
        source: TargetError,
    },
    /// Execution stopped after some steps.
    #[error("{done} of {total} steps done, then: {source}")]
    Partial {
        /// Steps done.
        done: usize,
        /// Steps in all.
        total: usize,
        /// Why it stopped.
        #[source]
        source: Box<RestoreError>,
    },
    /// The user stopped it.
    #[error("stopped after {done} of {total} steps; nothing is half done")]
    Cancelled {
        /// Steps done.
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// A plan or journal file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A plan or journal file does not hold what it should.
    #[error("{}: {reason}", .path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A defect of ours.
    #[error("internal error: {0}")]
    Bug(String),
}

impl RestoreError {
    /// Makes an error for input that makes no sense.
    pub(crate) fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: hint.into() }
    }

    /// Makes an error for an answer of the target.
    pub(crate) fn target(doing: &'static str, key: &ObjectKey, source: TargetError) -> Self {
        Self::Target { doing, key: Box::new(key.clone()), source }
    }

    /// Returns what the operator must do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::OtherCluster { .. } | Self::OtherArchive { .. } => ErrorKind::Invalid,
            Self::NoSuchObject { .. } | Self::NothingSelected => ErrorKind::NotFound,
            Self::Unreadable { .. } | Self::OtherBytes { .. } | Self::Format { .. } | Self::File { .. } => {
                ErrorKind::Data
            }
            Self::Refused { only_conflicts: true, .. } => ErrorKind::Conflict,
            Self::Refused { .. } => ErrorKind::Refused,
            Self::Drifted { .. } => ErrorKind::Drifted,
            Self::Target { source, .. } | Self::Observe { source } => source.kind(),
            Self::Partial { .. } => ErrorKind::Partial,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    /// Returns what to try next, as a sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Invalid { hint, .. } | Self::Refused { hint, .. } => hint.clone(),
            Self::NoSuchObject { .. } => "List what exists then with `get`, or choose another --at.".to_owned(),
            Self::NothingSelected => "Look at `get -A` for that instant, or widen the selection.".to_owned(),
            Self::Unreadable { .. } | Self::OtherBytes { .. } => "Run `verify` on the archive.".to_owned(),
            Self::OtherCluster { .. } => "Choose the right --context, or plan again for this cluster.".to_owned(),
            Self::OtherArchive { .. } => "Choose the archive that the plan was made from.".to_owned(),
            Self::Drifted { .. } => "Make a new plan and look at what changed.".to_owned(),
            Self::Target { source, .. } | Self::Observe { source } => return source.hint(),
            Self::Partial { source, .. } => {
                let after = "Go on with `restore --resume ID` or take back with `undo ID`.";
                source.hint().map_or_else(|| after.to_owned(), |hint| format!("{hint} {after}"))
            }
            Self::Cancelled { .. } => "Go on with `restore --resume ID` or take back with `undo ID`.".to_owned(),
            Self::File { .. } | Self::Format { .. } | Self::Bug(_) => return None,
        })
    }
}
