//! Carries out what the engine asks for, and turns answers into inputs.
//!
//! Does not: retry; the engine decides when.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use futures::StreamExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{AbortHandle, JoinSet},
};
use vmrewind_cluster::{Cluster, ClusterError, WatchEvent};
use vmrewind_model::{ResourceId, Rv, Timestamp};

use super::Clock;
use crate::{
    arrivals::Place,
    engine::{Action, AsOf, Event, Failure, Input, Listing, Probe, Rejected, ResourceSpec, Ticket},
    scope,
};

/// Requests about single objects and versions at a time.
const SMALL: usize = 24;
/// Lists at a time; each may hold all objects of a type.
const LISTS: usize = 2;
/// Bytes of watch events that may wait for the engine.
const WAITING_KIB: usize = 16 << 10;
/// A list of many pages may take longer than other requests.
const LIST_PATIENCE: u32 = 8;

/// An input on its way to the engine.
pub(super) struct Arrival {
    pub(super) input: Input,
    /// Where it belongs, if it is of a watch.
    pub(super) place: Place,
    /// When it arrived, by the wall clock.
    pub(super) at: Timestamp,
    /// The bytes of a watch's event, and its share of the memory that may wait.
    pub(super) share: Option<(usize, OwnedSemaphorePermit)>,
}

/// Everything that is on its way.
pub(super) struct Requests {
    cluster: Cluster,
    clock: Clock,
    patience: Duration,
    inputs: mpsc::UnboundedSender<Arrival>,
    tasks: JoinSet<()>,
    watches: BTreeMap<Ticket, AbortHandle>,
    small: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Requests {
    pub(super) fn new(
        cluster: Cluster,
        clock: Clock,
        patience: Duration,
        inputs: mpsc::UnboundedSender<Arrival>,
    ) -> Self {
        Self {
            cluster,
            clock,
            patience,
            inputs,
            tasks: JoinSet::new(),
            watches: BTreeMap::new(),
            small: Arc::new(Semaphore::new(SMALL)),
            lists: Arc::new(Semaphore::new(LISTS)),
            waiting: Arc::new(Semaphore::new(WAITING_KIB)),
        }
    }

    /// Carries out an action about a resource.
    pub(super) fn perform(&mut self, action: Action, spec: Option<&ResourceSpec>) {
        let Some(spec) = spec else { return };
        let target = scope::target(spec);
        let (cluster, clock) = (self.cluster.clone(), self.clock.clone());
        match action {
            Action::Probe(id, ticket) => {
                let work = async move {
                    let asked = clock();
                    let (rv, date) = cluster.newest_version(&target).await?;
                    Ok(Probe { rv, date, asked })
                };
                self.small(work, move |result| Input::Probed(id, ticket, result));
            }
            Action::List(id, ticket) => {
                let work = async move {
                    let asked = clock();
                    let listing = cluster.list_consistent(&target, target.page_size()).await?;
                    let rejected = listing.rejected.into_iter().map(rejected).collect();
                    Ok(Listing { rv: listing.rv, items: listing.items, rejected, date: listing.date, asked })
                };
                let (permits, patience) = (self.lists.clone(), self.patience * LIST_PATIENCE);
                self.request(permits, patience, work, move |result| Input::Listed(id, ticket, result));
            }
            Action::Get(id, ticket, key) => {
                let wanted = key.clone();
                let work = async move { cluster.get(&target.in_namespace(&wanted.namespace), &wanted.name).await };
                self.small(work, move |result| Input::Fetched(id, ticket, key, result));
            }
            Action::AsOf(id, ticket, key, rv) => {
                let work = async move {
                    let answer = cluster.state_as_of(&target.in_namespace(&key.namespace), &key.name, rv).await?;
                    Ok(match answer {
                        vmrewind_cluster::AsOf::Found(object) => AsOf::Found(object),
                        vmrewind_cluster::AsOf::NotThere => AsOf::NotThere,
                        vmrewind_cluster::AsOf::Compacted => AsOf::Compacted,
                    })
                };
                self.small(work, move |result| Input::WasThen(id, ticket, result));
            }
            Action::Watch(id, ticket, from, timeout) => {
                let (inputs, waiting) = (self.inputs.clone(), self.waiting.clone());
                let task = self.tasks.spawn(async move {
                    let stream = Stream { id, ticket, inputs: &inputs, waiting: &waiting, clock: &clock };
                    let end = stream.run(&cluster, &target, from, timeout).await;
                    deliver(&inputs, Input::Ended(stream.id, ticket, end), clock());
                });
                self.watches.insert(ticket, task);
            }
            Action::StopWatch(..) | Action::Discover | Action::Record(_) => {}
        }
    }

    /// Ends a watch.
    pub(super) fn stop_watch(&mut self, ticket: Ticket) {
        if let Some(task) = self.watches.remove(&ticket) {
            task.abort();
        }
    }

    /// Runs anything else beside the requests.
    pub(super) fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Ends all watches and requests, and waits for their tasks.
    pub(super) async fn shutdown(&mut self) {
        self.watches.clear();
        self.tasks.shutdown().await;
    }

    /// Collects what has ended; the message of a task that panicked.
    pub(super) fn reap(&mut self) -> Option<String> {
        self.watches.retain(|_, task| !task.is_finished());
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Err(error) if error.is_panic() => return Some(error.to_string()),
                Ok(()) | Err(_) => {}
            }
        }
        None
    }

    fn small<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T, ClusterError>> + Send + 'static,
        answer: impl FnOnce(Result<T, Failure>) -> Input + Send + 'static,
    ) {
        let (permits, patience) = (self.small.clone(), self.patience);
        self.request(permits, patience, work, answer);
    }

    /// Runs a request when there is room. Whatever becomes of it, the engine gets an answer.
    fn request<T: Send + 'static>(
        &mut self,
        permits: Arc<Semaphore>,
        patience: Duration,
        work: impl Future<Output = Result<T, ClusterError>> + Send + 'static,
        answer: impl FnOnce(Result<T, Failure>) -> Input + Send + 'static,
    ) {
        let (inputs, clock) = (self.inputs.clone(), self.clock.clone());
        self.tasks.spawn(async move {
            let Ok(_permit) = permits.acquire_owned().await else { return };
            let result = match tokio::time::timeout(patience, work).await {
                Ok(result) => result.map_err(|error| failure(&error)),
                Err(_) => Err(Failure::Unavailable(format!("no answer within {} s", patience.as_secs()))),
            };
            deliver(&inputs, answer(result), clock());
        });
    }
}

