//! The life of a watch: newest version first, then the watch from where we are, then the same again.
//!
//! Does not: compare lists; see `list.rs`.

use std::time::Duration;

use vmrewind_model::{GapCause, Head, RawObject, ResourceId, Rv, Timestamp};

use super::{
    State,
    io::{Action, Choice, Event, Failure, Out, Probe, Rejected, Ticket},
    objects::{End, How, Sight},
    resource::{Departure, Phase, Relist, Trouble, Watching},
};

/// After a failure the next try waits this long, doubling up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(15);
/// A watch that ends sooner than this after it was opened counts as failed, so that there is no busy loop.
const TOO_SHORT: Duration = Duration::from_millis(500);
/// While the clock is not trusted, the API server's is asked for this often.
const CLOCK_RETRY: Duration = Duration::from_secs(5);

impl State {
    /// Asks for the newest version, which is what every watch and list begins with.
    pub(super) fn begin(&mut self, out: &mut Out, id: &ResourceId) {
        let ticket = self.ticket();
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.ticket = ticket;
        resource.phase = Phase::Probing { since: out.now };
        out.act(Action::Probe(id.clone(), ticket));
    }

    pub(super) fn probed(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, result: Result<Probe, Failure>) {
        let Some(resource) = self.resources.get(id) else { return };
        if resource.ticket != ticket || !matches!(resource.phase, Phase::Probing { .. }) {
            return;
        }
        let probe = match result {
            Ok(probe) => probe,
            Err(failure) => return self.failed(out, id, failure),
        };
        if self.compare_clock(out, probe.date) {
            return;
        }
        let era = self.order.era;
        let Some(resource) = self.resources.get_mut(id) else { return };
        match (resource.rv, resource.relist) {
            (None, _) => self.start_relist(out, id, Relist::First, probe),
            (Some(_), _) if resource.era < era => self.start_relist(out, id, Relist::Rollback, probe),
            (Some(rv), _) if probe.rv < rv => {
                let detail = format!("{id}: the newest version is {}, ours was {rv}", probe.rv);
                self.rolled_back(out, id, &detail, Some(probe));
            }
            (Some(_), Some(why)) => self.start_relist(out, id, why, probe),
            (Some(_), None) => {
                let from = resource.resume_rv().unwrap_or(probe.rv);
                self.audit_probed(id, probe.rv);
                self.open_watch_at(out, id, from, probe.rv, probe.asked);
            }
        }
    }

    /// A version lies below ours: the cluster's storage went back. All resources share it. Everything begins again
    /// with its newest version, `id` with `probe` if that is known.
    pub(super) fn rolled_back(&mut self, out: &mut Out, id: &ResourceId, detail: &str, probe: Option<Probe>) {
        self.order.era = self.order.era.next();
        self.counters.rollbacks += 1;
        let all: Vec<ResourceId> = self.resources.keys().cloned().collect();
        for other in &all {
            let Some(resource) = self.resources.get_mut(other) else { continue };
            if resource.rv.is_none() || matches!(resource.phase, Phase::Removed) {
                continue;
            }
            let from = resource.last_proven();
            resource.live = false;
            resource.relist = Some(Relist::Rollback);
            resource.departures.clear();
            let watching = matches!(resource.phase, Phase::Watching(_));
            let lists = !matches!(resource.phase, Phase::Waiting { .. } | Phase::Queued | Phase::Paused);
            self.open_gap(out, other, None, from, GapCause::StorageRollback, detail.to_owned());
            if watching {
                out.act(Action::StopWatch(other.clone()));
            }
            if lists && (other != id || probe.is_none()) {
                self.begin(out, other);
            }
        }
        if let Some(probe) = probe {
            self.start_relist(out, id, Relist::Rollback, probe);
        }
    }

    pub(super) fn open_watch(&mut self, out: &mut Out, id: &ResourceId, rv: Rv, probed: Timestamp) {
        self.open_watch_at(out, id, rv, rv, probed);
    }

