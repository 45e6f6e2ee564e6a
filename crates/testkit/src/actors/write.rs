//! How actors write: as a named field manager, on the state they decided on, and never twice the same.
//!
//! Does not: retry. A write that lost against a newer state is dropped, since that state brings the actor back.

use std::sync::Arc;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::json::{at, holds, items, name, namespace, text};
use super::kinds::Kind;

/// The field manager of the actors that play virt-controller and virt-handler.
pub(crate) const VIRT: &str = "virt-controller";
/// The field manager of the actor that plays CDI.
pub(crate) const CDI: &str = "cdi-controller";
/// The field manager of the actor that plays the volume binder and provisioner.
pub(crate) const BINDER: &str = "csi-provisioner";
/// The field manager of the actor that plays scheduler and kubelet.
pub(crate) const KUBELET: &str = "kubelet";

/// Called with every object that the server returned for a write: an acknowledged version.
pub type OnWrite = Arc<dyn Fn(&Value) + Send + Sync>;

/// The server, for writing.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    on_write: Option<OnWrite>,
}

impl Writer {
    pub(crate) fn new(client: Client, on_write: Option<OnWrite>) -> Self {
        Self { client, on_write }
    }

    /// Returns what the server has, not what the cache has.
    pub(crate) async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, Error> {
        let found = kind.api(&self.client, namespace).get_opt(name).await?;
        Ok(found.map(|object| serde_json::to_value(object).unwrap_or_default()))
    }

    /// Creates an object; none if it exists already or its namespace is going away.
    pub(crate) async fn create(&self, kind: Kind, manager: &str, mut object: Value) -> Result<Option<Value>, Error> {
        object["apiVersion"] = json!(kind.served());
        object["kind"] = json!(kind.name());
        let api = kind.api(&self.client, namespace(&object));
        let typed: DynamicObject = serde_json::from_value(object).map_err(Error::SerdeError)?;
        let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        self.settle(api.create(&params, &typed).await)
    }

    /// Merges `change` into an object, unless it holds already; none if nothing was to do or the state has moved on.
    pub(crate) async fn patch(
        &self,
        kind: Kind,
        manager: &str,
        on: &Value,
        change: Value,
    ) -> Result<Option<Value>, Error> {
        self.merge(kind, manager, on, change, false).await
    }

    /// As [`Self::patch`], through the status subresource.
    pub(crate) async fn patch_status(
        &self,
        kind: Kind,
        manager: &str,
        on: &Value,
        status: Value,
    ) -> Result<Option<Value>, Error> {
        self.merge(kind, manager, on, json!({ "status": status }), true).await
    }

    async fn merge(
        &self,
        kind: Kind,
        manager: &str,
        on: &Value,
        mut change: Value,
        status: bool,
    ) -> Result<Option<Value>, Error> {
        if holds(on, &change) {
            return Ok(None);
        }
        change["metadata"]["resourceVersion"] = at(on, "/metadata/resourceVersion").clone();
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        let api = kind.api(&self.client, namespace(on));
        let patch = Patch::Merge(change);
        let answer = if status {
            api.patch_status(name(on), &params, &patch).await
        } else {
            api.patch(name(on), &params, &patch).await
        };
        self.settle(answer)
    }

    /// Removes finalizers, so that a deletion can go on.
    pub(crate) async fn drop_finalizers(
        &self,
        kind: Kind,
        manager: &str,
        on: &Value,
        drop: &[&str],
    ) -> Result<(), Error> {
        let all = items(on, "/metadata/finalizers");
        let left: Vec<&Value> = all.iter().filter(|f| !f.as_str().is_some_and(|f| drop.contains(&f))).collect();
        if left.len() < all.len() {
            self.patch(kind, manager, on, json!({"metadata": {"finalizers": left}})).await?;
        }
        Ok(())
    }

    /// Deletes an object, if it is still the one that was looked at. `grace` as for pods.
    pub(crate) async fn delete(&self, kind: Kind, on: &Value, grace: Option<u32>) -> Result<(), Error> {
        let params = DeleteParams {
            grace_period_seconds: grace,
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        }
        .preconditions(kube::api::Preconditions {
            uid: Some(text(on, "/metadata/uid").to_owned()),
            resource_version: None,
        });
        match kind.api(&self.client, namespace(on)).delete(name(on), &params).await {
            Ok(_) => Ok(()),
            Err(error) if lost(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Binds a pod to a node, as the scheduler does.
    pub(crate) async fn bind(&self, pod: &Value, node: &str) -> Result<(), Error> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": name(pod), "namespace": namespace(pod), "uid": at(pod, "/metadata/uid")},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let uri = format!("/api/v1/namespaces/{}/pods/{}/binding", namespace(pod), name(pod));
        let request = http::Request::post(uri)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&binding).map_err(Error::SerdeError)?)
            .map_err(Error::HttpError)?;
        match self.client.request::<Value>(request).await {
            Ok(_) => Ok(()),
            Err(error) if lost(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Publishes a warning about an object, once per reason and incarnation.
    pub(crate) async fn warn(&self, about: &Value, now: &str, reason: &str, message: &str) -> Result<(), Error> {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message, "count": 1,
            "metadata": {"name": format!("{}.{}", name(about), super::json::tail(&[text(about, "/metadata/uid"), reason, message])), "namespace": namespace(about)},
            "involvedObject": {"apiVersion": text(about, "/apiVersion"), "kind": text(about, "/kind"), "name": name(about), "namespace": namespace(about), "uid": text(about, "/metadata/uid")},
            "firstTimestamp": now, "lastTimestamp": now, "source": {"component": CDI},
        });
        let request = http::Request::post(format!("/api/v1/namespaces/{}/events", namespace(about)))
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&event).map_err(Error::SerdeError)?)
            .map_err(Error::HttpError)?;
        match self.client.request::<Value>(request).await {
            Ok(_) => Ok(()),
            Err(error) if lost(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn settle(&self, answer: Result<DynamicObject, Error>) -> Result<Option<Value>, Error> {
        match answer {
            Ok(object) => {
                let object = serde_json::to_value(object).map_err(Error::SerdeError)?;
                if let Some(on_write) = &self.on_write {
                    on_write(&object);
                }
                Ok(Some(object))
            }
            Err(error) if lost(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Tells whether a write came too late: the object is gone, newer, there already, or its namespace is going away.
fn lost(error: &Error) -> bool {
    match error {
        Error::Api(status) => {
            matches!(status.code, 404 | 409) || (status.code == 403 && status.message.contains("being terminated"))
        }
        _ => false,
    }
}
