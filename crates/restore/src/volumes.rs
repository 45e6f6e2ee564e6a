//! Where the data of a claim comes from: one decision per claim, from facts alone.
//!
//! The rule behind all rows: a machine is never started on a disk whose data is not known to be there, unless the
//! user chose so. A DataVolume that is marked as populated over a claim without data would bind an empty disk and
//! report success (`kubevirt/containerized-data-importer: pkg/controller/datavolume/import-controller.go`).
//!
//! Does not: look at objects; `facts` reads them.

use crate::{options::VolumePolicy, plan::DataSource};

mod facts;
mod terms;
#[cfg(test)]
mod tests;

pub(crate) use facts::{ClaimUse, Claims, data_volume_key, uses, volume_key};
pub(crate) use terms::{
    Captured, CapturedClaim, CapturedDataVolume, Decision, Facts, Fate, ImportSource, LiveClaim, LiveDataVolume,
    LiveVolume, Role,
};

/// Decides. Total: every combination of facts has an answer, and only combinations with data (or a choice of the
/// user) have one that is not a refusal.
pub(crate) fn decide(facts: &Facts) -> Decision {
    if let Some(live) = &facts.live_claim {
        return with_live_claim(facts, live);
    }
    if facts.role == Role::NotNeeded {
        return Decision::new(
            DataSource::NotNeeded,
            Fate::Skip,
            Fate::Skip,
            "nothing that is restored needs its data, and the claim is gone",
        );
    }
    if facts.live_data_volume.is_some() && facts.policy != VolumePolicy::Blank && facts.policy != VolumePolicy::Rebind {
        return Decision::refused(
            "the DataVolume is there but its claim is gone, so its data is gone as well",
            format!("Delete the DataVolume and plan again. {}", ways_out(facts, source_of(facts))),
        );
    }
    match (facts.claim.held(), facts.data_volume.held()) {
        (None, None) => without_objects(facts),
        (_, Some(data_volume)) if !data_volume.succeeded && facts.policy != VolumePolicy::Blank => Decision::new(
            DataSource::Reimport,
            Fate::Import,
            Fate::Import,
            "its import had not finished when it was captured, so it is imported again",
        ),
        (Some(claim), None) if claim.volume.is_empty() => Decision::new(
            DataSource::Blank,
            Fate::AsCaptured,
            Fate::Skip,
            "the claim was not bound when it was captured, so it had no data",
        ),
        (claim, data_volume) => with_lost_data(facts, claim, data_volume),
    }
}

/// The live claim exists: it is never deleted, and used only if it holds the data.
fn with_live_claim(facts: &Facts, live: &LiveClaim) -> Decision {
    // A live DataVolume is compared like any other object; a missing one adopts the claim.
    let data_volume = if facts.live_data_volume.is_some() { Fate::Keep } else { Fate::Adopt };
    let keep = |why: &str| Decision::new(DataSource::Keep, Fate::Keep, data_volume, why);
    if live.deleting {
        return Decision::refused(
            "the live claim is being deleted, and its data with it",
            "Wait until it is gone, then plan again: the plan then lists what can be done.",
        );
    }
    if facts.role == Role::NotNeeded {
        return keep("the live claim stays as it is");
    }
    if live.lost {
        return Decision::refused(
            "the live claim has lost its persistent volume",
            format!("Delete the claim. {}", ways_out(facts, source_of(facts))),
        );
    }
    if facts.named && facts.policy != VolumePolicy::Keep {
        return Decision::refused(
            format!("a live claim exists, and a restore never deletes one, so {} is not possible", facts.policy),
            format!(
                "Delete the claim yourself if its data is not wanted any more, or choose {}.",
                facts.choose(VolumePolicy::Keep)
            ),
        );
    }
    let captured = facts.claim.held().map(|claim| claim.volume.as_str());
    if live.volume.is_empty() {
        return match captured {
            Some("") => keep("neither the captured nor the live claim is bound: there is no data yet"),
            _ if facts.policy == VolumePolicy::Blank => Decision::new(
                DataSource::Blank,
                Fate::Keep,
                data_volume,
                "the live claim is not bound yet: an empty disk",
            ),
            _ if facts.policy == VolumePolicy::Reimport
                && facts.live_data_volume.is_some_and(|live| !live.succeeded) =>
            {
                Decision::new(DataSource::Reimport, Fate::Keep, Fate::Keep, "the live DataVolume is importing it")
            }
            _ => Decision::refused(
                "the live claim is not bound, so it holds no data",
                format!("Wait for it if it is being filled, or delete it. {}", ways_out(facts, source_of(facts))),
            ),
        };
    }
    match captured {
        Some(volume) if volume == live.volume && !facts.other_volume => {
            keep("the live claim is bound to the captured volume")
        }
        Some("") if facts.in_place => keep("the live claim holds data; the captured one was not bound yet"),
        _ if facts.named => keep("the live claim is used as it is, as you chose")
            .warn(format!("its data is that of volume {}, which is not known to be the captured data", live.volume)),
        Some(volume) => Decision::refused(
            match volume {
                "" => format!("the live claim is bound to volume {}, the captured one was not bound yet", live.volume),
                _ if volume == live.volume => {
                    format!("the live claim is bound to a volume {volume} that is not the captured one of this name")
                }
                _ => {
                    format!("the live claim is bound to volume {}, the captured one was bound to {volume}", live.volume)
                }
            },
            format!(
                "Its data is not known to be the captured data. Use it nevertheless with {}.",
                facts.choose(VolumePolicy::Keep)
            ),
        ),
        None if facts.in_place => keep("the live claim holds data; the archive does not hold the claim")
            .warn("the archive does not hold the claim, so its data cannot be compared with the captured one"),
        None => Decision::refused(
            "a live claim exists, but the archive does not hold the claim, so nothing shows that its data belongs here",
            format!("Use it nevertheless with {}.", facts.choose(VolumePolicy::Keep)),
        ),
    }
}

