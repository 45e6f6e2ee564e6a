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
        let whole = async {
            loop {
                let history = History::read(&site.tool).await?;
                history.assert_sound()?;
                if history.of("VirtualMachine", ns, "b").any(|line| line.rv() == rv) {
                    return anyhow::Ok(history);
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let history = tokio::time::timeout(vmrewind_testkit::bench::PATIENCE, whole).await??;
        second.stop().await?;
        for name in ["a", "b"] {
            let versions =
                history.of("VirtualMachine", ns, name).filter(|line| line.op == "A" || line.op == "S").count();
            assert_eq!(versions, 1, "{name} begins once");
        }
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
