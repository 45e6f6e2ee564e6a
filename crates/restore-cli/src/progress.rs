//! Progress bars on standard error, where somebody watches.
//!
//! Does not: print anything that must not be missed.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vmrewind_restore::{Step, StepState};

/// A bar for a long read. It vanishes when it is dropped.
pub(crate) struct Bar {
    bar: ProgressBar,
    loud: bool,
}

impl Bar {
    /// Makes a bar; one that is not visible draws nothing.
    pub(crate) fn new(what: &'static str, visible: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar, loud: false }
    }

    /// Prints a line for each step that ends, too.
    pub(crate) fn with_lines(mut self, loud: bool) -> Self {
        self.loud = loud;
        self
    }

    /// Prints a line above the bar.
    fn say(&self, text: &str) {
        self.bar.suspend(|| {
            if writeln!(anstream::stderr(), "{text}").is_err() {
                // Nobody listens; the outcome is told by the exit code and the journal.
            }
        });
    }
}

impl vmrewind_archive::Progress for Bar {
    fn segments(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

impl vmrewind_restore::Progress for Bar {
    fn begin(&self, phase: &str, parts: usize) {
        self.bar.set_message(phase.to_owned());
        self.bar.set_length(u64::try_from(parts).unwrap_or(u64::MAX));
        self.bar.set_position(0);
    }

    fn step(&self, step: &Step, state: StepState) {
        let words = match state {
            StepState::Started => {
                self.bar.set_message(format!("{} {}", step.action.text(), step.key));
                return;
            }
            StepState::Done => "done",
            StepState::AlreadyDone => "was done before",
            StepState::Failed => "FAILED",
            StepState::Left => "left",
        };
        self.bar.inc(1);
        if self.loud {
            self.say(&format!("  {:>3} {} {}: {words}", step.id, step.action.text(), step.key));
        }
    }

    fn tick(&self) {
        self.bar.inc(1);
    }

    fn note(&self, text: &str) {
        self.say(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
