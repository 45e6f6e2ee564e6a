//! The actors do what the real controllers do, as far as a restore can tell.

mod hotplug;
mod recorded;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use vmrewind_testkit::actors::{Kind, STATE_LABEL};
use vmrewind_testkit::bench::shapes::{self, FAST, KEEP};
use vmrewind_testkit::bench::{Bench, BenchOptions, PATIENCE, extra_folder, named, real_definitions, run, shared, vm};

fn owner_uid(object: &Value) -> &str {
    object["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap_or_default()
}

async fn all_of_a_kind(bench: &Bench, kind: Kind, namespace: &str) -> anyhow::Result<Vec<Value>> {
    let listed = kind.api(bench.client(), namespace).list(&kube::api::ListParams::default()).await?;
    listed.items.into_iter().map(|object| Ok(serde_json::to_value(object)?)).collect()
}

#[test]
fn a_machine_with_one_of_everything_comes_up_with_all_that_controllers_make_for_it() {
    run(async {
        let (bench, ns) = (shared(), "everything");
        bench.namespace(ns).await?;
        bench.create_all(&shapes::with_everything(ns, "db")).await?;
        let machine = bench.wait_running(ns, "db").await?;
        let uid = machine["metadata"]["uid"].as_str().context("a uid")?;

        let disk = bench.get(&named(Kind::DataVolume, ns, "db-root")).await?.context("a DataVolume")?;
        assert_eq!(owner_uid(&disk), uid);
        assert_eq!(disk["metadata"]["labels"]["kubevirt.io/created-by"], uid);
        assert_eq!(disk["status"]["phase"], "Succeeded");
        let claim = bench.get(&named(Kind::Claim, ns, "db-root")).await?.context("a claim")?;
        assert_eq!(owner_uid(&claim), disk["metadata"]["uid"].as_str().context("a uid")?);
        assert_eq!(claim["status"]["phase"], "Bound");

        let revision =
            machine["status"]["instancetypeRef"]["controllerRevisionRef"]["name"].as_str().context("a name")?;
        assert!(revision.starts_with("db-small-v1beta1-"), "{revision}");
        let revision = bench.get(&named(Kind::Revision, ns, revision)).await?.context("a revision")?;
        assert_eq!(revision["data"]["spec"]["memory"]["guest"], "1Gi");
        assert!(machine["status"]["preferenceRef"]["controllerRevisionRef"]["name"].is_string());

        let vmi = bench.get(&named(Kind::Vmi, ns, "db")).await?.context("an instance")?;
        assert_eq!(vmi["spec"]["domain"]["memory"]["guest"], "1Gi", "the instancetype's memory");
        assert_eq!(
            vmi["status"]["interfaces"][0]["mac"],
            machine["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"][0]["macAddress"]
        );
        let start = vmi["status"]["virtualMachineRevisionName"].as_str().context("a name")?;
        ensure!(bench.get(&named(Kind::Revision, ns, start)).await?.is_some(), "{start}");

        let pods = all_of_a_kind(bench, Kind::Pod, ns).await?;
        assert_eq!(pods.len(), 1);
        assert_eq!(pods[0]["metadata"]["labels"]["kubevirt.io/created-by"], vmi["metadata"]["uid"]);
        assert_eq!(pods[0]["metadata"]["annotations"]["kubevirt.io/domain"], "db");

        let claims = all_of_a_kind(bench, Kind::Claim, ns).await?;
        let state: Vec<_> = claims.iter().filter(|claim| claim["metadata"]["labels"][STATE_LABEL] == "db").collect();
        assert_eq!(state.len(), 1, "one claim for the state of the TPM");
        assert_eq!(owner_uid(state[0]), uid);
        Ok(())
    });
}

#[test]
fn deleting_a_machine_takes_its_disks_along_but_not_those_of_a_class_that_retains() {
    run(async {
        let (bench, ns) = (shared(), "deleted");
        bench.namespace(ns).await?;
        bench.create_all(&shapes::with_template_disk(ns, "gone")).await?;
        bench.create_all(&shapes::with_own_disk(ns, "kept", KEEP)).await?;
        bench.wait_running(ns, "gone").await?;
        bench.wait_running(ns, "kept").await?;
        let volume_of = async |claim: &str| {
            let claim = bench.get(&named(Kind::Claim, ns, claim)).await?.context("a claim")?;
            anyhow::Ok(claim["spec"]["volumeName"].as_str().context("a volume")?.to_owned())
        };
        let (lost, kept) = (volume_of("gone-root").await?, volume_of("kept-disk").await?);

        bench.delete(&vm(ns, "gone")).await?;
        for (kind, name) in
            [(Kind::Vm, "gone"), (Kind::Vmi, "gone"), (Kind::DataVolume, "gone-root"), (Kind::Claim, "gone-root")]
        {
            bench.wait_gone(&named(kind, ns, name)).await?;
        }
        bench.wait_gone(&named(Kind::Volume, "", &lost)).await?;

        bench.delete(&vm(ns, "kept")).await?;
        bench.wait_gone(&vm(ns, "kept")).await?;
        assert!(bench.get(&named(Kind::DataVolume, ns, "kept-disk")).await?.is_some(), "nobody owns it");
        bench.delete(&named(Kind::DataVolume, ns, "kept-disk")).await?;
        bench.wait_gone(&named(Kind::Claim, ns, "kept-disk")).await?;
        let released = |volume: Option<&Value>| volume.is_some_and(|v| v["status"]["phase"] == "Released");
        bench.wait(&named(Kind::Volume, "", &kept), "released", released).await?;
        Ok(())
    });
}

#[test]
fn a_marked_claim_is_adopted_without_an_import_and_an_unmarked_one_is_not() {
    run(async {
        let (bench, ns) = (shared(), "adopted");
        bench.namespace(ns).await?;
        let succeeded = |dv: Option<&Value>| dv.is_some_and(|dv| dv["status"]["phase"] == "Succeeded");
        let pending = |dv: Option<&Value>| dv.is_some_and(|dv| dv["status"]["phase"] == "Pending");

        let mut marked = shapes::claim(ns, "marked", FAST);
        marked["metadata"]["annotations"] = json!({"cdi.kubevirt.io/storage.populatedFor": "marked"});
        bench.create(&marked).await?;
        bench.create(&shapes::data_volume(ns, "marked", FAST)).await?;
        let adopted = bench.wait(&named(Kind::DataVolume, ns, "marked"), "done", succeeded).await?.context("it")?;
        assert_eq!(adopted["metadata"]["annotations"]["cdi.kubevirt.io/storage.prePopulated"], "marked");
        assert_eq!(adopted["status"]["progress"], "N/A");
        assert_eq!(bench.ledger().imports(ns, "marked"), 0);
        assert_eq!(bench.ledger().of(ns, "marked").len(), 1, "it was adopted once");
        let data = bench.data_of(ns, "marked").await?.context("bound")?;
        assert!(data.starts_with("empty-"), "a disk that nobody filled shows as empty: {data}");

        bench.create(&shapes::claim(ns, "foreign", FAST)).await?;
        bench.create(&shapes::data_volume(ns, "foreign", FAST)).await?;
        bench.wait(&named(Kind::DataVolume, ns, "foreign"), "waiting", pending).await?;
        let claim = bench.get(&named(Kind::Claim, ns, "foreign")).await?.context("the claim")?;
        assert!(claim["metadata"]["ownerReferences"].is_null());

        let mut promised = shapes::data_volume(ns, "promised", FAST);
        promised["metadata"]["annotations"] = json!({"cdi.kubevirt.io/storage.prePopulated": "promised"});
        bench.create(&promised).await?;
        bench.wait(&named(Kind::DataVolume, ns, "promised"), "waiting", pending).await?;
        assert!(bench.get(&named(Kind::Claim, ns, "promised")).await?.is_none(), "no claim is made for it");

        bench.create(&shapes::data_volume(ns, "plain", FAST)).await?;
        bench.wait(&named(Kind::DataVolume, ns, "plain"), "done", succeeded).await?;
        assert_eq!(bench.ledger().imports(ns, "plain"), 1);
        let data = bench.data_of(ns, "plain").await?.context("bound")?;
        assert!(data.starts_with("import-") && data.ends_with("docker://registry.test/debian:13"), "{data}");
        Ok(())
    });
}

#[test]
fn a_machine_waits_for_its_secret_and_starts_once_that_appears() {
    run(async {
        let (bench, ns) = (shared(), "lacking");
        bench.namespace(ns).await?;
        let mut parts = shapes::with_template_disk(ns, "web");
        let machine = parts.pop().context("the machine")?;
        bench.create(&machine).await?;
        let waiting = |vmi: Option<&Value>| vmi.is_some_and(|vmi| vmi["status"]["phase"] == "Scheduling");
        bench.wait(&named(Kind::Vmi, ns, "web"), "scheduling", waiting).await?;
        bench.create_all(&parts).await?;
        bench.wait_running(ns, "web").await?;
        Ok(())
    });
}

#[test]
fn an_edit_needs_a_restart_and_a_restart_applies_it() {
    run(async {
        let (bench, ns) = (shared(), "edited");
        bench.namespace(ns).await?;
        bench.create_all(&shapes::with_template_disk(ns, "app")).await?;
        bench.wait_running(ns, "app").await?;
        let memory = json!({"spec": {"template": {"spec": {"domain": {"memory": {"guest": "8Gi"}}}}}});
        bench.patch(&vm(ns, "app"), &memory).await?;
        let must_restart = |vm: Option<&Value>| {
            vm.and_then(|vm| vm["status"]["conditions"].as_array())
                .is_some_and(|all| all.iter().any(|c| c["type"] == "RestartRequired"))
        };
        bench.wait(&vm(ns, "app"), "in need of a restart", must_restart).await?;
        bench.patch(&vm(ns, "app"), &json!({"spec": {"runStrategy": "Halted"}})).await?;
        bench.wait_gone(&named(Kind::Vmi, ns, "app")).await?;
        let stopped = |vm: Option<&Value>| vm.is_some_and(|vm| vm["status"]["printableStatus"] == "Stopped");
        bench.wait(&vm(ns, "app"), "stopped", stopped).await?;
        bench.patch(&vm(ns, "app"), &json!({"spec": {"runStrategy": "Always"}})).await?;
        bench.wait_running(ns, "app").await?;
        let vmi = bench.get(&named(Kind::Vmi, ns, "app")).await?.context("an instance")?;
        assert_eq!(vmi["spec"]["domain"]["memory"]["guest"], "8Gi");
        let revisions = all_of_a_kind(bench, Kind::Revision, ns).await?;
        assert_eq!(revisions.len(), 1, "the revision of the first start is gone");
        assert_eq!(bench.ledger().imports(ns, "app-root"), 1, "a restart imports nothing");
        Ok(())
    });
}

#[test]
fn a_live_migration_hands_over_to_a_second_pod() {
    run(async {
        let (bench, ns) = (shared(), "migrated");
        bench.namespace(ns).await?;
        bench.create_all(&shapes::with_template_disk(ns, "mover")).await?;
        bench.wait_running(ns, "mover").await?;
        let before = bench.get(&named(Kind::Vmi, ns, "mover")).await?.context("an instance")?;
        bench
            .create(&json!({
                "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceMigration",
                "metadata": {"name": "move-1", "namespace": ns}, "spec": {"vmiName": "mover"},
            }))
            .await?;
        let succeeded = |m: Option<&Value>| m.is_some_and(|m| m["status"]["phase"] == "Succeeded");
        bench.wait(&named(Kind::Migration, ns, "move-1"), "done", succeeded).await?;
        let after = bench.get(&named(Kind::Vmi, ns, "mover")).await?.context("an instance")?;
        assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "it is the same instance");
        assert_ne!(after["status"]["nodeName"], before["status"]["nodeName"]);
        assert_eq!(after["status"]["migrationState"]["completed"], true);
        assert_eq!(all_of_a_kind(bench, Kind::Pod, ns).await?.len(), 2);
        bench.delete(&vm(ns, "mover")).await?;
        bench.wait_gone(&vm(ns, "mover")).await?;
        Ok(())
    });
}

