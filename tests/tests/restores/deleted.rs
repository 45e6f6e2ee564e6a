//! A machine that somebody deleted, and whose disks are still there.

use serde_json::json;
use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::shapes::{self, FAST, KEEP};
use vmrewind_testkit::bench::{named, run, vm};
use vmrewind_tests::essence;

use super::{begin, core, deleted, end, live, recorded, restore};

#[test]
fn a_deleted_machine_comes_back_onto_its_own_disk_as_it_was_captured() {
    run(async {
        let ns = "restore-own";
        let (bench, site, watcher) = begin(ns).await?;
        bench.create_all(&shapes::with_own_disk(ns, "db", FAST)).await?;
        bench.wait_running(ns, "db").await?;
        let objects = [
            vm(ns, "db"),
            core("Secret", ns, "db-ci"),
            named(Kind::DataVolume, ns, "db-disk"),
            named(Kind::Claim, ns, "db-disk"),
        ];
        recorded(bench, &site, &objects).await?;
        let (machine, secret) = (live(bench, &objects[0]).await?, live(bench, &objects[1]).await?);
        let disk = live(bench, &objects[3]).await?;
        let data = bench.data_of(ns, "db-disk").await?;

        deleted(bench, &site, &objects[0]).await?;
        bench.delete(&objects[1]).await?;
        bench.wait_gone(&objects[0]).await?;
        recorded(bench, &site, &objects[..2]).await?;
        restore(&site, ns, "vm/db", &[]).await?.expect(0)?;

        let back = bench.wait_running(ns, "db").await?;
        assert_ne!(back["metadata"]["uid"], machine["metadata"]["uid"], "it is a new incarnation");
        assert_eq!(essence(&back), essence(&machine));
        let back = live(bench, &objects[1]).await?;
        assert_eq!(essence(&back), essence(&secret));
        let claim = live(bench, &objects[3]).await?;
        assert_eq!(claim["metadata"]["uid"], disk["metadata"]["uid"], "the claim was not touched");
        assert_eq!(bench.data_of(ns, "db-disk").await?, data);
        assert_eq!(bench.ledger().imports(ns, "db-disk"), 1, "nothing was fetched again");
        end(&site, watcher).await
    });
}

#[test]
fn a_disk_whose_volume_was_retained_is_bound_again_and_its_data_volume_adopted_without_an_import() {
    run(async {
        let ns = "restore-retained";
        let (bench, site, watcher) = begin(ns).await?;
        bench.create_all(&shapes::with_own_disk(ns, "db", KEEP)).await?;
        bench.wait_running(ns, "db").await?;
        let objects = [vm(ns, "db"), named(Kind::DataVolume, ns, "db-disk"), named(Kind::Claim, ns, "db-disk")];
        recorded(bench, &site, &objects).await?;
        let machine = live(bench, &objects[0]).await?;
        let data = bench.data_of(ns, "db-disk").await?;
        assert!(data.as_deref().is_some_and(|data| data.starts_with("import-")), "{data:?}");

        deleted(bench, &site, &objects[0]).await?;
        bench.wait_gone(&objects[0]).await?;
        bench.delete(&objects[1]).await?;
        bench.wait_disks_gone(ns, "db-disk").await?;
        recorded(bench, &site, &objects).await?;
        restore(&site, ns, "vm/db", &["--volumes", "rebind"]).await?.expect(0)?;

        let back = bench.wait_running(ns, "db").await?;
        assert_eq!(essence(&back), essence(&machine));
        assert_eq!(bench.data_of(ns, "db-disk").await?, data, "the data it had");
        // The machine may run before its DataVolume has noticed that the disk is there.
        let done = |disk: Option<&serde_json::Value>| disk.is_some_and(|disk| disk["status"]["phase"] == "Succeeded");
        bench.wait(&objects[1], "adopted", done).await?;
        assert_eq!(bench.ledger().imports(ns, "db-disk"), 1, "it was not imported again");
        let fillings = bench.ledger().of(ns, "db-disk");
        assert_eq!(fillings.iter().filter(|filling| filling.data.is_none()).count(), 1, "it was adopted: {fillings:?}");
        end(&site, watcher).await
    });
}

#[test]
fn a_machine_with_one_of_everything_comes_back_with_its_revisions_and_the_state_of_its_tpm() {
    run(async {
        let ns = "restore-everything";
        let (bench, site, watcher) = begin(ns).await?;
        bench.create_all(&shapes::with_everything(ns, "db")).await?;
        bench.wait_running(ns, "db").await?;
        recorded(bench, &site, &[vm(ns, "db"), core("Secret", ns, "db-keys"), core("ConfigMap", ns, "db-conf")])
            .await?;
        // The instancetype changes later; the machine was made from what it was.
        let larger = json!({"spec": {"memory": {"guest": "64Gi"}}});
        bench.patch(&named(Kind::Instancetype, ns, "small"), &larger).await?;
        deleted(bench, &site, &vm(ns, "db")).await?;
        for (kind, name) in [
            ("Secret", "db-ci"),
            ("Secret", "db-tls"),
            ("Secret", "db-keys"),
            ("ConfigMap", "db-conf"),
            ("ServiceAccount", "db-sa"),
        ] {
            bench.delete(&core(kind, ns, name)).await?;
        }
        for disks in ["db-root", "persistent-state-for-db"] {
            bench.wait_disks_gone(ns, disks).await?;
        }
        recorded(bench, &site, &[vm(ns, "db"), core("Secret", ns, "db-keys")]).await?;
        // The template disk and the TPM's state are gone; the disk on a plain claim is alive.
        restore(&site, ns, "vm/db", &[]).await?.expect(1)?;
        let volumes = "reimport,db-data=keep,db/persistent-state=blank";
        let answer = restore(&site, ns, "vm/db", &["--volumes", volumes]).await?.expect(0)?;
        let back = bench.wait_running(ns, "db").await?;
        let vmi = live(bench, &named(Kind::Vmi, ns, "db")).await?;
        assert_eq!(vmi["spec"]["domain"]["memory"]["guest"], "1Gi", "as at the time of capture: {}", answer.stdout);
        assert!(back["status"]["instancetypeRef"]["controllerRevisionRef"]["name"].is_string());
        end(&site, watcher).await
    });
}
