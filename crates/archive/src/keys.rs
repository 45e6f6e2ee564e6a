//! Who can read an encrypted archive: the files below `keys/`. See `spec/encryption.md`.
//!
//! Does not: keep a secret key anywhere, or change what was encrypted before.

mod fingerprint;
mod left;
mod source;
mod text;

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use vmrewind_model::{Digest, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Archive, ArchiveError, Code, Identity, Recipient, SecretKey, Store,
    format::{
        age,
        fault::{Checked, Fault},
        home::{Keys, Lock, RootKey, Seed},
        limits,
    },
    paths,
};
use text::Members;

pub use fingerprint::{Fingerprint, FingerprintError};
pub use source::{IdentityFile, IdentityFileError, Readable};

/// More files of keys than anybody writes.
const MOST: u64 = 4096;

/// Whom an archive is to be encrypted to: 1 to 16, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Takes recipients; fewer than two only if that is meant: with a single one, everything is lost with its key.
    ///
    /// # Errors
    /// [`ArchiveError::Input`] if there are too few or too many.
    pub fn new(mut recipients: Vec<Recipient>, single: bool) -> Result<Self, ArchiveError> {
        recipients.sort_unstable();
        recipients.dedup();
        let reason = match recipients.len() {
            0 => "an encrypted archive has no recipient".to_owned(),
            1 if !single => {
                "an encrypted archive has a single recipient: if that key is lost, so is everything in it".to_owned()
            }
            n if n > limits::RECIPIENTS => format!("{n} recipients: there may be {}", limits::RECIPIENTS),
            _ => return Ok(Self(recipients)),
        };
        Err(ArchiveError::Input { reason })
    }

    /// Returns them in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Recipient] {
        &self.0
    }

    /// Tells whether one of these identities opens what is encrypted to them.
    #[must_use]
    pub fn opened_by(&self, identities: &[SecretKey]) -> bool {
        identities.iter().any(|identity| self.0.contains(&identity.recipient()))
    }
}

/// What a new encrypted archive needs.
pub struct NewKeys {
    /// Whom it is encrypted to.
    pub recipients: Recipients,
    /// 32 random bytes: the key of the hashes that the archive shows, for as long as it lives.
    pub root_key: [u8; 32],
    /// 32 random bytes, for this process.
    pub seed: [u8; 32],
}

impl std::fmt::Debug for NewKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKeys").field("recipients", &self.recipients).finish_non_exhaustive()
    }
}

/// One file below `keys/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// Its number, from 1. The newest one counts.
    pub n: u64,
    /// When it was written.
    pub valid_from: Timestamp,
    /// Whom objects are encrypted to from then on.
    pub recipients: Vec<Recipient>,
    /// The program that wrote it.
    pub software: String,
}

/// A file as it was read.
struct Found {
    members: Members,
    bytes: Bytes,
}

impl Archive {
    /// Opens an encrypted archive for reading and writing. One that is not encrypted stays as it is.
    ///
    /// `seed` are 32 random bytes that no other process has.
    ///
    /// # Errors
    /// [`ArchiveError::Locked`] if no identity opens it, [`ArchiveError::Damaged`] if a file of keys is, and those of the store.
    pub async fn unlock(self, identities: Vec<SecretKey>, seed: [u8; 32]) -> Result<Self, ArchiveError> {
        if !self.identity.encrypted {
            return Ok(self);
        }
        let place = self.store.place().to_owned();
        if identities.is_empty() {
            return Err(ArchiveError::Locked { what: format!("{place} is encrypted, and no identity was given") });
        }
        let files = read_all(&self.store, &self.identity, self.root).await?;
        let mut root = None;
        for file in files.iter().rev() {
            match file.members.root_key(&identities) {
                Ok(key) => {
                    root = Some(key);
                    break;
                }
                Err(fault) if fault.code == Code::NoKey => {}
                Err(fault) => return Err(damaged(file.members.n, fault)),
            }
        }
        let root = root.ok_or_else(|| locked(&place))?;
        for file in &files {
            file.members.verify(&file.bytes, &root).map_err(|fault| damaged(file.members.n, fault))?;
        }
        let recipients = files.last().map(|file| file.members.recipients.clone()).unwrap_or_default();
        Ok(self.opened(root, recipients, identities, Some(Seed::new(seed))))
    }

    /// Opens an archive that the caller made just now, for writing: whoever made it knows its root key, and needs no identity.
    /// `seed` are 32 random bytes that nobody else has.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] if its keys are not those that it was made with, and those of the store.
    pub async fn unlock_as_maker(
        self,
        recipients: &Recipients,
        root_key: [u8; 32],
        seed: [u8; 32],
    ) -> Result<Self, ArchiveError> {
        let root = RootKey(Zeroizing::new(root_key));
        for file in read_all(&self.store, &self.identity, self.root).await? {
            file.members.verify(&file.bytes, &root).map_err(|fault| damaged(file.members.n, fault))?;
        }
        Ok(self.opened(root, recipients.0.clone(), Vec::new(), Some(Seed::new(seed))))
    }

