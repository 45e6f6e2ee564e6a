//! The plan: a value and a file. What stands in it is what happens, nothing else.
//!
//! The JSON form is `spec/schemas/plan.schema.json`. It holds no content of any object.
//!
//! Does not: make plans (`planner`) or carry them out (`execute`).

use std::{collections::BTreeMap, fs, io::Write as _, path::Path};

use serde::{Deserialize, Serialize};
use vmrewind_model::{Digest, ObjectKey, Seq, Timestamp};

use crate::{
    error::RestoreError,
    key_text,
    mutation::Mutation,
    options::{PlanRequest, VolumePolicy},
};

/// The `apiVersion` of plans and journals.
pub const API_VERSION: &str = "vmrewind.io/v1alpha1";

/// What a restore will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestorePlan {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `RestorePlan`.
    pub kind: String,
    /// Twelve hex digits derived from everything below but `created`: equal plans have equal ids.
    pub id: String,
    /// When it was made.
    #[serde(with = "key_text")]
    pub created: Timestamp,
    /// From what.
    pub archive: ArchiveRef,
    /// For what.
    pub target: TargetRef,
    /// What the user asked for.
    pub request: PlanRequest,
    /// Counts.
    pub summary: Summary,
    /// What happens, in this order. Each captured object that is concerned has exactly one step whose action is
    /// about the object itself ([`Action::of_object`]); further steps repair owners and power.
    pub steps: Vec<Step>,
    /// Per volume, where its data comes from.
    pub volumes: Vec<VolumePlan>,
    /// Identity fields of each machine, before and after.
    pub identities: Vec<IdentityRow>,
    /// What the user should know before saying yes.
    pub warnings: Vec<Warning>,
    /// What makes the plan impossible to execute, with a way out each.
    pub refusals: Vec<Refusal>,
    /// What something in the plan needs and the archive does not hold.
    pub missing: Vec<Missing>,
}

/// The archive that a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRef {
    /// Uuid of the archive.
    pub uuid: String,
    /// Uid of the cluster it captured.
    pub cluster: String,
    /// The state is the one after this record.
    pub seq: Seq,
    /// The instant asked for.
    #[serde(with = "key_text")]
    pub t: Timestamp,
}

/// The cluster that a plan is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRef {
    /// Uid of its `kube-system` namespace.
    pub cluster: String,
    /// Version of its API server.
    pub server: String,
}

/// Counts by action, plus volumes and refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Steps per action, by its text.
    pub actions: BTreeMap<String, usize>,
    /// Volumes per data source, by its text.
    pub volumes: BTreeMap<String, usize>,
    /// How many refusals.
    pub refusals: usize,
    /// How many warnings.
    pub warnings: usize,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// POST.
    Create,
    /// PUT over the live object.
    Replace,
    /// DELETE with the live uid, then POST: for kinds that cannot be changed.
    Recreate,
    /// Nothing: the live object equals what would be restored.
    Unchanged,
    /// Nothing: the live object stays as it is although it may differ, because that is the rule for it
    /// (claims with data, namespaces, cluster-scoped and shared objects).
    Keep,
    /// Nothing: the object is not restored, for a reason.
    Skip,
    /// Nothing can be done until the user decides: see `refusals`.
    Refuse,
    /// Stop a running machine and wait until it is gone.
    Stop,
    /// Remove uid and version from the claim reference of a persistent volume, so that it can be bound again.
    ReleaseVolume,
    /// Add an owner reference with the owner's new uid.
    PatchOwner,
    /// Put the power state back.
    Power,
    /// Ask for a start through the start subresource.
    Start,
}

impl Action {
    /// Tells whether it is about the object itself: each object has exactly one such step.
    #[must_use]
    pub fn of_object(self) -> bool {
        !matches!(self, Self::Stop | Self::ReleaseVolume | Self::PatchOwner | Self::Power | Self::Start)
    }

    /// Tells whether it writes to the target.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Self::Unchanged | Self::Keep | Self::Skip | Self::Refuse)
    }

    /// Returns the text that stands in the plan.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Recreate => "recreate",
            Self::Unchanged => "unchanged",
            Self::Keep => "keep",
            Self::Skip => "skip",
            Self::Refuse => "refuse",
            Self::Stop => "stop",
            Self::ReleaseVolume => "release-volume",
            Self::PatchOwner => "patch-owner",
            Self::Power => "power",
            Self::Start => "start",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Place in the plan, from 1.
    pub id: u32,
    /// Steps of a wave do not depend on each other; lower waves come first.
    pub wave: u32,
    /// What it does.
    pub action: Action,
    /// The object in the target.
    #[serde(with = "key_text")]
    pub key: ObjectKey,
    /// The captured object.
    #[serde(with = "key_text")]
    pub from: ObjectKey,
    /// Where its bytes are in the archive; none for objects that the archive does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Digest of the canonical form of what is written (for `unchanged`: of what would have been).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_digest: Option<Digest>,
    /// The live object that the step relies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveRef>,
    /// The owner that `patch-owner` adds.
    #[serde(default, with = "key_text::option", skip_serializing_if = "Option::is_none")]
    pub owner: Option<ObjectKey>,
    /// Rules that were applied to the captured object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<AppliedRule>,
    /// What else is changed, in this order, after the rules. For `power`: what is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutations: Vec<Mutation>,
    /// Why it is so, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// For `replace`: what changes, and when that takes effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// What a dry run on the server said, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// A captured state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The record.
    pub seq: Seq,
    /// Digest of its bytes.
    pub content_id: Digest,
}

