//! Reading the facts about claims off captured and live objects, and deciding each claim once.
//!
//! Does not: decide; `decide` does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vmrewind_graph::{Graph, NodePresence, Presence, Strength, World as _};
use vmrewind_model::ObjectKey;

use super::{
    Captured, CapturedClaim, CapturedDataVolume, Decision, Facts, ImportSource, LiveClaim, LiveDataVolume, LiveVolume,
    Role, decide,
};
use crate::{
    error::RestoreError,
    json::{at, is_deleting, list, machine_path, text, uid},
    namespace::Places,
    options::{VolumePolicy, Volumes},
    view::TargetView,
    world::World,
};

/// A volume of a machine, and the claim behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClaimUse {
    /// The captured claim.
    pub(crate) claim: ObjectKey,
    /// The captured machine; none for a claim that no machine of the plan uses.
    pub(crate) vm: Option<ObjectKey>,
    /// Name of the volume in the machine.
    pub(crate) volume: String,
    role: Use,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Disk,
    MachineState,
    NotNeeded,
}

/// All claims that a plan is concerned with.
pub(crate) struct Claims {
    /// Every use, sorted.
    pub(crate) uses: Vec<ClaimUse>,
    /// The decision and its policy, by captured claim.
    pub(crate) decisions: BTreeMap<ObjectKey, (VolumePolicy, Decision)>,
}

/// Returns the key of a claim.
pub(crate) fn claim_key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new("", "PersistentVolumeClaim", namespace, name)
}

/// Returns the key of a DataVolume.
pub(crate) fn data_volume_key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new("cdi.kubevirt.io", "DataVolume", namespace, name)
}

/// Returns the key of the persistent volume that a captured claim was bound to.
pub(crate) fn volume_key(world: &World, claim: &ObjectKey) -> Option<ObjectKey> {
    let name = captured_volume(world.value(claim)?);
    (!name.is_empty()).then(|| ObjectKey::new("", "PersistentVolume", "", name))
}

fn captured_volume(claim: &Value) -> &str {
    if text(claim, "status.phase") == "Pending" { "" } else { text(claim, "spec.volumeName") }
}

/// Lists the volumes of the machines that `restored` tells are restored, and the claims that none of them uses.
pub(crate) fn uses(world: &World, graph: &Graph, restored: &dyn Fn(&ObjectKey) -> bool) -> Vec<ClaimUse> {
    let mut uses = BTreeSet::new();
    for key in graph.nodes.keys().filter(|key| restored(key)) {
        let (Some(path), Some(object)) = (machine_path(key), world.value(key)) else { continue };
        // Each machine of a pool gets disks of its own, under names that only the pool knows.
        let templates = list(object, "spec.virtualMachineTemplate.spec.dataVolumeTemplates");
        let of_child = |name: &str| templates.iter().any(|template| text(template, "metadata.name") == name);
        for volume in at(object, path).map_or(&[][..], |spec| list(spec, "volumes")) {
            let Some((name, role)) = claim_of(world, &key.namespace, volume).filter(|(name, _)| !of_child(name)) else {
                continue;
            };
            let claim = claim_key(&key.namespace, &name);
            uses.insert(ClaimUse { claim, vm: Some(key.clone()), volume: text(volume, "name").to_owned(), role });
        }
        for edge in graph.edges_from(key).filter(|edge| edge.rule == "backend-storage") {
            let (claim, volume) = (edge.to.clone(), "persistent-state".to_owned());
            uses.insert(ClaimUse { claim, vm: Some(key.clone()), volume, role: Use::MachineState });
        }
    }
    let used: BTreeSet<ObjectKey> = uses.iter().map(|one| one.claim.clone()).collect();
    for (key, node) in graph.nodes.iter().filter(|(_, node)| node.presence == NodePresence::Present) {
        let claim = if key.is("", "PersistentVolumeClaim") {
            key.clone()
        } else if key.is("cdi.kubevirt.io", "DataVolume") {
            claim_key(&key.namespace, claim_name(world, key))
        } else {
            continue;
        };
        if !used.contains(&claim) {
            let needed = graph.nodes.get(&claim).map_or(node.needed, |claim| claim.needed.min(node.needed));
            let role = if needed == Strength::Hard { Use::Disk } else { Use::NotNeeded };
            uses.insert(ClaimUse { claim, vm: None, volume: String::new(), role });
        }
    }
    // A DataVolume and its claim may both have told; the stronger need counts.
    let mut all: Vec<ClaimUse> = uses.into_iter().collect();
    all.dedup_by(|next, first| next.claim == first.claim && next.vm == first.vm && next.volume == first.volume);
    all
}

