//! The home of an object: the root beside which it is stored.
//!
//! Does not: decide for objects that tell nothing; they get the home of the object that names them.

use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::{
    names::{self, GroupKind},
    view,
};

/// Where an object belongs, as far as it tells itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// `namespace/name` of the machine, instance, replica set or pool it belongs to.
    Own(String),
    /// The home of the first of these that has one.
    Of(Vec<ObjectKey>),
    /// It does not tell.
    None,
}

/// Returns the home that the object itself tells, else those from which it can be inherited.
#[must_use]
pub fn home(object: &Value) -> Home {
    let (group, kind) = view::group_kind(object);
    let is = |known: GroupKind| known.group == group && known.kind == kind;
    let namespace = view::namespace(object);
    if [names::VM, names::VMI, names::REPLICA_SET, names::POOL].into_iter().any(is) {
        return own(namespace, view::name(object));
    }
    if is(names::POD) {
        return of_pod(object, namespace);
    }
    if is(names::VOLUME) {
        return of_member(object, "spec.claimRef", names::CLAIM);
    }
    if is(names::VOLUME_SNAPSHOT) {
        let claim = view::text(object, "spec.source.persistentVolumeClaimName");
        return inherited(names::CLAIM, namespace, claim);
    }
    if is(names::VOLUME_SNAPSHOT_CONTENT) {
        return of_member(object, "spec.volumeSnapshotRef", names::VOLUME_SNAPSHOT);
    }
    match of_owner(object, namespace) {
        Home::None if is(names::CLAIM) => own(namespace, view::label(object, names::PERSISTENT_STATE_FOR)),
        Home::None => of_operation(object, namespace),
        home => home,
    }
}

fn own(namespace: &str, name: &str) -> Home {
    if name.is_empty() { Home::None } else { Home::Own(format!("{namespace}/{name}")) }
}

fn inherited(kind: GroupKind, namespace: &str, name: &str) -> Home {
    if name.is_empty() {
        return Home::None;
    }
    Home::Of(vec![ObjectKey::new(kind.group, kind.kind, namespace, name)])
}

fn of_member(object: &Value, path: &str, kind: GroupKind) -> Home {
    let Some(reference) = view::at(object, path) else { return Home::None };
    inherited(kind, view::text(reference, "namespace"), view::text(reference, "name"))
}

/// A root that owns it is its home; else it inherits from what owns it.
fn of_owner(object: &Value, namespace: &str) -> Home {
    let roots = [names::VM, names::VMI, names::REPLICA_SET, names::POOL];
    if let Some(root) = view::owners(object).find(|owner| roots.iter().any(|kind| owner.is(*kind))) {
        return own(namespace, root.name);
    }
    let parents = [names::DATA_VOLUME, names::CLAIM, names::POD, names::VM_SNAPSHOT, names::VM_SNAPSHOT_CONTENT];
    let keys: Vec<ObjectKey> = view::owners(object)
        .filter_map(|owner| {
            let kind = parents.iter().find(|kind| owner.is(**kind))?;
            (!owner.name.is_empty()).then(|| ObjectKey::new(kind.group, kind.kind, namespace, owner.name))
        })
        .collect();
    if keys.is_empty() { Home::None } else { Home::Of(keys) }
}

fn of_pod(pod: &Value, namespace: &str) -> Home {
    let annotated = [names::OWNER_VMI_ANNOTATION, names::DOMAIN_ANNOTATION]
        .into_iter()
        .map(|key| view::annotation(pod, key))
        .find(|name| !name.is_empty());
    match of_owner(pod, namespace) {
        Home::Own(home) => Home::Own(home),
        inherited => annotated.map_or(inherited, |name| own(namespace, name)),
    }
}

