//! Restore as a library: select, plan, execute, journal, verify, undo.
//!
//! ```text
//! World (state at T) -- needs --> observe(cluster) -> TargetView
//!        \                                              |
//!         +--- select -> closure -> decide -> plan <----+        pure: same inputs, same bytes
//!                                              |
//!                         RestorePlan (a value, a file)
//!                                              |
//!                    execute + Journal -> verify, or undo         touches the cluster
//! ```
//!
//! A plan holds no content of any object: only references into the archive (seq, content id), the list of
//! mutations of each object, and the digest of the result. `realise` makes the same objects from the archive
//! again, so what is executed is what was printed.
//!
//! Does not: know the terminal, parse flags, read a clock or a random source, or decide what is captured.

mod conflict;
mod departed;
mod dry_run;
mod error;
mod execute;
mod identity;
mod journal;
mod json;
mod key_text;
mod labels;
mod mutation;
mod namespace;
mod observe;
mod options;
mod order;
mod ownership;
mod plan;
mod planner;
mod power;
mod progress;
mod realise;
#[cfg(test)]
mod scene;
mod select;
mod survey;
mod target;
mod time_text;
mod undo;
mod verify;
mod view;
mod volumes;
mod world;

pub use departed::{Departure, Departures, lacking};
pub use dry_run::dry_run;
pub use error::{ErrorKind, RestoreError};
pub use execute::{Outcome, Run, execute, resume};
pub use journal::{Entry, Event, Journal, JournalHeader};
pub use labels::LabelSelector;
pub use mutation::Mutation;
pub use observe::{Needs, needs, observe};
pub use options::{IdentityPolicy, Mutations, OnConflict, PlanRequest, RunStrategy, RunningVm, VolumePolicy, Volumes};
pub use plan::{
    API_VERSION, Action, AppliedRule, ArchiveRef, Check, DataSource, Effect, IdentityField, IdentityRow, LiveRef,
    Missing, Refusal, RefusalKind, RestorePlan, Source, Step, Summary, TargetRef, VolumePlan, Warning,
};
pub use planner::plan;
pub use progress::{Progress, Quiet, StepState};
pub use realise::realise;
pub use select::{Selection, WithDeps};
pub use target::{ClusterTarget, DeleteGuard, Target, TargetError, Write, Written};
pub use undo::{UndoOptions, UndoOutcome, Undone, undo, undo_preview, undo_with};
pub use verify::{ObjectCheck, Verification, verify};
pub use view::{IdentityInUse, Node, Nodes, Seen, ServedKind, TargetView};
pub use world::World;
