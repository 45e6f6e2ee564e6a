//! What a list (or, by name, a round of GETs) says against what is known, and the walk back after a 410.
//!
//! Does not: judge a list while the watch goes on; see `audit.rs`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use vmrewind_model::{GapCause, Head, ObjectKey, RawObject, ResourceId, Rv, Timestamp};

use super::{
    State,
    io::{Action, AsOf, Choice, Failure, Listing, Out, Probe, Rejected, Ticket},
    objects::{How, Sight},
    resource::{Departure, Phase, Relist},
    walk::{PARALLEL, Walk, Walker},
};

/// More changed objects than this are not walked back: it would take longer than the server remembers.
const MAX_WALKS: usize = 5_000;
/// Walked-back versions of one resource are held in memory until they are sorted; more become a gap.
const MAX_WALKED_BYTES: usize = 64 << 20;
/// What a complete walk back cannot show.
const UNSEEN: &str = "every version of what was there before or after was walked back; an object that was created and \
    deleted in between would not be seen";
/// A list this old is too old to begin a watch at it without asking for the newest version again.
const FRESH: std::time::Duration = std::time::Duration::from_secs(2);

impl State {
    /// Begins to list what is not watched.
    pub(super) fn start_relist(&mut self, out: &mut Out, id: &ResourceId, why: Relist, probe: Probe) {
        let ticket = self.ticket();
        let tracked: Vec<ObjectKey> = match self.resources.get(id) {
            Some(resource) if resource.spec.choice == Choice::ByName => {
                let all = self.objects.live.keys().chain(self.follow.wants.keys());
                // What is still unknown is fetched because of its edge, and says so in its record.
                let unknown = &self.follow.unknown;
                let tracked: BTreeSet<&ObjectKey> =
                    all.filter(|key| resource.spec.holds(key) && !unknown.contains(*key)).collect();
                tracked.into_iter().cloned().collect()
            }
            _ => Vec::new(),
        };
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.ticket = ticket;
        resource.relist = Some(why);
        if resource.spec.choice == Choice::Every {
            resource.phase = Phase::Listing { why };
            return out.act(Action::List(id.clone(), ticket));
        }
        for key in &tracked {
            out.act(Action::Get(id.clone(), ticket, key.clone()));
        }
        resource.phase = Phase::Refetching {
            why,
            rv: probe.rv,
            asked: probe.asked,
            open: tracked.into_iter().collect(),
            found: Vec::new(),
            missing: Vec::new(),
        };
        self.refetched(out, id);
    }

    pub(super) fn listed(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, result: Result<Listing, Failure>) {
        let Some(resource) = self.resources.get(id) else { return };
        if resource.audit.ticket == Some(ticket) {
            return self.audit_listed(out, id, result);
        }
        let Phase::Listing { why } = resource.phase else { return };
        if resource.ticket != ticket {
            return;
        }
        match result {
            Ok(listing) => {
                if self.compare_clock(out, listing.date) {
                    return;
                }
                let (present, rejected) = self.read_items(id, listing.items, listing.rejected);
                let keys: HashSet<&ObjectKey> = present
                    .iter()
                    .map(|(head, _)| &head.key)
                    .chain(rejected.iter().filter_map(|rejected| rejected.key.as_ref()))
                    .collect();
                let missing = self.known_missing(id, listing.rv, &keys);
                self.relisted(out, id, why, (listing.rv, listing.asked), present, missing, rejected);
            }
            Err(failure) => self.failed(out, id, failure),
        }
    }

