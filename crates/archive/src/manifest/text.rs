//! The text form of a manifest.
//!
//! Does not: compare it with others.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vmrewind_model::{Digest, Seq, Timestamp, canonical};

use super::{Manifest, PartRef, Rolled, Unknown};
use crate::format::{
    Code, HISTORY_VERSION, SeqRange,
    bundle::{Earliest, Window, digest},
    fault::{Checked, Fault, demand, time},
    limits,
};

#[derive(Serialize, Deserialize)]
struct Members {
    archive: String,
    format: String,
    n: u64,
    prev: String,
    software: String,
    windows: Vec<WindowMembers>,
    written: i64,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WindowMembers {
    earliest: Earliest,
    first_segment: u64,
    first_seq: u64,
    first_time: i64,
    head: String,
    last_segment: u64,
    last_seq: u64,
    last_time: i64,
    level: u16,
    parts: Vec<PartMembers>,
    prev: String,
    root: String,
    #[serde(default, skip_serializing_if = "is_false", deserialize_with = "read_true")]
    stale: bool,
    #[serde(flatten)]
    unknown: Unknown,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Reads a member that is true if it is there.
fn read_true<'de, D: serde::Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    let flag = bool::deserialize(member)?;
    flag.then_some(true).ok_or_else(|| serde::de::Error::custom("it is true or not there"))
}

#[derive(Serialize, Deserialize)]
struct PartMembers {
    records: u64,
    sha256: String,
    size: u64,
    #[serde(flatten)]
    unknown: Unknown,
}

/// What every version of a manifest has.
#[derive(Deserialize)]
struct Versioned {
    format: String,
}

impl Manifest {
    /// Returns the bytes.
    ///
    /// # Errors
    /// Which rule of the format it breaks.
    pub(crate) fn to_bytes(&self) -> Result<Bytes, String> {
        let members = Members {
            archive: self.archive.hyphenated().to_string(),
            format: HISTORY_VERSION.to_string(),
            n: self.n,
            prev: self.prev.hex(),
            software: self.software.clone(),
            windows: self.windows.iter().map(WindowMembers::of).collect(),
            written: self.written.micros(),
            unknown: self.unknown.clone(),
        };
        let json = serde_json::to_vec(&members).map_err(|error| error.to_string())?;
        let mut bytes = canonical::canonicalize_of_any_size(&json).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        let bytes = Bytes::from(bytes);
        match Self::parse(&bytes, self.archive, self.n) {
            Ok(_) => Ok(bytes),
            Err(fault) => Err(format!("the manifest: {}", fault.detail)),
        }
    }

    /// Reads the bytes of manifest `n` of `archive`.
    pub(crate) fn parse(bytes: &[u8], archive: Uuid, n: u64) -> Checked<Self> {
        demand(bytes.len() as u64 <= limits::MANIFEST, Code::TooLarge, "it is larger than a manifest may be")?;
        let broken = |detail: String| Fault::new(Code::Manifest, detail);
        let at = |error: serde_json::Error| broken(format!("it is not as it should be, column {}", error.column()));
        let json = bytes.strip_suffix(b"\n").unwrap_or_default();
        let plain = canonical::canonicalize_of_any_size(json).is_ok_and(|canonical| canonical == json);
        demand(plain, Code::Manifest, "it is not one canonical JSON object and a line feed")?;
        let Versioned { format } = serde_json::from_slice(json).map_err(at)?;
        let version = format!("the format version is {format}, this program reads {HISTORY_VERSION}");
        demand(format == HISTORY_VERSION.to_string(), Code::Version, &version)?;
        let members: Members = serde_json::from_slice(json).map_err(at)?;
        let windows = members.windows.into_iter().map(WindowMembers::read).collect::<Checked<_>>()?;
        let manifest = Self {
            archive: Uuid::parse_str(&members.archive).map_err(|_| broken("its archive is no UUID".into()))?,
            n: members.n,
            prev: hash(&members.prev)?,
            software: members.software,
            windows,
            written: time(members.written, Code::Manifest)?,
            unknown: members.unknown,
        };
        let named = manifest.archive.hyphenated().to_string() == members.archive && manifest.archive == archive;
        demand(named, Code::Archive, "it belongs to another archive")?;
        demand(manifest.n == n, Code::Name, "it is another manifest")?;
        let first = n > 1 || manifest.prev == Digest([0; 32]);
        demand(n > 0 && first, Code::Chain, "the first manifest follows another")?;
        manifest.check_windows()?;
        Ok(manifest)
    }
}

fn hash(text: &str) -> Checked<Digest> {
    digest(text).ok_or_else(|| Fault::new(Code::Manifest, "a digest is not 64 hex digits"))
}

impl WindowMembers {
    fn of(rolled: &Rolled) -> Self {
        let window = &rolled.window;
        let part = |part: &PartRef| PartMembers {
            records: part.records,
            sha256: part.digest.hex(),
            size: part.size,
            unknown: part.unknown.clone(),
        };
        Self {
            earliest: window.earliest,
            first_segment: window.slots[0],
            first_seq: window.seqs.first.0,
            first_time: window.times[0].micros(),
            head: window.head.hex(),
            last_segment: window.slots[1],
            last_seq: window.seqs.last.0,
            last_time: window.times[1].micros(),
            level: window.level,
            parts: rolled.parts.iter().map(part).collect(),
            prev: window.prev.hex(),
            root: rolled.root.hex(),
            stale: rolled.stale,
            unknown: rolled.unknown.clone(),
        }
    }

    fn read(self) -> Checked<Rolled> {
        let instant = |micros: i64| time(micros, Code::Manifest);
        let reach = |at: Option<Timestamp>| at.map(|at| instant(at.micros())).transpose();
        reach(self.earliest.gap)?;
        reach(self.earliest.lo)?;
        let part = |part: PartMembers| {
            Ok(PartRef { digest: hash(&part.sha256)?, size: part.size, records: part.records, unknown: part.unknown })
        };
        Ok(Rolled {
            window: Window {
                level: self.level,
                slots: [self.first_segment, self.last_segment],
                seqs: SeqRange::new(Seq(self.first_seq), Seq(self.last_seq)),
                times: [instant(self.first_time)?, instant(self.last_time)?],
                prev: hash(&self.prev)?,
                head: hash(&self.head)?,
                earliest: self.earliest,
            },
            root: hash(&self.root)?,
            parts: self.parts.into_iter().map(part).collect::<Checked<_>>()?,
            stale: self.stale,
            unknown: self.unknown,
        })
    }
}
