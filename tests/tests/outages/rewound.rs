//! A cluster whose storage was put back to an earlier state.

use serde_json::json;
use vmrewind_testkit::bench::{Bench, BenchOptions, PATIENCE, run, vm};
use vmrewind_testkit::wait::{Seen, wait_for};
use vmrewind_tests::{Site, agree_with_python_reader};

use super::{label, quiet_machine, recorded};

#[test]
fn a_storage_that_went_back_begins_a_new_era_and_nothing_is_skipped_in_silence() {
    run(async {
        let mut bench = Bench::start(BenchOptions::default()).await?;
        bench.namespace("prod").await?;
        quiet_machine(&bench, "prod", "db").await?;
        let site = Site::new(&bench)?;
        let watcher = site.watcher()?.ready().await?;
        let kept = label(&bench, "prod", "db", "kept").await?;
        recorded(&site, "prod", "db", &kept).await?;
        let snapshot = bench.plane.snapshot_etcd().await?;
        quiet_machine(&bench, "prod", "later").await?;
        let mut undone = String::new();
        for turn in 0..20 {
            undone = label(&bench, "prod", "db", &format!("undone-{turn}")).await?;
        }
        recorded(&site, "prod", "db", &undone).await?;

        bench.plane.restore_etcd(&snapshot).await?;
        bench.restart_actors().await?;
        let anew = label(&bench, "prod", "db", "anew").await?;
        assert!(anew.parse::<u64>()? < undone.parse::<u64>()?, "versions are used a second time: {anew}, {undone}");
        wait_for("the new state of db", PATIENCE, async || {
            let shown =
                site.tool.run(&["show", "vm/db", "-n", "prod", "--allow-gaps", "--allow-late", "-o", "json"]).await?;
            let anew = shown.code == 0 && shown.json()?["metadata"]["labels"] == json!({"turn": "anew"});
            Ok(Seen::or_not_yet(anew.then_some(()), || format!("{}{}", shown.stdout, shown.stderr)))
        })
        .await?;
        let (end, history) = site.shows_end_of("VirtualMachine", "prod", "later").await?;
        watcher.stop().await?;

        let of_db: Vec<_> = history.of("VirtualMachine", "prod", "db").collect();
        let eras: std::collections::BTreeSet<String> = of_db.iter().map(|line| line.era.to_string()).collect();
        assert_eq!(eras.len(), 2, "the resource version {anew} means two things: {eras:?}");
        assert!(of_db.iter().any(|line| line.rv().as_ref() == Some(&undone)), "what was undone stays recorded");
        let machines = |line: &&vmrewind_tests::Line| line.gap["resource"] == "virtualmachines";
        assert!(history.gaps().any(|line| machines(&line)), "that the storage went back is a gap");
        assert_eq!((end.op.as_str(), end.inferred), ("D", true), "it exists no more: {end:?}");
        assert!(bench.get(&vm("prod", "later")).await?.is_none());
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
