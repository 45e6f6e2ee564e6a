//! Tarballs whose bytes depend on nothing but what is in them.
//!
//! Does not: know what the files are.

use std::io::{self, Write};

use flate2::{GzBuilder, write::GzEncoder};
use tar::{Builder, EntryType, Header};
use vmrewind_model::Timestamp;

use crate::error::CliError;

/// How a tarball is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// `.tar.gz`.
    Gzip,
    /// `.tar.zst`.
    Zstd,
}

/// Level of zstd: objects are small and alike, so that more than this takes time and saves little.
const LEVEL: i32 = 9;

/// A tarball that is being written.
pub(crate) struct Pack<'a> {
    tar: Builder<Packer<'a>>,
    mode: u32,
    mtime: u64,
}

enum Packer<'a> {
    Gzip(GzEncoder<&'a mut dyn Write>),
    Zstd(zstd::stream::write::Encoder<'static, &'a mut dyn Write>),
}

impl Write for Packer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

impl<'a> Pack<'a> {
    /// Begins a tarball whose files all have this mode and were all changed at `t`.
    ///
    /// # Errors
    /// If the compressor cannot be made.
    pub(crate) fn new(out: &'a mut dyn Write, packing: Packing, mode: u32, t: Timestamp) -> Result<Self, CliError> {
        let packer = match packing {
            Packing::Gzip => Packer::Gzip(gzip(out)),
            Packing::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, LEVEL)?;
                encoder.include_checksum(true)?;
                Packer::Zstd(encoder)
            }
        };
        let mtime = u64::try_from(t.micros() / 1_000_000).unwrap_or(0);
        Ok(Self { tar: Builder::new(packer), mode, mtime })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn add(&mut self, path: &str, content: &[u8]) -> Result<(), CliError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(self.mode);
        header.set_mtime(self.mtime);
        header.set_size(content.len() as u64);
        Ok(self.tar.append_data(&mut header, path, content)?)
    }

    /// Ends the tarball.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self.tar.into_inner()? {
            Packer::Gzip(out) => out.finish()?.flush()?,
            Packer::Zstd(out) => out.finish()?.flush()?,
        }
        Ok(())
    }
}

/// Compresses without a name and without a time.
fn gzip<W: Write>(out: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).write(out, flate2::Compression::default())
}

/// Returns the bytes of a compressed file.
///
/// # Errors
/// None that happen in memory.
pub(crate) fn gzipped(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = gzip(Vec::new());
    out.write_all(content)?;
    out.finish()
}

/// Makes a part of a path out of a name of the cluster.
///
/// # Errors
/// If it would mean something else as part of a path.
pub(crate) fn part(name: &str) -> Result<&str, CliError> {
    let plain = !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['/', '\\', '\0', '\n']);
    if plain { Ok(name) } else { Err(CliError::usage(format!("the name {name:?} cannot be part of a path."))) }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn packed(packing: Packing) -> Vec<u8> {
        let mut bytes = Vec::new();
        let t = "2026-11-22T10:00:00Z".parse().expect("a time");
        let mut pack = Pack::new(&mut bytes, packing, 0o600, t).expect("begun");
        pack.add("a.json", b"{}").expect("added");
        pack.add(&format!("{}/b.json", "long".repeat(60)), b"[1]").expect("added");
        pack.finish().expect("ended");
        bytes
    }

    #[test]
    fn the_same_files_are_the_same_bytes_and_long_names_survive() {
        for packing in [Packing::Gzip, Packing::Zstd] {
            let bytes = packed(packing);
            assert_eq!(bytes, packed(packing));
            let reader: Box<dyn io::Read> = match packing {
                Packing::Gzip => Box::new(flate2::read::GzDecoder::new(&bytes[..])),
                Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(&bytes[..]).expect("zstd")),
            };
            let mut tar = tar::Archive::new(reader);
            let files: Vec<(String, String)> = tar
                .entries()
                .expect("a tarball")
                .map(|entry| {
                    let mut entry = entry.expect("an entry");
                    let mut text = String::new();
                    entry.read_to_string(&mut text).expect("text");
                    assert_eq!(entry.header().mtime().expect("a time"), 1_795_341_600);
                    (entry.path().expect("a path").display().to_string(), text)
                })
                .collect();
            assert_eq!(files[0], ("a.json".to_owned(), "{}".to_owned()));
            assert_eq!((files[1].0.len(), files[1].1.as_str()), (247, "[1]"));
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_no_parts_of_paths() {
        for name in ["", ".", "..", "a/b", "a\\b", "a\0", "a\nb"] {
            assert!(part(name).is_err(), "{name:?}");
        }
        assert_eq!(part("system:node").expect("a part"), "system:node");
    }
}
