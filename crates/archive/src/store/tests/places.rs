//! Empty stores of each kind.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use vmrewind_testkit::{
    s3::S3Server,
    store::{FaultyStore, Script},
};

use crate::{
    ArchiveUrl, Patience, Store,
    store::open::{remote, s3},
};

/// Where empty stores come from.
pub(super) trait Place {
    /// Makes an empty store.
    fn fresh(&self) -> Store;

    /// Whether it fails now and then.
    fn fails(&self) -> bool {
        false
    }

    /// How many names are listed: more than fit on a page, where there are pages.
    fn many(&self) -> u64 {
        100
    }
}

/// Memory.
pub(super) struct Memory;

impl Place for Memory {
    fn fresh(&self) -> Store {
        Store::in_memory()
    }
}

/// A directory of files.
pub(super) struct Directory {
    root: TempDir,
    made: AtomicUsize,
}

impl Directory {
    pub(super) fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a directory"), made: AtomicUsize::default() }
    }
}

impl Place for Directory {
    fn fresh(&self) -> Store {
        let path = self.root.path().join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        let url: ArchiveUrl = path.to_str().expect("UTF-8").parse().expect("a path");
        Store::open_or_make(&url).expect("made")
    }
}

/// A bucket of a real S3 server.
pub(super) struct Bucket<'a> {
    server: &'a S3Server,
    made: AtomicUsize,
}

impl<'a> Bucket<'a> {
    pub(super) fn new(server: &'a S3Server) -> Self {
        server.make_bucket("bucket").expect("made");
        // The binaries do this in main(); another test may have been faster.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self { server, made: AtomicUsize::default() }
    }
}

impl Place for Bucket<'_> {
    fn fresh(&self) -> Store {
        let options = BTreeMap::from([
            ("endpoint".to_owned(), self.server.endpoint()),
            ("allow_http".to_owned(), "true".to_owned()),
        ]);
        let service = s3(self.server.client(), "bucket", &options).expect("a client");
        let prefix = format!("some/prefix-{}", self.made.fetch_add(1, Ordering::Relaxed));
        remote(Arc::new(service), &prefix, self.server.url("bucket"))
    }

    fn many(&self) -> u64 {
        1_050
    }
}

/// A store that fails as a script says.
pub(super) struct Faulty<P> {
    place: P,
    script: Script,
    made: AtomicUsize,
}

impl<P: Place> Faulty<P> {
    pub(super) fn new(place: P, script: Script) -> Self {
        Self { place, script, made: AtomicUsize::default() }
    }
}

impl<P: Place> Place for Faulty<P> {
    fn fresh(&self) -> Store {
        let store = self.place.fresh();
        let faulty = FaultyStore::new(Arc::clone(&store.inner));
        let mut script = self.script.clone();
        for _ in 0..self.made.fetch_add(1, Ordering::Relaxed) {
            script.draw(u64::MAX);
        }
        faulty.follow(script);
        // As for a service, but that real time is not to be waited for, and that bad luck is no failure.
        let first = Duration::from_millis(1);
        let patience = Patience { tries: 30, first, longest: first, total: Duration::MAX, ..Patience::SERVICE };
        Store { inner: Arc::new(faulty), ..store }.with_patience(patience)
    }

    fn fails(&self) -> bool {
        true
    }

    fn many(&self) -> u64 {
        self.place.many()
    }
}

/// A store that returns the whole object whatever part is asked for.
pub(super) struct Whole<P>(pub(super) P);

impl<P: Place> Place for Whole<P> {
    fn fresh(&self) -> Store {
        let store = self.0.fresh();
        let whole = FaultyStore::new(Arc::clone(&store.inner)).ignoring_ranges();
        Store { inner: Arc::new(whole), ..store }
    }
}
