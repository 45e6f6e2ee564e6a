//! What an archive can hold of names and of what a manifest says, so that a file that lies is refused before anything is made.
//!
//! Does not: compare a manifest with the objects' contents.

use std::collections::BTreeSet;

use vmrewind_archive::MAX_TEXT;
use vmrewind_model::ObjectKey;

use super::{
    incoming::bad,
    manifest::{Manifest, Missing, Resource},
};
use crate::error::CliError;

/// Most bytes of a key (`spec/format.md` 6), home included, which is a namespace and a name.
const KEY: usize = 1024 - 317;
/// Most bytes of the name of a cluster.
pub(crate) const CLUSTER: usize = 1024;
/// Most bytes of all names of a type.
const TYPE: usize = 1024;
/// Most types.
const TYPES: usize = 8192;
/// Most bytes of what is said of one object, as JSON: a line of an archive holds 8 KiB, its home included.
const LINE: usize = 6 * 1024;

/// Checks that a key can be recorded.
///
/// # Errors
/// If its names are longer than Kubernetes allows, or its name or kind is empty.
pub(crate) fn check_key(key: &ObjectKey, uid: &str) -> Result<(), CliError> {
    let parts = [key.namespace.as_str(), &key.name, &key.group, &key.kind, uid];
    if parts.iter().map(|part| part.len()).sum::<usize>() > KEY {
        let start: String = key.name.chars().take(40).collect();
        return Err(bad(format!("the names of an object are longer than Kubernetes allows: {start:?}…")));
    }
    if key.name.is_empty() || key.kind.is_empty() {
        return Err(bad(format!("an object lacks its name or its kind: {key}")));
    }
    Ok(())
}

/// Checks everything that a manifest says besides its objects; `held` are these.
///
/// # Errors
/// Which part cannot be recorded, or contradicts another.
pub(crate) fn check(manifest: &Manifest, held: &BTreeSet<ObjectKey>) -> Result<(), CliError> {
    if uuid::Uuid::parse_str(&manifest.archive).is_err() {
        return Err(bad("its manifest names no archive"));
    }
    if manifest.cluster.is_empty() || manifest.cluster.len() > CLUSTER {
        return Err(bad("its manifest names no cluster, or one with too long a name"));
    }
    if manifest.resources.len() > TYPES {
        return Err(bad(format!("its manifest names more than {TYPES} types")));
    }
    for Resource { group, resource, scope, kind, api_version, .. } in &manifest.resources {
        let length: usize = [group, resource, scope, kind, api_version].iter().map(|part| part.len()).sum();
        if length > TYPE || [resource, kind, api_version].iter().any(|part| part.is_empty()) {
            return Err(bad("its manifest names a type without a name, or with too long a one"));
        }
    }
    let mut known = BTreeSet::new();
    for missing in &manifest.missing {
        let key = ObjectKey::from(&missing.key);
        let Missing { uid, reason, .. } = missing;
        check_key(&key, uid)?;
        if reason.len() > MAX_TEXT || serde_json::to_string(missing).is_ok_and(|line| line.len() > LINE) {
            return Err(bad(format!("its manifest says too much of {key}")));
        }
        if held.contains(&key) {
            return Err(bad(format!("its manifest says that {key} is not there, and it is")));
        }
        if !known.insert(key) {
            return Err(bad(format!("its manifest says twice that {} is not there", ObjectKey::from(&missing.key))));
        }
    }
    Ok(())
}
