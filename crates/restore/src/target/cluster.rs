//! The real cluster behind the seam.
//!
//! Does not: retry, cache objects, or decide anything.

use std::time::Duration;

use futures::{FutureExt as _, future::BoxFuture};
use serde_json::{Value, json};
use vmrewind_cluster::{
    Cluster, ClusterError, Discovery, FieldValidation, Preconditions, Propagation, ServedType, Target as Place,
    WriteOptions,
};
use vmrewind_graph as graph;
use vmrewind_model::{ObjectKey, RawObject};

use super::{DeleteGuard, Target, TargetError, Write, Written};
use crate::{error::RestoreError, json::group_of, view::ServedKind};

/// A cluster that is restored to.
pub struct ClusterTarget {
    cluster: Cluster,
    types: Discovery,
    field_manager: String,
}

impl ClusterTarget {
    /// Asks the cluster what it serves.
    ///
    /// # Errors
    /// [`RestoreError::Observe`] if it does not tell.
    pub async fn connect(cluster: Cluster, field_manager: &str) -> Result<Self, RestoreError> {
        let types =
            cluster.discover().await.map_err(|error| RestoreError::Observe { source: TargetError::of(&error) })?;
        Ok(Self { cluster, types, field_manager: field_manager.to_owned() })
    }

    fn type_of(&self, group: &str, kind: &str) -> Result<&ServedType, TargetError> {
        self.types
            .by_kind(group, kind)
            .ok_or_else(|| TargetError::NotFound(format!("the server does not serve {kind} of {group:?}")))
    }

    /// Returns the type under the version that the object is written in.
    fn type_of_object(&self, object: &Value) -> Result<ServedType, TargetError> {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let served = self.type_of(group_of(api_version), object["kind"].as_str().unwrap_or_default())?;
        let version = api_version.rsplit('/').next().unwrap_or_default();
        served
            .with_version(version)
            .ok_or_else(|| TargetError::NotFound(format!("the server does not serve version {api_version}")))
    }

    fn place(&self, key: &ObjectKey) -> Result<Place, TargetError> {
        let namespace = Some(key.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        Ok(self.type_of(&key.group, &key.kind)?.target(namespace))
    }

    fn options(&self, write: Write) -> WriteOptions {
        WriteOptions {
            dry_run: write.dry_run,
            field_manager: Some(self.field_manager.clone()),
            validation: if write.strict { FieldValidation::Strict } else { FieldValidation::Warn },
        }
    }
}

fn value(object: &RawObject) -> Result<Value, TargetError> {
    object.value().map_err(|error| TargetError::Other(error.to_string()))
}

fn written(written: vmrewind_cluster::Written) -> Result<Written, TargetError> {
    Ok((value(&written.object)?, written.warnings))
}

impl Target for ClusterTarget {
    fn identity(&self) -> BoxFuture<'_, Result<(String, String), TargetError>> {
        async {
            let identity = self.cluster.identity().await?;
            Ok((identity.uid, identity.server_version))
        }
        .boxed()
    }

    fn kinds(&self) -> BoxFuture<'_, Result<Vec<ServedKind>, TargetError>> {
        async {
            // A group that does not answer just now must not look like one that is not there.
            let ours = |group: &str| graph::kinds().iter().any(|row| row.group == group);
            if let Some(stale) = self.types.stale.iter().find(|stale| ours(&stale.group)) {
                return Err(TargetError::Unreachable(format!("what serves {}/{}", stale.group, stale.version)));
            }
            let kind = |served: &ServedType| ServedKind {
                group: served.group.clone(),
                kind: served.kind.clone(),
                preferred: served.version.clone(),
                versions: served.versions.clone(),
                namespaced: served.namespaced,
            };
            Ok(self.types.types.iter().map(kind).collect())
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Value>, TargetError>> {
        async move {
            let found = self.cluster.get(&self.place(key)?, &key.name).await?;
            found.as_ref().map(value).transpose()
        }
        .boxed()
    }

    fn list<'a>(&'a self, group: &'a str, kind: &'a str) -> BoxFuture<'a, Result<Vec<Value>, TargetError>> {
        async move {
            let place = self.type_of(group, kind)?.target(None);
            let listing = self.cluster.list_consistent(&place, place.page_size()).await?;
            if let Some(rejected) = listing.rejected.first() {
                return Err(TargetError::Other(format!("an object in the list cannot be read: {rejected:?}")));
            }
            listing.items.iter().map(value).collect()
        }
        .boxed()
    }

    fn create<'a>(&'a self, object: &'a Value, write: Write) -> BoxFuture<'a, Result<Written, TargetError>> {
        async move {
            let served = self.type_of_object(object)?;
            written(self.cluster.create(&served, object, &self.options(write)).await?)
        }
        .boxed()
    }

    fn replace<'a>(&'a self, object: &'a Value, write: Write) -> BoxFuture<'a, Result<Written, TargetError>> {
        async move {
            let served = self.type_of_object(object)?;
            written(self.cluster.replace(&served, object, &self.options(write)).await?)
        }
        .boxed()
    }

    fn patch<'a>(
        &'a self,
        key: &'a ObjectKey,
        patch: &'a Value,
        write: Write,
    ) -> BoxFuture<'a, Result<Value, TargetError>> {
        async move {
            let place = self.place(key)?;
            let result = self.cluster.patch_merge(&place, &key.name, patch, &self.options(write)).await?;
            value(&result.object)
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey, guard: &'a DeleteGuard) -> BoxFuture<'a, Result<(), TargetError>> {
        async move {
            let place = self.place(key)?;
            let conditions = Preconditions { uid: Some(guard.uid.clone()), rv: None };
            let options = self.options(Write { dry_run: guard.dry_run, strict: false });
            self.cluster.delete(&place, &key.name, &conditions, Propagation::Orphan, &options).await?;
            Ok(())
        }
        .boxed()
    }

    fn start<'a>(&'a self, vm: &'a ObjectKey) -> BoxFuture<'a, Result<(), TargetError>> {
        async move {
            let place = Place {
                group: "subresources.kubevirt.io".to_owned(),
                version: "v1".to_owned(),
                kind: vm.kind.clone(),
                plural: "virtualmachines".to_owned(),
                namespace: Some(vm.namespace.clone()),
                selector: None,
            };
            self.cluster
                .put_subresource(&place, &vm.name, "start", &json!({}), &self.options(Write::default()))
                .await?;
            Ok(())
        }
        .boxed()
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

impl TargetError {
    fn of(error: &ClusterError) -> Self {
        let text = error.to_string();
        match error {
            ClusterError::NotFound { .. } => Self::NotFound(text),
            ClusterError::AlreadyExists { .. } => Self::AlreadyExists(text),
            ClusterError::Conflict { .. } => Self::Conflict(text),
            ClusterError::Forbidden { .. } | ClusterError::Unauthorized { .. } | ClusterError::Credentials { .. } => {
                Self::Forbidden(text)
            }
            ClusterError::Invalid { .. } => Self::Invalid(text),
            // The connection may have broken after the request was sent.
            _ if error.may_have_happened() => Self::Ambiguous(text),
            ClusterError::TooMany { .. } => Self::Unreachable(text),
            _ => Self::Other(text),
        }
    }
}

impl From<ClusterError> for TargetError {
    fn from(error: ClusterError) -> Self {
        Self::of(&error)
    }
}
