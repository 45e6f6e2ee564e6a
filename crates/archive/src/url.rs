//! Archive URLs.
//!
//! Does not: hold credentials; those come from each cloud's own environment variables.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

/// Where an archive lies: a plain path, `file:///dir`, `s3://bucket/prefix`, `gs://bucket/prefix` or
/// `az://container/prefix`, the last three with `?endpoint=…&region=…&allow_http=true` where needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveUrl(pub(crate) Place);

/// What an [`ArchiveUrl`] can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A directory.
    Directory(PathBuf),
    /// A bucket or container of an object store.
    Bucket {
        /// `s3`, `gs` or `az`.
        scheme: &'static str,
        /// Name of the bucket or container.
        bucket: String,
        /// Prefix in it, without slashes at its ends; may be empty.
        prefix: String,
        /// `endpoint`, `region`, `allow_http`.
        options: BTreeMap<String, String>,
    },
}

/// A text that is no archive URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an archive URL: {reason}")]
pub struct UrlError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FromStr for ArchiveUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Ok(Self(Place::Directory(PathBuf::from(text))))
    }
}

impl fmt::Display for ArchiveUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Directory(path) => write!(f, "{}", path.display()),
            Place::Bucket { scheme, bucket, prefix, .. } => write!(f, "{scheme}://{bucket}/{prefix}"),
        }
    }
}
