//! The periodic audit: a list beside the running watch, judged once the watch has passed the list's version.
//!
//! Does not: trust the list more than the watch about anything newer than the list.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use vmrewind_model::{GapCause, Head, ObjectKey, RawObject, ResourceId, Rv, Timestamp};

use super::{
    State,
    io::{Action, Choice, Failure, Listing, Out, Ticket},
    objects::{How, Sight},
};

/// An audit whose list failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(300);

/// Where the audit of a resource stands.
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) due: Timestamp,
    /// The last instant at which list and watch were known to agree.
    agreed: Timestamp,
    pub(super) ticket: Option<Ticket>,
    doubts: Option<Doubts>,
    /// By name: what is being read.
    round: Option<Round>,
}

/// The GETs of an audit by name.
#[derive(Debug)]
struct Round {
    asked: Timestamp,
    /// Not answered yet, with the version that was known when it was asked for.
    open: BTreeMap<ObjectKey, Rv>,
    missing: BTreeMap<ObjectKey, Rv>,
    complete: bool,
}

/// What a list at `rv` showed otherwise than we know it, while the watch has not passed `rv`.
#[derive(Debug)]
struct Doubts {
    /// None until a probe has told a version that is newer than what was read.
    rv: Option<Rv>,
    asked: Timestamp,
    states: BTreeMap<ObjectKey, (Head, RawObject)>,
    missing: BTreeMap<ObjectKey, Rv>,
}

impl Audit {
    /// The next one is due at `due`; list and watch are taken to have agreed at `agreed`.
    pub(super) fn new(due: Timestamp, agreed: Timestamp) -> Self {
        Self { due, agreed, ticket: None, doubts: None, round: None }
    }
}

impl State {
    /// When the next audit is due: half to one interval from now, so that resources take turns.
    pub(super) fn audit_time(&mut self, now: Timestamp) -> Timestamp {
        let interval = self.rules.audit_every;
        now.plus(interval / 2 + self.random(interval / 2))
    }

    /// Begins the audits that are due.
    pub(super) fn tend_audits(&mut self, out: &mut Out) {
        let due: Vec<ResourceId> = self
            .resources
            .iter()
            .filter(|(_, resource)| {
                let audit = &resource.audit;
                audit.due <= out.now && audit.ticket.is_none() && audit.doubts.is_none() && resource.caught_up()
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let ticket = self.ticket();
            let Some(resource) = self.resources.get_mut(&id) else { continue };
            resource.audit.ticket = Some(ticket);
            match resource.spec.choice {
                Choice::Every => out.act(Action::List(id.clone(), ticket)),
                Choice::ByName => self.audit_by_name(out, &id, ticket),
            }
        }
    }

    /// By name there is nothing to list: the wanted ones are read one by one, and compared at once, because a
    /// GET is newer than the watch only by what the watch is about to bring.
    fn audit_by_name(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket) {
        let Some(resource) = self.resources.get(id) else { return };
        let present = self.objects.live.iter().map(|(key, known)| (key, known.rv));
        let absent = self.follow.absent().map(|key| (key, Rv(0)));
        let open: BTreeMap<ObjectKey, Rv> = present
            .chain(absent)
            .filter(|(key, _)| resource.spec.holds(key))
            .map(|(key, rv)| (key.clone(), rv))
            .collect();
        for key in open.keys() {
            out.act(Action::Get(id.clone(), ticket, key.clone()));
        }
        let due = self.audit_time(out.now);
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.audit.due = due;
        resource.audit.ticket = (!open.is_empty()).then_some(ticket);
        resource.audit.round = Some(Round { asked: out.wall, open, missing: BTreeMap::new(), complete: true });
        self.counters.audits += 1;
    }

    /// Takes a GET of an audit by name: a state that the watch has passed without bringing it is a correction.
    pub(super) fn audit_fetched(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        key: &ObjectKey,
        result: Result<Option<RawObject>, Failure>,
    ) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let (passed, agreed) = (resource.rv, resource.audit.agreed);
        let Some(round) = &mut resource.audit.round else { return };
        let Some(before) = round.open.remove(key) else { return };
        match result {
            Ok(Some(object)) => {
                if let Ok(head) = object.head() {
                    let known = self.objects.live.get(key).is_some_and(|known| known.era == self.order.era);
                    if known && head.rv < before {
                        let detail = format!("{key}: the server's version is {}, ours was {before}", head.rv);
                        return self.rolled_back(out, id, &detail, None);
                    }
                    if !self.is_old(key, head.rv) && passed.is_some_and(|passed| passed >= head.rv) {
                        self.correct(out, id, key.clone(), agreed);
                        let sight = Sight { head, object, how: How::Seen, lo: Some(agreed), from_seq: None };
                        self.observe(out, id, sight);
                    }
                }
            }
            Ok(None) if before == Rv(0) => {}
            Ok(None) => {
                round.missing.insert(key.clone(), before);
            }
            Err(_) => round.complete = false,
        }
        self.audit_round_over(out, id);
    }

