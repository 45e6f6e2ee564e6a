//! `archive.json`: which archive this is. Written once, never changed.
//!
//! Does not: hold anything that changes while the archive lives.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vmrewind_model::Timestamp;

use crate::{
    ArchiveError,
    format::{
        Code, FormatVersion, VERSION,
        fault::{Checked, Fault, demand},
        limits,
        strict::{self, Form},
    },
    paths,
};

/// Which archive this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Version of the format it is written in.
    pub format: FormatVersion,
    /// What a program must know beyond the version.
    pub features: Features,
    /// The archive itself.
    pub archive: Uuid,
    /// The cluster it holds: the uid of its namespace `kube-system`.
    pub cluster: String,
    /// Whether its objects are encrypted.
    pub encrypted: bool,
    /// When it was made.
    pub created: Timestamp,
    /// The program that made it.
    pub software: String,
}

/// What a program must know beyond the format version, by what it wants to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// Needed to read.
    pub read: Vec<String>,
    /// Needed to append.
    pub write: Vec<String>,
    /// Needed to compact, thin out or repair.
    pub maintain: Vec<String>,
}

/// What `encryption` says.
const NONE: &str = "none";
const AGE: &str = "age";

/// The members of `archive.json`, in the order in which they are written.
#[derive(Serialize, Deserialize)]
struct Members {
    format: FormatVersion,
    features: Features,
    archive: String,
    cluster: String,
    created: String,
    hash: String,
    encryption: String,
    software: String,
}

/// What every version of `archive.json` has.
#[derive(Deserialize)]
struct Versioned {
    format: FormatVersion,
}

impl Identity {
    /// Returns the bytes of `archive.json`.
    pub(crate) fn to_bytes(&self) -> Result<Bytes, ArchiveError> {
        let members = Members {
            format: self.format,
            features: self.features.clone(),
            archive: self.archive.hyphenated().to_string(),
            cluster: self.cluster.clone(),
            created: self.created.to_string(),
            hash: "sha256".into(),
            encryption: if self.encrypted { AGE } else { NONE }.into(),
            software: self.software.clone(),
        };
        let mut bytes = serde_json::to_vec(&members).map_err(|error| ArchiveError::Bug(error.to_string()))?;
        bytes.push(b'\n');
        match Self::check(&bytes) {
            Ok(_) => Ok(bytes.into()),
            Err(fault) => Err(ArchiveError::Input { reason: format!("the identity: {}", fault.detail) }),
        }
    }

    /// Reads the bytes of `archive.json` at `place`.
    pub(crate) fn parse(bytes: &[u8], place: &str) -> Result<Self, ArchiveError> {
        Self::check(bytes).map_err(|fault| match fault.code {
            Code::Version | Code::Feature => ArchiveError::Unsupported { place: place.into(), what: fault.detail },
            _ => fault.in_object(paths::IDENTITY.into(), None).into(),
        })
    }

