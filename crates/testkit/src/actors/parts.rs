//! Which controller there is for each kind, and whose changes wake it.
//!
//! Does not: act; what a controller does when it is woken stands in the module of its kind.

use std::sync::Arc;

use futures::{Future, StreamExt, future};
use kube::Resource;
use kube_runtime::controller::{Action, Config, Controller};
use kube_runtime::reflector::ObjectRef;
use serde_json::Value;

use super::feed::Feeds;
use super::json::{annotation, controller_of, items, label, name, namespace, text};
use super::kinds::Kind;
use super::object::Object;
use super::stores::Stores;
use super::{Actor, RESYNC};

/// How many objects of a kind are worked on at once: most of the time they wait for the server.
const AT_ONCE: u16 = 32;

/// A controller that is being put together.
struct Part<'a> {
    kind: Kind,
    controller: Controller<Object>,
    feeds: &'a mut Feeds,
    stores: Stores,
}

impl<'a> Part<'a> {
    fn of(kind: Kind, feeds: &'a mut Feeds) -> Self {
        let (trigger, store, stores) = (feeds.subscribe(kind), feeds.store(kind), feeds.stores());
        let controller = Controller::for_shared_stream_with(trigger, store, kind.resource())
            .with_config(Config::default().concurrency(AT_ONCE));
        Self { kind, controller, feeds, stores }
    }

    /// Is woken for the owner of a child.
    fn owns(self, child: Kind) -> Self {
        // The ready-made `owns_shared_stream_with` is for static types only.
        let resource = self.kind.resource();
        let owners = move |child: Arc<Object>| {
            let (namespace, resource) = (child.meta().namespace.clone(), resource.clone());
            let owners = child.meta().owner_references.clone().unwrap_or_default();
            owners
                .into_iter()
                .filter_map(move |owner| ObjectRef::from_owner_ref(namespace.as_deref(), &owner, resource.clone()))
        };
        let trigger = self.feeds.subscribe(child);
        let controller = self.controller.watches_shared_stream_with(trigger, owners, child.resource());
        Self { controller, ..self }
    }

    /// Is woken for whatever `concerned` finds to depend on an object of another kind: namespaces and names.
    fn watches(self, other: Kind, concerned: fn(&Stores, &Value) -> Names) -> Self {
        let (kind, stores) = (self.kind, self.stores.clone());
        let mapper = move |object: Arc<Object>| {
            let names = concerned(&stores, object.whole());
            names
                .into_iter()
                .filter(|(_, name)| !name.is_empty())
                .map(move |(space, name)| kind.reference(&space, &name))
        };
        let trigger = self.feeds.subscribe(other);
        let controller = self.controller.watches_shared_stream_with(trigger, mapper, other.resource());
        Self { controller, ..self }
    }

    fn done(self) -> (Kind, Controller<Object>) {
        (self.kind, self.controller)
    }
}

/// Returns the controllers, each with the kind that it plays.
pub(super) fn all(feeds: &mut Feeds) -> Vec<(Kind, Controller<Object>)> {
    use Kind::{
        Claim, ClusterInstancetype, ClusterPreference, ConfigMap, DataVolume, Instancetype, Migration, Network, Pod,
        Pool, Preference, ReplicaSet, Revision, Secret, Vm, Vmi, Volume,
    };
    vec![
        Part::of(Vm, feeds)
            .owns(Vmi)
            .owns(Revision)
            .watches(Vmi, itself)
            .watches(DataVolume, |stores, disk| with_disk(stores, Vm, "/spec/template/spec/volumes", disk))
            .watches(Claim, |stores, disk| with_disk(stores, Vm, "/spec/template/spec/volumes", disk))
            .watches(Revision, |stores, revision| sized_by(stores, revision, "revisionName"))
            .watches(Instancetype, |stores, size| sized_by(stores, size, "name"))
            .watches(ClusterInstancetype, |stores, size| sized_by(stores, size, "name"))
            .watches(Preference, |stores, size| sized_by(stores, size, "name"))
            .watches(ClusterPreference, |stores, size| sized_by(stores, size, "name"))
            .done(),
        Part::of(Vmi, feeds)
            .owns(Pod)
            .watches(Pod, owner_of_launcher)
            .watches(Claim, |stores, disk| with_disk(stores, Vmi, "/spec/volumes", disk))
            .watches(Migration, |_, migration| one(namespace(migration), text(migration, "/spec/vmiName")))
            .done(),
        Part::of(Migration, feeds)
            .watches(Vmi, |stores, vmi| migrations(stores, namespace(vmi), name(vmi)))
            .watches(Pod, |stores, pod| migrations(stores, namespace(pod), annotation(pod, "kubevirt.io/domain")))
            .done(),
        // Orphans may be theirs.
        Part::of(ReplicaSet, feeds).owns(Vmi).watches(Vmi, |stores, vmi| all_in(stores, ReplicaSet, vmi)).done(),
        Part::of(Pool, feeds).owns(Vm).done(),
        Part::of(DataVolume, feeds).owns(Claim).watches(Claim, itself).done(),
        Part::of(Claim, feeds)
            .watches(Volume, |_, volume| {
                one(text(volume, "/spec/claimRef/namespace"), text(volume, "/spec/claimRef/name"))
            })
            .watches(Pod, |_, pod| {
                let claims = items(pod, "/spec/volumes").iter().map(|v| text(v, "/persistentVolumeClaim/claimName"));
                claims.flat_map(|claim| one(namespace(pod), claim)).collect()
            })
            .done(),
        Part::of(Volume, feeds).watches(Claim, |_, claim| one("", text(claim, "/spec/volumeName"))).done(),
        Part::of(Pod, feeds)
            .watches(Claim, |stores, claim| names(&stores.pods_using(namespace(claim), name(claim))))
            .watches(Secret, |stores, there| waiting_pods(stores, namespace(there)))
            .watches(ConfigMap, |stores, there| waiting_pods(stores, namespace(there)))
            .watches(Network, |stores, _| waiting_pods(stores, ""))
            .done(),
    ]
}

