//! What is talked about: a type as it is served, and a place where objects of it are.

use std::fmt;

use vmrewind_model::{ObjectKey, ResourceId};

/// A type of objects, as discovery tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedType {
    /// The API group, empty for the core group.
    pub group: String,
    /// The version used in calls: the one the server prefers, unless [`Self::with_version`] chose another.
    pub version: String,
    /// All versions under which it is served, the preferred one first.
    pub versions: Vec<String>,
    /// The kind, for example `VirtualMachine`.
    pub kind: String,
    /// The plural name as it stands in URLs, for example `virtualmachines`.
    pub plural: String,
    /// The singular name, for example `virtualmachine`.
    pub singular: String,
    /// Short names, for example `vm`.
    pub short_names: Vec<String>,
    /// Categories, for example `all`.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it, for example `list` and `watch`.
    pub verbs: Vec<String>,
    /// Its subresources, for example `status`.
    pub subresources: Vec<String>,
}

/// Objects of one type, in one namespace or everywhere: what is listed and watched. For calls that concern one object
/// it names the namespace that the object is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The API group, empty for the core group.
    pub group: String,
    /// The version, for example `v1`.
    pub version: String,
    /// The kind, for example `VirtualMachine`.
    pub kind: String,
    /// The plural name as it stands in URLs.
    pub plural: String,
    /// The namespace; none for all namespaces and for types that have none.
    pub namespace: Option<String>,
    /// A label selector, for lists and watches only, for example `kubevirt.io in (virt-launcher)`.
    pub selector: Option<String>,
}

impl ServedType {
    /// Returns the API version as objects spell it, for example `kubevirt.io/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Returns the same type under another version, if it is served under that.
    #[must_use]
    pub fn with_version(&self, version: &str) -> Option<Self> {
        self.versions
            .iter()
            .any(|served| served == version)
            .then(|| Self { version: version.to_owned(), ..self.clone() })
    }

    /// Tells whether it can be listed and watched.
    #[must_use]
    pub fn can_be_watched(&self) -> bool {
        ["list", "watch"].iter().all(|verb| self.verbs.iter().any(|served| served == verb))
    }

    /// Returns all objects of the type, in a namespace or everywhere.
    #[must_use]
    pub fn target(&self, namespace: Option<&str>) -> Target {
        Target {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
            plural: self.plural.clone(),
            namespace: namespace.filter(|namespace| !namespace.is_empty()).map(str::to_owned),
            selector: None,
        }
    }
}

impl Target {
    /// Returns the API version as objects spell it, for example `kubevirt.io/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Returns the same type in one namespace (empty for none), without a selector: for calls about one object.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        Self { namespace, selector: None, ..self.clone() }
    }

    /// Returns the same objects, restricted by a label selector.
    #[must_use]
    pub fn with_selector(self, selector: Option<&str>) -> Self {
        Self { selector: selector.map(str::to_owned), ..self }
    }

    /// Returns the id under which its proof is recorded.
    #[must_use]
    pub fn resource_id(&self) -> ResourceId {
        ResourceId::new(&self.group, &self.plural, self.namespace.as_deref().unwrap_or_default())
    }

    /// Returns the key of one of its objects.
    #[must_use]
    pub fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(&self.group, &self.kind, self.namespace.as_deref().unwrap_or_default(), name)
    }

    /// Returns how many objects fit into a page of a list: objects that may be a mebibyte each come in small pages,
    /// so that a page stays below some tens of megabytes.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        match (self.group.as_str(), self.kind.as_str()) {
            ("", "Secret" | "ConfigMap") => 50,
            _ => 250,
        }
    }

    /// Returns the URL path of the collection.
    pub(crate) fn collection_path(&self) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let mut path = format!("{root}/{}", self.api_version());
        if let Some(namespace) = &self.namespace {
            path.push_str("/namespaces/");
            path.push_str(&escape(namespace));
        }
        path.push('/');
        path.push_str(&self.plural);
        path
    }

    /// Returns the URL path of one object.
    pub(crate) fn object_path(&self, name: &str) -> String {
        format!("{}/{}", self.collection_path(), escape(name))
    }
}

impl fmt::Display for Target {
    /// `virtualmachines.kubevirt.io in namespace prod`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource_id().fmt(f)
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Percent-encodes what may not stand as it is in a segment of a path or in a value of a query.
pub(crate) fn escape(text: &str) -> String {
    use fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(group: &str, namespace: Option<&str>) -> Target {
        Target {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: "VirtualMachine".to_owned(),
            plural: "virtualmachines".to_owned(),
            namespace: namespace.map(str::to_owned),
            selector: None,
        }
    }

    #[test]
    fn builds_paths_of_the_core_group_of_other_groups_and_of_namespaces() {
        assert_eq!(target("", None).collection_path(), "/api/v1/virtualmachines");
        assert_eq!(
            target("kubevirt.io", Some("prod")).object_path("db-1"),
            "/apis/kubevirt.io/v1/namespaces/prod/virtualmachines/db-1"
        );
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        // RBAC objects have colons in their names, and nothing may smuggle in a slash or a query.
        assert_eq!(
            target("", None).object_path("system:a/../b?c=d"),
            "/api/v1/virtualmachines/system%3Aa%2F..%2Fb%3Fc%3Dd"
        );
    }
}
