use super::*;

fn held_claim() -> Captured<CapturedClaim> {
    Captured::Held(CapturedClaim { volume: "pv-1".into() })
}

fn held_data_volume(succeeded: bool) -> Captured<CapturedDataVolume> {
    Captured::Held(CapturedDataVolume { succeeded, source: ImportSource::Fetch })
}

fn bound(volume: &str) -> LiveClaim {
    LiveClaim { volume: volume.into(), ..LiveClaim::default() }
}

/// A captured disk with its DataVolume, in place, nothing live.
fn lost() -> Facts {
    Facts { in_place: true, claim: held_claim(), data_volume: held_data_volume(true), ..Facts::default() }
}

#[test]
fn a_succeeded_data_volume_with_its_live_claim_adopts_it_and_imports_nothing() {
    let decision = decide(&Facts { live_claim: Some(bound("pv-1")), ..lost() });
    assert_eq!((decision.source, decision.claim, decision.data_volume), (DataSource::Keep, Fate::Keep, Fate::Adopt));
    assert_eq!((decision.hint, decision.warning), (None, None));
}

#[test]
fn a_succeeded_data_volume_whose_claim_is_gone_is_refused_until_the_user_chooses() {
    let decision = decide(&lost());
    assert_eq!(decision.source, DataSource::None);
    let hint = decision.hint.expect("a way out");
    assert!(hint.contains("reimport") && hint.contains("blank") && !hint.contains("rebind"), "{hint}");
    let decision = decide(&Facts { policy: VolumePolicy::Reimport, ..lost() });
    assert_eq!(
        (decision.source, decision.claim, decision.data_volume),
        (DataSource::Reimport, Fate::Import, Fate::Import)
    );
    assert!(decision.warning.expect("a warning").contains("lost"));
    let decision = decide(&Facts { policy: VolumePolicy::Blank, ..lost() });
    assert_eq!((decision.source, decision.claim, decision.data_volume), (DataSource::Blank, Fate::Empty, Fate::Adopt));
}

#[test]
fn a_succeeded_data_volume_without_a_captured_claim_is_refused_or_imported_again() {
    let facts = Facts { claim: Captured::Absent, ..lost() };
    assert_eq!(decide(&facts).source, DataSource::None);
    let decision = decide(&Facts { policy: VolumePolicy::Reimport, ..facts.clone() });
    assert_eq!((decision.source, decision.data_volume), (DataSource::Reimport, Fate::Import));
    let decision = decide(&Facts { policy: VolumePolicy::Blank, ..facts });
    assert_eq!(decision.source, DataSource::None, "nothing says how large the disk must be");
}

#[test]
fn a_live_claim_without_a_data_volume_is_kept_for_the_template_to_adopt() {
    let facts = Facts {
        data_volume: Captured::Absent,
        template: Some(ImportSource::Fetch),
        live_claim: Some(bound("pv-1")),
        ..lost()
    };
    assert_eq!((decide(&facts).source, decide(&facts).claim), (DataSource::Keep, Fate::Keep));
}

#[test]
fn a_lone_live_claim_is_kept() {
    let facts = Facts { data_volume: Captured::Absent, live_claim: Some(bound("pv-1")), ..lost() };
    assert_eq!((decide(&facts).source, decide(&facts).claim), (DataSource::Keep, Fate::Keep));
}

#[test]
fn a_machine_that_had_no_disk_yet_gets_one_from_its_template_with_a_warning() {
    let facts = Facts {
        in_place: true,
        claim: Captured::Absent,
        data_volume: Captured::Absent,
        template: Some(ImportSource::Fetch),
        ..Facts::default()
    };
    let decision = decide(&facts);
    assert_eq!((decision.source, decision.claim, decision.data_volume), (DataSource::Reimport, Fate::Skip, Fate::Skip));
    assert!(decision.warning.is_some());
    let decision = decide(&Facts { claim: Captured::Unknown, ..facts });
    assert_eq!(decision.source, DataSource::None, "an archive that does not know must not guess");
}

#[test]
fn an_unfinished_import_starts_again_and_its_claim_is_not_restored() {
    let decision = decide(&Facts { data_volume: held_data_volume(false), ..lost() });
    assert_eq!(
        (decision.source, decision.claim, decision.data_volume),
        (DataSource::Reimport, Fate::Import, Fate::Import)
    );
}

