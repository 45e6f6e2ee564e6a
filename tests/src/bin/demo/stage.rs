//! What the demonstration prints: numbered headings, one sentence each, calls as a user would type them.
//!
//! Does not: decide what happens.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use anyhow::ensure;
use vmrewind_tests::{Answer, Tool};

/// The printed page.
pub(crate) struct Stage {
    colour: bool,
    scene: usize,
    begun: tokio::time::Instant,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, scene: 0, begun: tokio::time::Instant::now() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Begins a scene: a heading, and a sentence or two about it.
    pub(crate) fn scene(&mut self, title: &str, about: &str) -> anyhow::Result<()> {
        self.scene += 1;
        let heading = format!("{}. {title}", self.scene);
        let line = "─".repeat(100_usize.saturating_sub(heading.chars().count() + 4));
        self.print(&format!("\n{}\n{about}\n", self.paint("1;36", &format!("── {heading} {line}"))))
    }

    /// Says that something was done or proved.
    pub(crate) fn done(&self, what: &str) -> anyhow::Result<()> {
        self.print(&format!("  {} {what}", self.paint("32", "✓")))
    }

    /// Says that something bad happened, as the story wants it.
    pub(crate) fn bad(&self, what: &str) -> anyhow::Result<()> {
        self.print(&format!("  {} {what}", self.paint("31", "✗")))
    }

    /// Prints a line as it is.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// Runs the tool and prints call and answer, as on a user's screen; it must end with this code.
    pub(crate) async fn call(&self, tool: &Tool, args: &[&str], code: i32) -> anyhow::Result<Answer> {
        let shown: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        self.print(&format!(
            "{} {}",
            self.paint("1", "$"),
            self.paint("1", &format!("kubectl vmrewind {}", shown.join(" ")))
        ))?;
        let answer = tool.run(args).await?;
        for line in answer.stdout.lines().chain(answer.stderr.lines()) {
            self.print(&format!("  {line}"))?;
        }
        if answer.code != 0 {
            self.print(&self.paint("2", &format!("  [exit code {}]", answer.code)))?;
        }
        ensure!(answer.code == code, "`{}` ended with {} and not with {code}", answer.call, answer.code);
        self.print("")?;
        Ok(answer)
    }

    /// Returns the time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    if arg.chars().all(plain) { arg.to_owned() } else { format!("'{arg}'") }
}
