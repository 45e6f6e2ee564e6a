//! Archives in a directory: modes, leftovers, damage that a disk or a person does.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use vmrewind_archive::{ArchiveError, ArchiveUrl, At, Code, ErrorKind, Silent, Store};

use crate::world::{Clock, commit, make, open, own, read_all};

fn url(path: &Path) -> ArchiveUrl {
    path.to_str().expect("UTF-8").parse().expect("a path")
}

/// An archive with a fence and three segments of four records.
async fn archive(parent: &Path) -> (Store, PathBuf) {
    let root = parent.join("archive");
    let store = Store::open_or_make(&url(&root)).expect("made");
    make(&store).await.expect("made");
    let clock = Clock::default();
    let mut writer = own(&store, 1, &clock).await.expect("owned");
    for _ in 0..3 {
        commit(&mut writer, 4, &clock).await.expect("committed");
    }
    (store, root)
}

fn segment(root: &Path, slot: u64) -> PathBuf {
    root.join(format!("log/0000/{slot:016x}"))
}

#[tokio::test]
async fn only_the_owner_may_read_an_archive_and_nothing_of_the_probe_is_left() {
    let parent = tempfile::tempdir().expect("a directory");
    let (_, root) = archive(parent.path()).await;
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for directory in [root.clone(), root.join("log"), root.join("log/0000")] {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    for file in [root.join("archive.json"), segment(&root, 1), segment(&root, 4)] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    let left: Vec<_> = fs::read_dir(root.join("probe")).map(Iterator::count).into_iter().collect();
    assert!(left.iter().all(|count| *count == 0), "{left:?}");
}

#[tokio::test]
async fn what_an_interrupted_write_left_is_no_segment() {
    let parent = tempfile::tempdir().expect("a directory");
    let (store, root) = archive(parent.path()).await;
    fs::write(root.join("log/0000/0000000000000005#1"), "half").expect("written");
    let clock = Clock::default();
    let mut writer = own(&store, 2, &clock).await.expect("owned");
    commit(&mut writer, 4, &clock).await.expect("committed");
    assert_eq!(read_all(&store).await.expect("readable").len(), 16);
}

#[tokio::test]
async fn a_flipped_bit_and_a_cut_are_named_and_the_rest_stays_readable() {
    let parent = tempfile::tempdir().expect("a directory");
    let (store, root) = archive(parent.path()).await;
    let path = segment(&root, 3);
    let good = fs::read(&path).expect("there");
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    for (bytes, code) in
        [(flipped, Code::BodyHash), (good[..good.len() / 2].to_vec(), Code::FooterMagic), (vec![], Code::Truncated)]
    {
        fs::write(&path, bytes).expect("written");
        let archive = open(&store).await.expect("opened");
        let error = read_all(&store).await.expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains("log/0000/0000000000000003"), "{error}");
        let error = archive.state_at(At::Latest, &|_| true, &Silent).await.expect_err("damaged");
        let ArchiveError::Damaged(damage) = error else { panic!("{error}") };
        assert_eq!((damage.segment, damage.code), (Some(3), code));
        let survey = archive.survey().await.expect("a survey");
        assert_eq!(survey.damage, [*damage]);
        assert_eq!((survey.records, survey.head.segment, survey.segments.len()), (8, 4, 3));
    }
    fs::write(&path, good).expect("written");
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
}

#[tokio::test]
async fn a_missing_segment_is_found_wherever_it_is_and_stops_every_writer() {
    let parent = tempfile::tempdir().expect("a directory");
    let (store, root) = archive(parent.path()).await;
    let clock = Clock::default();
    let mut writer = own(&store, 2, &clock).await.expect("owned");
    for _ in 0..4 {
        commit(&mut writer, 1, &clock).await.expect("committed");
    }
    for slot in 1..=8 {
        let (path, aside) = (segment(&root, slot), root.join("aside"));
        fs::rename(&path, &aside).expect("moved");
        let archive = open(&store).await.expect("opened");
        let damage = archive.survey().await.expect("a survey").damage;
        assert_eq!(damage.iter().map(|d| (d.segment, d.code)).collect::<Vec<_>>(), [(Some(slot), Code::Missing)]);
        let error = read_all(&store).await.expect_err("a hole");
        assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.segment == Some(slot)), "{slot}: {error}");
        fs::rename(&aside, &path).expect("moved back");
    }
    // Capture goes on behind the newest segment if the hole is not seen, but nobody ever writes into a hole.
    for slot in 2..=8 {
        let (path, aside) = (segment(&root, slot), root.join("aside"));
        fs::rename(&path, &aside).expect("moved");
        match own(&store, 3, &clock).await {
            Ok(writer) => {
                assert!(writer.head().segment > 9);
                fs::remove_file(segment(&root, writer.head().segment)).expect("removed");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Data),
        }
        assert!(!path.exists());
        fs::rename(&aside, &path).expect("moved back");
    }
}

