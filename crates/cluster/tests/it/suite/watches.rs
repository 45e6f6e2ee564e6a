//! Watches.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use serde_json::json;
use vmrewind_cluster::{Preconditions, Propagation, Watch, WatchEvent};
use vmrewind_model::Rv;

use super::{Suite, version};

/// Much longer than anything takes; a bound, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the next event that is no bookmark, as letter, name and version.
async fn next(watch: &mut Watch) -> anyhow::Result<(char, String, Rv)> {
    loop {
        let event = tokio::time::timeout(PATIENCE, watch.next()).await?.context("the watch ended")??;
        let (letter, object) = match event {
            WatchEvent::Added(object) => ('A', object),
            WatchEvent::Modified(object) => ('M', object),
            WatchEvent::Deleted(object) => ('D', object),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Rejected(rejected) => bail!("{rejected:?}"),
        };
        let head = object.head()?;
        return Ok((letter, head.key.name, head.rv));
    }
}

pub(crate) async fn changes_in_order(suite: &Suite<'_>) -> anyhow::Result<()> {
    let target = suite.target();
    let listing = suite.cluster.list_consistent(&target, 100).await?;
    let mut watch = suite.cluster.watch(&target, listing.rv, PATIENCE).await?;
    assert!(watch.date().is_some());
    let first = version(&suite.create("watched", &json!({})).await?)?;
    let second = version(&suite.set_data("watched", "1").await?)?;
    suite
        .cluster
        .delete(&target, "watched", &Preconditions::default(), Propagation::Background, &suite.options)
        .await?;
    assert_eq!(next(&mut watch).await?, ('A', "watched".to_owned(), first));
    assert_eq!(next(&mut watch).await?, ('M', "watched".to_owned(), second));
    let (letter, _, third) = next(&mut watch).await?;
    assert_eq!(letter, 'D');
    assert!(third > second, "a deletion has a version of its own");

    // A second watch from the middle tells the rest again, and nothing of what was before.
    let mut again = suite.cluster.watch(&target, first, PATIENCE).await?;
    assert_eq!(next(&mut again).await?, ('M', "watched".to_owned(), second));
    assert_eq!(next(&mut again).await?, ('D', "watched".to_owned(), third));

    // A recreated object is another one.
    suite.create("watched", &json!({})).await?;
    assert_eq!(next(&mut again).await?.0, 'A');
    Ok(())
}

pub(crate) async fn selections(suite: &Suite<'_>) -> anyhow::Result<()> {
    let target = suite.target().with_selector(Some("color in (red,blue)"));
    let (from, _) = suite.cluster.newest_version(&target).await?;
    let mut watch = suite.cluster.watch(&target, from, PATIENCE).await?;
    let paint = async |color: &str| -> anyhow::Result<Rv> {
        let patch = json!({"metadata": {"labels": {"color": color}}});
        version(&suite.cluster.patch_merge(&suite.target(), "painted", &patch, &suite.options).await?)
    };
    suite.create("painted", &json!({"color": "green"})).await?;
    let red = paint("red").await?;
    let blue = paint("blue").await?;
    let green = paint("green").await?;
    assert_eq!(next(&mut watch).await?, ('A', "painted".to_owned(), red));
    assert_eq!(next(&mut watch).await?, ('M', "painted".to_owned(), blue));
    // It still exists; the watch tells that it left, with the version of the change.
    assert_eq!(next(&mut watch).await?, ('D', "painted".to_owned(), green));
    assert!(suite.cluster.get(&suite.target(), "painted").await?.is_some());
    Ok(())
}

pub(crate) async fn bookmark_before_the_end(suite: &Suite<'_>) -> anyhow::Result<()> {
    let target = suite.target();
    let (from, _) = suite.cluster.newest_version(&target).await?;
    let mut watch = suite.cluster.watch(&target, from, Duration::from_secs(3)).await?;
    let written = version(&suite.create("marked", &json!({})).await?)?;
    let mut newest = None;
    while let Some(event) = tokio::time::timeout(PATIENCE, watch.next()).await? {
        if let WatchEvent::Bookmark(rv) = event? {
            newest = Some(rv);
        }
    }
    assert!(newest.is_some_and(|newest| newest >= written), "{newest:?} after {written}");
    Ok(())
}
