//! How long it takes until a batch is durable in a local directory, and how much one core encodes.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use vmrewind_model::RawObject;

use crate::{
    figures::{Figures, percentile, say},
    fleet::{Variety, days},
    history::{Author, What},
    programs::now,
};

const COMMITS: usize = 300;
const EVENTS: usize = 100;

/// Commits batches of a hundred versions, and as many bytes to plain files beside them; then larger ones without a disk.
pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    say(&format!("commit: {COMMITS} batches of {EVENTS} versions, with fsync"));
    let mut batches = Vec::new();
    let events = days(7, 60, 1, (Variety::Templates, false));
    let versions: Vec<(What, RawObject)> = events
        .iter()
        .map(|event| Ok((event.what, RawObject::from_server(&serde_json::to_vec(&event.object)?)?)))
        .collect::<anyhow::Result<_>>()?;
    for n in 0..COMMITS {
        let from = n * EVENTS % (versions.len() - EVENTS);
        batches.push(versions.get(from..from + EVENTS).context("a batch")?);
    }
    let dir = tempfile::tempdir()?;
    let mut author = Author::new(&dir.path().join("archive")).await?;
    let mut times = Vec::new();
    for batch in &batches {
        let start = now();
        author.commit(batch, Duration::from_micros(100)).await?;
        times.push(start.elapsed());
    }
    let mut bare = Vec::new();
    for (n, entry) in std::fs::read_dir(dir.path().join("archive/log/0000"))?.enumerate() {
        let bytes = std::fs::read(entry?.path())?;
        let start = now();
        durable(&dir.path().join(format!("bare-{n}")), dir.path(), &bytes)?;
        bare.push(start.elapsed());
    }
    for (name, p) in [("p50", 0.50), ("p99", 0.99)] {
        let (ours, file) = (percentile(&mut times, p), percentile(&mut bare, p));
        figures.add(
            &format!("commit of {EVENTS} versions, {name}"),
            format!("{:.2} ms", ours.as_secs_f64() * 1000.0),
            format!("a file of the same bytes, with fsync: {:.2} ms", file.as_secs_f64() * 1000.0),
            ours.as_secs_f64() / file.as_secs_f64(),
        );
    }

    let mut author = Author::in_memory().await?;
    let (mut count, mut bytes, mut took) = (0_usize, 0, Duration::ZERO);
    while count < 100_000 {
        for batch in versions.chunks_exact(1000) {
            let start = now();
            bytes += author.commit(batch, Duration::from_micros(100)).await?;
            took += start.elapsed();
            count += batch.len();
        }
    }
    let mut compress = Duration::ZERO;
    let mut again = 0;
    while again < count {
        for batch in versions.chunks_exact(1000) {
            let mut json = Vec::new();
            batch.iter().for_each(|(_, object)| json.extend_from_slice(object.bytes()));
            let start = now();
            zstd::bulk::compress(&json, 3)?;
            compress += start.elapsed();
            again += batch.len();
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let rate = |count: usize, took: Duration| count as f64 / took.as_secs_f64();
    figures.add(
        &format!("encoding on one core, versions of {} B", bytes / count as u64),
        format!("{:.0} versions/s", rate(count, took)),
        format!("zstd-3 of the same JSON alone: {:.0} versions/s", rate(again, compress)),
        rate(count, took) / rate(again, compress),
    );
    Ok(())
}

/// Writes a file so that it survives a crash.
fn durable(path: &Path, dir: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::File::open(dir)?.sync_all()?;
    Ok(())
}
