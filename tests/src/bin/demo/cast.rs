//! The three machines of the demonstration, and what befalls them.
//!
//! Does not: print.

use serde_json::{Value, json};
use vmrewind_testkit::bench::shapes::{self, FAST};
use vmrewind_testkit::bench::{Bench, ObjectName, vm};
use vmrewind_testkit::build;

/// Their namespace.
pub(crate) const NS: &str = "prod";
/// The namespace of the copy.
pub(crate) const COPY: &str = "staging";

/// Creates all three with what they depend on, and waits until they run.
pub(crate) async fn enter(bench: &Bench) -> anyhow::Result<()> {
    bench
        .create(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS, "labels": {"team": "payments"}}}),
        )
        .await?;
    bench.create_all(&shapes::with_own_disk(NS, "db-1", FAST)).await?;
    bench.create_all(&shapes::with_template_disk(NS, "web-1")).await?;
    let network = build::network("lan").namespace(NS);
    let config = build::config_map("app-1-conf").namespace(NS);
    let app = shapes::machine(NS, "app-1")
        .with_template_disk("app-1-root")
        .with_config_map("app-1-conf")
        .with_network("lan", "");
    bench.create_all(&[network.to_post(), config.to_post(), app.to_post()]).await?;
    for name in ["db-1", "web-1", "app-1"] {
        bench.wait_running(NS, name).await?;
    }
    Ok(())
}

/// An ordinary day: somebody rotates a password, somebody gives a machine more memory.
pub(crate) async fn work(bench: &Bench) -> anyhow::Result<()> {
    let secret = json!({"stringData": {"userdata": "#cloud-config\nhostname: db-1\npassword: n3w-one\n"}});
    bench.patch(&core("Secret", "db-1-ci"), &secret).await?;
    bench.patch(&vm(NS, "db-1"), &json!({"metadata": {"labels": {"backup": "gold"}}})).await?;
    bench.patch(&vm(NS, "app-1"), &memory("4Gi")).await?;
    Ok(())
}

/// The accident.
pub(crate) async fn accident(bench: &Bench) -> anyhow::Result<()> {
    bench.delete(&vm(NS, "db-1")).await?;
    bench.delete(&core("Secret", "db-1-ci")).await?;
    bench.delete(&vm(NS, "web-1")).await?;
    bench.patch(&vm(NS, "app-1"), &memory("512Mi")).await?;
    bench.wait_gone(&vm(NS, "db-1")).await?;
    bench.wait_disks_gone(NS, "web-1-root").await
}

fn memory(guest: &str) -> Value {
    json!({"spec": {"template": {"spec": {"domain": {"memory": {"guest": guest}}}}}})
}

/// Names an object of the core group in the namespace of the machines.
pub(crate) fn core<'a>(kind: &'a str, name: &'a str) -> ObjectName<'a> {
    ObjectName { api_version: "v1", kind, namespace: NS, name }
}
