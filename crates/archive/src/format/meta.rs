//! `meta.json`: what the footer says, for people and scripts.
//!
//! Does not: say anything else, but for the name of the program.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use vmrewind_model::Digest;

use super::{
    Code,
    fault::{Checked, Fault, demand},
    footer::{Footer, flag},
    strict::{self, Form},
};

/// Name of the member.
pub(crate) const NAME: &str = "meta.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    pub(crate) format: String,
    pub(crate) kind: String,
    pub(crate) archive: String,
    pub(crate) shard: u32,
    pub(crate) segment: u64,
    pub(crate) epoch: u64,
    pub(crate) nonce: String,
    pub(crate) fence: bool,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) records: u64,
    pub(crate) first_time: i64,
    pub(crate) last_time: i64,
    pub(crate) prev: String,
    pub(crate) root: String,
    pub(crate) software: String,
}

/// Returns bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to memory does not fail");
        text
    })
}

/// Reads the hex digits of a nonce.
pub(crate) fn nonce(text: &str) -> Option<[u8; 16]> {
    let digits = u128::from_str_radix(text, 16).ok()?.to_be_bytes();
    (hex(&digits) == text).then_some(digits)
}

impl Meta {
    /// Says what `footer` says.
    pub(crate) fn of(footer: &Footer, software: &str) -> Self {
        let (Digest(prev), Digest(root)) = (footer.prev, footer.root);
        Self {
            format: footer.version.to_string(),
            kind: "log".into(),
            archive: footer.archive.hyphenated().to_string(),
            shard: footer.shard,
            segment: footer.slots[0],
            epoch: footer.epoch,
            nonce: hex(&footer.nonce),
            fence: footer.has(flag::FENCE),
            first_seq: footer.seqs[0],
            last_seq: footer.seqs[1],
            records: footer.records,
            first_time: footer.times[0],
            last_time: footer.times[1],
            prev: hex(&prev),
            root: hex(&root),
            software: software.into(),
        }
    }

    /// Returns the content of the member.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("numbers and strings are serialisable");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the member by itself.
    pub(crate) fn parse(bytes: &[u8]) -> Checked<Self> {
        demand(bytes.len() <= super::limits::META, Code::Limit, "meta.json is too large")?;
        let text =
            bytes.strip_suffix(b"\n").ok_or_else(|| Fault::new(Code::Meta, "meta.json does not end in a line feed"))?;
        let line = std::str::from_utf8(text).ok().filter(|text| !text.contains('\n'));
        let plain = line.is_some_and(|line| strict::is_object(line, Form::Any));
        demand(plain, Code::Meta, "meta.json is not one line with one object, or has a member twice")?;
        serde_json::from_slice(text).map_err(|error| {
            Fault::new(Code::Meta, format!("meta.json is not as it should be, column {}", error.column()))
        })
    }

    /// Reads the member and compares it with the footer; returns the name of the program.
    pub(crate) fn check(bytes: &[u8], footer: &Footer) -> Checked<String> {
        let meta = Self::parse(bytes)?;
        demand(meta == Self::of(footer, &meta.software), Code::Meta, "meta.json and the footer differ")?;
        Ok(meta.software)
    }
}