/// Operations name the machine they work on.
fn of_operation(object: &Value, namespace: &str) -> Home {
    let (group, kind) = view::group_kind(object);
    if group == names::MIGRATION.group && kind == names::MIGRATION.kind {
        return own(namespace, view::text(object, "spec.vmiName"));
    }
    if !group.ends_with(".kubevirt.io") || group == names::CDI_GROUP {
        return Home::None;
    }
    if kind == names::VM_SNAPSHOT_CONTENT.kind {
        return own(namespace, view::text(object, "spec.source.virtualMachine.metadata.name"));
    }
    let machine = ["spec.source", "spec.target"]
        .into_iter()
        .filter_map(|path| view::at(object, path))
        .find(|reference| view::text(reference, "kind") == names::VM.kind);
    machine.map_or(Home::None, |reference| own(namespace, view::text(reference, "name")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vmrewind_testkit::build::{
        Build, config_map, dv, launcher_pod, pod, pool, pv, pvc, replica_set, revision, vm, vmi, vmi_of,
        volume_snapshot,
    };

    use super::*;

    fn own(home: &str) -> Home {
        Home::Own(home.to_owned())
    }

    fn of(key: &str) -> Home {
        Home::Of(vec![key.parse().expect("key")])
    }

    #[test]
    fn roots_are_their_own_home_and_an_instance_shares_its_machines() {
        assert_eq!(home(&vm("web").json()), own("prod/web"));
        assert_eq!(home(&vmi_of(&vm("web")).json()), own("prod/web"));
        assert_eq!(home(&replica_set("web").json()), own("prod/web"));
        assert_eq!(home(&vm("web-0").owned_by(&pool("web")).json()), own("prod/web-0"));
    }

    #[test]
    fn pods_belong_to_their_instance() {
        assert_eq!(home(&launcher_pod("virt-launcher-web-x", &vmi("web")).json()), own("prod/web"));
        assert_eq!(home(&pod("p").annotation("kubevirt.io/domain", "web").json()), own("prod/web"));
        let launcher = launcher_pod("virt-launcher-web-x", &vmi("web"));
        assert_eq!(home(&pod("hp-volume-x").owned_by(&launcher).json()), of("Pod/prod/virt-launcher-web-x"));
        assert_eq!(home(&pod("p").json()), Home::None);
    }

    #[test]
    fn storage_belongs_to_the_machine_it_was_made_for() {
        let machine = vm("web");
        assert_eq!(home(&dv("root").owned_by(&machine).json()), own("prod/web"));
        assert_eq!(home(&dv("alone").json()), Home::None);
        assert_eq!(home(&pvc("root").owned_by(&dv("root")).json()), of("DataVolume.cdi.kubevirt.io/prod/root"));
        assert_eq!(home(&pvc("state").label("persistent-state-for", "web").json()), own("prod/web"));
        assert_eq!(home(&pvc("state").owned_by(&machine).json()), own("prod/web"));
        assert_eq!(home(&pv("root").json()), of("PersistentVolumeClaim/prod/root"));
        assert_eq!(home(&volume_snapshot("s", "root").json()), of("PersistentVolumeClaim/prod/root"));
    }

    #[test]
    fn revisions_and_operations_belong_to_the_machine_they_are_about() {
        assert_eq!(home(&revision("r", &vm("web")).json()), own("prod/web"));
        let snapshot = Build::namespaced("snapshot.kubevirt.io/v1beta1", "VirtualMachineSnapshot", "s")
            .set("spec.source", json!({"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "web"}));
        assert_eq!(home(&snapshot.json()), own("prod/web"));
        let migration = Build::namespaced("kubevirt.io/v1", "VirtualMachineInstanceMigration", "m");
        assert_eq!(home(&migration.set("spec.vmiName", "web").json()), own("prod/web"));
    }

    #[test]
    fn what_anybody_may_name_has_no_home_of_its_own() {
        assert_eq!(home(&config_map("settings").json()), Home::None);
        assert_eq!(home(&json!([1, "x"])), Home::None);
    }
}
