//! What must be read of the target, and reading it: many reads at once, but not too many.
//!
//! Does not: decide anything.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use vmrewind_graph::{self as graph, key};
use vmrewind_model::ObjectKey;

use crate::{
    error::RestoreError,
    identity,
    json::{list, text},
    namespace::{Places, namespace_key},
    options::PlanRequest,
    ownership,
    progress::Progress,
    survey::Survey,
    target::{Target, TargetError},
    view::{Node, Nodes, Seen, TargetView},
    volumes::{data_volume_key, volume_key},
    world::World,
};

/// Reads at the same time.
const CONCURRENCY: usize = 16;

/// From so many objects of a kind on, one list is cheaper than single reads.
const LIST_FROM: usize = 40;

/// Objects of the target that a plan depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Their keys.
    pub keys: BTreeSet<ObjectKey>,
    /// Whether identities of all machines are needed, to find collisions.
    pub identities: bool,
    /// Whether the nodes are needed: a machine is tied to some.
    pub nodes: bool,
}

/// Tells what must be read of the target for a plan.
///
/// # Errors
/// As [`crate::plan()`].
pub fn needs(world: &World, request: &PlanRequest) -> Result<Needs, RestoreError> {
    let survey = Survey::of(world, request)?;
    let places = Places::new(&request.mutations);
    let mut keys = BTreeSet::new();
    let (mut identities, mut nodes) = (false, false);
    let whole = survey.whole.nodes.keys();
    for captured in survey.graph.nodes.keys().chain(whole) {
        keys.insert(places.of(captured));
    }
    for one in &survey.uses {
        keys.insert(places.of(&one.claim));
        keys.insert(places.of(&data_volume_key(&one.claim.namespace, &one.claim.name)));
        keys.extend(volume_key(world, &one.claim));
    }
    for captured in survey.candidates.keys() {
        let place = places.of(captured);
        if place.is("kubevirt.io", "VirtualMachine") {
            keys.insert(ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &place.namespace, &place.name));
        }
        identities |= place.group == "kubevirt.io";
        if !place.namespace.is_empty() {
            keys.insert(namespace_key(&place.namespace));
        }
        let Some(object) = world.value(captured) else { continue };
        nodes |= survey.is_restored(captured) && !graph::ties(object).is_empty();
        let templates = list(object, "spec.dataVolumeTemplates").iter();
        for spec in templates.chain([object]) {
            for path in ["spec.storageClassName", "spec.storage.storageClassName", "spec.pvc.storageClassName"] {
                if !text(spec, path).is_empty() {
                    keys.insert(places.of(&ObjectKey::new("storage.k8s.io", "StorageClass", "", text(spec, path))));
                }
            }
        }
    }
    Ok(Needs { keys, identities, nodes })
}

/// Reads the target.
///
/// An object that may not be read is `Unreadable` in the view, not absent; identities that may not be read are said
/// so in the view.
///
/// # Errors
/// [`RestoreError::Observe`] if the cluster cannot be asked at all.
pub async fn observe(target: &dyn Target, needs: &Needs, progress: &dyn Progress) -> Result<TargetView, RestoreError> {
    let failed = |source| RestoreError::Observe { source };
    let (cluster, server) = target.identity().await.map_err(failed)?;
    let kinds = target.kinds().await.map_err(failed)?;
    let mut view = TargetView { cluster, server, kinds, ..TargetView::default() };
    progress.begin("observe", needs.keys.len());
    let mut by_kind: BTreeMap<(String, String), Vec<ObjectKey>> = BTreeMap::new();
    for key in &needs.keys {
        by_kind.entry((key.group.clone(), key.kind.clone())).or_default().push(key.clone());
    }
    let mut single = Vec::new();
    for ((group, kind), keys) in by_kind {
        if view.served(&group, &kind).is_none() {
            // What the target does not serve does not exist there.
            view.objects.extend(keys.into_iter().map(|key| (key, Seen::Absent)));
        } else if keys.len() >= LIST_FROM {
            match target.list(&group, &kind).await {
                Ok(objects) => {
                    let mut found: BTreeMap<ObjectKey, _> =
                        objects.into_iter().filter_map(|object| Some((key(&object)?, object))).collect();
                    for key in keys {
                        let seen = found.remove(&key).map_or(Seen::Absent, Seen::Present);
                        view.objects.insert(key, seen);
                        progress.tick();
                    }
                }
                // Perhaps single objects may be read.
                Err(_) => single.extend(keys),
            }
        } else {
            single.extend(keys);
        }
    }
    let mut reads = stream::iter(single).map(|key| look(target, key)).buffer_unordered(CONCURRENCY);
    while let Some(read) = reads.next().await {
        let (key, seen) = read?;
        view.objects.insert(key, seen);
        progress.tick();
    }
    drop(reads);
    read_owners(target, &mut view).await?;
    if needs.identities {
        read_identities(target, &mut view).await;
    }
    if needs.nodes {
        view.nodes = read_nodes(target).await;
    }
    Ok(view)
}

async fn look(target: &dyn Target, key: ObjectKey) -> Result<(ObjectKey, Seen), RestoreError> {
    let seen = match target.get(&key).await {
        Ok(Some(object)) => Seen::Present(object),
        Ok(None) | Err(TargetError::NotFound(_)) => Seen::Absent,
        Err(TargetError::Unreachable(reason) | TargetError::Ambiguous(reason)) => {
            return Err(RestoreError::Observe { source: TargetError::Unreachable(reason) });
        }
        Err(error) => Seen::Unreadable(error.to_string()),
    };
    Ok((key, seen))
}

/// Looks for the owners of what was found, and for theirs: an object whose owners are gone is about to be deleted, and
/// so is what it owns.
async fn read_owners(target: &dyn Target, view: &mut TargetView) -> Result<(), RestoreError> {
    for _ in 0..ownership::GENERATIONS {
        let missing = ownership::unseen(view);
        if missing.is_empty() {
            return Ok(());
        }
        let mut reads = stream::iter(missing).map(|key| look(target, key)).buffer_unordered(CONCURRENCY);
        while let Some(read) = reads.next().await {
            let (key, seen) = read?;
            view.objects.insert(key, seen);
        }
    }
    Ok(())
}

/// Reads what machines may ask of nodes. Not being allowed to is no error: the plan says what it could not check.
async fn read_nodes(target: &dyn Target) -> Nodes {
    match target.list("", "Node").await {
        Ok(nodes) => Nodes::Known(nodes.iter().map(Node::of).collect()),
        Err(error) => Nodes::Unread(error.to_string()),
    }
}

async fn read_identities(target: &dyn Target, view: &mut TargetView) {
    for kind in ["VirtualMachine", "VirtualMachineInstance"] {
        if view.served("kubevirt.io", kind).is_none() {
            continue;
        }
        match target.list("kubevirt.io", kind).await {
            Ok(objects) => {
                for object in objects {
                    if let Some(key) = key(&object) {
                        view.identities.extend(identity::in_use(&key, &object));
                    }
                }
            }
            Err(error) => view.identities_unread = Some(error.to_string()),
        }
    }
    view.identities.sort_by(|a, b| (a.field, &a.value, &a.holder).cmp(&(b.field, &b.value, &b.holder)));
}
