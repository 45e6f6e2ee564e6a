//! `restore`: plan, confirm, carry out, verify.
//!
//! Does not: touch anything before the plan was shown and confirmed.

use clap::Args;
use vmrewind_archive::Archive;

use crate::{
    context::Ctx,
    error::CliError,
    executing::{Report, carry_out, confirm, go_on},
    journals::JournalArgs,
    planning::{self, Planned},
    render::plan::print,
    request::{DryRun, RequestArgs},
};

/// What a journal has decided already.
const RESUME_REFUSES: [&str; 23] = [
    "what",
    "at",
    "namespace",
    "all_namespaces",
    "selector",
    "with_deps",
    "exclude_namespace",
    "namespace_map",
    "create_namespace",
    "storage_class_map",
    "mac",
    "serial",
    "firmware_uuid",
    "seed",
    "run_strategy",
    "volumes",
    "mark",
    "on_conflict",
    "live",
    "stop",
    "cluster_scoped",
    "allow_missing",
    "dry_run",
];

/// Put objects back as they were: plan, confirm, apply
///
/// What exists is left alone unless --on-conflict says otherwise. Every change is journaled with the object before it, and
/// undo takes it back. No machine is started on a disk whose data is not known to be there unless --volumes says so.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl vmrewind restore vm/db-1 -n prod --at before-delete\n  kubectl vmrewind restore vm/db-1 -n prod \
    --at -2h --on-conflict replace --stop\n  kubectl vmrewind restore vm/db-1 -n prod --at latest --namespace-map prod=test \
    --create-namespace --volumes reimport"
)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// client: stop after the plan; server: ask the server about each step, then stop
    #[arg(long, value_enum, value_name = "HOW", default_value = "none")]
    dry_run: DryRun,
    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
    /// Go on with a restore that was cut, by the id of its journal
    #[arg(long, value_name = "ID", conflicts_with_all = RESUME_REFUSES)]
    resume: Option<String>,
    #[command(flatten)]
    journals: JournalArgs,
    /// Form of the outcome: table, json, yaml; with json and yaml the plan is not printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = report)]
    output: Report,
}

/// Parses `-o`.
///
/// # Errors
/// If it is no form of an outcome.
pub(crate) fn report(text: &str) -> Result<Report, String> {
    match text {
        "table" => Ok(Report::Table),
        "json" => Ok(Report::Json),
        "yaml" => Ok(Report::Yaml),
        _ => Err("expected one of: table, json, yaml".to_owned()),
    }
}

/// Restores.
pub(crate) async fn run(ctx: &mut Ctx, args: RestoreArgs) -> Result<u8, CliError> {
    if let Some(id) = &args.resume {
        return continue_with(ctx, &args, id).await;
    }
    let planned = planning::make(ctx, &args.request, args.dry_run == DryRun::Server).await?;
    if args.output == Report::Table || args.dry_run != DryRun::None {
        print(&mut ctx.out, &planned.plan, ctx.now, ctx.global.verbose > 0)?;
    }
    planning::check_refusals(&planned.plan)?;
    if args.dry_run != DryRun::None {
        ctx.talk.note("Dry run: nothing was changed.")?;
        return Ok(0);
    }
    if !planned.plan.is_noop() {
        let question = format!("Carry this out in cluster {}?", planned.plan.target.cluster);
        confirm(ctx, args.yes, &question)?;
    }
    carry_out(ctx, &planned, &args.journals, args.output).await
}

async fn continue_with(ctx: &mut Ctx, args: &RestoreArgs, id: &str) -> Result<u8, CliError> {
    let (id, journal) = args.journals.open(id)?;
    let archive: Archive = ctx.archive().await?;
    let plan = journal.plan().clone();
    let world = planning::captured_for(ctx, &archive, &plan).await?;
    let target = planning::connect(ctx).await?;
    confirm(ctx, args.yes, &format!("Go on with restore {id} in cluster {}?", plan.target.cluster))?;
    go_on(ctx, &id, journal, &Planned { world, target, plan }, args.output).await
}