#[test]
fn replica_sets_and_pools_make_their_children() {
    run(async {
        let (bench, ns) = (shared(), "groups");
        bench.namespace(ns).await?;
        let set = vmrewind_testkit::build::replica_set("workers").namespace(ns).set("spec.replicas", 2);
        bench.create(&set.to_post()).await?;
        let ready = |group: Option<&Value>| group.is_some_and(|group| group["status"]["readyReplicas"] == 2);
        let set = bench.wait(&named(Kind::ReplicaSet, ns, "workers"), "ready", ready).await?.context("it")?;
        let instances = all_of_a_kind(bench, Kind::Vmi, ns).await?;
        assert!(instances.iter().all(|vmi| owner_uid(vmi) == set["metadata"]["uid"].as_str().unwrap_or("none")));
        let pool =
            vmrewind_testkit::build::pool("web").namespace(ns).set("spec.replicas", 2).with_template_disk("disk");
        bench.create(&pool.to_post()).await?;
        let made = |pool: Option<&Value>| pool.is_some_and(|pool| pool["status"]["replicas"] == 2);
        bench.wait(&named(Kind::Pool, ns, "web"), "filled", made).await?;
        let second = bench.get(&vm(ns, "web-1")).await?.context("a second machine")?;
        assert_eq!(second["spec"]["dataVolumeTemplates"][0]["metadata"]["name"], "disk-1");
        Ok(())
    });
}