    fn opened(mut self, root: RootKey, recipients: Vec<Recipient>, own: Vec<SecretKey>, seed: Option<Seed>) -> Self {
        self.lock = Lock::Open(Arc::new(Keys { recipients, root, own, seed }));
        self
    }

    /// Returns whom new objects are encrypted to; none if the archive is not encrypted, or not open.
    #[must_use]
    pub fn recipients(&self) -> Option<&[Recipient]> {
        match &self.lock {
            Lock::Open(keys) => Some(&keys.recipients),
            Lock::Plain | Lock::Shut => None,
        }
    }

    /// Tells whether this was opened with a key that opens it, or needs none.
    #[must_use]
    pub fn is_unlocked(&self) -> bool {
        !matches!(self.lock, Lock::Shut)
    }

    /// Checks that the archive is encrypted to exactly those whom the caller was told to write for; to nobody if `told` is none.
    /// Nothing in a store vouches for what it says of its own encryption.
    ///
    /// # Errors
    /// [`ArchiveError::OtherRecipients`], or [`ArchiveError::Locked`] if it is not open.
    pub fn encrypts_to(&self, told: Option<&Recipients>) -> Result<(), ArchiveError> {
        let place = self.store.place().to_owned();
        let what = match (&self.lock, told) {
            (Lock::Plain, None) => return Ok(()),
            (Lock::Shut, _) => {
                return Err(ArchiveError::Locked { what: format!("{place} is encrypted, and not open") });
            }
            (Lock::Plain, Some(_)) => "it is not encrypted, although recipients are configured".to_owned(),
            (Lock::Open(_), None) => "it is encrypted, and no recipients are configured".to_owned(),
            (Lock::Open(keys), Some(told)) => {
                let name = |all: &[Recipient], other: &[Recipient]| {
                    let missing = all.iter().filter(|recipient| !other.contains(recipient));
                    missing.map(ToString::to_string).collect::<Vec<_>>().join(", ")
                };
                let (more, fewer) = (name(&keys.recipients, &told.0), name(&told.0, &keys.recipients));
                match (more.as_str(), fewer.as_str()) {
                    ("", "") => return Ok(()),
                    (more, "") => format!("it is encrypted to {more} as well, who is not configured"),
                    ("", fewer) => format!("it is not encrypted to {fewer}, who is configured"),
                    (more, fewer) => format!("it is encrypted to {more}, who is not configured, and not to {fewer}"),
                }
            }
        };
        Err(ArchiveError::OtherRecipients { place, what })
    }

    /// Tells whether an encrypted archive was made, but its making was stopped before it had keys, and before anything else was
    /// written. [`crate::init`] finishes it.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] if its first file of keys is missing although the archive is in use, and those of the store.
    pub async fn lacks_keys(&self) -> Result<bool, ArchiveError> {
        Ok(self.identity.encrypted && unfinished(&self.store).await?)
    }

    /// Reads the files of keys, each of which follows the one before. Whether whoever wrote them knew the archive's root key
    /// is known only if the archive is open: [`Self::is_unlocked`].
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] if one is damaged or missing, and those of the store. None if the archive is not encrypted.
    pub async fn key_files(&self) -> Result<Vec<KeyFile>, ArchiveError> {
        if !self.identity.encrypted {
            return Ok(Vec::new());
        }
        let files = read_all(&self.store, &self.identity, self.root).await?;
        Ok(files.into_iter().map(|file| file.members.shown()).collect())
    }

    /// Has everything that is written from now on encrypted to other recipients. What is there stays as it is: whoever could read
    /// it still can.
    ///
    /// A writer that is running goes on with the recipients that it began with.
    ///
    /// # Errors
    /// [`ArchiveError::Input`] if the archive is not encrypted, [`ArchiveError::Locked`] if it is not open,
    /// [`ArchiveError::Unavailable`] if somebody else did so at the same time, and those of the store.
    pub async fn encrypt_to(
        &self,
        recipients: &Recipients,
        now: Timestamp,
        software: &str,
    ) -> Result<KeyFile, ArchiveError> {
        let place = self.store.place();
        let keys = match &self.lock {
            Lock::Open(keys) => keys,
            Lock::Plain => return Err(ArchiveError::Input { reason: format!("{place} is not encrypted") }),
            Lock::Shut => return Err(ArchiveError::Locked { what: format!("{place} is encrypted, and not open") }),
        };
        let files = read_all(&self.store, &self.identity, self.root).await?;
        let newest = files.last().ok_or_else(|| missing(1))?;
        // Who lost files must not make others in their place: what stands behind them would never fit again.
        for behind in newest.members.n + 2..=newest.members.n + left::HOLE {
            if self.store.size(&paths::keys(behind)).await?.is_some() {
                return Err(missing(newest.members.n + 1));
            }
        }
        let valid_from = now.max(newest.members.valid_from);
        let members = Members {
            archive: self.identity.archive,
            n: newest.members.n + 1,
            prev: Digest::of(&newest.bytes),
            recipients: recipients.0.clone(),
            valid_from,
            software: software.to_owned(),
            root_key: wrapped(&keys.root, &recipients.0, keys.seed.as_ref().ok_or_else(read_only)?)?,
        };
        write(&self.store, members.n, &members.to_bytes(&keys.root)?).await?;
        Ok(members.shown())
    }
}