#[test]
fn a_disk_that_neither_a_claim_nor_a_data_volume_nor_a_template_describes_is_refused_under_every_policy() {
    for policy in [VolumePolicy::Keep, VolumePolicy::Rebind, VolumePolicy::Reimport, VolumePolicy::Blank] {
        let facts = Facts { policy, in_place: true, ..Facts::default() };
        assert_eq!(decide(&facts).source, DataSource::None, "{policy}");
        assert!(decide(&facts).hint.is_some());
    }
}

#[test]
fn a_claim_that_never_was_bound_is_restored_as_it_was() {
    let facts = Facts {
        claim: Captured::Held(CapturedClaim { volume: String::new() }),
        data_volume: Captured::Absent,
        ..lost()
    };
    assert_eq!((decide(&facts).source, decide(&facts).claim), (DataSource::Blank, Fate::AsCaptured));
}

#[test]
fn a_retained_volume_is_bound_again_only_on_request_and_only_if_it_is_free() {
    let free = Facts { live_volume: Some(LiveVolume { obstacle: None }), ..lost() };
    let refused = decide(&free);
    assert_eq!(refused.source, DataSource::None);
    assert!(refused.hint.expect("a way out").contains("rebind"));
    let decision = decide(&Facts { policy: VolumePolicy::Rebind, ..free });
    assert_eq!((decision.source, decision.claim, decision.data_volume), (DataSource::Rebind, Fate::Adopt, Fate::Adopt));
    let taken = LiveVolume { obstacle: Some("it is still bound".into()) };
    let decision = decide(&Facts { policy: VolumePolicy::Rebind, live_volume: Some(taken), ..lost() });
    assert!(decision.source == DataSource::None && decision.why.contains("still bound"));
    assert_eq!(decide(&Facts { policy: VolumePolicy::Rebind, ..lost() }).source, DataSource::None);
}

#[test]
fn a_live_claim_on_another_volume_is_not_the_captured_data_unless_the_user_names_it() {
    let facts = Facts { live_claim: Some(bound("pv-2")), ..lost() };
    assert_eq!(decide(&facts).source, DataSource::None);
    let decision = decide(&Facts { named: true, ..facts });
    assert_eq!(decision.source, DataSource::Keep);
    assert!(decision.warning.expect("a warning").contains("pv-2"));
}

#[test]
fn a_volume_of_the_captured_name_that_is_another_one_is_not_the_captured_data_unless_the_user_names_it() {
    let live = LiveVolume { obstacle: None };
    let kept = Facts { live_claim: Some(bound("pv-1")), other_volume: true, ..lost() };
    let rebound = Facts { policy: VolumePolicy::Rebind, live_volume: Some(live), other_volume: true, ..lost() };
    for (facts, source) in [(kept, DataSource::Keep), (rebound, DataSource::Rebind)] {
        let refused = decide(&facts);
        assert_eq!(refused.source, DataSource::None);
        assert!(refused.why.contains("not the captured one of this name"), "{}", refused.why);
        let chosen = decide(&Facts { named: true, ..facts });
        assert_eq!(chosen.source, source);
        assert!(chosen.warning.expect("a warning").contains("pv-1"));
    }
}

#[test]
fn a_bound_claim_elsewhere_is_not_that_of_a_capture_without_data_unless_the_user_names_it() {
    let facts = Facts {
        in_place: false,
        claim: Captured::Held(CapturedClaim { volume: String::new() }),
        live_claim: Some(bound("pv-9")),
        ..lost()
    };
    assert_eq!(decide(&facts).source, DataSource::None);
    assert_eq!(decide(&Facts { in_place: true, ..facts.clone() }).source, DataSource::Keep);
    assert!(decide(&Facts { named: true, ..facts }).warning.is_some());
}

#[test]
fn a_live_claim_is_never_deleted_whatever_the_policy() {
    for policy in [VolumePolicy::Rebind, VolumePolicy::Reimport, VolumePolicy::Blank] {
        let facts = Facts { policy, live_claim: Some(bound("pv-1")), ..lost() };
        assert_eq!(decide(&facts).source, DataSource::Keep, "{policy} is for what is lost");
        let named = decide(&Facts { named: true, ..facts });
        assert!(named.source == DataSource::None && named.hint.is_some(), "{policy} by name cannot be done");
    }
}

