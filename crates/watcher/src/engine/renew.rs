//! The next watch is opened before the running one ends, so that nothing between the two is late.
//!
//! ```text
//! running  ------------------------------------------------x   stopped once the next one has passed what it delivered
//!                          probe -> next  -------------------------------------------------x
//! ```
//!
//! Until then both deliver the same events: what has a version that was received already is dropped. Everything up to
//! the version of what either delivers was received, since both deliver in order and the next one begins where the
//! running one stands. If the next one fails, the running one goes on to its end.
//!
//! Does not: bring a resource back that is not live; see `watch.rs`.

use std::time::Duration;

use vmrewind_model::{ResourceId, Rv, Timestamp};

use super::{
    State,
    io::{Action, Out, Probe, Ticket},
    resource::{Next, Phase, Watching},
};

/// A watch is renewed this long before its end at most.
const MOST: Duration = Duration::from_secs(10);
/// And this long at least, or for half of it.
const LEAST: Duration = Duration::from_millis(1_500);

/// When a watch of this length that was opened at `opened` is to be renewed: a third of it before its end, within
/// [`LEAST`] and [`MOST`]. Servers count whole seconds.
fn renewal_time(opened: Timestamp, timeout: Duration) -> Timestamp {
    let length = Duration::from_secs(timeout.as_secs().max(1));
    let margin = (length / 3).max(LEAST.min(length / 2)).min(MOST);
    opened.plus(length.saturating_sub(margin))
}

impl State {
    /// Begins the renewals that are due, and gives up those that are not answered.
    pub(super) fn tend_renewals(&mut self, out: &mut Out) {
        let (now, grace, proof) = (out.now, self.rules.request_timeout, self.rules.proof);
        let changed_at = self.changed_at;
        let mut due = Vec::new();
        for (id, resource) in &mut self.resources {
            let silent = match &resource.next {
                Some((_, Next::Probing { since, .. })) => now.since(*since) > grace.saturating_mul(4),
                Some((_, Next::Watching(next))) => now.since(next.heard) > next.timeout + grace,
                None => false,
            };
            if silent {
                resource.stop_next(&mut out.actions);
            }
            let Phase::Watching(watch) = &resource.phase else { continue };
            if !resource.live || resource.next.is_some() {
                continue;
            }
            let ends = watch
                .opened
                .map(|opened| renewal_time(opened, watch.timeout))
                .is_some_and(|at| now >= at && watch.renewed.is_none_or(|renewed| renewed < at));
            // While other things change, a bookmark that comes soon proves that nothing did here.
            let unproven = watch.timeout > proof.saturating_mul(2)
                && resource.proven < changed_at
                && out.wall.since(resource.last_proven()) > proof
                && watch.renewed.is_none_or(|renewed| now.since(renewed) > proof);
            if ends || unproven {
                due.push(id.clone());
            }
        }
        for id in due {
            self.renew(out, &id);
        }
    }

    /// Asks for the newest version, so that a watch can be opened beside the running one. A renewal that is under way
    /// begins again.
    pub(super) fn renew(&mut self, out: &mut Out, id: &ResourceId) {
        let ticket = self.ticket();
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Phase::Watching(watch) = &mut resource.phase else { return };
        watch.renewed = Some(out.now);
        resource.stop_next(&mut out.actions);
        // What arrives before the answer may be newer than the answer.
        resource.next = Some((ticket, Next::Probing { since: out.now, floor: resource.rv.unwrap_or(Rv(0)) }));
        out.act(Action::Probe(id.clone(), ticket));
    }

    /// The answer to [`Self::renew`]; none if that failed.
    pub(super) fn renewal_probed(&mut self, out: &mut Out, id: &ResourceId, probe: Option<Probe>) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Some((_, Next::Probing { floor, .. })) = resource.next.take() else { return };
        let Some(probe) = probe else { return };
        if self.compare_clock(out, probe.date) {
            return;
        }
        if probe.rv < floor {
            let detail = format!("{id}: the newest version is {}, ours was {floor}", probe.rv);
            return self.rolled_back(out, id, &detail, Some(probe));
        }
        self.audit_probed(id, probe.rv);
        let (ticket, timeout) = (self.ticket(), self.lasting(id));
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Some(from) = resource.rv else { return };
        let watch = Watching::new(probe.rv, probe.asked, timeout, out.now);
        resource.next = Some((ticket, Next::Watching(watch)));
        out.act(Action::Watch(id.clone(), ticket, from, timeout));
    }

    /// Lets the next watch take over once it has delivered what the running one has.
    pub(super) fn hand_over(&mut self, out: &mut Out, id: &ResourceId) {
        let Some(resource) = self.resources.get(id) else { return };
        let Some((_, Next::Watching(next))) = &resource.next else { return };
        if next.caught_up && next.passed.is_some() && next.passed >= resource.rv {
            self.take_over(out, id);
        }
    }

    /// The running watch is over: the next one, if it is open, goes on where it stands. False if there is none.
    pub(super) fn take_over(&mut self, out: &mut Out, id: &ResourceId) -> bool {
        let Some(resource) = self.resources.get_mut(id) else { return false };
        let open = matches!(&resource.next, Some((_, Next::Watching(next))) if next.opened.is_some());
        if !open {
            return false;
        }
        let Some((ticket, Next::Watching(next))) = resource.next.take() else { return false };
        resource.stop_watches(&mut out.actions);
        resource.ticket = ticket;
        resource.live |= next.caught_up;
        resource.phase = Phase::Watching(next);
        self.counters.renewals += 1;
        true
    }

    /// A watch ended. True if nothing more is to be done, because it was the next one, or because the next one has
    /// taken over.
    pub(super) fn renewal_ended(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket) -> bool {
        let Some(resource) = self.resources.get_mut(id) else { return true };
        if resource.next.as_ref().is_some_and(|(next, _)| *next == ticket) {
            resource.next = None;
            return true;
        }
        resource.ticket == ticket && self.take_over(out, id)
    }
}
