//! `manifest.json`: what a tarball holds, from where, and what of it is certain.
//!
//! Does not: hold content of objects.

use serde::{Deserialize, Serialize};
use vmrewind_model::{ObjectKey, Timestamp};

use crate::record::micros;

/// Name of the manifest in a tarball.
pub(crate) const NAME: &str = "manifest.json";
/// Kind of the manifest.
pub(crate) const KIND: &str = "ArchiveExport";

/// What a tarball holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Version of this document.
    pub(crate) api_version: String,
    /// [`KIND`].
    pub(crate) kind: String,
    /// The archive that the objects come from.
    pub(crate) archive: String,
    /// The cluster that it is of.
    pub(crate) cluster: String,
    /// The last record that counts.
    pub(crate) seq: u64,
    /// The instant.
    #[serde(with = "text")]
    pub(crate) t: Timestamp,
    /// What was asked for.
    pub(crate) selection: Selected,
    /// What is proven of each type.
    pub(crate) resources: Vec<Resource>,
    /// The objects, each in a file of its own.
    pub(crate) objects: Vec<Held>,
    /// What the selection names and the tarball does not hold.
    pub(crate) missing: Vec<Missing>,
    /// What was left out on purpose.
    pub(crate) left_out: Vec<LeftOut>,
    /// What is not certain, in sentences.
    pub(crate) uncertain: Vec<String>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Selected {
    /// The objects from which the graph was walked; none if everything in scope was asked for.
    pub(crate) roots: Vec<String>,
    /// The namespace; none for all of them.
    pub(crate) namespace: Option<String>,
    /// Whether what the roots need came along.
    pub(crate) graph: bool,
}

/// What is proven of one type, in all namespaces or in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Resource {
    /// The API group.
    pub(crate) group: String,
    /// The plural name.
    pub(crate) resource: String,
    /// The namespace that this is about; empty for all of them and for types without.
    pub(crate) scope: String,
    /// The kind.
    pub(crate) kind: String,
    /// The API version it was read under.
    pub(crate) api_version: String,
    /// Up to when the tarball is known to hold every object of it; none if it is not known to.
    #[serde(with = "optional_text")]
    pub(crate) proven_at: Option<Timestamp>,
}

/// Names of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// The API group.
    pub(crate) group: String,
    /// The kind.
    pub(crate) kind: String,
    /// The namespace.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
}

impl From<&ObjectKey> for Named {
    fn from(key: &ObjectKey) -> Self {
        let ObjectKey { namespace, name, group, kind } = key.clone();
        Self { group, kind, namespace, name }
    }
}

impl From<&Named> for ObjectKey {
    fn from(named: &Named) -> Self {
        Self::new(&named.group, &named.kind, &named.namespace, &named.name)
    }
}

/// An object that the tarball holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Held {
    /// Which object.
    pub(crate) key: Named,
    /// Its uid.
    pub(crate) uid: String,
    /// Its resource version.
    pub(crate) resource_version: String,
    /// SHA-256 of the file.
    pub(crate) content_id: String,
    /// The record that holds its state.
    pub(crate) seq: u64,
    /// When that was observed.
    #[serde(with = "text")]
    pub(crate) t: Timestamp,
    /// The file.
    pub(crate) path: String,
}

/// An object that the tarball does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Missing {
    /// Which object.
    pub(crate) key: Named,
    /// What is known of it.
    pub(crate) presence: Presence,
    /// Its uid; empty where it is not known.
    pub(crate) uid: String,
    /// Its resource version, if it is withheld.
    pub(crate) resource_version: Option<String>,
    /// Why it is withheld.
    pub(crate) reason: String,
}

/// What is known of an object that is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    /// It is known not to exist.
    Absent,
    /// It exists, and its content is not recorded on purpose.
    Withheld,
    /// It was never looked for.
    Unknown,
}

/// An object that was left out on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeftOut {
    /// Which object.
    pub(crate) key: Named,
    /// Why.
    pub(crate) reason: String,
}

/// Times with six decimals.
mod text {
    use super::{Timestamp, micros};

    pub(super) fn serialize<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&micros(*time))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// As [`text`], or null.
mod optional_text {
    use super::{Timestamp, micros};

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the member")]
    pub(super) fn serialize<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&micros(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
        let text = <Option<String> as serde::Deserialize>::deserialize(d)?;
        text.map(|text| text.parse()).transpose().map_err(serde::de::Error::custom)
    }
}
