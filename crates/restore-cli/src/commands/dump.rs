//! `dump`: all objects as they were, one JSON document per line.
//!
//! Does not: sort by anything but the objects' keys.

use std::io::Write as _;

use clap::Args;
use vmrewind_archive::Presence;
use vmrewind_model::RecordKey;

use crate::{
    args::{AtArg, Scope},
    certainty::{self, Touched},
    context::Ctx,
    error::CliError,
    moment::Moment,
    objects::Archived,
    output::{Format, choose, to_line},
};

/// Print all objects as they were, one JSON document per line
///
/// Each line has seq, t, group, kind, namespace, name, uid, resourceVersion, contentId and object. Cluster-scoped objects
/// are printed with -A only.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    at: AtArg,
    #[command(flatten)]
    scope: Scope,
    /// Form of the answer: jsonl
    #[arg(short, long, value_name = "FORMAT", default_value = "jsonl", value_parser = choose(&["jsonl"]))]
    output: Format,
}

/// Prints all objects.
pub(crate) async fn run(ctx: &mut Ctx, args: DumpArgs) -> Result<u8, CliError> {
    debug_assert_eq!(args.output, Format::Jsonl);
    let archive = ctx.archive().await?;
    let touched = Touched::All(ctx.namespaces(&args.scope)?);
    let filter = |key: &RecordKey| touched.object(&key.object);
    let moment = Moment::read(ctx, &archive, args.at.at, None, &filter).await?;
    certainty::check(ctx, &moment, &touched)?;
    let masker = ctx.masker();
    let mut none = true;
    for (key, entry) in moment.state.objects.iter().filter(|(key, _)| touched.object(key)) {
        if entry.presence != Presence::Absent {
            none = false;
            writeln!(ctx.out, "{}", to_line(&Archived::of(key, entry, &masker)?)?)?;
        }
    }
    if none {
        ctx.talk.note(&format!("No objects at {}; -A covers all namespaces.", moment.label()))?;
    }
    Ok(0)
}
