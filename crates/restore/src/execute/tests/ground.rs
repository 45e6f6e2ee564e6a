//! What a plan leaves alone may become another object while it is carried out.

use super::*;

/// Cuts a restore before its last write, which is the power.
fn cut_before_power(stage: &Stage) {
    stage.fake.schedule(std::iter::repeat_n(Fault::None, stage.writes() - 1).chain([Fault::Forbidden]));
    stage.execute().expect_err("cut");
}

fn with_volume() -> Scene {
    let mut objects = disk_machine();
    objects.push(pv("web-root").uid("live-volume"));
    let live = [pvc("web-root").uid("live-claim"), pv("web-root").uid("live-volume"), storage_class("fast")];
    Scene::captured(objects).live(live).roots(&["VirtualMachine/web"])
}

#[test]
fn a_claim_that_was_made_anew_between_cut_and_resume_is_not_booted_from() {
    type Meddle = fn(&mut Value);
    let meddles: [(&str, Meddle); 4] = [
        ("PersistentVolumeClaim/web-root", |claim| claim["metadata"]["uid"] = json!("anew")),
        ("PersistentVolumeClaim/web-root", |claim| claim["status"]["phase"] = json!("Lost")),
        ("PersistentVolumeClaim/web-root", |claim| {
            claim["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:00Z");
        }),
        ("DataVolume/web-root", |disk| disk["metadata"]["uid"] = json!("anew")),
    ];
    for (object, meddle) in meddles {
        let stage = Stage::of(deleted());
        cut_before_power(&stage);
        stage.fake.meddle(&key(object), meddle);
        let written = stage.fake.log();
        let error = stage.resume().expect_err("another disk");
        assert_eq!(error.kind(), ErrorKind::Drifted, "{error}");
        assert!(error.to_string().contains("web-root"), "{error}");
        assert_eq!(stage.fake.log(), written, "nothing was written");
    }
}

#[test]
fn a_volume_that_was_made_anew_under_its_claim_is_not_booted_from() {
    let stage = Stage::of(with_volume());
    cut_before_power(&stage);
    stage.fake.meddle(&key("PersistentVolume/pv-web-root"), |volume| volume["metadata"]["uid"] = json!("anew"));
    assert_eq!(stage.resume().expect_err("another volume").kind(), ErrorKind::Drifted);
}

#[test]
fn a_claim_that_is_made_anew_during_the_execution_is_not_booted_from() {
    let stage = Stage::of(deleted());
    let path = stage.folder.path().join("journal");
    let mut journal = Journal::create(&path, &stage.plan, Timestamp::MIN).expect("created");
    // The plan was checked before it happened.
    stage.fake.meddle(&key("PersistentVolumeClaim/web-root"), |claim| claim["metadata"]["uid"] = json!("anew"));
    let error = stage.with_run(|run| block_on(carry_out(&stage.plan, run, &mut journal))).expect_err("another disk");
    assert_eq!(error.kind(), ErrorKind::Partial, "{error}");
    let machine = stage.fake.live(&key("VirtualMachine/web")).expect("created");
    assert_eq!(machine["spec"]["runStrategy"], "Halted", "it is off");
}

#[test]
fn a_node_that_comes_or_goes_after_the_plan_is_said_and_stops_nothing() {
    let machine = vm("web").running().set_template("nodeSelector", json!({"disk": "nvme"}));
    let mut scene = Scene::captured([machine]).roots(&["VirtualMachine/web"]);
    let node = json!({"metadata": {"name": "n1", "labels": {"disk": "nvme"}}});
    scene.nodes = crate::Nodes::Known(vec![crate::Node::of(&node)]);
    let stage = Stage::of(scene);
    assert!(stage.plan.warnings.is_empty(), "{}", shown(&stage.plan));
    // The cluster has no node any more.
    assert!(stage.execute().expect("executed").verification.is_good());
    let notes = stage.progress.1.lock().expect("a lock").clone();
    assert!(notes.iter().any(|note| note.contains("prod/web: it runs only on nodes with disk=nvme")), "{notes:?}");
}
