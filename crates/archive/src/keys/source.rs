//! Reading a file of identities from a disk.
//!
//! Does not: refuse one that others can read: where it lies is not always up to whoever runs us.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{KeyError, SecretKey};

/// The largest file that may hold identities, in bytes.
const MOST: u64 = 64 * 1024;

/// Who besides its owner can read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readable {
    /// Nobody, or what is read is no file (a pipe).
    Owner,
    /// Its group.
    Group,
    /// Everybody.
    All,
}

/// What a file of identities holds.
#[derive(Clone, Debug)]
pub struct IdentityFile {
    /// Its keys, at least one.
    pub keys: Vec<SecretKey>,
    /// Who can read it.
    pub readable: Readable,
}

/// Why a file of identities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is longer than such a file is.
    #[error("it is too large")]
    TooLarge,
    /// It holds something else.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl IdentityFile {
    /// Reads a file, or a pipe: never more than 64 KiB of it.
    ///
    /// # Errors
    /// [`IdentityFileError`].
    pub fn open(path: &Path) -> Result<Self, IdentityFileError> {
        let file = File::open(path)?;
        let readable = readable(&file.metadata()?);
        // Room for all of it, so that no copy of a part is left behind in memory.
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MOST + 1).unwrap_or(0)));
        file.take(MOST + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MOST {
            return Err(IdentityFileError::TooLarge);
        }
        Ok(Self { keys: SecretKey::read_file(&text)?, readable })
    }
}

#[cfg(unix)]
fn readable(metadata: &std::fs::Metadata) -> Readable {
    use std::os::unix::fs::PermissionsExt as _;
    match metadata.permissions().mode() {
        mode if !metadata.is_file() || mode & 0o077 == 0 => Readable::Owner,
        mode if mode & 0o007 == 0 => Readable::Group,
        _ => Readable::All,
    }
}

#[cfg(not(unix))]
fn readable(_: &std::fs::Metadata) -> Readable {
    Readable::Owner
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::samples;

    #[test]
    fn who_can_read_a_file_of_identities_is_told_and_no_more_of_it_is_read_than_it_may_have() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        fs::write(&path, samples::secret(1).reveal().as_bytes()).expect("written");
        for (mode, readable) in [
            (0o600, Readable::Owner),
            (0o400, Readable::Owner),
            (0o440, Readable::Group),
            (0o644, Readable::All),
            (0o604, Readable::All),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            let read = IdentityFile::open(&path).expect("a key");
            assert_eq!((read.readable, read.keys.len()), (readable, 1), "{mode:o}");
        }
        // It says of itself that it is empty, and never ends.
        assert!(matches!(IdentityFile::open(Path::new("/dev/zero")), Err(IdentityFileError::TooLarge)));
        let long = dir.path().join("long");
        let filled = |bytes: usize| format!("{}\n#{}", *samples::secret(1).reveal(), "x".repeat(bytes - 76));
        fs::write(&long, filled(64 * 1024)).expect("written");
        assert_eq!(fs::metadata(&long).expect("there").len(), 64 * 1024);
        IdentityFile::open(&long).expect("just not too long");
        fs::write(&long, filled(64 * 1024 + 1)).expect("written");
        assert!(matches!(IdentityFile::open(&long), Err(IdentityFileError::TooLarge)));
    }
}
