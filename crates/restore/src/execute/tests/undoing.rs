//! Taking executions back.

use super::*;
use crate::scene::schema;

#[test]
fn undo_after_a_cut_at_any_write_leaves_what_was_there_before() {
    for scene in [deleted as fn() -> Scene, || changed(RunningVm::Stop), || changed(RunningVm::Live)] {
        let well = Stage::of(scene());
        for at in 0..=well.writes() {
            let stage = Stage::of(scene());
            let before = stage.fake.snapshot();
            stage.fake.schedule(std::iter::repeat_n(Fault::None, at).chain([Fault::Forbidden]));
            let executed = stage.execute();
            stage.fake.schedule([]);
            assert_eq!(executed.is_ok(), at == well.writes());
            let outcome = stage.undo();
            assert!(outcome.left.is_empty(), "write {at}: {:?}", outcome.left);
            let after = stage.fake.snapshot();
            let instance = |key: &String| key.starts_with("VirtualMachineInstance");
            let plain = |all: &std::collections::BTreeMap<String, Value>| {
                all.iter()
                    .filter(|(key, _)| !instance(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(plain(&after), plain(&before), "write {at}");
            let keys = |all: &std::collections::BTreeMap<String, Value>| all.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&after), keys(&before), "write {at}: what ran runs, what did not does not");
        }
    }
}

#[test]
fn the_claim_that_a_restored_data_volume_adopted_survives_the_undo() {
    let stage = Stage::of(deleted());
    stage.execute().expect("executed");
    let adopter = stage.fake.live(&key("DataVolume/web-root")).expect("the DataVolume");
    let claim = key("PersistentVolumeClaim/web-root");
    stage.fake.meddle(&claim, |claim| {
        claim["metadata"]["ownerReferences"] =
            json!([{"kind": "DataVolume", "name": "web-root", "uid": adopter["metadata"]["uid"]}]);
    });
    assert!(stage.undo().left.is_empty());
    let claim = stage.fake.live(&claim).expect("the user's disk is still there");
    assert_eq!(claim["metadata"]["ownerReferences"], json!([]));
    assert!(stage.fake.live(&key("DataVolume/web-root")).is_none());
}

#[test]
fn what_was_changed_or_made_anew_since_is_left_and_named() {
    let stage = Stage::of(changed(RunningVm::Live));
    stage.execute().expect("executed");
    stage.fake.meddle(&key("VirtualMachine/web"), |vm| vm["metadata"]["labels"] = json!({"by": "somebody"}));
    let outcome = stage.undo();
    assert!(outcome.undone.is_empty() && outcome.left[0].note.contains("changed"), "{outcome:?}");
    let stage = Stage::of(changed(RunningVm::Live));
    stage.execute().expect("executed");
    stage.fake.meddle(&key("VirtualMachine/web"), |vm| vm["metadata"]["uid"] = json!("another"));
    let outcome = stage.undo();
    assert!(outcome.undone.is_empty() && outcome.left[0].note.contains("another"), "{outcome:?}");
    let stage = Stage::of(deleted());
    stage.execute().expect("executed");
    stage.fake.meddle(&key("Secret/web-ci"), |secret| secret["metadata"]["uid"] = json!("another"));
    let outcome = stage.undo();
    assert_eq!(outcome.left.iter().map(|left| left.key.clone()).collect::<Vec<_>>(), [key("Secret/web-ci")]);
    assert!(stage.fake.live(&key("Secret/web-ci")).is_some());
}

#[test]
fn a_namespace_and_an_imported_disk_are_left_and_named() {
    let stage = Stage::of(deleted().request(|request| {
        request.mutations.namespace_map.insert("prod".into(), "dr".into());
        request.mutations.volumes = "reimport".parse().expect("valid");
        request.create_namespace = true;
    }));
    stage.execute().expect("executed");
    let outcome = stage.undo();
    let left: Vec<String> = outcome.left.iter().map(|left| left.key.to_string()).collect();
    assert_eq!(left, ["Namespace/dr"]);
}

#[test]
fn undo_can_be_repeated_and_an_execution_that_was_taken_back_is_not_resumed() {
    let stage = Stage::of(deleted());
    stage.execute().expect("executed");
    let first = stage.undo();
    assert_eq!(first.undone.len(), stage.writes());
    assert!(stage.undo().undone.is_empty());
    assert_eq!(stage.resume().expect_err("taken back").kind(), ErrorKind::Invalid);
}

#[test]
fn a_revision_that_was_made_anew_comes_back_as_it_was() {
    let machine = vm("web")
        .with_instancetype("VirtualMachineInstancetype", "small")
        .with_revision_in_status("instancetype", "r1");
    let other = revision("r1", &machine).set("data.spec.cpu.guest", 9);
    let stage = Stage::of(
        Scene::captured([revision("r1", &machine), machine.clone()])
            .live([other])
            .roots(&["VirtualMachine/web"])
            .request(|request| request.on_conflict = OnConflict::Replace),
    );
    let outcome = stage.execute().expect("executed");
    assert!(outcome.verification.is_good(), "{:?}", outcome.verification);
    let cpus =
        || stage.fake.live(&key("ControllerRevision/r1")).expect("there")["data"]["spec"]["cpu"]["guest"].clone();
    assert_eq!(cpus(), 1);
    assert!(stage.undo().left.is_empty());
    assert_eq!(cpus(), 9);
}

#[test]
fn every_line_of_a_journal_fits_its_schema() {
    let stage = Stage::of(changed(RunningVm::Stop));
    stage.fake.schedule([Fault::None, Fault::Forbidden]);
    stage.execute().expect_err("cut");
    stage.resume().expect("resumed");
    stage.undo();
    let text = std::fs::read_to_string(stage.folder.path().join("journal")).expect("read");
    for line in text.lines() {
        schema::check("journal.schema.json", &serde_json::from_str(line).expect("JSON"));
    }
    for event in ["intent", "done", "failed", "undone"] {
        assert!(text.contains(&format!("\"event\":\"{event}\"")), "{event} occurs");
    }
}

#[test]
fn what_the_restore_created_and_somebody_edited_is_left_unless_forced_and_is_in_the_journal() {
    let stage = Stage::of(deleted());
    stage.execute().expect("executed");
    stage.fake.meddle(&key("Secret/web-ci"), |secret| secret["data"] = json!({"new": "ZWRpdGVk"}));
    let outcome = stage.undo();
    let left: Vec<_> = outcome.left.iter().map(|left| left.key.clone()).collect();
    assert_eq!(left, [key("Secret/web-ci")], "{outcome:?}");
    assert_eq!(stage.fake.live(&key("Secret/web-ci")).expect("left")["data"], json!({"new": "ZWRpdGVk"}));
    assert!(stage.undo_forced().left.is_empty());
    assert!(stage.fake.live(&key("Secret/web-ci")).is_none());
    let kept =
        stage.journal().entries().iter().any(
            |entry| matches!(&entry.event, Event::Intent { previous: Some(object) } if object["data"] == json!({"new": "ZWRpdGVk"})),
        );
    assert!(kept, "what was deleted can be found");
}

#[test]
fn a_claim_that_was_created_and_is_bound_is_left_unless_forced() {
    let scene = Scene::captured(disk_machine()).live([storage_class("fast")]).roots(&["VirtualMachine/web"]);
    let scene = scene.request(|request| request.mutations.volumes = "blank".parse().expect("valid"));
    let stage = Stage::of(scene);
    stage.execute().expect("executed");
    let claim = key("PersistentVolumeClaim/web-root");
    stage.fake.meddle(&claim, |claim| claim["spec"]["volumeName"] = json!("pv-new"));
    let outcome = stage.undo();
    assert_eq!(outcome.left.iter().map(|left| &left.key).collect::<Vec<_>>(), [&claim], "{outcome:?}");
    assert!(outcome.left[0].note.contains("bound"));
    assert!(stage.fake.live(&claim).is_some());
    assert!(stage.undo_forced().left.is_empty());
    assert!(stage.fake.live(&claim).is_none());
}

#[test]
fn what_an_undo_will_look_at_can_be_shown_first_and_a_namespace_is_left_with_a_way_out() {
    let stage = Stage::of(deleted().request(|request| {
        request.mutations.namespace_map.insert("prod".into(), "dr".into());
        request.mutations.volumes = "reimport".parse().expect("valid");
        request.create_namespace = true;
    }));
    stage.execute().expect("executed");
    let preview = crate::undo_preview(&stage.journal());
    assert_eq!(preview.len(), stage.writes());
    assert_eq!(preview.last().map(|last| last.note.as_str()), Some("left"));
    let outcome = stage.undo();
    assert!(outcome.left[0].note.contains("kubectl delete namespace dr"), "{outcome:?}");
}