#[test]
fn every_version_that_a_watcher_saw_of_a_machine_was_acknowledged_to_somebody() {
    run(async {
        let (bench, ns) = (shared(), "journal");
        bench.namespace(ns).await?;
        let mut watching = bench.journal().watch(bench.client(), &[(Kind::Vm.resource(), None)]);
        bench.create_all(&shapes::with_template_disk(ns, "seen")).await?;
        let machine = bench.wait_running(ns, "seen").await?;
        let last = machine["metadata"]["resourceVersion"].as_str().context("a version")?.to_owned();
        let mine = |all: std::collections::BTreeSet<vmrewind_testkit::bench::Version>| -> Vec<_> {
            all.into_iter().filter(|v| v.kind == "VirtualMachine" && v.namespace == ns).collect()
        };
        // Watcher and writers hear of a version in either order, so both are given the time to.
        let caught_up = async {
            loop {
                let (seen, acknowledged) = (mine(bench.journal().observed()), mine(bench.journal().acknowledged()));
                if seen.iter().any(|version| version.rv == last)
                    && seen.iter().all(|version| acknowledged.contains(version))
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, caught_up).await.context("a version was seen that nobody wrote")?;
        watching.shutdown().await;
        Ok(())
    });
}

#[test]
fn machines_run_under_the_real_schemas_too() {
    run(async {
        let Some(folder) = extra_folder() else {
            return Ok(()); // only where the real schemas are at hand
        };
        let crds = Some(real_definitions(&folder)?);
        let bench = Bench::start(BenchOptions { crds, ..BenchOptions::default() }).await?;
        bench.namespace("real").await?;
        bench.create_all(&shapes::with_everything("real", "db")).await?;
        bench.wait_running("real", "db").await?;
        Ok(())
    });
}
