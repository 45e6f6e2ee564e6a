//! A whole test bench: a real control plane, definitions, [`crate::actors`], and an oracle of what was written.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use vmrewind_testkit::bench::{Bench, BenchOptions, shapes};
//! let bench = Bench::start(BenchOptions::default()).await?;
//! bench.namespace("prod").await?;
//! bench.create_all(&shapes::with_template_disk("prod", "db-1")).await?;
//! bench.wait_running("prod", "db-1").await?;
//! # Ok(()) }
//! ```
//!
//! Does not: know the watcher, the archive or the tool; `tests/` brings them together.

mod definitions;
mod journal;
pub mod programs;
pub mod shapes;
mod shared;

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt, TryStreamExt};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::watch_object;
use serde_json::{Value, json};

use crate::actors::{ActorOptions, Actors, DATA, Kind, Ledger};
use crate::controlplane::{ControlPlane, Lifetime, Options, User};
use crate::wait::{Seen, wait_for};

pub use self::definitions::{EXTRA, extra_folder, own as own_definitions, real as real_definitions};
pub use self::journal::{Journal, Version};
pub use self::shared::{run, shared};

/// The field manager of what a test itself writes.
const MANAGER: &str = "kubectl-edit";
/// How long anything on the bench may take to come true.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// What differs between one bench and another.
#[derive(Debug, Clone, Default)]
pub struct BenchOptions {
    /// Further users of the control plane.
    pub users: Vec<User>,
    /// Further flags of the API server.
    pub apiserver_flags: Vec<String>,
    /// The definitions; none means our own.
    pub crds: Option<Vec<Value>>,
    /// Whether it ends with this process.
    pub lifetime: Lifetime,
}

/// A running bench. Dropping it ends everything.
pub struct Bench {
    // Before the control plane, so that they end before it.
    actors: Actors,
    /// The control plane, to be broken by tests.
    pub plane: ControlPlane,
    client: Client,
    journal: Journal,
}

impl Bench {
    /// Starts a bench, with its storage classes.
    ///
    /// # Errors
    /// If a program does not start or a definition is refused.
    pub async fn start(options: BenchOptions) -> anyhow::Result<Self> {
        let crds = options.crds.map_or_else(own_definitions, Ok)?;
        let plane = ControlPlane::start(Options {
            users: options.users,
            crds,
            apiserver_flags: options.apiserver_flags,
            lifetime: options.lifetime,
            ..Options::default()
        })
        .await?;
        let client = plane.client().await?;
        let journal = Journal::default();
        let actors = start_actors(&client, &journal).await?;
        let bench = Self { actors, plane, client, journal };
        bench.create_all(&shapes::storage_classes()).await?;
        Ok(bench)
    }

    /// Returns a client with all rights.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the oracle: what was acknowledged to tests and actors.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns what was done to the data of disks.
    pub fn ledger(&self) -> &Ledger {
        self.actors.ledger()
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        self.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await.map(drop)
    }

