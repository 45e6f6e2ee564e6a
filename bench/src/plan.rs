//! How long it takes to plan the restore of one machine.

use std::process::Command;

use anyhow::ensure;
use kube::api::{Api, DynamicObject, PostParams};
use vmrewind_testkit::{
    bench::{self, programs::program, shapes},
    controlplane::{ControlPlane, Options},
};

use crate::{
    density::size,
    figures::{Figures, mebibytes, say},
    history,
    programs::now,
};

/// Makes an archive of `versions` versions and plans a restore from it.
pub(crate) async fn measure(figures: &mut Figures, versions: usize) -> anyhow::Result<()> {
    say(&format!("plan: one machine from an archive of {versions} versions"));
    let dir = tempfile::tempdir()?;
    let archive = dir.path().join("archive");
    let raw = history::machines(&archive, versions, 20).await?;
    let plane = ControlPlane::start(Options { crds: bench::own_definitions()?, ..Options::default() }).await?;

    let classes =
        Api::<DynamicObject>::all_with(plane.client().await?, &bench::resource("storage.k8s.io/v1", "StorageClass"));
    for class in shapes::storage_classes() {
        classes.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
    }

    let start = now();
    let mut inflated = 0;
    for entry in std::fs::read_dir(archive.join("log/0000"))? {
        inflated += std::io::copy(&mut zstd::Decoder::new(std::fs::File::open(entry?.path())?)?, &mut std::io::sink())?;
    }
    let inflate = start.elapsed();

    let start = now();
    let output = Command::new(program("kubectl-vmrewind")?)
        .args(["plan", "vm/vm-00042", "-n", "prod", "--at", "latest", "--volumes", "reimport", "--create-namespace"])
        .arg("--archive")
        .arg(&archive)
        .arg("--kubeconfig")
        .arg(plane.kubeconfig())
        .output()?;
    let took = start.elapsed();
    ensure!(output.status.success(), "plan: {}", String::from_utf8_lossy(&output.stderr));
    let against = format!(
        "decompressing {} of segments to {}: {} ms",
        mebibytes(size(&archive)?),
        mebibytes(inflated),
        inflate.as_millis()
    );
    figures.add(
        &format!("plan of one machine, {versions} versions ({} of JSON)", mebibytes(raw)),
        format!("{} ms", took.as_millis()),
        against,
        took.as_secs_f64() / inflate.as_secs_f64(),
    );
    Ok(())
}
