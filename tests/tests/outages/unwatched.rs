//! Changes made while the watcher was down and whose events the API server has forgotten.

use serde_json::json;
use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::shapes::{self, FAST};
use vmrewind_testkit::bench::{Bench, BenchOptions, named, run};
use vmrewind_tests::{Site, agree_with_python_reader, now};

use super::{label, quiet_machine, recorded};

#[test]
fn earlier_versions_are_walked_back_until_etcd_has_forgotten_them_which_is_a_gap() {
    run(async {
        let mut bench = Bench::start(BenchOptions::default()).await?;
        bench.namespace("prod").await?;
        quiet_machine(&bench, "prod", "db").await?;
        bench.create(&shapes::data_volume("prod", "scratch", FAST)).await?;
        let done = |dv: Option<&serde_json::Value>| dv.is_some_and(|dv| dv["status"]["phase"] == "Succeeded");
        bench.wait(&named(Kind::DataVolume, "prod", "scratch"), "filled", done).await?;
        let site = Site::new(&bench)?;
        let watcher = site.watcher()?.ready().await?;
        let rv = label(&bench, "prod", "db", "watched").await?;
        recorded(&site, "prod", "db", &rv).await?;

        // The events are gone with the API server, the versions are still in etcd.
        watcher.kill_9()?;
        let mut unwatched = Vec::new();
        for turn in ["one", "two", "three"] {
            unwatched.push(label(&bench, "prod", "db", turn).await?);
        }
        bench.plane.restart_apiserver().await?;
        let watcher = site.watcher()?.ready().await?;
        let (_, history) = recorded(&site, "prod", "db", &unwatched[2]).await?;
        for rv in &unwatched {
            let line = history.of("VirtualMachine", "prod", "db").find(|line| line.rv().as_ref() == Some(rv));
            let line = line.ok_or_else(|| anyhow::anyhow!("version {rv} was not walked back"))?;
            assert!(line.lo.is_some(), "it is known to have happened in an interval only: {line:?}");
        }
        let of_machines = |line: &&vmrewind_tests::Line| line.gap["resource"] == "virtualmachines";
        let causes: Vec<_> = history.gaps().filter(of_machines).map(|line| line.gap["cause"].clone()).collect();
        assert_eq!(causes, ["unseen"], "only what came and went in between is unknown about machines");

        // Now etcd forgets as well.
        watcher.kill_9()?;
        let before = now();
        label(&bench, "prod", "db", "unknown").await?;
        let last = label(&bench, "prod", "db", "known").await?;
        bench.delete(&named(Kind::DataVolume, "prod", "scratch")).await?;
        bench.wait_gone(&named(Kind::Claim, "prod", "scratch")).await?;
        let after = now();
        bench.plane.compact_etcd().await?;
        bench.plane.restart_apiserver().await?;
        let watcher = site.watcher()?.ready().await?;
        let (_, history) = recorded(&site, "prod", "db", &last).await?;
        let gaps: Vec<_> = history.gaps().filter(of_machines).filter(|line| line.gap["cause"] == "expired").collect();
        assert!(!gaps.is_empty(), "the versions between are unknown, and that is recorded");
        let from = gaps.iter().filter_map(|line| line.gap["from"].as_str()).min().unwrap_or_default();
        let to = gaps.iter().filter_map(|line| line.gap["to"].as_str()).max().unwrap_or_default();
        assert!(from <= before.as_str(), "it begins before the changes: {from}, {before}");
        assert!(to >= after.as_str(), "it ends after them: {to}, {after}");
        for (kind, name) in [("DataVolume", "scratch"), ("PersistentVolumeClaim", "scratch")] {
            let (end, _) = site.shows_end_of(kind, "prod", name).await?;
            assert_eq!((end.op.as_str(), end.inferred), ("D", true), "{end:?}");
            let lo = end.lo.clone().unwrap_or_default();
            assert!(!lo.is_empty() && lo <= before && end.t >= after, "{end:?}");
        }
        watcher.stop().await?;
        let inside = site.tool.run(&["get", "vm", "-n", "prod", "--at", &before]).await?.expect(6)?;
        assert!(inside.stderr.to_lowercase().contains("gap"), "{}", inside.stderr);
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}

#[test]
fn a_machine_deleted_while_nobody_watched_is_deleted_in_the_archive_with_its_last_state() {
    run(async {
        let bench = Bench::start(BenchOptions::default()).await?;
        bench.namespace("prod").await?;
        quiet_machine(&bench, "prod", "db").await?;
        let site = Site::new(&bench)?;
        let watcher = site.watcher()?.ready().await?;
        let rv = label(&bench, "prod", "db", "last").await?;
        recorded(&site, "prod", "db", &rv).await?;
        watcher.kill_9()?;
        bench.delete(&vmrewind_testkit::bench::vm("prod", "db")).await?;
        bench.wait_gone(&vmrewind_testkit::bench::vm("prod", "db")).await?;
        let watcher = site.watcher()?.ready().await?;
        let (end, _) = site.shows_end_of("VirtualMachine", "prod", "db").await?;
        watcher.stop().await?;
        assert_eq!((end.op.as_str(), end.inferred), ("D", false), "the server still had the event: {end:?}");
        let shown = site
            .tool
            .ok(&["show", "vm/db", "-n", "prod", "--at", "before-delete", "--allow-late", "-o", "json"])
            .await?;
        assert_eq!(shown.json()?["metadata"]["labels"], json!({"turn": "last"}));
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
