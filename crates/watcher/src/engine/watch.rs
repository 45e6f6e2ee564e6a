//! The life of a watch: newest version first, then the watch from where we are, then the same again.
//!
//! Does not: compare lists; see `list.rs`.

use std::time::Duration;

use vmrewind_model::{GapCause, Head, ObjectKey, RawObject, ResourceId, Rv, Timestamp};

use super::{
    State,
    io::{Action, Choice, Event, Failure, Out, Probe, Rejected, Ticket},
    objects::{End, How, Sight},
    resource::{Departure, Phase, Relist, Resource, Watching},
};

/// A watch that ends sooner than this after it was opened counts as failed, so that there is no busy loop.
const TOO_SHORT: Duration = Duration::from_millis(500);

impl State {
    /// Asks for the newest version, which is what every watch and list begins with.
    pub(super) fn begin(&mut self, out: &mut Out, id: &ResourceId) {
        let ticket = self.ticket();
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.stop_watches(&mut out.actions);
        resource.ticket = ticket;
        resource.phase = Phase::Probing { since: out.now };
        out.act(Action::Probe(id.clone(), ticket));
    }

    pub(super) fn probed(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, result: Result<Probe, Failure>) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        if let (Some(since), Ok(probe)) = (resource.asking_since(), &result) {
            resource.apart = !self.lag.is_of_one_storage(probe.rv, since);
            self.lag.answered(since, out.now);
            if !resource.apart {
                self.lag.told(probe.rv, out.now);
            }
        }
        if resource.next.as_ref().is_some_and(|(next, _)| *next == ticket) {
            return self.renewal_probed(out, id, result.ok());
        }
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
        self.lag.clear();
        let all: Vec<ResourceId> = self.resources.keys().cloned().collect();
        for other in &all {
            let Some(resource) = self.resources.get_mut(other) else { continue };
            if resource.rv.is_none() || matches!(resource.phase, Phase::Removed) {
                continue;
            }
            let from = resource.last_proven();
            resource.live = false;
            resource.apart = false;
            resource.relist = Some(Relist::Rollback);
            resource.departures.clear();
            resource.stop_watches(&mut out.actions);
            let lists = !matches!(resource.phase, Phase::Waiting { .. } | Phase::Queued | Phase::Paused);
            self.open_gap(out, other, None, from, GapCause::StorageRollback, detail.to_owned());
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
        let timeout = self.lasting(id);
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.ticket = ticket;
        resource.phase = Phase::Watching(Watching::new(target, probed, timeout, out.now));
        out.act(Action::Watch(id.clone(), ticket, from, timeout));
    }

    /// How long the next watch of a resource is to last.
    pub(super) fn lasting(&mut self, id: &ResourceId) -> Duration {
        let long = self.rules.watch_timeout + self.random(self.rules.watch_timeout / 8);
        match self.resources.get(id) {
            Some(resource) if !resource.live => self.rules.catch_up_timeout,
            Some(resource) if resource.proven < self.changed_at => self.rules.proof.min(self.rules.watch_timeout),
            Some(_) | None => long,
        }
    }

    pub(super) fn opened(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let before = resource.caught_up();
        let Some(watch) = resource.watch_mut(ticket) else { return };
        watch.opened = Some(out.now);
        watch.heard = out.now;
        resource.reached();
        self.went_on(out, id, before);
    }

    /// Whether a version that arrives now is old, by what others were told.
    fn is_late(&self, id: &ResourceId, rv: Rv, now: Timestamp) -> bool {
        let waiting = self.resources.values().filter_map(Resource::asking_since);
        let apart = self.resources.get(id).is_none_or(|resource| resource.apart);
        !apart && self.lag.is_late(rv, waiting, now)
    }

    /// A watch delivered everything up to `rv`, which was so `age` ago at the latest.
    fn pass(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, rv: Rv, age: Duration) {
        let now = self.order.present(out.at, out.wall).minus(age);
        let Some(resource) = self.resources.get_mut(id) else { return };
        if !resource.apart {
            self.lag.told(rv, out.now);
        }
        let before = resource.caught_up();
        resource.passed(ticket, rv, now);
        self.went_on(out, id, before);
    }

    fn went_on(&mut self, out: &mut Out, id: &ResourceId, caught_up_before: bool) {
        if !caught_up_before && self.resources.get(id).is_some_and(Resource::caught_up) {
            self.close_gap(out, id, None, true);
        }
        self.judge(out, id);
        self.hand_over(out, id);
    }

