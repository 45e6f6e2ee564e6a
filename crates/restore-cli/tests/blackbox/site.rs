//! A real control plane for the tool to work on, and the story that most tests tell.
//!
//! Does not: hold tests.

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use vmrewind_cluster::{Cluster, ConnectOptions, Discovery, Preconditions, Propagation, WriteOptions};
use vmrewind_testkit::{
    bench,
    build::{Build, pvc, secret, vm},
    controlplane::{ControlPlane, Options, User},
    wait::{Seen, wait_for},
};

use crate::{
    harness::{Ran, Story, Told},
    schema,
};

/// A control plane: nobody there knows what machines are, so that they stay as they are put.
pub(crate) struct Site {
    pub(crate) runtime: Runtime,
    pub(crate) plane: ControlPlane,
    pub(crate) cluster: Cluster,
    pub(crate) types: Discovery,
    pub(crate) uid: String,
}

/// A machine with a secret and nothing else, so that all of it can be restored.
pub(crate) fn machine() -> Build {
    vm("app").with_secret("app-key").set("spec.template.spec.domain.memory.guest", "1Gi")
}

/// An archive in which the machine, its secret and a machine with a disk were deleted.
pub(crate) fn story() -> Story {
    let disk = vm("disk").with_pvc("disk-data");
    Story::new()
        .added(&vmrewind_testkit::build::namespace("prod"))
        .added(&secret("app-key"))
        .added(&machine())
        .added(&pvc("disk-data"))
        .added(&disk)
        .commit()
        .wait(60)
        .deleted(&machine())
        .deleted(&secret("app-key"))
        .deleted(&disk)
        .deleted(&pvc("disk-data"))
        .commit()
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::without("")
    }

    /// A control plane that lacks the kinds of an API group.
    pub(crate) fn without(group: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let rules = vec![json!({"apiGroups": ["kubevirt.io"], "resources": ["*"], "verbs": ["get", "list"]})];
        let everything = vec![json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]})];
        let options = Options {
            users: vec![
                User { name: "reader".to_owned(), rules },
                User { name: "looker".to_owned(), rules: everything },
            ],
            crds: bench::own_definitions()
                .expect("definitions")
                .into_iter()
                .filter(|definition| group.is_empty() || definition["spec"]["group"] != group)
                .collect(),
            ..Options::default()
        };
        let plane = runtime.block_on(ControlPlane::start(options)).expect("a control plane");
        vmrewind_cluster::install_crypto_provider();
        let connect = ConnectOptions { kubeconfig: Some(plane.kubeconfig()), ..ConnectOptions::default() };
        let (cluster, types, uid) = runtime.block_on(async {
            let cluster = Cluster::connect(&connect).await.expect("a connection");
            let types = cluster.discover().await.expect("types");
            let uid = cluster.identity().await.expect("an identity").uid;
            (cluster, types, uid)
        });
        let site = Self { runtime, plane, cluster, types, uid };
        site.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}}));
        site
    }

    pub(crate) fn create(&self, object: &Value) {
        let (group, kind) = group_and_kind(object);
        let type_ = self.types.by_kind(&group, &kind).expect("a served type");
        self.runtime.block_on(self.cluster.create(type_, object, &WriteOptions::default())).expect("created");
    }

    pub(crate) fn get(&self, group: &str, kind: &str, name: &str) -> Option<Value> {
        let target = self.types.by_kind(group, kind).expect("a served type").target(Some("prod"));
        let object = self.runtime.block_on(self.cluster.get(&target, name)).expect("an answer");
        object.map(|object| object.value().expect("JSON"))
    }

    pub(crate) fn machine(&self) -> Option<Value> {
        self.get("kubevirt.io", "VirtualMachine", "app")
    }

    pub(crate) fn delete(&self, group: &str, kind: &str, name: &str) {
        let target = self.types.by_kind(group, kind).expect("a served type").target(Some("prod"));
        let (any, options) = (Preconditions::default(), WriteOptions::default());
        let deletion = self.cluster.delete(&target, name, &any, Propagation::Background, &options);
        self.runtime.block_on(deletion).expect("deleted");
    }

    pub(crate) fn patch(&self, group: &str, kind: &str, name: &str, patch: &Value) {
        let target = self.types.by_kind(group, kind).expect("a served type").target(Some("prod"));
        let options = WriteOptions::default();
        let patched = self.cluster.patch_merge(&target, name, patch, &options);
        self.runtime.block_on(patched).expect("patched");
    }

    /// Lists the objects of a kind in the namespace of the stories.
    pub(crate) fn list(&self, group: &str, kind: &str) -> Vec<Value> {
        let target = self.types.by_kind(group, kind).expect("a served type").target(Some("prod"));
        let listing = self.runtime.block_on(self.cluster.list_consistent(&target, 500)).expect("a list");
        listing.items.iter().map(|object| object.value().expect("JSON")).collect()
    }

    /// Waits for the garbage collector, which takes a finalizer away.
    pub(crate) fn wait_until_gone(&self, group: &str, kind: &str, name: &str) {
        let target = self.types.by_kind(group, kind).expect("a served type").target(Some("prod"));
        let gone = wait_for("the end of the object", std::time::Duration::from_secs(60), async || {
            let left = self.cluster.get(&target, name).await?;
            Ok(Seen::or_not_yet(left.is_none().then_some(()), || format!("{kind} {name} is still there")))
        });
        self.runtime.block_on(gone).expect("it goes");
    }

    /// Runs the tool on an archive and this cluster.
    pub(crate) fn run(&self, told: &Told, words: &str) -> Ran {
        let kubeconfig = self.plane.kubeconfig().display().to_string();
        let mut all: Vec<&str> = words.split(' ').collect();
        all.extend(["--kubeconfig", &kubeconfig]);
        told.run_words(&all)
    }
}

fn group_and_kind(object: &Value) -> (String, String) {
    let version = object["apiVersion"].as_str().expect("a version");
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group.to_owned(), object["kind"].as_str().expect("a kind").to_owned())
}

/// The journal of the newest restore.
pub(crate) fn newest_journal(site: &Site, told: &Told) -> String {
    let list = site.run(told, "undo -o json").json();
    schema::check("journal-list", &list);
    let items = list["items"].as_array().expect("items");
    items.last().expect("a journal")["id"].as_str().expect("an id").to_owned()
}
