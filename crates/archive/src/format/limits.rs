//! Limits of the format: writers stay within them, readers check them before they take memory.
//!
//! Does not: hold settings; every archive has the same limits.

use vmrewind_model::canonical;

/// Bytes of `archive.json`.
pub(crate) const IDENTITY: u64 = 64 * KIB;
/// Bytes of a segment as stored.
pub(crate) const SEGMENT: u64 = 128 * MIB;
/// Content of all data frames of a segment.
pub(crate) const CONTENT: u64 = 64 * MIB;
/// Content of all data frames of a history bundle.
pub(crate) const HISTORY_CONTENT: u64 = 2048 * MIB;
/// Records of a window.
pub(crate) const WINDOW_RECORDS: u64 = 1 << 26;
/// Parts of a window.
pub(crate) const PARTS: usize = 4096;
/// Bytes of a manifest.
pub(crate) const MANIFEST: u64 = 16 * MIB;
/// Content of one data frame.
pub(crate) const FRAME: u64 = 32 * MIB;
/// Content of one tar member.
pub(crate) const MEMBER: u64 = 16 * MIB;
/// Content of the index frame.
pub(crate) const INDEX: u64 = 16 * MIB;
/// JSON of the public frame.
pub(crate) const PUBLIC: u64 = 16 * MIB;
/// Bytes of `meta.json`.
pub(crate) const META: usize = 64 * 1024;
/// A line without its object.
pub(crate) const HEAD: usize = 8 * 1024;
/// The elements of a key together.
pub(crate) const KEY: usize = 1024;
/// A reason, or details of a gap or a resource, in bytes.
pub const TEXT: usize = 1024;
/// An object.
pub(crate) const OBJECT: usize = canonical::MAX_BYTES;
/// Window of a zstd frame.
pub(crate) const WINDOW: u64 = 8 * MIB;
/// Slots, seqs and epochs.
pub(crate) const NUMBER: u64 = i64::MAX as u64;
/// A writer starts a new member of lines when one has reached this size.
pub(crate) const CUT: usize = 4 * 1024 * 1024;

/// Recipients of an age file.
pub(crate) const RECIPIENTS: usize = 16;
/// Header of an age file.
pub(crate) const AGE_HEADER: usize = 4 * 1024;
/// A file below `keys/`.
pub(crate) const KEYS: u64 = 64 * KIB;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// Records of a segment: no line is shorter than 32 bytes, and all of them are at most [`CONTENT`].
pub(crate) const RECORDS: u64 = CONTENT / 32;

/// Most slots that a checkpoint was made without, and that are looked for to use one.
pub(crate) const WITHOUT: u64 = 1 << 16;
