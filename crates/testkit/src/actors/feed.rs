//! The watches that feed the cache and wake whoever is concerned.
//!
//! Does not: act.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{Future, StreamExt, TryStreamExt};
use kube::Client;
use kube::api::DynamicObject;
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::json::{items, text};
use super::kinds::{Key, Kind};
use super::{Actor, until};

/// The pods that actors play a part for.
const LAUNCHERS: &str = "kubevirt.io in (virt-launcher, hotplug-disk)";

/// Starts the watches; the future ends once each of them has seen everything there is.
pub(super) fn start(
    client: &Client,
    actor: &Arc<Actor>,
    tasks: &mut JoinSet<()>,
    cancel: &CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + use<> {
    let mut ready = Vec::new();
    for kind in Kind::ALL {
        let (tell, told) = oneshot::channel();
        ready.push(told);
        tasks.spawn(until(cancel.clone(), follow(client.clone(), Arc::clone(actor), *kind, tell)));
    }
    async {
        for told in ready {
            told.await?;
        }
        Ok(())
    }
}

async fn follow(client: Client, actor: Arc<Actor>, kind: Kind, tell: oneshot::Sender<()>) {
    let config = watcher::Config::default();
    let config = if kind == Kind::Pod { config.labels(LAUNCHERS) } else { config };
    let mut events = watcher(kind.api(&client, ""), config).default_backoff().boxed();
    let mut tell = Some(tell);
    let mut listed = BTreeSet::new();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => listed.clear(),
            Ok(Some(Event::InitApply(object))) => {
                listed.insert(take(&actor, kind, object));
            }
            Ok(Some(Event::InitDone)) => {
                for gone in actor.cache.keys(&[kind]).into_iter().filter(|key| !listed.contains(key)) {
                    forget(&actor, &gone);
                }
                if let Some(tell) = tell.take() {
                    // Nobody listens any more if the start was given up.
                    tell.send(()).ok();
                }
            }
            Ok(Some(Event::Apply(object))) => {
                take(&actor, kind, object);
            }
            Ok(Some(Event::Delete(object))) => {
                let key = take(&actor, kind, object);
                forget(&actor, &key);
            }
            Ok(None) => return,
            Err(error) => {
                if not_served(&error)
                    && let Some(tell) = tell.take()
                {
                    tell.send(()).ok();
                }
                tracing::debug!(?kind, %error, "a watch of the actors broke and goes on");
            }
        }
    }
}

/// Tells whether the server does not know the kind. Nobody waits for it then; should it come later, it is played.
fn not_served(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn take(actor: &Actor, kind: Kind, object: DynamicObject) -> Key {
    let mut object = serde_json::to_value(object).unwrap_or_default();
    // Items of a list carry neither.
    object["apiVersion"] = kind.served().into();
    object["kind"] = kind.name().into();
    let key = Key::new(kind, text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
    let concerned = concerned_by(actor, &key, &object);
    actor.cache.put(key.clone(), object);
    for key in concerned {
        actor.queue.add(key);
    }
    actor.queue.add(key.clone());
    key
}

fn forget(actor: &Actor, key: &Key) {
    let last = actor.cache.get(key.kind, &key.namespace, &key.name);
    actor.cache.remove(key);
    for concerned in last.iter().flat_map(|object| concerned_by(actor, key, object)) {
        actor.queue.add(concerned);
    }
}

/// Returns whose work depends on an object.
fn concerned_by(actor: &Actor, key: &Key, object: &Value) -> Vec<Key> {
    let space = key.namespace.as_str();
    let mut keys = Vec::new();
    for owner in items(object, "/metadata/ownerReferences") {
        let group = text(owner, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
        if let Some(kind) = Kind::find(group, text(owner, "/kind")) {
            keys.push(Key::new(kind, space, text(owner, "/name")));
        }
    }
    match key.kind {
        Kind::DataVolume => {
            keys.push(Key::new(Kind::Claim, space, &key.name));
            keys.extend(machines_with(actor, space, &key.name));
        }
        Kind::Claim => {
            keys.push(Key::new(Kind::DataVolume, space, &key.name));
            keys.push(Key::new(Kind::Volume, "", text(object, "/spec/volumeName")));
            keys.extend(machines_with(actor, space, &key.name));
            let state_of = super::json::label(object, super::STATE_LABEL);
            keys.extend([Kind::Vm, Kind::Vmi].map(|kind| Key::new(kind, space, state_of)));
            keys.extend(
                actor
                    .cache
                    .pods_using(space, &key.name)
                    .iter()
                    .map(|pod| Key::new(Kind::Pod, space, super::json::name(pod))),
            );
        }
        Kind::Volume => {
            let claim = items_of_claim(object);
            keys.push(Key::new(Kind::Claim, claim.0, claim.1));
        }
        Kind::Pod => {
            let claims = items(object, "/spec/volumes").iter().map(|v| text(v, "/persistentVolumeClaim/claimName"));
            keys.extend(claims.filter(|claim| !claim.is_empty()).map(|claim| Key::new(Kind::Claim, space, claim)));
            keys.extend(migrations_of(actor, space, super::json::annotation(object, "kubevirt.io/domain")));
        }
        Kind::Vmi => {
            keys.push(Key::new(Kind::Vm, space, &key.name));
            keys.extend(migrations_of(actor, space, &key.name));
        }
        Kind::Migration => keys.push(Key::new(Kind::Vmi, space, text(object, "/spec/vmiName"))),
        Kind::Secret | Kind::ConfigMap | Kind::Network => {
            let pending = |pod: &&Arc<Value>| text(pod, "/status/phase") == "Pending";
            let pods = actor.cache.list(Kind::Pod, "");
            keys.extend(
                pods.iter()
                    .filter(pending)
                    .map(|pod| Key::new(Kind::Pod, super::json::namespace(pod), super::json::name(pod))),
            );
        }
        _ => {}
    }
    keys
}

fn items_of_claim(volume: &Value) -> (&str, &str) {
    (text(volume, "/spec/claimRef/namespace"), text(volume, "/spec/claimRef/name"))
}

fn migrations_of(actor: &Actor, space: &str, vmi: &str) -> Vec<Key> {
    let all = actor.cache.list(Kind::Migration, space);
    let of = all.iter().filter(|migration| text(migration, "/spec/vmiName") == vmi);
    of.map(|migration| Key::new(Kind::Migration, space, super::json::name(migration))).collect()
}

/// Returns the machines and instances of a namespace that have a disk with this claim.
fn machines_with(actor: &Actor, space: &str, claim: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    for (kind, pointer) in [(Kind::Vm, "/spec/template/spec/volumes"), (Kind::Vmi, "/spec/volumes")] {
        let has = |object: &Value| {
            items(object, pointer)
                .iter()
                .any(|v| text(v, "/dataVolume/name") == claim || text(v, "/persistentVolumeClaim/claimName") == claim)
        };
        let machines = actor.cache.list(kind, space);
        keys.extend(machines.iter().filter(|m| has(m)).map(|m| Key::new(kind, space, super::json::name(m))));
    }
    keys
}
