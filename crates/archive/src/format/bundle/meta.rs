//! `meta.json` of a history bundle.
//!
//! Does not: say anything that footer and public frame do not, but for part, salt and program.

use serde::{Deserialize, Serialize};
use vmrewind_model::Digest;

use super::digest;
use crate::format::{
    Code,
    fault::{Checked, Fault, demand},
    footer::{Footer, Kind},
    limits,
    meta::hex,
    strict::{self, Form},
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    format: String,
    kind: String,
    archive: String,
    shard: u32,
    level: u16,
    first_segment: u64,
    last_segment: u64,
    epoch: u64,
    nonce: String,
    first_seq: u64,
    last_seq: u64,
    records: u64,
    first_time: i64,
    last_time: i64,
    prev: String,
    root: String,
    head: String,
    pub(super) part: u32,
    salt: String,
    pub(super) software: String,
}

/// What stands in `meta.json` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) part: u32,
    pub(super) salt: String,
    pub(super) software: String,
}

impl Meta {
    pub(super) fn of(footer: &Footer, head: Digest, own: Own) -> Self {
        Self {
            format: footer.version.to_string(),
            kind: if footer.kind == Kind::Checkpoint.number() { "checkpoint" } else { "history" }.into(),
            archive: footer.archive.hyphenated().to_string(),
            shard: footer.shard,
            level: footer.level,
            first_segment: footer.slots[0],
            last_segment: footer.slots[1],
            epoch: footer.epoch,
            nonce: hex(&footer.nonce),
            first_seq: footer.seqs[0],
            last_seq: footer.seqs[1],
            records: footer.records,
            first_time: footer.times[0],
            last_time: footer.times[1],
            prev: footer.prev.hex(),
            root: footer.root.hex(),
            head: head.hex(),
            part: own.part,
            salt: own.salt,
            software: own.software,
        }
    }

    /// Returns the content of the member.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("numbers and strings are serialisable");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the member and compares it with footer and public frame.
    pub(super) fn check(bytes: &[u8], footer: &Footer, head: Digest) -> Checked<Own> {
        demand(bytes.len() <= limits::META, Code::Limit, "meta.json is too large")?;
        let line = bytes.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok());
        let plain = line.is_some_and(|line| !line.contains('\n') && strict::is_object(line, Form::Any));
        demand(plain, Code::Meta, "meta.json is not one line with one object, or has a member twice")?;
        let meta: Self = serde_json::from_slice(bytes).map_err(|error| {
            Fault::new(Code::Meta, format!("meta.json is not as it should be, column {}", error.column()))
        })?;
        let own = Own { part: meta.part, salt: meta.salt.clone(), software: meta.software.clone() };
        let salted = own.salt.len() == 32 && digest(&own.salt.repeat(2)).is_some();
        demand(own.part > 0 && salted, Code::Meta, "meta.json names no part, or has no salt")?;
        demand(meta == Self::of(footer, head, own.clone()), Code::Meta, "meta.json and the footer differ")?;
        Ok(own)
    }
}
