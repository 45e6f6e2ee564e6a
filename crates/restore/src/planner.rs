//! The pipeline from a state and a request to a plan. Pure: the same inputs give the same bytes.
//!
//! ```text
//! survey -> claims decided -> one step per object -> namespaces, storage classes, missing -> identities
//!        -> owners -> order -> RestorePlan
//! ```
//!
//! Does not: read the cluster or the archive; write anything.

use std::collections::BTreeMap;

use vmrewind_model::{ObjectKey, Timestamp};

use crate::{
    error::RestoreError,
    identity::{self, Taken},
    namespace::Places,
    options::{IdentityPolicy, PlanRequest, VolumePolicy},
    order,
    plan::{
        API_VERSION, Action, DataSource, IdentityField, IdentityRow, Refusal, RefusalKind, RestorePlan, Step, Summary,
        TargetRef, VolumePlan, Warning,
    },
    survey::Survey,
    view::TargetView,
    volumes::{Claims, Fate},
    world::World,
};

mod existing;
mod guest;
mod missing;
mod object;
mod owners;
mod releases;
mod storage;
#[cfg(test)]
mod tests;
mod ties;

/// Makes a plan. What cannot be done stands in it as a refusal; nothing that is concerned is left out.
///
/// # Errors
/// [`RestoreError::Invalid`], [`RestoreError::NoSuchObject`] and [`RestoreError::NothingSelected`] for a request that
/// makes no sense; [`RestoreError::Unreadable`] if the archive holds something that cannot be parsed.
pub fn plan(
    world: &World,
    request: &PlanRequest,
    view: &TargetView,
    created: Timestamp,
) -> Result<RestorePlan, RestoreError> {
    let survey = Survey::of(world, request)?;
    let places = Places::new(&request.mutations);
    let claims = Claims::decide(world, survey.uses.clone(), &request.mutations.volumes, places, view)?;
    let taken = Taken::new(view);
    let mut draft = Draft { world, request, view, places, survey: &survey, claims, taken, out: Output::default() };
    draft.report_claims();
    for (key, candidate) in &survey.candidates {
        draft.object(key, candidate)?;
    }
    draft.uncaptured_disks();
    draft.namespaces()?;
    draft.missing();
    draft.collisions();
    draft.releases();
    draft.owners();
    draft.duplicates();
    draft.warnings();
    let Output { mut steps, volumes, identities, mut warnings, mut refusals, mut missing } = draft.out;
    order::arrange(&mut steps);
    let key_of = |warning: &Warning| warning.key.clone();
    warnings.sort_by(|a, b| (key_of(a), &a.message).cmp(&(key_of(b), &b.message)));
    warnings.dedup();
    refusals.sort_by(|a, b| (a.kind, &a.key, &a.message).cmp(&(b.kind, &b.key, &b.message)));
    refusals.dedup();
    missing.sort_by(|a, b| (&a.from, &a.path, &a.target).cmp(&(&b.from, &b.path, &b.target)));
    let mut plan = RestorePlan {
        api_version: API_VERSION.to_owned(),
        kind: "RestorePlan".to_owned(),
        id: String::new(),
        created,
        archive: world.archive().clone(),
        target: TargetRef { cluster: view.cluster.clone(), server: view.server.clone() },
        request: request.clone(),
        summary: summary(&steps, &volumes, refusals.len(), warnings.len()),
        steps,
        volumes,
        identities,
        warnings,
        refusals,
        missing,
    };
    plan.id = plan.computed_id()?;
    Ok(plan)
}

fn summary(steps: &[Step], volumes: &[VolumePlan], refusals: usize, warnings: usize) -> Summary {
    let mut summary = Summary { actions: BTreeMap::new(), volumes: BTreeMap::new(), refusals, warnings };
    for step in steps {
        *summary.actions.entry(step.action.text().to_owned()).or_default() += 1;
    }
    for volume in volumes {
        *summary.volumes.entry(volume.data_source.text().to_owned()).or_default() += 1;
    }
    summary
}

/// A plan in the making.
struct Draft<'a> {
    world: &'a World,
    request: &'a PlanRequest,
    view: &'a TargetView,
    places: Places<'a>,
    survey: &'a Survey,
    claims: Claims,
    taken: Taken,
    out: Output,
}

/// What has been decided so far.
#[derive(Default)]
struct Output {
    steps: Vec<Step>,
    volumes: Vec<VolumePlan>,
    identities: Vec<IdentityRow>,
    warnings: Vec<Warning>,
    refusals: Vec<Refusal>,
    missing: Vec<crate::plan::Missing>,
}