/// The archive holds neither claim nor DataVolume.
fn without_objects(facts: &Facts) -> Decision {
    if facts.role == Role::MachineState {
        return Decision::new(
            DataSource::Blank,
            Fate::Skip,
            Fate::Skip,
            "there was no state yet when it was captured: KubeVirt creates it",
        );
    }
    let unknown = facts.claim.unknown() || facts.data_volume.unknown();
    match facts.template {
        Some(ImportSource::Upload | ImportSource::Unknown) => Decision::refused(
            "neither a claim nor a DataVolume was captured, and the source of its template cannot be fetched again",
            "Create the claim with its data yourself, then restore again.",
        ),
        Some(_) if unknown && facts.policy != VolumePolicy::Reimport => Decision::refused(
            "the archive does not know whether there was data",
            format!("Fill the disk from the source of its template with {}.", facts.choose(VolumePolicy::Reimport)),
        ),
        Some(_) => Decision::new(
            DataSource::Reimport,
            Fate::Skip,
            Fate::Skip,
            "there was no disk yet when it was captured: the machine's template makes one",
        )
        .warn("the disk is filled from its template: what it holds may differ from what the machine once had"),
        None => Decision::refused(
            "the archive holds neither a claim nor a DataVolume, and no template describes it",
            "Create the claim with its data yourself, then restore again.",
        ),
    }
}