fn claim_name<'a>(world: &'a World, data_volume: &'a ObjectKey) -> &'a str {
    let named = world.value(data_volume).map_or("", |object| text(object, "status.claimName"));
    if named.is_empty() { &data_volume.name } else { named }
}

fn claim_of(world: &World, namespace: &str, volume: &Value) -> Option<(String, Use)> {
    let named = |path: &str| Some(text(volume, path)).filter(|name| !name.is_empty());
    if let Some(name) =
        named("persistentVolumeClaim.claimName").or_else(|| named("ephemeral.persistentVolumeClaim.claimName"))
    {
        return Some((name.to_owned(), Use::Disk));
    }
    if let Some(name) = named("dataVolume.name") {
        return Some((claim_name(world, &data_volume_key(namespace, name)).to_owned(), Use::Disk));
    }
    named("memoryDump.claimName").map(|name| (name.to_owned(), Use::NotNeeded))
}

impl Claims {
    /// Decides every claim.
    ///
    /// # Errors
    /// [`RestoreError::Invalid`] if an override names no volume of the plan.
    pub(crate) fn decide(
        world: &World,
        uses: Vec<ClaimUse>,
        volumes: &Volumes,
        places: Places<'_>,
        view: &TargetView,
    ) -> Result<Self, RestoreError> {
        let mut matched = BTreeSet::new();
        let mut decisions = BTreeMap::new();
        let claims: BTreeSet<&ObjectKey> = uses.iter().map(|one| &one.claim).collect();
        for claim in claims {
            let of_claim: Vec<&ClaimUse> = uses.iter().filter(|one| one.claim == *claim).collect();
            let named = of_claim.iter().copied().flat_map(names_of).find_map(|name| {
                let policy = volumes.overrides.get(&name)?;
                matched.insert(name);
                Some(*policy)
            });
            for name in of_claim.iter().copied().flat_map(names_of) {
                if volumes.overrides.contains_key(&name) {
                    matched.insert(name);
                }
            }
            let facts = Facts {
                flag: flag(volumes, &of_claim),
                policy: named.unwrap_or(volumes.default),
                named: named.is_some(),
                role: role_of(&of_claim),
                ..facts(world, claim, &of_claim, places, view)
            };
            decisions.insert(claim.clone(), (facts.policy, decide(&facts)));
        }
        if let Some(name) = volumes.overrides.keys().find(|name| !matched.contains(*name)) {
            let known: BTreeSet<String> = uses.iter().flat_map(names_of).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(RestoreError::invalid(
                format!("{name:?} names no volume of this plan"),
                format!("The volumes of this plan are: {known}."),
            ));
        }
        Ok(Self { uses, decisions })
    }

    /// Returns the decision about a claim.
    pub(crate) fn of(&self, claim: &ObjectKey) -> Option<&Decision> {
        self.decisions.get(claim).map(|(_, decision)| decision)
    }

    /// Returns the decision about the claim of a DataVolume.
    pub(crate) fn of_data_volume(&self, world: &World, key: &ObjectKey) -> Option<&Decision> {
        self.of(&claim_key(&key.namespace, claim_name(world, key)))
    }
}

/// The names by which a user may mean a volume.
fn names_of(one: &ClaimUse) -> Vec<String> {
    let mut names = vec![one.claim.name.clone(), format!("{}/{}", one.claim.namespace, one.claim.name)];
    if let Some(vm) = &one.vm {
        names.push(format!("{}/{}", vm.name, one.volume));
        names.push(format!("{}/{}/{}", vm.namespace, vm.name, one.volume));
    }
    names
}

/// Returns the value of `--volumes` as asked for, without what it says of a volume, up to the name of that volume.
fn flag(volumes: &Volumes, uses: &[&ClaimUse]) -> String {
    let names: Vec<String> = uses.iter().copied().flat_map(names_of).collect();
    let mut others = volumes.clone();
    others.overrides.retain(|name, _| !names.contains(name));
    let of_machine = uses.iter().find_map(|one| Some(format!("{}/{}", one.vm.as_ref()?.name, one.volume)));
    let name = of_machine.or_else(|| Some(uses.first()?.claim.name.clone())).unwrap_or_default();
    format!("{others},{name}")
}

fn role_of(uses: &[&ClaimUse]) -> Role {
    match uses.iter().map(|one| one.role).min() {
        Some(Use::Disk) | None => Role::Disk,
        Some(Use::MachineState) => Role::MachineState,
        Some(Use::NotNeeded) => Role::NotNeeded,
    }
}

