//! What must be taken away or changed so that a recorded object can be created again.
//!
//! The same for every target: what depends on the target or on the user's choice is in `mutate`.
//!
//! Does not: repair owner references, decide where a disk's data come from, or power anything on.

use serde::Serialize;
use serde_json::Value;

use crate::{edit::Edit, names, template};

mod compare;
mod core;
mod machine;
mod metadata;
mod noise;
mod storage;
mod verdict;

pub use compare::{Difference, comparable, differences};
pub use noise::noise;
pub use verdict::{Verdict, verdict};

/// One thing that was done to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The rule's stable name in kebab-case, for example `controller-finalizers`.
    pub rule: &'static str,
    /// Where, for example `metadata.finalizers[0]`.
    pub path: String,
    /// Why, in a few words.
    pub reason: &'static str,
    /// The upstream file that says so.
    pub source: &'static str,
}

/// A rule of this module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) source: &'static str,
}

/// Takes away what keeps a recorded object from being created again, and returns what was done.
///
/// Idempotent: a second call does nothing. Members that no rule knows stay. What is no Kubernetes object stays
/// as it is.
pub fn sanitise(object: &mut Value) -> Vec<Applied> {
    if !object.is_object() {
        return Vec::new();
    }
    let mut edit = Edit::new(object);
    let kind = |edit: &Edit<'_>, kind| template::is(edit.object, kind);
    if kind(&edit, names::VM) {
        machine::keep_revisions(&mut edit);
    }
    if let Some(places) = template::places(edit.object) {
        machine::sanitise(&mut edit, places);
    }
    if kind(&edit, names::VMI) {
        machine::sanitise_instance(&mut edit);
    } else if kind(&edit, names::CLAIM) {
        storage::sanitise_claim(&mut edit);
    } else if kind(&edit, names::VOLUME) {
        storage::sanitise_volume(&mut edit);
    } else if kind(&edit, names::DATA_VOLUME) {
        storage::sanitise_data_volume(&mut edit);
    } else if kind(&edit, names::NAMESPACE) {
        core::sanitise_namespace(&mut edit);
    } else if kind(&edit, names::SECRET) {
        core::sanitise_secret(&mut edit);
    } else if kind(&edit, names::SERVICE_ACCOUNT) {
        core::sanitise_service_account(&mut edit);
    }
    metadata::sanitise(&mut edit);
    edit.applied
}

#[cfg(test)]
mod tests;
