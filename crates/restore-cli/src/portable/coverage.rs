//! Which objects a Velero backup holds all of: never on its own, but on the user's word, and then no more than its own description
//! says that it was to hold.
//!
//! Does not: look at objects.

use serde_json::Value;

use super::velero;

/// What a backup was to hold all of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// The namespaces; none for all of them.
    pub(crate) namespaces: Option<Vec<String>>,
    namespaced: Types,
    cluster: Types,
}

/// Some types.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Types {
    All,
    Some(Vec<String>),
}

impl Types {
    fn of(names: Vec<String>) -> Self {
        if names.iter().any(|name| name == "*") { Self::All } else { Self::Some(names) }
    }

    /// Tells whether a type, as `plural.group`, is among them. A short name, or a plural name without its group, may be that of
    /// another type.
    fn has(&self, type_: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.iter().any(|name| name == type_),
        }
    }
}

impl Coverage {
    /// Returns the scopes in which every object of a type is there: an empty one for everywhere; none if it is not known.
    pub(crate) fn scopes(&self, type_: &str, namespaced: bool) -> Vec<&str> {
        let types = if namespaced { &self.namespaced } else { &self.cluster };
        match &self.namespaces {
            _ if !types.has(type_) => Vec::new(),
            Some(names) if namespaced => names.iter().map(String::as_str).collect(),
            _ => vec![""],
        }
    }
}

/// Tells whether a backup was exported from an archive.
pub(crate) fn exported(backup: &Value) -> bool {
    !backup["metadata"]["annotations"][velero::ARCHIVE].is_null()
}

