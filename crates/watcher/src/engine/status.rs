//! What the engine tells about itself: resume entries for segments, readiness, figures.
//!
//! Does not: keep anything that decisions depend on.

use std::collections::BTreeMap;

use vmrewind_model::{Change, Epoch, Era, ProofState, Record, ResourceId, ResumeEntry, Seq, Timestamp};

use super::State;

/// What was counted since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that watches delivered, bookmarks included.
    pub events: u64,
    /// Records, by the letter of their op.
    pub records: BTreeMap<char, u64>,
    /// Recorded versions of objects, by kind.
    pub versions: BTreeMap<String, u64>,
    /// States that were received although they were recorded already.
    pub duplicates: u64,
    /// Deletions that nobody reported.
    pub inferred: u64,
    /// Versions that were walked back after a 410.
    pub walked_back: u64,
    /// Watches that took over from one that was about to end.
    pub renewals: u64,
    /// Watches that could not go on (410).
    pub expired: u64,
    /// Storage rollbacks.
    pub rollbacks: u64,
    /// Gaps that were opened.
    pub gaps: u64,
    /// Audits that were made.
    pub audits: u64,
    /// What audits found otherwise than the watch had said.
    pub corrections: u64,
    /// Times the buffer was full.
    pub overflows: u64,
}

impl Counters {
    pub(super) fn count(&mut self, record: &Record) {
        *self.records.entry(record.change.op().letter()).or_default() += 1;
        match &record.change {
            Change::Object { key, .. } | Change::Withheld { key, .. } => {
                match self.versions.get_mut(&key.object.kind) {
                    Some(count) => *count += 1,
                    None => {
                        self.versions.insert(key.object.kind.clone(), 1);
                    }
                }
            }
            Change::Gap(gap) if gap.opened.is_none() => self.gaps += 1,
            Change::Gap(_)
            | Change::Deleted { .. }
            | Change::Unobserved { .. }
            | Change::Absent { .. }
            | Change::Heartbeat => {}
        }
    }
}

/// How one resource is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceStatus {
    /// The resource.
    pub id: ResourceId,
    /// Kind of its objects.
    pub kind: String,
    /// How its capture is going.
    pub state: ProofState,
    /// Up to when everything is recorded.
    pub proven_at: Option<Timestamp>,
    /// Verb and reason, if it is not going well.
    pub detail: String,
}

/// How everything is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether resources are known at all.
    pub started: bool,
    /// Every captured resource.
    pub resources: Vec<ResourceStatus>,
    /// Followed objects that exist.
    pub followed: usize,
    /// By-name objects that are wanted and of which nothing is known yet, with what keeps them.
    pub wanted: Vec<(String, String)>,
    /// By-name objects that are known not to exist.
    pub absent: usize,
    /// Gaps that are open.
    pub open_gaps: usize,
    /// Why times are not trusted.
    pub clock: Option<String>,
    /// Whether the buffer is full.
    pub paused: bool,
    /// The newest record.
    pub seq: Seq,
    /// The era of the cluster's storage.
    pub era: Era,
    /// The reign of this process, once it has one.
    pub epoch: Option<Epoch>,
    /// What was counted.
    pub counters: Counters,
}

impl Status {
    /// Why the watcher is not ready; empty if every resource is proven and nothing is wanted.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.started {
            reasons.push("starting: it is not known yet what the cluster serves".to_owned());
        }
        if let Some(clock) = &self.clock {
            reasons.push(format!("clock: {clock}"));
        }
        if self.paused {
            reasons.push("buffer: full, waiting for the store".to_owned());
        }
        for resource in &self.resources {
            let (id, detail) = (&resource.id, &resource.detail);
            match resource.state {
                ProofState::Live | ProofState::Removed => {}
                ProofState::Late => reasons.push(format!("{id}: catching up")),
                ProofState::Relisting => reasons.push(format!("{id}: being listed")),
                ProofState::Stalled => reasons.push(format!("{id}: stalled: {detail}")),
                ProofState::Denied => reasons.push(format!("{id}: denied: {detail}")),
            }
        }
        for (key, detail) in &self.wanted {
            reasons.push(match detail.is_empty() {
                true => format!("{key}: wanted, not fetched yet"),
                false => format!("{key}: wanted, not fetched: {detail}"),
            });
        }
        reasons
    }
}

