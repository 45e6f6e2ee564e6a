//! The text form of a manifest.
//!
//! Does not: compare it with others.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vmrewind_model::{Digest, Seq, Timestamp, canonical};

use super::{Manifest, PartRef, Rolled, Unknown};
use crate::format::{
    Code, HISTORY_VERSION, SEALED_VERSION, SeqRange,
    bundle::{Earliest, Point, Window, digest},
    fault::{Checked, Fault, demand, time},
    footer::Kind,
    home::Home,
    limits,
};

#[derive(Serialize, Deserialize)]
struct Members {
    archive: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "some")]
    checkpoints: Vec<CheckpointMembers>,
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

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckpointMembers {
    #[serde(flatten)]
    point: Point,
    first_time: i64,
    head: String,
    last_segment: u64,
    last_seq: u64,
    last_time: i64,
    parts: Vec<PartMembers>,
    root: String,
    #[serde(flatten)]
    unknown: Unknown,
}

/// Reads a list that is not empty if it is there.
fn some<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(member: D) -> Result<Vec<T>, D::Error> {
    let all = Vec::deserialize(member)?;
    if all.is_empty() { Err(serde::de::Error::custom("a list is empty")) } else { Ok(all) }
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
    /// Returns the bytes, with the check that they have in an encrypted archive.
    ///
    /// # Errors
    /// Which rule of the format it breaks.
    pub(crate) fn to_bytes(&self, home: &Home) -> Result<Bytes, String> {
        let version = if home.is_sealed() { SEALED_VERSION } else { HISTORY_VERSION };
        let members = Members {
            archive: self.archive.hyphenated().to_string(),
            checkpoints: self.checkpoints.iter().filter_map(CheckpointMembers::of).collect(),
            format: version.to_string(),
            n: self.n,
            prev: self.prev.hex(),
            software: self.software.clone(),
            windows: self.windows.iter().map(WindowMembers::of).collect(),
            written: self.written.micros(),
            unknown: self.unknown.clone(),
        };
        let json = serde_json::to_vec(&members).map_err(|error| error.to_string())?;
        let mut bytes = canonical::canonicalize_of_any_size(&json).map_err(|error| error.to_string())?;
        if home.is_sealed() {
            bytes.pop();
            let mac = home.manifest_mac(&bytes).ok_or("the archive is not open")?;
            bytes.extend_from_slice(format!("{MAC}{}\"}}", mac.hex()).as_bytes());
        }
        bytes.push(b'\n');
        let bytes = Bytes::from(bytes);
        match Self::parse(&bytes, home, self.n) {
            Ok(_) => Ok(bytes),
            Err(fault) => Err(format!("the manifest: {}", fault.detail)),
        }
    }

    /// Reads the bytes of manifest `n` of an archive. If that is encrypted but not open, nothing vouches for what they say.
    pub(crate) fn parse(bytes: &[u8], home: &Home, n: u64) -> Checked<Self> {
        demand(bytes.len() as u64 <= limits::MANIFEST, Code::TooLarge, "it is larger than a manifest may be")?;
        let broken = |detail: String| Fault::new(Code::Manifest, detail);
        let at = |error: serde_json::Error| broken(format!("it is not as it should be, column {}", error.column()));
        let split = split(bytes);
        let whole = split.map(|(covered, _)| [covered, b"}"].concat());
        let json = whole.as_deref().or_else(|| bytes.strip_suffix(b"\n")).unwrap_or_default();
        let plain = canonical::canonicalize_of_any_size(json).is_ok_and(|canonical| canonical == json);
        demand(plain, Code::Manifest, "it is not one canonical JSON object and a line feed")?;
        let Versioned { format } = serde_json::from_slice(json).map_err(at)?;
        check_kind(&format, home, split)?;
        let members: Members = serde_json::from_slice(json).map_err(at)?;
        let windows = members.windows.into_iter().map(WindowMembers::read).collect::<Checked<_>>()?;
        let checkpoints = members.checkpoints.into_iter().map(CheckpointMembers::read).collect::<Checked<_>>()?;
        let twice = home.is_sealed() && members.unknown.contains_key("mac");
        demand(!twice, Code::Manifest, "it has its check twice")?;
        let manifest = Self {
            archive: Uuid::parse_str(&members.archive).map_err(|_| broken("its archive is no UUID".into()))?,
            n: members.n,
            prev: hash(&members.prev)?,
            software: members.software,
            windows,
            checkpoints,
            written: time(members.written, Code::Manifest)?,
            unknown: members.unknown,
        };
        let named = manifest.archive.hyphenated().to_string() == members.archive && manifest.archive == home.archive;
        demand(named, Code::Archive, "it belongs to another archive")?;
        demand(manifest.n == n, Code::Name, "it is another manifest")?;
        let first = n > 1 || manifest.prev == Digest([0; 32]);
        demand(n > 0 && first, Code::Chain, "the first manifest follows another")?;
        manifest.check()?;
        Ok(manifest)
    }
}

