//! An instant at which nobody watched, although nothing was lost.

use std::time::Duration;

use anyhow::Context as _;
use vmrewind_testkit::bench::{Bench, BenchOptions, run, vm};
use vmrewind_testkit::wait::{Seen, wait_for};
use vmrewind_tests::{Site, agree_with_python_reader, now};

use super::{label, quiet_machine, recorded};

/// Nothing but time can make a minute of it.
async fn half_a_minute() -> anyhow::Result<()> {
    let (begin, half) = (tokio::time::Instant::now(), Duration::from_secs(30));
    wait_for("half a minute", half * 2, async || {
        let passed = begin.elapsed();
        Ok(Seen::or_not_yet((passed >= half).then_some(()), || format!("{passed:?}")))
    })
    .await
}

#[test]
fn an_instant_in_a_minute_in_which_the_watcher_was_down_is_answered_as_uncertain_with_the_evidence() {
    run(async {
        let bench = Bench::start(BenchOptions::default()).await?;
        bench.namespace("prod").await?;
        quiet_machine(&bench, "prod", "db").await?;
        let site = Site::new(&bench)?;
        let watcher = site.watcher()?.ready().await?;
        let rv = label(&bench, "prod", "db", "before").await?;
        recorded(&site, "prod", "db", &rv).await?;
        watcher.kill_9()?;
        let early = now();
        half_a_minute().await?;
        let rv = label(&bench, "prod", "db", "down").await?;
        let inside = now();
        half_a_minute().await?;
        let watcher = site.watcher()?.ready().await?;
        let (line, history) = recorded(&site, "prod", "db", &rv).await?;
        let lo = line.lo.clone().unwrap_or_default();
        assert!(!lo.is_empty() && lo <= early && line.t >= inside, "it happened after {lo} and up to {}", line.t);
        assert_eq!(history.gaps().count(), 0, "nothing was lost: {:?}", history.gaps().next());
        watcher.stop().await?;

        let ask = ["get", "vm", "db", "-n", "prod", "--at", &inside];
        let doubtful = site.tool.run(&ask).await?.expect(6)?;
        assert!(doubtful.stderr.contains("db"), "it names what is uncertain: {}", doubtful.stderr);
        assert!(doubtful.stderr.contains("--allow-late"), "and how to go on: {}", doubtful.stderr);
        for verb in [&["plan"][..], &["restore", "--yes", "--on-conflict", "replace"]] {
            let call = [verb, &["vm/db", "-n", "prod", "--at", &inside]].concat();
            let refused = site.tool.run(&call).await?.expect(6)?;
            assert!(refused.stderr.contains("--allow-late"), "{}", refused.stderr);
        }
        let live = bench.get(&vm("prod", "db")).await?.context("the machine")?;
        assert_eq!(live["metadata"]["labels"]["turn"], "down", "nothing was written");
        let allowed = site.tool.ok(&[&ask[..], &["--allow-late", "-o", "json"]].concat()).await?;
        assert!(allowed.stdout.contains("\"turn\""), "{}", allowed.stdout);
        let certain = site.tool.ok(&["get", "vm", "db", "-n", "prod", "--at", "latest", "-o", "json"]).await?;
        assert!(certain.stdout.contains("\"down\""), "{}", certain.stdout);
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
