//! The payload: chunks of 64 KiB, each sealed by itself, so that any range can be opened.
//!
//! Does not: read anything; whoever opens a range brings the chunks that hold it.

use std::{fmt, ops::Range};

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::Aead as _};

use super::{FileKey, derive};
use crate::format::{
    Code,
    fault::{Checked, Fault, demand},
};

/// Content of a chunk; the last one may have less.
const CHUNK: u64 = 64 * 1024;

/// What sealing adds to a chunk.
const TAG: u64 = 16;

/// Returns how many bytes so much content takes, without header and nonce. An empty content has one empty chunk.
pub(crate) fn sealed(content: u64) -> u64 {
    content + TAG * content.div_ceil(CHUNK).max(1)
}

/// Returns how much content so many bytes hold; none if no content takes so many.
pub(super) fn content(sealed_bytes: u64) -> Option<u64> {
    let content = sealed_bytes.checked_sub(TAG * sealed_bytes.div_ceil(CHUNK + TAG))?;
    (sealed(content) == sealed_bytes).then_some(content)
}

/// Appends nonce and chunks.
pub(super) fn seal(out: &mut Vec<u8>, content: &[u8], file_key: &FileKey, nonce: &[u8; 16]) {
    out.extend_from_slice(nonce);
    let cipher = cipher(file_key, nonce);
    let mut chunks: Vec<&[u8]> = content.chunks(1 << 16).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    for (n, chunk) in (0_u64..).zip(&chunks) {
        let last = n + 1 == chunks.len() as u64;
        let sealed = cipher.encrypt(&number(n, last).into(), *chunk).expect("a chunk is short enough to be sealed");
        out.extend_from_slice(&sealed);
    }
}

fn cipher(file_key: &FileKey, nonce: &[u8]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new((&*derive(&**file_key, nonce, b"payload")).into())
}

/// The nonce of a chunk: its number, and whether it is the last one.
fn number(n: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&n.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// Opens any range of the content of one file.
#[derive(Clone)]
pub(crate) struct Opener {
    cipher: ChaCha20Poly1305,
    /// Where the first chunk begins.
    start: u64,
    /// Length of the content.
    content: u64,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("start", &self.start).field("content", &self.content).finish_non_exhaustive()
    }
}

impl Opener {
    pub(super) fn new(file_key: &FileKey, nonce: &[u8], start: u64, content: u64) -> Self {
        Self { cipher: cipher(file_key, nonce), start, content }
    }

    /// Returns which chunks hold a range of the content.
    fn chunks(&self, range: &Range<u64>) -> Range<u64> {
        let all = self.content.div_ceil(CHUNK).max(1);
        let first = (range.start / CHUNK).min(all - 1);
        first..range.end.div_ceil(CHUNK).clamp(first + 1, all)
    }

    /// Returns which bytes of the file hold a range of the content: whole chunks.
    pub(crate) fn stored(&self, range: Range<u64>) -> Range<u64> {
        stored(self.start, self.content, &self.chunks(&range))
    }

    /// Opens a range of the content, given the bytes that [`Self::stored`] names.
    pub(crate) fn open(&self, range: Range<u64>, bytes: &[u8]) -> Checked<Vec<u8>> {
        let chunks = self.chunks(&range);
        let outside = || Fault::new(Code::Age, "it ends before its chunks do");
        let place = stored(self.start, self.content, &chunks);
        demand(bytes.len() as u64 == place.end - place.start, Code::Age, "it ends before its chunks do")?;
        let mut content = Vec::with_capacity(bytes.len());
        let step = usize::try_from(CHUNK + TAG).expect("a chunk fits into memory");
        for (n, chunk) in chunks.clone().zip(bytes.chunks(step)) {
            let opened = self.chunk(n, chunk);
            let detail = || format!("chunk {n} was changed, or is none of this file in this place");
            content.extend_from_slice(&opened.ok_or_else(|| Fault::new(Code::Age, detail()))?);
        }
        let from = chunks.start * CHUNK;
        let at = |offset: u64| usize::try_from(offset - from).map_err(|_| outside());
        let (start, end) = (at(range.start)?, at(range.end)?);
        demand(end <= content.len() && start <= end, Code::Age, "it ends before its chunks do")?;
        content.truncate(end);
        content.drain(..start);
        Ok(content)
    }

    /// Opens all of the content of a file that may be damaged: zeros stand where chunks do not open.
    pub(crate) fn open_what_is_left(&self, file: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        for n in self.chunks(&(0..self.content)) {
            let place = stored(self.start, self.content, &(n..n + 1));
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = file.get(at(place.start)..at(place.end)).unwrap_or_default();
            let length = place.end - place.start - TAG;
            let opened = self.chunk(n, bytes).filter(|opened| opened.len() as u64 == length);
            content.extend(opened.unwrap_or_else(|| vec![0; at(length)]));
        }
        content
    }

    fn chunk(&self, n: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let last = (n + 1) * CHUNK >= self.content;
        self.cipher.decrypt(&number(n, last).into(), sealed).ok()
    }
}

/// Returns where chunks lie in the file.
fn stored(start: u64, content: u64, chunks: &Range<u64>) -> Range<u64> {
    let end = start + sealed(content);
    start + chunks.start * (CHUNK + TAG)..end.min(start + chunks.end * (CHUNK + TAG))
}
