//! `undo`: take back what a restore did.
//!
//! Does not: touch objects that somebody changed since; it says which it left and why.

use std::io::Write as _;

use clap::Args;
use serde_json::{Value, json};
use vmrewind_model::Timestamp;
use vmrewind_restore::{Event, Journal, UndoOutcome, Undone, undo};

use super::restore::report;
use crate::{
    age,
    context::Ctx,
    error::{CliError, Kind},
    executing::{Report, confirm, watched},
    journals::JournalArgs,
    output::{Table, envelope, style, to_json, to_yaml},
    planning,
};

/// Take back what a restore did
///
/// Objects that the restore created are deleted, those that it replaced are put back, in reverse order. Without an id the
/// journals are listed. Exit code 3 if something was left.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Id of the journal, the beginning of it, or the path of its file
    #[arg(value_name = "ID")]
    id: Option<String>,
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
    let archive = ctx.archive().await?;
    let world = planning::captured_for(ctx, &archive, journal.plan()).await?;
    let target = planning::connect(ctx).await?;
    let done = done(&journal);
    let begun: Timestamp = journal.header().created;
    ctx.talk.note(&format!("Restore {id} of {begun} ({}) did {done} steps.", age::ago(ctx.now, begun)))?;
    confirm(ctx, args.yes, &format!("Take it back in cluster {}?", journal.plan().target.cluster))?;
    let outcome = watched(ctx, "taking back", async |run| undo(run, &mut journal).await, &world, &target).await?;
    match args.output {
        Report::Json => write!(ctx.out, "{}", to_json(&answer(&id, &outcome))?)?,
        Report::Yaml => write!(ctx.out, "{}", to_yaml(&answer(&id, &outcome))?)?,
        Report::Table => print(ctx, &outcome)?,
    }
    ctx.out.flush()?;
    if outcome.left.is_empty() {
        return Ok(0);
    }
    Err(CliError::new(Kind::Partly, format!("{} thing(s) were left as they are.", outcome.left.len()))
        .hint("look at them above; undo can be repeated."))
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
