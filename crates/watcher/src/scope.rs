//! From what a cluster serves to the resources that are captured.
//!
//! Does not: talk to the cluster.

use std::collections::BTreeSet;

use vmrewind_cluster::{Discovery, Target};
use vmrewind_graph::Capture;
use vmrewind_model::{ObjectKey, ResourceId};

use crate::{
    engine::{Choice, Edges, ResourceSpec},
    settings::Settings,
};

/// The resources in scope that are served, and the groups of which that is not known.
#[must_use]
pub fn resources(discovery: &Discovery, settings: &Settings) -> (Vec<ResourceSpec>, BTreeSet<String>) {
    let mut specs = Vec::new();
    for row in vmrewind_graph::kinds() {
        let Some(served) = discovery.by_kind(row.group, row.kind) else { continue };
        if !served.can_be_watched() || settings.excludes(&served.plural, row.group) {
            continue;
        }
        let scopes: Vec<&str> = match served.namespaced && !settings.namespaces.is_empty() {
            true => settings.namespaces.iter().map(String::as_str).collect(),
            false => vec![""],
        };
        for scope in scopes {
            specs.push(ResourceSpec {
                id: ResourceId::new(row.group, &served.plural, scope),
                kind: row.kind.to_owned(),
                api_version: served.api_version(),
                namespaced: served.namespaced,
                choice: if row.capture == Capture::ByName { Choice::ByName } else { Choice::Every },
                selector: row.selector.map(str::to_owned),
                root: row.root,
                filtered: row.filtered,
            });
        }
    }
    (specs, discovery.stale.iter().map(|stale| stale.group.clone()).collect())
}

/// What is listed and watched for a resource.
#[must_use]
pub fn target(spec: &ResourceSpec) -> Target {
    let version = spec.api_version.rsplit('/').next().unwrap_or_default();
    Target {
        group: spec.id.group.clone(),
        version: version.to_owned(),
        kind: spec.kind.clone(),
        plural: spec.id.resource.clone(),
        namespace: (!spec.id.scope.is_empty()).then(|| spec.id.scope.clone()),
        selector: spec.selector.clone(),
    }
}

/// What the engine knows of objects: the tables of `graph`.
#[must_use]
pub fn edges() -> Edges {
    Edges {
        wanted: vmrewind_graph::wanted as fn(&serde_json::Value) -> Vec<ObjectKey>,
        home: vmrewind_graph::home,
        in_scope: vmrewind_graph::in_scope,
        by_name: |group, kind| vmrewind_graph::kind_row(group, kind).is_some_and(|row| row.capture == Capture::ByName),
        is_root: |group, kind| vmrewind_graph::kind_row(group, kind).is_some_and(|row| row.root),
    }
}

#[cfg(test)]
mod tests {
    use vmrewind_cluster::ServedType;

    use super::*;

    fn served(group: &str, kind: &str, plural: &str, namespaced: bool) -> ServedType {
        ServedType {
            group: group.into(),
            version: "v1".into(),
            versions: vec!["v1".into()],
            kind: kind.into(),
            plural: plural.into(),
            singular: String::new(),
            short_names: vec![],
            categories: vec![],
            namespaced,
            verbs: vec!["list".into(), "watch".into(), "get".into()],
            subresources: vec![],
        }
    }

    fn discovery() -> Discovery {
        let types = vec![
            served("kubevirt.io", "VirtualMachine", "virtualmachines", true),
            served("", "Secret", "secrets", true),
            served("", "Namespace", "namespaces", false),
            served("apps", "Deployment", "deployments", true),
        ];
        Discovery { types, stale: vec![] }
    }

    #[test]
    fn takes_the_kinds_of_the_scope_that_are_served() {
        let (specs, _) = resources(&discovery(), &Settings::default());
        let ids: Vec<String> = specs.iter().map(|spec| spec.id.to_string()).collect();
        assert_eq!(ids, ["virtualmachines.kubevirt.io", "namespaces", "secrets"]);
        assert_eq!(target(&specs[0]).api_version(), "kubevirt.io/v1");
    }

    #[test]
    fn goes_namespace_by_namespace_where_the_configuration_says_so() {
        let settings = Settings { namespaces: vec!["a".into(), "b".into()], ..Settings::default() };
        let (specs, _) = resources(&discovery(), &settings);
        let ids: Vec<String> = specs.iter().map(|spec| spec.id.to_string()).collect();
        assert!(
            ids.contains(&"secrets in namespace a".to_owned()) && ids.contains(&"namespaces".to_owned()),
            "{ids:?}"
        );
        assert_eq!(ids.len(), 5);
    }

    #[test]
    fn leaves_out_what_the_configuration_excludes() {
        let settings = Settings { exclude: vec!["virtualmachines.kubevirt.io".into()], ..Settings::default() };
        assert_eq!(resources(&discovery(), &settings).0.len(), 2);
    }
}
