//! Following by name: which by-name objects are wanted, and what is known of them.
//!
//! Does not: find the names; see `graph`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use vmrewind_model::{Change, Era, GapCause, ObjectKey, RawObject, RecordKey, ResourceId, Rv, Seq, Timestamp};

use super::{
    State,
    io::{Action, Choice, Failure, Out, ResourceSpec, Ticket},
    objects::{How, Sight},
    resource::Trouble,
};

/// A failed GET is tried again after this long, doubling up to [`MAX_RETRY`].
const RETRY: Duration = Duration::from_millis(500);
const MAX_RETRY: Duration = Duration::from_secs(30);

/// What is known of a wanted object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Neither a state nor an absence is recorded.
    Unknown,
    /// Its state is recorded.
    Present,
    /// Its absence is recorded.
    Absent,
}

/// A record that names an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) seq: Seq,
    pub(super) rv: Rv,
    pub(super) era: Era,
    pub(super) t: Timestamp,
}

/// An object that followed objects name.
#[derive(Clone, Debug)]
pub(super) struct Want {
    /// How many followed objects name it.
    pub(super) referrers: u32,
    pub(super) home: Arc<str>,
    /// The record that named it first.
    pub(super) edge: Edge,
    pub(super) status: Status,
    pub(super) fetch: Fetch,
    /// Since when nobody names it any more.
    pub(super) unnamed: Option<Timestamp>,
}

/// Where a GET of it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetch {
    ticket: Option<Ticket>,
    retry: Option<Timestamp>,
    failures: u32,
    denied: bool,
    pub(super) detail: String,
}

/// All wanted objects.
#[derive(Debug, Default)]
pub(super) struct Follow {
    pub(super) wants: BTreeMap<ObjectKey, Want>,
    /// Those of unknown status.
    pub(super) unknown: BTreeSet<ObjectKey>,
    /// Those that nobody names any more.
    unnamed: BTreeSet<ObjectKey>,
    tickets: BTreeMap<Ticket, ObjectKey>,
}

impl Follow {
    pub(super) fn home(&self, key: &ObjectKey) -> Option<Arc<str>> {
        self.wants.get(key).map(|want| want.home.clone())
    }

    /// Wanted objects whose absence is recorded.
    pub(super) fn absent(&self) -> impl Iterator<Item = &ObjectKey> {
        self.wants.iter().filter(|(_, want)| want.status == Status::Absent).map(|(key, _)| key)
    }

    pub(super) fn tracks(&self, key: &ObjectKey) -> bool {
        self.wants.contains_key(key)
    }

    /// Tells whether this is the GET of a wanted object.
    pub(super) fn asked(&self, ticket: Ticket) -> bool {
        self.tickets.contains_key(&ticket)
    }

    /// Tells whether a GET for an edge is under way, so that waiting a little can bring both into one segment.
    pub(super) fn fetching(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Replays that an object that nobody names is not followed any more.
    pub(super) fn forget_unnamed(&mut self, key: &ObjectKey) {
        if self.wants.get(key).is_some_and(|want| want.referrers == 0) {
            self.set(key, Status::Absent);
            self.unnamed.remove(key);
            self.wants.remove(key);
        }
    }

    fn set(&mut self, key: &ObjectKey, status: Status) {
        let Some(want) = self.wants.get_mut(key) else { return };
        want.status = status;
        if let Some(ticket) = want.fetch.ticket.take() {
            self.tickets.remove(&ticket);
        }
        want.fetch = Fetch::default();
        self.unknown.remove(key);
    }
}

impl State {
    /// A followed object named `before` and now names `after`.
    pub(super) fn refollow(
        &mut self,
        out: &mut Out,
        before: &[ObjectKey],
        after: &[ObjectKey],
        home: &Arc<str>,
        edge: Edge,
    ) {
        for key in after.iter().filter(|key| before.binary_search(key).is_err()) {
            if !(self.rules.edges.by_name)(&key.group, &key.kind) {
                continue;
            }
            let follow = &mut self.follow;
            if let Some(want) = follow.wants.get_mut(key) {
                want.referrers += 1;
                want.unnamed = None;
                follow.unnamed.remove(key);
                continue;
            }
            let known = self.objects.live.contains_key(key);
            let status = if known { Status::Present } else { Status::Unknown };
            let want = Want { referrers: 1, home: home.clone(), edge, status, fetch: Fetch::default(), unnamed: None };
            follow.wants.insert(key.clone(), want);
            if !known {
                follow.unknown.insert(key.clone());
                self.fetch(out, key);
            }
        }
        for key in before.iter().filter(|key| after.binary_search(key).is_err()) {
            let Some(want) = self.follow.wants.get_mut(key) else { continue };
            want.referrers = want.referrers.saturating_sub(1);
            if want.referrers == 0 {
                want.unnamed = Some(out.now);
                self.follow.unnamed.insert(key.clone());
            }
        }
    }

