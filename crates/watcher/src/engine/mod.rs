//! The pure state machine: what was received goes in, what to record and what to ask for comes out.
//!
//! ```text
//! watch.rs    probe -> watch -> event -> ...      list.rs, walk.rs  list, walk back
//! renew.rs    the next watch before this one ends trouble.rs        failures, pauses, silence
//! lag.rs      what arrives late all the same
//! depart.rs   left a selector, or deleted?        audit.rs          list beside the watch
//! objects.rs  what is known of an object          follow.rs         by name
//! gaps.rs     what is not known                   discover.rs       resources come and go
//! damage.rs   segments that cannot be read
//! ```
//!
//! The state is a function of the archive and of what was received since: [`State::replay`] rebuilds it.
//! It holds identity, version, content id, home and names of each followed object, never bodies (but for the short
//! time in which an answer about one is awaited).
//!
//! Does not: read a clock, talk to a server or a store, or decide when a segment is cut; see [`crate::batcher`].

mod audit;
mod body;
mod damage;
mod depart;
mod discover;
mod follow;
mod gaps;
mod io;
mod lag;
mod list;
mod objects;
mod renew;
mod replay;
mod resource;
mod status;
mod time;
mod trouble;
mod walk;
mod watch;

use std::{collections::BTreeMap, time::Duration};

use vmrewind_graph::Home;
use vmrewind_model::{Change, ObjectKey, ResourceId, ResumeEntry, Timestamp};

pub use io::{Action, AsOf, Choice, Event, Failure, Input, Listing, Moment, Probe, Rejected, ResourceSpec, Ticket};
pub use status::{Counters, ResourceStatus, Status};
pub use time::MAX_APART;

use io::Out;

/// What the engine must know of objects: the functions of `graph`, or simpler ones in tests.
#[derive(Clone, Copy)]
pub struct Edges {
    /// By-name objects that an object names.
    pub wanted: fn(&serde_json::Value) -> Vec<ObjectKey>,
    /// Where an object has its home.
    pub home: fn(&serde_json::Value) -> Home,
    /// Tells whether an object of a filtered resource is to be recorded.
    pub in_scope: fn(&serde_json::Value) -> bool,
    /// Tells whether a group and kind are followed by name.
    pub by_name: fn(&str, &str) -> bool,
    /// Tells whether a group and kind are roots.
    pub is_root: fn(&str, &str) -> bool,
}

impl std::fmt::Debug for Edges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edges")
    }
}

/// How the engine is to behave.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What it knows of objects.
    pub edges: Edges,
    /// Record that Secrets changed, not what they hold.
    pub withhold_secrets: bool,
    /// Take `metadata.managedFields` out of what is recorded.
    pub drop_managed_fields: bool,
    /// How long a watch lasts. The server sends a bookmark about two seconds before its end, so that this
    /// bounds the age of the proof of a resource that never changes.
    pub watch_timeout: Duration,
    /// While objects change, the proof of what does not change gets no older than about this: its watch is then
    /// renewed this often.
    pub proof: Duration,
    /// A refusal counts as one from the so-many-th time on: a server that just started refuses before it knows better.
    pub refusals: u32,
    /// How long a watch lasts that has to catch up first: short, because its end brings a bookmark.
    pub catch_up_timeout: Duration,
    /// An answer that takes longer is not awaited any more; also how long a watch may overstay.
    pub request_timeout: Duration,
    /// How often each resource is listed to check the watch.
    pub audit_every: Duration,
    /// When a resource that cannot be read is called stalled.
    pub stalled_after: Duration,
    /// How often a refused resource is tried again.
    pub denied_retry: Duration,
    /// How long a type must be missing before it counts as removed.
    pub removed_after: Duration,
    /// How long a by-name object is followed after the last object that named it is gone.
    pub unfollow_after: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

/// Everything the engine knows.
#[derive(Debug)]
pub struct State {
    rules: Rules,
    order: time::Order,
    lag: lag::Lag,
    resources: BTreeMap<ResourceId, resource::Resource>,
    /// Resources of the archive that are not captured (yet).
    retired: BTreeMap<ResourceId, ResumeEntry>,
    /// What the replay passed over, until it is recorded.
    lost: Option<damage::Lost>,
    objects: objects::Objects,
    follow: follow::Follow,
    gaps: gaps::Gaps,
    counters: Counters,
    discovered_at: Option<Timestamp>,
    absent_since: BTreeMap<ResourceId, Timestamp>,
    started: bool,
    /// When an object was last recorded to have changed.
    changed_at: Option<Timestamp>,
    paused: bool,
    tickets: u64,
    random: u64,
    /// What the newest segment says of each resource.
    told: BTreeMap<ResourceId, ResumeEntry>,
}

