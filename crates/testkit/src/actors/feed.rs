//! One watch for each kind: it fills the kind's store, and then tells every controller that waits for the kind.
//!
//! ```text
//! watcher -> reflector (store) -> every subscriber: the controller of the kind, those of its owners, those that watch it
//! ```
//!
//! A subscriber hears of an object only once the store has it (or has it no more), so that whoever is woken by
//! a change sees it. `kube_runtime`'s own shared streams say nothing of deletions; this one does.
//!
//! Does not: act.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use kube::Client;
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::store::Writer;
use kube_runtime::reflector::{ObjectRef, Store};
use kube_runtime::watcher::{self, Event, watcher};

use super::kinds::Kind;
use super::object::Object;
use super::stores::Stores;

/// The pods that actors play a part for.
const LAUNCHERS: &str = "kubevirt.io in (virt-launcher, hotplug-disk)";

/// The watch of one kind, before it is started.
pub(super) struct Feed {
    kind: Kind,
    writer: Writer<Object>,
    subscribers: Vec<mpsc::UnboundedSender<Arc<Object>>>,
}

/// The watches of all kinds, before they are started.
pub(super) struct Feeds {
    by_kind: BTreeMap<Kind, Feed>,
}

impl Feeds {
    pub(super) fn new() -> Self {
        let feed =
            |kind: &Kind| (*kind, Feed { kind: *kind, writer: Writer::new(kind.resource()), subscribers: Vec::new() });
        Self { by_kind: Kind::ALL.iter().map(feed).collect() }
    }

    /// Returns the stores that the watches will fill.
    pub(super) fn stores(&self) -> Stores {
        Stores::new(self.by_kind.iter().map(|(kind, feed)| (*kind, feed.writer.as_reader())).collect())
    }

    /// Returns the store of a kind.
    pub(super) fn store(&self, kind: Kind) -> Store<Object> {
        self.by_kind.get(&kind).expect("there is a watch for every kind").writer.as_reader()
    }

    /// Returns every object of a kind that is there, changes or goes, in its last known state.
    pub(super) fn subscribe(&mut self, kind: Kind) -> mpsc::UnboundedReceiver<Arc<Object>> {
        let (tell, told) = mpsc::unbounded();
        self.by_kind.get_mut(&kind).expect("there is a watch for every kind").subscribers.push(tell);
        told
    }

    /// Returns the watches to be run, each with a note that it has seen everything there is.
    pub(super) fn start(self, client: &Client) -> Vec<(impl Future<Output = ()> + use<>, oneshot::Receiver<()>)> {
        let start = |feed: Feed| {
            let (tell, told) = oneshot::channel();
            (feed.run(client.clone(), tell), told)
        };
        self.by_kind.into_values().map(start).collect()
    }
}

impl Feed {
    async fn run(self, client: Client, tell: oneshot::Sender<()>) {
        let Self { kind, writer, mut subscribers } = self;
        let config = watcher::Config::default();
        let config = if kind == Kind::Pod { config.labels(LAUNCHERS) } else { config };
        let store = writer.as_reader();
        let mut events = watcher(kind.objects(&client), config)
            .default_backoff()
            .modify(|object: &mut Object| object.say_kind(kind))
            .reflect(writer)
            .boxed();
        let mut tell = Some(tell);
        let mut before = Vec::new();
        while let Some(event) = events.next().await {
            let touched = match event {
                Ok(Event::Init) => {
                    before = store.state();
                    continue;
                }
                Ok(Event::InitApply(_)) => continue,
                Ok(Event::InitDone) => {
                    ready(&mut tell);
                    let gone = |object: &Arc<Object>| {
                        store.get(&ObjectRef::from_obj_with(object.as_ref(), kind.resource())).is_none()
                    };
                    let gone: Vec<_> = before.drain(..).filter(gone).collect();
                    [store.state(), gone].concat()
                }
                Ok(Event::Apply(object) | Event::Delete(object)) => vec![Arc::new(object)],
                Err(error) => {
                    if is_not_served(&error) {
                        ready(&mut tell);
                    }
                    tracing::debug!(?kind, %error, "a watch of the actors broke and goes on");
                    continue;
                }
            };
            for object in touched {
                // A controller that has ended listens no more.
                subscribers.retain(|subscriber| subscriber.unbounded_send(Arc::clone(&object)).is_ok());
            }
        }
    }
}

fn ready(tell: &mut Option<oneshot::Sender<()>>) {
    if let Some(tell) = tell.take() {
        // Nobody listens any more if the start was given up.
        tell.send(()).ok();
    }
}

/// Tells whether the server does not know the kind. Nobody waits for it then; should it come later, it is played.
fn is_not_served(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
