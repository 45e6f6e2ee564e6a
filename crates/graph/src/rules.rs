//! The table of references. Adding an edge is adding a row.
//!
//! Does not: read objects; `edges` does.

mod instance;
mod machine;
mod operation;
mod pool;
mod storage;

use serde_json::Value;

use crate::{
    edges::{Edge, Table},
    names, template,
};

pub(crate) use instance::keeps_tpm_state;

/// The version of the table: a graph that was computed and stored carries it. It changes with every row.
pub const TABLE_VERSION: u32 = 1;

static TABLES: &[Table] = &[
    machine::TABLE,
    instance::SPEC,
    instance::METADATA,
    instance::INSTANCE,
    instance::POD,
    instance::SERVICE_ACCOUNT,
    pool::REPLICA_SET,
    pool::POOL,
    storage::DATA_VOLUME,
    storage::DATA_VOLUME_SPEC,
    storage::DATA_SOURCE,
    storage::CLAIM,
    storage::VOLUME,
    storage::VOLUME_SNAPSHOT,
    storage::VOLUME_SNAPSHOT_CONTENT,
    operation::VM_SNAPSHOT,
    operation::VM_SNAPSHOT_CONTENT,
    operation::VM_RESTORE,
    operation::VM_CLONE,
    operation::VM_EXPORT,
    operation::VM_BACKUP,
    operation::MIGRATION,
];

/// Returns the whole table.
#[must_use]
pub fn tables() -> &'static [Table] {
    TABLES
}

/// Takes away edges that a row found and that are none: a pool's template names objects that get another name
/// in each child.
pub(crate) fn retain_those_that_apply(object: &Value, edges: &mut Vec<Edge>) {
    if template::is(object, names::POOL) {
        edges.retain(|edge| pool::applies(object, edge));
    }
}

#[cfg(test)]
mod tests;
