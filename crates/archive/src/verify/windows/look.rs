//! Looks at the bundles of one window.
//!
//! Does not: compare them with segments.

use bytes::Bytes;
use vmrewind_model::Digest;

use super::super::{About, Problem, Symptom};
use crate::{
    Archive, ArchiveError,
    format::{
        Code,
        bundle::{self, Bundle, Earliest, Leaves, SortKey},
        fault::{Checked, Fault, demand},
        home::Home,
    },
    manifest::Rolled,
    store::LARGEST,
    window,
};

/// What was seen of a window.
#[derive(Default)]
pub(super) struct Found {
    pub(super) problems: Vec<Problem>,
    pub(super) read: u64,
    /// What the end of its first part that can be read says.
    pub(super) bundle: Option<Bundle>,
    /// The leaves of all its lines, in the order of their seqs, each with the number of its part; none unless all of it was
    /// read and is good.
    pub(super) leaves: Option<Vec<(u64, [u8; 32], usize)>>,
}

/// What of a part is needed to see it beside the others.
struct Held {
    bundle: Bundle,
    leaves: Leaves,
    earliest: Earliest,
    /// The first and the last line.
    ends: Option<[(SortKey, u64); 2]>,
}

/// Says that something is wrong with a part of a window.
pub(super) fn problem(rolled: &Rolled, part: usize, fault: Fault) -> Problem {
    let name = rolled.parts[part].name();
    let problem = Problem::harmless(Symptom::Code(fault.code), &name, None, fault.detail);
    let [first, last] = rolled.window.slots;
    let about = if rolled.point.is_some() { About::Checkpoints } else { About::Bundles };
    Problem { about, slots: Some((first, last)), offset: fault.offset, ..problem }
}

/// Reads the end of each part.
pub(super) async fn ends(archive: &Archive, rolled: &Rolled) -> Result<Found, ArchiveError> {
    let mut found = Found::default();
    for n in 0..rolled.parts.len() {
        match window::open(archive, rolled, n).await {
            Ok(opened) => {
                found.read += opened.fetched();
                let known = found.bundle.as_ref().is_none_or(|first| first.known == opened.bundle.known);
                if let Err(fault) = demand(known, Code::Public, OTHER_MAP) {
                    found.problems.push(problem(rolled, n, fault));
                }
                found.bundle.get_or_insert_with(|| (*opened.bundle).clone());
            }
            Err(ArchiveError::Damaged(damage)) => {
                let fault = Fault { code: damage.code, offset: damage.offset, detail: damage.detail, readable: vec![] };
                found.problems.push(problem(rolled, n, fault));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

const OTHER_MAP: &str = "it knows something else of the resources than the part before it";

/// Reads all of every part, and sees them beside each other.
pub(super) async fn all(archive: &Archive, rolled: &Rolled) -> Result<Found, ArchiveError> {
    let mut found = Found::default();
    let (mut leaves, mut parts) = (Leaves::default(), Vec::new());
    let mut earliest = Earliest::default();
    let mut last: Option<(SortKey, u64)> = None;
    for (n, part) in rolled.parts.iter().enumerate() {
        let Some(bytes) = archive.store.get(&part.name(), LARGEST).await? else {
            found.problems.push(problem(rolled, n, Fault::new(Code::Missing, "it is not there")));
            continue;
        };
        found.read += bytes.len() as u64;
        let home = archive.home();
        let (window, size) = (rolled.clone(), part.size);
        match archive.cpu.run(move || held(&bytes, size, &home, &window, n)).await? {
            Ok(held) => {
                let known = found.bundle.as_ref().is_none_or(|first| first.known == held.bundle.known);
                let ordered = match (&last, &held.ends) {
                    (Some(last), Some([first, _])) => last < first,
                    _ => true,
                };
                let beside = demand(known, Code::Public, OTHER_MAP).and(demand(
                    ordered,
                    Code::Index,
                    "its lines belong before those of the part before it",
                ));
                if let Err(fault) = beside {
                    found.problems.push(problem(rolled, n, fault));
                }
                last = held.ends.map(|[_, last]| last);
                earliest.join(held.earliest);
                leaves.join(&held.leaves);
                parts.extend(held.leaves.sorted().into_iter().map(|(seq, _, leaf)| (seq, leaf, n)));
                found.bundle.get_or_insert(held.bundle);
            }
            Err(fault) => found.problems.push(problem(rolled, n, fault)),
        }
    }
    if found.problems.is_empty() {
        match together(rolled, leaves, earliest, &archive.home()) {
            Ok(()) => {
                parts.sort_unstable();
                found.leaves = Some(parts);
            }
            Err(fault) => found.problems.push(problem(rolled, 0, fault)),
        }
    }
    Ok(found)
}

/// Reads all of a part.
fn held(bytes: &Bytes, size: u64, home: &Home, rolled: &Rolled, n: usize) -> Checked<Held> {
    let (mut leaves, mut earliest) = (Leaves::default(), Earliest::default());
    let mut ends: Option<[(SortKey, u64); 2]> = None;
    let bundle = bundle::whole(rolled.kind(), bytes, home.clone(), window::number(n), |line| {
        leaves.add(line);
        earliest.add(line);
        let place = (SortKey::of(line), line.head.seq.0);
        match &mut ends {
            Some([_, last]) => *last = place,
            ends => *ends = Some([place.clone(), place]),
        }
    })?;
    demand(bytes.len() as u64 == size, Code::Count, "it has another size than the manifest says")?;
    window::belongs(&bundle, rolled, n)?;
    demand(Digest::of(bytes) == rolled.parts[n].digest, Code::Name, "it is not what its name says")?;
    Ok(Held { bundle, leaves, earliest, ends })
}

/// Checks what only all parts of a window show together.
fn together(rolled: &Rolled, mut leaves: Leaves, earliest: Earliest, home: &Home) -> Checked<()> {
    leaves.check()?;
    let reach = rolled.point.is_some() || earliest == rolled.window.earliest;
    demand(reach, Code::Public, "no line reaches back as far as it says")?;
    demand(
        home.root(leaves.root())? == rolled.root,
        Code::Root,
        "the event root of the window does not match its records",
    )
}
