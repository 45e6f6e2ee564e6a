//! How history is laid out, written, found, checked and thinned out in an object store.
//!
//! ```text
//! records -> format::encode -> one object per slot -> Store (create only) -> format::decode -> records
//!            (pure bytes)      log/0000/<16 hex>      file, S3, GCS, Azure    (verified)
//! ```
//!
//! Writing: [`init`] makes an archive, [`Writer::fence`] takes it over, [`Writer::commit`] appends. Reading:
//! [`Archive::open`], then [`Archive::state_at`], [`Archive::records`], [`Archive::history`],
//! [`Archive::timeline`]. What is on disk is in `spec/format.md`, in which order it gets there in
//! `spec/ordering.md`.
//!
//! Does not: know Kubernetes, read a clock, draw random numbers, overwrite or delete what was committed.

mod archive;
mod commit;
mod copy;
mod cpu;
mod damage;
mod error;
mod fence;
#[cfg(test)]
mod forgers;
pub mod format;
mod head;
mod history;
mod identity;
mod init;
mod kept;
mod keys;
mod maintain;
mod manifest;
mod paths;
mod probe;
mod read;
#[cfg(test)]
mod samples;
mod state;
mod store;
mod timeline;
mod url;
pub mod verify;
mod window;

pub use archive::Archive;
pub use commit::{Durable, Now, SegmentInput, SegmentRef, Writer};
pub use copy::{Amount, Copied, CopyOptions, Newest, copy, copyable};
pub use cpu::Cpu;
pub use damage::{Damage, damage_detail};
pub use error::{ArchiveError, ErrorKind};
pub use fence::{Fence, FenceOutcome};
pub use format::limits::TEXT as MAX_TEXT;
pub use format::{Code, FormatVersion, ResumeMap, Segment, SegmentSummary, SeqRange};
pub use format::{KeyError, Recipient, SecretKey};
pub use head::Head;
pub use history::Told;
pub use identity::{Features, Identity};
pub use init::{NewArchive, init};
pub use keys::{
    Fingerprint, FingerprintError, IdentityFile, IdentityFileError, KeyFile, NewKeys, Readable, Recipients,
};
pub use maintain::{Door, Maintained, Rules, maintain};
pub use read::Part;
pub use state::{At, Entry, GapSpan, Late, Presence, Progress, Proof, Silent, State};
pub use store::{Patience, Store, StoreKind};
pub use timeline::{Reign, Timeline};
pub use url::{ArchiveUrl, UrlError};
