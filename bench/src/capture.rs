//! How much the watcher takes, and how long after the API server's answer a change is durable.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;
use vmrewind_archive::{Archive, ArchiveUrl, Store};
use vmrewind_model::Op;
use vmrewind_testkit::{
    bench::{self, shapes},
    controlplane::{ControlPlane, Options},
};

use crate::{
    figures::{Figures, mebibytes, percentile, ratio, say},
    programs::{Watcher, now, wall},
};

const MACHINES: usize = 100;
const WRITERS: usize = 8;
/// The watcher's default.
const LINGER: Duration = Duration::from_millis(250);

/// When the API server answered each write, by uid and resource version.
type Answers = Arc<Mutex<HashMap<(String, String), SystemTime>>>;

/// Patches machines as fast as the API server takes it.
pub(crate) async fn measure(figures: &mut Figures, seconds: u64) -> anyhow::Result<()> {
    say(&format!("capture: {WRITERS} writers patch {MACHINES} machines for {seconds} s"));
    let dir = tempfile::tempdir()?;
    let plane = ControlPlane::start(Options { crds: bench::own_definitions()?, ..Options::default() }).await?;
    let client = plane.client().await?;
    let resource = bench::resource("kubevirt.io/v1", "VirtualMachine");
    let machines: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    for index in 0..MACHINES {
        let machine = shapes::machine("default", &format!("vm-{index:03}")).to_post();
        machines.create(&PostParams::default(), &serde_json::from_value(machine)?).await?;
    }
    let archive = dir.path().join("archive");
    let watcher = Watcher::start(&plane.kubeconfig(), &archive, &dir.path().join("watcher.log")).await?;

    let answers = Answers::default();
    let start = now();
    let end = start + Duration::from_secs(seconds);
    let writers = (0..WRITERS).map(|writer| {
        let (machines, answers) = (machines.clone(), answers.clone());
        async move {
            let mut count = writer;
            while now() < end {
                let patch = json!({"metadata": {"annotations": {"example.io/count": count.to_string()}}});
                let name = format!("vm-{:03}", count % MACHINES);
                let answer = machines.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
                let meta = answer.metadata;
                let key = meta.uid.zip(meta.resource_version).context("uid and version")?;
                answers.lock().expect("no writer panics").insert(key, wall());
                count += WRITERS;
            }
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(writers).await?;
    let took = start.elapsed();
    let memory = watcher.memory()?;
    watcher.stop().await?;

    let answers = std::mem::take(&mut *answers.lock().expect("no writer panics"));
    let (mut lags, bytes, versions) = lags(&archive, &answers).await?;
    let written = u64::try_from(answers.len())?;
    let captured = u64::try_from(lags.len())?;
    ensure!(written > 0, "nothing was written");
    let rate = |count: u64| format!("{:.0}/s", ratio(count * 1000, u64::try_from(took.as_millis()).unwrap_or(1)));
    figures.add(
        "writes captured",
        rate(captured),
        format!("writes accepted {}", rate(written)),
        ratio(captured, written),
    );
    for (name, p) in [("p50", 0.50), ("p99", 0.99), ("max", 1.0)] {
        let lag = percentile(&mut lags, p);
        let against = format!("linger {} ms", LINGER.as_millis());
        figures.add(
            &format!("lag {name}, answer to durable"),
            format!("{} ms", lag.as_millis()),
            against,
            lag.as_secs_f64() / LINGER.as_secs_f64(),
        );
    }
    figures.add(
        "bytes per version, log segments of a busy cluster",
        format!("{} B", bytes / versions.max(1)),
        format!("{versions} versions, {}", mebibytes(bytes)),
        ratio(bytes, versions),
    );
    figures.add(
        "watcher's peak memory while busy",
        mebibytes(memory.1),
        format!("resident at the end {}", mebibytes(memory.0)),
        ratio(memory.1, memory.0),
    );
    Ok(())
}

/// Returns how long after its answer each write was durable, the bytes of the archive, and its versions.
async fn lags(
    path: &Path,
    answers: &HashMap<(String, String), SystemTime>,
) -> anyhow::Result<(Vec<Duration>, u64, u64)> {
    let archive = Archive::open(Store::open(&path.display().to_string().parse::<ArchiveUrl>()?)?).await?;
    let head = archive.head().await?;
    let segments: Vec<_> = archive.segments(1..=head.segment).try_collect().await?;
    let mut durable = HashMap::new();
    let mut bytes = 0;
    for segment in &segments {
        // A segment is written and synced under another name and then linked: the link changes its ctime.
        let file = path.join("log/0000").join(format!("{:016x}", segment.summary.segment));
        let meta = std::fs::metadata(&file)?;
        let at =
            SystemTime::UNIX_EPOCH + Duration::new(u64::try_from(meta.ctime())?, u32::try_from(meta.ctime_nsec())?);
        durable.insert(segment.summary.segment, at);
        bytes += segment.summary.bytes;
    }
    let mut lags = Vec::new();
    let mut versions = 0;
    let mut records = std::pin::pin!(archive.records(vmrewind_archive::SeqRange::ALL));
    while let Some(record) = records.next().await {
        let record = record?;
        if let (Some(key), Some(rv)) = (record.change.key(), record.change.rv()) {
            versions += 1;
            if record.change.op() == Op::Modified
                && let Some(answered) = answers.get(&(key.uid.clone(), rv.to_string()))
                && let Some(segment) = segments.iter().find(|segment| segment.summary.seqs.contains(record.seq))
            {
                lags.push(durable[&segment.summary.segment].duration_since(*answered).unwrap_or_default());
            }
        }
    }
    Ok((lags, bytes, versions))
}
