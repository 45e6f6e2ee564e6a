//! Every manifest, one after the other: `spec/manifests.md`, section 5.
//!
//! Does not: read bundles.

use std::collections::HashSet;

use vmrewind_model::Digest;

use super::{About, Problem, Symptom, layout::Layout};
use crate::{
    Archive, ArchiveError,
    format::{
        Code,
        fault::{Checked, Fault},
        footer::Kind,
        limits,
    },
    manifest::{Found, Manifest, Rolled},
    paths,
};

/// How many manifests that a listing lacks are asked for one by one.
const ASKED: u64 = 256;

/// All that the manifests say.
#[derive(Default)]
pub(super) struct Chain {
    /// How many there are.
    pub(super) count: u64,
    /// The number of the newest one.
    pub(super) newest: u64,
    /// The windows that the newest one names; none if there is no manifest, or if it cannot be read.
    pub(super) windows: Vec<Rolled>,
    /// The checkpoints that it names.
    pub(super) checkpoints: Vec<Rolled>,
    /// The bundles that any of them names, and those that the newest one does.
    pub(super) named: HashSet<(Kind, Digest)>,
    pub(super) standing: HashSet<(Kind, Digest)>,
    /// True if all of them could be read.
    pub(super) complete: bool,
    pub(super) problems: Vec<Problem>,
}

impl Chain {
    fn problem(&mut self, n: u64, fault: Fault) {
        self.complete = false;
        let detail = fault.detail;
        let problem = Problem::harmless(Symptom::Code(fault.code), &paths::manifest(n), None, detail);
        self.problems.push(Problem { about: About::Manifests, ..problem });
    }

    /// Takes the next manifest; `before` is the one before it, if that is known.
    fn take(&mut self, n: u64, read: Checked<Found>, before: Option<&Found>) -> Option<Found> {
        self.count += 1;
        match read {
            Ok(found) => {
                if let Some(Err(fault)) = before.map(|before| found.manifest.follows(before)) {
                    self.problem(n, fault);
                }
                self.named.extend(bundles(&found.manifest.windows));
                self.named.extend(bundles(&found.manifest.checkpoints));
                Some(found)
            }
            Err(fault) => {
                self.problem(n, fault);
                None
            }
        }
    }
}

/// What the bundles of windows or checkpoints are called.
fn bundles(all: &[Rolled]) -> impl Iterator<Item = (Kind, Digest)> {
    all.iter().flat_map(|rolled| &rolled.parts).map(|part| (part.kind, part.digest))
}

/// Reads all manifests.
pub(super) async fn chain(archive: &Archive, layout: &Layout) -> Result<Chain, ArchiveError> {
    let mut chain = Chain { complete: true, ..Chain::default() };
    let mut before: Option<Found> = None;
    let mut next = 1;
    let mut asked = 0;
    for &n in &layout.manifests {
        let mut missing = Vec::new();
        // A listing is only a hint: what it lacks is asked for before it is called missing.
        while next < n {
            asked += 1;
            match if asked <= ASKED { read(archive, next).await? } else { None } {
                Some(found) => before = chain.take(next, found, before.as_ref()),
                None => {
                    missing.push(next);
                    before = None;
                }
            }
            next = if asked > ASKED { n } else { next + 1 };
        }
        if let Some(&first) = missing.first() {
            let more = if n - first > 1 { ", nor are all of those up to the next one" } else { "" };
            chain.problem(first, Fault::new(Code::Missing, format!("it is not there{more}")));
        }
        before = match read(archive, n).await? {
            Some(found) => chain.take(n, found, before.as_ref()),
            None => {
                chain.problem(n, Fault::new(Code::Missing, "it is listed, but cannot be read"));
                None
            }
        };
        (chain.newest, next) = (n, n + 1);
    }
    while let Some(found) = read(archive, next).await? {
        before = chain.take(next, found, before.as_ref());
        (chain.newest, next) = (next, next + 1);
    }
    if let Some(Found { manifest, .. }) = before {
        (chain.windows, chain.checkpoints) = (manifest.windows, manifest.checkpoints);
    }
    chain.standing = bundles(&chain.windows).chain(bundles(&chain.checkpoints)).collect();
    Ok(chain)
}

async fn read(archive: &Archive, n: u64) -> Result<Option<Checked<Found>>, ArchiveError> {
    let Some(bytes) = archive.store.get(&paths::manifest(n), limits::MANIFEST).await? else { return Ok(None) };
    let manifest = Manifest::parse(&bytes, &archive.home(), n);
    Ok(Some(manifest.map(|manifest| Found { manifest, digest: Digest::of(&bytes) })))
}
