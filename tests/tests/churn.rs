//! Nothing acknowledged is lost, and nothing is recorded twice, however often the watcher is killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::shapes::{self, FAST, KEEP};
use vmrewind_testkit::bench::{Bench, BenchOptions, ObjectName, PATIENCE, run, vm};
use vmrewind_testkit::wait::{Seen, wait_for};
use vmrewind_tests::{Chance, History, SEED, Site, agree_with_python_reader, assert_complete, now, scope};

const MACHINES: usize = 300;
const KILLS: usize = 10;
const AT_ONCE: usize = 12;
/// How long the churn as a whole may take.
const LONG: Duration = Duration::from_mins(10);
const NAMESPACES: [&str; 3] = ["prod", "shop", "lab"];

/// What happens to a machine after it was created.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Labelled,
    Resized,
    Stopped,
    Rekeyed,
    Deleted,
    Recreated,
}

const FATES: [Fate; 6] = [Fate::Labelled, Fate::Resized, Fate::Stopped, Fate::Rekeyed, Fate::Deleted, Fate::Recreated];

struct Machine {
    namespace: &'static str,
    name: String,
    parts: Vec<Value>,
    fates: [Fate; 3],
}

fn machine(index: usize, chance: &mut Chance) -> Machine {
    let namespace = NAMESPACES[index % NAMESPACES.len()];
    let name = format!("vm-{index:03}");
    let parts = match index % 20 {
        0 => shapes::with_everything(namespace, &name),
        1..=4 => shapes::with_own_disk(namespace, &name, if index.is_multiple_of(2) { FAST } else { KEEP }),
        _ => shapes::with_template_disk(namespace, &name),
    };
    let mut fate = || FATES[chance.below(FATES.len())];
    Machine { namespace, name, parts, fates: [fate(), fate(), fate()] }
}

async fn suffer(bench: &Bench, machine: &Machine, fate: Fate, turn: usize) -> anyhow::Result<()> {
    let target = vm(machine.namespace, &machine.name);
    let there = bench.get(&target).await?;
    if there.is_none_or(|there| !there["metadata"]["deletionTimestamp"].is_null()) {
        return Ok(()); // an earlier fate took it, or is about to
    }
    match fate {
        Fate::Labelled => bench.patch(&target, &json!({"metadata": {"labels": {"turn": turn.to_string()}}})).await?,
        Fate::Resized => {
            let guest = json!({"guest": format!("{}Gi", 2 + turn)});
            bench.patch(&target, &json!({"spec": {"template": {"spec": {"domain": {"memory": guest}}}}})).await?
        }
        Fate::Stopped => bench.patch(&target, &json!({"spec": {"runStrategy": "Halted"}})).await?,
        Fate::Rekeyed => {
            let secret = format!("{}-ci", machine.name);
            let secret = ObjectName { api_version: "v1", kind: "Secret", namespace: machine.namespace, name: &secret };
            bench.patch(&secret, &json!({"stringData": {"userdata": format!("#cloud-config\nturn: {turn}\n")}})).await?
        }
        Fate::Deleted => {
            bench.delete(&target).await?;
            return Ok(());
        }
        Fate::Recreated => {
            bench.delete(&target).await?;
            bench.wait_gone(&target).await?;
            bench.create_all(&machine.parts).await?;
            return Ok(());
        }
    };
    Ok(())
}

async fn churn(bench: &Bench, machines: &[Machine]) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for machine in machines {
        all.push(bench.create_all(&machine.parts));
    }
    stream::iter(all).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    for turn in 0..3 {
        let mut all = Vec::new();
        for machine in machines {
            all.push(suffer(bench, machine, machine.fates[turn], turn));
        }
        stream::iter(all).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    Ok(())
}

/// Kills the watcher whenever the number of acknowledged versions passes one of the marks, and starts it again.
async fn torment(
    bench: &Bench,
    site: &Site,
    marks: &BTreeSet<usize>,
    over: &AtomicBool,
) -> anyhow::Result<(usize, History)> {
    let mut watcher = site.watcher()?;
    let mut kills = 0;
    for mark in marks {
        wait_for(&format!("{mark} versions"), LONG, async || {
            let there = bench.journal().acknowledged_count();
            let reached = there >= *mark || over.load(Ordering::Relaxed);
            Ok(Seen::or_not_yet(reached.then_some(()), || there.to_string()))
        })
        .await?;
        ensure!(watcher.runs()?, "the watcher ended by itself; see {}", watcher.log().display());
        watcher.kill_9()?;
        kills += 1;
        watcher = site.watcher()?;
    }
    wait_for("the end of the churn", LONG, async || {
        let over = over.load(Ordering::Relaxed);
        Ok(Seen::or_not_yet(over.then_some(()), || bench.journal().acknowledged_count().to_string()))
    })
    .await?;
    let watcher = watcher.ready().await?;
    // Controllers write until they have settled, and the watcher follows them until everything is there.
    let history = assert_complete(&site.tool, bench.journal()).await?;
    watcher.stop().await?;
    Ok((kills, history))
}

