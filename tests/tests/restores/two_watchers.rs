//! Two watchers on one archive.

use vmrewind_testkit::bench::{run, shapes, shared};
use vmrewind_tests::{History, Site, agree_with_python_reader};

#[test]
fn of_two_watchers_one_is_fenced_out_and_the_archive_is_one_chain() {
    run(async {
        let (bench, ns) = (shared(), "two-watchers");
        bench.namespace(ns).await?;
        let site = Site::new(bench)?;
        let first = site.watcher_named("first")?.ready().await?;
        bench.create_all(&shapes::with_template_disk(ns, "a")).await?;
        let second = site.watcher_named("second")?.ready().await?;
        bench.create_all(&shapes::with_template_disk(ns, "b")).await?;
        // The first one commits next, and learns that it is not the owner any more.
        let (code, said) = first.ended().await?;
        assert_eq!(code, Some(11), "{said}");
        assert!(said.to_lowercase().contains("fence"), "it says so: {said}");
        bench.wait_running(ns, "a").await?;
        let last = bench.wait_running(ns, "b").await?;
        let rv = last["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        let newest = |history: &History| history.of("VirtualMachine", ns, "b").find(|line| line.rv() == rv).cloned();
        let (_, history) = site.shows("the newest version of b", newest).await?;
        second.stop().await?;
        for name in ["a", "b"] {
            let versions =
                history.of("VirtualMachine", ns, name).filter(|line| line.op == "A" || line.op == "S").count();
            assert_eq!(versions, 1, "{name} begins once");
        }
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
