//! The seam to a cluster: the few calls that a restore makes.
//!
//! [`ClusterTarget`] is the real one. Tests use a fake, so that every order of failures can be played.
//!
//! Does not: retry, or decide what to write.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::{error::ErrorKind, view::ServedKind};

mod cluster;

pub use cluster::ClusterTarget;

/// How to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// Let the server check it without storing it.
    pub dry_run: bool,
    /// Refuse fields that the server's schema does not know, instead of dropping them with a warning.
    pub strict: bool,
}

/// What must be true of an object for it to be deleted; what it owns stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteGuard {
    /// Its uid.
    pub uid: String,
    /// Ask the server to check only.
    pub dry_run: bool,
}

/// What a write returns: the object as stored, and the server's warnings.
pub type Written = (Value, Vec<String>);

/// The few calls that a restore makes. Objects go in and come out as untyped JSON.
///
/// Reads are quorum reads. No call retries a write.
pub trait Target: Send + Sync {
    /// Returns the cluster's uid (of `kube-system`) and its version.
    fn identity(&self) -> BoxFuture<'_, Result<(String, String), TargetError>>;
    /// Returns what is served.
    fn kinds(&self) -> BoxFuture<'_, Result<Vec<ServedKind>, TargetError>>;
    /// Returns an object, none if it does not exist.
    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Value>, TargetError>>;
    /// Returns all objects of a kind in all namespaces.
    fn list<'a>(&'a self, group: &'a str, kind: &'a str) -> BoxFuture<'a, Result<Vec<Value>, TargetError>>;
    /// Creates an object; never replaces one.
    fn create<'a>(&'a self, object: &'a Value, write: Write) -> BoxFuture<'a, Result<Written, TargetError>>;
    /// Replaces an object whose `metadata.resourceVersion` is the one in `object`.
    fn replace<'a>(&'a self, object: &'a Value, write: Write) -> BoxFuture<'a, Result<Written, TargetError>>;
    /// Merge-patches an object (RFC 7386); a `metadata.resourceVersion` in the patch must match.
    fn patch<'a>(
        &'a self,
        key: &'a ObjectKey,
        patch: &'a Value,
        write: Write,
    ) -> BoxFuture<'a, Result<Value, TargetError>>;
    /// Deletes an object and orphans what it owns.
    fn delete<'a>(&'a self, key: &'a ObjectKey, guard: &'a DeleteGuard) -> BoxFuture<'a, Result<(), TargetError>>;
    /// Asks KubeVirt to start a machine.
    fn start<'a>(&'a self, vm: &'a ObjectKey) -> BoxFuture<'a, Result<(), TargetError>>;
    /// Waits before something is looked at again.
    fn pause(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// What a cluster answered, as far as a restore must tell it apart.
#[derive(Debug)]
pub enum TargetError {
    /// The object, or the kind, does not exist.
    NotFound(String),
    /// An object of that name exists.
    AlreadyExists(String),
    /// The object was changed meanwhile, or a precondition does not hold.
    Conflict(String),
    /// A right is missing.
    Forbidden(String),
    /// The server finds the object invalid, or an admission webhook refuses it.
    Invalid(String),
    /// No answer: the write may or may not have happened.
    Ambiguous(String),
    /// The server cannot be reached, so the write did not happen.
    Unreachable(String),
    /// Anything else.
    Other(String),
}

impl TargetError {
    /// Returns what the operator must do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::AlreadyExists(_) | Self::Conflict(_) => ErrorKind::Conflict,
            Self::Forbidden(_) => ErrorKind::Denied,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Ambiguous(_) | Self::Unreachable(_) | Self::Other(_) => ErrorKind::Unavailable,
        }
    }

    /// Returns what to try next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Forbidden(_) => "Grant the right named above, or use --as with an account that has it.",
                Self::Invalid(_) => "See what the server objects to with `plan --dry-run=server`.",
                Self::AlreadyExists(_) | Self::Conflict(_) => "Somebody changed it meanwhile: make a new plan.",
                Self::Ambiguous(_) | Self::Unreachable(_) => "Check that the API server answers, then try again.",
                Self::NotFound(_) | Self::Other(_) => return None,
            }
            .to_owned(),
        )
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, detail) = match self {
            Self::NotFound(detail) => ("not found", detail),
            Self::AlreadyExists(detail) => ("exists already", detail),
            Self::Conflict(detail) => ("changed meanwhile", detail),
            Self::Forbidden(detail) => ("forbidden", detail),
            Self::Invalid(detail) => ("refused by the server", detail),
            Self::Ambiguous(detail) => ("no clear answer", detail),
            Self::Unreachable(detail) => ("cannot be reached", detail),
            Self::Other(detail) => ("failed", detail),
        };
        if detail.is_empty() { f.write_str(what) } else { write!(f, "{what}: {detail}") }
    }
}

impl std::error::Error for TargetError {}
