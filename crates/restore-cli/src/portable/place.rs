//! What a path in a tarball stands for.
//!
//! Does not: read content.

use super::{manifest, velero};

/// What a path stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// The manifest of our own tarball.
    Manifest,
    /// The version of a Velero backup.
    Version,
    /// What tells that a Velero backup was exported from an archive.
    Exported,
    /// An object.
    Object(Object<'a>),
    /// Nothing that is known.
    Foreign,
}

/// The object that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object<'a> {
    /// Whether it is of our own tarball.
    pub(crate) own: bool,
    /// `plural.group`.
    pub(crate) type_: &'a str,
    /// The API version, if the path names it.
    pub(crate) version: Option<&'a str>,
    /// Which form of the object.
    pub(crate) form: Form,
    /// The namespace, or nothing.
    pub(crate) namespace: &'a str,
    /// The name.
    pub(crate) name: &'a str,
}

/// Which form of an object: the first that is there is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// The one that every version of Velero reads.
    Plain,
    /// The same once more.
    Preferred,
    /// In another API version.
    OtherVersion,
}

/// Directory of the objects of our own tarball.
pub(crate) const OBJECTS: &str = "objects";

/// Tells what a path stands for.
pub(crate) fn of(path: &str) -> Place<'_> {
    if path == manifest::NAME {
        return Place::Manifest;
    }
    if path == velero::VERSION_FILE {
        return Place::Version;
    }
    if path == velero::DESCRIBED {
        return Place::Exported;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let (own, type_, rest) = match parts.as_slice() {
        [OBJECTS, type_, rest @ ..] => (true, *type_, rest),
        [velero::RESOURCES, type_, rest @ ..] => (false, *type_, rest),
        _ => return Place::Foreign,
    };
    let (version, form, rest) = match rest {
        [velero::NAMESPACES | velero::CLUSTER, ..] => (None, Form::Plain, rest),
        [version, rest @ ..] if !own => match version.strip_suffix(velero::PREFERRED) {
            Some(version) => (Some(version), Form::Preferred, rest),
            None => (Some(*version), Form::OtherVersion, rest),
        },
        _ => return Place::Foreign,
    };
    let (namespace, file) = match rest {
        [velero::CLUSTER, file] => ("", *file),
        [velero::NAMESPACES, namespace, file] => (*namespace, *file),
        _ => return Place::Foreign,
    };
    match file.strip_suffix(".json") {
        Some(name) if !name.is_empty() => Place::Object(Object { own, type_, version, form, namespace, name }),
        _ => Place::Foreign,
    }
}

/// Returns the API version of a group of which no object tells it: that of the types which every cluster serves.
pub(crate) fn usual_version(group: &str) -> String {
    if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_velero_and_of_our_own_are_told_apart() {
        let object = |own, type_, version, form, namespace, name| {
            Place::Object(Object { own, type_, version, form, namespace, name })
        };
        for (path, place) in [
            ("resources/pods/namespaces/a/b.json", object(false, "pods", None, Form::Plain, "a", "b")),
            (
                "resources/x.g/v1-preferredversion/cluster/b.c.json",
                object(false, "x.g", Some("v1"), Form::Preferred, "", "b.c"),
            ),
            (
                "resources/x.g/v1beta1/cluster/b.json",
                object(false, "x.g", Some("v1beta1"), Form::OtherVersion, "", "b"),
            ),
            ("objects/x.g/namespaces/a/b.json", object(true, "x.g", None, Form::Plain, "a", "b")),
            ("objects/x.g/v1/namespaces/a/b.json", Place::Foreign),
            ("metadata/version", Place::Version),
            ("manifest.json", Place::Manifest),
            ("metadata/vmrewind.json", Place::Exported),
            ("metadata/x", Place::Foreign),
            ("resources/pods/namespaces/a/.json", Place::Foreign),
            ("resources/pods/namespaces/b.json", Place::Foreign),
            ("resources/pods/cluster/a/b.json", Place::Foreign),
            ("resources/pods", Place::Foreign),
        ] {
            assert_eq!(of(path), place, "{path}");
        }
    }
}
