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
    gaps::cut,
    io::{Action, ResourceSpec, Ticket},
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
    /// The archive lost changes.
    Damaged,
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

/// A watch of which something was heard this long ago is alive.
const ALIVE: Duration = Duration::from_secs(1);

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
    /// The newest version that it delivered itself.
    pub(super) passed: Option<Rv>,
    /// When one that is to take over was last asked for.
    pub(super) renewed: Option<Timestamp>,
}

impl Watching {
    /// Begins after `target` was told as the newest version.
    pub(super) fn new(target: Rv, probed: Timestamp, timeout: Duration, now: Timestamp) -> Self {
        Self { target, probed, caught_up: false, opened: None, heard: now, timeout, passed: None, renewed: None }
    }
}

/// What is to take over from a running watch; see `renew.rs`.
#[derive(Debug)]
pub(super) enum Next {
    /// Asks for the newest version, which cannot lie below `floor`.
    Probing { since: Timestamp, floor: Rv },
    /// Watches beside the running one.
    Watching(Watching),
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
    /// What is to take over from the watch, while there is one.
    pub(super) next: Option<(Ticket, Next)>,
    pub(super) audit: Audit,
    pub(super) departures: BTreeMap<ObjectKey, Departure>,
    /// Set when the next probe is to lead to a list.
    pub(super) relist: Option<Relist>,
    /// Its versions are counted by another storage than those of the others.
    pub(super) apart: bool,
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
            next: None,
            audit: Audit::new(audit_at, since),
            departures: BTreeMap::new(),
            relist: None,
            apart: false,
        }
    }

    /// The earliest instant at which something first seen now can have happened.
    pub(super) fn last_proven(&self) -> Timestamp {
        self.proven.unwrap_or(self.since)
    }

    /// `lo` of a change with this version that the watch with this ticket delivers: set while that catches up. What the
    /// next watch is the first to deliver is exact only while the running one is alive, and so just about to.
    pub(super) fn lo_of(&self, ticket: Ticket, rv: Rv, now: Timestamp) -> Option<Timestamp> {
        let watch = match (&self.phase, &self.next) {
            (Phase::Watching(watch), _) if self.ticket == ticket => watch,
            (Phase::Watching(running), Some((next, Next::Watching(watch)))) if *next == ticket => {
                if now.since(running.heard) < ALIVE {
                    return None;
                }
                watch
            }
            _ => return None,
        };
        (!watch.caught_up && rv <= watch.target).then(|| self.last_proven())
    }

    /// What the running watch delivers is old: it counts as catching up to `target`, and has proven nothing since what
    /// was proven before. Returns `lo` of what it delivers.
    pub(super) fn fell_behind(&mut self, ticket: Ticket, target: Rv) -> Timestamp {
        let proven = self.last_proven();
        if self.ticket == ticket
            && let Phase::Watching(watch) = &mut self.phase
            && watch.caught_up
        {
            *watch = Watching { caught_up: false, target: watch.target.max(target), probed: proven, ..*watch };
        }
        proven
    }

    /// When the newest version was asked for, while there is no answer.
    pub(super) fn asking_since(&self) -> Option<Timestamp> {
        match (&self.phase, &self.next) {
            (Phase::Probing { since }, _) | (_, Some((_, Next::Probing { since, .. }))) => Some(*since),
            _ => None,
        }
    }

    /// The watch with this ticket: the one that counts, or the one that is to take over.
    pub(super) fn watch_mut(&mut self, ticket: Ticket) -> Option<&mut Watching> {
        match (&mut self.phase, &mut self.next) {
            (Phase::Watching(watch), _) if self.ticket == ticket => Some(watch),
            (_, Some((next, Next::Watching(watch)))) if *next == ticket => Some(watch),
            _ => None,
        }
    }

    /// The watch with this ticket delivered everything up to `rv` at `now`. That proves nothing of what another watch
    /// was the first to deliver.
    pub(super) fn passed(&mut self, ticket: Ticket, rv: Rv, now: Timestamp) {
        self.rv = self.rv.max(Some(rv));
        let Some(watch) = self.watch_mut(ticket) else { return };
        watch.passed = watch.passed.max(Some(rv));
        self.reached();
        // What is behind the other watch proves nothing of what that has delivered since.
        let newest = Some(rv) >= self.rv;
        let decided = newest && self.departures.is_empty();
        if let Some(watch) = self.watch_mut(ticket)
            && watch.caught_up
            && rv > watch.target
            && decided
        {
            self.proven = self.proven.max(Some(now));
        }
    }

    /// Whatever was received up to now may be all that an open watch had to catch up with.
    pub(super) fn reached(&mut self) {
        let (rv, decided) = (self.rv, self.departures.is_empty());
        let mut probed = None;
        let mut catch_up = |watch: &mut Watching| {
            let reached = !watch.caught_up && watch.opened.is_some() && rv >= Some(watch.target);
            if reached {
                watch.caught_up = true;
                probed = probed.max(Some(watch.probed));
            }
            reached
        };
        if let Phase::Watching(watch) = &mut self.phase
            && catch_up(watch)
        {
            self.live = true;
            self.trouble = None;
            self.failures = 0;
        }
        if let Some((_, Next::Watching(watch))) = &mut self.next {
            catch_up(watch);
        }
        if decided {
            self.proven = self.proven.max(probed);
        }
    }

    /// Ends its watches; what else is going on stays as it is.
    pub(super) fn stop_watches(&mut self, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Watching(_)) {
            actions.push(Action::StopWatch(self.spec.id.clone(), self.ticket));
        }
        self.stop_next(actions);
    }

    /// Ends what was to take over.
    pub(super) fn stop_next(&mut self, actions: &mut Vec<Action>) {
        if let Some((ticket, Next::Watching(_))) = self.next.take() {
            actions.push(Action::StopWatch(self.spec.id.clone(), ticket));
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
            detail: cut(detail),
        }
    }
}
