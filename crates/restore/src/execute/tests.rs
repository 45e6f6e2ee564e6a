use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use vmrewind_testkit::build::{Build, config_map, dv, namespace, pv, pvc, revision, secret, storage_class, vm, vmi_of};

use super::*;
use crate::{
    Check, DataSource, ErrorKind, OnConflict, Quiet, RunningVm, StepState, UndoOutcome, dry_run,
    plan::Step,
    scene::{
        Scene,
        fake::{Fake, Fault},
        key, place, shown,
    },
    undo,
};

mod collected;
mod faults;
mod ground;
mod pools;
mod undoing;
mod waves;

fn disk_machine() -> Vec<Build> {
    let machine = vm("web")
        .running()
        .with_template_disk("web-root")
        .with_cloud_init_secret("web-ci")
        .with_firmware("5d307ca9-b3ef-428c-8861-06e72d69f223", "S1");
    let disk = dv("web-root").owned_by(&machine);
    let claim = pvc("web-root").owned_by(&disk);
    let machine =
        machine.with_instancetype("VirtualMachineInstancetype", "small").with_revision_in_status("instancetype", "r1");
    vec![revision("r1", &machine), vmi_of(&machine), machine, disk, claim, secret("web-ci")]
}

fn live_storage() -> Vec<Build> {
    vec![pvc("web-root").uid("live-claim"), pv("web-root"), storage_class("fast")]
}

/// A deleted VM whose disk is alive.
fn deleted() -> Scene {
    Scene::captured(disk_machine()).live(live_storage()).roots(&["VirtualMachine/web"])
}

/// Runs to the end; nothing here waits for anything outside.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// A scene that is played on a fake cluster.
pub(super) struct Stage {
    pub(super) scene: Scene,
    pub(super) fake: Fake,
    pub(super) plan: RestorePlan,
    folder: tempfile::TempDir,
    progress: Recorder,
    stop_after: AtomicUsize,
}

/// Remembers what it was told.
#[derive(Default)]
struct Recorder(Mutex<Vec<(u32, StepState)>>, Mutex<Vec<String>>);

impl Progress for Recorder {
    fn begin(&self, _: &str, _: usize) {}
    fn step(&self, step: &Step, state: StepState) {
        self.0.lock().expect("a lock").push((step.id, state));
    }
    fn tick(&self) {}
    fn note(&self, note: &str) {
        self.1.lock().expect("a lock").push(note.to_owned());
    }
}

impl Stage {
    pub(super) fn of(scene: Scene) -> Self {
        let plan = scene.plan();
        let fake = Fake::of(&scene.live);
        let folder = tempfile::tempdir().expect("a folder");
        Self { scene, fake, plan, folder, progress: Recorder::default(), stop_after: AtomicUsize::new(usize::MAX) }
    }

