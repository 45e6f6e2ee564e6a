use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    Deps, Presence, World, closure, comparable, differences, home, in_scope, kinds, mask_secrets, mutate, noise,
    sanitise, verdict, wave,
};

/// Members that rules look at, so that arbitrary JSON reaches far into them.
const WORDS: &[&str] = &[
    "metadata",
    "spec",
    "status",
    "template",
    "virtualMachineTemplate",
    "volumes",
    "domain",
    "devices",
    "interfaces",
    "firmware",
    "networks",
    "multus",
    "networkName",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "name",
    "namespace",
    "uid",
    "kind",
    "apiVersion",
    "secret",
    "secretName",
    "configMap",
    "persistentVolumeClaim",
    "claimName",
    "dataVolume",
    "optional",
    "dataVolumeTemplates",
    "source",
    "pvc",
    "sourceRef",
    "storage",
    "storageClassName",
    "instancetype",
    "instancetypeRef",
    "controllerRevisionRef",
    "preference",
    "data",
    "tpm",
    "persistent",
    "created",
    "running",
    "runStrategy",
    "claimRef",
    "dataSourceRef",
    "cloudInitNoCloud",
    "userData",
    "hooks.kubevirt.io/hookSidecars",
    "kubevirt.io/ignitiondata",
    "url",
    "env",
    "items",
    "secrets",
    "hotpluggable",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => "[a-z./\\[\\]\"]{0,6}"]
}

/// JSON of any shape.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word().prop_map(Value::from),
        Just(Value::from("[{\"configMap\":{\"name\":\"x\"}}]")),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// An object of a kind of the scope whose other members have any shape.
pub(crate) fn any_object() -> impl Strategy<Value = Value> {
    (0..kinds().len(), any_json(), any_json(), any_json(), any_json()).prop_map(
        |(row, metadata, spec, status, data)| {
            let row = &kinds()[row];
            let version = if row.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", row.group) };
            json!({"apiVersion": version, "kind": row.kind, "metadata": metadata, "spec": spec, "status": status,
            "data": data})
        },
    )
}

struct Alone(Value);

impl World for Alone {
    fn get(&self, _: &ObjectKey) -> Presence<'_> {
        Presence::Present(&self.0)
    }

    fn select(&self, target: &Target) -> Vec<ObjectKey> {
        if target.matches(&self.0) { crate::key(&self.0).into_iter().collect() } else { Vec::new() }
    }
}

fn touch_everything(object: &Value) {
    let _ = (edges(object), wanted(object), home(object), in_scope(object), verdict(object), comparable(object));
    let _ = (mutate::identity(object), mutate::power(object), mutate::has_persistent_tpm(object), wave("", "x"));
    assert_eq!(differences(object, object), []);
    let mut copy = object.clone();
    noise(&mut copy);
    mask_secrets(&mut copy);
    let map = [("a".to_owned(), "b".to_owned())].into();
    mutate::remap_namespaces(&mut copy, &map);
    mutate::remap_storage_classes(&mut copy, &map);
    mutate::set_mac(&mut copy, "default", "02:00:00:00:00:01");
    mutate::set_serial(&mut copy, "s");
    mutate::fill_legacy_firmware_uuid(&mut copy, "web");
    mutate::clear_macs(&mut copy);
    mutate::halt(&mut copy);
    mutate::mark_populated(&mut copy, "root");
    mutate::drop_last_applied(&mut copy);
    mutate::set_snapshot_source(&mut copy, "s");
    let _ = mutate::at_least(&mut copy, "1Gi");
    if let Some(key) = crate::key(object) {
        let graph = closure(&Alone(object.clone()), &[key], Deps::All);
        assert!(serde_json::to_value(&graph).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_json_makes_anything_panic(value in any_json()) {
        touch_everything(&value);
    }

    #[test]
    fn no_object_of_the_scope_makes_anything_panic(object in any_object()) {
        touch_everything(&object);
    }

    #[test]
    fn sanitising_twice_is_sanitising_once(object in any_object()) {
        let mut once = object;
        sanitise(&mut once);
        let mut twice = once.clone();
        prop_assert_eq!(sanitise(&mut twice), vec![]);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn the_comparable_form_is_its_own_comparable_form(object in any_object()) {
        let form = comparable(&object);
        prop_assert_eq!(comparable(&form), form);
    }

    #[test]
    fn the_comparable_form_of_what_sanitising_leaves_is_the_same(object in any_object()) {
        let mut sanitised = object.clone();
        sanitise(&mut sanitised);
        prop_assert_eq!(comparable(&sanitised), comparable(&object));
    }
}
