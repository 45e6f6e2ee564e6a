//! Restores on a real control plane, with actors that play virt-controller and CDI.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use vmrewind_cluster::Cluster;
use vmrewind_graph::{Capture, key, kinds, mutate};
use vmrewind_model::{ObjectKey, Timestamp};
use vmrewind_restore::{
    Action, Check, ClusterTarget, DataSource, Journal, OnConflict, Outcome, PlanRequest, Quiet, RefusalKind,
    RestorePlan, Run, RunningVm, Selection, Target, UndoOutcome, World, dry_run, execute, needs, observe, plan, undo,
};
use vmrewind_testkit::{
    actors::Kind,
    bench::{Bench, ObjectName, named, run, shapes, shared, vm},
};

/// What a test works with: the bench, the way to it, and a folder for the journal.
struct Stage {
    bench: &'static Bench,
    target: ClusterTarget,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> anyhow::Result<Self> {
        let bench = shared();
        let target = ClusterTarget::connect(Cluster::from_client(bench.client().clone()), "vmrewind").await?;
        Ok(Self { bench, target, folder: tempfile::tempdir()? })
    }

    /// Captures everything in scope, as a watcher would have.
    async fn capture(&self) -> anyhow::Result<World> {
        let mut all: BTreeMap<ObjectKey, Value> = BTreeMap::new();
        let served = self.target.kinds().await?;
        for row in kinds().iter().filter(|row| row.capture != Capture::Site) {
            if served.iter().any(|served| (served.group.as_str(), served.kind.as_str()) == (row.group, row.kind)) {
                let objects = self.target.list(row.group, row.kind).await?;
                all.extend(objects.into_iter().filter_map(|object| Some((key(&object)?, object))));
            }
        }
        let (cluster, _) = self.target.identity().await?;
        Ok(World::from_objects(all.into_values()).captured_from(&cluster))
    }

    async fn plan(&self, world: &World, request: &PlanRequest) -> anyhow::Result<RestorePlan> {
        let view = observe(&self.target, &needs(world, request)?, &Quiet).await?;
        Ok(plan(world, request, &view, Timestamp::MIN)?)
    }

    async fn execute(&self, world: &World, plan: &RestorePlan) -> anyhow::Result<Outcome> {
        let mut journal = Journal::create(&self.folder.path().join(&plan.id), plan, Timestamp::MIN)?;
        Ok(execute(plan, &self.run(world), &mut journal).await?)
    }

    async fn undo(&self, world: &World, plan: &RestorePlan) -> anyhow::Result<UndoOutcome> {
        let mut journal = Journal::open(&self.folder.path().join(&plan.id))?;
        Ok(undo(&self.run(world), &mut journal).await?)
    }

    fn run<'a>(&'a self, world: &'a World) -> Run<'a> {
        Run { world, target: &self.target, progress: &Quiet, now: &|| Timestamp::MIN, cancelled: &|| false }
    }
}

fn vm_key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new("kubevirt.io", "VirtualMachine", namespace, name)
}

fn request(namespace: &str, name: &str) -> PlanRequest {
    PlanRequest {
        selection: Selection { roots: vec![vm_key(namespace, name)], ..Selection::default() },
        ..PlanRequest::default()
    }
}

fn source(plan: &RestorePlan) -> Vec<DataSource> {
    plan.volumes.iter().map(|volume| volume.data_source).collect()
}

#[test]
fn a_deleted_machine_comes_back_on_its_own_live_disk_and_undo_takes_it_away_without_the_disk() {
    run(async {
        let stage = Stage::new().await?;
        let (bench, space) = (stage.bench, "own-disk");
        bench.namespace(space).await?;
        bench.create_all(&shapes::with_own_disk(space, "web", "fast")).await?;
        bench.wait_running(space, "web").await?;
        let world = stage.capture().await?;
        let data = bench.data_of(space, "web-disk").await?.context("the disk holds data")?;
        bench.delete(&vm(space, "web")).await?;
        bench.delete(&named(Kind::Secret, space, "web-ci")).await?;
        bench.wait_gone(&vm(space, "web")).await?;
        bench.wait_gone(&named(Kind::Vmi, space, "web")).await?;

        let mut plan = stage.plan(&world, &request(space, "web")).await?;
        ensure!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
        ensure!(source(&plan) == [DataSource::Keep], "{:#?}", plan.volumes);
        dry_run(&mut plan, &world, &stage.target, &Quiet).await?;
        let checks: Vec<&Check> = plan.steps.iter().filter_map(|step| step.check.as_ref()).collect();
        ensure!(checks.iter().all(|check| !matches!(check, Check::Refused { .. })), "{checks:#?}");
        let outcome = stage.execute(&world, &plan).await?;
        ensure!(outcome.verification.is_good(), "{:#?}", outcome.verification);
        bench.wait_running(space, "web").await?;
        ensure!(bench.data_of(space, "web-disk").await? == Some(data.clone()), "the same data");
        let again = stage.plan(&world, &request(space, "web")).await?;
        ensure!(again.is_noop() && again.refusals.is_empty(), "nothing is left to do: {:#?}", again.refusals);

        let outcome = stage.undo(&world, &plan).await?;
        ensure!(outcome.left.is_empty(), "{:#?}", outcome.left);
        bench.wait_gone(&vm(space, "web")).await?;
        ensure!(bench.data_of(space, "web-disk").await? == Some(data), "the disk was there before, and is there");
        Ok(())
    });
}