/// While times cannot be trusted, no answer may become a record: what was asked for counts as not answered, and is
/// asked for again.
fn trusted(state: &State, input: Input) -> Input {
    if state.order.trouble().is_none() {
        return input;
    }
    let unavailable = || Failure::Unavailable("the clock is not trusted".into());
    match input {
        Input::Discovered { .. } if state.started => Input::Tick,
        Input::Listed(id, ticket, _) => Input::Listed(id, ticket, Err(unavailable())),
        Input::Fetched(id, ticket, key, _) => Input::Fetched(id, ticket, key, Err(unavailable())),
        Input::WasThen(id, ticket, _) => Input::WasThen(id, ticket, Err(unavailable())),
        input => input,
    }
}

/// Takes one input and returns what to do. Records among the actions belong into one segment.
pub fn step(state: &mut State, input: Input, moment: impl Into<Moment>) -> Vec<Action> {
    let mut out = Out::new(moment.into());
    match state.order.look(out.now, out.wall) {
        time::Pace::Steady => {}
        time::Pace::Paused => state.wake(&mut out),
        time::Pace::Distrusted => state.halt(&mut out, Duration::ZERO),
    }
    match trusted(state, input) {
        Input::Discovered { served, stale } => state.discovered(&mut out, served, &stale),
        Input::Probed(id, ticket, result) => state.probed(&mut out, &id, ticket, result),
        Input::Listed(id, ticket, result) => state.listed(&mut out, &id, ticket, result),
        Input::Opened(id, ticket) => state.opened(&mut out, &id, ticket),
        Input::Watched(id, ticket, event) => state.watched(&mut out, &id, ticket, event),
        Input::Ended(id, ticket, result) => state.ended(&mut out, &id, ticket, result),
        Input::Fetched(id, ticket, key, result) => state.fetched(&mut out, &id, ticket, &key, result),
        Input::WasThen(id, ticket, result) => state.was_then(&mut out, &id, ticket, result),
        Input::Overflowed => {
            state.paused = true;
            state.pause(&mut out);
        }
        Input::Drained => {
            state.paused = false;
            state.resume(&mut out);
        }
        Input::Heartbeat => {
            state.record(&mut out, Change::Heartbeat, None);
        }
        Input::Tick => state.tick(&mut out),
    }
    out.actions
}

impl State {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            order: time::Order::new(),
            lag: lag::Lag::default(),
            resources: BTreeMap::new(),
            retired: BTreeMap::new(),
            lost: None,
            objects: objects::Objects::default(),
            follow: follow::Follow::default(),
            gaps: gaps::Gaps::default(),
            counters: Counters::default(),
            discovered_at: None,
            absent_since: BTreeMap::new(),
            started: false,
            changed_at: None,
            paused: false,
            tickets: 0,
            random: rules.seed,
            told: BTreeMap::new(),
            rules,
        }
    }

    fn tick(&mut self, out: &mut Out) {
        if !self.started {
            return;
        }
        if !self.paused {
            self.tend_watches(out);
        }
        self.tend_wants(out);
        self.tend_audits(out);
        self.prune(out.now);
    }

    fn fetched(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        ticket: Ticket,
        key: &ObjectKey,
        result: Result<Option<vmrewind_model::RawObject>, Failure>,
    ) {
        if self.follow.asked(ticket) {
            return self.fetched_want(out, id, ticket, result);
        }
        if self.departure_fetched(out, id, ticket, key, &result) {
            return;
        }
        let Some(resource) = self.resources.get_mut(id) else { return };
        if resource.audit.ticket == Some(ticket) {
            self.audit_fetched(out, id, key, result);
        } else if resource.ticket == ticket {
            self.refetch_answered(out, id, key, result);
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// A duration below `bound`, from the seed (splitmix64).
    fn random(&mut self, bound: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros((z ^ (z >> 31)) % micros)
    }

    /// Forgets deletions that nothing older can contradict any more.
    fn prune(&mut self, now: Timestamp) {
        const KEEP: Duration = Duration::from_secs(600);
        if self.objects.tombs.len() > 64 {
            self.objects.tombs.retain(|_, tomb| now.since(tomb.at) < KEEP);
        }
    }
}

#[cfg(test)]
mod tests;
