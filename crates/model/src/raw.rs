//! An object as the server sent it: canonical bytes, and the few facts that capture needs.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;

use crate::{
    Digest, ObjectKey, Rv, RvError,
    canonical::{self, CanonicalError},
};

/// One state of one object in canonical JSON, equal in value to what the server sent.
///
/// Cheap to clone. `Debug` prints the identity only, never the content.
#[derive(Clone, PartialEq, Eq)]
pub struct RawObject {
    bytes: Bytes,
}

/// Why bytes are no object that can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// The bytes are not JSON that can be made canonical.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The JSON lacks a member that every object has, or it has the wrong type.
    #[error("not a Kubernetes object: {0}")]
    Shape(String),
    /// The resource version cannot be ordered.
    #[error(transparent)]
    Rv(#[from] RvError),
}

/// What capture reads of an object: its identity and what is on its surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The API version as served, for example `kubevirt.io/v1`.
    pub api_version: String,
    /// Group, kind, namespace and name.
    pub key: ObjectKey,
    /// `metadata.uid`; empty for objects that have none.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub rv: Rv,
    /// `metadata.generation`, where the type has one.
    pub generation: Option<i64>,
    /// `metadata.deletionTimestamp` as text: the object is being deleted.
    pub deletion_timestamp: Option<String>,
    /// `metadata.ownerReferences`.
    pub owners: Vec<OwnerRef>,
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerRef {
    /// API version of the owner.
    #[serde(default)]
    pub api_version: String,
    /// Kind of the owner.
    #[serde(default)]
    pub kind: String,
    /// Name of the owner, in the same namespace or cluster-scoped.
    #[serde(default)]
    pub name: String,
    /// Incarnation of the owner.
    #[serde(default)]
    pub uid: String,
    /// Whether the owner is the managing controller.
    #[serde(default)]
    pub controller: bool,
}

impl RawObject {
    /// Makes the bytes of an object as sent in a watch event or by a GET canonical.
    ///
    /// # Errors
    /// [`RawError::Canonical`] if they are not JSON that can be recorded.
    pub fn from_server(bytes: &[u8]) -> Result<Self, RawError> {
        Ok(Self { bytes: canonical::canonicalize(bytes)?.into() })
    }

    /// Makes the bytes of an item of a list canonical. Built-in types leave `apiVersion` and `kind` out of
    /// the items of a list, so they are added where missing: the result equals what a GET returns.
    ///
    /// # Errors
    /// [`RawError::Canonical`] if they are not JSON that can be recorded.
    pub fn from_list_item(bytes: &[u8], api_version: &str, kind: &str) -> Result<Self, RawError> {
        let defaults = [("apiVersion", api_version), ("kind", kind)];
        Ok(Self { bytes: canonical::canonicalize_with(bytes, &defaults)?.into() })
    }

    /// Takes bytes that an archive stored, which are canonical because they were when written.
    #[must_use]
    pub fn from_archive(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// Returns the canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the content id: the digest of the canonical bytes.
    #[must_use]
    pub fn content_id(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Reads identity and surface facts.
    ///
    /// # Errors
    /// [`RawError::Shape`] if apiVersion, kind, name or resource version is missing or of the wrong type,
    /// [`RawError::Rv`] if the resource version cannot be ordered.
    pub fn head(&self) -> Result<Head, RawError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Object {
            api_version: String,
            kind: String,
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            #[serde(default)]
            namespace: String,
            name: String,
            #[serde(default)]
            uid: String,
            resource_version: String,
            generation: Option<i64>,
            deletion_timestamp: Option<String>,
            #[serde(default)]
            owner_references: Vec<OwnerRef>,
        }
        let object: Object = serde_json::from_slice(&self.bytes).map_err(|error| RawError::Shape(redacted(&error)))?;
        let group = object.api_version.split_once('/').map_or("", |(group, _)| group);
        let metadata = object.metadata;
        Ok(Head {
            key: ObjectKey::new(group, &object.kind, &metadata.namespace, &metadata.name),
            uid: metadata.uid,
            rv: metadata.resource_version.parse()?,
            generation: metadata.generation,
            deletion_timestamp: metadata.deletion_timestamp,
            owners: metadata.owner_references,
            api_version: object.api_version,
        })
    }

    /// Parses the whole object, for rules and mutations. Numbers may lose precision: what is stored,
    /// compared by content id or shown raw is always [`Self::bytes`].
    ///
    /// # Errors
    /// [`RawError::Shape`] if the bytes are not JSON.
    pub fn value(&self) -> Result<serde_json::Value, RawError> {
        serde_json::from_slice(&self.bytes).map_err(|error| RawError::Shape(redacted(&error)))
    }
}

/// Says where parsing failed without quoting the content, which may be secret.
fn redacted(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a required member is missing or has another type",
        serde_json::error::Category::Io => "the bytes could not be read",
        serde_json::error::Category::Syntax => "the bytes are not JSON",
        serde_json::error::Category::Eof => "the bytes end too early",
    };
    format!("{what} (column {})", error.column())
}

impl fmt::Debug for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.head() {
            Ok(head) => write!(f, "RawObject({} rv {}, {} bytes)", head.key, head.rv, self.bytes.len()),
            Err(_) => write!(f, "RawObject({} bytes)", self.bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = br#"{"kind":"Secret","apiVersion":"v1","data":{"k":"aHVudGVyMg=="},
        "metadata":{"name":"s","namespace":"n","uid":"u","resourceVersion":"7",
        "ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"o","controller":true}]}}"#;

    #[test]
    fn reads_identity_version_and_owners() {
        let head = RawObject::from_server(SECRET).expect("canonical").head().expect("an object");
        assert_eq!(head.key, ObjectKey::new("", "Secret", "n", "s"));
        assert_eq!((head.uid.as_str(), head.rv), ("u", Rv(7)));
        assert_eq!(head.owners[0].name, "p");
        assert!(head.owners[0].controller);
    }

    #[test]
    fn an_item_of_a_list_equals_the_object_of_a_get() {
        let item = br#"{"metadata":{"name":"s","namespace":"n","uid":"u","resourceVersion":"7",
            "ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"o","controller":true}]},
            "data":{"k":"aHVudGVyMg=="}}"#;
        let listed = RawObject::from_list_item(item, "v1", "Secret").expect("canonical");
        assert_eq!(listed.content_id(), RawObject::from_server(SECRET).expect("canonical").content_id());
    }

    #[test]
    fn neither_debug_output_nor_errors_show_content() {
        let secret = RawObject::from_server(SECRET).expect("canonical");
        assert!(!format!("{secret:?}").contains("aHVudGVyMg"));
        let broken = RawObject::from_server(br#"{"metadata":"aHVudGVyMg=="}"#).expect("canonical");
        let error = broken.head().expect_err("no object");
        assert!(!error.to_string().contains("aHVudGVyMg"), "{error}");
    }
}