/// There was data, and there is no live claim.
fn with_lost_data(facts: &Facts, claim: Option<&CapturedClaim>, data_volume: Option<&CapturedDataVolume>) -> Decision {
    let source = data_volume.map(|data_volume| data_volume.source).or(facts.template);
    let state = facts.role == Role::MachineState;
    match facts.policy {
        VolumePolicy::Keep => Decision::refused(
            if facts.in_place {
                "the claim is gone, so its data cannot be shown to exist"
            } else {
                "a claim cannot be shared with a copy, and there is none with its data at the destination"
            },
            ways_out(facts, source),
        ),
        VolumePolicy::Rebind => rebind(facts, claim),
        VolumePolicy::Reimport if state => Decision::refused(
            "state of a vTPM or of EFI variables cannot be imported",
            format!(
                "Start with empty state with {} (the guest may ask for its recovery key).",
                facts.choose(VolumePolicy::Blank)
            ),
        ),
        VolumePolicy::Reimport => match source {
            Some(ImportSource::Fetch | ImportSource::Blank) => {
                let data_volume = if data_volume.is_some() { Fate::Import } else { Fate::Skip };
                Decision::new(DataSource::Reimport, Fate::Import, data_volume, "CDI fetches it again, as you chose")
                    .warn("the disk is imported again: what was written to it since its first import is lost")
            }
            Some(ImportSource::Upload | ImportSource::Unknown) => Decision::refused(
                "its data was uploaded (or comes from an unknown source) and cannot be fetched again",
                ways_out(facts, source),
            ),
            None => Decision::refused(
                "no DataVolume and no template says where its data came from",
                ways_out(facts, source),
            ),
        },
        VolumePolicy::Blank if state => {
            Decision::new(DataSource::Blank, Fate::Skip, Fate::Skip, "KubeVirt creates empty state, as you chose")
                .warn("the state of the vTPM or of the EFI variables is lost: the guest may ask for its recovery key")
        }
        VolumePolicy::Blank if claim.is_none() => Decision::refused(
            "the archive does not hold the claim, so nothing says how large an empty disk must be",
            ways_out(facts, source),
        ),
        VolumePolicy::Blank => {
            Decision::new(DataSource::Blank, Fate::Empty, Fate::Adopt, "an empty disk, as you chose")
                .warn("the disk is empty: its captured data is not restored")
        }
    }
}

fn rebind(facts: &Facts, claim: Option<&CapturedClaim>) -> Decision {
    let volume = claim.map(|claim| claim.volume.as_str()).filter(|volume| !volume.is_empty());
    match (volume, &facts.live_volume) {
        (None, _) => Decision::refused(
            "the captured claim was not bound to a persistent volume",
            ways_out(facts, source_of(facts)),
        ),
        (Some(volume), None) => Decision::refused(
            format!("persistent volume {volume} does not exist any more"),
            ways_out(facts, source_of(facts)),
        ),
        (Some(volume), Some(LiveVolume { obstacle: Some(obstacle) })) => Decision::refused(
            format!("persistent volume {volume} cannot be bound again: {obstacle}"),
            format!("Free the volume and plan again. {}", ways_out(facts, source_of(facts))),
        ),
        (Some(volume), Some(LiveVolume { obstacle: None })) if facts.other_volume && !facts.named => Decision::refused(
            format!("persistent volume {volume} is not the captured one of this name"),
            format!(
                "Its data is not known to be the captured data. Use it nevertheless with {}.",
                facts.choose(VolumePolicy::Rebind)
            ),
        ),
        (Some(volume), Some(LiveVolume { obstacle: None })) => {
            let decision = |why: &str| {
                let reason = format!("persistent volume {volume} {why}");
                Decision::new(DataSource::Rebind, Fate::Adopt, Fate::Adopt, reason)
            };
            if facts.other_volume {
                return decision("is bound, as you chose")
                    .warn(format!("volume {volume} is not known to be the captured one of this name"));
            }
            decision("is still there and is bound again")
        }
    }
}

fn source_of(facts: &Facts) -> Option<ImportSource> {
    facts.data_volume.held().map(|data_volume| data_volume.source).or(facts.template)
}

/// Lists what the user may choose, each with its flag, and nothing that would be refused again.
fn ways_out(facts: &Facts, source: Option<ImportSource>) -> String {
    let mut ways = Vec::new();
    let mut offer = |policy, what: &str| ways.push(format!("{} ({what})", facts.choose(policy)));
    let bound = facts.claim.held().is_some_and(|claim| !claim.volume.is_empty());
    let free = facts.live_volume.as_ref().is_some_and(|volume| volume.obstacle.is_none());
    if bound && free && !facts.other_volume {
        offer(VolumePolicy::Rebind, "its persistent volume is still there");
    }
    if facts.role == Role::MachineState {
        offer(VolumePolicy::Blank, "empty state; the guest may ask for its recovery key");
    } else {
        if matches!(source, Some(ImportSource::Fetch | ImportSource::Blank)) {
            offer(VolumePolicy::Reimport, "CDI fetches it again");
        }
        if facts.claim.held().is_some() {
            offer(VolumePolicy::Blank, "an empty disk");
        }
    }
    if ways.is_empty() {
        return "Create the claim with its data yourself.".to_owned();
    }
    format!("Choose {}, or create the claim with its data yourself.", ways.join(" or "))
}
