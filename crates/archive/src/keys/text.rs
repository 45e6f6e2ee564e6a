//! The text of a file below `keys/`.
//!
//! Does not: know which files there are.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vmrewind_model::{Digest, Timestamp};
use zeroize::Zeroizing;

use super::KeyFile;
use crate::{
    ArchiveError, Code, FormatVersion, Recipient, SecretKey,
    format::{
        SEALED_VERSION, age,
        bundle::digest,
        fault::{Checked, Fault, demand},
        home::RootKey,
        limits,
        strict::{self, Form},
    },
};

/// What stands before the check.
const MAC: &str = ",\"mac\":\"";

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) archive: Uuid,
    pub(super) n: u64,
    /// Digest of the file before; of `archive.json` in the first.
    pub(super) prev: Digest,
    pub(super) recipients: Vec<Recipient>,
    pub(super) valid_from: Timestamp,
    pub(super) software: String,
    /// An age file.
    pub(super) root_key: Vec<u8>,
}

/// The members in the order in which they are written; the check comes behind them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    format: FormatVersion,
    archive: String,
    n: u64,
    prev: String,
    recipients: Vec<String>,
    valid_from: String,
    software: String,
    root_key: String,
}

impl Members {
    /// Returns the bytes of the file.
    pub(super) fn to_bytes(&self, root: &RootKey) -> Result<Bytes, ArchiveError> {
        let text = Text {
            format: SEALED_VERSION,
            archive: self.archive.hyphenated().to_string(),
            n: self.n,
            prev: self.prev.hex(),
            recipients: self.recipients.iter().map(ToString::to_string).collect(),
            valid_from: self.valid_from.to_string(),
            software: self.software.clone(),
            root_key: BASE64.encode(&self.root_key),
        };
        let mut bytes = serde_json::to_vec(&text).map_err(|error| ArchiveError::Bug(error.to_string()))?;
        bytes.pop();
        let mac = root.of_keys(&bytes).hex();
        bytes.extend_from_slice(format!("{MAC}{mac}\"}}\n").as_bytes());
        match Self::parse(&bytes) {
            Ok(_) => Ok(bytes.into()),
            Err(fault) => Err(ArchiveError::Input { reason: format!("the keys: {}", fault.detail) }),
        }
    }

    /// Reads the bytes of a file. Whether it was written by somebody who knows the root key is checked by [`Self::verify`].
    pub(super) fn parse(bytes: &[u8]) -> Checked<Self> {
        let broken = |detail: &str| Fault::new(Code::Keys, detail);
        demand(bytes.len() as u64 <= limits::KEYS, Code::TooLarge, "it is too large")?;
        let text = bytes.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok());
        let text = text.filter(|text| strict::is_object(text, Form::Any));
        let text = text.ok_or_else(|| broken("it is not one object and a line feed, or has a member twice"))?;
        let at = |error: serde_json::Error| broken(&format!("it is not as it should be, column {}", error.column()));
        let members: Text = serde_json::from_str(text).map_err(at)?;
        demand(members.format == SEALED_VERSION, Code::Version, "it has another format version")?;
        split(bytes)?;
        let archive = Uuid::parse_str(&members.archive).ok();
        let archive = archive.filter(|archive| archive.hyphenated().to_string() == members.archive);
        let recipients = members.recipients.iter().map(|text| text.parse::<Recipient>().ok());
        let recipients: Vec<Recipient> =
            recipients.collect::<Option<_>>().ok_or_else(|| broken("a recipient is none"))?;
        let sorted = recipients.windows(2).all(|pair| pair[0] < pair[1]);
        let some = (1..=limits::RECIPIENTS).contains(&recipients.len());
        demand(sorted && some, Code::Keys, "there are no recipients, too many, or they are not in order")?;
        let valid_from = members.valid_from.parse().ok().filter(|_| members.valid_from.ends_with('Z'));
        let root_key = BASE64.decode(&members.root_key).map_err(|_| broken("the root key is no base64"))?;
        Ok(Self {
            archive: archive.ok_or_else(|| broken("the archive is no UUID"))?,
            n: members.n,
            prev: digest(&members.prev).ok_or_else(|| broken("what is before it is no digest"))?,
            recipients,
            valid_from: valid_from.ok_or_else(|| broken("validFrom is no time in UTC"))?,
            software: members.software,
            root_key,
        })
    }

    /// Checks that the file is the one whose name it has.
    pub(super) fn belongs(self, archive: Uuid, n: u64) -> Checked<Self> {
        demand(self.archive == archive, Code::Archive, "it belongs to another archive")?;
        demand(self.n == n, Code::Name, "it has another number than its name")?;
        Ok(self)
    }

    /// Opens the root key.
    pub(super) fn root_key(&self, keys: &[SecretKey]) -> Checked<RootKey> {
        let opened = age::open_file(&self.root_key, keys)?;
        let key = <[u8; 32]>::try_from(opened.as_slice()).map(Zeroizing::new);
        key.map(RootKey).map_err(|_| Fault::new(Code::Keys, "the root key has not 32 bytes"))
    }

    /// Checks that the file was written by somebody who knows the root key, and holds it.
    pub(super) fn verify(&self, bytes: &[u8], root: &RootKey) -> Checked<()> {
        let (covered, mac) = split(bytes)?;
        demand(root.of_keys(covered) == mac, Code::Keys, "it was not written by anybody who knows the root key")
    }

    pub(super) fn shown(self) -> KeyFile {
        KeyFile { n: self.n, valid_from: self.valid_from, recipients: self.recipients, software: self.software }
    }
}

/// Splits a file into what the check covers, and the check.
fn split(bytes: &[u8]) -> Checked<(&[u8], Digest)> {
    let end = bytes.len().checked_sub(MAC.len() + 64 + 3);
    let parts = end.map(|end| bytes.split_at(end)).and_then(|(covered, end)| {
        let mac = end.strip_prefix(MAC.as_bytes())?.strip_suffix(b"\"}\n")?;
        Some((covered, digest(std::str::from_utf8(mac).ok()?)?))
    });
    parts.ok_or_else(|| Fault::new(Code::Keys, "it does not end in its check"))
}
