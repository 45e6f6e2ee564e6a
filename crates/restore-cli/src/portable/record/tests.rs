//! An import that is stopped at any call to the store proves nothing.

use std::{fs, path::PathBuf, sync::Arc};

use object_store::memory::InMemory;
use serde_json::json;
use tempfile::TempDir;
use vmrewind_archive::{
    ArchiveError, Silent, StoreKind,
    verify::{Depth, Options, verify},
};
use vmrewind_testkit::{
    build::{Build, secret, vm},
    store::{Fault, FaultyStore, How},
};

use super::*;
use crate::portable::{
    incoming,
    intake::{self, Facts},
    unpack::LIMITS,
};

fn backup() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.tar");
    let mut tar = tar::Builder::new(fs::File::create(&path).expect("made"));
    let text = |object: Build| object.rv(7).json().to_string();
    let files = [
        ("metadata/version".to_owned(), "1.1.0\n".to_owned()),
        ("resources/virtualmachines.kubevirt.io/namespaces/prod/a.json".to_owned(), text(vm("a"))),
        ("resources/secrets/namespaces/prod/b.json".to_owned(), text(secret("b"))),
    ];
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, path, content.as_bytes()).expect("added");
    }
    tar.finish().expect("ended");
    (dir, path)
}

/// Imports into a store of which the `nth` call fails; false if the import is over before that.
async fn stopped_at(nth: u64, how: &How, path: &std::path::Path) -> bool {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let store = Store::from_parts(Arc::new(faulty.clone()), StoreKind::Remote);
    faulty.fail(Fault::any(nth, how.clone()));
    let t: Timestamp = "2026-11-22T10:00:00Z".parse().expect("a time");
    let backup = json!({"status": {"phase": "Completed", "progress": {"itemsBackedUp": 2}}});
    let facts = Facts { backup: Some(backup), time: Some(t), complete: true, ..Facts::default() };
    let incoming = incoming::read(path, LIMITS).expect("good");
    let intake = intake::plan(&incoming, &facts).expect("planned");
    let new = NewArchive {
        archive: uuid::Uuid::from_u128(7),
        cluster: intake.cluster.clone(),
        created: t,
        software: "test 1".to_owned(),
        keys: None,
    };
    let members = Members::open(path, LIMITS).expect("opened");
    let made = Box::pin(record(&store, (new, [8; 32]), [7; 16], (&incoming, &intake), members, &|| t, &Silent)).await;
    let reached = faulty.calls().len() as u64 > nth;
    faulty.heal();
    match Archive::open(store.clone()).await {
        Err(ArchiveError::NoArchive { .. }) => assert!(made.is_err(), "call {nth}"),
        Err(error) => panic!("call {nth}: {error}"),
        Ok(archive) => {
            let timeline = archive.timeline().await.expect("readable");
            let proven = timeline.proofs.iter().filter(|proof| proof.entry.proven_at.is_some()).count();
            assert_eq!(proven > 0, timeline.records > 0, "call {nth}: proof without its records");
            assert!(made.is_err() || proven == intake.resources.len(), "call {nth}: {proven} types are proven");
            let options = Options { depth: Depth::Deep, sample: None, identities: vec![], told: None };
            let report = verify(&store, Cpu::Blocking, &options, &Silent).await.expect("checked");
            assert_eq!(report.problems, [], "call {nth}");
        }
    }
    reached
}

#[tokio::test]
async fn an_import_that_is_stopped_at_any_call_proves_nothing_and_leaves_nothing_wrong() {
    let (_dir, path) = backup();
    for how in [How::Before, How::After] {
        let mut nth = 0;
        while Box::pin(stopped_at(nth, &how, &path)).await {
            nth += 1;
            assert!(nth < 2000, "it never ends");
        }
        assert!(nth > 140, "{how:?}: {nth} calls");
    }
}