/// The live object that a step relies on. If uid or digest is another at execution, the plan drifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRef {
    /// Its uid.
    pub uid: String,
    /// Digest of its comparable form; none where only its existence matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// A rule that was applied to an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AppliedRule {
    /// Its id.
    pub rule: String,
    /// The JSON path that was changed.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A path that a replacement changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The JSON path.
    pub path: String,
    /// `now` or `restart`.
    pub when: String,
}

/// What a dry run on the server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Check {
    /// The server would accept it.
    #[serde(rename_all = "camelCase")]
    Ok {
        /// Fields that the server's schema does not know and would drop.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pruned: Vec<String>,
        /// Its warnings.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// The server would refuse it.
    Refused {
        /// Its words.
        reason: String,
    },
    /// It cannot be told yet.
    NotCheckableYet {
        /// Why, for example that the plan creates its namespace.
        reason: String,
    },
}

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

impl RestorePlan {
    /// Returns the steps that write.
    pub fn writes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.action.writes())
    }

    /// Tells whether executing it would change nothing.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.writes().next().is_none()
    }

    /// Returns the refusal as an error, if there is one.
    ///
    /// # Errors
    /// [`RestoreError::Refused`] if the plan cannot be executed.
    pub fn check_refusals(&self) -> Result<(), RestoreError> {
        let Some(first) = self.refusals.first() else { return Ok(()) };
        Err(RestoreError::Refused {
            count: self.refusals.len(),
            first: first.message.clone(),
            hint: first.hint.clone(),
            only_conflicts: self.refusals.iter().all(|refusal| refusal.kind == RefusalKind::Conflict),
        })
    }

    /// Returns the JSON text, with a newline at the end. The same plan always gives the same bytes.
    ///
    /// # Errors
    /// [`RestoreError::Bug`] if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, RestoreError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| RestoreError::Bug(error.to_string()))?;
        Ok(text + "\n")
    }

    /// Writes the plan to a new file that only the user can read. An existing file is replaced as a whole.
    ///
    /// # Errors
    /// [`RestoreError::File`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RestoreError> {
        let text = self.to_json()?;
        let at = |source| RestoreError::File { path: path.to_owned(), source };
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = Path::new(&temporary);
        let mut file = private_file(temporary).map_err(at)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at)?;
        fs::rename(temporary, path).map_err(at)
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// [`RestoreError::File`] if it cannot be read, [`RestoreError::Format`] if it is no plan of this version.
    pub fn load(path: &Path) -> Result<Self, RestoreError> {
        let text = fs::read_to_string(path).map_err(|source| RestoreError::File { path: path.to_owned(), source })?;
        let bad = |reason: String| RestoreError::Format { path: path.to_owned(), reason };
        let plan: Self = serde_json::from_str(&text).map_err(|error| bad(format!("not a plan: {error}")))?;
        if plan.api_version != API_VERSION || plan.kind != "RestorePlan" {
            return Err(bad(format!("expected {API_VERSION} RestorePlan, found {} {}", plan.api_version, plan.kind)));
        }
        if plan.id != plan.computed_id()? {
            return Err(bad("the plan was changed after it was made: its id does not match its content".to_owned()));
        }
        Ok(plan)
    }

    /// Says what another plan for the same request would do differently, one sentence each; empty if nothing.
    pub(crate) fn drift(&self, now: &Self) -> Vec<String> {
        if self.id == now.id {
            return Vec::new();
        }
        let mut changes = Vec::new();
        if self.archive != now.archive {
            changes.push("the archive yields another state".to_owned());
        }
        let name = |step: &Step| (step.key.clone(), step.action.of_object(), step.owner.clone());
        let before: BTreeMap<_, &Step> = self.steps.iter().map(|step| (name(step), step)).collect();
        let after: BTreeMap<_, &Step> = now.steps.iter().map(|step| (name(step), step)).collect();
        for (name, step) in &before {
            let (key, action) = (&step.key, step.action.text());
            match after.get(name) {
                None => changes.push(format!("{key}: {action} is not needed any more")),
                Some(other) if other.action != step.action => {
                    changes.push(format!("{key}: was {action}, is now {}", other.action.text()));
                }
                Some(other) if other.live != step.live => changes.push(format!("{key}: the live object changed")),
                Some(other) if other.object_digest != step.object_digest => {
                    changes.push(format!("{key}: another object would be written"));
                }
                Some(_) => {}
            }
        }
        for (name, step) in after.iter().filter(|(name, _)| !before.contains_key(name)) {
            changes.push(format!("{}: {} is needed now", name.0, step.action.text()));
        }
        if changes.is_empty() {
            changes.push("its volumes, identities, warnings or refusals would be others".to_owned());
        }
        changes
    }

    /// Derives the id from everything but `id`, `created` and what dry runs said.
    pub(crate) fn computed_id(&self) -> Result<String, RestoreError> {
        let mut plain = self.clone();
        plain.id.clear();
        plain.created = Timestamp::MIN;
        plain.steps.iter_mut().for_each(|step| step.check = None);
        let bytes = serde_json::to_vec(&plain).map_err(|error| RestoreError::Bug(error.to_string()))?;
        Ok(Digest::of(&bytes).short())
    }
}

/// Opens a new file (or empties an existing one) that only the user can read.
pub(crate) fn private_file(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}
