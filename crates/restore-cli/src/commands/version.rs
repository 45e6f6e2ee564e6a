//! `version`: which program this is.
//!
//! Does not: ask a cluster or an archive.

use std::io::Write as _;

use clap::Args;
use serde_json::json;

use crate::{
    context::Ctx,
    error::CliError,
    output::{Format, choose, envelope, to_json, to_yaml},
};

/// Print the version of this tool
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Form of the answer: table, json, yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json", "yaml"]))]
    output: Format,
}

/// Prints the version of the program, of the archive format, and of the JSON answers.
pub(crate) fn run(ctx: &mut Ctx, args: &VersionArgs) -> Result<u8, CliError> {
    let (version, format) = (env!("CARGO_PKG_VERSION"), vmrewind_archive::format::VERSION);
    let answer = envelope("Version", json!({"version": version, "archiveFormat": format.to_string()}));
    match args.output {
        Format::Json => write!(ctx.out, "{}", to_json(&answer)?)?,
        Format::Yaml => write!(ctx.out, "{}", to_yaml(&answer)?)?,
        _ => writeln!(ctx.out, "kubectl-vmrewind {version}, archive format {format}")?,
    }
    Ok(0)
}