#[test]
fn a_live_claim_without_data_is_refused() {
    for live in
        [bound(""), LiveClaim { deleting: true, ..bound("pv-1") }, LiveClaim { lost: true, ..LiveClaim::default() }]
    {
        assert_eq!(decide(&Facts { live_claim: Some(live.clone()), ..lost() }).source, DataSource::None, "{live:?}");
    }
}

#[test]
fn a_copy_cannot_share_a_claim() {
    let decision = decide(&Facts { in_place: false, ..lost() });
    assert!(decision.source == DataSource::None && decision.why.contains("shared"), "{}", decision.why);
    let decision = decide(&Facts { in_place: false, policy: VolumePolicy::Reimport, ..lost() });
    assert_eq!(decision.source, DataSource::Reimport);
}

#[test]
fn uploaded_data_cannot_be_imported_again() {
    let uploaded = Captured::Held(CapturedDataVolume { succeeded: true, source: ImportSource::Upload });
    let facts = Facts { policy: VolumePolicy::Reimport, data_volume: uploaded, ..lost() };
    assert_eq!(decide(&facts).source, DataSource::None);
    let facts = Facts { policy: VolumePolicy::Reimport, data_volume: Captured::Absent, ..lost() };
    assert_eq!(decide(&facts).source, DataSource::None, "a plain claim has no source at all");
}

#[test]
fn machine_state_is_kept_bound_again_or_given_up_on_request_but_never_imported() {
    let facts = Facts { role: Role::MachineState, data_volume: Captured::Absent, ..lost() };
    assert_eq!(decide(&facts).source, DataSource::None);
    assert_eq!(decide(&Facts { live_claim: Some(bound("pv-1")), ..facts.clone() }).source, DataSource::Keep);
    assert_eq!(decide(&Facts { policy: VolumePolicy::Reimport, ..facts.clone() }).source, DataSource::None);
    let blank = decide(&Facts { policy: VolumePolicy::Blank, ..facts });
    assert_eq!((blank.source, blank.claim), (DataSource::Blank, Fate::Skip));
    assert!(blank.warning.expect("a warning").contains("recovery key"));
}

#[test]
fn a_claim_that_nothing_needs_is_left_out_if_it_is_gone() {
    let facts = Facts { role: Role::NotNeeded, ..lost() };
    assert_eq!((decide(&facts).source, decide(&facts).claim), (DataSource::NotNeeded, Fate::Skip));
}

#[test]
fn a_live_data_volume_without_its_claim_is_refused_because_cdi_would_not_import_again() {
    let live = Some(LiveDataVolume { succeeded: true });
    for policy in [VolumePolicy::Keep, VolumePolicy::Reimport] {
        assert_eq!(decide(&Facts { policy, live_data_volume: live, ..lost() }).source, DataSource::None);
    }
}

#[test]
fn every_way_out_of_lost_data_carries_its_flag_and_is_not_refused_in_turn() {
    let volumes = [None, Some(LiveVolume { obstacle: None }), Some(LiveVolume { obstacle: Some("bound".into()) })];
    for role in [Role::Disk, Role::MachineState] {
        for claim in [Captured::Absent, Captured::Unknown, held_claim()] {
            for source in [ImportSource::Fetch, ImportSource::Blank, ImportSource::Upload, ImportSource::Unknown] {
                for live_volume in volumes.clone() {
                    let data_volume = Captured::Held(CapturedDataVolume { succeeded: true, source });
                    let (flag, claim) = ("keep,web/root".to_owned(), claim.clone());
                    let facts = Facts { flag, role, claim, data_volume, live_volume, ..lost() };
                    check_ways_out(&facts);
                }
            }
        }
    }
}

fn check_ways_out(facts: &Facts) {
    use VolumePolicy::{Blank, Keep, Rebind, Reimport};
    for asked in [Keep, Rebind, Reimport, Blank] {
        let Some(hint) = decide(&Facts { policy: asked, ..facts.clone() }).hint else { continue };
        for offered in [Keep, Rebind, Reimport, Blank] {
            if hint.contains(&format!("--volumes keep,web/root={offered}")) {
                let chosen = decide(&Facts { policy: offered, named: true, ..facts.clone() });
                assert_ne!(chosen.source, DataSource::None, "{facts:?}: {hint}");
            } else {
                assert!(!hint.contains(&format!("choose {offered}")), "{hint}");
            }
        }
    }
}
