//! The verbs: one file each, with its flags and its `run`.
//!
//! Does not: hold logic that two verbs share.

pub(crate) mod apply;
pub(crate) mod complete;
pub(crate) mod completion;
pub(crate) mod copy;
pub(crate) mod deleted;
pub(crate) mod diff;
pub(crate) mod dump;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod graph;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod show;
pub(crate) mod undo;
pub(crate) mod verify;
pub(crate) mod version;

use crate::{args::Command, context::Ctx, error::CliError};

/// Runs a verb and returns the exit code.
///
/// # Errors
/// Whatever the verb reports; its kind decides the exit code.
pub(crate) async fn run(ctx: &mut Ctx, command: Command) -> Result<u8, CliError> {
    match command {
        Command::Info(args) => info::run(ctx, args).await,
        Command::Log(args) => Box::pin(log::run(ctx, args)).await,
        Command::Get(args) => get::run(ctx, args).await,
        Command::Show(args) => show::run(ctx, args).await,
        Command::Dump(args) => dump::run(ctx, args).await,
        Command::Diff(args) => diff::run(ctx, args).await,
        Command::Graph(args) => graph::run(ctx, args).await,
        Command::Deleted(args) => deleted::run(ctx, args).await,
        Command::Plan(args) => plan::run(ctx, *args).await,
        Command::Restore(args) => restore::run(ctx, *args).await,
        Command::Apply(args) => apply::run(ctx, args).await,
        Command::Undo(args) => undo::run(ctx, args).await,
        Command::Verify(args) => verify::run(ctx, args).await,
        Command::Copy(args) => copy::run(ctx, args).await,
        Command::Export(args) => export::run(ctx, *args).await,
        Command::Import(args) => import::run(ctx, args).await,
        Command::Key(args) => key::run(ctx, args).await,
        Command::Complete(args) => complete::run(ctx, args).await,
        Command::Completion(args) => completion::run(ctx, &args),
        Command::Version(args) => version::run(ctx, &args),
    }
}
