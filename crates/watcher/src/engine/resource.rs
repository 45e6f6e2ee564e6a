//! One resource: how far it is proven, what is going on with it, and which watch it has.
//!
//! Does not: know objects; see `objects.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use vmrewind_model::{Era, ObjectKey, ProofState, RawObject, ResumeEntry, Rv, Timestamp};

use super::{
    audit::Audit,
    io::{ResourceSpec, Ticket},
    walk::Walk,
};

/// Why a resource is listed while it is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relist {
    /// It has never been listed.
    First,
    /// The server no longer has the changes since our version.
    Expired,
    /// The cluster's storage went back.
    Rollback,
}

/// What is going on.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waits until the roots have been listed.
    Queued,
    /// Waits for the next try.
    Waiting { until: Timestamp },
    /// Asks for the newest version.
    Probing { since: Timestamp },
    /// Lists.
    Listing { why: Relist },
    /// By name: reads every tracked object, because a list would bring all the foreign ones too.
    Refetching {
        why: Relist,
        rv: Rv,
        asked: Timestamp,
        open: BTreeSet<ObjectKey>,
        found: Vec<RawObject>,
        missing: Vec<ObjectKey>,
    },
    /// Reads earlier versions of what a list found changed.
    Walking(Box<Walk>),
    /// Watches.
    Watching(Watching),
    /// The buffer is full.
    Paused,
    /// The type is not served any more.
    Removed,
}

/// An open (or opening) watch.
#[derive(Debug)]
pub(super) struct Watching {
    /// The newest version when the watch was started: up to here it catches up.
    pub(super) target: Rv,
    /// When that version was asked for.
    pub(super) probed: Timestamp,
    pub(super) caught_up: bool,
    /// When the server accepted it.
    pub(super) opened: Option<Timestamp>,
    /// When something was last heard of it.
    pub(super) heard: Timestamp,
    pub(super) timeout: Duration,
}

/// What keeps a resource from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Denied(String),
    Unavailable { since: Timestamp, reason: String },
}

/// An object that left its watch, while it is not known whether it was deleted.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) uid: String,
    pub(super) rv: Rv,
    /// The last state, if the watch sent it.
    pub(super) object: Option<RawObject>,
    pub(super) lo: Option<Timestamp>,
    pub(super) ticket: Option<Ticket>,
    pub(super) retry: Timestamp,
}

/// One resource.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) spec: ResourceSpec,
    /// Everything up to here was received.
    pub(super) rv: Option<Rv>,
    pub(super) era: Era,
    pub(super) proven: Option<Timestamp>,
    /// Nothing is known of the resource before this instant.
    pub(super) since: Timestamp,
    pub(super) phase: Phase,
    pub(super) trouble: Option<Trouble>,
    /// Caught up, and since then never longer without proof than two watches take.
    pub(super) live: bool,
    pub(super) failures: u32,
    /// The request or watch whose answers count.
    pub(super) ticket: Ticket,
    pub(super) audit: Audit,
    pub(super) departures: BTreeMap<ObjectKey, Departure>,
    /// Set when the next probe is to lead to a list.
    pub(super) relist: Option<Relist>,
}

impl Resource {
    pub(super) fn new(spec: ResourceSpec, era: Era, since: Timestamp, audit_at: Timestamp) -> Self {
        Self {
            spec,
            rv: None,
            era,
            proven: None,
            since,
            phase: Phase::Queued,
            trouble: None,
            live: false,
            failures: 0,
            ticket: Ticket::default(),
            audit: Audit::new(audit_at, since),
            departures: BTreeMap::new(),
            relist: None,
        }
    }

    /// The earliest instant at which something first seen now can have happened.
    pub(super) fn last_proven(&self) -> Timestamp {
        self.proven.unwrap_or(self.since)
    }

    /// `lo` of a change with this version that a watch delivers: set while the watch catches up.
    pub(super) fn lo_of(&self, rv: Option<Rv>) -> Option<Timestamp> {
        match &self.phase {
            Phase::Watching(watch) if !watch.caught_up && rv.is_none_or(|rv| rv <= watch.target) => {
                Some(self.last_proven())
            }
            _ => None,
        }
    }

    /// Everything up to `rv` was received at `now`.
    pub(super) fn passed(&mut self, rv: Rv, now: Timestamp) {
        self.rv = self.rv.max(Some(rv));
        let Phase::Watching(watch) = &mut self.phase else { return };
        watch.heard = now;
        if !watch.caught_up && rv >= watch.target {
            watch.caught_up = true;
            self.live = true;
            self.trouble = None;
            self.failures = 0;
            if self.departures.is_empty() {
                self.proven = self.proven.max(Some(watch.probed));
            }
        }
        if watch.caught_up && rv > watch.target && self.departures.is_empty() {
            self.proven = self.proven.max(Some(now));
        }
    }

    pub(super) fn caught_up(&self) -> bool {
        matches!(&self.phase, Phase::Watching(watch) if watch.caught_up)
    }

    /// From where a watch can go on without missing what is not decided yet.
    pub(super) fn resume_rv(&self) -> Option<Rv> {
        let undecided = self.departures.values().map(|departure| Rv(departure.rv.0.saturating_sub(1))).min();
        match (self.rv, undecided) {
            (Some(rv), Some(undecided)) => Some(rv.min(undecided)),
            (rv, _) => rv,
        }
    }

    /// How capture is going, and why if it is not going well. `refused`: why a wanted object of it may not be read.
    pub(super) fn state(&self, now: Timestamp, stalled_after: Duration, refused: Option<&str>) -> (ProofState, String) {
        if matches!(self.phase, Phase::Removed) {
            return (ProofState::Removed, String::new());
        }
        match &self.trouble {
            Some(Trouble::Denied(detail)) => return (ProofState::Denied, detail.clone()),
            Some(Trouble::Unavailable { since, reason }) if now.since(*since) >= stalled_after => {
                return (ProofState::Stalled, reason.clone());
            }
            _ => {}
        }
        if let Some(refused) = refused {
            return (ProofState::Denied, refused.to_owned());
        }
        let state = match &self.phase {
            Phase::Listing { .. } | Phase::Refetching { .. } | Phase::Walking(_) => ProofState::Relisting,
            _ if self.relist.is_some() || self.rv.is_none() => ProofState::Relisting,
            _ if self.live => ProofState::Live,
            _ => ProofState::Late,
        };
        (state, String::new())
    }

    /// What a segment says of the resource.
    pub(super) fn entry(&self, now: Timestamp, stalled_after: Duration, refused: Option<&str>) -> ResumeEntry {
        let (state, detail) = self.state(now, stalled_after, refused);
        ResumeEntry {
            id: self.spec.id.clone(),
            kind: self.spec.kind.clone(),
            api_version: self.spec.api_version.clone(),
            rv: self.resume_rv(),
            proven_at: self.proven,
            state,
            era: self.era,
            detail,
        }
    }
}
