//! Carrying out a plan: wave by wave, the steps of a wave at the same time, each journaled before and after.
//!
//! Nothing is retried blindly: after a lost answer the object is read, and compared with what was wanted.
//!
//! Does not: decide; what is done is what the plan says, or nothing.

use std::sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool};
use std::time::Duration;

use serde_json::Value;
use vmrewind_graph as graph;
use vmrewind_model::{ObjectKey, Timestamp};

use crate::{
    error::RestoreError,
    journal::{Entry, Event, Journal, Progressed},
    json::{text, uid},
    observe::{needs, observe},
    plan::{Action, RestorePlan, Step},
    planner::plan as make_plan,
    progress::Progress,
    realise::digest,
    target::{Target, TargetError},
    verify::{Verification, verify},
    world::World,
};

mod ground;
mod objects;
mod repairs;
#[cfg(test)]
mod tests;
mod waves;

pub(crate) use objects::over;
pub(crate) use repairs::{power_patch, wait_until_stopped};

/// What an execution works with.
pub struct Run<'a> {
    /// The state that the plan was made from.
    pub world: &'a World,
    /// The cluster that the plan was made for.
    pub target: &'a dyn Target,
    /// Hears how it goes.
    pub progress: &'a dyn Progress,
    /// Tells the time.
    pub now: &'a (dyn Fn() -> Timestamp + Sync),
    /// Tells whether the user wants to stop; asked before each step and while waiting.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// What came of an execution.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Steps done now.
    pub done: usize,
    /// Steps that an earlier run had done.
    pub already_done: usize,
    /// The server's warnings and other notes.
    pub notes: Vec<(ObjectKey, String)>,
    /// Whether what exists equals the plan.
    pub verification: Verification,
}

/// Carries out a plan, if it still is what would be planned, and verifies the result.
///
/// # Errors
/// Before anything is written: [`RestoreError::Refused`], [`RestoreError::OtherCluster`],
/// [`RestoreError::OtherArchive`], [`RestoreError::OtherBytes`], [`RestoreError::Drifted`], [`RestoreError::Observe`].
/// After that [`RestoreError::Partial`] or [`RestoreError::Cancelled`]; the journal then tells what was done, for
/// [`resume`] and [`crate::undo()`].
pub async fn execute(plan: &RestorePlan, run: &Run<'_>, journal: &mut Journal) -> Result<Outcome, RestoreError> {
    plan.check_refusals()?;
    if plan.archive.uuid != run.world.archive().uuid {
        let (planned, found) = (plan.archive.uuid.clone(), run.world.archive().uuid.clone());
        return Err(RestoreError::OtherArchive { planned, found });
    }
    let view = observe(run.target, &needs(run.world, &plan.request)?, run.progress).await?;
    check_cluster(plan, &view.cluster)?;
    for step in &plan.steps {
        crate::realise::realise(run.world, step)?;
    }
    let mut again = make_plan(run.world, &plan.request, &view, plan.created)?;
    // The instant as asked for is a label; the state is the one after `seq`.
    again.archive.t = plan.archive.t;
    again.id = again.computed_id()?;
    let changes = plan.drift(&again);
    if !changes.is_empty() {
        return Err(RestoreError::Drifted { changes });
    }
    for warning in again.warnings.iter().filter(|warning| !plan.warnings.contains(warning)) {
        let about = warning.key.as_ref().map_or_else(String::new, |key| format!("{key}: "));
        run.progress.note(&format!("new since the plan was made: {about}{}", warning.message));
    }
    carry_out(plan, run, journal).await
}

/// Goes on with an execution that was cut: steps that are done are left, those that were begun are looked at.
///
/// # Errors
/// As [`execute`].
pub async fn resume(run: &Run<'_>, journal: &mut Journal) -> Result<Outcome, RestoreError> {
    let plan = journal.plan().clone();
    plan.check_refusals()?;
    let (cluster, _) = run.target.identity().await.map_err(|source| RestoreError::Observe { source })?;
    check_cluster(&plan, &cluster)?;
    if plan.writes().any(|step| journal.progressed(step.id) == Progressed::Undone) {
        return Err(taken_back());
    }
    // Between the cut and now anything may have happened.
    ground::check_kept(&plan, run, journal).await?;
    carry_out(&plan, run, journal).await
}

fn taken_back() -> RestoreError {
    RestoreError::invalid("this execution was taken back already", "Make a new plan.")
}

pub(crate) fn check_cluster(plan: &RestorePlan, found: &str) -> Result<(), RestoreError> {
    if plan.target.cluster == found {
        return Ok(());
    }
    Err(RestoreError::OtherCluster { planned: plan.target.cluster.clone(), found: found.to_owned() })
}

