//! From a plan to its outcome: confirm, carry out, verify, report.
//!
//! Does not: make the plan.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use vmrewind_restore::{Journal, Outcome, RestoreError, RestorePlan, Run, Verification, World, execute, resume};

use crate::{
    context::Ctx,
    error::{CliError, Kind},
    journals::JournalArgs,
    output::{envelope, style, to_json, to_yaml},
    planning::Planned,
};

/// What [`watched`] is told by `undo`, which leaves what it may not touch.
pub(crate) const TAKING_BACK: &str = "taking back";

/// How the outcome is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// For people.
    Table,
    /// `RestoreOutcome`.
    Json,
    /// `RestoreOutcome`.
    Yaml,
}

/// Asks before anything is changed.
///
/// # Errors
/// If the user says no, or cannot be asked and has not said yes beforehand.
pub(crate) fn confirm(ctx: &mut Ctx, yes: bool, question: &str) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::usage("nothing was done: nobody can be asked, and --yes is not given.")
            .hint("look at what stands above, then run it again with --yes."));
    }
    ctx.out.flush()?;
    if ctx.lost.any() {
        return Err(CliError::new(Kind::Unavailable, "nothing was done: what you are asked about could not be shown."));
    }
    ctx.talk.ask(&format!("{question} Only \"yes\" goes on: "))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(CliError::new(Kind::Refused, "nothing was done: you did not say yes."))
    }
}

/// Carries out a plan that was shown and confirmed.
///
/// # Errors
/// Whatever stopped it; a journal that holds something is named.
pub(crate) async fn carry_out(
    ctx: &mut Ctx,
    planned: &Planned,
    journals: &JournalArgs,
    report: Report,
) -> Result<u8, CliError> {
    let Planned { world, target, plan } = planned;
    if plan.is_noop() {
        ctx.talk.note("Nothing to do: everything is as it was.")?;
        let nothing = Outcome { done: 0, already_done: 0, notes: Vec::new(), verification: Verification::default() };
        match report {
            Report::Json => write!(ctx.out, "{}", to_json(&answer("", plan, &nothing))?)?,
            Report::Yaml => write!(ctx.out, "{}", to_yaml(&answer("", plan, &nothing))?)?,
            Report::Table => {}
        }
        return Ok(0);
    }
    let (id, mut journal) = journals.begin(plan, ctx.now)?;
    ctx.out.flush()?; // the plan comes before what is done
    ctx.talk.note(&format!("Journal {id}: {}", journal.path().display()))?;
    let outcome = watched(ctx, "restoring", async |run| execute(plan, run, &mut journal).await, world, target).await;
    if outcome.is_err() && journal.entries().is_empty() {
        // Nothing was begun, so there is nothing to go on with or to take back.
        discard(ctx, &id, &journal)?;
    }
    finish(ctx, &id, plan, &journal, outcome, report)
}

/// Removes the journal of a restore that was refused before its first step.
fn discard(ctx: &mut Ctx, id: &str, journal: &Journal) -> Result<(), CliError> {
    match std::fs::remove_file(journal.path()) {
        Ok(()) => ctx.talk.note(&format!("Nothing was done; the empty journal {id} is removed."))?,
        Err(error) => ctx.talk.warn(&format!("nothing was done, but the empty journal {id} stays: {error}."))?,
    }
    Ok(())
}

/// Goes on with a restore that was cut.
///
/// # Errors
/// As [`carry_out`].
pub(crate) async fn go_on(
    ctx: &mut Ctx,
    id: &str,
    mut journal: Journal,
    planned: &Planned,
    report: Report,
) -> Result<u8, CliError> {
    let Planned { world, target, plan } = planned;
    ctx.out.flush()?;
    let outcome = watched(ctx, "going on", async |run| resume(run, &mut journal).await, world, target).await;
    finish(ctx, id, plan, &journal, outcome, report)
}

