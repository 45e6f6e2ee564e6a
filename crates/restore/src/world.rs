//! The state at an instant, as the planner sees it: objects on demand, absence only where it is proven.
//!
//! Does not: read an archive; it takes a state that was read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use serde_json::Value;
use vmrewind_archive as archive;
use vmrewind_graph::{self as graph, Capture, Presence};
use vmrewind_model::{ObjectKey, ProofState, RawObject, Seq, Timestamp};

use crate::{
    departed::{Departure, Departures},
    error::RestoreError,
    plan::{ArchiveRef, Source},
};

#[cfg(test)]
mod tests;

/// The state at an instant. Bodies are parsed when they are first asked for.
pub struct World {
    archive: ArchiveRef,
    objects: BTreeMap<ObjectKey, Held>,
    by_kind: BTreeMap<(String, String, String), Vec<ObjectKey>>,
    /// Group, kind and namespace (empty: all) of what is proven complete: what is not held of it did not exist.
    complete: BTreeSet<(String, String, String)>,
    /// What may have existed without being held: its creation may have come late, or lies in a gap of its own.
    unsure: BTreeSet<ObjectKey>,
    /// Damage may hide whatever is not held.
    doubtful: bool,
    departures: Departures,
}

struct Held {
    seq: Seq,
    content: Content,
}

enum Content {
    Object { raw: RawObject, value: OnceLock<Option<Value>> },
    Absent,
    Withheld,
}

impl World {
    /// Takes the state of an archive.
    #[must_use]
    pub fn of(state: &archive::State, identity: &archive::Identity) -> Self {
        let archive = ArchiveRef {
            uuid: identity.archive.to_string(),
            cluster: identity.cluster.clone(),
            seq: state.seq,
            t: state.t,
        };
        let mut world = Self::empty(archive);
        world.doubtful = state.doubtful().next().is_some();
        world.unsure.extend(state.late.iter().map(|late| late.key.object.clone()));
        world.unsure.extend(state.gaps.iter().filter_map(|span| span.gap.object.clone()));
        for (key, entry) in &state.objects {
            let content = match (entry.presence, entry.record.change.object()) {
                (archive::Presence::Present, Some(raw)) => Content::object(raw.clone()),
                (archive::Presence::Absent, _) => Content::Absent,
                (archive::Presence::Withheld, _) | (archive::Presence::Present, None) => Content::Withheld,
            };
            world.insert(key.clone(), Held { seq: entry.record.seq, content });
        }
        for proof in &state.proofs {
            let entry = &proof.entry;
            let live =
                entry.state == ProofState::Live && proof.current && proof.since.is_some_and(|since| since <= state.t);
            let gap = state.gaps.iter().any(|gap| gap.gap.resource == entry.id && gap.gap.object.is_none());
            let by_name =
                graph::kind_row(&entry.id.group, &entry.kind).is_none_or(|row| row.capture == Capture::ByName);
            if !by_name && !gap && (live || proof.covers(state.t)) {
                world.complete.insert((entry.id.group.clone(), entry.kind.clone(), entry.id.scope.clone()));
            }
        }
        world
    }

    /// Returns a state that holds nothing and proves nothing: for an undo, which needs the journal only.
    #[must_use]
    pub fn none() -> Self {
        Self::empty(ArchiveRef { uuid: String::new(), cluster: String::new(), seq: Seq(0), t: Timestamp::MIN })
    }

    /// Takes objects, for tests: all kinds that are always captured count as complete, `seq` is the place in the
    /// list.
    #[must_use]
    pub fn from_objects(objects: impl IntoIterator<Item = Value>) -> Self {
        let t = Timestamp::MIN;
        let mut world = Self::empty(ArchiveRef {
            uuid: "00000000-0000-0000-0000-000000000000".to_owned(),
            cluster: "cluster-1".to_owned(),
            seq: Seq(0),
            t,
        });
        for row in graph::kinds().iter().filter(|row| row.capture != Capture::ByName) {
            world.complete.insert((row.group.to_owned(), row.kind.to_owned(), String::new()));
        }
        for object in objects {
            let Some(key) = graph::key(&object) else { continue };
            let Ok(raw) = RawObject::from_server(object.to_string().as_bytes()) else { continue };
            world.archive.seq = world.archive.seq.next();
            let seq = world.archive.seq;
            world.insert(key, Held { seq, content: Content::object(raw) });
        }
        world
    }

    fn empty(archive: ArchiveRef) -> Self {
        Self {
            archive,
            objects: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            complete: BTreeSet::new(),
            unsure: BTreeSet::new(),
            doubtful: false,
            departures: Departures::default(),
        }
    }

