//! What the demonstration prints: numbered headings, one sentence each, calls as a user would type them.
//!
//! Does not: decide what happens.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use anyhow::ensure;
use vmrewind_tests::{Answer, Tool};

/// The printed page.
pub(crate) struct Stage {
    colour: bool,
    scene: usize,
    after_call: Cell<bool>,
    begun: tokio::time::Instant,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, scene: 0, after_call: Cell::new(false), begun: tokio::time::Instant::now() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Begins a scene: a heading, and a sentence or two about it.
    pub(crate) fn scene(&mut self, title: &str, about: &str) -> anyhow::Result<()> {
        self.scene += 1;
        self.after_call.set(false);
        let heading = format!("{}. {title}", self.scene);
        let line = "─".repeat(100_usize.saturating_sub(heading.chars().count() + 4));
        self.print(&format!("\n{}\n{about}\n", self.paint("1;36", &format!("── {heading} {line}"))))
    }

    /// Says that something was done or proved.
    pub(crate) fn done(&self, what: &str) -> anyhow::Result<()> {
        self.space()?;
        self.print(&format!("  {} {what}", self.paint("32", "✓")))
    }

    /// Says that something bad happened, as the story wants it.
    pub(crate) fn bad(&self, what: &str) -> anyhow::Result<()> {
        self.space()?;
        self.print(&format!("  {} {what}", self.paint("31", "✗")))
    }

    /// Leaves a line free after what a call printed.
    fn space(&self) -> anyhow::Result<()> {
        if self.after_call.replace(false) { self.print("") } else { Ok(()) }
    }

    /// Prints a line as it is.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// Runs the tool and prints call and answer, as on a user's screen; it must end with this code.
    pub(crate) async fn call(&self, tool: &Tool, args: &[&str], code: i32) -> anyhow::Result<Answer> {
        self.call_and_show(tool, args, code, |answer| answer.lines().map(str::to_owned).collect()).await
    }

    /// As [`Self::call`], but of the steps of a plan prints only how many there are.
    pub(crate) async fn call_briefly(&self, tool: &Tool, args: &[&str], code: i32) -> anyhow::Result<Answer> {
        self.call_and_show(tool, args, code, without_steps).await
    }

    async fn call_and_show(
        &self,
        tool: &Tool,
        args: &[&str],
        code: i32,
        shown_of: impl Fn(&str) -> Vec<String>,
    ) -> anyhow::Result<Answer> {
        self.space()?;
        let shown: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        self.print(&format!(
            "{} {}",
            self.paint("1", "$"),
            self.paint("1", &format!("kubectl vmrewind {}", shown.join(" ")))
        ))?;
        let answer = tool.run(args).await?;
        for line in shown_of(&answer.stdout).into_iter().chain(answer.stderr.lines().map(str::to_owned)) {
            self.print(format!("  {line}").trim_end())?;
        }
        if answer.code != 0 {
            self.print(&self.paint("2", &format!("  [exit code {}]", answer.code)))?;
        }
        ensure!(answer.code == code, "`{}` ended with {} and not with {code}", answer.call, answer.code);
        self.after_call.set(true);
        Ok(answer)
    }

    /// Returns the time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Returns the lines of a printed plan, with the table of its steps replaced by their number.
fn without_steps(plan: &str) -> Vec<String> {
    const HEADING: &str = "Steps, in this order";
    let (mut shown, mut steps) = (Vec::new(), None);
    for line in plan.lines() {
        match &mut steps {
            None if line == HEADING => steps = Some(0_usize),
            // Its columns are named in the first line.
            Some(steps) if !line.is_empty() => *steps += 1,
            _ => {
                if let Some(steps) = steps.take() {
                    shown.push(format!("{HEADING}: {}, not shown here", steps.saturating_sub(1)));
                }
                shown.push(line.to_owned());
            }
        }
    }
    shown.extend(steps.map(|steps| format!("{HEADING}: {}, not shown here", steps.saturating_sub(1))));
    shown
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    if arg.chars().all(plain) { arg.to_owned() } else { format!("'{arg}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_plan_everything_is_shown_but_the_steps() {
        let plan = "Plan 1\n\nSteps, in this order\n  # ACTION\n  1 keep\n  2 create\n\nWarning";
        assert_eq!(without_steps(plan), ["Plan 1", "", "Steps, in this order: 2, not shown here", "", "Warning"]);
        let last = "Steps, in this order\n  # ACTION\n  1 keep";
        assert_eq!(without_steps(last), ["Steps, in this order: 1, not shown here"]);
        assert_eq!(without_steps("Plan 1\nno steps"), ["Plan 1", "no steps"]);
    }
}
