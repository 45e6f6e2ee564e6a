//! The types that can be named, and how.
//!
//! Does not: ask a cluster.

use serde_json::Value;
use vmrewind_model::ObjectKey;

use super::nearest;
use crate::error::CliError;

/// A type and the names it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeName {
    /// The API group, empty for the core group.
    pub(crate) group: String,
    /// The kind.
    pub(crate) kind: String,
    /// The plural name.
    pub(crate) plural: String,
    /// The short names.
    pub(crate) short: Vec<String>,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
}

impl TypeName {
    /// Returns the name under which a user finds the type for certain: `plural.group`.
    pub(crate) fn full(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Returns what stands before the slash in `-o name` and in `TYPE/NAME`: `kind.group` in lower case.
    pub(crate) fn prefix(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }

    /// Returns the shortest name, for hints that somebody will type.
    pub(crate) fn shortest(&self) -> String {
        self.short.first().cloned().unwrap_or_else(|| self.kind.to_lowercase())
    }

    fn is_called(&self, word: &str) -> bool {
        let plain = |name: &str| {
            name.eq_ignore_ascii_case(&self.plural)
                || name.eq_ignore_ascii_case(&self.kind)
                || self.short.iter().any(|short| name.eq_ignore_ascii_case(short))
        };
        match word.split_once('.') {
            None => plain(word),
            Some((name, group)) => {
                let unversioned = group.split_once('.').filter(|(version, _)| is_version(version));
                plain(name)
                    && (group.eq_ignore_ascii_case(&self.group)
                        || unversioned.is_some_and(|(_, group)| group.eq_ignore_ascii_case(&self.group)))
            }
        }
    }
}

/// Tells whether a label looks like an API version: `v1`, `v1beta1`.
fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Short names of the types in the scope table, as their definitions give them.
const SHORT: &[(&str, &str, &[&str])] = &[
    ("kubevirt.io", "VirtualMachine", &["vm", "vms"]),
    ("kubevirt.io", "VirtualMachineInstance", &["vmi", "vmis"]),
    ("kubevirt.io", "VirtualMachineInstanceReplicaSet", &["vmirs", "vmirss"]),
    ("kubevirt.io", "VirtualMachineInstanceMigration", &["vmim", "vmims"]),
    ("kubevirt.io", "VirtualMachineInstancePreset", &["vmipreset", "vmipresets"]),
    ("kubevirt.io", "KubeVirt", &["kv", "kvs"]),
    ("pool.kubevirt.io", "VirtualMachinePool", &["vmpool", "vmpools"]),
    ("snapshot.kubevirt.io", "VirtualMachineSnapshot", &["vmsnapshot", "vmsnapshots"]),
    ("snapshot.kubevirt.io", "VirtualMachineSnapshotContent", &["vmsnapshotcontent", "vmsnapshotcontents"]),
    ("snapshot.kubevirt.io", "VirtualMachineRestore", &["vmrestore", "vmrestores"]),
    ("clone.kubevirt.io", "VirtualMachineClone", &["vmclone", "vmclones"]),
    ("export.kubevirt.io", "VirtualMachineExport", &["vmexport", "vmexports"]),
    ("backup.kubevirt.io", "VirtualMachineBackup", &["vmbackup", "vmbackups"]),
    ("backup.kubevirt.io", "VirtualMachineBackupTracker", &["vmbackuptracker", "vmbackuptrackers"]),
    ("instancetype.kubevirt.io", "VirtualMachineInstancetype", &["vminstancetype", "vminstancetypes", "vmf", "vmfs"]),
    (
        "instancetype.kubevirt.io",
        "VirtualMachineClusterInstancetype",
        &["vmclusterinstancetype", "vmclusterinstancetypes", "vmcf", "vmcfs"],
    ),
    ("instancetype.kubevirt.io", "VirtualMachinePreference", &["vmpref", "vmprefs", "vmp", "vmps"]),
    (
        "instancetype.kubevirt.io",
        "VirtualMachineClusterPreference",
        &["vmclusterpref", "vmclusterprefs", "vmcp", "vmcps"],
    ),
    ("cdi.kubevirt.io", "DataVolume", &["dv", "dvs"]),
    ("cdi.kubevirt.io", "DataSource", &["das"]),
    ("cdi.kubevirt.io", "DataImportCron", &["dic", "dics"]),
    ("k8s.cni.cncf.io", "NetworkAttachmentDefinition", &["net-attach-def"]),
    ("snapshot.storage.k8s.io", "VolumeSnapshot", &["vs"]),
    ("snapshot.storage.k8s.io", "VolumeSnapshotContent", &["vsc", "vscs"]),
    ("snapshot.storage.k8s.io", "VolumeSnapshotClass", &["vsclass", "vsclasses"]),
    ("storage.k8s.io", "StorageClass", &["sc"]),
    ("scheduling.k8s.io", "PriorityClass", &["pc"]),
    ("apiextensions.k8s.io", "CustomResourceDefinition", &["crd", "crds"]),
    ("", "PersistentVolumeClaim", &["pvc"]),
    ("", "PersistentVolume", &["pv"]),
    ("", "Pod", &["po"]),
    ("", "ConfigMap", &["cm"]),
    ("", "ServiceAccount", &["sa"]),
    ("", "Namespace", &["ns"]),
];

/// All types that can be named.
#[derive(Clone, Debug)]
pub(crate) struct Types {
    rows: Vec<TypeName>,
}

impl Types {
    /// Returns the types of the scope table, which need no archive.
    pub(crate) fn built_in() -> Self {
        let rows = vmrewind_graph::kinds().iter().map(|row| TypeName {
            group: row.group.to_owned(),
            kind: row.kind.to_owned(),
            plural: row.plural.to_owned(),
            short: short_names(row.group, row.kind),
            namespaced: row.namespaced,
        });
        Self { rows: rows.collect() }
    }

