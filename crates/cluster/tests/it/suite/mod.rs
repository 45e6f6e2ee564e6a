//! What every API server does, as far as we rely on it.

mod reads;
mod watches;
mod writes;

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use vmrewind_cluster::{Cluster, ServedType, Target, WriteOptions, Written};
use vmrewind_model::Rv;
use vmrewind_testkit::wait::{Seen, wait_for};

/// Runs the whole suite. It uses config maps in the namespace `default`.
pub(crate) async fn apiserver_conformance(cluster: &Cluster) -> anyhow::Result<()> {
    let suite = Suite { cluster, type_: reads::discovery(cluster).await?, options: WriteOptions::default() };
    reads::identity(&suite).await?;
    reads::lists_belong_to_one_version(&suite).await?;
    reads::earlier_states(&suite).await?;
    reads::what_does_not_exist(&suite).await?;
    writes::creates(&suite).await?;
    writes::replaces(&suite).await?;
    writes::patches(&suite).await?;
    writes::applies(&suite).await?;
    writes::deletes(&suite).await?;
    watches::changes_in_order(&suite).await?;
    watches::selections(&suite).await?;
    watches::bookmark_before_the_end(&suite).await
}

pub(crate) struct Suite<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) type_: ServedType,
    pub(crate) options: WriteOptions,
}

impl Suite<'_> {
    pub(crate) fn target(&self) -> Target {
        self.type_.target(Some("default"))
    }

    pub(crate) async fn create(&self, name: &str, labels: &Value) -> anyhow::Result<Written> {
        let written = self.cluster.create(&self.type_, &config_map(name, labels), &self.options).await;
        written.with_context(|| format!("creating {name}"))
    }

    pub(crate) async fn set_data(&self, name: &str, value: &str) -> anyhow::Result<Written> {
        let patch = json!({"data": {"key": value}});
        Ok(self.cluster.patch_merge(&self.target(), name, &patch, &self.options).await?)
    }
}

pub(crate) fn config_map(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"key": "0"},
        "metadata": {"name": name, "namespace": "default", "labels": labels}})
}

pub(crate) fn version(written: &Written) -> anyhow::Result<Rv> {
    Ok(written.object.head()?.rv)
}

/// A new server makes its namespaces a moment after it is ready.
pub(crate) async fn wait_for_namespace(client: &kube::Client, name: &str) -> anyhow::Result<()> {
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(client.clone());
    wait_for(name, Duration::from_secs(30), async || {
        let found = namespaces.get_opt(name).await?;
        Ok(Seen::or_not_yet(found.map(drop), || "no such namespace".to_owned()))
    })
    .await
}
