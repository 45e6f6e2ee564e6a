//! Which steps are carried out at the same time: those of one wave, but for steps about the same object.
//!
//! A wave is done before the next one begins. When a step fails, or the user wants to stop, no further step begins,
//! and what is on its way is waited for, so that the journal knows how each step ended.
//!
//! Does not: carry out a step, or write the journal.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use futures::{StreamExt as _, stream::FuturesUnordered};
use vmrewind_model::ObjectKey;

use super::Executor;
use crate::{error::RestoreError, journal::Progressed, plan::Step, progress::StepState};

/// Steps on their way at the same time. An API server gives a client about as many at once before it makes them wait
/// (`kubernetes/kubernetes: pkg/apis/flowcontrol/bootstrap/default.go`), and more would not be faster.
const IN_FLIGHT: usize = 16;

/// Carries out all waves.
///
/// # Errors
/// That of the first step that failed; [`RestoreError::Cancelled`] only if none did.
pub(super) async fn carry_out(executor: &Executor<'_, '_>) -> Result<(), RestoreError> {
    let steps: Vec<&Step> = executor.plan.writes().collect();
    for wave in steps.chunk_by(|one, other| one.wave == other.wave) {
        let mut lanes = lanes(wave).into_iter();
        let mut running = FuturesUnordered::new();
        let mut ended = Ok(());
        loop {
            while running.len() < IN_FLIGHT && !executor.stopping.load(Ordering::Relaxed) {
                let Some(lane) = lanes.next() else { break };
                running.push(executor.lane(lane));
            }
            match running.next().await {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) if matches!(ended, Ok(()) | Err(RestoreError::Cancelled { .. })) => ended = Err(error),
                Some(Err(_)) => {} // the journal has it; the first one is told
            }
        }
        ended?;
    }
    Ok(())
}

/// Groups the steps of a wave by object, in the order of the plan.
fn lanes<'p>(wave: &[&'p Step]) -> Vec<Vec<&'p Step>> {
    let mut lanes: Vec<Vec<&Step>> = Vec::new();
    let mut of: BTreeMap<&ObjectKey, usize> = BTreeMap::new();
    for step in wave {
        let lane = *of.entry(&step.key).or_insert_with(|| {
            lanes.push(Vec::new());
            lanes.len() - 1
        });
        lanes[lane].push(step);
    }
    lanes
}

impl Executor<'_, '_> {
    /// Carries out the steps about one object, one after the other.
    async fn lane(&self, steps: Vec<&Step>) -> Result<(), RestoreError> {
        for step in steps {
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
            if (self.run.cancelled)() {
                self.stopping.store(true, Ordering::Relaxed);
                return Err(RestoreError::Cancelled { done: 0, total: 0 });
            }
            if self.progressed(step) == Progressed::Done {
                self.run.progress.step(step, StepState::AlreadyDone);
                continue;
            }
            self.run.progress.step(step, StepState::Started);
            if let Err(error) = self.step(step).await {
                self.stopping.store(true, Ordering::Relaxed);
                self.run.progress.step(step, StepState::Failed);
                return Err(error);
            }
            self.run.progress.step(step, StepState::Done);
        }
        Ok(())
    }
}
