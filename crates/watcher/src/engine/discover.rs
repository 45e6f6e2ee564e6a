//! Resources come and go with what the server serves.
//!
//! Does not: know which kinds are in scope; see `crate::scope`.

use std::collections::{BTreeMap, BTreeSet};

use vmrewind_model::{GapCause, ProofState, ResourceId};

use super::{
    State,
    io::{Choice, Out, ResourceSpec, Ticket},
    resource::{Phase, Relist, Resource},
};

impl State {
    /// Compares what is served and in scope with what is captured.
    pub(super) fn discovered(&mut self, out: &mut Out, served: Vec<ResourceSpec>, stale: &BTreeSet<String>) {
        let first = self.discovered_at.is_none();
        self.account_for_damage(out);
        // A type that was not served until the last look held nothing until then.
        let since = self.discovered_at.or(self.order.last_t()).unwrap_or(out.wall);
        self.discovered_at = Some(out.wall);
        let mut missing: BTreeMap<ResourceId, ()> = self.resources.keys().map(|id| (id.clone(), ())).collect();
        missing.extend(self.retired.keys().map(|id| (id.clone(), ())));
        for spec in served {
            missing.remove(&spec.id);
            self.absent_since.remove(&spec.id);
            self.serve(out, spec, since);
        }
        for id in missing.into_keys().filter(|id| !stale.contains(&id.group)) {
            let absent = *self.absent_since.entry(id.clone()).or_insert(out.now);
            if out.now.since(absent) >= self.rules.removed_after {
                self.remove(out, &id);
            }
        }
        if first {
            self.started = true;
        }
        self.release_queued(out);
        self.tend_wants(out);
    }

    fn serve(&mut self, out: &mut Out, spec: ResourceSpec, since: vmrewind_model::Timestamp) {
        let id = spec.id.clone();
        if let Some(resource) = self.resources.get_mut(&id) {
            let moved = resource.spec.api_version != spec.api_version;
            let removed = matches!(resource.phase, Phase::Removed);
            resource.spec = spec;
            if moved || removed {
                self.begin(out, &id);
            }
            return;
        }
        let audit_at = self.audit_time(out.now);
        let mut resource = Resource::new(spec, self.order.era, since, audit_at);
        if let Some(entry) = self.retired.remove(&id) {
            resource.rv = entry.rv;
            resource.era = entry.era;
            resource.proven = entry.proven_at;
            resource.audit = super::audit::Audit::new(audit_at, resource.last_proven());
            resource.relist = self.is_damaged(&id).then_some(Relist::Damaged);
        }
        let go = resource.rv.is_some() || resource.spec.root || resource.spec.choice == Choice::ByName;
        self.resources.insert(id.clone(), resource);
        if go {
            self.begin(out, &id);
        }
    }

    /// The type is gone. Nothing is inferred of its objects.
    fn remove(&mut self, out: &mut Out, id: &ResourceId) {
        if let Some(entry) = self.retired.get_mut(id) {
            if entry.state != ProofState::Removed {
                entry.state = ProofState::Removed;
                if let Some(from) = entry.proven_at {
                    let detail = "not served, or not configured any more".to_owned();
                    self.open_gap(out, id, None, from, GapCause::Removed, detail);
                }
            }
            return;
        }
        let Some(resource) = self.resources.get_mut(id) else { return };
        if matches!(resource.phase, Phase::Removed) {
            return;
        }
        resource.stop_watches(&mut out.actions);
        resource.phase = Phase::Removed;
        resource.ticket = Ticket::default();
        resource.live = false;
        resource.trouble = None;
        let from = resource.last_proven();
        self.open_gap(out, id, None, from, GapCause::Removed, "the type is not served any more".into());
    }
}
