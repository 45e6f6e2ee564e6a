//! What an edge leads to, and which objects that are.
//!
//! Does not: search.

use serde_json::Value;
use vmrewind_model::ObjectKey;

use crate::view;

/// What an edge leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The object of that name.
    Object(ObjectKey),
    /// Those that have an owner reference to the owner.
    Owned {
        /// Group of the targets.
        group: &'static str,
        /// Kind of the targets.
        kind: &'static str,
        /// Namespace of the targets.
        namespace: String,
        /// The owner's uid; never empty.
        owner_uid: String,
    },
    /// Those that carry a label with that value.
    Labelled {
        /// Group of the targets.
        group: &'static str,
        /// Kind of the targets.
        kind: &'static str,
        /// Namespace of the targets.
        namespace: String,
        /// The label's key.
        label: &'static str,
        /// Its value.
        value: String,
    },
    /// Those that carry an annotation with that value and have no controller: nobody else claims them.
    Annotated {
        /// Group of the targets.
        group: &'static str,
        /// Kind of the targets.
        kind: &'static str,
        /// Namespace of the targets.
        namespace: String,
        /// The annotation's key.
        annotation: &'static str,
        /// Its value.
        value: String,
    },
}

impl Target {
    /// Returns group, kind and namespace of the targets.
    #[must_use]
    pub fn place(&self) -> (&str, &str, &str) {
        match self {
            Self::Object(key) => (&key.group, &key.kind, &key.namespace),
            Self::Owned { group, kind, namespace, .. }
            | Self::Labelled { group, kind, namespace, .. }
            | Self::Annotated { group, kind, namespace, .. } => (group, kind, namespace),
        }
    }

    /// Tells whether an object is one of the targets: what an implementation of `World::select` asks of every
    /// object of the target's kind and namespace.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let (group, kind, namespace) = self.place();
        if view::group_kind(object) != (group, kind) || view::namespace(object) != namespace {
            return false;
        }
        match self {
            Self::Object(key) => view::name(object) == key.name,
            Self::Owned { owner_uid, .. } => view::owners(object).any(|owner| owner.uid == owner_uid),
            Self::Labelled { label, value, .. } => view::label(object, label) == value,
            Self::Annotated { annotation, value, .. } => {
                view::annotation(object, annotation) == value && !view::owners(object).any(|owner| owner.controller)
            }
        }
    }
}
