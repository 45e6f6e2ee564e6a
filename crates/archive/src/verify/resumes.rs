//! What resume maps say one after the other: how far each resource is recorded.
//!
//! Does not: say up to when a resource is proven; see [`crate::Timeline`].

use std::collections::BTreeMap;

use vmrewind_model::{Op, ResourceId, ResumeEntry, Rv};

use crate::{ResumeMap, format::line::Line};

/// The newest entry of every resource that is captured.
#[derive(Debug, Default)]
pub(super) struct Resumes {
    told: BTreeMap<ResourceId, Told>,
    /// What is captured, also if it is not known any more what was told of it.
    captured: BTreeMap<ResourceId, ()>,
}

#[derive(Debug)]
struct Told {
    entry: ResumeEntry,
    slot: u64,
}

/// A record that was told before it was there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Its resource was proven up to a later instant.
    Proof(String),
    /// The versions up to a later one were told to be recorded.
    Version(String),
}

impl Resumes {
    /// Takes the map of the next segment, and returns what goes back in it.
    pub(super) fn take(&mut self, slot: u64, map: &ResumeMap) -> Vec<String> {
        let mut odd = Vec::new();
        if map.complete {
            let named = |id: &ResourceId| map.entries.binary_search_by(|entry| entry.id.cmp(id)).is_ok();
            self.told.retain(|id, _| named(id));
            self.captured.clear();
        }
        for entry in &map.entries {
            if let Some(back) = self.told.get(&entry.id).and_then(|told| went_back(told, entry)) {
                odd.push(back);
            }
            self.captured.insert(entry.id.clone(), ());
            self.told.insert(entry.id.clone(), Told { entry: entry.clone(), slot });
        }
        odd
    }

    /// Something is missing here: what comes next is not compared with what was before.
    pub(super) fn hole(&mut self) {
        self.told.clear();
    }

    /// Returns the resources that were last said to be captured.
    pub(super) fn captured(&self) -> Vec<ResourceId> {
        self.captured.keys().cloned().collect()
    }

    /// Looks whether an earlier segment claimed that a record of this one was in it. Call it before [`Self::take`].
    pub(super) fn claim(&self, line: &Line, version: Option<Rv>) -> Option<Claim> {
        let key = &line.head.key.as_ref()?.object;
        let of = |told: &&Told| {
            let ResumeEntry { id, kind, .. } = &told.entry;
            id.group == key.group && *kind == key.kind && (id.scope.is_empty() || id.scope == key.namespace)
        };
        let Told { entry, slot } = self.told.values().find(of)?;
        if let Some(proven) = entry.proven_at.filter(|proven| line.head.t <= *proven) {
            let (t, id) = (line.head.t, &entry.id);
            return Some(Claim::Proof(format!(
                "it is of {t}, and segment {slot} says that {id} was complete up to {proven}"
            )));
        }
        let reported = matches!(line.head.op, Some(Op::Added | Op::Modified | Op::Deleted));
        let plain = reported && line.head.lo.is_none() && line.head.from.is_none() && line.head.era == entry.era;
        let (version, told) = (version.filter(|_| plain)?, entry.rv?);
        let detail =
            || format!("segment {slot} says that {} was recorded up to version {told}, it is of {version}", entry.id);
        (version <= told).then(|| Claim::Version(detail()))
    }
}

/// Says what an entry takes back of what was told before.
fn went_back(told: &Told, entry: &ResumeEntry) -> Option<String> {
    let (before, slot) = (&told.entry, told.slot);
    let id = &entry.id;
    if entry.era < before.era {
        return Some(format!("the era of {id} is {}, in segment {slot} it was {}", entry.era, before.era));
    }
    if let (Some(now), Some(was)) = (entry.rv, before.rv)
        && entry.era == before.era
        && now < was
    {
        return Some(format!("the version of {id} is {now}, in segment {slot} it was {was}"));
    }
    match (entry.proven_at, before.proven_at) {
        (Some(now), Some(was)) if now < was => {
            Some(format!("{id} is proven up to {now}, in segment {slot} it was up to {was}"))
        }
        (None, Some(was)) => Some(format!("{id} is not proven at all, in segment {slot} it was up to {was}")),
        _ => None,
    }
}