/// What stands before the check.
const MAC: &str = ",\"mac\":\"";

/// Splits a manifest that ends in a check into what that covers, and the check.
fn split(bytes: &[u8]) -> Option<(&[u8], Digest)> {
    let (covered, end) = bytes.split_at(bytes.len().checked_sub(MAC.len() + 64 + 3)?);
    let mac = end.strip_prefix(MAC.as_bytes())?.strip_suffix(b"\"}\n")?;
    Some((covered, digest(std::str::from_utf8(mac).ok()?)?))
}

/// Checks that a manifest is of the version that the archive needs, and was written by somebody who knows its root key.
fn check_kind(format: &str, home: &Home, split: Option<(&[u8], Digest)>) -> Checked<()> {
    let sealed = format == SEALED_VERSION.to_string();
    let version = format!("the format version is {format}, this program reads {HISTORY_VERSION} and {SEALED_VERSION}");
    demand(sealed || format == HISTORY_VERSION.to_string(), Code::Version, &version)?;
    demand(sealed || !home.is_sealed(), Code::Plain, "it has no check, but everything in this archive must have one")?;
    demand(home.is_sealed() || !sealed, Code::Encrypted, "it is of an encrypted archive, and this one is not")?;
    demand(sealed == split.is_some(), Code::Manifest, "it does not end in its check, or has one and should not")?;
    let Some((covered, mac)) = split else { return Ok(()) };
    let own = home.manifest_mac(covered).is_none_or(|own| own == mac);
    demand(own, Code::Manifest, "it was not written by anybody who knows the root key")
}

fn hash(text: &str) -> Checked<Digest> {
    digest(text).ok_or_else(|| Fault::new(Code::Manifest, "a digest is not 64 hex digits"))
}

impl PartMembers {
    fn of(part: &PartRef) -> Self {
        let PartRef { digest, size, records, unknown, .. } = part;
        Self { records: *records, sha256: digest.hex(), size: *size, unknown: unknown.clone() }
    }
}

fn parts(members: Vec<PartMembers>, kind: Kind) -> Checked<Vec<PartRef>> {
    let part = |part: PartMembers| {
        let PartMembers { records, sha256, size, unknown } = part;
        Ok(PartRef { kind, digest: hash(&sha256)?, size, records, unknown })
    };
    members.into_iter().map(part).collect()
}

impl CheckpointMembers {
    fn of(rolled: &Rolled) -> Option<Self> {
        let window = &rolled.window;
        Some(Self {
            point: rolled.point.clone()?,
            first_time: window.times[0].micros(),
            head: window.head.hex(),
            last_segment: window.slots[1],
            last_seq: window.seqs.last.0,
            last_time: window.times[1].micros(),
            parts: rolled.parts.iter().map(PartMembers::of).collect(),
            root: rolled.root.hex(),
            unknown: rolled.unknown.clone(),
        })
    }

    fn read(self) -> Checked<Rolled> {
        let instant = |micros: i64| time(micros, Code::Manifest);
        Ok(Rolled {
            window: Window {
                level: 0,
                slots: [1, self.last_segment],
                seqs: SeqRange::new(Seq(1), Seq(self.last_seq)),
                times: [instant(self.first_time)?, instant(self.last_time)?],
                prev: Digest([0; 32]),
                head: hash(&self.head)?,
                earliest: Earliest::default(),
            },
            point: Some(self.point),
            root: hash(&self.root)?,
            parts: parts(self.parts, Kind::Checkpoint)?,
            stale: false,
            unknown: self.unknown,
        })
    }
}

impl WindowMembers {
    fn of(rolled: &Rolled) -> Self {
        let window = &rolled.window;
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
            parts: rolled.parts.iter().map(PartMembers::of).collect(),
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
            point: None,
            root: hash(&self.root)?,
            parts: parts(self.parts, Kind::History)?,
            stale: self.stale,
            unknown: self.unknown,
        })
    }
}