    /// Reads the bytes of `archive.json`.
    pub(crate) fn check(bytes: &[u8]) -> Checked<Self> {
        let broken = |detail: String| Fault::new(Code::Identity, detail);
        demand(bytes.len() as u64 <= limits::IDENTITY, Code::TooLarge, "it is too large")?;
        let at = |error: serde_json::Error| broken(format!("it is not as it should be, column {}", error.column()));
        let text = bytes.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok());
        let plain = text.is_some_and(|text| strict::is_object(text, Form::Any));
        demand(plain, Code::Identity, "it is not one object and a line feed, or has a member twice")?;
        let Versioned { format } = serde_json::from_slice(bytes).map_err(at)?;
        let version = format!("the format version is {format}, this program knows {VERSION}");
        demand(format == VERSION, Code::Version, &version)?;
        let members: Members = serde_json::from_slice(bytes).map_err(at)?;
        let archive = Uuid::parse_str(&members.archive).map_err(|_| broken("its id is no UUID".into()))?;
        let plain = archive.hyphenated().to_string() == members.archive && !archive.is_nil();
        demand(plain, Code::Identity, "its id is no UUID")?;
        demand(!members.cluster.is_empty(), Code::Identity, "it names no cluster")?;
        demand(members.created.ends_with('Z'), Code::Identity, "created is not in UTC")?;
        let created = members.created.parse().map_err(|error| broken(format!("created: {error}")))?;
        if let Some(feature) = members.features.read.first() {
            return Err(Fault::new(Code::Feature, format!("reading needs the feature {feature:?}")));
        }
        demand(members.hash == "sha256", Code::Feature, "it uses another hash than sha256")?;
        let encrypted = members.encryption == AGE;
        demand(encrypted || members.encryption == NONE, Code::Feature, "it is encrypted in a way that is not known")?;
        Ok(Self {
            format,
            features: members.features,
            archive,
            cluster: members.cluster,
            encrypted,
            created,
            software: members.software,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            format: VERSION,
            features: Features::default(),
            archive: Uuid::from_u128(7),
            cluster: "c".into(),
            encrypted: false,
            created: "2026-11-22T10:00:00Z".parse().expect("valid"),
            software: "test 1".into(),
        }
    }

    fn code(text: &str) -> Code {
        Identity::check(text.as_bytes()).expect_err(text).code
    }

    #[test]
    fn parsing_undoes_writing() {
        let bytes = identity().to_bytes().expect("valid");
        assert_eq!(Identity::check(&bytes), Ok(identity()));
        let sealed = Identity { encrypted: true, ..identity() };
        assert_eq!(Identity::check(&sealed.to_bytes().expect("valid")), Ok(sealed));
    }

    #[test]
    fn refuses_newer_formats_unknown_features_and_damage_each_with_its_code() {
        let bytes = identity().to_bytes().expect("valid");
        let good = std::str::from_utf8(&bytes).expect("JSON");
        let changed = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            code(&good.replace(from, to))
        };
        assert_eq!(changed(r#""major":0"#, r#""major":1"#), Code::Version);
        assert_eq!(changed(r#""minor":1"#, r#""minor":2"#), Code::Version);
        assert_eq!(changed(r#""read":[]"#, r#""read":["x"]"#), Code::Feature);
        assert_eq!(changed("sha256", "md5"), Code::Feature);
        assert_eq!(changed(r#""encryption":"none""#, r#""encryption":"pgp""#), Code::Feature);
        assert_eq!(changed("00000000-0000-0000-0000-000000000007", "7"), Code::Identity);
        assert_eq!(changed(r#""cluster":"c""#, r#""cluster":"""#), Code::Identity);
        assert_eq!(changed("2026-11-22T10:00:00Z", "2026-11-22"), Code::Identity);
        assert_eq!(code(""), Code::Identity);
        assert_eq!(code("{}"), Code::Identity);
        let newer = format!(r#"{{"format":{{"major":9,"minor":0}},"x":"{}"}}"#, "y".repeat(9));
        assert_eq!(code(&format!("{newer}\n")), Code::Version);
        assert_eq!(code(&newer), Code::Identity, "no line feed");
        assert_eq!(changed(r#""hash""#, r#""hash":"sha256","hash""#), Code::Identity);
        assert_eq!(changed("10:00:00Z", "10:00:00+00:00"), Code::Identity);
        assert_eq!(code(&" ".repeat(70_000)), Code::TooLarge);
    }

    #[test]
    fn unknown_members_and_features_that_reading_does_not_need_are_no_hindrance() {
        let bytes = identity().to_bytes().expect("valid");
        let text = std::str::from_utf8(&bytes).expect("JSON");
        let newer = text.replace(r#""write":[]"#, r#""write":["w"]"#).replace(r#""hash""#, r#""new":1,"hash""#);
        assert_eq!(Identity::check(newer.as_bytes()).expect("readable").features.write, ["w"]);
    }
}
