//! What the watcher holds for the objects it follows.

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::Value;
use vmrewind_testkit::{
    bench::{self, shapes},
    controlplane::{ControlPlane, Options},
};

use crate::{
    figures::{Figures, mebibytes, ratio, say},
    programs::{Watcher, now},
};

/// Fills a control plane with machines and the Secrets they name, then starts a watcher.
pub(crate) async fn measure(figures: &mut Figures, objects: usize) -> anyhow::Result<()> {
    say(&format!("memory: {objects} objects, half machines, half the Secrets they name"));
    let dir = tempfile::tempdir()?;
    let plane = ControlPlane::start(Options { crds: bench::own_definitions()?, ..Options::default() }).await?;
    let client = plane.client().await?;
    let api = |object: &Value| -> Api<DynamicObject> {
        let text = |member: &str| object[member].as_str().unwrap_or_default().to_owned();
        Api::namespaced_with(client.clone(), "default", &bench::resource(&text("apiVersion"), &text("kind")))
    };
    let mut all = Vec::new();
    for index in 0..objects / 2 {
        let (name, secret) = (format!("vm-{index:05}"), format!("vm-{index:05}-ci"));
        all.push(shapes::cloud_init("default", &secret, "#cloud-config\nhostname: example\n"));
        all.push(shapes::machine("default", &name).with_cloud_init_secret(&secret).to_post());
    }
    let raw: u64 = futures::stream::iter(all)
        .map(|object| {
            let api = api(&object);
            async move {
                let made = api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
                anyhow::Ok(u64::try_from(serde_json::to_vec(&made)?.len())?)
            }
        })
        .buffer_unordered(16)
        .try_fold(0, async |sum, len| Ok(sum + len))
        .await?;
    let archive = dir.path().join("archive").display().to_string();
    let (kubeconfig, log) = (plane.kubeconfig(), dir.path().join("watcher.log"));
    let start = || Watcher::start(&kubeconfig, (&archive, Vec::new()), &log);
    let began = now();
    let watcher = start().await?;
    let ready = began.elapsed();
    let (resident, peak) = watcher.memory()?;
    watcher.stop().await?;
    let watcher = start().await?;
    let (restarted, _) = watcher.memory()?;
    watcher.stop().await?;
    figures.add(
        &format!("watcher's resident memory at {objects} objects"),
        mebibytes(resident),
        format!("their JSON {}", mebibytes(raw)),
        ratio(resident, raw),
    );
    figures.add(
        "the same after a restart from the archive",
        mebibytes(restarted),
        format!("after the first list {}", mebibytes(resident)),
        ratio(restarted, resident),
    );
    figures.add(
        "watcher's peak memory while it lists them",
        mebibytes(peak),
        format!("resident {}", mebibytes(resident)),
        ratio(peak, resident),
    );
    figures.add(
        "first full capture until ready",
        format!("{} ms", ready.as_millis()),
        format!("{objects} objects"),
        ratio(u64::try_from(ready.as_micros())?, u64::try_from(objects)?),
    );
    Ok(())
}
