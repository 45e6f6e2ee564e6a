//! `apply`: carry out a plan file.
//!
//! Does not: do anything that does not stand in the plan.

use std::path::{Path, PathBuf};

use clap::Args;
use vmrewind_restore::{RestoreError, RestorePlan, dry_run};

use super::restore::report;
use crate::{
    context::Ctx,
    error::CliError,
    executing::{Report, carry_out, confirm},
    journals::JournalArgs,
    planning::{self, Planned},
    render::plan::print,
    request::DryRun,
};

/// Carry out a plan file
///
/// The plan is bound to its archive and its cluster. If the cluster has changed since in a way that matters, nothing is done
/// and the exit code is 4.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// File that plan -o FILE has written
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,
    /// client: only show the plan; server: ask the server about each step, then stop
    #[arg(long, value_enum, value_name = "HOW", default_value = "none")]
    dry_run: DryRun,
    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    journals: JournalArgs,
    /// Form of the outcome: table, json, yaml; with json and yaml the plan is not printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = report)]
    output: Report,
}

/// Reads a plan file. One that is not there is a mistake on the command line; one that was changed is damage.
fn load(file: &Path) -> Result<RestorePlan, CliError> {
    match RestorePlan::load(file) {
        Err(RestoreError::File { source, .. }) => {
            Err(CliError::usage(format!("the plan file {} cannot be read: {source}.", file.display()))
                .hint("plan -o FILE writes one."))
        }
        result => Ok(result?),
    }
}

/// Carries out a plan file.
pub(crate) async fn run(ctx: &mut Ctx, args: ApplyArgs) -> Result<u8, CliError> {
    let mut plan = load(&args.filename)?;
    let show = |ctx: &mut Ctx, plan: &RestorePlan| print(&mut ctx.out, plan, ctx.now, ctx.global.verbose > 0);
    if args.dry_run == DryRun::Client {
        show(ctx, &plan)?;
        planning::check_refusals(&plan)?;
        ctx.talk.note("Dry run: nothing was changed.")?;
        return Ok(0);
    }
    let archive = ctx.archive().await?;
    let world = planning::captured_for(ctx, &archive, &plan).await?;
    let target = planning::connect(ctx).await?;
    if args.dry_run == DryRun::Server {
        planning::check_drift(ctx, &plan, &world, &target).await?;
        dry_run(&mut plan, &world, &target, &ctx.bar("asking the server")).await?;
    }
    if args.output == Report::Table || args.dry_run != DryRun::None {
        show(ctx, &plan)?;
    }
    planning::check_refusals(&plan)?;
    if args.dry_run == DryRun::Server {
        ctx.talk.note("Dry run: nothing was changed.")?;
        return Ok(0);
    }
    if !plan.is_noop() {
        confirm(ctx, args.yes, &format!("Carry this out in cluster {}?", plan.target.cluster))?;
    }
    carry_out(ctx, &Planned { world, target, plan }, &args.journals, args.output).await
}
