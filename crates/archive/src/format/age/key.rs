//! Recipients and secret keys, as text and as bytes.
//!
//! Does not: read files, or print a secret.

use std::{fmt, str::FromStr};

use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

const RECIPIENT: &str = "age";
const SECRET: &str = "age-secret-key-";

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is a key of a kind that this version does not know.
    #[error("{what} cannot be used: only X25519 keys can, which begin with age1 and AGE-SECRET-KEY-1")]
    Kind {
        /// Which kind.
        what: &'static str,
    },
    /// It is none.
    #[error("it is no age recipient")]
    Recipient,
    /// It is none.
    #[error("it is no age secret key")]
    Secret,
    /// A file without any.
    #[error("there is no age secret key in it")]
    Empty,
}

/// Whom something is encrypted to: the public half of a key pair, `age1…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient(pub(super) [u8; 32]);

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Some(what) = other_kind(text) {
            return Err(KeyError::Kind { what });
        }
        let bytes = decode(text, RECIPIENT).map(|bytes| Self(*bytes));
        // There is one way to write it: no upper case, no other bits behind the last byte.
        let recipient = bytes.filter(|recipient| recipient.to_string() == text).ok_or(KeyError::Recipient)?;
        // A point of small order would hide nothing: every secret gives the same.
        let probe = StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(recipient.0));
        if probe.was_contributory() { Ok(recipient) } else { Err(KeyError::Recipient) }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode_lower::<Bech32>(Hrp::parse_unchecked(RECIPIENT), &self.0);
        f.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret half of a key pair, `AGE-SECRET-KEY-1…`: opens what was encrypted to its recipient.
#[derive(Clone)]
pub struct SecretKey(pub(super) StaticSecret);

impl SecretKey {
    /// Makes a key out of 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(StaticSecret::from(random))
    }

    /// Returns whom to encrypt to, so that this key opens it.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0).to_bytes())
    }

    /// Returns the text form. Whoever has it can read everything.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let text = bech32::encode_upper::<Bech32>(Hrp::parse_unchecked(SECRET), &self.0.to_bytes());
        Zeroizing::new(text.expect("32 bytes are few enough for bech32"))
    }

    /// Reads the keys of an identity file, as `age-keygen` writes it: one a line, beside comments and empty lines.
    ///
    /// # Errors
    /// [`KeyError`] if a line is something else, or there is no key.
    pub fn read_file(text: &str) -> Result<Vec<Self>, KeyError> {
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(Self::from_str).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(keys) }
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Some(what) = other_kind(text) {
            return Err(KeyError::Kind { what });
        }
        let key = decode(text, SECRET).map(|bytes| Self(StaticSecret::from(*bytes)));
        key.filter(|key| *key.reveal() == text).ok_or(KeyError::Secret)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.recipient())
    }
}

/// Names the kinds of keys that age knows and this version does not.
fn other_kind(text: &str) -> Option<&'static str> {
    let begins = |prefix: &str| text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let kinds = [
        ("ssh-", "an SSH key"),
        ("-----BEGIN OPENSSH", "an SSH key"),
        ("-----BEGIN RSA", "an SSH key"),
        ("-----BEGIN AGE", "an identity file that is encrypted itself (a passphrase)"),
        ("age-encryption.org/", "an identity file that is encrypted itself (a passphrase)"),
        ("age-plugin-", "a key of a plugin"),
        ("age1pq1", "a post-quantum key"),
        ("age-secret-key-pq-1", "a post-quantum key"),
    ];
    let named = kinds.iter().find(|(prefix, _)| begins(prefix)).map(|(_, what)| *what);
    let plugin = || {
        // age1NAME1…: a recipient of a plugin. The data of our own recipients holds no further 1.
        (begins("age1") && text[4..].contains('1')).then_some("a key of a plugin")
    };
    named.or_else(plugin)
}

fn decode(text: &str, prefix: &str) -> Option<Zeroizing<[u8; 32]>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if !checked.hrp().as_str().eq_ignore_ascii_case(prefix) {
        return None;
    }
    let mut bytes: Vec<u8> = checked.byte_iter().collect();
    let key = <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Zeroizing::new);
    bytes.zeroize();
    key
}