/// Runs something that changes the cluster: with a progress bar, a clock, and an ear for Ctrl-C.
pub(crate) async fn watched<T>(
    ctx: &Ctx,
    what: &'static str,
    work: impl AsyncFnOnce(&Run<'_>) -> Result<T, RestoreError>,
    world: &World,
    target: &vmrewind_restore::ClusterTarget,
) -> Result<T, RestoreError> {
    let cancelled = AtomicBool::new(false);
    let asked_to_stop = || cancelled.load(Ordering::Relaxed);
    let bar = ctx.bar(what).with_lines(!ctx.global.quiet);
    let run = Run { world, target, progress: &bar, now: &*ctx.clock, cancelled: &asked_to_stop };
    // From here on, before anything is changed, Ctrl-C does not end the process any more.
    let mut interrupts = signal(SignalKind::interrupt());
    let listen = async {
        if let Ok(interrupts) = &mut interrupts {
            while interrupts.recv().await.is_some() {
                cancelled.store(true, Ordering::Relaxed);
                vmrewind_restore::Progress::note(
                    &bar,
                    "Stopping: what is on its way is waited for, nothing new begins, and the journal stays complete.",
                );
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = work(&run) => outcome,
        () = listen => unreachable!("it listens for ever"),
    }
}

fn finish(
    ctx: &mut Ctx,
    id: &str,
    plan: &RestorePlan,
    journal: &Journal,
    outcome: Result<Outcome, RestoreError>,
    report: Report,
) -> Result<u8, CliError> {
    let outcome = outcome.map_err(|error| cut(error, id, journal))?;
    match report {
        Report::Json => write!(ctx.out, "{}", to_json(&answer(id, plan, &outcome))?)?,
        Report::Yaml => write!(ctx.out, "{}", to_yaml(&answer(id, plan, &outcome))?)?,
        Report::Table => print(ctx, id, &outcome)?,
    }
    ctx.out.flush()?;
    let bad = outcome.verification.bad().count();
    if bad == 0 {
        return Ok(0);
    }
    Err(CliError::new(Kind::Damaged, format!("{bad} object(s) are not as planned."))
        .hint(format!("look at them above; undo {id} takes the restore back.")))
}

/// Puts the journal's id into the hint of an error, once there is something in the journal.
fn cut(error: RestoreError, id: &str, journal: &Journal) -> CliError {
    let begun = !journal.entries().is_empty();
    let mut error = CliError::from(error);
    error.hint = match error.hint.take() {
        Some(hint) if !begun && hint.contains(" ID") => None,
        Some(hint) => Some(hint.replace(" ID", &format!(" {id}"))),
        None if begun => Some(format!("go on with restore --resume {id}, or take back with undo {id}.")),
        None => None,
    };
    error
}

fn print(ctx: &mut Ctx, id: &str, outcome: &Outcome) -> Result<(), CliError> {
    for (key, note) in &outcome.notes {
        ctx.talk.warn(&format!("{key}: {note}"))?;
    }
    let before = match outcome.already_done {
        0 => String::new(),
        count => format!(", {count} had been done before"),
    };
    let (good, bad) = (style::GOOD, style::BAD);
    writeln!(ctx.out, "{good}Restored{good:#}: {} steps done{before}.", outcome.done)?;
    let objects = &outcome.verification.objects;
    writeln!(
        ctx.out,
        "Verified: {} of {} objects are as planned.",
        objects.iter().filter(|object| object.differs.is_empty()).count(),
        objects.len()
    )?;
    for object in outcome.verification.bad() {
        let paths: Vec<&str> = object
            .differs
            .iter()
            .map(|path| if path.is_empty() { "it does not exist" } else { path.as_str() })
            .collect();
        writeln!(ctx.out, "  {bad}{}{bad:#} differs: {}", object.key, paths.join(", "))?;
    }
    ctx.out.flush()?;
    ctx.talk.note(&format!("To take it back: kubectl vmrewind undo {id}"))?;
    Ok(())
}

fn answer(id: &str, plan: &RestorePlan, outcome: &Outcome) -> Value {
    let objects: Vec<Value> = outcome
        .verification
        .objects
        .iter()
        .map(|object| {
            json!({"key": object.key.to_string(), "action": object.action.text(), "good": object.differs.is_empty(),
                "differs": object.differs, "added": object.added})
        })
        .collect();
    let notes: Vec<Value> =
        outcome.notes.iter().map(|(key, note)| json!({"key": key.to_string(), "note": note})).collect();
    envelope(
        "RestoreOutcome",
        json!({"journal": id, "plan": plan.id, "done": outcome.done, "alreadyDone": outcome.already_done,
            "notes": notes, "verified": outcome.verification.is_good(), "objects": objects}),
    )
}
