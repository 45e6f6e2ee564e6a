//! What a plan changes in an object after the rules: data, so that the same object can be made again.
//!
//! Does not: decide which mutations an object gets; see `planner`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vmrewind_graph::mutate;

/// One change to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Mutation {
    /// The version under which the target serves the kind.
    ApiVersion {
        /// New value of `apiVersion`.
        to: String,
    },
    /// Namespaces get other names: the object's own, and those that it names explicitly.
    Namespaces {
        /// Captured namespace to target namespace.
        map: BTreeMap<String, String>,
    },
    /// Storage classes get other names.
    StorageClasses {
        /// Captured class to target class.
        map: BTreeMap<String, String>,
    },
    /// The MAC address of an interface.
    Mac {
        /// Name of the interface.
        interface: String,
        /// New value.
        to: String,
    },
    /// No interface has a MAC address.
    ClearMacs,
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
    Prepopulated {
        /// Name of the claim.
        claim: String,
    },
    /// A claim that a DataVolume may adopt without importing.
    Populated {
        /// Name of the DataVolume.
        data_volume: String,
    },
    /// The persistent volume that a claim is bound to.
    VolumeName {
        /// Its name.
        to: String,
    },
    /// A machine that is created switched off; its power state comes back last.
    Halt,
    /// The power state.
    Power {
        /// What is set: `{"running": …}` or `{"runStrategy": …}`; the other field is removed.
        to: mutate::Power,
    },
    /// Whether a pool is paused: one that is makes, changes and deletes no machines.
    Paused {
        /// What is set; none removes the field.
        to: Option<bool>,
    },
    /// What `kubectl apply` remembers is dropped, because the object is not what was applied.
    DropLastApplied,
    /// An annotation that names the archive and the instant.
    Mark {
        /// Value of the annotation `vmrewind.io/restored-from`.
        value: String,
    },
}

/// The annotation of [`Mutation::Mark`].
const MARK: &str = "vmrewind.io/restored-from";

impl Mutation {
    /// Changes the object. Doing it twice is doing it once.
    pub(crate) fn apply(&self, object: &mut Value) {
        // What was changed stands in the plan already, in the mutation itself.
        drop(match self {
            Self::Namespaces { map } => mutate::remap_namespaces(object, map),
            Self::StorageClasses { map } => mutate::remap_storage_classes(object, map),
            Self::Mac { interface, to } => mutate::set_mac(object, interface, to),
            Self::ClearMacs => mutate::clear_macs(object),
            Self::Serial { to: Some(to) } => mutate::set_serial(object, to),
            Self::Serial { to: None } => mutate::clear_serial(object),
            Self::FirmwareUuid { to: Some(to) } => mutate::set_firmware_uuid(object, to),
            Self::FirmwareUuid { to: None } => mutate::clear_firmware_uuid(object),
            Self::Prepopulated { claim } => {
                drop(mutate::allow_claim_adoption(object));
                mutate::mark_prepopulated(object, claim)
            }
            Self::Populated { data_volume } => mutate::mark_populated(object, data_volume),
            Self::VolumeName { to } => mutate::set_volume_name(object, to),
            Self::Halt => mutate::halt(object),
            Self::Power { to } => mutate::set_power(object, to),
            Self::Paused { to } => {
                if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                    match to {
                        Some(to) => drop(spec.insert("paused".to_owned(), json!(to))),
                        None => drop(spec.remove("paused")),
                    }
                }
                return;
            }
            Self::DropLastApplied => mutate::drop_last_applied(object),
            Self::ApiVersion { to } => {
                object["apiVersion"] = json!(to);
                return;
            }
            Self::Mark { value } => {
                let metadata = &mut object["metadata"];
                if !metadata["annotations"].is_object() {
                    metadata["annotations"] = json!({});
                }
                metadata["annotations"][MARK] = json!(value);
                return;
            }
        });
    }
}
