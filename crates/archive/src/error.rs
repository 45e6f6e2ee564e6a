//! What can go wrong, and what the operator must then do.
//!
//! Does not: hold content of an object in any message.

use uuid::Uuid;
use vmrewind_model::Epoch;

use crate::{Code, Damage, UrlError, paths, store::Answer};

/// An error of a lower layer.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation on an archive failed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store did not answer, or not well. Nothing is known to be lost: try again.
    #[error("cannot {what}: the store does not answer, or not as it should")]
    Unavailable {
        /// What was tried.
        what: String,
        /// What the store said.
        #[source]
        source: Source,
    },
    /// A file store failed while writing. What it holds now is only known after opening it again.
    #[error("cannot {what}: the file system failed")]
    StoreFailed {
        /// What was tried.
        what: String,
        /// What the file system said.
        #[source]
        source: Source,
    },
    /// The store refuses access.
    #[error("cannot {what}: access is denied")]
    Denied {
        /// What was tried.
        what: String,
        /// True if it is the file system that refuses.
        files: bool,
        /// What the store said.
        #[source]
        source: Source,
    },
    /// The place, or the directory in which it is to be made, or its bucket, does not exist.
    #[error("{place} does not exist")]
    NoPlace {
        /// The place.
        place: String,
        /// True if it is a directory, not a bucket.
        files: bool,
    },
    /// There is no archive at the place.
    #[error("{place} is not an archive: it has no archive.json")]
    NoArchive {
        /// The place.
        place: String,
    },
    /// There is an archive at the place already.
    #[error("{place} is an archive already: {archive}")]
    AlreadyArchive {
        /// The place.
        place: String,
        /// Which archive is there.
        archive: Uuid,
    },
    /// The place holds something that is not an archive.
    #[error("{place} is neither empty nor an archive: it holds {found}")]
    NotEmpty {
        /// The place.
        place: String,
        /// The first object found there.
        found: String,
    },
    /// The archive needs a newer program.
    #[error("{place} needs a newer program: {what}")]
    Unsupported {
        /// The place.
        place: String,
        /// What is not understood.
        what: String,
    },
    /// The store does not keep its promises, so nothing would be safe in it.
    #[error("{place} cannot hold an archive: {reason}")]
    UnsafeStore {
        /// The place.
        place: String,
        /// Which promise it broke.
        reason: String,
    },
    /// The place is not an archive URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The caller handed in something that must not be written.
    #[error("refused to write: {reason}")]
    Input {
        /// Which rule it breaks.
        reason: String,
    },
    /// Another writer leads. This one must never write again.
    #[error("fenced out: segment {slot} belongs to the writer of epoch {epoch}")]
    Fenced {
        /// The slot that another writer took.
        slot: u64,
        /// That writer's epoch.
        epoch: Epoch,
    },
    /// Too long passed since the head was last confirmed. This writer must never write again.
    #[error("stalled: {seconds} s passed since the head of the archive was last confirmed, more than {limit} s")]
    Stalled {
        /// How long.
        seconds: u64,
        /// How long is allowed.
        limit: u64,
    },
    /// A slot holds something that no correct store and writer can have put there.
    #[error("forked: segment {slot} holds an object of epoch {epoch} that this writer did not write")]
    Fork {
        /// The slot.
        slot: u64,
        /// The epoch found there.
        epoch: Epoch,
    },
    /// The target of a copy is another archive.
    #[error("{place} is another archive: {archive}, not {wanted}")]
    OtherArchive {
        /// The place.
        place: String,
        /// Which archive is there.
        archive: Uuid,
        /// Which one was to be copied.
        wanted: Uuid,
    },
    /// The target of a copy has segments that its source does not have.
    #[error("{place} is ahead: it has segment {slot}, the source ends with segment {newest}")]
    Ahead {
        /// The place.
        place: String,
        /// The newest slot there.
        slot: u64,
        /// The newest slot of the source.
        newest: u64,
    },
    /// An object of a copy is not that of the source.
    #[error("{object} in {to} is not the one in {from}{}", damage.as_ref().map_or_else(String::new, |damage| format!(", where {damage}")))]
    Differs {
        /// Name of the object.
        object: String,
        /// The place of the source.
        from: String,
        /// The place of the copy.
        to: String,
        /// What is wrong with the one in the source; none if it is as it was written.
        damage: Option<Box<Damage>>,
    },
    /// An object of the archive is damaged or missing.
    #[error(transparent)]
    Damaged(#[from] Box<Damage>),
    /// The archive is encrypted, and what would open it was not given.
    #[error("{what}")]
    Locked {
        /// What cannot be opened, and why.
        what: String,
    },
    /// The archive is not encrypted to those for whom the caller was told to write.
    #[error("{place} cannot be written to: {what}")]
    OtherRecipients {
        /// The place.
        place: String,
        /// Who is told, and who not.
        what: String,
    },
    /// The archive is encrypted under another root key than the caller was told.
    #[error("{place} is not the archive that it should be: {what}")]
    OtherKey {
        /// The place.
        place: String,
        /// Both fingerprints.
        what: String,
    },
    /// What was asked for is not in the archive.
    #[error("{what}")]
    NotFound {
        /// What was asked for, and what there is.
        what: String,
    },
    /// A defect of this program.
    #[error("a defect of this program: {0}")]
    Bug(String),
}

impl From<Damage> for ArchiveError {
    fn from(damage: Damage) -> Self {
        match damage.code {
            // What cannot be opened is not damaged.
            Code::NoKey => Self::Locked { what: format!("{}: {}", damage.object, damage.detail) },
            _ => Self::Damaged(Box::new(damage)),
        }
    }
}

