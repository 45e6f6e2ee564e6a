//! Which archive bytes are to be of, and how its bodies are written and read: plain, or as age files.
//!
//! Does not: fetch keys; see `crate::keys`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;
use vmrewind_model::Digest;
use zeroize::Zeroizing;

use super::{
    Code,
    age::{self, Drawn, Opener, Recipient, SecretKey},
    decode::position,
    fault::{Checked, Fault, demand},
    footer::{Footer, flag},
    public,
};
use crate::Fingerprint;

/// What a keyed hash is for: its first byte.
mod purpose {
    pub(super) const ROOT: u8 = 1;
    pub(super) const INDEX: u8 = 2;
    pub(super) const KEYS: u8 = 3;
    pub(super) const MANIFEST: u8 = 4;
    pub(super) const FINGERPRINT: u8 = 5;
    pub(super) const FILE_KEY: u8 = 16;
    pub(super) const NONCE: u8 = 17;
    pub(super) const EPHEMERAL: u8 = 18;
    pub(super) const DRAW: u8 = 19;
}

/// The key of the hashes that an encrypted archive shows: without it nobody can try out what was hashed, or make an object that
/// a reader takes for one of the archive's.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RootKey(pub(crate) Zeroizing<[u8; 32]>);

impl RootKey {
    /// Hashes the check of a file below `keys/`.
    pub(crate) fn of_keys(&self, covered: &[u8]) -> Digest {
        Digest(*keyed(&self.0, purpose::KEYS, &[covered]))
    }

    /// Returns what tells this key from another one, for the archive `archive`.
    pub(crate) fn fingerprint(&self, archive: Uuid) -> Fingerprint {
        let mut first = [0; 16];
        first.copy_from_slice(&keyed(&self.0, purpose::FINGERPRINT, &[archive.as_bytes()])[..16]);
        Fingerprint(first)
    }
}

fn keyed(key: &[u8; 32], purpose: u8, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(&[purpose]);
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Where randomness comes from: a secret that was drawn once per process. What is made of it also depends on what is sealed, so
/// that a process that is copied with its memory does not seal two contents with one key.
pub(crate) struct Seed {
    secret: Zeroizing<[u8; 32]>,
    drawn: AtomicU64,
}

impl Seed {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret: Zeroizing::new(secret), drawn: AtomicU64::new(0) }
    }

    /// Draws all that is random in one file.
    pub(crate) fn draw(&self, content: &[u8], recipients: usize) -> Drawn {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let Digest(hash) = Digest::of(content);
        let one = keyed(&self.secret, purpose::DRAW, &[&n.to_le_bytes(), &hash]);
        let mut file_key = Zeroizing::new([0; 16]);
        file_key.copy_from_slice(&keyed(&one, purpose::FILE_KEY, &[])[..16]);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&keyed(&one, purpose::NONCE, &[])[..16]);
        let numbers = 0..u64::try_from(recipients).unwrap_or(u64::MAX);
        let ephemeral = numbers.map(|n| keyed(&one, purpose::EPHEMERAL, &[&n.to_le_bytes()])).collect();
        Drawn { file_key, nonce, ephemeral }
    }
}

/// What is needed to write to and read from an encrypted archive.
pub(crate) struct Keys {
    /// Whom new objects are encrypted to.
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) root: RootKey,
    /// What opens objects.
    pub(crate) own: Vec<SecretKey>,
    /// None if nothing is to be written.
    pub(crate) seed: Option<Seed>,
}

/// How the bodies of an archive are written and read.
#[derive(Clone)]
pub(crate) enum Lock {
    /// They are not encrypted.
    Plain,
    /// They are encrypted, and nothing is there that opens them.
    Shut,
    /// They are encrypted.
    Open(Arc<Keys>),
}

/// Which archive bytes are to be of, and how they are written and read.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) archive: Uuid,
    pub(crate) lock: Lock,
}

impl From<Uuid> for Home {
    fn from(archive: Uuid) -> Self {
        Self { archive, lock: Lock::Plain }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Shut => "Shut",
            Self::Open(_) => "Open",
        })
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("archive", &self.archive).field("lock", &self.lock).finish()
    }
}

/// The body of an object as it is stored.
pub(crate) struct Stored {
    pub(crate) bytes: Vec<u8>,
    /// Length of its age header; 0 if it is plain.
    pub(crate) header: u32,
}

