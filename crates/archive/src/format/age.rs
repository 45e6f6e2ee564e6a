//! The age file format, version 1, with X25519 recipients: what bodies of encrypted archives are. See
//! <https://github.com/C2SP/C2SP/blob/main/age.md> and `spec/encryption.md`.
//!
//! Randomness comes in, so that a segment's bytes are fixed once they are made; and any range of a body can be opened by
//! itself. (`docs/decisions/0012-age-files-by-our-own-hand.md` tells why no library does it.)
//!
//! Does not: know passphrases, SSH keys or plugins, or what it is that is encrypted.

mod header;
mod key;
mod stream;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

pub use key::{KeyError, Recipient, SecretKey};
pub(crate) use stream::{Opener, sealed};

use super::{
    Code,
    fault::{Checked, Fault, demand},
    limits,
};

/// The key of one file, from which all others of it follow.
pub(crate) type FileKey = Zeroizing<[u8; 16]>;

/// Returns 32 bytes that follow from a secret, for one purpose.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut *out).expect("32 bytes are few enough for HKDF");
    out
}

/// All that is random in one file.
pub(crate) struct Drawn {
    pub(crate) file_key: FileKey,
    pub(crate) nonce: [u8; 16],
    /// One for each recipient.
    pub(crate) ephemeral: Vec<Zeroizing<[u8; 32]>>,
}

/// Encrypts `content` to `recipients`; returns the file, and the length of its header.
///
/// # Errors
/// If there are no recipients, or too many, or one of them is no point that hides anything.
pub(crate) fn seal(content: &[u8], recipients: &[Recipient], drawn: &Drawn) -> Result<(Vec<u8>, u32), String> {
    if recipients.is_empty() || recipients.len() > limits::RECIPIENTS {
        return Err(format!("{} recipients: an age file has 1 to {}", recipients.len(), limits::RECIPIENTS));
    }
    let mut out = header::write(&drawn.file_key, recipients, &drawn.ephemeral)?;
    let length = u32::try_from(out.len()).map_err(|error| error.to_string())?;
    stream::seal(&mut out, content, &drawn.file_key, &drawn.nonce);
    Ok((out, length))
}

/// Opens the header, which is exactly the first `length` bytes of `front`, and returns what opens the rest: `sealed(content)`
/// bytes behind header and nonce.
pub(crate) fn open(front: &[u8], length: u32, content: u64, keys: &[SecretKey]) -> Checked<Opener> {
    let (length, cut) = (length as usize, || Fault::new(Code::Age, "the age header is cut"));
    demand(length <= limits::AGE_HEADER, Code::Age, "the age header is too long")?;
    let header = front.get(..length).ok_or_else(cut)?;
    let nonce = front.get(length..length + 16).ok_or_else(cut)?;
    let file_key = header::read(header, keys)?;
    Ok(Opener::new(&file_key, nonce, length as u64 + 16, content))
}

/// Opens a whole file of which nothing but its bytes is known.
pub(crate) fn open_file(file: &[u8], keys: &[SecretKey]) -> Checked<Zeroizing<Vec<u8>>> {
    let length = header::length(file)?;
    let stored = (file.len() as u64).checked_sub(u64::from(length) + 16);
    let content = stored.and_then(stream::content);
    let content = content.ok_or_else(|| Fault::new(Code::Age, "the age file is cut"))?;
    let opener = open(file, length, content, keys)?;
    let stored = opener.stored(0..content);
    let start = usize::try_from(stored.start).map_err(|_| Fault::new(Code::Age, "the age file is too large"))?;
    opener.open(0..content, &file[start..]).map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
