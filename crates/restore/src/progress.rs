//! How an execution reports what it is doing.
//!
//! Does not: draw; that is the terminal's.

use crate::plan::Step;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It begins.
    Started,
    /// It is done.
    Done,
    /// It had been done before: by an earlier run of the same plan.
    AlreadyDone,
    /// It failed.
    Failed,
    /// An undo left it, for a reason that its outcome tells.
    Left,
}

/// Told what an execution, a verification or an undo is doing. All methods must return at once.
pub trait Progress: Send + Sync {
    /// A phase begins that has so many parts: `execute`, `verify`, `undo`, `dry run`, `observe`.
    fn begin(&self, phase: &str, parts: usize);
    /// A step changes its state.
    fn step(&self, step: &Step, state: StepState);
    /// One more part of a phase without steps is done.
    fn tick(&self);
    /// Something worth a line, for example a wait.
    fn note(&self, text: &str);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _phase: &str, _parts: usize) {}
    fn step(&self, _step: &Step, _state: StepState) {}
    fn tick(&self) {}
    fn note(&self, _text: &str) {}
}
