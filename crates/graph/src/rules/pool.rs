//! What only replica sets and pools have: their children.
//!
//! Does not: cover the instance's spec in their templates.

use serde_json::Value;

use crate::{
    edges::{Edge, EdgeRule, Found, Source, Table, Target},
    names, view,
};

pub(super) const REPLICA_SET: Table = Table {
    sources: &[(names::REPLICA_SET, "")],
    rules: &[EdgeRule::code(
        "replica",
        |source, found| found.owned(names::VMI, source.namespace, source.uid),
        "kubevirt/kubevirt: pkg/virt-controller/watch/replicaset/replicaset.go",
    )
    .soft()
    .owns()],
};

pub(super) const POOL: Table = Table {
    sources: &[(names::POOL, "")],
    rules: &[EdgeRule::code("pool-machine", machines, "kubevirt/kubevirt: pkg/virt-controller/watch/pool/pool.go")
        .soft()
        .owns()],
};

fn machines(source: &Source<'_>, found: &mut Found<'_>) {
    found.owned(names::VM, source.namespace, source.uid);
}

const TEMPLATE: &str = "spec.virtualMachineTemplate.spec";

/// In a pool, disks from templates get an index in each child, and so do Secrets and ConfigMaps if it says so:
/// no object has the name in the pool's template, and the children name theirs themselves.
pub(super) fn applies(object: &Value, edge: &Edge) -> bool {
    let Target::Object(key) = &edge.target else { return true };
    let indexed = |option: &str| view::is_true(object, &format!("spec.nameGeneration.{option}"));
    match edge.rule.id {
        "volume-data-volume" | "volume-data-volume-claim" | "volume-claim" => {
            let templates = view::list(object, &format!("{TEMPLATE}.dataVolumeTemplates"));
            !templates.iter().any(|template| view::name(template) == key.name)
        }
        "volume-config-map" | "sysprep-config-map" => !indexed("appendIndexToConfigMapRefs"),
        _ if key.is("", "Secret") && edge.path.contains(".volumes[") => !indexed("appendIndexToSecretRefs"),
        _ => true,
    }
}
