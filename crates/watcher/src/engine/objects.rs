//! What is known of each followed object, and the records that change it.
//!
//! Does not: know how it was learnt; see `watch.rs`, `list.rs` and `follow.rs`.

use std::{collections::HashMap, sync::Arc};

use vmrewind_model::{
    Change, Digest, Era, GapCause, Head, ObjectKey, ObjectOp, RawObject, RecordKey, ResourceId, Rv, Seq, Timestamp,
};

use super::{
    Home, State,
    body::without_managed_fields,
    follow::Edge,
    io::{Action, Out},
    time::MICROSECOND,
};

/// The newest recorded state of one live object: who it is, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) uid: Box<str>,
    pub(super) rv: Rv,
    pub(super) era: Era,
    pub(super) content: Digest,
    pub(super) home: Arc<str>,
    /// By-name objects that it names.
    pub(super) names: Box<[ObjectKey]>,
    /// Its newest record.
    pub(super) seq: Seq,
}

/// A deleted object, kept until nothing older than the deletion can arrive any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tomb {
    pub(super) rv: Rv,
    pub(super) era: Era,
    pub(super) at: Timestamp,
}

/// All followed objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) live: HashMap<ObjectKey, Known>,
    pub(super) tombs: HashMap<ObjectKey, Tomb>,
}

/// How a state was learnt, which decides the op of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// A watch said "added".
    Added,
    /// A watch said "modified".
    Modified,
    /// It was seen to exist by a list or a GET.
    Seen,
    /// It is one of an unbroken chain of versions that were walked back.
    Walked,
}

/// A state of an object that was learnt.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) head: Head,
    pub(super) object: RawObject,
    pub(super) how: How,
    pub(super) lo: Option<Timestamp>,
    pub(super) from_seq: Option<Seq>,
}

/// The end of an object.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) key: &'a ObjectKey,
    pub(super) uid: &'a str,
    pub(super) rv: Option<Rv>,
    /// The last state, if the server sent it.
    pub(super) object: Option<RawObject>,
    pub(super) lo: Option<Timestamp>,
}

impl State {
    /// Tells whether a version at or after this one is recorded already.
    pub(super) fn is_old(&self, key: &ObjectKey, rv: Rv) -> bool {
        let era = self.order.era;
        self.objects.live.get(key).is_some_and(|known| known.era == era && rv <= known.rv)
            || self.objects.tombs.get(key).is_some_and(|tomb| tomb.era == era && rv <= tomb.rv)
    }

    /// Records a state unless it is recorded already. A new incarnation first ends the old one.
    pub(super) fn observe(&mut self, out: &mut Out, id: &ResourceId, sight: Sight) -> bool {
        let Sight { head, object, how, lo, from_seq } = sight;
        let key = head.key.clone();
        if self.is_old(&key, head.rv) {
            self.counters.duplicates += 1;
            return false;
        }
        let value = match object.value() {
            Ok(value) => value,
            Err(error) => {
                self.unrecordable(out, id, Some(key), error.to_string());
                return false;
            }
        };
        let object = match self.rules.drop_managed_fields {
            true => without_managed_fields(&object),
            false => object,
        };
        let content = object.content_id();
        if let Some(known) = self.objects.live.get_mut(&key)
            && known.era != self.order.era
            && *known.uid == *head.uid
            && known.content == content
        {
            known.era = self.order.era;
            return false;
        }
        let replaced = self.objects.live.get(&key).filter(|known| *known.uid != *head.uid).is_some();
        if replaced {
            self.infer_deletion(out, id, &key, head.rv, lo);
        }
        let continues = self.objects.live.contains_key(&key);
        let op = match how {
            How::Added | How::Walked if !continues => ObjectOp::Added,
            How::Modified if !continues => ObjectOp::Seen,
            How::Seen => ObjectOp::Seen,
            How::Added | How::Walked | How::Modified => ObjectOp::Modified,
        };
        let home = self.home_of(&key, &value);
        let names: Box<[ObjectKey]> = (self.rules.edges.wanted)(&value)
            .into_iter()
            .filter(|target| *target != key)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let record_key = RecordKey { home: home.to_string(), object: key.clone(), uid: head.uid.clone() };
        let change = if self.rules.withhold_secrets && key.is("", "Secret") {
            Change::Withheld { key: record_key, rv: head.rv, reason: "capture.secrets is skip".into() }
        } else {
            Change::Object { op, key: record_key, rv: head.rv, object, from_seq }
        };
        self.close_object_gap(out, id, &key);
        let seq = self.record(out, change, lo);
        let known = Known {
            uid: head.uid.into(),
            rv: head.rv,
            era: self.order.era,
            content,
            home: home.clone(),
            names: names.clone(),
            seq,
        };
        let before = self.objects.live.insert(key.clone(), known).map(|known| known.names).unwrap_or_default();
        self.objects.tombs.remove(&key);
        self.audited(id, &key, Some(head.rv));
        self.follow_present(&key);
        self.refollow(out, &before, &names, &home, self.edge(out, seq, head.rv));
        true
    }