fn facts(world: &World, claim: &ObjectKey, uses: &[&ClaimUse], places: Places<'_>, view: &TargetView) -> Facts {
    let data_volume = data_volume_key(&claim.namespace, &claim.name);
    let template = uses.iter().filter_map(|one| one.vm.as_ref()).find_map(|vm| {
        let templates = list(world.value(vm)?, "spec.dataVolumeTemplates");
        let template = templates.iter().find(|template| text(template, "metadata.name") == claim.name)?;
        Some(import_source(template))
    });
    let place = places.of(claim);
    Facts {
        in_place: place == *claim && view.cluster == world.archive().cluster,
        claim: captured(world, claim, |object| CapturedClaim { volume: captured_volume(object).to_owned() }),
        data_volume: captured(world, &data_volume, |object| CapturedDataVolume {
            succeeded: text(object, "status.phase") == "Succeeded",
            source: import_source(object),
        }),
        template,
        live_claim: view.live(&place).map(live_claim),
        live_data_volume: view
            .live(&places.of(&data_volume))
            .map(|object| LiveDataVolume { succeeded: text(object, "status.phase") == "Succeeded" }),
        live_volume: volume_key(world, claim).and_then(|key| view.live(&key)).map(|volume| live_volume(volume, claim)),
        other_volume: volume_key(world, claim).is_some_and(|key| !is_same_volume(world, claim, &place, &key, view)),
        ..Facts::default()
    }
}

fn captured<T>(world: &World, key: &ObjectKey, read: impl Fn(&Value) -> T) -> Captured<T> {
    match world.get(key) {
        Presence::Present(object) => Captured::Held(read(object)),
        Presence::Absent => Captured::Absent,
        Presence::Withheld | Presence::Unknown => Captured::Unknown,
    }
}

/// Reads what a DataVolume (or a template of one) imports.
pub(crate) fn import_source(data_volume: &Value) -> ImportSource {
    let has = |path: &str| at(data_volume, path).is_some_and(|value| !value.is_null());
    if has("spec.sourceRef")
        || has("spec.storage.dataSourceRef")
        || has("spec.pvc.dataSourceRef")
        || has("spec.pvc.dataSource")
    {
        return ImportSource::Fetch;
    }
    let source = at(data_volume, "spec.source").and_then(Value::as_object);
    match source.and_then(|source| source.keys().next()).map(String::as_str) {
        Some("blank") => ImportSource::Blank,
        Some("upload") => ImportSource::Upload,
        Some("http" | "s3" | "gcs" | "registry" | "imageio" | "vddk" | "pvc" | "snapshot") => ImportSource::Fetch,
        Some(_) | None => ImportSource::Unknown,
    }
}

fn live_claim(claim: &Value) -> LiveClaim {
    let phase = text(claim, "status.phase");
    LiveClaim {
        volume: if phase == "Bound" { text(claim, "spec.volumeName").to_owned() } else { String::new() },
        deleting: is_deleting(claim),
        lost: phase == "Lost",
    }
}

/// Tells whether the live volume `key` is the one that the captured claim was bound to: by its uid or, if one of the two
/// is not known, by that of the claim, which never changes its volume.
fn is_same_volume(world: &World, claim: &ObjectKey, place: &ObjectKey, key: &ObjectKey, view: &TargetView) -> bool {
    match (world.value(key), view.live(key)) {
        (Some(captured), Some(live)) => uid(captured) == uid(live),
        (_, live) => {
            let captured = world.value(claim).map(uid).filter(|uid| !uid.is_empty());
            let bound = [view.live(place).map(uid), live.map(|live| text(live, "spec.claimRef.uid"))];
            captured.is_some() && bound.contains(&captured)
        }
    }
}

fn live_volume(volume: &Value, claim: &ObjectKey) -> LiveVolume {
    let phase = text(volume, "status.phase");
    let (namespace, name) = (text(volume, "spec.claimRef.namespace"), text(volume, "spec.claimRef.name"));
    let obstacle = if is_deleting(volume) {
        Some("it is being deleted".to_owned())
    } else if text(volume, "spec.persistentVolumeReclaimPolicy") != "Retain" {
        Some("its reclaim policy is not Retain, so its storage may be removed at any moment".to_owned())
    } else if !name.is_empty() && (namespace, name) != (claim.namespace.as_str(), claim.name.as_str()) {
        Some(format!("it is reserved for claim {namespace}/{name}"))
    } else if phase == "Bound" {
        Some("it is still bound".to_owned())
    } else if phase == "Failed" {
        Some("it has failed".to_owned())
    } else {
        None
    };
    LiveVolume { obstacle }
}