    /// Creates an object and returns the server's answer. An object that is there already is left alone, since shapes
    /// share some.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn create(&self, object: &Value) -> anyhow::Result<Value> {
        let api = self.api_of(object);
        let typed: DynamicObject = serde_json::from_value(object.clone())?;
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match api.create(&params, &typed).await {
            Ok(made) => self.answered(&made),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(object.clone()),
            Err(error) => Err(error).with_context(|| describe(object)),
        }
    }

    /// Creates objects in this order.
    ///
    /// # Errors
    /// If the server refuses one.
    pub async fn create_all(&self, objects: &[Value]) -> anyhow::Result<()> {
        for object in objects {
            self.create(object).await?;
        }
        Ok(())
    }

    /// Merges a change into an object and returns the server's answer.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn patch(&self, object: &ObjectName<'_>, change: &Value) -> anyhow::Result<Value> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let made = self.api(object).patch(object.name, &params, &Patch::Merge(change)).await;
        self.answered(&made.with_context(|| format!("patching {object:?}"))?)
    }

    /// Deletes an object; what depends on it goes with it, by and by.
    ///
    /// # Errors
    /// If the server refuses, or there is no such object.
    pub async fn delete(&self, object: &ObjectName<'_>) -> anyhow::Result<()> {
        let answer = self.api(object).delete(object.name, &DeleteParams::default()).await;
        if let Some(made) = answer.with_context(|| format!("deleting {object:?}"))?.left()
            && made.metadata.deletion_timestamp.is_some()
        {
            self.answered(&made)?;
        }
        Ok(())
    }

    /// Returns an object as the server has it.
    ///
    /// # Errors
    /// If the server cannot tell.
    pub async fn get(&self, object: &ObjectName<'_>) -> anyhow::Result<Option<Value>> {
        let found = self.api(object).get_opt(object.name).await?;
        found.map(|found| to_value(&found, object.api_version, object.kind)).transpose()
    }

    /// Waits until an object (none if it does not exist) is as wanted, and returns it.
    ///
    /// # Errors
    /// If it is not within [`PATIENCE`]; the message shows its last status.
    pub async fn wait(
        &self,
        object: &ObjectName<'_>,
        what: &str,
        wanted: impl Fn(Option<&Value>) -> bool,
    ) -> anyhow::Result<Option<Value>> {
        let mut last = Value::Null;
        let waiting = async {
            let mut states = watch_object(self.api(object), object.name).default_backoff().boxed();
            loop {
                // A watch that breaks goes on by itself; a control plane that is being restarted breaks it.
                if let Ok(Some(state)) = states.try_next().await {
                    let state = state.map(|state| to_value(&state, object.api_version, object.kind)).transpose()?;
                    if wanted(state.as_ref()) {
                        return Ok(state);
                    }
                    last = state.unwrap_or_default();
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("{object:?}: not {what} after {PATIENCE:?}; last seen: {:#}", last["status"]),
        }
    }

    /// Waits until a machine runs and its guest agent reports.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub async fn wait_running(&self, namespace: &str, name: &str) -> anyhow::Result<Value> {
        let connected = |vm: Option<&Value>| {
            let status = vm.map_or(&Value::Null, |vm| &vm["status"]);
            let conditions = status["conditions"].as_array();
            status["printableStatus"] == "Running"
                && conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "AgentConnected"))
        };
        let vm = self.wait(&vm(namespace, name), "running", connected).await?;
        vm.context("a machine that runs exists")
    }

    /// Waits until an object is gone.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub async fn wait_gone(&self, object: &ObjectName<'_>) -> anyhow::Result<()> {
        self.wait(object, "gone", |object| object.is_none()).await.map(drop)
    }

    /// Waits until the claims whose names begin with `prefix` are gone, and until their volumes are gone or released.
    ///
    /// # Errors
    /// If they are not within [`PATIENCE`], or the server cannot tell.
    pub async fn wait_disks_gone(&self, namespace: &str, prefix: &str) -> anyhow::Result<()> {
        let claims = Kind::Claim.api(&self.client, namespace);
        let volumes = Kind::Volume.api(&self.client, "");
        wait_for(&format!("the end of the disks {namespace}/{prefix}"), PATIENCE, async || {
            let mut left: Vec<String> = Vec::new();
            for claim in claims.list(&ListParams::default()).await? {
                left.extend(claim.metadata.name.filter(|name| name.starts_with(prefix)));
            }
            for volume in volumes.list(&ListParams::default()).await? {
                let reserved = &volume.data["spec"]["claimRef"];
                let mine = reserved["namespace"] == namespace
                    && reserved["name"].as_str().is_some_and(|name| name.starts_with(prefix));
                left.extend(volume.metadata.name.filter(|_| mine && volume.data["status"]["phase"] != "Released"));
            }
            Ok(Seen::or_not_yet(left.is_empty().then_some(()), || left.join(", ")))
        })
        .await
    }

    /// Returns what the disk of a claim holds, if the claim is bound; see [`DATA`].
    ///
    /// # Errors
    /// If the server cannot tell.
    pub async fn data_of(&self, namespace: &str, claim: &str) -> anyhow::Result<Option<String>> {
        let Some(claim) = self.get(&named(Kind::Claim, namespace, claim)).await? else {
            return Ok(None);
        };
        let Some(volume) = claim["spec"]["volumeName"].as_str() else {
            return Ok(None);
        };
        let volume = self.get(&named(Kind::Volume, "", volume)).await?.unwrap_or_default();
        Ok(volume["metadata"]["annotations"][DATA].as_str().map(str::to_owned))
    }

    /// Stops the actors and starts new ones, as when controllers are restarted.
    ///
    /// # Errors
    /// If they do not start.
    pub async fn restart_actors(&mut self) -> anyhow::Result<()> {
        let fresh = start_actors(&self.client, &self.journal).await?;
        std::mem::replace(&mut self.actors, fresh).stop().await;
        Ok(())
    }

    fn api(&self, object: &ObjectName<'_>) -> Api<DynamicObject> {
        let resource = resource(object.api_version, object.kind);
        if object.namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), object.namespace, &resource)
        }
    }

    fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        self.api(&ObjectName {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        })
    }

    fn answered(&self, object: &DynamicObject) -> anyhow::Result<Value> {
        let object = serde_json::to_value(object)?;
        self.journal.acknowledge(&object);
        Ok(object)
    }
}

/// An object of the bench by name.
#[derive(Debug, Clone, Copy)]
pub struct ObjectName<'a> {
    /// API version, for example `kubevirt.io/v1`.
    pub api_version: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Namespace, empty if it has none.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

/// Names an object of a kind that actors know.
pub fn named<'a>(kind: Kind, namespace: &'a str, name: &'a str) -> ObjectName<'a> {
    ObjectName { api_version: kind.served(), kind: kind.name(), namespace, name }
}

/// Names a machine.
pub fn vm<'a>(namespace: &'a str, name: &'a str) -> ObjectName<'a> {
    named(Kind::Vm, namespace, name)
}

/// Returns the address of a kind's resource.
pub fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Kind::find(group, kind)
        .map_or_else(|| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)), Kind::resource)
}

fn to_value(object: &DynamicObject, api_version: &str, kind: &str) -> anyhow::Result<Value> {
    let mut object = serde_json::to_value(object)?;
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    Ok(object)
}

fn describe(object: &Value) -> String {
    format!("creating {} {}", object["kind"], object["metadata"]["name"])
}

async fn start_actors(client: &Client, journal: &Journal) -> anyhow::Result<Actors> {
    let journal = journal.clone();
    let mut options = ActorOptions::new(clock);
    options.on_write = Some(std::sync::Arc::new(move |object| journal.acknowledge(object)));
    Actors::start(client.clone(), options).await
}

/// The one real clock of the bench: the servers beside it use the same.
#[allow(clippy::disallowed_methods, reason = "actors stamp conditions beside real servers, which use the real clock")]
fn clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
