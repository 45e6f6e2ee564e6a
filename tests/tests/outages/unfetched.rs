//! A machine that is recorded, and a Secret that it names and that could not be fetched in time.

use serde_json::{Value, json};
use vmrewind_testkit::bench::{Bench, BenchOptions, run};
use vmrewind_testkit::controlplane::User;
use vmrewind_tests::{Site, agree_with_python_reader};

use super::{label, quiet_machine, recorded};

/// Rights to read everything that is captured, with or without Secrets.
pub(super) fn rules(secrets: bool) -> Vec<Value> {
    let read = ["get", "list", "watch"];
    let mut rules = vec![
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["create", "update", "patch"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["get"]}),
        json!({"apiGroups": [
            "kubevirt.io", "pool.kubevirt.io", "instancetype.kubevirt.io", "snapshot.kubevirt.io", "clone.kubevirt.io",
            "export.kubevirt.io", "backup.kubevirt.io", "migrations.kubevirt.io", "template.kubevirt.io", "plugin.kubevirt.io",
            "cdi.kubevirt.io", "forklift.cdi.kubevirt.io", "k8s.cni.cncf.io", "snapshot.storage.k8s.io",
            "groupsnapshot.storage.k8s.io", "storage.k8s.io", "scheduling.k8s.io", "apps", "apiextensions.k8s.io",
            "resource.k8s.io", "rbac.authorization.k8s.io", "networking.k8s.io", "coordination.k8s.io",
        ], "resources": ["*"], "verbs": read}),
        json!({"apiGroups": [""], "resources": [
            "namespaces", "persistentvolumes", "persistentvolumeclaims", "pods", "configmaps", "serviceaccounts", "services",
            "nodes", "events", "endpoints",
        ], "verbs": read}),
    ];
    if secrets {
        rules.push(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": read}));
    }
    rules
}

#[test]
fn a_secret_that_was_not_fetched_before_the_watcher_was_killed_is_fetched_after_its_restart() {
    run(async {
        let users = vec![User { name: "recorder".to_owned(), rules: rules(false) }];
        let bench = Bench::start(BenchOptions { users, ..BenchOptions::default() }).await?;
        bench.namespace("prod").await?;
        quiet_machine(&bench, "prod", "db").await?;
        let rv = label(&bench, "prod", "db", "alone").await?;
        let site = Site::with_kubeconfig(&bench, &bench.plane.kubeconfig_of("recorder"))?;
        let watcher = site.watcher()?;
        let (_, history) = recorded(&site, "prod", "db", &rv).await?;
        assert_eq!(
            history.of("Secret", "prod", "db-key").count(),
            0,
            "it may not be read yet, and is not taken for absent"
        );
        watcher.kill_9()?;

        bench.plane.grant("recorder", &rules(true)).await?;
        let watcher = site.watcher()?.ready().await?;
        let (line, _) =
            site.shows("the Secret", |history| history.of("Secret", "prod", "db-key").next().cloned()).await?;
        assert_eq!(line.op, "S", "{line:?}");
        watcher.stop().await?;
        let shown = site
            .tool
            .ok(&["show", "secret/db-key", "-n", "prod", "--show-secrets", "--allow-gaps", "-o", "json"])
            .await?;
        assert_eq!(shown.json()?["data"]["key"], "dmFsdWU=");
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
