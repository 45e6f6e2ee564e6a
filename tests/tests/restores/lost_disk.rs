//! A machine whose disk went with it.

use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::{named, run, shapes, vm};
use vmrewind_tests::essence;

use super::{begin, end, live, recorded, restore};

#[test]
fn a_machine_whose_disk_is_gone_is_refused_until_somebody_asks_for_a_new_import() {
    run(async {
        let ns = "restore-lost";
        let (bench, site, watcher) = begin(ns).await?;
        bench.create_all(&shapes::with_template_disk(ns, "web")).await?;
        bench.wait_running(ns, "web").await?;
        let (target, claim) = (vm(ns, "web"), named(Kind::Claim, ns, "web-root"));
        recorded(bench, &site, &[target, claim]).await?;
        let machine = live(bench, &target).await?;
        let data = bench.data_of(ns, "web-root").await?;
        bench.delete(&target).await?;
        bench.wait_disks_gone(ns, "web-root").await?;
        recorded(bench, &site, &[target, claim]).await?;

        let refused = restore(&site, ns, "vm/web", &[]).await?.expect(1)?;
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains("web-root"), "it names the volume: {said}");
        assert!(said.contains("reimport"), "and the way out: {said}");
        assert!(bench.get(&target).await?.is_none(), "and it did nothing");
        assert!(bench.get(&claim).await?.is_none());

        restore(&site, ns, "vm/web", &["--volumes", "reimport"]).await?.expect(0)?;
        let back = bench.wait_running(ns, "web").await?;
        assert_eq!(essence(&back), essence(&machine));
        assert_eq!(bench.ledger().imports(ns, "web-root"), 2, "the disk was fetched a second time");
        let fresh = bench.data_of(ns, "web-root").await?;
        assert!(fresh != data && fresh.as_deref().is_some_and(|data| data.starts_with("import-")), "{fresh:?}");
        end(&site, watcher).await
    });
}
