//! Actors that play virt-controller, virt-handler, CDI, a CSI provisioner and the kubelet against a real API server.
//!
//! ```text
//! one watch per kind -> store -> the `kube_runtime::Controller`s that wait for it -> reconcile(object) -> writes -> the watches
//! ```
//!
//! A VirtualMachine created by a test becomes DataVolumes, claims, volumes, ControllerRevisions, an instance and a
//! launcher pod, with the phases, conditions, owner references, finalizers, labels and annotations of the real
//! controllers; deletions cascade through the real garbage collector. What controllers write was modelled on a
//! recorded virt-controller and on the upstream sources named in each module.
//!
//! Every step waits for the one before it to come back through a watch, so that histories have the versions that
//! real ones have. All writes carry the resource version they were decided on. Reconciliations look at what is, not at
//! what happened, and write nothing where nothing is to be done.
//!
//! Does not: move data (see [`Ledger`]), run guests, default or refuse objects as webhooks do, or know nodes.

mod cdi;
mod feed;
mod groups;
mod hotplug;
mod json;
mod kinds;
mod kubelet;
mod launcher;
mod ledger;
mod migration;
mod object;
mod parts;
mod retry;
mod revisions;
mod stores;
mod vm;
mod vm_status;
mod vmi;
mod volumes;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::feed::Feeds;
use self::json::{annotation, name};
use self::retry::Failures;
use self::stores::Stores;
use self::write::Writer;

pub use self::kinds::Kind;
pub use self::ledger::{DATA, Filling, Ledger};
pub use self::vm::STATE_LABEL;
pub use self::volumes::DRIVER;
pub use self::write::OnWrite;

/// Everything is looked at again this often, so that nothing hangs for want of an event. Thousands of objects looked at more
/// often than this would take the processor from those that have something to be done.
const RESYNC: Duration = Duration::from_secs(30);

/// What differs between one test bench and another.
#[derive(Clone)]
pub struct ActorOptions {
    /// The clock for times in status fields.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whether a guest agent connects and reports.
    pub guest_agent: bool,
    /// Called with every object the server returned for a write of an actor.
    pub on_write: Option<OnWrite>,
}

impl ActorOptions {
    /// Makes the usual options: a guest agent, and nobody told of writes.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), guest_agent: true, on_write: None }
    }
}

/// What every part shares.
pub(crate) struct Actor {
    stores: Stores,
    failures: Failures,
    write: Writer,
    ledger: Arc<Ledger>,
    options: ActorOptions,
    numbers: AtomicU64,
}

impl Actor {
    /// Returns the time as status fields have it.
    fn now(&self) -> String {
        (self.options.clock)().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns the name of the default storage class, empty if there is none.
    fn default_class(&self) -> String {
        let default = |class: &&Arc<Value>| annotation(class, "storageclass.kubernetes.io/is-default-class") == "true";
        let classes = self.stores.list(Kind::StorageClass, "");
        classes.iter().find(default).map(|class| name(class).to_owned()).unwrap_or_default()
    }

    async fn reconcile(&self, kind: Kind, object: &Value) -> Result<(), kube::Error> {
        match kind {
            Kind::Vm => vm::reconcile(self, object).await,
            Kind::Vmi => vmi::reconcile(self, object).await,
            Kind::Migration => migration::reconcile(self, object).await,
            Kind::ReplicaSet => groups::reconcile_replica_set(self, object).await,
            Kind::Pool => groups::reconcile_pool(self, object).await,
            Kind::DataVolume => cdi::reconcile(self, object).await,
            Kind::Claim => volumes::reconcile_claim(self, object).await,
            Kind::Volume => volumes::reconcile_volume(self, object).await,
            Kind::Pod => kubelet::reconcile(self, object).await,
            _ => Ok(()),
        }
    }
}

/// The running actors. Dropping it stops them; [`Actors::stop`] also waits until they have stopped.
pub struct Actors {
    ledger: Arc<Ledger>,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Actors {
    /// Starts the actors and returns once they have seen everything there is. A kind that is not served
    /// is not played until it is.
    ///
    /// # Errors
    /// Fails if a kind cannot be listed within a minute.
    pub async fn start(client: Client, options: ActorOptions) -> anyhow::Result<Self> {
        let mut feeds = Feeds::new();
        let ledger = Arc::new(Ledger::default());
        let actor = Arc::new(Actor {
            stores: feeds.stores(),
            failures: Failures::default(),
            write: Writer::new(client.clone(), options.on_write.clone()),
            ledger: Arc::clone(&ledger),
            options,
            numbers: AtomicU64::new(0),
        });
        let controllers = parts::all(&mut feeds);
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut ready = Vec::new();
        for (watch, told) in feeds.start(&client) {
            tasks.spawn(until(cancel.clone(), watch));
            ready.push(told);
        }
        // Nobody acts before all kinds are known: a volume whose claim is not known yet would be reclaimed.
        tokio::time::timeout(Duration::from_mins(1), futures::future::try_join_all(ready)).await??;
        for (kind, controller) in controllers {
            tasks.spawn(until(cancel.clone(), parts::run(kind, controller, Arc::clone(&actor))));
        }
        Ok(Self { ledger, cancel, tasks })
    }

    /// Returns what was done to the data of disks.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Stops the actors: what they have begun is left as it is, as when a controller is killed.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Runs a task until it is cancelled.
async fn until(cancel: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = task => {}
    }
}
