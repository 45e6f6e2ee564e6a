//! The facts about a claim, and what is decided about it.
//!
//! Does not: read or decide anything.

use crate::{options::VolumePolicy, plan::DataSource};

/// What is known of a claim, as captured and live.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// What `--volumes` has before the choice for this volume, up to its name: `keep,web/root`. Empty in tests that
    /// do not look at hints.
    pub(crate) flag: String,
    /// What the user chose.
    pub(crate) policy: VolumePolicy,
    /// Whether the user named this volume.
    pub(crate) named: bool,
    /// Whether it goes back to where it was: same cluster, same namespace.
    pub(crate) in_place: bool,
    /// What the claim is for.
    pub(crate) role: Role,
    /// The captured claim.
    pub(crate) claim: Captured<CapturedClaim>,
    /// The captured DataVolume of its name.
    pub(crate) data_volume: Captured<CapturedDataVolume>,
    /// What the template of the machine would import, if there is one of its name.
    pub(crate) template: Option<ImportSource>,
    /// The live claim.
    pub(crate) live_claim: Option<LiveClaim>,
    /// The live DataVolume.
    pub(crate) live_data_volume: Option<LiveDataVolume>,
    /// The live persistent volume of the name of the one that the captured claim was bound to.
    pub(crate) live_volume: Option<LiveVolume>,
    /// Whether nothing shows that this is the captured one: volumes that are made by hand have the same names wherever
    /// they are made.
    pub(crate) other_volume: bool,
}

impl Facts {
    /// Returns the flag that chooses a policy for this volume.
    pub(super) fn choose(&self, policy: VolumePolicy) -> String {
        format!("--volumes {}={policy}", self.flag)
    }
}

/// What a claim is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// A disk.
    #[default]
    Disk,
    /// State of a vTPM or EFI variables, which KubeVirt creates empty where it is missing.
    MachineState,
    /// Nothing that the restored machine needs (a memory dump), or only a soft need.
    NotNeeded,
}

/// Whether the archive holds something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Captured<T> {
    /// It does.
    Held(T),
    /// It is known not to have existed.
    #[default]
    Absent,
    /// It is not known whether it existed.
    Unknown,
}

impl<T> Captured<T> {
    pub(super) fn held(&self) -> Option<&T> {
        match self {
            Self::Held(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }

    pub(super) fn unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

/// A captured claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CapturedClaim {
    /// The persistent volume it was bound to; empty if it was not bound, that is, never had data.
    pub(crate) volume: String,
}

/// A captured DataVolume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CapturedDataVolume {
    /// Whether its import had succeeded.
    pub(crate) succeeded: bool,
    /// What it imports.
    pub(crate) source: ImportSource,
}

/// What a DataVolume imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImportSource {
    /// Something that can be fetched again: a URL, an image, an object in the cluster.
    Fetch,
    /// An empty disk.
    Blank,
    /// Data that somebody uploaded: it cannot be fetched again.
    Upload,
    /// Nothing that we know how to fetch.
    Unknown,
}

/// A live claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveClaim {
    /// The persistent volume it is bound to; empty if it is not bound.
    pub(crate) volume: String,
    /// Whether it is being deleted.
    pub(crate) deleting: bool,
    /// Whether it has lost its persistent volume (phase `Lost`).
    pub(crate) lost: bool,
}

/// A live DataVolume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveDataVolume {
    /// Whether its import has succeeded.
    pub(crate) succeeded: bool,
}

/// A live persistent volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveVolume {
    /// Why it cannot be bound again, if it cannot.
    pub(crate) obstacle: Option<String>,
}

/// What becomes of a claim object or a DataVolume object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The live one stays as it is.
    Keep,
    /// It is created as captured.
    AsCaptured,
    /// Claim: bound again to its persistent volume. DataVolume: adopts the claim instead of importing.
    Adopt,
    /// Claim: created empty.
    Empty,
    /// DataVolume: imports again. Claim: not restored, because CDI makes it.
    Import,
    /// Not restored.
    Skip,
}

/// What becomes of the data of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Where the data comes from; [`DataSource::None`] if it is refused.
    pub(crate) source: DataSource,
    /// Why, for people.
    pub(crate) why: String,
    /// What to do about a refusal.
    pub(crate) hint: Option<String>,
    /// What the user should know although it is no refusal.
    pub(crate) warning: Option<String>,
    /// What becomes of the claim object.
    pub(crate) claim: Fate,
    /// What becomes of the DataVolume object.
    pub(crate) data_volume: Fate,
}

impl Decision {
    pub(super) fn new(source: DataSource, claim: Fate, data_volume: Fate, why: impl Into<String>) -> Self {
        Self { source, why: why.into(), hint: None, warning: None, claim, data_volume }
    }

    pub(super) fn refused(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::new(DataSource::None, Fate::Skip, Fate::Skip, why) }
    }

    pub(super) fn warn(self, warning: impl Into<String>) -> Self {
        Self { warning: Some(warning.into()), ..self }
    }
}