    /// Records a deletion that the server reported (with `rv`), or one that was inferred (without).
    pub(super) fn delete(&mut self, out: &mut Out, id: &ResourceId, end: End<'_>) {
        let End { key, uid, rv, object, lo } = end;
        let newest = rv.unwrap_or_else(|| self.objects.live.get(key).map_or(Rv(0), |known| known.rv));
        if rv.is_some() && self.objects.live.get(key).is_some_and(|known| *known.uid != *uid) {
            self.infer_deletion(out, id, key, newest, lo);
        }
        let known = self.objects.live.remove(key);
        let home = known.as_ref().map_or_else(|| self.follow.home(key).unwrap_or_default(), |known| known.home.clone());
        let object = object
            .filter(|_| !(self.rules.withhold_secrets && key.is("", "Secret")))
            .map(|object| if self.rules.drop_managed_fields { without_managed_fields(&object) } else { object });
        let inferred = rv.is_none();
        if inferred {
            self.counters.inferred += 1;
        }
        let record_key = RecordKey { home: home.to_string(), object: key.clone(), uid: uid.to_owned() };
        self.close_object_gap(out, id, key);
        self.record(out, Change::Deleted { key: record_key, rv, object, inferred }, lo);
        self.audited(id, key, None);
        self.bury(out, key, newest, &known.map(|known| known.names).unwrap_or_default());
        self.follow_absent(key);
    }

    /// Ends the known incarnation of an object that was found gone (or replaced) at `at`.
    pub(super) fn infer_deletion(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        key: &ObjectKey,
        at: Rv,
        lo: Option<Timestamp>,
    ) {
        let Some(uid) = self.objects.live.get(key).map(|known| known.uid.clone()) else { return };
        let lo = lo.or_else(|| self.resources.get(id).map(super::resource::Resource::last_proven));
        self.delete(out, id, End { key, uid: &uid, rv: None, object: None, lo });
        if let Some(tomb) = self.objects.tombs.get_mut(key) {
            // What replaced it has version `at` itself, so the tomb must lie before it.
            tomb.rv = tomb.rv.max(Rv(at.0.saturating_sub(1)));
        }
    }

    /// Records that an object is no longer observed. One that is followed by name still exists as it was, so that the
    /// same version counts again once it is named again.
    pub(super) fn unobserve(&mut self, out: &mut Out, key: &ObjectKey, at: Rv, reason: &str, lo: Option<Timestamp>) {
        let Some(known) = self.objects.live.remove(key) else { return };
        let record_key = RecordKey { home: known.home.to_string(), object: key.clone(), uid: known.uid.to_string() };
        self.record(out, Change::Unobserved { key: record_key, reason: reason.to_owned() }, lo);
        let rv = at.max(known.rv);
        if (self.rules.edges.by_name)(&key.group, &key.kind) {
            self.refollow_none(out, rv, &known.names);
        } else {
            self.bury(out, key, rv, &known.names);
        }
    }

    fn bury(&mut self, out: &mut Out, key: &ObjectKey, rv: Rv, names: &[ObjectKey]) {
        self.entomb(out, key, rv);
        self.refollow_none(out, rv, names);
    }

    /// From now on nothing up to `rv` says that the object exists.
    pub(super) fn entomb(&mut self, out: &Out, key: &ObjectKey, rv: Rv) {
        let tomb = Tomb { rv, era: self.order.era, at: out.now };
        self.objects.tombs.insert(key.clone(), tomb);
    }

    fn refollow_none(&mut self, out: &mut Out, rv: Rv, names: &[ObjectKey]) {
        let nothing: Arc<str> = Arc::default();
        self.refollow(out, names, &[], &nothing, self.edge(out, self.order.last_seq(), rv));
    }

    /// The record just written, as one that names objects.
    fn edge(&self, out: &Out, seq: Seq, rv: Rv) -> Edge {
        Edge { seq, rv, era: self.order.era, t: self.order.last_t().unwrap_or(out.at) }
    }

    /// Puts a change into the order and hands it out.
    pub(super) fn record(&mut self, out: &mut Out, change: Change, lo: Option<Timestamp>) -> Seq {
        let lo = lo.filter(|lo| *lo < self.order.next_t(out.at));
        let at = change.key().map_or(out.at, |key| self.behind_proof(&key.object, out.at));
        let record = self.order.place(change, lo, at);
        self.counters.count(&record);
        let seq = record.seq;
        if record.change.key().is_some() {
            self.changed_at = Some(record.t);
        }
        out.act(Action::Record(record));
        seq
    }

    /// The instant `at`, or the one behind what is proven of the object's resource: what comes at the very microsecond of a
    /// bookmark comes after it.
    fn behind_proof(&self, object: &ObjectKey, at: Timestamp) -> Timestamp {
        let of_object = self.resources.values().filter(|resource| resource.spec.holds(object));
        let proven = of_object.filter_map(|resource| resource.proven).max();
        proven.map_or(at, |proven| at.max(proven.plus(MICROSECOND)))
    }

    /// The home of an object: the one it has, else what it tells, else that of what it belongs to.
    pub(super) fn home_of(&self, key: &ObjectKey, value: &serde_json::Value) -> Arc<str> {
        if let Some(known) = self.objects.live.get(key) {
            return known.home.clone();
        }
        if let Some(home) = self.follow.home(key) {
            return home;
        }
        match (self.rules.edges.home)(value) {
            Home::Own(home) => home.into(),
            Home::Of(keys) => keys
                .iter()
                .find_map(|key| {
                    let known = self.objects.live.get(key).map(|known| known.home.clone()).filter(|h| !h.is_empty());
                    known.or_else(|| {
                        let root = (self.rules.edges.is_root)(&key.group, &key.kind);
                        root.then(|| format!("{}/{}", key.namespace, key.name).into())
                    })
                })
                .unwrap_or_default(),
            Home::None => Arc::default(),
        }
    }

    /// Records that a version cannot be recorded: a gap of one object, open until a later version can be.
    pub(super) fn unrecordable(&mut self, out: &mut Out, id: &ResourceId, key: Option<ObjectKey>, reason: String) {
        let from = self.resources.get(id).map_or(out.at, super::resource::Resource::last_proven);
        match key {
            Some(key) => self.open_gap(out, id, Some(key), from, GapCause::Unrecordable, reason),
            None => self.one_gap(out, id, None, from, GapCause::Unrecordable, reason),
        }
    }
}