    fn with_run<T>(&self, act: impl FnOnce(&Run<'_>) -> T) -> T {
        let now = || Timestamp::MIN;
        let cancelled = || {
            let left = self.stop_after.load(Ordering::Relaxed);
            self.stop_after.store(left.saturating_sub(1), Ordering::Relaxed);
            left == 0
        };
        act(&Run {
            world: &self.scene.world,
            target: &self.fake,
            progress: &self.progress,
            now: &now,
            cancelled: &cancelled,
        })
    }

    pub(super) fn execute(&self) -> Result<Outcome, RestoreError> {
        let path = self.folder.path().join("journal");
        let mut journal = Journal::create(&path, &self.plan, Timestamp::MIN)?;
        self.with_run(|run| block_on(execute(&self.plan, run, &mut journal)))
    }

    pub(super) fn journal(&self) -> Journal {
        Journal::open(&self.folder.path().join("journal")).expect("a journal")
    }

    pub(super) fn resume(&self) -> Result<Outcome, RestoreError> {
        let mut journal = self.journal();
        self.with_run(|run| block_on(resume(run, &mut journal)))
    }

    pub(super) fn undo(&self) -> UndoOutcome {
        let mut journal = self.journal();
        self.with_run(|run| block_on(undo(run, &mut journal))).expect("undone")
    }

    fn undo_forced(&self) -> UndoOutcome {
        let mut journal = self.journal();
        let options = crate::UndoOptions { force: true };
        self.with_run(|run| {
            let run = Run { world: &World::none(), ..*run };
            block_on(crate::undo_with(&run, &mut journal, options))
        })
        .expect("undone")
    }

    /// How many writes the plan makes.
    pub(super) fn writes(&self) -> usize {
        self.plan.writes().count()
    }
}

#[test]
fn a_deleted_machine_is_created_off_owned_switched_on_last_and_verified() {
    let stage = Stage::of(deleted());
    let outcome = stage.execute().expect("executed");
    assert!(outcome.verification.is_good(), "{:?}", outcome.verification);
    assert_eq!((outcome.done, outcome.already_done), (stage.writes(), 0));
    let log = stage.fake.log();
    assert_eq!(log.last().map(String::as_str), Some("patch VirtualMachine.kubevirt.io/prod/web"));
    let machine = stage.fake.live(&key("VirtualMachine/web")).expect("the machine");
    assert_eq!(machine["spec"]["runStrategy"], "Always");
    for object in ["DataVolume/web-root", "ControllerRevision/r1"] {
        let owners = stage.fake.live(&key(object)).expect("there")["metadata"]["ownerReferences"].clone();
        assert_eq!(
            (&owners[0]["uid"], &owners[0]["controller"]),
            (&machine["metadata"]["uid"], &json!(true)),
            "{object}"
        );
    }
    let claim = stage.fake.live(&key("PersistentVolumeClaim/web-root")).expect("the claim");
    assert_eq!(claim, live_storage()[0].clone().json(), "the live claim was not touched");
}

#[test]
fn doing_it_again_finds_nothing_to_do() {
    let stage = Stage::of(deleted());
    stage.execute().expect("executed");
    let live: Vec<Value> =
        stage.fake.snapshot().keys().filter_map(|key| stage.fake.live(&key.parse().expect("a key"))).collect();
    let mut scene = deleted();
    scene.live = live;
    let plan = scene.plan();
    assert!(plan.is_noop() && plan.refusals.is_empty(), "{}", shown(&plan));
}

#[test]
fn a_copy_goes_into_a_new_namespace() {
    let stage = Stage::of(deleted().request(|request| {
        request.mutations.namespace_map.insert("prod".into(), "dr".into());
        request.mutations.volumes = "reimport".parse().expect("valid");
        request.create_namespace = true;
    }));
    let outcome = stage.execute().expect("executed");
    assert!(outcome.verification.is_good(), "{:?}", outcome.verification);
    assert_eq!(stage.fake.log()[0], "create Namespace/dr");
    let before: Vec<_> = stage.scene.live.iter().filter_map(graph::key).collect();
    assert!(before.iter().all(|key| stage.fake.live(key).is_some()), "what was there is there");
}

#[test]
fn a_retained_volume_is_freed_for_its_claim() {
    let retained =
        pv("web-root").set("spec.persistentVolumeReclaimPolicy", "Retain").phase("Released").uid("live-volume");
    let stage = Stage::of(
        Scene::captured(disk_machine())
            .live([retained, storage_class("fast")])
            .roots(&["VirtualMachine/web"])
            .request(|request| request.mutations.volumes = "rebind".parse().expect("valid")),
    );
    assert_eq!(stage.plan.volumes[0].data_source, DataSource::Rebind);
    assert!(stage.execute().expect("executed").verification.is_good());
    let volume = stage.fake.live(&key("PersistentVolume/pv-web-root")).expect("the volume");
    assert_eq!(
        volume["spec"]["claimRef"],
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "prod", "name": "web-root"})
    );
    let claim = stage.fake.live(&key("PersistentVolumeClaim/web-root")).expect("the claim");
    assert_eq!(claim["spec"]["volumeName"], "pv-web-root");
    assert_eq!(claim["metadata"]["annotations"]["cdi.kubevirt.io/storage.populatedFor"], "web-root");
}

/// A running VM whose memory was changed since.
fn changed(running: RunningVm) -> Scene {
    let captured = vm("web").running().with_firmware("5d307ca9-b3ef-428c-8861-06e72d69f223", "S1");
    let live = captured
        .clone()
        .set_template("domain.memory.guest", "8Gi")
        .finalizer("kubevirt.io/virtualMachineControllerFinalize")
        .uid("live-vm");
    Scene::captured([captured.clone(), vmi_of(&captured)])
        .live([vmi_of(&live), live])
        .roots(&["VirtualMachine/web"])
        .request(|request| {
            request.on_conflict = OnConflict::Replace;
            request.running = running;
        })
}

