//! `undo`: take back what a restore did.
//!
//! Does not: touch objects that somebody changed since; it says which it left and why.

use std::io::Write as _;

use clap::Args;
use serde_json::{Value, json};
use vmrewind_model::Timestamp;
use vmrewind_restore::{Event, Journal, UndoOptions, UndoOutcome, Undone, World, undo_preview, undo_with};

use super::restore::report;
use crate::{
    age,
    context::Ctx,
    error::{CliError, Kind},
    executing::{Report, TAKING_BACK, confirm, watched},
    journals::JournalArgs,
    output::{Table, envelope, style, to_json, to_yaml},
    planning,
};

/// Take back what a restore did
///
/// Objects that the restore created are deleted, those that it replaced are put back, in reverse order. A namespace
/// that it created stays. The archive is not needed. Without an id the journals are listed. Exit code 3 if something else was
/// left.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Id of the journal, the beginning of it, or the path of its file
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Take back as well what was changed since, and claims that are bound and may hold data
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    journals: JournalArgs,
    /// Form of the outcome: table, json, yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = report)]
    output: Report,
}

/// Takes back, or lists what can be taken back.
pub(crate) async fn run(ctx: &mut Ctx, args: UndoArgs) -> Result<u8, CliError> {
    let Some(id) = &args.id else { return list(ctx, &args) };
    let (id, mut journal) = args.journals.open(id)?;
    let world = World::none(); // the journal holds all that is put back
    let target = planning::connect(ctx).await?;
    let done = done(&journal);
    let begun: Timestamp = journal.header().created;
    ctx.talk.note(&format!("Restore {id} of {begun} ({}) did {done} steps.", age::ago(ctx.now, begun)))?;
    for Undone { step, key, note } in undo_preview(&journal) {
        ctx.talk.note(&format!("  {step:>3} {key}: to be {note}"))?;
    }
    let options = UndoOptions { force: args.force };
    confirm(ctx, args.yes, &format!("Take it back in cluster {}?", journal.plan().target.cluster))?;
    let outcome =
        watched(ctx, TAKING_BACK, async |run| undo_with(run, &mut journal, options).await, &world, &target).await?;
    match args.output {
        Report::Json => write!(ctx.out, "{}", to_json(&answer(&id, &outcome))?)?,
        Report::Yaml => write!(ctx.out, "{}", to_yaml(&answer(&id, &outcome))?)?,
        Report::Table => print(ctx, &outcome)?,
    }
    ctx.out.flush()?;
    let (kept, left): (Vec<&Undone>, Vec<&Undone>) = outcome.left.iter().partition(|row| stays(row));
    for Undone { key, .. } in kept {
        ctx.talk
            .warn(&format!("{key} stays: other things may be in it; if not, kubectl delete namespace {}.", key.name))?;
    }
    if left.is_empty() {
        return Ok(0);
    }
    Err(CliError::new(Kind::Partly, format!("{} thing(s) were left as they are.", left.len()))
        .hint("the reasons stand above; once they are out of the way, undo can be repeated."))
}

/// Tells whether something is left on purpose, however often undo is repeated: a namespace may hold what is not ours.
fn stays(row: &Undone) -> bool {
    row.key.is("", "Namespace")
}

/// Counts the steps that were done and not taken back.
fn done(journal: &Journal) -> usize {
    let mut steps = std::collections::BTreeSet::new();
    for entry in journal.entries() {
        match entry.event {
            Event::Done { .. } => {
                steps.insert(entry.step);
            }
            Event::Undone { .. } => {
                steps.remove(&entry.step);
            }
            Event::Intent { .. } | Event::Failed { .. } => {}
        }
    }
    steps.len()
}

fn print(ctx: &mut Ctx, outcome: &UndoOutcome) -> Result<(), CliError> {
    for Undone { key, note, .. } in &outcome.undone {
        writeln!(ctx.out, "  {key}: {note}")?;
    }
    for Undone { key, note, .. } in &outcome.left {
        let bad = style::BAD;
        writeln!(ctx.out, "  {bad}left{bad:#} {key}: {note}")?;
    }
    writeln!(ctx.out, "Taken back: {} steps, left: {}.", outcome.undone.len(), outcome.left.len())?;
    Ok(())
}

fn answer(id: &str, outcome: &UndoOutcome) -> Value {
    let rows = |rows: &[Undone]| -> Vec<Value> {
        rows.iter().map(|row| json!({"step": row.step, "key": row.key.to_string(), "note": row.note})).collect()
    };
    envelope("UndoOutcome", json!({"journal": id, "undone": rows(&outcome.undone), "left": rows(&outcome.left)}))
}

/// Lists the journals.
fn list(ctx: &mut Ctx, args: &UndoArgs) -> Result<u8, CliError> {
    let mut items = Vec::new();
    let mut table = Table::new(&["ID", "BEGUN", "AGO", "CLUSTER", "STEPS", "DONE"]);
    for id in args.journals.ids()? {
        let journal = match args.journals.open(&id) {
            Ok((_, journal)) => journal,
            Err(error) => {
                ctx.talk.warn(&format!("{id}: {}", error.message))?;
                continue;
            }
        };
        let (created, plan, done) = (journal.header().created, journal.plan(), done(&journal));
        let steps = plan.writes().count();
        items.push(json!({"id": id, "begun": crate::record::micros(created), "cluster": plan.target.cluster,
            "plan": plan.id, "steps": steps, "done": done}));
        table.row(
            &mut ctx.out,
            vec![
                id,
                created.to_string(),
                age::human(ctx.now.since(created)),
                plan.target.cluster.clone(),
                steps.to_string(),
                done.to_string(),
            ],
        )?;
    }
    let answer = envelope("JournalList", json!({"items": items}));
    match args.output {
        Report::Json => write!(ctx.out, "{}", to_json(&answer)?)?,
        Report::Yaml => write!(ctx.out, "{}", to_yaml(&answer)?)?,
        Report::Table if table.is_empty() => ctx.talk.note("There are no journals.")?,
        Report::Table => table.finish(&mut ctx.out)?,
    }
    Ok(0)
}