    fn open_watch_at(&mut self, out: &mut Out, id: &ResourceId, from: Rv, target: Rv, probed: Timestamp) {
        let ticket = self.ticket();
        if self.paused {
            if let Some(resource) = self.resources.get_mut(id) {
                resource.phase = Phase::Paused;
            }
            return;
        }
        let Some(resource) = self.resources.get(id) else { return };
        let timeout = if !resource.live {
            self.rules.catch_up_timeout
        } else if resource.proven < self.changed_at {
            self.rules.proof.min(self.rules.watch_timeout)
        } else {
            self.rules.watch_timeout + self.random(self.rules.watch_timeout / 8)
        };
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.ticket = ticket;
        resource.phase =
            Phase::Watching(Watching { target, probed, caught_up: false, opened: None, heard: out.now, timeout });
        out.act(Action::Watch(id.clone(), ticket, from, timeout));
    }

    pub(super) fn opened(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket) {
        let Some(resource) = self.resources.get_mut(id).filter(|resource| resource.ticket == ticket) else { return };
        let Phase::Watching(watch) = &mut resource.phase else { return };
        watch.opened = Some(out.now);
        watch.heard = out.now;
        if let Some(rv) = resource.rv {
            self.pass(out, id, rv);
        }
    }

    /// Everything up to `rv` was received.
    fn pass(&mut self, out: &mut Out, id: &ResourceId, rv: Rv) {
        let now = self.order.present(out.now);
        let Some(resource) = self.resources.get_mut(id) else { return };
        let before = resource.caught_up();
        resource.passed(rv, now);
        if !before && resource.caught_up() {
            self.close_gap(out, id, None, true);
        }
        self.judge(out, id);
    }

    pub(super) fn watched(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, event: Event) {
        let Some(resource) = self.resources.get_mut(id).filter(|resource| resource.ticket == ticket) else { return };
        let Phase::Watching(watch) = &mut resource.phase else { return };
        watch.heard = out.now;
        self.counters.events += 1;
        match event {
            Event::Added(object) => self.changed(out, id, object, How::Added),
            Event::Modified(object) => self.changed(out, id, object, How::Modified),
            Event::Deleted(object) => self.gone(out, id, object),
            Event::Bookmark(rv) => self.pass(out, id, rv),
            Event::Rejected(rejected) => self.rejected(out, id, rejected),
        }
    }

    fn rejected(&mut self, out: &mut Out, id: &ResourceId, rejected: Rejected) {
        let Rejected { key, rv, reason } = rejected;
        if key.as_ref().is_none_or(|key| self.chosen(id, key)) {
            self.unrecordable(out, id, key, reason);
        }
        if let Some(rv) = rv {
            self.pass(out, id, rv);
        }
    }

    fn read_head(&mut self, out: &mut Out, id: &ResourceId, object: &RawObject) -> Option<Head> {
        match object.head() {
            Ok(head) => Some(head),
            Err(error) => {
                self.unrecordable(out, id, None, error.to_string());
                None
            }
        }
    }

    fn changed(&mut self, out: &mut Out, id: &ResourceId, object: RawObject, how: How) {
        let Some(head) = self.read_head(out, id, &object) else { return };
        let rv = head.rv;
        if head.key.is("apiextensions.k8s.io", "CustomResourceDefinition") {
            out.act(Action::Discover);
        }
        if self.chosen_object(id, &head.key, &object) {
            let lo = self.resources.get(id).and_then(|resource| resource.lo_of(Some(rv)));
            let lo = match self.unknown_since(&head.key).filter(|_| how == How::Modified) {
                Some(named) => Some(lo.map_or(named, |lo| lo.min(named))),
                None => lo,
            };
            self.returned(out, id, &head.key, &head.uid, rv);
            self.observe(out, id, Sight { head, object, how, lo, from_seq: None });
        }
        self.pass(out, id, rv);
    }

