//! The public frame: the resume map, readable without decompressing anything.
//!
//! Does not: merge maps; see [`crate::Timeline`].

use bytes::Bytes;
use vmrewind_model::{Digest, ResumeEntry};

use super::{
    Code, ResumeMap,
    fault::{Checked, Fault, demand, time},
    limits,
    strict::{self, Form},
};

const SKIPPABLE: u32 = 0x184D_2A5C;
const MAGIC: [u8; 8] = *b"KVBPUB01";

/// Bytes before the JSON.
const PREFIX: usize = 4 + 4 + 8 + 32;

/// Returns the bytes of the public frame.
///
/// # Errors
/// Which rule of the format the map breaks.
pub(crate) fn encode(map: &ResumeMap) -> Result<Vec<u8>, String> {
    let sorted = map.entries.windows(2).all(|pair| pair[0].id < pair[1].id);
    if !sorted {
        return Err("the resume entries are not sorted, or name a resource twice".into());
    }
    for entry in &map.entries {
        super::line::check_text("detail", &entry.detail)?;
    }
    wrap(map)
}

/// Leaves out the texts for people, which may name an object: in an encrypted archive they have no place where everybody can read
/// them.
pub(super) fn silenced(map: &ResumeMap) -> ResumeMap {
    let mut map = map.clone();
    map.entries.iter_mut().for_each(|entry| entry.detail.clear());
    map
}

/// Checks that there are no texts for people.
pub(super) fn check_silent<'a>(mut entries: impl Iterator<Item = &'a ResumeEntry>) -> Checked<()> {
    let silent = entries.all(|entry| entry.detail.is_empty());
    demand(silent, Code::Public, "a resume entry of an encrypted object has a detail that everybody can read")
}

/// Returns the bytes of a public frame that holds `content` as JSON.
pub(super) fn wrap(content: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(content).map_err(|error| error.to_string())?;
    if json.len() as u64 > limits::PUBLIC {
        return Err(format!("a resume map of {} bytes is larger than {}", json.len(), limits::PUBLIC));
    }
    let length = u32::try_from(json.len() + PREFIX - 8).map_err(|error| error.to_string())?;
    let mut out = Vec::with_capacity(PREFIX + json.len());
    out.extend_from_slice(&SKIPPABLE.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&Digest::of(&json).0);
    out.extend_from_slice(&json);
    Ok(out)
}

/// Returns the hash that a public frame says its JSON has; nothing if it is too short to say so.
pub(super) fn declared(frame: &[u8]) -> &[u8] {
    frame.get(16..PREFIX).unwrap_or_default()
}

/// Reads the public frame, which must fill `bytes`.
pub(crate) fn decode(bytes: &Bytes) -> Checked<ResumeMap> {
    let map: ResumeMap = unwrap(bytes)?;
    check_entries(map.entries.iter())?;
    Ok(map)
}

/// Reads what a public frame, which must fill `bytes`, holds as JSON.
pub(super) fn unwrap<T: serde::de::DeserializeOwned>(bytes: &Bytes) -> Checked<T> {
    let broken = |detail: &str| Fault::new(Code::Public, detail);
    demand(bytes.len() >= PREFIX, Code::Public, "the public frame is too short")?;
    let (prefix, json) = bytes.split_at(PREFIX);
    let length = u32::try_from(bytes.len() - 8).map_err(|_| broken("the public frame is too long"))?;
    let framed =
        prefix[..4] == SKIPPABLE.to_le_bytes() && prefix[4..8] == length.to_le_bytes() && prefix[8..16] == MAGIC;
    demand(framed, Code::Public, "there is no public frame where it should be")?;
    demand(json.len() as u64 <= limits::PUBLIC, Code::Limit, "the public frame is too large")?;
    demand(prefix[16..] == Digest::of(json).0, Code::Public, "the resume map was changed")?;
    let plain = std::str::from_utf8(json).is_ok_and(|text| strict::is_object(text, Form::Any));
    demand(plain, Code::Public, "the resume map is not one object, or has a member twice")?;
    serde_json::from_slice(json)
        .map_err(|error| broken(&format!("the resume map is not as it should be, column {}", error.column())))
}

/// Checks that entries are sorted, and each by itself.
pub(super) fn check_entries<'a>(entries: impl Iterator<Item = &'a ResumeEntry> + Clone) -> Checked<()> {
    let sorted = entries.clone().zip(entries.clone().skip(1)).all(|(entry, next)| entry.id < next.id);
    demand(sorted, Code::Public, "the resume entries are not sorted, or name a resource twice")?;
    for entry in entries {
        demand(entry.detail.len() <= limits::TEXT, Code::Limit, "the detail of a resource is too long")?;
        if let Some(proven) = entry.proven_at {
            time(proven.micros(), Code::Public)?;
        }
    }
    Ok(())
}
