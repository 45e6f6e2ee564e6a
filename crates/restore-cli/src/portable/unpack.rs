//! Reads a tarball that somebody else may have made: member by member, within limits, and nothing is written anywhere.
//!
//! Does not: extract, follow links, or know what the members are.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use tar::{EntryType, Header};

use crate::error::{CliError, Kind};

/// Limits of what is read. Memory is bounded by one member and some times the paths; time by the total.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the tarball when it is unpacked.
    pub(crate) total: u64,
    /// Members.
    pub(crate) members: u64,
    /// Bytes of a member whose content is read.
    pub(crate) member: u64,
    /// Bytes of a path.
    pub(crate) path: usize,
    /// Bytes of all paths together: those of objects are kept.
    pub(crate) paths: usize,
    /// Objects that cannot be recorded: they are kept, and named one by one.
    pub(crate) broken: usize,
    /// As [`Self::member`], for the manifest of our own tarballs, which grows with the number of objects.
    pub(crate) manifest: u64,
}

/// What is enough for a million objects, and stops a bomb within minutes.
pub(crate) const LIMITS: Limits = Limits {
    total: 16 << 30,
    members: 4_000_000,
    member: 16 << 20,
    path: 1024,
    paths: 512 << 20,
    broken: 10_000,
    manifest: 256 << 20,
};

/// Bytes of a name that does not fit into a header, or of what else is said of a member.
const EXTRA: u64 = 64 * 1024;
/// Largest window of zstd, as a power of two.
const WINDOW: u32 = 26;
const BLOCK: usize = 512;

/// A regular file in a tarball.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its path: relative, and inside.
    pub(crate) path: String,
    /// When it was changed, in seconds since 1970; 0 if that is not known.
    pub(crate) mtime: u64,
    /// Its content; none if it is larger than the limit.
    pub(crate) content: Option<Vec<u8>>,
}

/// The members of a tarball, in order.
pub(crate) struct Members {
    source: Counted<Box<dyn Read>>,
    limits: Limits,
    count: u64,
    paths: usize,
    ended: bool,
}

/// Counts what is read, and stops at a limit.
struct Counted<R> {
    inner: R,
    read: u64,
    limit: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.read += count as u64;
        if self.read > self.limit {
            return Err(io::Error::other(format!("it is larger than {} bytes when it is unpacked", self.limit)));
        }
        Ok(count)
    }
}

/// Makes an error about the tarball.
fn bad(what: impl std::fmt::Display) -> CliError {
    CliError::new(Kind::Damaged, format!("the file cannot be imported: {what}."))
}

impl Members {
    /// Opens a tarball: compressed with gzip or zstd, or not at all.
    ///
    /// # Errors
    /// If it cannot be read, or is none of these.
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self, CliError> {
        let cannot = |error: io::Error| {
            let kind = if error.kind() == io::ErrorKind::NotFound { Kind::Usage } else { Kind::Unavailable };
            CliError::new(kind, format!("cannot read {}: {error}.", path.display()))
        };
        let read_twice = "import reads FILE twice; save it to a file first.";
        match std::fs::metadata(path) {
            Ok(there) if there.is_dir() => {
                return Err(
                    CliError::usage(format!("{} is a directory.", path.display())).hint("name the tarball in it.")
                );
            }
            Ok(there) if !there.is_file() => {
                return Err(CliError::usage(format!("{} is no regular file.", path.display())).hint(read_twice));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && path == Path::new("-") => {
                return Err(CliError::usage("standard input is no regular file.").hint(read_twice));
            }
            _ => {}
        }
        let mut start = Vec::new();
        File::open(path).map_err(cannot)?.take(BLOCK as u64).read_to_end(&mut start).map_err(cannot)?;
        let file = BufReader::new(File::open(path).map_err(cannot)?);
        Self::of(file, &start, limits)
    }

    fn of(file: impl Read + 'static, start: &[u8], limits: Limits) -> Result<Self, CliError> {
        let inner: Box<dyn Read> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut decoder = zstd::stream::read::Decoder::new(file).map_err(bad)?;
            decoder.window_log_max(WINDOW).map_err(bad)?;
            Box::new(BufReader::new(decoder))
        } else if start.get(257..262) == Some(b"ustar") {
            Box::new(file)
        } else {
            return Err(bad("it is no tarball, neither plain nor compressed with gzip or zstd"));
        };
        let source = Counted { inner, read: 0, limit: limits.total };
        Ok(Self { source, limits, count: 0, paths: 0, ended: false })
    }

