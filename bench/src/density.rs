//! Bytes per version of log segments, against compressing each version alone.

use std::{
    io::BufRead as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use vmrewind_archive::{Archive, ArchiveUrl, At, Door, Rules, Silent, Store, maintain};
use vmrewind_model::{RawObject, Timestamp};
use vmrewind_testkit::bench::extra_folder;

use crate::{
    figures::{Figures, ratio, say},
    history::{Author, What},
    programs::now,
};

/// Measures the recorded stream of a real virt-controller, if it is at hand.
pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let Some(stream) = extra_folder().map(|folder| folder.join("fixtures/virt-controller-stream.jsonl.zst")) else {
        say("density: skipped, VMREWIND_EXTRA_FIXTURES is not set");
        return Ok(());
    };
    say("density: the recorded stream of a real virt-controller, one segment per quarter of a second");
    let dir = tempfile::tempdir()?;
    let mut author = Author::new(dir.path()).await?;
    let (mut versions, mut raw, mut alone) = (0_u64, 0, 0_u64);
    let mut all = Vec::new();
    let mut batch: Vec<(What, RawObject)> = Vec::new();
    let mut cut_at = None;
    for line in std::io::BufReader::new(zstd::Decoder::new(std::fs::File::open(&stream)?)?).lines() {
        let line: serde_json::Value = serde_json::from_str(&line?)?;
        let what = match line["e"]["type"].as_str() {
            Some("ADDED") => What::Added,
            Some("MODIFIED") => What::Modified,
            Some("DELETED") => What::Deleted,
            _ => continue,
        };
        let t = line["t"].as_u64().context("t")?;
        if t >= *cut_at.get_or_insert(t + 250_000) && !batch.is_empty() {
            raw += author.commit(&batch, Duration::from_micros(1)).await?;
            batch.clear();
            cut_at = Some(t + 250_000);
        }
        let object = RawObject::from_server(&serde_json::to_vec(&line["e"]["object"])?)?;
        versions += 1;
        all.extend_from_slice(object.bytes());
        alone += u64::try_from(zstd::bulk::compress(object.bytes(), 3)?.len())?;
        batch.push((what, object));
    }
    raw += author.commit(&batch, Duration::from_micros(1)).await?;
    let bytes = size(dir.path())?;
    let per = |bytes: u64| format!("{:.0} B", ratio(bytes, versions));
    figures.add(
        "bytes per version, recorded stream, log segments",
        per(bytes),
        format!("zstd-3 of each alone {}", per(alone)),
        ratio(bytes, alone),
    );
    figures.add("the same", per(bytes), format!("raw JSON {}", per(raw)), ratio(bytes, raw));
    author.heartbeat(Duration::from_hours(48)).await?;
    rolled_up(figures, dir.path(), (versions, bytes), &all).await
}

/// Rolls all of it up.
async fn rolled_up(figures: &mut Figures, dir: &Path, (versions, log): (u64, u64), json: &[u8]) -> anyhow::Result<()> {
    let store = Store::open(&dir.display().to_string().parse::<ArchiveUrl>()?)?;
    let archive = Archive::open(store).await?;
    let salts = AtomicU64::new(0);
    let salt = || u128::from(salts.fetch_add(1, Ordering::Relaxed)).to_le_bytes();
    let start = now();
    let door = Door { now: &|| Timestamp::MIN, salt: &salt };
    let done = maintain(&archive, &Rules::of(&archive, "vmrewind-bench"), door).await?;
    let took = start.elapsed();
    let bytes = standing(dir)?;
    let per = |bytes: u64| format!("{:.1} B", ratio(bytes, versions));
    figures.add("the same, rolled up", per(bytes), format!("log segments {}", per(log)), ratio(bytes, log));
    let start = now();
    let one = zstd::bulk::compress(json, 9)?.len();
    let compress = start.elapsed();
    figures.add(
        &format!("rolling up {versions} versions, {} window(s)", done.standing),
        format!("{} ms", took.as_millis()),
        format!("zstd-9 of their JSON as it came, to {} each: {} ms", per(u64::try_from(one)?), compress.as_millis()),
        took.as_secs_f64() / compress.as_secs_f64(),
    );
    checkpoint(figures, dir, "the recorded stream").await
}

/// Returns the size of the bundles that the newest manifest names, and of itself. (What they were merged from is still there, until
/// something deletes it.)
pub(crate) fn standing(dir: &Path) -> anyhow::Result<u64> {
    let (manifest, length) = newest_manifest(dir)?;
    let windows = manifest["windows"].as_array().context("windows")?;
    Ok(windows.iter().map(bytes_of).sum::<u64>() + length)
}

/// Adds how large the newest checkpoint is for each object that is there at the end, beside zstd-9 of these objects in one piece, sorted.
pub(crate) async fn checkpoint(figures: &mut Figures, dir: &Path, of: &str) -> anyhow::Result<()> {
    let (manifest, _) = newest_manifest(dir)?;
    let all = manifest["checkpoints"].as_array().context("a checkpoint")?;
    let bytes = all.last().map(bytes_of).context("a checkpoint")?;
    let archive = Archive::open(Store::open(&dir.display().to_string().parse::<ArchiveUrl>()?)?).await?;
    let state = archive.state_at(At::Latest, &|_| true, &Silent).await?;
    let mut objects: Vec<(String, &[u8])> = Vec::new();
    for entry in state.objects.values() {
        if let (Some(object), Some(key)) = (entry.record.change.object(), entry.record.change.key()) {
            objects.push((format!("{} {}", key.home, key.object), object.bytes()));
        }
    }
    objects.sort_unstable();
    let count = u64::try_from(objects.len())?;
    let json: Vec<u8> = objects.into_iter().flat_map(|(_, object)| [object, b"\n"].concat()).collect();
    let one = u64::try_from(zstd::bulk::compress(&json, 9)?.len())?;
    let per = |bytes: u64| format!("{:.1} B", ratio(bytes, count));
    figures.add(
        &format!("checkpoint, per object: {of}"),
        per(bytes),
        format!("zstd-9 of the {count} objects in one piece, sorted: {}", per(one)),
        ratio(bytes, one),
    );
    Ok(())
}

/// The bytes of a window or a checkpoint.
fn bytes_of(rolled: &serde_json::Value) -> u64 {
    let parts = rolled["parts"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["size"].as_u64()).sum()
}

/// Reads the newest manifest, and says how long it is.
fn newest_manifest(dir: &Path) -> anyhow::Result<(serde_json::Value, u64)> {
    let names = std::fs::read_dir(dir.join("man"))?.map(|entry| Ok(entry?.path()));
    let newest = names.collect::<anyhow::Result<Vec<_>>>()?.into_iter().max().context("a manifest")?;
    let text = std::fs::read_to_string(newest)?;
    Ok((serde_json::from_str(&text)?, u64::try_from(text.len())?))
}

/// Returns the size of all files below `dir`.
pub(crate) fn size(dir: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}