/// One watch, whose events go to the loop.
struct Stream<'a> {
    id: ResourceId,
    ticket: Ticket,
    inputs: &'a mpsc::UnboundedSender<Arrival>,
    waiting: &'a Arc<Semaphore>,
    clock: &'a Clock,
}

impl Stream<'_> {
    async fn run(
        &self,
        cluster: &Cluster,
        target: &vmrewind_cluster::Target,
        from: Rv,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let mut events = cluster.watch(target, from, timeout).await.map_err(|error| failure(&error))?;
        deliver(self.inputs, Input::Opened(self.id.clone(), self.ticket), (self.clock)());
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| failure(&error))?;
            let (place, bytes) = placed(&event);
            let share = u32::try_from((bytes / 1024 + 1).min(WAITING_KIB)).unwrap_or(1);
            let Ok(permit) = self.waiting.clone().acquire_many_owned(share).await else { return Ok(()) };
            let input = Input::Watched(self.id.clone(), self.ticket, event_of(event));
            let arrival = Arrival { input, place, at: (self.clock)(), share: Some((bytes, permit)) };
            send(self.inputs, arrival);
        }
        Ok(())
    }
}

/// Where an event belongs among those of other watches, and the bytes of its object.
fn placed(event: &WatchEvent) -> (Place, usize) {
    let by = |rv: Option<Rv>| rv.map_or(Place::Last, |rv| Place::Version(rv.0));
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
            (by(object.head().ok().map(|head| head.rv)), object.bytes().len())
        }
        WatchEvent::Bookmark(_) => (Place::Behind, 0),
        WatchEvent::Rejected(event) => (by(event.rv), 0),
    }
}

/// What the engine calls an event.
fn event_of(event: WatchEvent) -> Event {
    match event {
        WatchEvent::Added(object) => Event::Added(object),
        WatchEvent::Modified(object) => Event::Modified(object),
        WatchEvent::Deleted(object) => Event::Deleted(object),
        WatchEvent::Bookmark(rv) => Event::Bookmark(rv),
        WatchEvent::Rejected(event) => Event::Rejected(rejected(event)),
    }
}

/// Hands an input that is no change to the loop.
pub(super) fn deliver(inputs: &mpsc::UnboundedSender<Arrival>, input: Input, at: Timestamp) {
    send(inputs, Arrival { input, place: Place::Behind, at, share: None });
}

/// If the loop is gone, the process is ending and nobody is interested.
fn send(inputs: &mpsc::UnboundedSender<Arrival>, arrival: Arrival) {
    if inputs.send(arrival).is_err() {
        tracing::debug!("an answer came after the end");
    }
}

fn rejected(rejected: vmrewind_cluster::Rejected) -> Rejected {
    let key = (!rejected.key.name.is_empty()).then_some(rejected.key);
    Rejected { key, uid: rejected.uid, rv: rejected.rv, deleted: rejected.deleted, reason: rejected.reason }
}

fn failure(error: &ClusterError) -> Failure {
    match error {
        ClusterError::Forbidden { verb, resource, namespace, .. } => {
            let place = if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") };
            Failure::Forbidden(format!("{verb} {resource}{place} is forbidden (403)"))
        }
        ClusterError::Unauthorized { .. } => Failure::Forbidden(error.to_string()),
        ClusterError::NotFound { .. } => Failure::NotServed,
        ClusterError::Gone { .. } => Failure::Gone,
        other => Failure::Unavailable(other.to_string()),
    }
}
