//! `make demo`: three machines, an accident, and the way back, on a real control plane.
//!
//! Does not: build anything, or touch any cluster but the one that it starts itself.

mod cast;
mod proof;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::{Bench, BenchOptions, named, vm};
use vmrewind_tests::{Site, Watcher, now};

use self::cast::{COPY, NS, core};
use self::stage::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    let mut stage = Stage::new();
    let outcome = show(&mut stage).await;
    let said = match &outcome {
        Ok(taken) => {
            stage.print(&format!("\nEvery proof held, after {:.0} s. Nothing is left running.", taken.as_secs_f64()))
        }
        Err(error) => stage.print(&format!("\nTHE DEMONSTRATION FAILED: {error:#}")),
    };
    if outcome.is_ok() && said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns how long it took until everything was proved.
async fn show(stage: &mut Stage) -> anyhow::Result<Duration> {
    stage.print("VMRewind, the flight recorder for KubeVirt: three machines, an accident, and the way back.")?;
    stage.scene(
        "A cluster of its own",
        "A real etcd, kube-apiserver and controller manager start on this machine; KubeVirt and CDI are played by controllers of \
         our own.\nYour clusters are not touched.",
    )?;
    let bench = Bench::start(BenchOptions::default()).await?;
    stage.done(&format!(
        "the control plane answers at {} after {:.0} s",
        bench.plane.url(),
        stage.elapsed().as_secs_f64()
    ))?;

    stage.scene(
        "The flight recorder",
        "The watcher records every change of machines, and of all they depend on, into a directory.",
    )?;
    let site = Site::new(&bench)?;
    let watcher = site.watcher()?.ready().await?;
    stage.done(&format!("vmrewind-watcher run --archive {}", site.archive().display()))?;

    let before = live_and_fall(stage, &bench, &site).await?;
    understand(stage, &site, &before).await?;
    put_back(stage, &bench, &site, &before).await?;
    copy(stage, &bench, &site, &before).await?;
    let taken = stage.elapsed();
    end(stage, &bench, &site, watcher).await?;
    Ok(taken)
}

/// Returns the instant just before the accident.
async fn live_and_fall(stage: &mut Stage, bench: &Bench, site: &Site) -> anyhow::Result<String> {
    stage.scene(
        "Three machines at work",
        "db-1 has a disk of its own, web-1 and app-1 have disks from templates. A password is rotated, app-1 gets more memory.",
    )?;
    cast::enter(bench).await?;
    cast::work(bench).await?;
    // Nothing happens any more until the accident, and up to here the archive can prove it.
    let before = site.proven_up_to(&now()).await?;
    stage.call(&site.tool, &["get", "vm", "-n", NS], 0).await?;

    stage.scene("The accident", "Somebody runs the wrong script.")?;
    cast::accident(bench).await?;
    stage.bad("VM db-1 is deleted, and the Secret with its password; its disk is left behind")?;
    stage.bad("VM web-1 is deleted, and its disk with it: those data are really gone")?;
    stage.bad("VM app-1 is left with 512Mi of memory")?;
    site.proven_up_to(&now()).await?;
    Ok(before)
}

async fn understand(stage: &mut Stage, site: &Site, before: &str) -> anyhow::Result<()> {
    stage.scene("What happened?", "The timeline since the accident; changes of status are folded.")?;
    stage.call(&site.tool, &["log", "vm,secret", "-n", NS, "--since", before], 0).await?;

    stage.scene(
        "What is different, and what is gone?",
        "Any two instants can be compared; the exit code says whether they differ.",
    )?;
    stage.call(&site.tool, &["diff", before, "latest", "vm/app-1", "-n", NS], 1).await?;
    stage.call(&site.tool, &["deleted", "-n", NS], 0).await?;

    stage.scene("What did db-1 depend on?", "The graph as it was just before the accident.")?;
    stage.call(&site.tool, &["graph", "vm/db-1", "-n", NS, "--at", before], 0).await?;
    Ok(())
}

