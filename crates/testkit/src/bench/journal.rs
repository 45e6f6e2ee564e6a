//! The oracle of a test: every version that the API server acknowledged, and every one that an independent
//! watcher saw.
//!
//! Does not: know the archive. What it holds is compared with the archive by tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt};
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::task::JoinSet;

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty if it has none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Incarnation.
    pub uid: String,
    /// Resource version, as the server wrote it.
    pub rv: String,
}

impl Version {
    /// Reads the version of an object as the server returned it; none if it is no object with a resource version.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let api_version = text("/apiVersion");
        let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let version = Self {
            group,
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            rv: text("/metadata/resourceVersion"),
        };
        (!version.uid.is_empty() && !version.rv.is_empty()).then_some(version)
    }
}

#[derive(Debug, Default)]
struct Pages {
    acknowledged: BTreeSet<Version>,
    observed: BTreeSet<Version>,
    deleted: BTreeMap<String, Version>,
}

/// The journal. Clones write to the same one.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    // A lock rather than a channel: tests read it at moments of their own choice.
    pages: Arc<Mutex<Pages>>,
}

impl Journal {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an object that the server returned for a write.
    pub fn acknowledge(&self, object: &Value) {
        if let Some(version) = Version::of(object) {
            self.pages().acknowledged.insert(version);
        }
    }

    fn observe(&self, object: &Value, deleted: bool) {
        if let Some(version) = Version::of(object) {
            let mut pages = self.pages();
            if deleted {
                pages.deleted.insert(version.uid.clone(), version);
            } else {
                pages.observed.insert(version);
            }
        }
    }

    /// Returns every version that the server acknowledged to a writer of this process.
    pub fn acknowledged(&self) -> BTreeSet<Version> {
        self.pages().acknowledged.clone()
    }

    /// Returns how many versions the server acknowledged to writers of this process.
    pub fn acknowledged_count(&self) -> usize {
        self.pages().acknowledged.len()
    }

    /// Returns every version that the independent watcher saw; versions during its own interruptions are lacking.
    pub fn observed(&self) -> BTreeSet<Version> {
        self.pages().observed.clone()
    }

    /// Returns the last states of the objects that the independent watcher saw deleted, by uid.
    pub fn deleted(&self) -> BTreeMap<String, Version> {
        self.pages().deleted.clone()
    }

    /// Starts the independent watcher: kube's own, on each of the resources with its label selector. It ends when
    /// the returned set of tasks is dropped.
    pub fn watch(&self, client: &Client, resources: &[(ApiResource, Option<String>)]) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (resource, selector) in resources {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), resource);
            let config = watcher::Config::default();
            let config = selector.as_ref().map_or_else(|| config.clone(), |selector| config.clone().labels(selector));
            tasks.spawn(self.clone().follow(api, config, resource.clone()));
        }
        tasks
    }

    async fn follow(self, api: Api<DynamicObject>, config: watcher::Config, resource: ApiResource) {
        let mut events = watcher(api, config).default_backoff().boxed();
        loop {
            let (object, deleted) = match events.try_next().await {
                Ok(Some(Event::InitApply(object) | Event::Apply(object))) => (object, false),
                Ok(Some(Event::Delete(object))) => (object, true),
                Ok(Some(Event::Init | Event::InitDone)) => continue,
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, "the independent watcher goes on");
                    continue;
                }
            };
            let mut object = serde_json::to_value(object).unwrap_or_default();
            object["apiVersion"] = resource.api_version.clone().into();
            object["kind"] = resource.kind.clone().into();
            self.observe(&object, deleted);
        }
    }
}
