//! What keeps a resource from being watched: failures, silence, a clock that is not trusted, a full buffer.
//!
//! Does not: decide what is recorded but gaps of a refusal.

use std::time::Duration;

use vmrewind_model::{GapCause, ResourceId, Timestamp};

use super::{
    State,
    io::{Action, Failure, Out, Ticket},
    resource::{Phase, Trouble},
};

/// After a failure the next try waits this long, doubling up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(15);
/// While the clock is not trusted, the API server's is asked for this often.
const CLOCK_RETRY: Duration = Duration::from_secs(5);

impl State {
    /// A request failed: what it means for the resource, and when to try again.
    pub(super) fn failed(&mut self, out: &mut Out, id: &ResourceId, failure: Failure) {
        let (denied_retry, refusals) = (self.rules.denied_retry, self.rules.refusals);
        let jitter = self.random(BACKOFF);
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.stop_watches(&mut out.actions);
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
            self.order.compare(date, out.now, out.wall);
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
        for resource in self.resources.values_mut() {
            if matches!(resource.phase, Phase::Removed | Phase::Queued | Phase::Paused) {
                continue;
            }
            resource.stop_watches(&mut out.actions);
            resource.live = false;
            resource.ticket = Ticket::default();
            resource.phase = Phase::Waiting { until };
        }
    }

    /// After a pause each watch begins again with the newest version, so that what happened in the pause is late.
    pub(super) fn wake(&mut self, out: &mut Out) {
        let mut again = Vec::new();
        for (id, resource) in &mut self.resources {
            if matches!(resource.phase, Phase::Watching(_) | Phase::Probing { .. }) {
                resource.live = false;
                again.push(id.clone());
            }
        }
        for id in again {
            self.begin(out, &id);
        }
    }

    /// The buffer is full: nothing more is read until it has room again.
    pub(super) fn pause(&mut self, out: &mut Out) {
        self.counters.overflows += 1;
        for resource in self.resources.values_mut() {
            if let Phase::Watching(_) = resource.phase {
                resource.stop_watches(&mut out.actions);
                resource.live = false;
                resource.ticket = Ticket::default();
                resource.phase = Phase::Paused;
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
        let (mut again, mut silent, mut undecided) = (Vec::new(), Vec::new(), Vec::new());
        for (id, resource) in &mut self.resources {
            match &resource.phase {
                Phase::Waiting { until } if *until <= now => again.push(id.clone()),
                Phase::Probing { since } if now.since(*since) > grace.saturating_mul(4) => silent.push(id.clone()),
                Phase::Watching(watch) if now.since(watch.heard) > watch.timeout + grace => silent.push(id.clone()),
                _ => {}
            }
            let limit = self.rules.watch_timeout.saturating_mul(3) + grace;
            if resource.live && out.wall.since(resource.last_proven()) > limit {
                resource.live = false;
            }
            for (key, departure) in &resource.departures {
                if departure.ticket.is_none() && departure.retry <= now {
                    undecided.push((id.clone(), key.clone()));
                }
            }
        }
        for id in again {
            self.begin(out, &id);
        }
        for id in silent {
            if !self.take_over(out, &id) {
                self.failed(out, &id, Failure::Unavailable("the server does not answer".into()));
            }
        }
        self.tend_renewals(out);
        for (id, key) in undecided {
            if let Some(departure) = self.resources.get_mut(&id).and_then(|r| r.departures.remove(&key)) {
                self.depart(out, &id, key, departure);
            }
        }
    }
}
