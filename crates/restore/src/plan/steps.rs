//! What a plan does: steps, and what they rely on.
//!
//! Does not: order them; see `order`.

use serde::{Deserialize, Serialize};
use vmrewind_model::{Digest, ObjectKey, Seq};

use crate::{key_text, mutation::Mutation};

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
    /// Remove references to an owner that is gone, so that the garbage collector does not delete the object.
    ReleaseOwner,
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
        !matches!(
            self,
            Self::ReleaseOwner | Self::Stop | Self::ReleaseVolume | Self::PatchOwner | Self::Power | Self::Start
        )
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
            Self::ReleaseOwner => "release-owner",
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
    /// The owner that `patch-owner` adds, and that `release-owner` removes.
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
