//! Which types a server serves.

use http::{Method, header};
use kube::client::APIGroupDiscoveryList;

use crate::{
    Cluster, ClusterError, ServedType,
    call::{Call, request},
};

/// The one format of the answer that tells short names and stale groups
/// (`kubernetes/kubernetes: staging/src/k8s.io/api/apidiscovery/v2/types.go`).
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// All types that a server serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// The types, groups in the server's order of priority (the core group first).
    pub types: Vec<ServedType>,
    /// Groups whose types could not be found out just now: what is missing there may exist.
    pub stale: Vec<StaleGroup>,
}

/// A group version behind which a server is that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleGroup {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
}

impl Discovery {
    /// Finds a type by its kind.
    #[must_use]
    pub fn by_kind(&self, group: &str, kind: &str) -> Option<&ServedType> {
        self.types.iter().find(|served| served.group == group && served.kind == kind)
    }

    /// Finds a type by its plural name.
    #[must_use]
    pub fn by_plural(&self, group: &str, plural: &str) -> Option<&ServedType> {
        self.types.iter().find(|served| served.group == group && served.plural == plural)
    }

    /// Finds what a user means, as kubectl does: a plural, singular or short name or a kind, upper or lower case,
    /// alone or followed by `.group` or `.version.group`. Several may match; the first has priority.
    #[must_use]
    pub fn resolve(&self, text: &str) -> Vec<ServedType> {
        let text = text.to_ascii_lowercase();
        let (name, place) = text.split_once('.').unwrap_or((&text, ""));
        let matches = |served: &&ServedType| {
            served.plural == name
                || served.singular == name
                || served.kind.eq_ignore_ascii_case(name)
                || served.short_names.iter().any(|short| short == name)
        };
        let named = self.types.iter().filter(matches);
        if place.is_empty() {
            return named.cloned().collect();
        }
        let (version, group) = place.split_once('.').unwrap_or((place, ""));
        named
            .filter_map(|served| {
                let versioned = || (served.group == group).then(|| served.with_version(version)).flatten();
                if served.group == place { Some(served.clone()) } else { versioned() }
            })
            .collect()
    }

    /// Takes over one answer; what came earlier has priority.
    fn add(&mut self, groups: APIGroupDiscoveryList) {
        for group in groups.items {
            let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            for served in group.versions {
                let version = served.version.unwrap_or_default();
                if served.freshness.as_deref() == Some("Stale") {
                    self.stale.push(StaleGroup { group: name.clone(), version: version.clone() });
                }
                for resource in served.resources {
                    let plural = resource.resource.unwrap_or_default();
                    let kind = resource.response_kind.and_then(|kind| kind.kind).unwrap_or_default();
                    if let Some(known) = self.types.iter_mut().find(|t| t.group == name && t.plural == plural) {
                        known.versions.push(version.clone());
                        continue;
                    }
                    self.types.push(ServedType {
                        group: name.clone(),
                        version: version.clone(),
                        versions: vec![version.clone()],
                        kind,
                        plural,
                        singular: resource.singular_resource.unwrap_or_default(),
                        short_names: resource.short_names,
                        categories: resource.categories,
                        namespaced: resource.scope.as_deref() == Some("Namespaced"),
                        verbs: resource.verbs,
                        subresources: resource.subresources.into_iter().filter_map(|sub| sub.subresource).collect(),
                    });
                }
            }
        }
    }
}

impl Cluster {
    /// Finds out which types are served, in two requests.
    ///
    /// # Errors
    /// [`ClusterError::Protocol`] if the server is older than 1.30 and cannot tell in this form.
    pub async fn discover(&self) -> Result<Discovery, ClusterError> {
        let mut discovery = Discovery::default();
        for path in ["/api", "/apis"] {
            let call = Call::plain("get", path);
            let mut request = request(&call, Method::GET, path, &[], None)?;
            request.headers_mut().insert(header::ACCEPT, http::HeaderValue::from_static(ACCEPT));
            let answer = self.call(&call, request).await?;
            let told = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            if !told.is_some_and(|told| told.contains("apidiscovery.k8s.io")) {
                return Err(call.protocol("the server does not speak aggregated discovery"));
            }
            let groups = serde_json::from_slice(&answer.body);
            discovery.add(groups.map_err(|error| call.protocol(format!("discovery: {error}")))?);
        }
        Ok(discovery)
    }
}
