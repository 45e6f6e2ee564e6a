//! What is put into a control plane before a test begins: definitions and rights.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::ControlPlane;
use crate::wait::{Seen, wait_for};

impl ControlPlane {
    /// Installs custom resource definitions (those that exist are left alone) and waits until they are served.
    ///
    /// # Errors
    /// If one is refused, or not served within a minute.
    pub async fn install_crds(&self, crds: &[Value]) -> anyhow::Result<()> {
        const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        const PATIENCE: Duration = Duration::from_secs(60);
        if crds.is_empty() {
            return Ok(());
        }
        let client = self.client().await?;
        let mut names = Vec::new();
        for crd in crds {
            let name = crd.pointer("/metadata/name").and_then(Value::as_str).context("a definition without a name")?;
            names.push(name);
            let request = http::Request::post(PATH).header("content-type", "application/json");
            match client.request::<Value>(request.body(serde_json::to_vec(crd)?)?).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error).with_context(|| format!("installing {name}")),
            }
        }
        let mut served = 0;
        wait_for("the definitions are served", PATIENCE, async || {
            while let Some(name) = names.get(served) {
                if !is_established(&client, PATH, name).await? {
                    return Ok(Seen::NotYet(format!("{name} is not")));
                }
                served += 1;
            }
            Ok(Seen::There(()))
        })
        .await
    }

    /// Gives a user exactly these rights in the whole cluster, in place of those given before.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn grant(&self, user: &str, rules: &[Value]) -> anyhow::Result<()> {
        let (name, group) = (format!("test:{user}"), "rbac.authorization.k8s.io");
        let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": rules});
        let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}]});
        let client = self.client().await?;
        for (plural, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
            let path = format!("/apis/{group}/v1/{plural}/{name}?fieldManager=testkit&force=true");
            let request = http::Request::patch(path).header("content-type", "application/apply-patch+yaml");
            let answer = client.request::<Value>(request.body(serde_json::to_vec(&object)?)?).await;
            answer.with_context(|| format!("giving rights to {user}"))?;
        }
        Ok(())
    }
}

async fn is_established(client: &kube::Client, path: &str, name: &str) -> anyhow::Result<bool> {
    let crd: Value = client.request(http::Request::get(format!("{path}/{name}")).body(Vec::new())?).await?;
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    Ok(conditions.is_some_and(|conditions| {
        conditions.iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
    }))
}
