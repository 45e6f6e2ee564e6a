//! Checks of whole archives: everything that can be wrong is found at the depth that promises it, and nothing else is.

mod corpus;
mod facts;
mod flips;
mod history;
mod places;
mod python;
mod sampling;
mod sealed;
mod whole;

use std::collections::BTreeSet;

use vmrewind_archive::{
    ArchiveError, Cpu, Silent, Store,
    verify::{Depth, Options, Report, verify},
};

/// What was found, in the form in which two implementations are compared: code and (first) slot.
type Found = BTreeSet<(String, Option<u64>)>;

async fn check(store: &Store, depth: Depth) -> Result<Report, ArchiveError> {
    let identities = vec![crate::world::secret(1)];
    verify(store, Cpu::Inline, &Options { depth, sample: None, identities, told: None }, &Silent).await
}

/// What a check of this depth reports.
async fn report(store: &Store, depth: Depth) -> Report {
    check(store, depth).await.expect("a report")
}

/// What is wrong, whether gaps account for it or not.
fn found(report: &Report) -> Found {
    let all = report.problems.iter().chain(&report.accounted);
    all.map(|problem| (problem.symptom.to_string(), problem.slots.map(|(first, _)| first))).collect()
}

fn set(found: &[(&str, Option<u64>)]) -> Found {
    found.iter().map(|(code, slot)| ((*code).to_owned(), *slot)).collect()
}