impl State {
    /// What the segment that holds all records so far is to say of resources: what has changed, or everything.
    pub fn resume_entries(&mut self, full: bool, now: Timestamp) -> Vec<ResumeEntry> {
        let stalled_after = self.rules.stalled_after;
        let current = self
            .resources
            .values()
            .map(|resource| resource.entry(now, stalled_after, self.refused_get(&resource.spec)))
            .chain(self.retired.values().cloned());
        let entries: Vec<ResumeEntry> =
            current.filter(|entry| full || self.told.get(&entry.id) != Some(entry)).collect();
        for entry in &entries {
            self.told.insert(entry.id.clone(), entry.clone());
        }
        entries
    }

    /// Tells whether the state of some resource is another than the newest segment says.
    #[must_use]
    pub fn states_changed(&self, now: Timestamp) -> bool {
        let stalled_after = self.rules.stalled_after;
        self.started
            && self.resources.values().any(|resource| {
                let told = self.told.get(&resource.spec.id).map(|entry| entry.state);
                told != Some(resource.state(now, stalled_after, self.refused_get(&resource.spec)).0)
            })
    }

    /// Tells whether every resource that is doing well is proven up to the newest change, while the newest segment
    /// does not say so yet: a good moment to commit the proof.
    #[must_use]
    pub fn proof_is_news(&self) -> bool {
        let live = || self.resources.values().filter(|resource| resource.live);
        self.changed_at.is_some_and(|changed| {
            live().all(|resource| resource.proven >= Some(changed))
                && live()
                    .any(|resource| self.told.get(&resource.spec.id).is_none_or(|told| told.proven_at < Some(changed)))
        })
    }

    /// The resource that is captured under this id.
    #[must_use]
    pub fn spec(&self, id: &ResourceId) -> Option<&super::ResourceSpec> {
        self.resources.get(id).map(|resource| &resource.spec)
    }

    /// Whether it is known what the cluster serves.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Whether records may be committed: their times can be trusted.
    #[must_use]
    pub fn may_commit(&self) -> bool {
        self.order.trouble().is_none()
    }

    /// Whether a GET of a wanted object is under way, whose answer would best go into the same segment.
    #[must_use]
    pub fn fetching(&self) -> bool {
        self.follow.fetching()
    }

    /// How everything is doing.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        let resources = self.resources.values().map(|resource| {
            let (state, detail) = resource.state(now, self.rules.stalled_after, self.refused_get(&resource.spec));
            ResourceStatus {
                id: resource.spec.id.clone(),
                kind: resource.spec.kind.clone(),
                state,
                proven_at: resource.proven,
                detail,
            }
        });
        let wanted = self
            .follow
            .unknown
            .iter()
            // What is not served or not configured cannot be waited for.
            .filter(|key| self.resource_of(key).is_some())
            .filter_map(|key| self.follow.wants.get(key).map(|want| (key.to_string(), want.fetch.detail.clone())));
        let absent = self.follow.wants.values().filter(|want| want.status == super::follow::Status::Absent).count();
        Status {
            started: self.started,
            resources: resources.collect(),
            followed: self.objects.live.len(),
            wanted: wanted.collect(),
            absent,
            open_gaps: self.gaps.open.len(),
            clock: self.order.trouble().map(str::to_owned),
            paused: self.paused,
            seq: self.order.last_seq(),
            era: self.order.era,
            epoch: None,
            counters: self.counters.clone(),
        }
    }
}