#[tokio::test]
async fn segments_that_change_places_or_come_from_elsewhere_are_found() {
    let parent = tempfile::tempdir().expect("a directory");
    let (store, root) = archive(parent.path()).await;
    let read = |slot| fs::read(segment(&root, slot)).expect("there");
    let (two, three) = (read(2), read(3));
    fs::write(segment(&root, 3), &two).expect("written");
    let code = async || match read_all(&store).await.expect_err("damaged") {
        ArchiveError::Damaged(damage) => (damage.segment, damage.code),
        error => panic!("{error}"),
    };
    assert_eq!(code().await, (Some(3), Code::Name));
    fs::write(segment(&root, 3), three).expect("written");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let (other, other_root) = archive(elsewhere.path()).await;
    let clock = Clock::default();
    let mut writer = own(&other, 9, &clock).await.expect("owned");
    commit(&mut writer, 1, &clock).await.expect("committed");
    fs::copy(segment(&other_root, 5), segment(&root, 5)).expect("copied");
    fs::copy(segment(&other_root, 6), segment(&root, 6)).expect("copied");
    assert_eq!(read_all(&store).await.expect("the same archive, byte for byte").len(), 13);
    fs::remove_file(segment(&root, 5)).expect("removed");
    fs::remove_file(segment(&root, 6)).expect("removed");
    let mut writer = own(&store, 8, &clock).await.expect("owned");
    commit(&mut writer, 2, &clock).await.expect("committed");
    fs::copy(segment(&other_root, 6), segment(&root, 6)).expect("copied");
    assert_eq!(code().await, (Some(6), Code::Chain));
}

#[tokio::test]
async fn a_place_that_is_not_empty_a_file_and_a_missing_parent_are_refused() {
    let parent = tempfile::tempdir().expect("a directory");
    let file = parent.path().join("file");
    fs::write(&file, "x").expect("written");
    let store = Store::open(&url(parent.path())).expect("a directory");
    let error = make(&store).await.expect_err("not empty");
    assert!(matches!(&error, ArchiveError::NotEmpty { found, .. } if found == "file"), "{error}");
    assert!(!parent.path().join("log").exists(), "nothing was made");
    let error = Store::open(&url(&file)).expect_err("a file");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let missing = url(&parent.path().join("a/b"));
    assert_eq!(Store::open(&missing).expect_err("not there").kind(), ErrorKind::NotFound);
    assert_eq!(Store::open_or_make(&missing).expect_err("no parent").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_newer_archive_is_refused_by_name_and_so_is_the_state_of_one_whose_manifest_is_damaged() {
    let parent = tempfile::tempdir().expect("a directory");
    let (store, root) = archive(parent.path()).await;
    fs::create_dir(root.join("man")).expect("made");
    fs::write(root.join("man/0000000000000001"), "x").expect("written");
    let archive = open(&store).await.expect("opened");
    let error = archive.state_at(At::Latest, &|_| true, &Silent).await.expect_err("damaged");
    assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.object == "man/0000000000000001"), "{error}");
    for archive in [archive.clone().passing_over_damage(), archive.reading_the_log_only()] {
        archive.state_at(At::Latest, &|_| true, &Silent).await.expect("the log tells it all");
    }
    fs::remove_file(root.join("man/0000000000000001")).expect("removed");
    let identity = fs::read_to_string(root.join("archive.json")).expect("there");
    fs::write(root.join("archive.json"), identity.replace(r#""major":0"#, r#""major":1"#)).expect("written");
    let error = open(&store).await.expect_err("newer");
    assert!(error.to_string().contains("the format version is 1.1"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("at least as new")));
    fs::write(root.join("archive.json"), identity.replace(r#""write":[]"#, r#""write":["w"]"#)).expect("written");
    assert_eq!(read_all(&store).await.expect("readable").len(), 12);
    let error = own(&store, 2, &Clock::default()).await.expect_err("not for us to append");
    assert!(matches!(&error, ArchiveError::Unsupported { .. }), "{error}");
    fs::write(root.join("archive.json"), "{").expect("written");
    assert_eq!(open(&store).await.expect_err("damaged").kind(), ErrorKind::Data);
}
