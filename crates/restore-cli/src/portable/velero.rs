//! The layout of a Velero backup: paths in the tarball, and the files beside it.
//!
//! As of Velero 1.18 (backup format 1.1.0): `vmware-tanzu/velero: pkg/archive/filesystem.go` (paths), `pkg/backup/item_backupper.go`
//! (each object twice, the second time below its preferred version), `pkg/backup/backup.go` (`metadata/version`),
//! `pkg/persistence/object_store_layout.go` (names beside the tarball), `pkg/backup/request.go` (the list of resources), and
//! `site/content/docs/main/output-file-format.md`.
//!
//! Does not: read or write files.

use std::{collections::BTreeMap, io};

use serde_json::{Value, json};
use vmrewind_model::{ObjectKey, Timestamp};

use super::{
    gather::{Export, Item},
    pack::{gzipped, part},
};
use crate::{error::CliError, output::breaks};

/// Version of the backup format.
pub(crate) const FORMAT_VERSION: &str = "1.1.0";
/// Name of the file that holds it.
pub(crate) const VERSION_FILE: &str = "metadata/version";
/// Directory of the objects.
pub(crate) const RESOURCES: &str = "resources";
/// Directory of objects with a namespace.
pub(crate) const NAMESPACES: &str = "namespaces";
/// Directory of objects without one.
pub(crate) const CLUSTER: &str = "cluster";
/// What follows the name of the preferred version.
pub(crate) const PREFERRED: &str = "-preferredversion";
/// Name of the file that only backups have which were exported from an archive: the manifest of an export.
pub(crate) const DESCRIBED: &str = "metadata/vmrewind.json";
/// What follows a backup's name in that of its list of resources.
pub(crate) const LIST: &str = "resource-list.json";
/// Name of the file that describes a backup.
pub(crate) const BACKUP: &str = "velero-backup.json";
/// Annotation that only backups have which were exported from an archive.
pub(crate) const ARCHIVE: &str = "vmrewind.io/archive";
/// Annotation with the exact instant, which a time of Kubernetes cannot hold.
pub(crate) const INSTANT: &str = "vmrewind.io/instant";
/// Mode of the files in the tarball.
pub(crate) const MODE: u32 = 0o755;

/// Returns the paths of an object in the tarball: the plain one, and the one below its version, which is the preferred one
/// because the watcher reads that.
///
/// # Errors
/// If a name cannot be part of a path.
pub(crate) fn paths(item: &Item<'_>) -> Result<[String; 2], CliError> {
    let (type_, name) = (part(&item.type_)?, part(&item.key.name)?);
    let scope = match item.key.namespace.as_str() {
        "" => CLUSTER.to_owned(),
        namespace => format!("{NAMESPACES}/{}", part(namespace)?),
    };
    let head = item.object.head().map_err(crate::context::unreadable)?;
    let version = part(head.api_version.rsplit('/').next().unwrap_or_default())?;
    Ok([
        format!("{RESOURCES}/{type_}/{scope}/{name}.json"),
        format!("{RESOURCES}/{type_}/{version}{PREFERRED}/{scope}/{name}.json"),
    ])
}

