//! Other names for namespaces and storage classes, wherever an object spells them out.
//!
//! Does not: rename objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Changed, put};
use crate::{
    names::{self, GroupKind},
    path, template, view,
};

/// Below a DataVolume's spec.
const DATA_VOLUME_NAMESPACES: &[&str] = &[
    "source.pvc.namespace",
    "source.snapshot.namespace",
    "sourceRef.namespace",
    "storage.dataSourceRef.namespace",
    "pvc.dataSourceRef.namespace",
];

/// Places of a namespace's name, by kind.
const NAMESPACES: &[(GroupKind, &[&str])] = &[
    (names::NAMESPACE, &["metadata.name"]),
    (names::CLAIM, &["spec.dataSourceRef.namespace"]),
    (names::VOLUME, &["spec.claimRef.namespace"]),
    (
        names::DATA_SOURCE,
        &["spec.source.pvc.namespace", "spec.source.snapshot.namespace", "spec.source.dataSource.namespace"],
    ),
    (names::VOLUME_SNAPSHOT_CONTENT, &["spec.volumeSnapshotRef.namespace"]),
    (names::ROLE_BINDING, &["subjects[].namespace"]),
    (names::CLUSTER_ROLE_BINDING, &["subjects[].namespace"]),
];

/// Writes the new name of every namespace in `map` wherever the object names one: its own, networks as
/// `namespace/name`, sources of DataVolumes, templates' namespaces, claims of volumes, subjects of bindings.
/// Namespaces that are not in the map stay; so do references without a namespace, which move with the object.
pub fn remap_namespaces(object: &mut Value, map: &BTreeMap<String, String>) -> Vec<Changed> {
    let mut all = Vec::new();
    let mut rename = |object: &mut Value, path: &str| {
        path::each_mut(object, path, &mut |holder, member, path| {
            let to = holder[member].as_str().and_then(|name| map.get(name)).cloned();
            all.extend(to.and_then(|to| put(holder, member, to.into(), path.to_owned())));
        });
    };
    rename(object, "metadata.namespace");
    let by_kind = NAMESPACES.iter().filter(|(kind, _)| template::is(object, *kind)).flat_map(|(_, paths)| *paths);
    for path in by_kind.collect::<Vec<_>>() {
        rename(object, path);
    }
    for spec in data_volume_specs(object) {
        for path in DATA_VOLUME_NAMESPACES {
            rename(object, &path::join(&spec, path));
        }
    }
    if let Some(places) = template::places(object) {
        if let Some(machine) = places.machine {
            rename(object, &format!("{machine}.dataVolumeTemplates[].metadata.namespace"));
        }
        for metadata in places.metadata {
            rename(object, &format!("{metadata}.namespace"));
        }
        path::each_mut(
            object,
            &format!("{}.networks[].multus.networkName", places.spec),
            &mut |holder, member, path| {
                let Some((namespace, name)) = holder[member].as_str().and_then(|text| text.split_once('/')) else {
                    return;
                };
                let to = map.get(namespace).map(|to| format!("{to}/{name}"));
                all.extend(to.and_then(|to| put(holder, member, to.into(), path.to_owned())));
            },
        );
    }
    all
}

/// Writes the new name of every storage class in `map` wherever the object names one: claims (in either way),
/// volumes, DataVolumes and the templates of them in machines and pools. Other classes stay.
pub fn remap_storage_classes(object: &mut Value, map: &BTreeMap<String, String>) -> Vec<Changed> {
    let mut all = Vec::new();
    let mut rename = |holder: &mut Map<String, Value>, member: &str, path: String| {
        let to = holder.get(member).and_then(Value::as_str).and_then(|name| map.get(name)).cloned();
        all.extend(to.and_then(|to| put(holder, member, to.into(), path)));
    };
    let mut paths: Vec<String> = Vec::new();
    for spec in data_volume_specs(object) {
        paths.extend(["storage", "pvc"].map(|of| format!("{spec}.{of}.storageClassName")));
    }
    if template::is(object, names::CLAIM) || template::is(object, names::VOLUME) {
        paths.push("spec.storageClassName".to_owned());
        if let Some(annotations) = view::at_mut(object, "metadata.annotations").and_then(Value::as_object_mut) {
            let key = names::BETA_STORAGE_CLASS;
            rename(annotations, key, path::keyed("metadata.annotations", key));
        }
    }
    for path in paths {
        path::each_mut(object, &path, &mut |holder, member, path| rename(holder, member, path.to_owned()));
    }
    all
}

/// Returns the paths of the specs of DataVolumes in an object.
fn data_volume_specs(object: &Value) -> Vec<String> {
    let own = template::is(object, names::DATA_VOLUME).then(|| "spec".to_owned());
    let machine = template::places(object).and_then(|places| places.machine);
    own.into_iter().chain(machine.map(|machine| format!("{machine}.dataVolumeTemplates[].spec"))).collect()
}