/// What the operator must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Try again.
    Unavailable,
    /// Another writer leads, or may lead: stop.
    Fenced,
    /// Grant a right.
    Denied,
    /// Give the key that opens the archive.
    Locked,
    /// The archive is damaged: see what is lost and what is not, keep a copy, and go on knowingly.
    Data,
    /// Fix the input.
    Invalid,
    /// It is not there.
    NotFound,
    /// It is there already.
    Conflict,
    /// Report it.
    Bug,
}

impl ArchiveError {
    /// Returns what the operator must do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } | Self::StoreFailed { .. } => ErrorKind::Unavailable,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::NoPlace { .. } | Self::NoArchive { .. } | Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyArchive { .. }
            | Self::OtherArchive { .. }
            | Self::OtherRecipients { .. }
            | Self::Ahead { .. } => ErrorKind::Conflict,
            Self::NotEmpty { .. }
            | Self::Unsupported { .. }
            | Self::UnsafeStore { .. }
            | Self::Url(_)
            | Self::Input { .. } => ErrorKind::Invalid,
            Self::Locked { .. } | Self::OtherKey { .. } => ErrorKind::Locked,
            Self::Fenced { .. } | Self::Stalled { .. } => ErrorKind::Fenced,
            Self::Fork { .. } | Self::Differs { .. } | Self::Damaged(_) => ErrorKind::Data,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    /// Returns what to do next, as a sentence for people.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unavailable { .. } => {
                "The operation is safe to repeat. Check that the store can be reached; if it is a service, its endpoint, the \
                 region, and the credentials in the environment."
            }
            Self::StoreFailed { .. } => {
                "Check free space, the rights to write, and the health of the file system, then start again."
            }
            Self::Denied { files: true, .. } => {
                "Run it as the owner of the directory, or grant rights: a reader must read and enter it and all below \
                 (r-x), a watcher also write (rwx)."
            }
            Self::Denied { files: false, source, .. } => {
                match source.downcast_ref::<Answer>().is_some_and(Answer::doubts_credentials) {
                    true => {
                        "Check the credentials in the environment (for s3 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
                         AWS_SESSION_TOKEN), that they belong to this endpoint, and the clock of this machine."
                    }
                    false => {
                        "Check whose credentials are in the environment. A reader needs get and list, a watcher also create."
                    }
                }
            }
            Self::NoPlace { files: true, .. } => {
                "Check the path, and that the volume is mounted. A watcher makes the last directory of it, not those above."
            }
            Self::NoPlace { files: false, .. } => {
                "Check its name, the endpoint and the region. A watcher makes no bucket: make it with the tools of the service."
            }
            Self::NoArchive { .. } => "Check the URL; a watcher makes a new archive in an empty place.",
            Self::AlreadyArchive { .. } => "Open it instead, or choose an empty place.",
            Self::OtherArchive { .. } => "Copy into an empty place, one for each archive.",
            Self::Ahead { .. } => {
                "A watcher writes to it, or it is the newer of the two: copy in the other direction, or into an empty place."
            }
            Self::Differs { damage: Some(_), .. } => {
                "Nothing was overwritten. If the copy is intact (verify --data tells), put its object in the place of the \
                 damaged one."
            }
            Self::Differs { damage: None, .. } => {
                "Nothing was overwritten. The source is intact there: keep what the target holds for a look (a second writer, \
                 or damage), move it away, and copy again."
            }
            Self::NotEmpty { .. } => "Choose an empty directory or prefix, for example a new sub-directory.",
            Self::Unsupported { .. } => "Use a version of the program that is at least as new as the archive.",
            Self::UnsafeStore { .. } => "Use a store that refuses to create an object that exists.",
            Self::Fenced { .. } | Self::Stalled { .. } => "This process must end; a new one takes over by a new fence.",
            Self::Fork { .. } => {
                "Stop all writers and keep a copy: the store or an operator broke the log; `kubectl vmrewind info` reads all of it."
            }
            Self::Damaged(damage) if damage.code == Code::Missing && damage.object == paths::keys(1) => {
                "Put it back from a copy of the archive: without it nothing that is encrypted can be read, and no new one is made, \
                 because it would lock all of that for ever. Nothing was written."
            }
            Self::Damaged(_) => {
                "What is intact stays readable; `kubectl vmrewind info` lists everything that is damaged."
            }
            Self::OtherRecipients { .. } => {
                "Find out who changed which. `kubectl vmrewind key list` tells whom the archive is encrypted to, and since when; if \
                 that is meant, configure the same recipients. Nothing was written."
            }
            Self::OtherKey { .. } => {
                "Somebody may have put an archive of his own into the place of yours: find out who wrote its keys, and since when. \
                 If it is the one that is meant, give its fingerprint: --fingerprint, or VMREWIND_FINGERPRINT in the environment. \
                 Nothing was written."
            }
            Self::Locked { .. } => {
                "Give an identity file that opens it: --identity FILE, or VMREWIND_IDENTITY in the environment."
            }
            Self::Bug(_) => "Please report it with the command and the version.",
            Self::Url(_) | Self::Input { .. } | Self::NotFound { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Tells whether a [`crate::Writer`] that returned this can never write again. Otherwise the segment that
    /// was not confirmed waits in it for [`crate::Writer::resume_commit`].
    #[must_use]
    pub fn ends_writer(&self) -> bool {
        !matches!(self, Self::Unavailable { .. } | Self::Denied { .. } | Self::Input { .. })
    }
}
