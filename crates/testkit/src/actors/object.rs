//! An object of any kind, as controllers and their stores hold it.
//!
//! Does not: keep `managedFields`, which no actor reads.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::kinds::Kind;

/// An untyped object with the metadata that `kube_runtime` asks for.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    metadata: ObjectMeta,
    whole: Arc<Value>,
}

impl Object {
    /// Returns the whole object.
    pub(crate) fn whole(&self) -> &Arc<Value> {
        &self.whole
    }

    /// Says of which kind it is: items of lists carry neither member.
    pub(crate) fn say_kind(&mut self, kind: Kind) {
        let whole = Arc::make_mut(&mut self.whole);
        whole["apiVersion"] = json!(kind.served());
        whole["kind"] = json!(kind.name());
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut whole = Value::deserialize(deserializer)?;
        if let Some(metadata) = whole.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let metadata = ObjectMeta::deserialize(&whole["metadata"]).map_err(D::Error::custom)?;
        Ok(Self { metadata, whole: Arc::new(whole) })
    }
}

impl Resource for Object {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }
    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }
    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }
    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }
    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
