//! Why the watcher ended, with what exit code, and what to do about it.
//!
//! Does not: hold content of an object.

use std::net::SocketAddr;

use vmrewind_archive::{ArchiveError, ErrorKind};
use vmrewind_cluster::ClusterError;

use crate::settings::SettingsError;

/// Why the watcher ended.
#[derive(Debug, thiserror::Error)]
pub enum WatcherError {
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The cluster cannot be spoken to.
    #[error("{0}")]
    Cluster(#[from] ClusterError),
    /// The archive cannot be used, or not any more.
    #[error("{}", chain(.0))]
    Archive(#[from] ArchiveError),
    /// The archive holds another cluster.
    #[error("the archive at {place} belongs to another cluster: it was begun for {theirs}, this one is {ours}")]
    OtherCluster {
        /// Where the archive is.
        place: String,
        /// Uid of the cluster it was begun for.
        theirs: String,
        /// Uid of this cluster.
        ours: String,
    },
    /// So many separate segments are damaged that no gap can name them all.
    #[error("the archive at {place} is damaged in {segments} segments that lie too far apart to be passed over")]
    TooDamaged {
        /// Where the archive is.
        place: String,
        /// How many.
        segments: usize,
    },
    /// The port cannot be served.
    #[error("cannot serve on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A part of the process ended that must not end.
    #[error("a defect of this program: {0}")]
    Bug(String),
}

/// An error with what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl WatcherError {
    /// The exit code: 2 usage, 7 damaged archive, 10 no archive, 11 fenced, 12 no key that opens it, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) => 2,
            Self::TooDamaged { .. } => 7,
            Self::Archive(error) => match error.kind() {
                ErrorKind::Fenced => 11,
                ErrorKind::Data => 7,
                ErrorKind::NotFound => 10,
                ErrorKind::Locked => 12,
                ErrorKind::Unavailable
                | ErrorKind::Denied
                | ErrorKind::Invalid
                | ErrorKind::Conflict
                | ErrorKind::Bug => 1,
            },
            Self::Cluster(_) | Self::OtherCluster { .. } | Self::Listen { .. } | Self::Bug(_) => 1,
        }
    }

    /// What to do next, as a sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Cluster(error) => error.hint(),
            Self::Archive(ArchiveError::Damaged(damage)) if damage.segment.is_some() => Some(format!(
                "Put an intact copy of {} in its place if there is one. Else keep a copy of what is there, and give \
                 --pass-over-damage: capture goes on behind it, with a gap for every resource, and everything is listed anew. \
                 Nothing was written.",
                damage.object
            )),
            Self::Archive(ArchiveError::Locked { .. }) => Some(
                "Give a file with an identity that opens it: --identity FILE, VMREWIND_IDENTITY, or encryption.identities."
                    .to_owned(),
            ),
            Self::Archive(error) => error.hint(),
            Self::TooDamaged { .. } => Some(
                "Keep this archive: what is readable can be read with --allow-damage. Begin a new one in another place, so \
                 that capture goes on. Nothing was written."
                    .to_owned(),
            ),
            Self::OtherCluster { .. } => Some(
                "Choose another place, or give --adopt if that cluster was rebuilt and this one takes its place."
                    .to_owned(),
            ),
            Self::Listen { .. } => Some("Choose another --listen address; port 0 takes a free one.".to_owned()),
            Self::Bug(_) => Some("Please report it with the log and the version.".to_owned()),
        }
    }
}
