//! The tar profile: ustar, plain files, everything but name and size fixed.
//!
//! Does not: unpack to disk, or know any extension of tar.

use tar::{EntryType, Header};

use super::{
    Code,
    fault::{Checked, Fault, demand},
    limits,
};

const BLOCK: usize = 512;

/// The two zero blocks that end a tar file.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Returns the header block of a member; `None` if the name does not fit into it.
pub(crate) fn header(name: &str, size: u64) -> Option<[u8; BLOCK]> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() >= 100 || size > limits::MEMBER || !bytes.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Some(*header.as_bytes())
}

/// Appends a member to `out`.
///
/// # Panics
/// If the name or the size breaks the profile; both are made by this crate.
pub(crate) fn append(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    let header = header(name, content.len() as u64).expect("member names and sizes of this crate fit the profile");
    out.extend_from_slice(&header);
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// A member inside of the content of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where its content lies.
    pub(crate) content: std::ops::Range<usize>,
    /// Where the next member begins.
    pub(crate) end: usize,
}

/// Reads the member that begins at `at`.
pub(crate) fn member(frame: &[u8], at: usize) -> Checked<Member> {
    let broken = |detail: &str| Fault::new(Code::Tar, detail);
    let block = frame.get(at..at + BLOCK).ok_or_else(|| broken("a tar header is cut"))?;
    let name = block[..100].split(|&byte| byte == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| broken("a member name is not ASCII"))?;
    let digits = std::str::from_utf8(&block[124..135]).map_err(|_| broken("a member size is not octal"))?;
    demand(digits.bytes().all(|c| matches!(c, b'0'..=b'7')), Code::Tar, "a member size is not octal")?;
    let size = u64::from_str_radix(digits, 8).map_err(|_| broken("a member size is not octal"))?;
    let expected = header(name, size).ok_or_else(|| broken("a member has a bad name or is too large"))?;
    demand(block == expected, Code::Tar, "a tar header is not as the profile demands")?;
    let start = at + BLOCK;
    let size = usize::try_from(size).map_err(|_| broken("a member is too large"))?;
    let end = start + size.next_multiple_of(BLOCK);
    let padding = frame.get(start + size..end).ok_or_else(|| broken("a member runs over the end of its frame"))?;
    demand(padding.iter().all(|&byte| byte == 0), Code::Tar, "the padding of a member is not zero")?;
    Ok(Member { name: name.to_owned(), content: start..start + size, end })
}