#[test]
fn a_running_machine_is_stopped_replaced_and_switched_on_again() {
    let stage = Stage::of(changed(RunningVm::Stop));
    let outcome = stage.execute().expect("executed");
    assert!(outcome.verification.is_good(), "{:?}", outcome.verification);
    assert_eq!(
        stage.fake.log(),
        ["patch", "replace", "patch"].map(|verb| format!("{verb} VirtualMachine.kubevirt.io/prod/web"))
    );
    let machine = stage.fake.live(&key("VirtualMachine/web")).expect("the machine");
    assert_eq!(machine["spec"]["template"]["spec"]["domain"]["memory"]["guest"], "2Gi");
    assert_eq!((&machine["spec"]["runStrategy"], &machine["metadata"]["uid"]), (&json!("Always"), &json!("live-vm")));
    assert_eq!(
        machine["metadata"]["finalizers"][0], "kubevirt.io/virtualMachineControllerFinalize",
        "its controller keeps its hold"
    );
}

#[test]
fn a_machine_is_replaced_live_without_a_stop() {
    let stage = Stage::of(changed(RunningVm::Live));
    assert!(stage.execute().expect("executed").verification.is_good());
    assert_eq!(stage.fake.log(), ["replace VirtualMachine.kubevirt.io/prod/web"]);
}

#[test]
fn what_is_replaced_keeps_its_owners_its_status_and_its_finalizers() {
    let stage = Stage::of(changed(RunningVm::Live));
    let owners = json!([{"apiVersion": "example.test/v1", "kind": "Fleet", "name": "f", "uid": "fleet"}]);
    stage.fake.meddle(&key("VirtualMachine/web"), |vm| vm["metadata"]["ownerReferences"] = owners.clone());
    stage.execute().expect("executed");
    let machine = stage.fake.live(&key("VirtualMachine/web")).expect("the machine");
    assert_eq!(machine["metadata"]["ownerReferences"], owners);
    assert_eq!(machine["metadata"]["finalizers"], json!(["kubevirt.io/virtualMachineControllerFinalize"]));
    assert_eq!(machine["status"]["printableStatus"], "Running");
}

#[test]
fn a_plan_with_refusals_is_not_executed() {
    let stage =
        Stage::of(deleted().request(|request| request.mutations.volumes = "web-root=reimport".parse().expect("valid")));
    assert_eq!(stage.execute().expect_err("refused").kind(), ErrorKind::Refused);
    assert!(stage.fake.log().is_empty());
}

#[test]
fn a_plan_whose_ground_moved_is_not_executed() {
    let stage = Stage::of(changed(RunningVm::Live));
    stage.fake.meddle(&key("VirtualMachine/web"), |vm| {
        vm["spec"]["template"]["spec"]["domain"]["memory"]["guest"] = json!("16Gi");
    });
    let error = stage.execute().expect_err("drifted");
    assert_eq!(error.kind(), ErrorKind::Drifted);
    assert!(error.to_string().contains("VirtualMachine.kubevirt.io/prod/web"), "{error}");
    let stage = Stage::of(deleted());
    stage.fake.remove(&key("PersistentVolumeClaim/web-root"));
    assert_eq!(stage.execute().expect_err("drifted").kind(), ErrorKind::Drifted);
    assert!(stage.fake.log().is_empty());
}

#[test]
fn what_does_not_matter_may_move() {
    let stage = Stage::of(changed(RunningVm::Live));
    stage.fake.meddle(&key("VirtualMachine/web"), |vm| vm["status"]["printableStatus"] = json!("Paused"));
    assert!(stage.execute().expect("executed").verification.is_good());
}

#[test]
fn a_plan_for_another_cluster_or_from_another_archive_is_not_executed() {
    let mut stage = Stage::of(deleted());
    stage.plan.target.cluster = "cluster-2".into();
    assert!(matches!(stage.execute(), Err(RestoreError::OtherCluster { .. })));
    let mut stage = Stage::of(deleted());
    stage.plan.archive.uuid = "other".into();
    assert!(matches!(stage.execute(), Err(RestoreError::OtherArchive { .. })));
    assert!(stage.fake.log().is_empty());
}

