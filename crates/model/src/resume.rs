//! How far each watched resource is proven, and where its watch goes on.

use serde::{Deserialize, Serialize};

use crate::{Era, ResourceId, Rv, Timestamp, optional::present};

/// How well the capture of a resource is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofState {
    /// Watched, and everything up to `proven_at` was received.
    Live,
    /// Watched, but still catching up with changes made while nobody watched.
    Late,
    /// Being listed again, because the watch could not go on where it had stopped.
    Relisting,
    /// Nothing can be read: the server does not answer, or its answers make no sense.
    Stalled,
    /// The server refuses to let us read it.
    Denied,
    /// The type is no longer served (its definition was removed). What was recorded stays recorded.
    Removed,
}

/// What is known of one resource at the end of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumeEntry {
    /// The resource.
    #[serde(flatten)]
    pub id: ResourceId,
    /// Kind of its objects.
    pub kind: String,
    /// API version it is read under, for example `kubevirt.io/v1`.
    pub api_version: String,
    /// The resource version from which a watch can go on; none before the first complete list.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub rv: Option<Rv>,
    /// Everything that happened to the resource up to this instant is in the archive, except for what open
    /// and closed gaps name; none if nothing was ever proven.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub proven_at: Option<Timestamp>,
    /// How capture is going.
    pub state: ProofState,
    /// The era `rv` belongs to.
    pub era: Era,
    /// For [`ProofState::Denied`] and [`ProofState::Stalled`]: verb and reason, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}