impl Home {
    /// Checks that an object is of this archive, and encrypted if and only if its objects are.
    pub(crate) fn owns(&self, footer: &Footer) -> Checked<()> {
        demand(footer.archive == self.archive, Code::Archive, "it belongs to another archive")?;
        match (&self.lock, footer.has(flag::ENCRYPTED)) {
            (Lock::Plain, true) => {
                Err(Fault::new(Code::Encrypted, "it is encrypted, but the archive says that nothing in it is"))
            }
            (Lock::Shut | Lock::Open(_), false) => {
                Err(Fault::new(Code::Plain, "it is not encrypted, but everything in this archive must be"))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether bodies are encrypted.
    pub(crate) fn is_sealed(&self) -> bool {
        !matches!(self.lock, Lock::Plain)
    }

    fn keys(&self) -> Checked<Option<&Keys>> {
        match &self.lock {
            Lock::Plain => Ok(None),
            Lock::Shut => Err(Fault::new(Code::NoKey, "it is encrypted, and no identity was given that opens it")),
            Lock::Open(keys) => Ok(Some(keys)),
        }
    }

    /// Returns the event root as it is shown.
    pub(crate) fn root(&self, Digest(root): Digest) -> Checked<Digest> {
        let keys = self.keys()?;
        Ok(Digest(keys.map_or(root, |keys| *keyed(&keys.root.0, purpose::ROOT, &[&root]))))
    }

    /// Returns the hash of the index frame as it is shown. In an encrypted archive it vouches for the footer and, by their
    /// hashes, for everything else.
    pub(crate) fn index_hash(&self, footer: &Footer, public: &[u8], frame: &[u8]) -> Checked<Digest> {
        let Some(keys) = self.keys()? else { return Ok(Digest::of(frame)) };
        let footer = footer.to_bytes();
        let parts = [&footer[16..256], &footer[288..304], public::declared(public), frame];
        Ok(Digest(*keyed(&keys.root.0, purpose::INDEX, &parts)))
    }

    /// Tells whether whoever knows no key of the archive could have made what passes its checks: not if it is encrypted and open.
    pub(crate) fn vouches(&self) -> bool {
        matches!(self.lock, Lock::Open(_))
    }

    /// Returns the check of a manifest over all that stands before it; none if manifests have none, or if it cannot be told.
    pub(crate) fn manifest_mac(&self, covered: &[u8]) -> Option<Digest> {
        let Lock::Open(keys) = &self.lock else { return None };
        Some(Digest(*keyed(&keys.root.0, purpose::MANIFEST, &[covered])))
    }

    /// Returns a body as it is stored.
    pub(crate) fn seal(&self, body: Vec<u8>) -> Result<Stored, String> {
        let keys = self.keys().map_err(|fault| fault.detail)?;
        let Some(keys) = keys else { return Ok(Stored { bytes: body, header: 0 }) };
        let seed =
            keys.seed.as_ref().ok_or("it was opened for reading only: there is no randomness to encrypt with")?;
        let drawn = seed.draw(&body, keys.recipients.len());
        let (bytes, header) = age::seal(&body, &keys.recipients, &drawn)?;
        Ok(Stored { bytes, header })
    }

    /// Returns what opens the body of an object that begins with `front`; none if it is plain.
    pub(crate) fn opener(&self, front: &[u8], footer: &Footer) -> Checked<Option<Opener>> {
        let Some(keys) = self.keys()? else { return Ok(None) };
        age::open(front, footer.encryption_header, footer.content(), &keys.own).map(Some)
    }

    /// Returns the body of an object.
    pub(crate) fn body(&self, object: &Bytes, footer: &Footer) -> Checked<Bytes> {
        let Some(opener) = self.opener(object, footer)? else {
            return Ok(object.slice(..position(footer.body_length)?));
        };
        let stored = opener.stored(0..footer.content());
        let stored = object.slice(position(stored.start)?..position(stored.end)?);
        opener.open(0..footer.content(), &stored).map(Bytes::from)
    }

    /// As [`Self::body`], but of a damaged object: zeros stand for what does not open.
    pub(crate) fn body_left(&self, object: &Bytes, footer: &Footer) -> Checked<Bytes> {
        match self.opener(object, footer)? {
            None => Ok(object.slice(..position(footer.body_length)?)),
            Some(opener) => Ok(opener.open_what_is_left(object).into()),
        }
    }
}