async fn carry_out(plan: &RestorePlan, run: &Run<'_>, journal: &mut Journal) -> Result<Outcome, RestoreError> {
    let total = plan.writes().count();
    run.progress.begin("execute", total);
    if plan.writes().any(|step| journal.progressed(step.id) == Progressed::Undone) {
        return Err(taken_back());
    }
    let is_done = |journal: &Journal| {
        let done = plan.writes().filter(|step| journal.progressed(step.id) == Progressed::Done);
        done.count()
    };
    let already_done = is_done(journal);
    let executor =
        Executor { plan, run, journal: Mutex::new(journal), notes: Mutex::default(), stopping: AtomicBool::new(false) };
    let ended = waves::carry_out(&executor).await;
    let Executor { journal, notes, .. } = executor;
    let journal = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    let done = is_done(journal);
    match ended {
        Ok(()) => {}
        Err(RestoreError::Cancelled { .. }) => return Err(RestoreError::Cancelled { done, total }),
        Err(source) => {
            let begun = plan.writes().any(|step| journal.progressed(step.id) == Progressed::Begun);
            let nothing = done == 0 && !begun;
            return Err(if nothing { source } else { RestoreError::Partial { done, total, source: Box::new(source) } });
        }
    }
    let mut notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    notes.sort();
    let notes = notes.into_iter().map(|(_, key, note)| (key, note)).collect();
    let verification = verify(plan, run).await?;
    Ok(Outcome { done: done - already_done, already_done, notes, verification })
}

/// Carries out single steps, several at the same time. Locks are held for a journal entry, never while waiting.
pub(crate) struct Executor<'a, 'r> {
    plan: &'a RestorePlan,
    run: &'a Run<'r>,
    journal: Mutex<&'a mut Journal>,
    notes: Mutex<Vec<(u32, ObjectKey, String)>>,
    /// A step failed, or the user wants to stop: no further one begins.
    stopping: AtomicBool,
}

/// How often a write is tried that lost its answer, or that the server does not take.
const ATTEMPTS: u32 = 5;
/// How often a write is tried that the write of somebody else came before. Controllers write the status of what was
/// just made many times in a second.
const RACES: u32 = 20;

/// How long to wait after so many lost races: from 20 ms, doubled up to a second.
fn after_race(races: u32) -> Duration {
    Duration::from_millis(20 << races.min(6)).min(Duration::from_secs(1))
}

impl<'a> Executor<'a, '_> {
    async fn step(&self, step: &Step) -> Result<(), RestoreError> {
        if ground::starts(step) {
            let disks = ground::disks(self.plan, self.run.world, &self.journal(), step);
            ground::check(disks, self.run).await?;
        }
        match step.action {
            Action::Create => self.create(step).await,
            Action::Replace => self.replace(step).await,
            Action::Recreate => self.recreate(step).await,
            Action::ReleaseOwner => self.release_owner(step).await,
            Action::Stop => self.stop(step).await,
            Action::ReleaseVolume => self.release_volume(step).await,
            Action::PatchOwner => self.patch_owner(step).await,
            Action::Power => self.power(step).await,
            Action::Start => self.start(step).await,
            Action::Unchanged | Action::Keep | Action::Skip | Action::Refuse => Ok(()),
        }
    }

    fn journal(&self) -> MutexGuard<'_, &'a mut Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progressed(&self, step: &Step) -> Progressed {
        self.journal().progressed(step.id)
    }

    fn entry(&self, step: &Step, event: Event) -> Result<(), RestoreError> {
        let entry = Entry { t: (self.run.now)(), step: step.id, key: step.key.clone(), event };
        self.journal().append(entry)
    }

    fn intent(&self, step: &Step, previous: Option<&Value>) -> Result<(), RestoreError> {
        self.entry(step, Event::Intent { previous: previous.cloned() })
    }

    fn done(&self, step: &Step, result: &Value, notes: Vec<String>) -> Result<(), RestoreError> {
        let noted = notes.iter().map(|note| (step.id, step.key.clone(), note.clone()));
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).extend(noted);
        let event = Event::Done {
            uid: uid(result).to_owned(),
            resource_version: text(result, "metadata.resourceVersion").to_owned(),
            digest: Some(digest(&graph::comparable(result))?),
            notes,
        };
        self.entry(step, event)
    }

    /// Journals a failure that certainly changed nothing, and makes the error.
    fn failed(&self, step: &Step, doing: &'static str, source: TargetError) -> RestoreError {
        let error = RestoreError::target(doing, &step.key, source);
        let certain = !matches!(error, RestoreError::Target { source: TargetError::Ambiguous(_), .. });
        if certain && let Err(unwritten) = self.entry(step, Event::Failed { reason: error.to_string() }) {
            return unwritten;
        }
        error
    }

    async fn read(&self, key: &ObjectKey) -> Result<Option<Value>, RestoreError> {
        let read = self.run.target.get(key).await;
        read.map_err(|source| RestoreError::target("read", key, source))
    }

    /// Reads an object that must be there.
    async fn read_there(&self, key: &ObjectKey) -> Result<Value, RestoreError> {
        self.read(key).await?.ok_or_else(|| drifted(key, "it does not exist any more"))
    }
}

pub(crate) fn drifted(key: &ObjectKey, what: &str) -> RestoreError {
    RestoreError::Drifted { changes: vec![format!("{key}: {what}")] }
}
