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
use vmrewind_model::ResourceId;

use super::Clock;
use crate::{
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

/// An input and, for watch events, its share of the memory that may wait.
pub(super) type Arrival = (Input, Option<OwnedSemaphorePermit>);

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
                    let end = watch(&cluster, &target, (&id, ticket), (from, timeout), &inputs, &waiting).await;
                    deliver(&inputs, Input::Ended(id, ticket, end), None);
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
        let inputs = self.inputs.clone();
        self.tasks.spawn(async move {
            let Ok(_permit) = permits.acquire_owned().await else { return };
            let result = match tokio::time::timeout(patience, work).await {
                Ok(result) => result.map_err(|error| failure(&error)),
                Err(_) => Err(Failure::Unavailable(format!("no answer within {} s", patience.as_secs()))),
            };
            deliver(&inputs, answer(result), None);
        });
    }
}

async fn watch(
    cluster: &Cluster,
    target: &vmrewind_cluster::Target,
    (id, ticket): (&ResourceId, Ticket),
    (from, timeout): (vmrewind_model::Rv, Duration),
    inputs: &mpsc::UnboundedSender<Arrival>,
    waiting: &Arc<Semaphore>,
) -> Result<(), Failure> {
    let mut events = cluster.watch(target, from, timeout).await.map_err(|error| failure(&error))?;
    deliver(inputs, Input::Opened(id.clone(), ticket), None);
    while let Some(event) = events.next().await {
        let (event, bytes) = match event.map_err(|error| failure(&error))? {
            WatchEvent::Added(object) => (Event::Added(object.clone()), object.bytes().len()),
            WatchEvent::Modified(object) => (Event::Modified(object.clone()), object.bytes().len()),
            WatchEvent::Deleted(object) => (Event::Deleted(object.clone()), object.bytes().len()),
            WatchEvent::Bookmark(rv) => (Event::Bookmark(rv), 0),
            WatchEvent::Rejected(event) => (Event::Rejected(rejected(event)), 0),
        };
        let share = u32::try_from((bytes / 1024 + 1).min(WAITING_KIB)).unwrap_or(1);
        let Ok(permit) = waiting.clone().acquire_many_owned(share).await else { return Ok(()) };
        deliver(inputs, Input::Watched(id.clone(), ticket, event), Some(permit));
    }
    Ok(())
}

/// Hands an input to the loop. If the loop is gone, the process is ending and nobody is interested.
fn deliver(inputs: &mpsc::UnboundedSender<Arrival>, input: Input, permit: Option<OwnedSemaphorePermit>) {
    if inputs.send((input, permit)).is_err() {
        tracing::debug!("an answer came after the end");
    }
}

fn rejected(rejected: vmrewind_cluster::Rejected) -> Rejected {
    let key = (!rejected.key.name.is_empty()).then_some(rejected.key);
    Rejected { key, rv: rejected.rv, reason: rejected.reason }
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
