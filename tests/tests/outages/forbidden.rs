//! A watcher that may not read everything.

use serde_json::{Value, json};
use vmrewind_testkit::bench::{Bench, BenchOptions, PATIENCE, run};
use vmrewind_testkit::controlplane::User;
use vmrewind_testkit::wait::{Seen, wait_for};
use vmrewind_tests::{Site, agree_with_python_reader};

use super::unfetched::rules;
use super::{label, quiet_machine, recorded};

/// All rights but: DataVolumes may not be read at all, network attachments only be listed.
fn without_some() -> Vec<Value> {
    let mut rules = rules(true);
    for rule in &mut rules {
        if let Some(groups) = rule["apiGroups"].as_array_mut() {
            groups.retain(|group| group != "cdi.kubevirt.io" && group != "k8s.cni.cncf.io");
        }
    }
    let rest = ["datasources", "dataimportcrons", "cdis", "cdiconfigs", "storageprofiles"];
    rules.push(json!({"apiGroups": ["cdi.kubevirt.io"], "resources": rest, "verbs": ["get", "list", "watch"]}));
    rules.push(json!({"apiGroups": ["k8s.cni.cncf.io"], "resources": ["*"], "verbs": ["get", "list"]}));
    rules
}

#[test]
fn what_may_not_be_listed_or_watched_is_named_with_its_verb_while_the_rest_is_captured() {
    run(async {
        let users = vec![User { name: "recorder".to_owned(), rules: without_some() }];
        let bench = Bench::start(BenchOptions { users, ..BenchOptions::default() }).await?;
        bench.namespace("prod").await?;
        quiet_machine(&bench, "prod", "db").await?;
        let site = Site::with_kubeconfig(&bench, &bench.plane.kubeconfig_of("recorder"))?;
        let watcher = site.watcher()?;
        let rv = label(&bench, "prod", "db", "seen").await?;
        recorded(&site, "prod", "db", &rv).await?;

        let refused = [("datavolumes", "list"), ("network-attachment-definitions", "watch")];
        wait_for("both refusals", PATIENCE, async || {
            let said = watcher.readiness().await?;
            let named = |(resource, verb): &(&str, &str)| {
                said.lines().any(|line| line.contains("denied") && line.contains(resource) && line.contains(verb))
            };
            Ok(Seen::or_not_yet(refused.iter().all(named).then_some(()), || said.clone()))
        })
        .await?;
        wait_for("both refusals in the archive", PATIENCE, async || {
            let info = site.tool.ok(&["info", "-o", "json"]).await?.json()?;
            let all = info["resources"].as_array().cloned().unwrap_or_default();
            let denied: Vec<&Value> = all.iter().filter(|one| one["state"] == "denied").collect();
            let named = |(resource, verb): &(&str, &str)| {
                let of = |one: &&&Value| one["resource"] == *resource;
                denied.iter().find(of).is_some_and(|one| one["detail"].as_str().unwrap_or_default().contains(verb))
            };
            let both = denied.len() == refused.len() && refused.iter().all(named);
            Ok(Seen::or_not_yet(both.then_some(()), || format!("{denied:#?}")))
        })
        .await?;
        site.tool.ok(&["get", "vm/db", "-n", "prod"]).await?;
        site.tool.run(&["get", "datavolumes", "-n", "prod"]).await?.expect(6)?;

        bench.plane.grant("recorder", &rules(true)).await?;
        watcher.kill_9()?;
        let watcher = site.watcher()?.ready().await?;
        watcher.stop().await?;
        site.tool.ok(&["get", "datavolumes", "-n", "prod"]).await?;
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}