    /// The resource that holds objects of this key, if one is served and in scope.
    pub(super) fn resource_of(&self, key: &ObjectKey) -> Option<ResourceId> {
        self.resources.values().find(|resource| resource.spec.holds(key)).map(|resource| resource.spec.id.clone())
    }

    fn fetch(&mut self, out: &mut Out, key: &ObjectKey) {
        let resource = self.resource_of(key);
        let ticket = self.ticket();
        let Some(want) = self.follow.wants.get_mut(key) else { return };
        let Some(id) = resource else {
            want.fetch.detail = "its kind is not served, or it lies outside of the configured namespaces".into();
            return;
        };
        // A watch must have its beginning first, or what happens between the GET and it would be missed.
        let begun =
            self.resources.get(&id).is_some_and(|r| r.rv.is_some() || matches!(r.trouble, Some(Trouble::Denied(_))));
        if !begun {
            want.fetch.detail = format!("the watch of {id} has not begun");
            return;
        }
        want.fetch.ticket = Some(ticket);
        want.fetch.retry = None;
        self.follow.tickets.insert(ticket, key.clone());
        out.act(Action::Get(id, ticket, key.clone()));
    }

    /// Fetches what is wanted and unknown, and lets go of what nobody names.
    pub(super) fn tend_wants(&mut self, out: &mut Out) {
        let due: Vec<ObjectKey> = self
            .follow
            .unknown
            .iter()
            .filter(|key| {
                let fetch = &self.follow.wants[*key].fetch;
                fetch.ticket.is_none() && fetch.retry.is_none_or(|retry| retry <= out.now)
            })
            .cloned()
            .collect();
        for key in due {
            self.fetch(out, &key);
        }
        let after = self.rules.unfollow_after;
        let gone: Vec<ObjectKey> = self
            .follow
            .unnamed
            .iter()
            .filter(|key| self.follow.wants[*key].unnamed.is_some_and(|since| out.now.since(since) >= after))
            .cloned()
            .collect();
        for key in gone {
            self.follow.set(&key, Status::Absent);
            if let Some(id) = self.resource_of(&key) {
                self.close_object_gap(out, &id, &key);
            }
            self.unobserve(out, &key, Rv(0), "no followed object names it any more", None);
            self.follow.unnamed.remove(&key);
            self.follow.wants.remove(&key);
        }
    }