    fn insert(&mut self, key: ObjectKey, held: Held) {
        if matches!(held.content, Content::Object { .. }) {
            let place = (key.group.clone(), key.kind.clone(), key.namespace.clone());
            self.by_kind.entry(place).or_default().push(key.clone());
        }
        self.objects.insert(key, held);
    }

    /// Takes another cluster for the captured one.
    #[must_use]
    pub fn captured_from(mut self, cluster: &str) -> Self {
        cluster.clone_into(&mut self.archive.cluster);
        self
    }

    /// Adds what is known of needed objects that were deleted before the instant (see [`crate::lacking`]).
    #[must_use]
    pub fn with_departures(mut self, departures: Departures) -> Self {
        self.departures = departures;
        self
    }

    /// Returns when an object went that was deleted before the instant, if that was looked for.
    pub(crate) fn departure(&self, key: &ObjectKey) -> Option<&Departure> {
        self.departures.each.iter().find(|one| one.key == *key)
    }

    /// Returns a record at which everything that went too early is there together with what was asked for.
    pub(crate) fn together(&self) -> Option<Seq> {
        self.departures.together
    }

    /// Marks an object as one whose content the archive withholds.
    #[must_use]
    pub fn with_withheld(mut self, key: ObjectKey) -> Self {
        self.insert(key, Held { seq: Seq(0), content: Content::Withheld });
        self
    }

    /// Marks a kind as not proven: what is not held of it may have existed.
    #[must_use]
    pub fn with_unproven(mut self, group: &str, kind: &str) -> Self {
        self.complete
            .retain(|(known_group, known_kind, _)| (known_group.as_str(), known_kind.as_str()) != (group, kind));
        self
    }

    /// Returns which archive and instant it is.
    #[must_use]
    pub fn archive(&self) -> &ArchiveRef {
        &self.archive
    }

    /// Returns the keys of all objects that exist, in order.
    pub fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.iter().filter(|(_, held)| matches!(held.content, Content::Object { .. })).map(|(key, _)| key)
    }

    /// Returns an object, if it exists and its content is held.
    #[must_use]
    pub fn value(&self, key: &ObjectKey) -> Option<&Value> {
        match &self.objects.get(key)?.content {
            Content::Object { raw, value } => value.get_or_init(|| raw.value().ok()).as_ref(),
            Content::Absent | Content::Withheld => None,
        }
    }

    /// Returns where the bytes of an object are.
    #[must_use]
    pub fn source(&self, key: &ObjectKey) -> Option<Source> {
        let held = self.objects.get(key)?;
        match &held.content {
            Content::Object { raw, .. } => Some(Source { seq: held.seq, content_id: raw.content_id() }),
            Content::Absent | Content::Withheld => None,
        }
    }

    /// Refuses objects that are held but cannot be parsed: they must not look absent.
    pub(crate) fn check_readable(&self, key: &ObjectKey) -> Result<(), RestoreError> {
        match self.objects.get(key) {
            Some(Held { seq, content: Content::Object { raw, value } })
                if value.get_or_init(|| raw.value().ok()).is_none() =>
            {
                let reason = raw.value().map_or_else(|error| error.to_string(), |_| "it is not JSON".to_owned());
                Err(RestoreError::Unreadable { key: Box::new(key.clone()), seq: seq.0, reason })
            }
            _ => Ok(()),
        }
    }
}

impl Content {
    fn object(raw: RawObject) -> Self {
        Self::Object { raw, value: OnceLock::new() }
    }
}

impl graph::World for World {
    fn get(&self, key: &ObjectKey) -> Presence<'_> {
        match self.objects.get(key) {
            Some(Held { content: Content::Object { .. }, .. }) => {
                self.value(key).map_or(Presence::Unknown, Presence::Present)
            }
            Some(Held { content: Content::Withheld, .. }) => Presence::Withheld,
            Some(Held { content: Content::Absent, .. }) | None if self.doubtful || self.unsure.contains(key) => {
                Presence::Unknown
            }
            Some(Held { content: Content::Absent, .. }) => Presence::Absent,
            None => {
                let place = |scope: &str| (key.group.clone(), key.kind.clone(), scope.to_owned());
                let known = self.complete.contains(&place("")) || self.complete.contains(&place(&key.namespace));
                if known { Presence::Absent } else { Presence::Unknown }
            }
        }
    }

    fn select(&self, target: &graph::Target) -> Vec<ObjectKey> {
        let (group, kind, namespace) = target.place();
        let place = (group.to_owned(), kind.to_owned(), namespace.to_owned());
        let candidates = self.by_kind.get(&place).map_or(&[][..], Vec::as_slice);
        candidates.iter().filter(|key| self.value(key).is_some_and(|object| target.matches(object))).cloned().collect()
    }
}