async fn put_back(stage: &mut Stage, bench: &Bench, site: &Site, before: &str) -> anyhow::Result<()> {
    let restore = ["vm/db-1", "vm/web-1", "vm/app-1", "-n", NS, "--at", before, "--on-conflict", "replace", "--live"];
    stage.scene(
        "What would a restore do?",
        "A plan says where the data of every volume comes from. The disk of web-1 is gone, so the plan is refused: a machine is \
         never\nstarted on an empty disk by accident.",
    )?;
    let plan = stage.call(&site.tool, &[&["plan"], &restore[..]].concat(), 1).await?;
    ensure!(format!("{}{}", plan.stdout, plan.stderr).contains("web-1-root"), "the plan names the lost disk");
    ensure!(bench.get(&vm(NS, "db-1")).await?.is_none(), "a plan changes nothing");

    stage.scene(
        "The restore",
        "The same call with `restore`: web-1 may fetch its disk again from where it came, everything else comes back as it was.",
    )?;
    let kept = bench.data_of(NS, "db-1-disk").await?.context("the disk of db-1 is alive")?;
    let flags = ["--volumes", "keep,web-1-root=reimport", "--yes"];
    let restored = stage.call_briefly(&site.tool, &[&["restore"], &restore[..], &flags[..]].concat(), 0).await?;
    for name in ["db-1", "web-1", "app-1"] {
        bench.wait_running(NS, name).await?;
    }
    stage.done("all three machines run again")?;

    stage.scene(
        "The proof",
        "What exists now is compared with what was captured, object by object: metadata and specification, without what servers \
         and\ncontrollers fill in.",
    )?;
    let objects = [
        vm(NS, "db-1"),
        core("Secret", "db-1-ci"),
        named(Kind::DataVolume, NS, "db-1-disk"),
        named(Kind::Claim, NS, "db-1-disk"),
        vm(NS, "web-1"),
        core("Secret", "web-1-ci"),
        vm(NS, "app-1"),
        core("ConfigMap", "app-1-conf"),
        named(Kind::Network, NS, "lan"),
    ];
    proof::equal(stage, bench, &site.tool, before, &objects, &restored.stdout).await?;
    ensure!(bench.data_of(NS, "db-1-disk").await?.as_ref() == Some(&kept), "the disk of db-1 holds other data");
    ensure!(bench.ledger().imports(NS, "db-1-disk") == 1, "the disk of db-1 was imported again");
    stage.done("db-1 runs on the disk that it had: adopted, not imported again")?;
    ensure!(bench.ledger().imports(NS, "web-1-root") == 2, "the disk of web-1 was not imported anew");
    stage.done("web-1 has a newly imported disk, as was asked for")
}

async fn copy(stage: &mut Stage, bench: &Bench, site: &Site, before: &str) -> anyhow::Result<()> {
    stage.scene(
        "A copy beside the original",
        "The same instant in another namespace, with an empty disk; a copy gets an identity of its own.",
    )?;
    let original = bench.get(&vm(NS, "db-1")).await?.context("db-1")?;
    let map = format!("{NS}={COPY}");
    let args = [
        "restore",
        "vm/db-1",
        "-n",
        NS,
        "--at",
        before,
        "--namespace-map",
        &map,
        "--create-namespace",
        "--volumes",
        "blank",
        "--yes",
    ];
    stage.call_briefly(&site.tool, &args, 0).await?;
    let made = bench.wait_running(COPY, "db-1").await?;
    let names = ["MAC address", "firmware UUID", "serial number"];
    for ((name, old), new) in names.iter().zip(proof::identity(&original)).zip(proof::identity(&made)) {
        ensure!(old != new && new != "-", "the copy has the {name} of the original");
        stage.done(&format!("{name:<14} {old}  →  {new}"))?;
    }
    let untouched = bench.get(&vm(NS, "db-1")).await?.context("db-1")?;
    ensure!(untouched["metadata"]["uid"] == original["metadata"]["uid"], "the original was touched");
    stage.done("the original was not touched")
}

async fn end(stage: &mut Stage, bench: &Bench, site: &Site, watcher: Watcher) -> anyhow::Result<()> {
    if std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0") {
        stage.scene("Yours to play with", "Everything stays up until you press Ctrl-C here. In another terminal:")?;
        let programs = std::env::current_exe()?;
        let folder = programs.parent().context("the folder of the programs")?;
        stage.print(&format!(
            "  export KUBECONFIG={}\n  export VMREWIND_ARCHIVE={}\n  export PATH={}:$PATH\n\n  \
             kubectl vmrewind get vm -A                # where there is no kubectl: kubectl-vmrewind get vm -A\n  \
             kubectl delete vm app-1 -n {NS}           # or edit, label, scale …\n  \
             kubectl vmrewind log vm/app-1 -n {NS}\n  \
             kubectl vmrewind restore vm/app-1 -n {NS} --at before-delete --volumes reimport\n  \
             kubectl vmrewind --help\n\nGive the watcher some seconds after an accident: until then it cannot prove that it has seen everything.",
            bench.plane.kubeconfig().display(), site.archive().display(), folder.display()
        ))?;
        tokio::signal::ctrl_c().await?;
        // The terminal has told the servers as well, so that the watcher may end before us or without its cluster.
        return Ok(());
    }
    watcher.stop().await
}