    /// Handles the answer to a GET of a wanted object.
    pub(super) fn fetched_want(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        ticket: Ticket,
        result: Result<Option<RawObject>, Failure>,
    ) {
        let Some(key) = self.follow.tickets.remove(&ticket) else { return };
        let Some(want) = self.follow.wants.get_mut(&key) else { return };
        want.fetch.ticket = None;
        let (edge, home, trusted) = (want.edge, want.home.clone(), self.order.trouble().is_none());
        match result {
            Ok(Some(object)) => match object.head() {
                Ok(head) => {
                    let before = head.rv < edge.rv && edge.era == self.order.era;
                    let from_seq = before.then_some(edge.seq);
                    // One that is newer came into being somewhere between the record that names it and now.
                    let lo = (!before).then_some(edge.t);
                    let known = self.is_old(&key, head.rv);
                    if known && !self.objects.live.contains_key(&key) {
                        // Its end has overtaken the answer: what there is now is not known yet.
                        return;
                    }
                    if !known {
                        self.observe(out, id, Sight { head, object, how: How::Seen, lo, from_seq });
                    }
                    // A state that cannot be recorded is an open gap of that object: it is not asked for again.
                    self.follow.set(&key, Status::Present);
                }
                Err(error) => {
                    self.unrecordable(out, id, Some(key.clone()), error.to_string());
                    self.follow.set(&key, Status::Present);
                }
            },
            Ok(None) => {
                let record_key = RecordKey { home: home.to_string(), object: key.clone(), uid: String::new() };
                self.close_object_gap(out, id, &key);
                self.record(out, Change::Absent { key: record_key, from_seq: None }, None);
                self.follow.set(&key, Status::Absent);
            }
            Err(failure) => {
                want.fetch.failures += 1;
                let delay = RETRY.saturating_mul(1 << want.fetch.failures.min(6)).min(MAX_RETRY);
                want.fetch.retry = Some(out.now.plus(delay));
                let (cause, detail) = match failure {
                    Failure::Forbidden(what) => (GapCause::Denied, what),
                    Failure::NotServed => (GapCause::Removed, "its type is not served".into()),
                    Failure::Gone => (GapCause::Stalled, "the server answered 410".into()),
                    Failure::Unavailable(reason) => (GapCause::Stalled, reason),
                };
                want.fetch.detail.clone_from(&detail);
                want.fetch.denied = cause == GapCause::Denied;
                // While times cannot be trusted, nothing is recorded.
                if trusted {
                    self.open_gap(out, id, Some(key), edge.t, cause, detail);
                }
            }
        }
    }

    /// Why the newest GET of some wanted object of a resource was refused, if one was.
    pub(super) fn refused_get(&self, spec: &ResourceSpec) -> Option<&str> {
        let mut wants =
            self.follow.unknown.iter().filter(|key| spec.holds(key)).filter_map(|key| self.follow.wants.get(key));
        wants.find(|want| want.fetch.denied).map(|want| want.fetch.detail.as_str())
    }

    /// `lo` of a change of a wanted object that a watch brings: of what was before it, nothing is known since it was named.
    pub(super) fn unknown_since(&self, key: &ObjectKey) -> Option<Timestamp> {
        self.follow.unknown.get(key).and_then(|key| self.follow.wants.get(key)).map(|want| want.edge.t)
    }

    /// A state of the object was recorded.
    pub(super) fn follow_present(&mut self, key: &ObjectKey) {
        self.follow.set(key, Status::Present);
    }

    /// The object's deletion was recorded.
    pub(super) fn follow_absent(&mut self, key: &ObjectKey) {
        self.follow.set(key, Status::Absent);
    }

    /// Tells whether states of this object are to be recorded.
    pub(super) fn chosen(&self, id: &ResourceId, key: &ObjectKey) -> bool {
        let Some(resource) = self.resources.get(id) else { return false };
        resource.spec.choice == Choice::Every || self.follow.tracks(key)
    }

    /// As [`Self::chosen`], for an object that is at hand: some resources bring foreign objects, too.
    pub(super) fn chosen_object(&self, id: &ResourceId, key: &ObjectKey, object: &RawObject) -> bool {
        let filtered = self.resources.get(id).is_some_and(|resource| resource.spec.filtered);
        self.chosen(id, key)
            && (!filtered
                || self.objects.live.contains_key(key)
                || object.value().is_ok_and(|value| (self.rules.edges.in_scope)(&value)))
    }
}