    /// Adds the type that an archived definition defines, or its names if the type is there already.
    /// What has another shape than a definition adds nothing.
    pub(crate) fn add_definition(&mut self, crd: &Value) {
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (Some(group), Some(kind), Some(plural)) =
            (text("/spec/group"), text("/spec/names/kind"), text("/spec/names/plural"))
        else {
            return;
        };
        let short = crd.pointer("/spec/names/shortNames").and_then(Value::as_array);
        let mut names: Vec<String> = short.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        names.extend(text("/spec/names/singular").filter(|singular| *singular != kind.to_lowercase()));
        let namespaced = text("/spec/scope").as_deref() != Some("Cluster");
        self.add(TypeName { group, kind, plural, short: names, namespaced });
    }

    /// Adds a type, or its names if the type is there already.
    pub(crate) fn add(&mut self, new: TypeName) {
        match self.rows.iter_mut().find(|row| row.group == new.group && row.kind == new.kind) {
            None => self.rows.push(new),
            Some(row) => {
                for name in new.short {
                    if !row.short.contains(&name) {
                        row.short.push(name);
                    }
                }
            }
        }
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &TypeName> {
        self.rows.iter()
    }

    /// Returns the type of this group and kind.
    pub(crate) fn of(&self, group: &str, kind: &str) -> Option<&TypeName> {
        self.rows.iter().find(|row| row.group == group && row.kind == kind)
    }

    /// Writes a key in the short form that commands understand: `vm/prod/db-1`.
    pub(crate) fn short_key(&self, key: &ObjectKey) -> String {
        let name = self.of(&key.group, &key.kind).map_or_else(|| key.kind.to_lowercase(), TypeName::shortest);
        if key.namespace.is_empty() {
            format!("{name}/{}", key.name)
        } else {
            format!("{name}/{}/{}", key.namespace, key.name)
        }
    }

    /// Returns the type that `word` names, or none.
    pub(crate) fn find(&self, word: &str) -> Option<Result<&TypeName, CliError>> {
        let mut found = self.rows.iter().filter(|row| row.is_called(word));
        let first = found.next()?;
        let rest: Vec<String> = found.map(TypeName::full).collect();
        if rest.is_empty() {
            return Some(Ok(first));
        }
        Some(Err(CliError::usage(format!("{word:?} names several types: {}, {}.", first.full(), rest.join(", ")))
            .hint("write the type with its group.")))
    }

    /// Returns the type that `word` names.
    ///
    /// # Errors
    /// If no type or more than one goes by that name.
    pub(crate) fn resolve(&self, word: &str) -> Result<&TypeName, CliError> {
        self.find(word).unwrap_or_else(|| {
            let names = self.rows.iter().flat_map(|row| {
                [row.plural.as_str(), row.kind.as_str()].into_iter().chain(row.short.iter().map(String::as_str))
            });
            let bare = word.split_once('.').map_or(word, |(name, _)| name);
            let near = nearest(bare, names);
            let hint = match near.as_slice() {
                [] => "kubectl vmrewind info lists the types that the archive holds.".to_owned(),
                near => format!("did you mean {}?", near.join(" or ")),
            };
            Err(CliError::usage(format!("the archive knows no type {word:?}.")).hint(hint))
        })
    }
}

/// Returns the short names of a type of the scope table.
fn short_names(group: &str, kind: &str) -> Vec<String> {
    let row = SHORT.iter().find(|(g, k, _)| *g == group && *k == kind);
    row.map_or_else(Vec::new, |(_, _, names)| names.iter().map(|name| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_a_type_by_each_of_its_names() {
        let types = Types::built_in();
        for word in [
            "vm",
            "vms",
            "VirtualMachine",
            "virtualmachines",
            "virtualmachine",
            "virtualmachines.kubevirt.io",
            "vm.v1.kubevirt.io",
        ] {
            assert_eq!(types.resolve(word).expect(word).kind, "VirtualMachine", "{word}");
        }
        assert_eq!(types.resolve("pvc").expect("known").plural, "persistentvolumeclaims");
        assert_eq!(types.resolve("secret").expect("known").kind, "Secret");
        assert_eq!(types.resolve("dv").expect("known").group, "cdi.kubevirt.io");
    }

    #[test]
    fn no_two_types_of_the_scope_table_share_a_name() {
        let types = Types::built_in();
        for row in &types.rows {
            for name in row.short.iter().chain([&row.plural, &row.kind]) {
                let found = types.find(name).expect("its own name").expect("only one");
                assert_eq!((&found.group, &found.kind), (&row.group, &row.kind), "{name}");
            }
        }
    }

    #[test]
    fn every_short_name_belongs_to_a_type_that_can_be_named_or_will_be() {
        let known = |group: &str, kind: &str| Types::built_in().of(group, kind).is_some();
        assert!(known("kubevirt.io", "VirtualMachine"));
        let unknown: Vec<_> = SHORT.iter().filter(|(group, kind, _)| !known(group, kind)).collect();
        assert!(unknown.len() * 2 < SHORT.len(), "most rows must name types of the scope table: {unknown:?}");
    }

    #[test]
    fn an_unknown_type_is_refused_with_the_nearest_names() {
        let error = Types::built_in().resolve("virtualmachin").expect_err("unknown");
        assert!(error.hint.expect("a hint").contains("virtualmachine"), "near names are offered");
    }

    #[test]
    fn learns_types_and_short_names_from_archived_definitions() {
        let mut types = Types::built_in();
        assert!(types.find("wd").is_none());
        types.add_definition(&json!({"spec": {"group": "example.org", "scope": "Cluster",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "shortNames": ["wd"]}}}));
        let widget = types.resolve("wd").expect("learned");
        assert_eq!((widget.full().as_str(), widget.namespaced), ("widgets.example.org", false));
        types.add_definition(&json!({"spec": "nonsense"}));
    }
}