#[test]
fn an_archive_that_yields_other_bytes_is_refused() {
    let mut stage = Stage::of(deleted());
    let mut objects = disk_machine();
    objects[5] = config_map("web-ci").set("kind", "Secret").set("data", json!({"key": "b3RoZXI="}));
    stage.scene = Scene::captured(objects).live(live_storage()).roots(&["VirtualMachine/web"]);
    assert!(matches!(stage.execute(), Err(RestoreError::OtherBytes { .. })));
    assert!(stage.fake.log().is_empty());
}

#[test]
fn a_plan_file_is_private_survives_and_shows_tampering() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::of(deleted());
    let path = stage.folder.path().join("plan.json");
    stage.plan.save(&path).expect("saved");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(RestorePlan::load(&path).expect("loaded"), stage.plan);
    let text = std::fs::read_to_string(&path).expect("read");
    assert!(!text.contains("dmFsdWU="), "no content of a Secret");
    std::fs::write(&path, text.replace("\"Halted\"", "\"Always\"").replace("web-ci", "web-cj")).expect("tampered");
    assert!(matches!(RestorePlan::load(&path), Err(RestoreError::Format { .. })));
}

#[test]
fn the_server_is_asked_without_storing_anything_and_what_it_would_drop_is_listed() {
    let machine = vm("web").set("spec.unknownToTheSchema", 1).with_secret("s1");
    let scene = Scene::captured([machine, secret("s1")]).live([namespace("other")]).roots(&["VirtualMachine/web"]);
    let mut stage = Stage::of(scene);
    let before = stage.fake.snapshot();
    block_on(dry_run(&mut stage.plan, &stage.scene.world, &stage.fake, &Quiet)).expect("asked");
    crate::scene::schema::check("plan.schema.json", &serde_json::to_value(&stage.plan).expect("JSON"));
    assert_eq!(stage.fake.snapshot(), before);
    assert_eq!(stage.fake.dry().len(), 2);
    let machine = stage.plan.steps.iter().find(|step| step.key == key("VirtualMachine/web")).expect("a step");
    let expected = Check::Ok { pruned: vec!["spec.unknownToTheSchema".into()], warnings: Vec::new() };
    assert_eq!(machine.check, Some(expected));
    let mut stage = Stage::of(deleted().request(|request| {
        request.mutations.namespace_map.insert("prod".into(), "dr".into());
        request.mutations.volumes = "reimport".parse().expect("valid");
        request.create_namespace = true;
    }));
    block_on(dry_run(&mut stage.plan, &stage.scene.world, &stage.fake, &Quiet)).expect("asked");
    let inside = stage.plan.writes().filter(|step| step.key.namespace == "dr");
    assert!(inside.map(|step| &step.check).all(|check| matches!(check, Some(Check::NotCheckableYet { .. }))));
    assert!(stage.execute().expect("a dry run changes nothing in the plan").verification.is_good());
}

#[test]
fn verification_names_what_is_not_as_planned() {
    let stage = Stage::of(deleted());
    stage.execute().expect("executed");
    stage.fake.meddle(&key("VirtualMachine/web"), |vm| {
        vm["spec"]["template"]["spec"]["domain"]["memory"]["guest"] = json!("1Gi");
    });
    stage.fake.remove(&key("Secret/web-ci"));
    let verification = stage.with_run(|run| block_on(verify(&stage.plan, run))).expect("verified");
    let bad: Vec<(String, Vec<String>)> =
        verification.bad().map(|check| (check.key.name.clone(), check.differs.clone())).collect();
    let expected = [("web-ci", ""), ("web", "spec.template.spec.domain.memory.guest")];
    assert_eq!(bad, expected.map(|(name, path)| (name.to_owned(), vec![path.to_owned()])));
}

#[test]
fn a_manual_machine_that_ran_is_started_through_kubevirt() {
    let machine = vm("web").set("spec.runStrategy", "Manual").set("status.created", true);
    let stage = Stage::of(Scene::captured([vmi_of(&machine), machine]).roots(&["VirtualMachine/web"]));
    assert!(stage.execute().expect("executed").verification.is_good());
    assert!(stage.fake.live(&key("VirtualMachineInstance/web")).is_some());
    assert_eq!(stage.fake.log().last().map(String::as_str), Some("start VirtualMachine.kubevirt.io/prod/web"));
    assert!(
        place(&stage.plan, Action::Power, "VirtualMachine/web")
            < place(&stage.plan, Action::Start, "VirtualMachine/web")
    );
}
