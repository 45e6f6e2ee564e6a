//! `plan`: what a restore would do.
//!
//! Does not: write to the cluster.

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use vmrewind_restore::RestorePlan;

use crate::{
    context::Ctx,
    error::CliError,
    output::to_yaml,
    planning,
    render::plan::print,
    request::{DryRun, RequestArgs},
};

/// Work out what a restore would do, without doing it
///
/// The plan says where the data of every volume comes from, and refuses what cannot be shown to be safe, with a hint for
/// each refusal. Exit code 1 if it refuses something, 5 if all it refuses is to touch objects that exist.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl vmrewind plan vm/db-1 -n prod --at before-delete\n  kubectl vmrewind plan -n prod --at -2h -o \
    plan.json && kubectl vmrewind apply -f plan.json\n  kubectl vmrewind plan vm/db-1 -n prod --at latest --namespace-map prod=test \
    --create-namespace --volumes blank"
)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// server: ask the server about each step, without storing anything
    #[arg(long, value_enum, value_name = "HOW", default_value = "none")]
    dry_run: DryRun,
    /// Form of the answer: table, json, yaml; anything else is a file that the plan is written to
    #[arg(short, long, value_name = "FORMAT|FILE", default_value = "table", value_parser = output)]
    output: Output,
    /// File that the plan is written to, for apply -f
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where a plan goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// The plan itself.
    Json,
    /// The plan itself.
    Yaml,
    /// For people, and to this file.
    File(PathBuf),
}

/// Parses `-o`.
///
/// # Errors
/// If it is empty.
pub(crate) fn output(text: &str) -> Result<Output, String> {
    Ok(match text {
        "" => return Err("expected table, json, yaml or the name of a file".to_owned()),
        "table" => Output::Table,
        "json" => Output::Json,
        "yaml" => Output::Yaml,
        file => Output::File(PathBuf::from(file)),
    })
}

/// Makes a plan and shows it.
pub(crate) async fn run(ctx: &mut Ctx, args: PlanArgs) -> Result<u8, CliError> {
    let planned = planning::make(ctx, &args.request, args.dry_run == DryRun::Server).await?;
    show(ctx, &planned.plan, &args.output)?;
    let files = match &args.output {
        Output::File(file) => Some(file),
        _ => None,
    };
    for file in files.into_iter().chain(&args.out) {
        planned.plan.save(file)?;
        ctx.talk.note(&format!("Plan written to {}: carry it out with apply -f.", file.display()))?;
    }
    planning::check_refusals(&planned.plan)?;
    Ok(0)
}

/// Shows a plan in a form.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn show(ctx: &mut Ctx, plan: &RestorePlan, output: &Output) -> Result<(), CliError> {
    match output {
        Output::Json => write!(ctx.out, "{}", plan.to_json()?)?,
        Output::Yaml => write!(ctx.out, "{}", to_yaml(plan)?)?,
        Output::Table | Output::File(_) => print(&mut ctx.out, plan, ctx.now, ctx.global.verbose > 0)?,
    }
    Ok(ctx.out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_format_is_a_file() {
        assert_eq!(output("json"), Ok(Output::Json));
        assert_eq!(output("plan.json"), Ok(Output::File("plan.json".into())));
        assert!(output("").is_err());
    }
}
