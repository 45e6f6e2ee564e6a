//! What a plan changes in an object after the rules: data, so that the same object can be made again.
//!
//! Does not: decide which mutations an object gets; see `planner`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One change to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Mutation {
    /// The version under which the target serves the kind.
    ApiVersion {
        /// New value of `apiVersion`.
        to: String,
    },
    /// The object itself moves to another namespace; a Namespace object gets another name.
    Namespace {
        /// New namespace.
        to: String,
    },
    /// Namespaces named explicitly inside the object are rewritten.
    References {
        /// Captured namespace to target namespace.
        map: BTreeMap<String, String>,
    },
    /// Storage classes are rewritten.
    StorageClass {
        /// Captured class to target class.
        map: BTreeMap<String, String>,
    },
    /// The MAC address of an interface.
    Mac {
        /// Name of the interface.
        interface: String,
        /// New value; none removes the field.
        to: Option<String>,
    },
    /// The SMBIOS serial.
    Serial {
        /// New value; none removes the field.
        to: Option<String>,
    },
    /// The SMBIOS UUID.
    FirmwareUuid {
        /// New value; none removes the field.
        to: Option<String>,
    },
    /// A DataVolume that adopts the existing claim of its name instead of importing.
    Prepopulated,
    /// A claim that the DataVolume of its name may adopt without importing.
    Populated,
    /// A DataVolume that imports again: marks of an earlier import are removed.
    Unmarked,
    /// A claim that does not name a persistent volume.
    ClearVolumeName,
    /// A claim that is not filled from a data source.
    ClearDataSource,
    /// A machine that is created switched off; its power state comes back last.
    Halt,
    /// The power state: the one field that is set, as captured or as asked for.
    Power {
        /// `running` or `runStrategy`.
        field: String,
        /// Its value.
        value: serde_json::Value,
    },
    /// An annotation that names the archive and the instant.
    Mark {
        /// Value of the annotation `vmrewind.io/restored-from`.
        value: String,
    },
}
