//! What to say when an object is not there: when it was, and what else has such a name.
//!
//! Does not: run unless something is missing; it reads the whole history of the type.

use std::collections::BTreeMap;

use futures::{StreamExt as _, pin_mut};
use vmrewind_archive::{Archive, SeqRange};
use vmrewind_model::{Change, ObjectKey, RecordKey, Timestamp};

use crate::{
    age,
    context::Ctx,
    error::CliError,
    moment::Moment,
    names::{TypeName, nearest},
};

/// What the archive knows of an object over all its history.
#[derive(Default)]
struct Known {
    first: Option<Timestamp>,
    deleted: Option<Timestamp>,
    exists: bool,
}

/// Returns the error for an object that is not in the state at `moment`.
///
/// # Errors
/// If the archive cannot be read.
pub(crate) async fn not_there(
    ctx: &Ctx,
    archive: &Archive,
    moment: &Moment,
    type_: &TypeName,
    key: &ObjectKey,
) -> Result<CliError, CliError> {
    let filter = |other: &RecordKey| other.object.is(&key.group, &key.kind);
    let history = archive.history(&filter, SeqRange::ALL);
    pin_mut!(history);
    let mut all: BTreeMap<ObjectKey, Known> = BTreeMap::new();
    while let Some(record) = history.next().await {
        let record = record?;
        let Some(other) = record.change.key() else { continue };
        let known = all.entry(other.object.clone()).or_default();
        match &record.change {
            Change::Object { .. } | Change::Withheld { .. } => {
                known.first.get_or_insert(record.t);
                known.exists = true;
            }
            Change::Deleted { .. } => {
                known.deleted = Some(record.t);
                known.exists = false;
            }
            Change::Unobserved { .. } | Change::Absent { .. } => known.exists = false,
            Change::Gap(_) | Change::Heartbeat => {}
        }
    }
    let word = type_.shortest();
    let in_ns =
        |key: &ObjectKey| if key.namespace.is_empty() { String::new() } else { format!(" -n {}", key.namespace) };
    let label = moment.label();
    if let Some(known) = all.get(key).filter(|known| known.first.is_some()) {
        let error = CliError::usage(format!("{key} does not exist at {label}."));
        return Ok(match (known.first, known.deleted) {
            (Some(first), _) if moment.state.t < first => error.hint(format!("the archive knows it since {first}.")),
            (_, Some(deleted)) => error.hint(format!(
                "it was deleted at {deleted} ({}); use --at before-delete to see it as it was.",
                age::ago(ctx.now, deleted)
            )),
            _ => error.hint(format!("log {word}/{}{} shows what happened to it.", key.name, in_ns(key))),
        });
    }
    let error = CliError::usage(format!("the archive knows no {key}."));
    let elsewhere: Vec<&ObjectKey> = all.keys().filter(|other| other.name == key.name).collect();
    if let Some(other) = elsewhere.first() {
        return Ok(error.hint(format!("there is one in another namespace: {word} {}{}.", other.name, in_ns(other))));
    }
    let here = all.keys().filter(|other| other.namespace == key.namespace);
    let near = nearest(&key.name, here.map(|other| other.name.as_str()));
    if !near.is_empty() {
        return Ok(error.hint(format!("did you mean {}?", near.join(" or "))));
    }
    let far: Vec<String> = nearest(&key.name, all.keys().map(|other| other.name.as_str()))
        .into_iter()
        .filter_map(|name| all.keys().find(|other| other.name == name))
        .map(|other| format!("{}{}", other.name, in_ns(other)))
        .collect();
    if !far.is_empty() {
        return Ok(error.hint(format!("did you mean {}?", far.join(" or "))));
    }
    Ok(error.hint(format!("get {word} -A lists the ones that there are; log {word} -A also those that are gone.")))
}
