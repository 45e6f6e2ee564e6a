//! What a plan says besides its steps: volumes, identities, warnings, refusals, what is missing.
//!
//! Does not: decide any of it.

use serde::{Deserialize, Serialize};
use vmrewind_model::ObjectKey;

use crate::{key_text, options::VolumePolicy};

/// Where the data of a volume comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataSource {
    /// The live claim, untouched.
    Keep,
    /// The retained persistent volume.
    Rebind,
    /// CDI fetches it again.
    Reimport,
    /// An empty disk.
    Blank,
    /// Nowhere: refused.
    None,
    /// The volume is dropped from the machine, or is not needed.
    NotNeeded,
}

impl DataSource {
    /// Returns the text that stands in the plan.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Rebind => "rebind",
            Self::Reimport => "reimport",
            Self::Blank => "blank",
            Self::None => "none",
            Self::NotNeeded => "not-needed",
        }
    }
}

/// Where the data of one volume of one machine comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumePlan {
    /// The captured machine; none for a claim that no selected machine uses.
    #[serde(default, with = "key_text::option", skip_serializing_if = "Option::is_none")]
    pub vm: Option<ObjectKey>,
    /// Name of the volume in the machine; `persistent-state` for vTPM and EFI variables; empty without a machine.
    pub volume: String,
    /// The claim in the target.
    #[serde(with = "key_text")]
    pub claim: ObjectKey,
    /// The policy that applied.
    pub policy: VolumePolicy,
    /// Where its data comes from.
    pub data_source: DataSource,
    /// Why, for people.
    pub why: String,
}

/// A field that makes a machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityField {
    /// `macAddress` of an interface.
    Mac,
    /// SMBIOS serial.
    Serial,
    /// SMBIOS UUID.
    FirmwareUuid,
}

/// An identity field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityRow {
    /// The machine in the target.
    #[serde(with = "key_text")]
    pub vm: ObjectKey,
    /// Which field.
    pub field: IdentityField,
    /// Name of the interface, for MAC addresses.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interface: String,
    /// As captured; empty if it was not set.
    pub before: String,
    /// As restored; empty if the platform will fill it in.
    pub after: String,
    /// Others that have the same value: live in the target, or in this plan.
    #[serde(default, with = "key_text::list", skip_serializing_if = "Vec::is_empty")]
    pub also_used_by: Vec<ObjectKey>,
}

/// What the user should know before saying yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// About which object, in the target.
    #[serde(default, with = "key_text::option", skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// A sentence.
    pub message: String,
}

/// Why a plan cannot be executed as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The data of a claim cannot be shown to exist.
    VolumeData,
    /// The object exists and differs.
    Conflict,
    /// The target lacks the namespace.
    MissingNamespace,
    /// The target does not serve the kind.
    MissingKind,
    /// The target lacks the storage class.
    MissingStorageClass,
    /// Something that a machine needs is neither in the archive nor in the target.
    MissingPrerequisite,
    /// The machine to be replaced is running.
    RunningVm,
    /// A field that differs cannot be changed.
    Immutable,
    /// A live machine has the same MAC address.
    IdentityCollision,
    /// A new firmware UUID would orphan the state of a persistent vTPM.
    VtpmIdentity,
    /// The live object is being deleted.
    BeingDeleted,
    /// An operation of KubeVirt is working on the machine, and bars changes.
    Busy,
    /// Two captured objects would become one.
    DuplicateDestination,
    /// The archive withholds the object's content.
    Withheld,
    /// The live object could not be read, so nothing can be said about it.
    Unreadable,
}

/// One reason why a plan cannot be executed, with a way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which kind of reason.
    pub kind: RefusalKind,
    /// About which object, in the target.
    #[serde(with = "key_text")]
    pub key: ObjectKey,
    /// A sentence.
    pub message: String,
    /// What to do about it, a sentence.
    pub hint: String,
}

/// Something that an object of the plan needs and the archive does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// What needs it (as captured).
    #[serde(with = "key_text")]
    pub from: ObjectKey,
    /// Where it is named.
    pub path: String,
    /// What is named, as text (an object key, or a description of a group of objects).
    pub target: String,
    /// `hard` or `soft`.
    pub strength: String,
    /// `absent` (known not to have existed), `withheld` or `unknown`.
    pub presence: String,
    /// Whether the target cluster has it now: `present`, `absent`, `created by this plan` or `unknown`.
    pub in_target: String,
}