    pub(super) fn watched(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, event: Event) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let received = resource.rv;
        let Some(watch) = resource.watch_mut(ticket) else { return };
        watch.heard = out.now;
        self.counters.events += 1;
        let head = match &event {
            Event::Added(object) | Event::Modified(object) | Event::Deleted(object) => match object.head() {
                Ok(head) => Some(head),
                Err(error) => return self.unrecordable(out, id, None, error.to_string()),
            },
            Event::Bookmark(_) | Event::Rejected(_) => None,
        };
        let version = match &event {
            Event::Rejected(rejected) => rejected.rv,
            _ => head.as_ref().map(|head| head.rv),
        };
        if version.is_some() && version <= received {
            // Another watch, or this one before, was first.
            watch.passed = watch.passed.max(version);
            return self.hand_over(out, id);
        }
        let late = version.is_some_and(|rv| self.is_late(id, rv, out.now));
        let Some(resource) = self.resources.get_mut(id) else { return };
        let lo = match (version, self.lag.newest()) {
            (Some(rv), Some(newest)) if late => Some(resource.fell_behind(ticket, newest.max(rv))),
            (Some(rv), _) => resource.lo_of(ticket, rv, out.now),
            (None, _) => None,
        };
        match (event, head) {
            (Event::Added(object), Some(head)) => self.changed(out, id, head, (object, How::Added, lo)),
            (Event::Modified(object), Some(head)) => self.changed(out, id, head, (object, How::Modified, lo)),
            (Event::Deleted(object), Some(head)) => {
                self.gone(out, id, (head.key, head.uid, head.rv), (Some(object), lo));
            }
            (Event::Rejected(rejected), _) => self.rejected(out, id, rejected, lo),
            (Event::Bookmark(rv), _) => {
                let age = if resource.apart { Duration::ZERO } else { self.lag.age_of_bookmark(rv, out.now) };
                return self.pass(out, id, ticket, rv, age);
            }
            (Event::Added(_) | Event::Modified(_) | Event::Deleted(_), None) => {}
        }
        if let Some(rv) = version {
            self.pass(out, id, ticket, rv, Duration::ZERO);
        }
    }

    fn rejected(&mut self, out: &mut Out, id: &ResourceId, rejected: Rejected, lo: Option<Timestamp>) {
        let Rejected { key, uid, rv, deleted, reason } = rejected;
        let Some(key) = key else { return self.unrecordable(out, id, None, reason) };
        match rv {
            Some(rv) if deleted && !uid.is_empty() => self.gone(out, id, (key, uid, rv), (None, lo)),
            None if deleted && self.objects.live.get(&key).is_some_and(|known| *known.uid == *uid) => {
                let rv = self.objects.live.get(&key).map_or(Rv(0), |known| known.rv);
                self.missed(out, id, &key, rv, None);
            }
            _ if self.chosen(id, &key) => self.unrecordable(out, id, Some(key), reason),
            _ => {}
        }
    }

    fn changed(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        head: Head,
        (object, how, lo): (RawObject, How, Option<Timestamp>),
    ) {
        let rv = head.rv;
        if head.key.is("apiextensions.k8s.io", "CustomResourceDefinition") {
            out.act(Action::Discover);
        }
        if self.chosen_object(id, &head.key, &object) {
            let lo = match self.unknown_since(&head.key).filter(|_| how == How::Modified) {
                Some(named) => Some(lo.map_or(named, |lo| lo.min(named))),
                None => lo,
            };
            self.returned(out, id, &head.key, &head.uid, rv);
            self.observe(out, id, Sight { head, object, how, lo, from_seq: None });
        }
    }

    /// An object was deleted, or left the selector. Its last state is lacking if it cannot be recorded.
    fn gone(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        (key, uid, rv): (ObjectKey, String, Rv),
        (object, lo): (Option<RawObject>, Option<Timestamp>),
    ) {
        let Some(resource) = self.resources.get(id) else { return };
        let selector = resource.spec.selector.is_some();
        let by_name = resource.spec.choice == Choice::ByName;
        let filtered = resource.spec.filtered;
        // By name, the end of what was never recorded is not recorded: a GET will find what there is. But an answer from
        // before the end says nothing any more.
        let known = self.objects.live.contains_key(&key);
        let unseen = by_name && !known;
        if key.is("apiextensions.k8s.io", "CustomResourceDefinition") {
            out.act(Action::Discover);
        }
        if unseen && self.follow.tracks(&key) && !self.is_old(&key, rv) {
            self.entomb(out, &key, rv);
        }
        let chosen = match &object {
            Some(object) => self.chosen_object(id, &key, object),
            None => self.chosen(id, &key) && (!filtered || known),
        };
        if !chosen || unseen || self.is_old(&key, rv) {
            return;
        }
        if selector {
            let departure = Departure { uid, rv, object, lo, ticket: None, retry: out.now };
            self.depart(out, id, key, departure);
        } else {
            self.delete(out, id, End { key: &key, uid: &uid, rv: Some(rv), object, lo });
        }
    }

    pub(super) fn ended(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, result: Result<(), Failure>) {
        if self.renewal_ended(out, id, ticket) {
            return;
        }
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
}