/// Makes the files that lie beside the tarball in the directory of a backup.
///
/// # Errors
/// If an object has no API version.
pub(crate) fn beside(name: &str, export: &Export<'_>) -> Result<Vec<(String, Vec<u8>)>, CliError> {
    let mut list: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Item { key, object, .. } in &export.items {
        let head = object.head().map_err(crate::context::unreadable)?;
        let entry = if key.namespace.is_empty() { key.name.clone() } else { format!("{}/{}", key.namespace, key.name) };
        list.entry(format!("{}/{}", head.api_version, key.kind)).or_default().push(entry);
    }
    list.values_mut().for_each(|names| names.sort());
    let none = "[]".to_owned();
    let warnings = warnings(export);
    let begun = format!("Exported by VMRewind from archive {} at record {}", export.identity.archive, export.seq);
    let line = |level: &str, text: &str| format!("time=\"{}\" level={level} msg={}\n", seconds(export.t), json!(text));
    let mut log = line("info", &begun);
    log.extend(warnings.iter().map(|(_, text)| line("warning", text)));
    let zipped = [
        (LIST, json!(list).to_string()),
        ("logs", log),
        ("results", json!({"errors": {}, "warnings": results(&warnings)}).to_string()),
        ("volumeinfo.json", none.clone()),
        ("itemoperations.json", none.clone()),
        ("podvolumebackups.json", none.clone()),
        ("volumesnapshots.json", none.clone()),
        ("csi-volumesnapshots.json", none.clone()),
        ("csi-volumesnapshotcontents.json", none.clone()),
        ("csi-volumesnapshotclasses.json", none),
    ];
    let mut files = vec![(BACKUP.to_owned(), backup(name, export).to_string().into_bytes())];
    for (what, text) in zipped {
        let content = gzipped(text.as_bytes()).map_err(|error: io::Error| CliError::from(error))?;
        files.push((format!("{name}-{what}.gz"), content));
    }
    Ok(files)
}

/// Says what is not certain, left out or not here, and in which namespace; none if that is not about an object.
fn warnings(export: &Export<'_>) -> Vec<(Option<String>, String)> {
    let about = |title: &str, rows: Vec<(ObjectKey, String)>| -> Vec<(Option<String>, String)> {
        rows.into_iter().map(|(key, text)| (Some(key.namespace), format!("{title}: {text}"))).collect()
    };
    let mut all: Vec<_> = export.uncertain.iter().map(|text| (None, format!("Not certain: {text}"))).collect();
    all.extend(about("Left out", export.why_left_out()));
    all.extend(about("Named, and not here", export.not_here()));
    for (_, text) in &mut all {
        *text = text.replace(breaks, " ");
    }
    all
}

/// Puts warnings into the form of Velero's results (`pkg/util/results/result.go`).
fn results(warnings: &[(Option<String>, String)]) -> Value {
    let mut result = json!({});
    for (place, text) in warnings {
        let list = match place.as_deref() {
            None => &mut result["velero"],
            Some("") => &mut result["cluster"],
            Some(namespace) => &mut result["namespaces"][namespace],
        };
        match list {
            Value::Array(texts) => texts.push(json!(text)),
            other => *other = json!([text]),
        }
    }
    result
}

/// Describes a backup that never expires and has no volumes.
fn backup(name: &str, export: &Export<'_>) -> Value {
    let mut namespaces: Vec<&str> =
        export.items.iter().map(|item| item.key.namespace.as_str()).filter(|name| !name.is_empty()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let everything = export.selected.roots.is_empty() && !export.selected.graph && export.selected.namespace.is_none();
    let included = if everything { vec!["*"] } else { namespaces };
    let t = seconds(export.t);
    json!({
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": {
            "name": name,
            "namespace": "velero",
            "annotations": {
                INSTANT: export.t.to_string(),
                ARCHIVE: export.identity.archive.to_string(),
                "vmrewind.io/cluster": export.identity.cluster,
                "vmrewind.io/seq": export.seq.to_string(),
                // An archive does not capture every type, and a backup cannot say what is withheld.
                "vmrewind.io/complete": "false",
            },
        },
        "spec": {
            "includedNamespaces": included, "includedResources": ["*"], "includeClusterResources": true,
            "snapshotVolumes": false, "defaultVolumesToFsBackup": false, "storageLocation": "default",
        },
        "status": {
            "version": 1, "formatVersion": FORMAT_VERSION, "phase": "Completed", "startTimestamp": t,
            "completionTimestamp": t, "progress": {"totalItems": export.items.len(), "itemsBackedUp": export.items.len()},
            "warnings": warnings(export).len(),
        },
    })
}

/// Writes a time as Kubernetes does: in whole seconds.
fn seconds(t: Timestamp) -> String {
    let whole = jiff::Timestamp::from_second(t.micros().div_euclid(1_000_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    whole.to_string()
}