/// Finds out what a backup was to hold all of. `complete` is the user's word; `objects` are the numbers of objects that it may count.
///
/// # Errors
/// Why nothing is known.
pub(crate) fn coverage(backup: &Value, complete: bool, objects: &[u64]) -> Result<Coverage, String> {
    let (spec, status) = (&backup["spec"], &backup["status"]);
    if exported(backup) {
        return Err(EXPORTED.to_owned());
    }
    if !complete {
        return Err("nobody but the user can tell that a Velero backup holds everything; --complete says so".to_owned());
    }
    if status["phase"] != "Completed" || status["errors"].as_u64().is_some_and(|errors| errors > 0) {
        return Err("the backup did not complete without errors".to_owned());
    }
    let progress = |name: &str| status["progress"][name].as_u64();
    let counted = progress("itemsBackedUp").ok_or("velero-backup.json does not count the objects of the backup")?;
    if progress("totalItems").is_some_and(|total| total > counted) || !objects.contains(&counted) {
        let total = progress("totalItems").unwrap_or(counted).max(counted);
        let there = objects.first().copied().unwrap_or_default();
        return Err(format!("velero-backup.json counts {counted} object(s) of {total}, and the file holds {there}"));
    }
    let list = |name: &str| -> Vec<String> {
        let items = spec[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        items.map(str::to_owned).collect()
    };
    let leaving = [
        "excludedResources",
        "excludedClusterScopedResources",
        "excludedNamespaceScopedResources",
        "excludedNamespaces",
    ];
    let selected = ["labelSelector", "orLabelSelectors", "resourcePolicy"].iter().any(|name| !spec[*name].is_null());
    if selected || leaving.iter().any(|name| !list(name).is_empty()) {
        return Err("the backup leaves some types, labels or namespaces out".to_owned());
    }
    let names = list("includedNamespaces");
    if names.iter().any(|name| name != "*" && name.contains(['*', '?', '[', '{'])) {
        return Err("the backup is of namespaces by pattern".to_owned());
    }
    let namespaces = (!names.is_empty() && !names.iter().any(|name| name == "*")).then_some(names);
    // Of what has no namespace, a backup of some namespaces holds what belongs to its objects, unless it is told to hold all.
    let anywhere = match spec["includeClusterResources"].as_bool() {
        Some(told) => told,
        None => namespaces.is_none(),
    };
    let old = list("includedResources");
    let (inside, outside) = (list("includedNamespaceScopedResources"), list("includedClusterScopedResources"));
    let (namespaced, cluster) = if inside.is_empty() && outside.is_empty() {
        let types = if old.is_empty() { Types::All } else { Types::of(old) };
        (types.clone(), if anywhere { types } else { Types::Some(Vec::new()) })
    } else {
        (Types::of(inside), Types::of(outside))
    };
    Ok(Coverage { namespaces, namespaced, cluster })
}

/// Why nothing is known of a backup that was exported from an archive.
pub(crate) const EXPORTED: &str = "it was exported from an archive, and a Velero backup cannot say what that archive withheld or never \
                                   captured (an export with --format tar can)";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backup(spec: &Value) -> Value {
        json!({"kind": "Backup", "spec": spec,
            "status": {"phase": "Completed", "progress": {"totalItems": 3, "itemsBackedUp": 3}}})
    }

    fn scopes(spec: &Value) -> [Vec<String>; 3] {
        let coverage = coverage(&backup(spec), true, &[3]).unwrap_or_else(|why| panic!("{spec}: {why}"));
        [("virtualmachines.kubevirt.io", true), ("secrets", true), ("namespaces", false)]
            .map(|(type_, namespaced)| coverage.scopes(type_, namespaced).into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn what_a_backup_includes_is_covered_and_nothing_else() {
        let (all, none) = (vec![String::new()], Vec::<String>::new());
        let some = vec!["prod".to_owned(), "test".to_owned()];
        for (spec, expected) in [
            (json!({}), [&all, &all, &all]),
            (json!({"includedNamespaces": ["*"], "includeClusterResources": true}), [&all, &all, &all]),
            (json!({"includeClusterResources": false}), [&all, &all, &none]),
            (json!({"includedResources": ["secrets", "vm", "virtualmachines"]}), [&none, &all, &none]),
            (json!({"includedResources": ["virtualmachines.kubevirt.io"]}), [&all, &none, &none]),
            (json!({"includedNamespaces": some}), [&some, &some, &none]),
            (json!({"includedNamespaces": some, "includeClusterResources": true}), [&some, &some, &all]),
            (json!({"includedNamespaceScopedResources": ["*"]}), [&all, &all, &none]),
            (json!({"includedClusterScopedResources": ["namespaces"]}), [&none, &none, &all]),
        ] {
            assert_eq!(scopes(&spec), expected.map(Clone::clone), "{spec}");
        }
    }

    #[test]
    fn nothing_is_covered_without_the_users_word_or_where_the_description_says_otherwise() {
        let why = |backup: &Value, complete| coverage(backup, complete, &[3, 4]).expect_err("nothing is known");
        assert!(why(&backup(&json!({})), false).contains("--complete"));
        for spec in [
            json!({"labelSelector": {}}),
            json!({"excludedResources": ["events"]}),
            json!({"excludedNamespaces": ["a"]}),
            json!({"includedNamespaces": ["prod-*"]}),
            json!({"excludedClusterScopedResources": ["*"]}),
        ] {
            why(&backup(&spec), true);
        }
        for (path, value, said) in [
            ("/status/phase", json!("PartiallyFailed"), "did not complete"),
            ("/status/progress/itemsBackedUp", json!(500), "500"),
            ("/status/progress/itemsBackedUp", json!(null), "does not count"),
            ("/status/progress/totalItems", json!(9), "of 9"),
        ] {
            let mut other = backup(&json!({}));
            *other.pointer_mut(path).expect("there") = value;
            assert!(why(&other, true).contains(said), "{other}");
        }
        let mut part = backup(&json!({}));
        part["metadata"]["annotations"][velero::ARCHIVE] = "01234567".into();
        part["metadata"]["annotations"]["vmrewind.io/complete"] = "true".into();
        assert!(why(&part, true).contains("exported from an archive"), "even if it says that it is complete");
    }
}
