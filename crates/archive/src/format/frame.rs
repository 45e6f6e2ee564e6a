//! zstd frames as the format allows them: sized, checked, small window, no dictionary.
//!
//! Does not: stream; a frame is small enough to be held.

use std::io;

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::{CParameter, find_frame_compressed_size},
};

use super::{
    Code,
    fault::{Checked, Fault, demand},
    limits,
};

/// Compression level of log segments, which are written while somebody waits.
const LOG_LEVEL: i32 = 3;

/// Compression level of history: the last one whose gain is worth its time.
const HISTORY_LEVEL: i32 = 9;

/// Compresses frames one after the other.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> io::Result<Self> {
        Self::of_level(LOG_LEVEL)
    }

    /// Compresses harder and more slowly.
    pub(crate) fn for_history() -> io::Result<Self> {
        Self::of_level(HISTORY_LEVEL)
    }

    fn of_level(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
        Ok(Self(compressor))
    }

    /// Compresses `content` into one frame.
    pub(crate) fn pack(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        self.0.compress(content)
    }
}

/// Decompresses frames one after the other.
pub(crate) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(crate) fn new() -> Checked<Self> {
        Decompressor::new().map(Self).map_err(|error| Fault::new(Code::Zstd, format!("no decompressor: {error}")))
    }

    /// Decompresses exactly one frame that must hold `length` bytes. Takes no more memory than that.
    pub(crate) fn unpack(&mut self, frame: &[u8], length: u64) -> Checked<Vec<u8>> {
        let header = FrameHeader::parse(frame)?;
        demand(header.content == length, Code::Zstd, "the frame has another content size than it should")?;
        demand(header.window <= limits::WINDOW, Code::Zstd, "the window is too large")?;
        let end = find_frame_compressed_size(frame).map_err(|_| Fault::new(Code::Zstd, "the frame is broken"))?;
        demand(end == frame.len(), Code::Zstd, "the frame does not end where it should")?;
        let capacity = usize::try_from(length).map_err(|_| Fault::new(Code::Limit, "the frame is too large"))?;
        let content = self
            .0
            .decompress(frame, capacity)
            .map_err(|error| Fault::new(Code::Zstd, format!("the frame does not decompress: {error}")))?;
        demand(content.len() == capacity, Code::Zstd, "the frame holds less than it says")?;
        Ok(content)
    }
}

/// What the header of a frame says (RFC 8878, section 3.1.1.1).
pub(crate) struct FrameHeader {
    /// Size of the content.
    pub(crate) content: u64,
    /// Memory needed to decompress it as a stream.
    window: u64,
}

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

impl FrameHeader {
    /// Reads the header and refuses what the format does not allow.
    pub(crate) fn parse(frame: &[u8]) -> Checked<Self> {
        let short = || Fault::new(Code::Zstd, "the frame is too short");
        let rest = frame.strip_prefix(&MAGIC).ok_or_else(|| Fault::new(Code::Zstd, "not a zstd frame"))?;
        let (&descriptor, rest) = rest.split_first().ok_or_else(short)?;
        demand(descriptor & 0b0000_0011 == 0, Code::Zstd, "the frame names a dictionary")?;
        demand(descriptor & 0b0000_0100 != 0, Code::Zstd, "the frame has no checksum")?;
        demand(descriptor & 0b0001_1000 == 0, Code::Zstd, "a reserved bit of the frame is set")?;
        let single = descriptor & 0b0010_0000 != 0;
        let (window, rest) = if single {
            (None, rest)
        } else {
            let (&byte, rest) = rest.split_first().ok_or_else(short)?;
            let base = 1_u64 << (10 + (byte >> 3));
            (Some(base + base / 8 * u64::from(byte & 7)), rest)
        };
        let bytes = |n: usize| {
            let field = rest.get(..n).ok_or_else(short)?;
            Ok(field.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)))
        };
        let content = match (descriptor >> 6, single) {
            (0, false) => return Err(Fault::new(Code::Zstd, "the frame has no content size")),
            (0, true) => bytes(1)?,
            (1, _) => bytes(2)? + 256,
            (2, _) => bytes(4)?,
            _ => bytes(8)?,
        };
        Ok(Self { content, window: window.unwrap_or(content) })
    }
}