/// Tells whether the making of an encrypted archive was stopped before it had keys. If anything was written to it, it had keys: a
/// new root key would make all of that worthless, and could not be taken back.
pub(crate) async fn unfinished(store: &Store) -> Result<bool, ArchiveError> {
    if store.size(&paths::keys(1)).await?.is_some() {
        return Ok(false);
    }
    let in_use = |found: &str| {
        let detail = format!("it is not there, although the archive is in use: it holds {found}");
        Err(damaged(1, Fault::new(Code::Missing, detail)))
    };
    // A listing is only a hint.
    for name in [paths::segment(1), paths::manifest(1), paths::keys(2)] {
        if store.size(&name).await?.is_some() {
            return in_use(&name);
        }
    }
    match store.first_name(|name| name != paths::IDENTITY && !name.starts_with(paths::PROBE)).await? {
        None => Ok(true),
        // Whoever makes it may have written it in between.
        Some(found) if found == paths::keys(1) => Ok(false),
        Some(found) => in_use(&found),
    }
}

/// Writes the first file of an archive that has none; `bytes` are those of its `archive.json`.
pub(crate) async fn begin(
    store: &Store,
    identity: &Identity,
    bytes: &[u8],
    new: &NewKeys,
    software: &str,
) -> Result<(), ArchiveError> {
    write(store, 1, &first(identity, bytes, new, software)?).await
}

/// Returns the first file of an archive.
pub(crate) fn first(identity: &Identity, bytes: &[u8], new: &NewKeys, software: &str) -> Result<Bytes, ArchiveError> {
    let root = RootKey(Zeroizing::new(new.root_key));
    let members = Members {
        archive: identity.archive,
        n: 1,
        prev: Digest::of(bytes),
        recipients: new.recipients.0.clone(),
        valid_from: identity.created,
        software: software.to_owned(),
        root_key: wrapped(&root, &new.recipients.0, &Seed::new(new.seed))?,
    };
    members.to_bytes(&root)
}

fn wrapped(root: &RootKey, recipients: &[Recipient], seed: &Seed) -> Result<Vec<u8>, ArchiveError> {
    let drawn = seed.draw(&*root.0, recipients.len());
    let sealed = age::seal(&*root.0, recipients, &drawn).map_err(|reason| ArchiveError::Input { reason })?;
    Ok(sealed.0)
}

async fn write(store: &Store, n: u64, bytes: &Bytes) -> Result<(), ArchiveError> {
    match store.settle(&paths::keys(n), bytes).await? {
        None => Ok(()),
        Some(_) => {
            let source = "somebody else wrote it at the same time".into();
            Err(ArchiveError::Unavailable { what: format!("write {}", paths::keys(n)), source })
        }
    }
}

/// Reads all files, and that each follows the one before; the first one `root`, the `archive.json` that was read.
async fn read_all(store: &Store, identity: &Identity, root: Digest) -> Result<Vec<Found>, ArchiveError> {
    let mut prev = root;
    let mut files: Vec<Found> = Vec::new();
    for n in 1..=MOST {
        let Some(bytes) = store.get(&paths::keys(n), limits::KEYS).await? else {
            if n > 1 && store.size(&paths::keys(n + 1)).await?.is_some() {
                return Err(missing(n));
            }
            break;
        };
        let members = follow(&bytes, identity.archive, n, prev, files.last()).map_err(|fault| damaged(n, fault))?;
        prev = Digest::of(&bytes);
        files.push(Found { members, bytes });
    }
    if files.is_empty() { Err(missing(1)) } else { Ok(files) }
}

fn follow(bytes: &[u8], archive: Uuid, n: u64, prev: Digest, before: Option<&Found>) -> Checked<Members> {
    let members = Members::parse(bytes)?.belongs(archive, n)?;
    let wrong = |code, detail: &str| Err(Fault::new(code, detail));
    if members.prev != prev {
        return wrong(Code::Chain, "it does not follow the one before it");
    }
    if before.is_some_and(|before| members.valid_from < before.members.valid_from) {
        return wrong(Code::Time, "it is older than the one before it");
    }
    Ok(members)
}

/// Reads one file by itself, and returns the root key.
#[cfg(test)]
pub(crate) fn check(bytes: &[u8], archive: Uuid, n: u64, prev: Digest, own: &[SecretKey]) -> Checked<RootKey> {
    let members = follow(bytes, archive, n, prev, None)?;
    let root = members.root_key(own)?;
    members.verify(bytes, &root)?;
    Ok(root)
}

fn read_only() -> ArchiveError {
    ArchiveError::Input { reason: "the archive was opened for reading only".into() }
}

fn locked(place: &str) -> ArchiveError {
    ArchiveError::Locked { what: format!("no identity that was given opens {place}") }
}

fn missing(n: u64) -> ArchiveError {
    damaged(n, Fault::new(Code::Missing, "it is not there"))
}

fn damaged(n: u64, fault: Fault) -> ArchiveError {
    fault.in_object(paths::keys(n), None).into()
}

#[cfg(test)]
mod tests;
