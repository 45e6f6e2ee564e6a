//! The fingerprint of an archive's root key: what tells an archive from one that somebody else made for the same recipients.
//!
//! Does not: remember any.

use std::{fmt, str::FromStr};

use crate::{Archive, ArchiveError, format::home::Lock};

/// The fingerprint of an archive's root key: 16 bytes that everybody may see, and that nobody can make who does not know the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub(crate) [u8; 16]);

/// Why a text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no fingerprint: that has 32 digits 0-9 and a-f, as `kubectl vmrewind key list --identity FILE` prints it"
)]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let plain = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| plain).ok_or(FingerprintError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Archive {
    /// Returns the fingerprint of the root key; none if the archive is not encrypted, or not open.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.lock {
            Lock::Open(keys) => Some(keys.root.fingerprint(self.identity.archive)),
            Lock::Plain | Lock::Shut => None,
        }
    }

    /// Checks that the archive is the one whose root key the caller was told. Recipients are public: anybody can make an archive
    /// with the same UUID for the same recipients, and only this tells it from ours.
    ///
    /// # Errors
    /// [`ArchiveError::OtherKey`], also if it is not encrypted, or not open.
    pub fn pinned_to(&self, told: Fingerprint) -> Result<(), ArchiveError> {
        let what = match self.fingerprint() {
            Some(found) if found == told => return Ok(()),
            Some(found) => format!("the fingerprint of its key is {found}, and should be {told}"),
            None if self.identity.encrypted => {
                format!("it is not open, and the fingerprint of its key should be {told}")
            }
            None => format!("it is not encrypted, and the fingerprint of its key should be {told}"),
        };
        Err(ArchiveError::OtherKey { place: self.store.place().to_owned(), what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_written_in_one_way_only() {
        let text = "000102030405060708090a0b0c0d0eff";
        let read = text.parse::<Fingerprint>().expect("a fingerprint");
        assert_eq!((read.to_string().as_str(), read.0[15]), (text, 255));
        for text in ["", &text[1..], &format!("{text}0"), &text.to_uppercase(), &format!("+{}", &text[1..])] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }
}
