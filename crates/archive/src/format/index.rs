//! The index of a bundle: which frames it has, and what each holds. The only binary encoding of the archive.
//!
//! Does not: check hashes; the caller checks that of the index frame before it calls [`decode`].

use bincode::{Decode, Encode, config};

use super::{
    Code,
    fault::{Checked, Fault, demand},
};

/// First bytes of an index.
pub(crate) const MAGIC: [u8; 8] = *b"KVBIDX01";

/// More than any index may take, so that a hostile length cannot take memory.
const LIMIT: usize = 16 * 1024 * 1024;

/// What a bundle holds. The order of the fields is that of the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Index {
    pub(crate) magic: [u8; 8],
    pub(crate) members: u64,
    pub(crate) records: u64,
    pub(crate) filter_probes: u8,
    pub(crate) filter_bits: u64,
    pub(crate) filter: Vec<u8>,
    pub(crate) frames: Vec<FrameEntry>,
}

/// What a frame holds. The order of the fields is that of the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FrameEntry {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) content: u32,
    pub(crate) members: u32,
    pub(crate) records: u32,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) first_time: i64,
    pub(crate) last_time: i64,
    pub(crate) sha256: [u8; 32],
    pub(crate) first_key: Vec<u8>,
    pub(crate) last_key: Vec<u8>,
}

fn wire() -> impl config::Config {
    config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

/// Returns the bytes of an index.
pub(crate) fn encode(index: &Index) -> Result<Vec<u8>, String> {
    bincode::encode_to_vec(index, wire()).map_err(|error| error.to_string())
}

/// Reads an index: exactly all bytes, which must be those that the result would be written as.
pub(crate) fn decode(bytes: &[u8]) -> Checked<Index> {
    let broken = |detail: String| Fault::new(Code::Index, detail);
    demand(bytes.len() <= LIMIT, Code::Limit, "the index is too large")?;
    let (index, used): (Index, usize) = bincode::decode_from_slice(bytes, wire())
        .map_err(|error| broken(format!("the index cannot be decoded: {error}")))?;
    demand(used == bytes.len(), Code::Index, "there are bytes after the index")?;
    demand(index.magic == MAGIC, Code::Index, "the index has another magic")?;
    let again = encode(&index).map_err(broken)?;
    demand(again == bytes, Code::Index, "the index is not encoded as it should be")?;
    Ok(index)
}

#[cfg(test)]
mod tests;
