//! Bytes per version of a day of a fleet, rolled up, beside `git gc --aggressive` of the same versions.

use std::{collections::BTreeSet, path::Path, time::Duration};

use vmrewind_archive::{Archive, ArchiveUrl, Door, Rules, Store, maintain};
use vmrewind_model::{RawObject, Timestamp};

use crate::{
    density::{checkpoint, size, standing},
    figures::{Figures, mebibytes, ratio, say},
    fleet::{Variety, days},
    git,
    history::{Author, What},
    programs::now,
};

const SEED: u64 = 20_260_101;
/// What a watcher puts into one segment.
const LINGER: Duration = Duration::from_millis(250);

/// One version, as the API server would send it.
pub(crate) struct Version {
    pub(crate) t: Timestamp,
    pub(crate) what: What,
    pub(crate) home: String,
    pub(crate) object: RawObject,
}

/// Rolls up a day of `machines` machines, of each kind of fleet.
pub(crate) async fn measure(figures: &mut Figures, machines: usize) -> anyhow::Result<()> {
    let fleets = [
        ("four templates, with managedFields", Variety::Templates, true),
        ("four templates", Variety::Templates, false),
        ("20 shapes, nothing shared", Variety::NothingShared, false),
    ];
    for (name, variety, managed) in fleets {
        let versions = made(machines, variety, managed)?;
        let objects: BTreeSet<_> =
            versions.iter().map(|version| version.object.head().map(|head| head.uid)).collect::<Result<_, _>>()?;
        let (count, of) = (u64::try_from(versions.len())?, u64::try_from(objects.len())?);
        let json: u64 = versions.iter().map(|version| version.object.bytes().len() as u64).sum();
        say(&format!(
            "day: {name}: {machines} machines, {count} versions of {of} objects ({:.1} each), {}",
            ratio(count, of),
            mebibytes(json)
        ));
        let dir = tempfile::tempdir()?;
        let archive = dir.path().join("archive");
        let log = written(&archive, &versions).await?;
        let (rolled, took) = rolled_up(&archive).await?;
        let per = |bytes: u64| format!("{:.1} B", ratio(bytes, count));
        figures.add(
            &format!("a day rolled up: {name}"),
            per(rolled),
            format!("log segments {}", per(log)),
            ratio(rolled, log),
        );
        checkpoint(figures, &archive, name).await?;
        let start = now();
        let packed = git::packed(&dir.path().join("git"), &versions)?;
        let git = start.elapsed();
        figures.add(
            "the same",
            per(rolled),
            format!("git gc --aggressive, a commit per second: {}", per(packed)),
            ratio(rolled, packed),
        );
        figures.add(
            "time to roll it up",
            format!("{} ms", took.as_millis()),
            format!("git: {} ms", git.as_millis()),
            took.as_secs_f64() / git.as_secs_f64(),
        );
    }
    Ok(())
}

fn made(machines: usize, variety: Variety, managed: bool) -> anyhow::Result<Vec<Version>> {
    let events = days(SEED, machines, 1, (variety, managed)).into_iter();
    events
        .map(|event| {
            let object = RawObject::from_server(&serde_json::to_vec(&event.object)?)?;
            Ok(Version { t: event.t, what: event.what, home: event.home, object })
        })
        .collect()
}

/// Writes versions as a watcher does, and lets two days pass. Returns the bytes of the log.
async fn written(dir: &Path, versions: &[Version]) -> anyhow::Result<u64> {
    let mut author = Author::new(dir).await?;
    let mut rest = versions;
    while let Some(first) = rest.first() {
        let end = rest.partition_point(|version| version.t < first.t.plus(LINGER));
        let (batch, later) = rest.split_at(end);
        author
            .commit_dated(batch.iter().map(|version| (version.t, version.what, &*version.home, &version.object)))
            .await?;
        rest = later;
    }
    let bytes = size(dir)?;
    author.heartbeat(Duration::from_hours(48)).await?;
    Ok(bytes)
}

/// Rolls all of it up, from five minutes to a day. Returns the bytes of the windows that stand in the end, and how long it took.
async fn rolled_up(dir: &Path) -> anyhow::Result<(u64, Duration)> {
    let archive = Archive::open(Store::open(&dir.display().to_string().parse::<ArchiveUrl>()?)?).await?;
    let start = now();
    maintain(&archive, &Rules::of(&archive, "vmrewind-bench"), Door { now: &|| Timestamp::MIN, salt: &|| [7; 16] })
        .await?;
    let took = start.elapsed();
    Ok((standing(dir)?, took))
}