    fn gone(&mut self, out: &mut Out, id: &ResourceId, object: RawObject) {
        let Some(head) = self.read_head(out, id, &object) else { return };
        let Some(resource) = self.resources.get(id) else { return };
        let (key, rv) = (head.key, head.rv);
        let selector = resource.spec.selector.is_some();
        let by_name = resource.spec.choice == Choice::ByName;
        let lo = resource.lo_of(Some(rv));
        // By name, the end of what was never recorded is not recorded: a GET will find what there is. But an answer from
        // before the end says nothing any more.
        let unseen = by_name && !self.objects.live.contains_key(&key);
        if key.is("apiextensions.k8s.io", "CustomResourceDefinition") {
            out.act(Action::Discover);
        }
        if unseen && self.follow.tracks(&key) && !self.is_old(&key, rv) {
            self.entomb(out, &key, rv);
        }
        if self.chosen_object(id, &key, &object) && !unseen && !self.is_old(&key, rv) {
            if selector {
                let object = Some(object);
                let departure = Departure { uid: head.uid, rv, object, lo, ticket: None, retry: out.now };
                self.depart(out, id, key, departure);
            } else {
                self.delete(out, id, End { key: &key, uid: &head.uid, rv: Some(rv), object: Some(object), lo });
            }
        }
        self.pass(out, id, rv);
    }

    pub(super) fn ended(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, result: Result<(), Failure>) {
        let Some(resource) = self.resources.get_mut(id).filter(|resource| resource.ticket == ticket) else { return };
        let Phase::Watching(watch) = &resource.phase else { return };
        let short = watch.opened.is_none_or(|opened| out.now.since(opened) < TOO_SHORT);
        match result {
            Ok(()) if short => self.failed(out, id, Failure::Unavailable("the watch ended at once".into())),
            Ok(()) => self.begin(out, id),
            Err(Failure::Gone) => {
                resource.live = false;
                resource.relist = Some(Relist::Expired);
                self.counters.expired += 1;
                self.begin(out, id);
            }
            Err(failure) => self.failed(out, id, failure),
        }
    }

    /// A request failed: what it means for the resource, and when to try again.
    pub(super) fn failed(&mut self, out: &mut Out, id: &ResourceId, failure: Failure) {
        let (denied_retry, refusals) = (self.rules.denied_retry, self.rules.refusals);
        let jitter = self.random(BACKOFF);
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.live = false;
        resource.failures += 1;
        let backoff = BACKOFF.saturating_mul(1 << resource.failures.min(8)).min(MAX_BACKOFF) + jitter;
        let since = match &resource.trouble {
            Some(Trouble::Unavailable { since, .. }) => *since,
            _ => out.now,
        };
        let unavailable = |reason: String| Trouble::Unavailable { since, reason };
        let (trouble, delay) = match failure {
            Failure::Forbidden(what) if resource.failures < refusals => (unavailable(what), backoff),
            Failure::Forbidden(what) => (Trouble::Denied(what), denied_retry),
            Failure::NotServed => {
                out.act(Action::Discover);
                (unavailable("the type is not served (404)".into()), backoff)
            }
            Failure::Gone => (unavailable("the list expired while it was read (410)".into()), backoff),
            Failure::Unavailable(reason) => (unavailable(reason), backoff),
        };
        let denied = match &trouble {
            Trouble::Denied(what) => Some(what.clone()),
            Trouble::Unavailable { .. } => None,
        };
        resource.trouble = Some(trouble);
        resource.phase = Phase::Waiting { until: out.now.plus(delay) };
        let from = resource.last_proven();
        if let Some(detail) = denied {
            self.open_gap(out, id, None, from, GapCause::Denied, detail);
        }
        self.release_queued(out);
    }

    /// Compares clocks; true if times cannot be trusted, and then everything waits.
    pub(super) fn compare_clock(&mut self, out: &mut Out, date: Option<Timestamp>) -> bool {
        if let Some(date) = date {
            self.order.compare(date, out.now);
        }
        if self.order.trouble().is_none() {
            return false;
        }
        self.halt(out, CLOCK_RETRY);
        true
    }