#[test]
fn a_machine_whose_template_disk_is_gone_is_refused_and_then_imported_again_on_request() {
    run(async {
        let stage = Stage::new().await?;
        let (bench, space) = (stage.bench, "template-disk");
        bench.namespace(space).await?;
        bench.create_all(&shapes::with_template_disk(space, "web")).await?;
        bench.wait_running(space, "web").await?;
        let world = stage.capture().await?;
        let data = bench.data_of(space, "web-root").await?;
        bench.delete(&vm(space, "web")).await?;
        bench.wait_gone(&vm(space, "web")).await?;
        bench.wait_disks_gone(space, "web-root").await?;
        bench.wait_gone(&named(Kind::DataVolume, space, "web-root")).await?;

        let mut request = request(space, "web");
        let plan = stage.plan(&world, &request).await?;
        ensure!(plan.refusals.iter().all(|refusal| refusal.kind == RefusalKind::VolumeData), "{:#?}", plan.refusals);
        ensure!(source(&plan) == [DataSource::None]);
        request.mutations.volumes = "web/web-root=reimport".parse()?;
        let plan = stage.plan(&world, &request).await?;
        ensure!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
        let outcome = stage.execute(&world, &plan).await?;
        ensure!(outcome.verification.is_good(), "{:#?}", outcome.verification);
        bench.wait_running(space, "web").await?;
        let imported = bench.data_of(space, "web-root").await?;
        ensure!(imported.is_some() && imported != data, "it was imported again: {imported:?}");
        Ok(())
    });
}

#[test]
fn a_copy_in_another_namespace_has_its_own_identity_and_its_own_disk() {
    run(async {
        let stage = Stage::new().await?;
        let (bench, space) = (stage.bench, "copy-from");
        bench.namespace(space).await?;
        bench.create_all(&shapes::with_template_disk(space, "web")).await?;
        let original = bench.wait_running(space, "web").await?;
        let world = stage.capture().await?;
        let mut request = request(space, "web");
        request.mutations.namespace_map.insert(space.to_owned(), "copy-to".to_owned());
        request.mutations.volumes = "blank".parse()?;
        request.create_namespace = true;
        let plan = stage.plan(&world, &request).await?;
        ensure!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
        ensure!(source(&plan) == [DataSource::Blank], "{:#?}", plan.volumes);
        let outcome = stage.execute(&world, &plan).await?;
        ensure!(outcome.verification.is_good(), "{:#?}", outcome.verification);
        let copy = bench.wait_running("copy-to", "web").await?;
        let (before, after) = (mutate::identity(&original), mutate::identity(&copy));
        ensure!(before.firmware_uuid != after.firmware_uuid && before.serial != after.serial);
        ensure!(before.interfaces[0].mac != after.interfaces[0].mac && after.interfaces[0].mac.is_some());
        ensure!(
            bench
                .get(&vm(space, "web"))
                .await?
                .is_some_and(|live| live["metadata"]["uid"] == original["metadata"]["uid"])
        );
        Ok(())
    });
}

#[test]
fn a_changed_machine_is_stopped_put_back_and_started_again() {
    run(async {
        let stage = Stage::new().await?;
        let (bench, space) = (stage.bench, "changed");
        bench.namespace(space).await?;
        bench.create_all(&shapes::with_own_disk(space, "web", "fast")).await?;
        bench.wait_running(space, "web").await?;
        let world = stage.capture().await?;
        let memory = |guest: &str| json!({"spec": {"template": {"spec": {"domain": {"memory": {"guest": guest}}}}}});
        bench.patch(&vm(space, "web"), &memory("64Gi")).await?;
        let mut request = request(space, "web");
        let plan = stage.plan(&world, &request).await?;
        ensure!(plan.refusals.iter().map(|refusal| refusal.kind).collect::<Vec<_>>() == [RefusalKind::Conflict]);
        request.on_conflict = OnConflict::Replace;
        let plan = stage.plan(&world, &request).await?;
        ensure!(plan.refusals.iter().map(|refusal| refusal.kind).collect::<Vec<_>>() == [RefusalKind::RunningVm]);
        request.running = RunningVm::Stop;
        let plan = stage.plan(&world, &request).await?;
        let actions: Vec<Action> = plan.writes().map(|step| step.action).collect();
        ensure!(actions == [Action::Stop, Action::Replace, Action::Power], "{actions:?}");
        let outcome = stage.execute(&world, &plan).await?;
        ensure!(outcome.verification.is_good(), "{:#?}", outcome.verification);
        let live = bench.wait_running(space, "web").await?;
        ensure!(live["spec"]["template"]["spec"]["domain"]["memory"]["guest"] == "2Gi");
        Ok(())
    });
}

#[test]
fn a_machine_with_one_of_everything_comes_back_after_its_namespace_was_deleted() {
    run(async {
        let stage = Stage::new().await?;
        let (bench, space) = (stage.bench, "everything");
        bench.namespace(space).await?;
        bench.create_all(&shapes::with_everything(space, "web")).await?;
        bench.wait_running(space, "web").await?;
        let world = stage.capture().await?;
        let namespace = ObjectName { api_version: "v1", kind: "Namespace", namespace: "", name: space };
        bench.delete(&namespace).await?;
        bench.wait_gone(&namespace).await?;
        let mut request = request(space, "web");
        request.create_namespace = true;
        let plan = stage.plan(&world, &request).await?;
        ensure!(
            !plan.refusals.is_empty() && plan.refusals.iter().all(|refusal| refusal.kind == RefusalKind::VolumeData)
        );
        request.mutations.volumes = "blank".parse()?;
        let plan = stage.plan(&world, &request).await?;
        ensure!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
        let outcome = stage.execute(&world, &plan).await?;
        ensure!(outcome.verification.is_good(), "{:#?}", outcome.verification);
        bench.wait_running(space, "web").await?;
        Ok(())
    });
}