impl Draft<'_> {
    fn warn(&mut self, key: &ObjectKey, message: impl Into<String>) {
        self.out.warnings.push(Warning { key: Some(key.clone()), message: message.into() });
    }

    fn refuse(&mut self, kind: RefusalKind, key: &ObjectKey, message: impl Into<String>, hint: impl Into<String>) {
        self.out.refusals.push(Refusal { kind, key: key.clone(), message: message.into(), hint: hint.into() });
    }

    /// Lists where the data of each volume comes from, and refuses those without.
    fn report_claims(&mut self) {
        for one in self.claims.uses.clone() {
            let Some((policy, decision)) = self.claims.decisions.get(&one.claim).cloned() else { continue };
            let place = self.places.of(&one.claim);
            let name = one.vm.as_ref().map_or_else(
                || format!("claim {}/{}", place.namespace, place.name),
                |vm| format!("volume {} of {} {} (claim {})", one.volume, vm.kind, vm.name, place.name),
            );
            let departure = self.world.departure(&one.claim).cloned();
            if let Some(hint) = &decision.hint {
                let told = departure.map_or_else(String::new, |one| format!("; {}", one.told()));
                self.refuse(RefusalKind::VolumeData, &place, format!("{name}: {}{told}", decision.why), hint);
            } else if let (DataSource::Reimport, VolumePolicy::Keep, Some(departure)) =
                (decision.source, policy, &departure)
            {
                // The template would fill a disk, but there was one with data, and nobody said that it may be lost.
                let message = format!(
                    "{name}: the machine's template would fill a new disk, but there was one: {}",
                    departure.told()
                );
                let vm = one.vm.as_ref().map_or("", |vm| vm.name.as_str());
                let hint = format!(
                    "Create the claim with its data yourself, or accept a newly filled disk with --volumes {},{vm}/{}=reimport.",
                    self.request.mutations.volumes, one.volume
                );
                self.refuse(RefusalKind::VolumeData, &place, message, hint);
            } else if self.lacks_object(&one.claim, decision.claim, decision.data_volume) {
                let message = format!("{name}: the plan does not restore the claim itself");
                self.refuse(RefusalKind::VolumeData, &place, message, "Select the claim too, or use --with-deps=all.");
            }
            if let Some(warning) = &decision.warning {
                self.warn(&place, format!("{name}: {warning}"));
            }
            self.out.volumes.push(VolumePlan {
                vm: one.vm,
                volume: one.volume,
                claim: place,
                policy,
                data_source: decision.source,
                why: decision.why,
            });
        }
    }

    /// Tells whether a decision wants an object that is not among those restored.
    fn lacks_object(&self, claim: &ObjectKey, fate: Fate, data_volume: Fate) -> bool {
        let data_volume_key = ObjectKey::new("cdi.kubevirt.io", "DataVolume", &claim.namespace, &claim.name);
        match fate {
            Fate::AsCaptured | Fate::Adopt | Fate::Empty => !self.survey.is_restored(claim),
            Fate::Import => data_volume == Fate::Import && !self.survey.is_restored(&data_volume_key),
            Fate::Keep | Fate::Skip => false,
        }
    }

    /// Looks for identities that others have too.
    fn collisions(&mut self) {
        identity::find_collisions(&mut self.out.identities, self.view);
        for row in self.out.identities.clone().iter().filter(|row| !row.also_used_by.is_empty()) {
            let users = row.also_used_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let (what, policy) = match row.field {
                IdentityField::Mac => {
                    (format!("MAC address {} (interface {})", row.after, row.interface), &self.request.mutations.mac)
                }
                IdentityField::Serial => (format!("serial {}", row.after), &self.request.mutations.serial),
                IdentityField::FirmwareUuid => (format!("UUID {}", row.after), &self.request.mutations.firmware_uuid),
            };
            let live = row.also_used_by.iter().any(|key| self.view.identities.iter().any(|one| one.holder == *key));
            if row.field == IdentityField::Mac && *policy == IdentityPolicy::Auto && live {
                let hint = "Choose --mac=regenerate for a new one, or --mac=keep to accept it.";
                self.refuse(RefusalKind::IdentityCollision, &row.vm, format!("{what} is in use by {users}"), hint);
            } else {
                self.warn(&row.vm, format!("{what} is also that of {users}"));
            }
        }
    }

    /// Refuses two captured objects that would become one.
    fn duplicates(&mut self) {
        let mut seen: BTreeMap<ObjectKey, ObjectKey> = BTreeMap::new();
        let written = |step: &&Step| matches!(step.action, Action::Create | Action::Replace | Action::Recreate);
        for step in self.out.steps.clone().iter().filter(written) {
            if let Some(first) = seen.insert(step.key.clone(), step.from.clone()) {
                let message = format!("{first} and {} would both become {}", step.from, step.key);
                let hint = "Restore them one after the other, into different namespaces.";
                self.refuse(RefusalKind::DuplicateDestination, &step.key, message, hint);
            }
        }
    }

    fn warnings(&mut self) {
        for message in &self.survey.graph.warnings {
            self.out.warnings.push(Warning { key: None, message: message.clone() });
        }
        if let Some(reason) = &self.view.identities_unread {
            let message =
                format!("identities of the target's machines could not be read, so collisions may go unseen: {reason}");
            self.out.warnings.push(Warning { key: None, message });
        }
        for root in self.survey.graph.roots.iter().filter(|root| root.is("", "Namespace")) {
            if !self.out.steps.iter().any(|step| step.from.namespace == root.name) {
                let message = format!(
                    "a Namespace is restored without what is in it: select its contents with --namespace {}",
                    root.name
                );
                self.out.warnings.push(Warning { key: Some(self.places.of(root)), message });
            }
        }
    }

    /// Tells what a claim's decision says, in the captured machine's terms.
    fn source_of_state(&self, vm: &ObjectKey) -> Option<DataSource> {
        let state =
            self.claims.uses.iter().find(|one| one.vm.as_ref() == Some(vm) && one.volume == "persistent-state")?;
        self.claims.of(&state.claim).map(|decision| decision.source)
    }
}