    /// Ends all watches and lists; each begins again after `delay` from where it is.
    pub(super) fn halt(&mut self, out: &mut Out, delay: Duration) {
        let until = out.now.plus(delay);
        for (id, resource) in &mut self.resources {
            if matches!(resource.phase, Phase::Removed | Phase::Queued | Phase::Paused) {
                continue;
            }
            if matches!(resource.phase, Phase::Watching(_)) {
                out.actions.push(Action::StopWatch(id.clone()));
            }
            resource.live = false;
            resource.ticket = Ticket::default();
            resource.phase = Phase::Waiting { until };
        }
    }

    /// After a pause each watch begins again with the newest version, so that what happened in the pause is late.
    pub(super) fn wake(&mut self, out: &mut Out) {
        let mut again = Vec::new();
        for (id, resource) in &mut self.resources {
            match resource.phase {
                Phase::Watching(_) => out.actions.push(Action::StopWatch(id.clone())),
                Phase::Probing { .. } => {}
                _ => continue,
            }
            resource.live = false;
            again.push(id.clone());
        }
        for id in again {
            self.begin(out, &id);
        }
    }

    /// The buffer is full: nothing more is read until it has room again.
    pub(super) fn pause(&mut self, out: &mut Out) {
        self.counters.overflows += 1;
        for (id, resource) in &mut self.resources {
            if let Phase::Watching(_) = resource.phase {
                resource.live = false;
                resource.ticket = Ticket::default();
                resource.phase = Phase::Paused;
                out.actions.push(Action::StopWatch(id.clone()));
            }
        }
    }

    pub(super) fn resume(&mut self, out: &mut Out) {
        let paused: Vec<ResourceId> = self
            .resources
            .iter()
            .filter(|(_, resource)| matches!(resource.phase, Phase::Paused))
            .map(|(id, _)| id.clone())
            .collect();
        for id in paused {
            self.begin(out, &id);
        }
    }

    /// Does what has come due: next tries, silent watches, undecided departures.
    pub(super) fn tend_watches(&mut self, out: &mut Out) {
        let grace = self.rules.request_timeout;
        let now = out.now;
        let (changed_at, proof) = (self.changed_at, self.rules.proof);
        let (mut again, mut silent, mut undecided) = (Vec::new(), Vec::new(), Vec::new());
        let mut renew = Vec::new();
        for (id, resource) in &mut self.resources {
            match &resource.phase {
                Phase::Waiting { until } if *until <= now => again.push(id.clone()),
                Phase::Probing { since } if now.since(*since) > grace.saturating_mul(4) => silent.push(id.clone()),
                Phase::Watching(watch) if now.since(watch.heard) > watch.timeout + grace => silent.push(id.clone()),
                Phase::Watching(watch)
                    if watch.caught_up
                        && watch.timeout > proof.saturating_mul(2)
                        && resource.proven < changed_at
                        && now.since(resource.last_proven()) > proof =>
                {
                    renew.push(id.clone());
                }
                _ => {}
            }
            let limit = self.rules.watch_timeout.saturating_mul(3) + grace;
            if resource.live && now.since(resource.last_proven()) > limit {
                resource.live = false;
            }
            for (key, departure) in &resource.departures {
                if departure.ticket.is_none() && departure.retry <= now {
                    undecided.push((id.clone(), key.clone()));
                }
            }
        }
        for id in renew {
            out.act(Action::StopWatch(id.clone()));
            self.begin(out, &id);
        }
        for id in again {
            self.begin(out, &id);
        }
        for id in silent {
            out.act(Action::StopWatch(id.clone()));
            self.failed(out, &id, Failure::Unavailable("the server does not answer".into()));
        }
        for (id, key) in undecided {
            if let Some(departure) = self.resources.get_mut(&id).and_then(|r| r.departures.remove(&key)) {
                self.depart(out, &id, key, departure);
            }
        }
    }
}
