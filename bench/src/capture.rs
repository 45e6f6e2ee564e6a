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
use object_store::{ObjectStore as _, PutMode};
use serde_json::json;
use vmrewind_archive::{Archive, ArchiveUrl, Store};
use vmrewind_model::Op;
use vmrewind_testkit::{
    bench::{self, shapes},
    controlplane::{ControlPlane, Options},
    s3::S3Server,
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

/// Where the watcher writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Into {
    /// A local directory.
    Directory,
    /// A bucket of an S3 server on this machine, which keeps objects as files.
    Bucket,
}

/// Patches machines as fast as the API server takes it.
pub(crate) async fn measure(figures: &mut Figures, seconds: u64, into: Into) -> anyhow::Result<()> {
    let where_to = if into == Into::Bucket { ", into an S3 server" } else { "" };
    say(&format!("capture: {WRITERS} writers patch {MACHINES} machines for {seconds} s{where_to}"));
    let dir = tempfile::tempdir()?;
    let server = S3Server::start().await?;
    server.make_bucket("archives")?;
    let (url, archive) = match into {
        Into::Directory => (dir.path().join("archive").display().to_string(), dir.path().join("archive")),
        Into::Bucket => (server.url("archives"), server.bucket("archives")),
    };
    let plane = ControlPlane::start(Options { crds: bench::own_definitions()?, ..Options::default() }).await?;
    let client = plane.client().await?;
    let resource = bench::resource("kubevirt.io/v1", "VirtualMachine");
    let machines: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    for index in 0..MACHINES {
        let machine = shapes::machine("default", &format!("vm-{index:03}")).to_post();
        machines.create(&PostParams::default(), &serde_json::from_value(machine)?).await?;
    }
    let log = dir.path().join("watcher.log");
    let watcher = Watcher::start(&plane.kubeconfig(), (&url, server.environment()), &log).await?;

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
    let mut puts = if into == Into::Bucket { puts(&server, &archive).await? } else { Vec::new() };
    let written = u64::try_from(answers.len())?;
    let captured = u64::try_from(lags.len())?;
    ensure!(written > 0, "nothing was written");
    let rate = |count: u64| format!("{:.0}/s", ratio(count * 1000, u64::try_from(took.as_millis()).unwrap_or(1)));
    figures.add(
        &format!("writes captured{where_to}"),
        rate(captured),
        format!("writes accepted {}", rate(written)),
        ratio(captured, written),
    );
    for (name, p) in [("p50", 0.50), ("p99", 0.99), ("max", 1.0)] {
        let lag = percentile(&mut lags, p);
        let put = percentile(&mut puts, p);
        let allowed = LINGER + put * 2;
        let against = match into {
            Into::Directory => format!("linger {} ms", LINGER.as_millis()),
            Into::Bucket => format!(
                "linger {} ms + 2 x {:.1} ms, a bare PUT of the same bytes",
                LINGER.as_millis(),
                put.as_secs_f64() * 1000.0
            ),
        };
        figures.add(
            &format!("lag {name}, answer to durable{where_to}"),
            format!("{} ms", lag.as_millis()),
            against,
            lag.as_secs_f64() / allowed.as_secs_f64(),
        );
    }
    if into == Into::Bucket {
        return Ok(());
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

/// Returns how long it takes to put each segment once more, under another name, one after the other while nothing else happens.
async fn puts(server: &S3Server, bucket: &Path) -> anyhow::Result<Vec<Duration>> {
    let client = server.client().with_bucket_name("archives").build()?;
    let mut times = Vec::new();
    for entry in std::fs::read_dir(bucket.join("log/0000"))? {
        let entry = entry?;
        let bytes = std::fs::read(entry.path())?;
        let name = format!("bare/{}", entry.file_name().to_string_lossy());
        let start = now();
        client.put_opts(&name.into(), bytes.into(), PutMode::Create.into()).await?;
        times.push(start.elapsed());
    }
    Ok(times)
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