    /// Takes the answer to a GET of a round; the object is told by the answer's key.
    pub(super) fn refetch_answered(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        key: &ObjectKey,
        result: Result<Option<RawObject>, Failure>,
    ) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        if let Phase::Walking(_) = &resource.phase {
            return self.looked_up(out, id, key, result);
        }
        let Phase::Refetching { open, found, missing, .. } = &mut resource.phase else { return };
        match result {
            Ok(object) => {
                if open.remove(key) {
                    match object {
                        Some(object) => found.push(object),
                        None if self.objects.live.contains_key(key) => missing.push(key.clone()),
                        None => {}
                    }
                }
                self.refetched(out, id);
            }
            Err(failure) => self.failed(out, id, failure),
        }
    }

    fn refetched(&mut self, out: &mut Out, id: &ResourceId) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Phase::Refetching { why, rv, asked, open, found, missing } = &mut resource.phase else { return };
        if !open.is_empty() {
            return;
        }
        let (why, at) = (*why, (*rv, *asked));
        let (found, missing) = (std::mem::take(found), std::mem::take(missing));
        let (present, rejected) = self.read_items(id, found, Vec::new());
        self.relisted(out, id, why, at, present, missing, rejected);
    }

    /// Reads who the items are, and leaves out those that are not to be recorded.
    pub(super) fn read_items(
        &self,
        id: &ResourceId,
        items: Vec<RawObject>,
        mut rejected: Vec<Rejected>,
    ) -> (Vec<(Head, RawObject)>, Vec<Rejected>) {
        let mut present = Vec::new();
        for item in items {
            match item.head() {
                Ok(head) if self.chosen_object(id, &head.key, &item) => present.push((head, item)),
                Ok(_) => {}
                Err(error) => {
                    let (uid, reason) = (String::new(), error.to_string());
                    rejected.push(Rejected { key: None, uid, rv: None, deleted: false, reason });
                }
            }
        }
        rejected.retain(|rejected| rejected.key.as_ref().is_none_or(|key| self.chosen(id, key)));
        (present, rejected)
    }

    /// The followed objects of the resource that a list at `rv` should show and does not.
    pub(super) fn known_missing(&self, id: &ResourceId, rv: Rv, present: &HashSet<&ObjectKey>) -> Vec<ObjectKey> {
        let Some(resource) = self.resources.get(id) else { return Vec::new() };
        let era = self.order.era;
        let missing = self.objects.live.iter().filter(|(key, known)| {
            resource.spec.holds(key) && !present.contains(key) && (known.rv <= rv || known.era != era)
        });
        let mut missing: Vec<ObjectKey> = missing.map(|(key, _)| key.clone()).collect();
        missing.sort();
        missing
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one comparison")]
    fn relisted(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        why: Relist,
        (rv, asked): (Rv, Timestamp),
        present: Vec<(Head, RawObject)>,
        missing: Vec<ObjectKey>,
        rejected: Vec<Rejected>,
    ) {
        if why != Relist::Rollback
            && let Some(detail) = self.went_back(rv, &present)
        {
            return self.rolled_back(out, id, &detail, None);
        }
        let Some(resource) = self.resources.get(id) else { return };
        let resumed = resource.rv.unwrap_or(Rv(0));
        let mut walk = Walk {
            why,
            rv,
            asked,
            todo: Vec::new(),
            active: BTreeMap::new(),
            done: Vec::new(),
            missing,
            lookups: BTreeSet::new(),
            found: BTreeMap::new(),
            rejected,
            complete: true,
            bytes: 0,
        };
        let walkable = why == Relist::Expired;
        for (head, object) in present {
            if walkable && self.is_old(&head.key, head.rv) {
                continue;
            }
            if !walkable {
                walk.done.push(super::walk::Version { head, object, how: How::Seen });
                continue;
            }
            let known = self.objects.live.get(&head.key);
            let floor = known.map_or(resumed, |known| known.rv.max(resumed));
            walk.bytes += object.bytes().len();
            walk.todo.push(Walker::present(head, object, floor, known.is_some()));
        }
        if walkable {
            for key in &walk.missing {
                let floor = self.objects.live.get(key).map_or(resumed, |known| known.rv.max(resumed));
                walk.todo.push(Walker::missing(key.clone(), floor, rv));
            }
            if walk.todo.len() > MAX_WALKS {
                walk.todo.iter_mut().for_each(Walker::give_up);
            }
        }
        let ticket = self.ticket();
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.ticket = ticket;
        if resource.spec.selector.is_some() {
            // Nothing counts as received before this is decided: the watch after the list would not bring it again.
            for key in &walk.missing {
                out.act(Action::Get(id.clone(), ticket, key.clone()));
            }
            walk.lookups = walk.missing.iter().cloned().collect();
        }
        resource.phase = Phase::Walking(Box::new(walk));
        self.walk_on(out, id);
    }

    /// Takes the answer to a GET of what a list with a selector does not show.
    fn looked_up(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        key: &ObjectKey,
        result: Result<Option<RawObject>, Failure>,
    ) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Phase::Walking(walk) = &mut resource.phase else { return };
        match result {
            Ok(object) => {
                if walk.lookups.remove(key)
                    && let Some(head) = object.and_then(|object| object.head().ok())
                {
                    walk.found.insert(key.clone(), head.uid);
                }
                self.walk_on(out, id);
            }
            Err(failure) => self.failed(out, id, failure),
        }
    }

    /// Takes an earlier state, or that there is none.
    pub(super) fn was_then(&mut self, out: &mut Out, id: &ResourceId, ticket: Ticket, result: Result<AsOf, Failure>) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Phase::Walking(walk) = &mut resource.phase else { return };
        let Some(mut walker) = walk.active.remove(&ticket) else { return };
        match result {
            Ok(answer) => walker.answer(answer),
            Err(Failure::Gone) => walker.answer(AsOf::Compacted),
            Err(failure) => return self.failed(out, id, failure),
        }
        walk.todo.push(walker);
        self.walk_on(out, id);
    }

    fn walk_on(&mut self, out: &mut Out, id: &ResourceId) {
        loop {
            let ticket = self.ticket();
            let Some(resource) = self.resources.get_mut(id) else { return };
            let Phase::Walking(walk) = &mut resource.phase else { return };
            if walk.active.len() >= PARALLEL {
                return;
            }
            let Some(mut walker) = walk.todo.pop() else { break };
            if walk.bytes > MAX_WALKED_BYTES {
                walker.give_up();
            }
            if let Some(at) = walker.ask() {
                out.act(Action::AsOf(id.clone(), ticket, walker.key.clone(), at));
                walk.active.insert(ticket, walker);
            } else {
                walk.bytes += walker.bytes();
                let (versions, complete) = walker.finish();
                walk.complete &= complete;
                walk.done.extend(versions);
            }
        }
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Phase::Walking(walk) = &mut resource.phase else { return };
        if !walk.active.is_empty() || !walk.lookups.is_empty() {
            return;
        }
        let phase = std::mem::replace(&mut resource.phase, Phase::Waiting { until: out.now });
        if let Phase::Walking(walk) = phase {
            self.walked(out, id, *walk);
        }
    }

    /// Records what a list and its walks found.
    fn walked(&mut self, out: &mut Out, id: &ResourceId, mut walk: Walk) {
        let Some(resource) = self.resources.get(id) else { return };
        let from = resource.last_proven();
        let proven = resource.proven.is_some();
        let lo = Some(from);
        if walk.why == Relist::Expired {
            walk.done.sort_by_key(|version| version.head.rv);
            self.counters.walked_back += walk.done.len() as u64;
        }
        for super::walk::Version { head, object, how } in walk.done {
            self.returned(out, id, &head.key, &head.uid, head.rv);
            self.observe(out, id, Sight { head, object, how, lo, from_seq: None });
        }
        for key in walk.missing {
            self.gone_from_list(out, id, &key, walk.found.get(&key), (walk.rv, lo));
        }
        for Rejected { key, reason, .. } in walk.rejected {
            self.unrecordable(out, id, key, reason);
        }
        let whole = walk.why == Relist::Expired && walk.complete;
        let open = self.gaps.open.contains_key(&(id.clone(), None));
        if open {
            self.close_gap(out, id, None, whole);
        }
        if proven && (whole || !open) {
            let (cause, detail) = match walk.why {
                _ if whole => (GapCause::Unseen, UNSEEN),
                Relist::Rollback => (GapCause::StorageRollback, "versions before and after cannot be compared"),
                Relist::Damaged => (GapCause::Damage, "the archive lost changes"),
                Relist::Expired | Relist::First => {
                    (GapCause::Expired, "the server no longer has every version of what changed")
                }
            };
            if walk.why != Relist::First {
                self.one_gap(out, id, None, from, cause, detail.to_owned());
            }
        }
        self.relist_done(out, id, walk.rv, walk.asked);
    }

    /// An object that a list at `rv` does not show. `found`: who has its name now.
    fn gone_from_list(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        key: &ObjectKey,
        found: Option<&String>,
        (rv, lo): (Rv, Option<Timestamp>),
    ) {
        let Some(known) = self.objects.live.get(key) else { return };
        let uid = known.uid.to_string();
        let exists = found == Some(&uid);
        // What a watch said of its end before is more than the list says.
        let said = self.resources.get_mut(id).and_then(|resource| resource.departures.remove(key));
        let departure = match said {
            Some(departure) if departure.uid == uid => departure,
            _ => Departure { uid, rv, object: None, lo, ticket: None, retry: out.now },
        };
        self.departed(out, id, key, departure, exists);
    }

    /// An object that an audit at `rv` does not show, or of which a watch says no more than that it is gone.
    pub(super) fn missed(&mut self, out: &mut Out, id: &ResourceId, key: &ObjectKey, rv: Rv, lo: Option<Timestamp>) {
        let selector = self.resources.get(id).is_some_and(|resource| resource.spec.selector.is_some());
        let Some(known) = self.objects.live.get(key) else { return };
        if selector {
            let uid = known.uid.to_string();
            self.depart(out, id, key.clone(), Departure { uid, rv, object: None, lo, ticket: None, retry: out.now });
        } else {
            self.infer_deletion(out, id, key, rv, lo);
        }
    }

    fn relist_done(&mut self, out: &mut Out, id: &ResourceId, rv: Rv, asked: Timestamp) {
        let era = self.order.era;
        let audit_at = self.audit_time(out.now);
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.rv = Some(rv);
        resource.era = era;
        resource.relist = None;
        resource.failures = 0;
        resource.live = true;
        if resource.departures.is_empty() {
            resource.proven = resource.proven.max(Some(asked));
        }
        resource.audit = super::audit::Audit::new(audit_at, asked);
        if out.wall.since(asked) > FRESH {
            self.begin(out, id);
        } else {
            self.open_watch(out, id, rv, asked);
        }
        self.release_queued(out);
        self.tend_wants(out);
    }

    /// Lets the other resources begin once every root has been listed or cannot be.
    pub(super) fn release_queued(&mut self, out: &mut Out) {
        let waiting = self.resources.values().any(|resource| {
            resource.spec.root
                && resource.rv.is_none()
                && resource.trouble.is_none()
                && !matches!(resource.phase, Phase::Removed)
        });
        if waiting {
            return;
        }
        let queued: BTreeSet<ResourceId> = self
            .resources
            .iter()
            .filter(|(_, resource)| matches!(resource.phase, Phase::Queued))
            .map(|(id, _)| id.clone())
            .collect();
        for id in queued {
            self.begin(out, &id);
        }
    }
}
