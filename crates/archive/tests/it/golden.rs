//! An archive of every released format version, which stays readable for ever.
//!
//! To add one for a new version: `VMREWIND_WRITE_GOLDEN=1 cargo test -p vmrewind-archive golden`.

use std::{fmt::Write as _, fs, path::PathBuf};

use vmrewind_archive::{ArchiveUrl, At, Silent, Store};

use crate::{
    conformance::writing,
    world::{Clock, commit, make, open, own, read_all},
};

fn golden(version: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("golden-{version}"))
}

fn store(path: &std::path::Path) -> Store {
    let url: ArchiveUrl = path.to_str().expect("UTF-8").parse().expect("a path");
    Store::open(&url).expect("a directory")
}

/// Everything that a reader can say about an archive, one line each.
async fn told(store: &Store) -> String {
    let archive = open(store).await.expect("opened");
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| text.write_fmt(args).expect("memory");
    for record in read_all(store).await.expect("readable") {
        let change = &record.change;
        let key = change
            .key()
            .map_or_else(String::new, |key| format!("{} uid {:?} home {:?}", key.object, key.uid, key.home));
        let id = change.object().map_or_else(|| "-".to_owned(), |object| object.content_id().to_string());
        line(format_args!(
            "record {} t {} lo {:?} {} era {} from {} rv {:?} {key} {id}\n",
            record.seq,
            record.t,
            record.lo.map(|lo| lo.to_string()),
            change.op().letter(),
            record.era,
            record.counts_from(),
            change.rv().map(|rv| rv.0),
        ));
    }
    let survey = archive.survey().await.expect("a survey");
    assert_eq!(survey.damage, []);
    for segment in &survey.segments {
        line(format_args!(
            "segment {} epoch {} root {} prev {}\n",
            segment.segment, segment.epoch, segment.root, segment.prev
        ));
    }
    for at in 1..=survey.head.seq.0 {
        let state = archive.state_at(At::Seq(vmrewind_model::Seq(at)), &|_| true, &Silent).await.expect("a state");
        let objects: Vec<String> = state
            .objects
            .iter()
            .map(|(key, entry)| format!("{key} {:?} {}", entry.presence, entry.record.seq))
            .collect();
        line(format_args!(
            "state {at}: {}; late {}; gaps {}\n",
            objects.join(", "),
            state.late.len(),
            state.gaps.len()
        ));
    }
    text
}

async fn write(path: &std::path::Path) {
    fs::create_dir_all(path).expect("made");
    let store = store(path);
    make(&store).await.expect("made");
    let clock = Clock::default();
    writing(&store, &clock).await;
    let mut second = own(&store, 2, &clock).await.expect("owned");
    commit(&mut second, 5, &clock).await.expect("committed");
    if path.join("probe").exists() {
        fs::remove_dir(path.join("probe")).expect("empty");
    }
    fs::write(path.with_extension("txt"), told(&store).await).expect("written");
}

#[tokio::test]
async fn the_golden_archive_of_format_0_1_tells_what_it_told_when_it_was_written() {
    let path = golden("0_1");
    if std::env::var_os("VMREWIND_WRITE_GOLDEN").is_some() {
        write(&path).await;
    }
    let expected = fs::read_to_string(path.with_extension("txt")).expect("it is there");
    assert_eq!(told(&store(&path)).await, expected);
}
