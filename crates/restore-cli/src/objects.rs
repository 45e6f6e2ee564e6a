//! Objects of a state in the forms in which they are shown.
//!
//! Does not: choose which objects; the caller has done so.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use vmrewind_archive::{Entry, Presence};
use vmrewind_model::{ObjectKey, RawObject};

use crate::{context::unreadable, error::CliError, mask::Masker, record::micros};

/// An object as JSON: the stored bytes where nothing in it is masked, so that no number is changed.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    /// Exactly what is stored.
    Exact(Box<RawValue>),
    /// With masked values.
    Masked(Value),
}

/// Returns an object for JSON output.
///
/// # Errors
/// If the stored bytes are not JSON.
pub(crate) fn shown(object: &RawObject, masker: &Masker) -> Result<Shown, CliError> {
    let mut value = object.value().map_err(unreadable)?;
    if masker.mask(&mut value) > 0 {
        return Ok(Shown::Masked(value));
    }
    serde_json::from_slice(object.bytes()).map(Shown::Exact).map_err(|_| CliError::bug("a stored object is not JSON."))
}

/// Returns an object for output that is not JSON, masked.
///
/// # Errors
/// If the stored bytes are not JSON.
pub(crate) fn value(object: &RawObject, masker: &Masker) -> Result<Value, CliError> {
    let mut value = object.value().map_err(unreadable)?;
    masker.mask(&mut value);
    Ok(value)
}

/// Returns the objects of a state that exist and have a recorded state.
pub(crate) fn present(entry: &Entry) -> Option<&RawObject> {
    if entry.presence == Presence::Present { entry.record.change.object() } else { None }
}

/// What the archive says of a recorded object besides its content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recorded {
    seq: u64,
    t: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lo: Option<String>,
    group: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    resource_version: Option<String>,
    content_id: Option<String>,
    presence: &'static str,
}

impl Recorded {
    /// Takes it from an entry.
    pub(crate) fn of(key: &ObjectKey, entry: &Entry) -> Self {
        let record = &entry.record;
        Self {
            seq: record.seq.0,
            t: micros(record.t),
            lo: record.lo.map(micros),
            group: key.group.clone(),
            kind: key.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: record.change.key().map(|key| key.uid.clone()).unwrap_or_default(),
            resource_version: record.change.rv().map(|rv| rv.to_string()),
            content_id: record.change.object().map(|object| object.content_id().to_string()),
            presence: match entry.presence {
                Presence::Present => "present",
                Presence::Absent => "absent",
                Presence::Withheld => "withheld",
            },
        }
    }
}

/// An archived object in JSON: what the archive says of it, and the object.
#[derive(Serialize)]
pub(crate) struct Archived {
    /// What the archive says of it.
    #[serde(flatten)]
    pub(crate) recorded: Recorded,
    /// The object; none if it is withheld.
    pub(crate) object: Option<Shown>,
}

impl Archived {
    /// Takes it from an entry.
    ///
    /// # Errors
    /// If the stored bytes are not JSON.
    pub(crate) fn of(key: &ObjectKey, entry: &Entry, masker: &Masker) -> Result<Self, CliError> {
        let object = present(entry).map(|object| shown(object, masker)).transpose()?;
        Ok(Self { recorded: Recorded::of(key, entry), object })
    }
}

/// Returns the instant of an answer in JSON.
pub(crate) fn instant(state: &vmrewind_archive::State) -> Value {
    json!({"seq": state.seq, "t": micros(state.t)})
}