#[test]
fn every_acknowledged_write_is_in_the_archive_once_although_the_watcher_was_killed_ten_times() {
    run(async {
        let mut chance = Chance::new();
        eprintln!("to repeat: {SEED}={}", chance.seed());
        let bench = Bench::start(BenchOptions::default()).await?;
        for namespace in NAMESPACES {
            bench.namespace(namespace).await?;
        }
        let watching = bench.journal().watch(bench.client(), &scope(bench.client()).await?);
        let site = Site::new(&bench)?;
        site.watcher()?.ready().await?.stop().await?;
        let machines: Vec<Machine> = (0..MACHINES).map(|index| machine(index, &mut chance)).collect();
        // About forty versions come of each machine; the marks lie in the first two thirds of them.
        let mut marks = BTreeSet::new();
        while marks.len() < KILLS {
            marks.insert(100 + chance.below(MACHINES * 25));
        }
        let over = AtomicBool::new(false);
        let churning = async {
            let outcome = churn(&bench, &machines).await;
            over.store(true, Ordering::Relaxed);
            outcome
        };
        let ((), (kills, history)) = tokio::try_join!(churning, torment(&bench, &site, &marks, &over))?;
        assert_eq!(kills, KILLS);
        assert_eq!(history.gaps().count(), 0, "no gap: {:?}", history.gaps().next());
        let machines_seen = history.lines.iter().filter(|line| line.kind.as_deref() == Some("VirtualMachine"));
        let names: BTreeSet<_> = machines_seen.filter_map(|line| line.name.clone()).collect();
        assert_eq!(names.len(), MACHINES);
        agree_with_python_reader(&site.tool, &site.archive()).await?;
        drop(watching);
        Ok(())
    });
}

#[test]
fn nothing_is_late_while_watches_are_renewed_under_constant_writes() {
    run(async {
        let bench = Bench::start(BenchOptions::default()).await?;
        bench.namespace("prod").await?;
        bench.create_all(&shapes::with_everything("prod", "db")).await?;
        let site = Site::new(&bench)?;
        let watcher = site.watcher()?.ready().await?;
        let ready = now();
        let renewed = "vmrewind_watcher_renewals_total";
        let mut turn = 0;
        // Each of some thirty resources is renewed about every two seconds: four times, and more.
        wait_for("watches that were renewed", PATIENCE, async || {
            for _ in 0..20 {
                turn += 1;
                let name = vm("prod", "db");
                bench.patch(&name, &json!({"metadata": {"labels": {"turn": turn.to_string()}}})).await?;
                let secret = ObjectName { api_version: "v1", kind: "Secret", namespace: "prod", name: "db-ci" };
                bench.patch(&secret, &json!({"stringData": {"turn": turn.to_string()}})).await?;
            }
            let count = watcher.metric(renewed).await?.unwrap_or_default();
            Ok(Seen::or_not_yet((count >= 240.0).then_some(()), || format!("{count} renewals")))
        })
        .await?;
        site.proven_up_to(&now()).await?;
        watcher.stop().await?;
        let history = History::read(&site.tool).await?;
        history.assert_sound()?;
        let since: Vec<_> = history.lines.iter().filter(|line| line.t > ready).collect();
        let versions = since.iter().filter(|line| line.kind.as_deref() == Some("VirtualMachine")).count();
        assert!(versions >= turn, "{versions} versions of {turn} turns");
        let late: Vec<_> = since.iter().filter(|line| line.lo.is_some()).collect();
        assert!(late.is_empty(), "of {} records {} are late: {:?}", since.len(), late.len(), late.first());
        assert_eq!(history.gaps().count(), 0);
        Ok(())
    });
}

#[test]
fn the_check_itself_notices_a_version_that_is_lacking() {
    run(async {
        let history = vmrewind_tests::History { lines: Vec::new() };
        let object = json!({"apiVersion": "kubevirt.io/v1", "kind": Kind::Vm.name(),
            "metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1"}});
        let version = vmrewind_testkit::bench::Version::of(&object);
        assert_eq!(history.lacking(version.iter()).len(), 1);
        Ok(())
    });
}