    /// Once every GET is answered: what is gone is judged when the watch has passed the version of a new probe.
    fn audit_round_over(&mut self, out: &mut Out, id: &ResourceId) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Some(round) = resource.audit.round.take_if(|round| round.open.is_empty()) else { return };
        resource.audit.ticket = None;
        if round.missing.is_empty() {
            if round.complete {
                resource.audit.agreed = round.asked;
            }
            return;
        }
        let asked = if round.complete { round.asked } else { resource.audit.agreed };
        let states = BTreeMap::new();
        resource.audit.doubts = Some(Doubts { rv: None, asked, states, missing: round.missing });
        // One that was asked for already may tell a version from before the reads.
        self.renew(out, id);
    }

    /// The newest version is `rv`: what an audit read before lies at or below it.
    pub(super) fn audit_probed(&mut self, id: &ResourceId, rv: Rv) {
        if let Some(doubts) = self.resources.get_mut(id).and_then(|resource| resource.audit.doubts.as_mut()) {
            doubts.rv.get_or_insert(rv);
        }
    }

    /// A listed object of an older version than the one that is recorded, although the list is newer: the storage
    /// went back.
    pub(super) fn went_back(&self, rv: Rv, present: &[(Head, RawObject)]) -> Option<String> {
        let era = self.order.era;
        present.iter().find_map(|(head, _)| {
            let known = self.objects.live.get(&head.key)?;
            let back = known.era == era && known.rv <= rv && head.rv < known.rv;
            back.then(|| format!("{}: the server's version is {}, ours was {}", head.key, head.rv, known.rv))
        })
    }

    pub(super) fn audit_listed(&mut self, out: &mut Out, id: &ResourceId, result: Result<Listing, Failure>) {
        let next = self.audit_time(out.now);
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.audit.ticket = None;
        let Ok(listing) = result else {
            // Nothing is lost: the watch goes on, and if rights are gone its next probe says so.
            resource.audit.due = out.now.plus(RETRY);
            return;
        };
        resource.audit.due = next;
        self.counters.audits += 1;
        let (present, rejected) = self.read_items(id, listing.items, listing.rejected);
        if let Some(detail) = self.went_back(listing.rv, &present) {
            return self.rolled_back(out, id, &detail, None);
        }
        let keys: HashSet<&ObjectKey> = present
            .iter()
            .map(|(head, _)| &head.key)
            .chain(rejected.iter().filter_map(|rejected| rejected.key.as_ref()))
            .collect();
        let missing = self
            .known_missing(id, listing.rv, &keys)
            .into_iter()
            .filter_map(|key| self.objects.live.get(&key).map(|known| (key, known.rv)))
            .collect();
        let states = present
            .into_iter()
            .filter(|(head, _)| match self.objects.live.get(&head.key) {
                Some(known) => known.rv != head.rv && known.rv <= listing.rv,
                None => !self.is_old(&head.key, head.rv),
            })
            .map(|(head, object)| (head.key.clone(), (head, object)))
            .collect();
        let doubts = Doubts { rv: Some(listing.rv), asked: listing.asked, states, missing };
        if let Some(resource) = self.resources.get_mut(id) {
            resource.audit.doubts = Some(doubts);
        }
        self.judge(out, id);
    }

    /// A record settles what an audit doubts: the version that the list showed, or the end of the object.
    pub(super) fn audited(&mut self, id: &ResourceId, key: &ObjectKey, rv: Option<Rv>) {
        let Some(doubts) = self.resources.get_mut(id).and_then(|resource| resource.audit.doubts.as_mut()) else {
            return;
        };
        match rv {
            Some(rv) => {
                if doubts.states.get(key).is_some_and(|(head, _)| head.rv == rv) {
                    doubts.states.remove(key);
                }
            }
            None => {
                doubts.missing.remove(key);
            }
        }
    }

    /// Once the watch has passed the list's version, what is still in doubt is a correction.
    pub(super) fn judge(&mut self, out: &mut Out, id: &ResourceId) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let passed = resource.rv;
        let agreed = resource.audit.agreed;
        let Some(doubts) = resource.audit.doubts.take_if(|doubts| doubts.rv.is_some() && passed >= doubts.rv) else {
            return;
        };
        resource.audit.agreed = doubts.asked;
        for (key, (head, object)) in doubts.states {
            self.correct(out, id, key, agreed);
            self.observe(out, id, Sight { head, object, how: How::Seen, lo: Some(agreed), from_seq: None });
        }
        for (key, rv) in doubts.missing {
            if self.objects.live.get(&key).is_some_and(|known| known.rv == rv) {
                self.correct(out, id, key.clone(), agreed);
                self.missed(out, id, &key, doubts.rv.unwrap_or(rv), Some(agreed));
            }
        }
    }

    fn correct(&mut self, out: &mut Out, id: &ResourceId, key: ObjectKey, from: Timestamp) {
        self.counters.corrections += 1;
        let detail = "a periodic list disagreed with the watch".to_owned();
        self.one_gap(out, id, Some(key), from, GapCause::Correction, detail);
    }
}
