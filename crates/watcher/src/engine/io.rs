//! What goes into the engine and what comes out of it.
//!
//! Does not: decide anything.

use std::{collections::BTreeSet, time::Duration};

use vmrewind_model::{ObjectKey, RawObject, Record, ResourceId, Rv, Timestamp};

/// The number of one request. An answer whose ticket is no longer awaited is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How the objects of a resource are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Every object is recorded.
    Every,
    /// Those that some followed object names.
    ByName,
}

/// One resource to be captured: a served type, in all namespaces or in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSpec {
    /// Group, plural and namespace.
    pub id: ResourceId,
    /// Kind of its objects.
    pub kind: String,
    /// Version it is read under, as in `apiVersion`.
    pub api_version: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Which objects are recorded.
    pub choice: Choice,
    /// Label selector of the list and the watch.
    pub selector: Option<String>,
    /// Roots are listed first, so that what belongs to them finds its home.
    pub root: bool,
    /// Lists and watches bring objects that are out of scope, too.
    pub filtered: bool,
}

impl ResourceSpec {
    /// Tells whether an object with this key belongs to the resource.
    #[must_use]
    pub fn holds(&self, key: &ObjectKey) -> bool {
        key.is(&self.id.group, &self.kind) && (self.id.scope.is_empty() || self.id.scope == key.namespace)
    }
}

/// Why a request was not answered as hoped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server refuses: verb and resource, for people.
    Forbidden(String),
    /// The type (not the object) is not served.
    NotServed,
    /// The version asked for is too old (410).
    Gone,
    /// Anything that may pass: no connection, timeout, 429, 5xx, an answer that makes no sense.
    Unavailable(String),
}

/// An object that cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which, if that much could be read.
    pub key: Option<ObjectKey>,
    /// Its uid, empty if that could not be read.
    pub uid: String,
    /// Its resource version, if that could be read.
    pub rv: Option<Rv>,
    /// Whether it came with the news of its deletion.
    pub deleted: bool,
    /// Why; never content.
    pub reason: String,
}

/// The newest version of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Resource version of a quorum list.
    pub rv: Rv,
    /// The server's clock, if it sent it.
    pub date: Option<Timestamp>,
    /// When the request was sent.
    pub asked: Timestamp,
}

/// A complete list at one version.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The one version of all pages.
    pub rv: Rv,
    /// Its objects.
    pub items: Vec<RawObject>,
    /// Objects that cannot be recorded.
    pub rejected: Vec<Rejected>,
    /// The server's clock, if it sent it.
    pub date: Option<Timestamp>,
    /// When the first request was sent.
    pub asked: Timestamp,
}

/// What a watch delivers.
#[derive(Clone, Debug)]
pub enum Event {
    /// An object appeared.
    Added(RawObject),
    /// An object changed.
    Modified(RawObject),
    /// An object was deleted, or left the selector.
    Deleted(RawObject),
    /// Everything up to this version was delivered.
    Bookmark(Rv),
    /// A change that cannot be recorded.
    Rejected(Rejected),
}

/// What existed under a name at a version.
#[derive(Clone, Debug)]
pub enum AsOf {
    /// This.
    Found(RawObject),
    /// Nothing.
    NotThere,
    /// The server no longer knows.
    Compacted,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// Which resources are served and wanted; groups whose answer may be stale.
    Discovered {
        /// All resources in scope that are served.
        served: Vec<ResourceSpec>,
        /// Groups of which nothing is known: what is missing there may still exist.
        stale: BTreeSet<String>,
    },
    /// Answer to [`Action::Probe`].
    Probed(ResourceId, Ticket, Result<Probe, Failure>),
    /// Answer to [`Action::List`].
    Listed(ResourceId, Ticket, Result<Listing, Failure>),
    /// The watch is open.
    Opened(ResourceId, Ticket),
    /// The watch delivered something.
    Watched(ResourceId, Ticket, Event),
    /// The watch ended: cleanly, or not.
    Ended(ResourceId, Ticket, Result<(), Failure>),
    /// Answer to [`Action::Get`].
    Fetched(ResourceId, Ticket, ObjectKey, Result<Option<RawObject>, Failure>),
    /// Answer to [`Action::AsOf`].
    WasThen(ResourceId, Ticket, Result<AsOf, Failure>),
    /// The buffer is full.
    Overflowed,
    /// The buffer has room again.
    Drained,
    /// Nothing was committed for a while: record that the archive is alive.
    Heartbeat,
    /// Time has passed.
    Tick,
}

/// Something to do. Records of one step belong into one segment.
#[derive(Debug)]
pub enum Action {
    /// Ask which types are served.
    Discover,
    /// Ask for the newest version, with a list of one object.
    Probe(ResourceId, Ticket),
    /// List all objects at one version.
    List(ResourceId, Ticket),
    /// Watch, beginning after this version, for at most this long.
    Watch(ResourceId, Ticket, Rv, Duration),
    /// End the watch with this ticket.
    StopWatch(ResourceId, Ticket),
    /// Read one object as it is now.
    Get(ResourceId, Ticket, ObjectKey),
    /// Read one object as it was at a version.
    AsOf(ResourceId, Ticket, ObjectKey, Rv),
    /// Commit this record.
    Record(Record),
}

/// When something is put into the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// A time that only ever passes, also while the machine sleeps, whatever becomes of the wall clock: for waiting.
    pub steady: Timestamp,
    /// The wall clock, which somebody may set: for records and proof.
    pub wall: Timestamp,
    /// When the input arrived, by the wall clock.
    pub arrived: Timestamp,
}

impl From<Timestamp> for Moment {
    /// All three at once.
    fn from(now: Timestamp) -> Self {
        Self { steady: now, wall: now, arrived: now }
    }
}

/// The output of one step, as it grows.
pub(super) struct Out {
    /// [`Moment::steady`].
    pub(super) now: Timestamp,
    /// [`Moment::wall`].
    pub(super) wall: Timestamp,
    /// [`Moment::arrived`].
    pub(super) at: Timestamp,
    pub(super) actions: Vec<Action>,
}

impl Out {
    pub(super) fn new(moment: Moment) -> Self {
        Self { now: moment.steady, wall: moment.wall, at: moment.arrived, actions: Vec::new() }
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }
}
