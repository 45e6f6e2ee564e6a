//! A machine beside its original.

use serde_json::Value;
use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::{named, run, shapes, vm};
use vmrewind_tests::agree_with_python_reader;

use super::{begin, core, live, recorded};

fn identity(machine: &Value) -> [String; 3] {
    let domain = &machine["spec"]["template"]["spec"]["domain"];
    [&domain["devices"]["interfaces"][0]["macAddress"], &domain["firmware"]["uuid"], &domain["firmware"]["serial"]]
        .map(ToString::to_string)
}

#[test]
fn a_copy_in_another_namespace_has_an_identity_and_disks_of_its_own() {
    run(async {
        let ns = "copy-from";
        let (bench, site, watcher) = begin(ns).await?;
        bench.create_all(&shapes::with_template_disk(ns, "app")).await?;
        bench.create_all(&shapes::with_own_disk(ns, "db", shapes::FAST)).await?;
        let original = bench.wait_running(ns, "app").await?;
        bench.wait_running(ns, "db").await?;
        recorded(bench, &site, &[vm(ns, "app"), vm(ns, "db"), core("Secret", ns, "app-ci")]).await?;
        watcher.stop().await?;

        let copy = async |machine: &str, to: &str, volumes: &str| {
            let map = format!("{ns}={to}");
            let restore = ["restore", machine, "-n", ns, "--create-namespace", "--yes", "--namespace-map"];
            site.tool.ok(&[&restore[..], &[&map, "--volumes", volumes]].concat()).await
        };
        copy("vm/app", "copy-to", "reimport").await?;
        let made = bench.wait_running("copy-to", "app").await?;
        for (old, new) in identity(&original).iter().zip(identity(&made)) {
            assert_ne!(*old, new);
            assert_ne!(new, "null", "a copy has an identity");
        }
        assert_eq!(bench.ledger().imports("copy-to", "app-root"), 1);
        let secret = live(bench, &core("Secret", "copy-to", "app-ci")).await?;
        assert_eq!(secret["data"], live(bench, &core("Secret", ns, "app-ci")).await?["data"]);

        copy("vm/db", "copy-blank", "blank").await?;
        bench.wait_running("copy-blank", "db").await?;
        let data = bench.data_of("copy-blank", "db-disk").await?;
        assert!(
            data.as_deref().is_some_and(|data| data.starts_with("blank-") || data.starts_with("empty-")),
            "{data:?}"
        );

        let untouched = live(bench, &vm(ns, "app")).await?;
        assert_eq!(untouched["spec"], original["spec"]);
        assert_eq!(untouched["metadata"]["uid"], original["metadata"]["uid"]);
        let vmi = live(bench, &named(Kind::Vmi, ns, "app")).await?;
        assert_eq!(vmi["status"]["phase"], "Running");
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