    /// Returns the next regular file; none after the last one, when all of the tarball was read.
    ///
    /// # Errors
    /// If the tarball is cut off, damaged, larger than a limit, or holds what no backup holds: links, devices, paths that lead
    /// outside.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, CliError> {
        let (mut name, mut time) = (None::<String>, None::<u64>);
        while !self.ended {
            let Some(header) = self.header()? else {
                self.ended = true;
                if name.is_some() {
                    return Err(bad("it ends after the name of a member"));
                }
                self.drain()?;
                break;
            };
            self.count += 1;
            if self.count > self.limits.members {
                return Err(bad(format!("it has more than {} members", self.limits.members)));
            }
            let size = header.entry_size().map_err(bad)?;
            match header.entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    let plain =
                        || String::from_utf8(header.path_bytes().into_owned()).map_err(|_| bad("a path is not UTF-8"));
                    let path = inside(&name.take().map_or_else(plain, Ok)?)?;
                    self.paths += path.len();
                    if path.len() > self.limits.path {
                        let start: String = path.chars().take(80).collect();
                        let limit = self.limits.path;
                        return Err(bad(format!("the path {start:?}… is longer than {limit} bytes")));
                    }
                    if self.paths > self.limits.paths {
                        return Err(bad(format!("its paths take more than {} bytes", self.limits.paths)));
                    }
                    let mtime = time.take().or_else(|| header.mtime().ok()).unwrap_or(0);
                    let limit = if path == super::manifest::NAME { self.limits.manifest } else { self.limits.member };
                    let content = self.content(size, limit)?;
                    return Ok(Some(Member { path, mtime, content }));
                }
                EntryType::Directory if size == 0 => (name, time) = (None, None),
                EntryType::XHeader => {
                    let extra = self.extra(size)?;
                    let told = extended(&extra)?;
                    name = told.0.or(name);
                    time = told.1.or(time);
                }
                EntryType::XGlobalHeader => {
                    if extended(&self.extra(size)?)?.0.is_some() {
                        return Err(bad("it gives one path to all members"));
                    }
                }
                EntryType::GNULongName => {
                    let mut extra = self.extra(size)?;
                    while extra.last() == Some(&0) {
                        extra.pop();
                    }
                    name = Some(String::from_utf8(extra).map_err(|_| bad("a path is not UTF-8"))?);
                }
                other => {
                    let path = String::from_utf8_lossy(&header.path_bytes()).into_owned();
                    return Err(bad(format!("{path:?} is neither a file nor a directory, but {other:?}")));
                }
            }
        }
        Ok(None)
    }

    /// Reads a header; none at the two zero blocks that end a tarball.
    fn header(&mut self) -> Result<Option<Header>, CliError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            self.fill(&mut block)?;
            return if block.iter().all(|byte| *byte == 0) {
                Ok(None)
            } else {
                Err(bad("it has a hole between its members"))
            };
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum: u32 =
            block.iter().enumerate().map(|(n, byte)| if (148..156).contains(&n) { 32 } else { u32::from(*byte) }).sum();
        if header.cksum().ok() != Some(sum) {
            return Err(bad("the header of a member is damaged"));
        }
        Ok(Some(header))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CliError> {
        self.source.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => bad("it is cut off"),
            _ => bad(format!("it is damaged, or too large: {error}")),
        })
    }

    /// Reads the content of a member and its padding; none if it is larger than `limit`.
    fn content(&mut self, size: u64, limit: u64) -> Result<Option<Vec<u8>>, CliError> {
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        if size > limit {
            self.skip(size.checked_add(padding).ok_or_else(|| bad("a member has an impossible size"))?)?;
            return Ok(None);
        }
        // Memory follows what is really there, not what a header claims.
        let mut content = Vec::new();
        (&mut self.source)
            .take(size)
            .read_to_end(&mut content)
            .map_err(|error| bad(format!("it is damaged: {error}")))?;
        if content.len() as u64 != size {
            return Err(bad("it is cut off"));
        }
        self.skip(padding)?;
        Ok(Some(content))
    }

    fn extra(&mut self, size: u64) -> Result<Vec<u8>, CliError> {
        if size > EXTRA {
            return Err(bad(format!("more than {EXTRA} bytes are said of one member")));
        }
        self.content(size, EXTRA)?.ok_or_else(|| bad("it is cut off"))
    }

    fn skip(&mut self, size: u64) -> Result<(), CliError> {
        let skipped = io::copy(&mut (&mut self.source).take(size), &mut io::sink());
        match skipped {
            Ok(skipped) if skipped == size => Ok(()),
            Ok(_) => Err(bad("it is cut off")),
            Err(error) => Err(bad(format!("it is damaged, or too large: {error}"))),
        }
    }

    /// Reads what is left, so that checksums of the whole are compared: zeros only.
    fn drain(&mut self) -> Result<(), CliError> {
        let mut block = [0; BLOCK];
        loop {
            match self.source.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(count) if block[..count].iter().all(|byte| *byte == 0) => {}
                Ok(_) => return Err(bad("something follows its end")),
                Err(error) => return Err(bad(format!("it is damaged: {error}"))),
            }
        }
    }
}

/// Checks that a path stays inside, and takes the `./` away that some tools put before it.
fn inside(path: &str) -> Result<String, CliError> {
    let plain = path.strip_prefix("./").unwrap_or(path);
    let part = |part: &str| {
        !part.is_empty() && !matches!(part, "." | "..") && !part.contains(|c: char| c == '\\' || c.is_control())
    };
    if plain.split('/').all(part) {
        Ok(plain.to_owned())
    } else {
        let start: String = path.chars().take(80).collect();
        Err(bad(format!("{start:?} is no path inside of it")))
    }
}

/// Reads path and time out of an extended header.
fn extended(bytes: &[u8]) -> Result<(Option<String>, Option<u64>), CliError> {
    let (mut path, mut time) = (None, None);
    let mut rest = bytes;
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ').filter(|at| (1..8).contains(at));
        let digits = blank.and_then(|at| std::str::from_utf8(&rest[..at]).ok());
        let length = digits.and_then(|digits| digits.parse::<usize>().ok());
        let (Some(blank), Some(length)) = (blank, length) else { return Err(bad("an extended header is damaged")) };
        let record = rest.get(blank + 1..length).and_then(|record| record.strip_suffix(b"\n"));
        let text = record.and_then(|record| std::str::from_utf8(record).ok()).and_then(|text| text.split_once('='));
        let Some((name, value)) = text else { return Err(bad("an extended header is damaged")) };
        match name {
            "path" => path = Some(value.to_owned()),
            "mtime" => time = value.split('.').next().and_then(|whole| whole.parse().ok()),
            "size" => return Err(bad("a member is larger than a header can tell")),
            name if name.starts_with("GNU.sparse") => return Err(bad("a member has holes")),
            _ => {}
        }
        rest = &rest[length..];
    }
    Ok((path, time))
}

#[cfg(test)]
mod tests;