/// Runs a controller: the future ends when it is dropped. What fails is tried again, later and later.
pub(super) fn run(kind: Kind, controller: Controller<Object>, actor: Arc<Actor>) -> impl Future<Output = ()> {
    let reconcile = move |object: Arc<Object>, actor: Arc<Actor>| async move {
        actor.reconcile(kind, object.whole()).await?;
        actor.failures.succeeded(text(object.whole(), "/metadata/uid"));
        Ok::<_, kube::Error>(Action::requeue(RESYNC))
    };
    let error_policy = |object: Arc<Object>, _: &kube::Error, actor: Arc<Actor>| {
        Action::requeue(actor.failures.failed(text(object.whole(), "/metadata/uid")))
    };
    controller.run(reconcile, error_policy, actor).for_each(move |outcome| {
        if let Err(error) = outcome {
            tracing::debug!(?kind, %error, "an actor failed and will try again, or came too late");
        }
        future::ready(())
    })
}

/// Namespaces and names of objects of the kind that is to be woken.
type Names = Vec<(String, String)>;

fn one(namespace: &str, name: &str) -> Names {
    vec![(namespace.to_owned(), name.to_owned())]
}

fn names(objects: &[Arc<Value>]) -> Names {
    objects.iter().flat_map(|object| one(namespace(object), name(object))).collect()
}

/// The one of the same name.
fn itself(_: &Stores, object: &Value) -> Names {
    one(namespace(object), name(object))
}

fn all_in(stores: &Stores, kind: Kind, object: &Value) -> Names {
    if controller_of(object).is_null() { names(&stores.list(kind, namespace(object))) } else { Names::new() }
}

/// Machines or instances that have a disk of this name, or keep the state of their TPM on it.
fn with_disk(stores: &Stores, kind: Kind, volumes: &str, disk: &Value) -> Names {
    let mut found = one(namespace(disk), label(disk, super::STATE_LABEL));
    for object in stores.list(kind, namespace(disk)) {
        let has = |v: &Value| {
            text(v, "/dataVolume/name") == name(disk) || text(v, "/persistentVolumeClaim/claimName") == name(disk)
        };
        if items(&object, volumes).iter().any(has) {
            found.extend(itself(stores, &object));
        }
    }
    found
}

/// Machines whose instancetype or preference names the object in this member.
fn sized_by(stores: &Stores, object: &Value, member: &str) -> Names {
    let mut found = stores.list(Kind::Vm, namespace(object));
    found.retain(|vm| {
        ["instancetype", "preference"].iter().any(|of| text(vm, &format!("/spec/{of}/{member}")) == name(object))
    });
    names(&found)
}

/// The instance of the launcher pod that owns a hotplug pod.
fn owner_of_launcher(stores: &Stores, pod: &Value) -> Names {
    let owner = controller_of(pod);
    if text(owner, "/kind") != Kind::Pod.name() {
        return Names::new();
    }
    let launcher = stores.get(Kind::Pod, namespace(pod), text(owner, "/name"));
    launcher.map_or_else(Names::new, |launcher| one(namespace(pod), text(controller_of(&launcher), "/name")))
}

fn migrations(stores: &Stores, within: &str, vmi: &str) -> Names {
    let mut all = stores.list(Kind::Migration, within);
    all.retain(|migration| text(migration, "/spec/vmiName") == vmi);
    names(&all)
}

fn waiting_pods(stores: &Stores, within: &str) -> Names {
    let mut pods = stores.list(Kind::Pod, within);
    pods.retain(|pod| text(pod, "/status/phase") == "Pending");
    names(&pods)
}
