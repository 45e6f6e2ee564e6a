//! The tool `kubectl vmrewind`: verbs, tables, progress, exit codes.
//!
//! ```text
//! args -> commands::verb::run(ctx, args) -> archive, graph, restore, cluster
//!                  |
//!                  +-> output: data to stdout, talk to stderr, exit code
//! ```
//!
//! Does not: capture, or decide what a restore does; crate `restore` decides and this tool shows.

mod age;
mod args;
mod at;
mod certainty;
mod columns;
mod commands;
mod connect;
mod consulted;
mod context;
mod coverage;
mod departed;
mod describe;
mod error;
mod executing;
mod journals;
mod known;
mod kubeconfig;
mod live;
mod mask;
mod missing;
mod moment;
mod names;
mod objects;
mod output;
mod planning;
mod portable;
mod progress;
mod record;
mod render;
mod request;
mod state_home;
mod timeline;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use vmrewind_model::Timestamp;

use crate::{
    args::{Cli, Duty},
    context::Ctx,
    error::{CliError, Kind},
    output::{Lost, Out, Patient, Talk, style},
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    logs(cli.global.verbose);
    vmrewind_cluster::install_crypto_provider(); // stores are reached over TLS, too
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&CliError::bug(format!("cannot start: {error}."))),
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

async fn run(cli: Cli) -> Result<u8, CliError> {
    let now = match cli.global.now {
        Some(now) => now,
        None => clock()?,
    };
    // What is said must not stop what is done: nobody may be listening any more.
    let talk = Talk::new(Box::new(Patient::new(anstream::stderr(), Lost::default())), cli.global.quiet);
    let (duty, lost) = (cli.command.duty(), Lost::default());
    let out = io::BufWriter::new(anstream::stdout());
    let out: Out = if duty == Duty::Pour { Box::new(out) } else { Box::new(Patient::new(out, lost.clone())) };
    let fixed = cli.global.now;
    let clock = Box::new(move || fixed.or_else(|| clock().ok()).unwrap_or(now));
    let mut ctx = Ctx { global: cli.global, now, clock, entropy, out, talk, lost, identities: None };
    let result = Box::pin(commands::run(&mut ctx, cli.command)).await;
    let flushed = ctx.out.flush();
    let code = result?;
    flushed?;
    match ctx.lost.take() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => match duty {
            Duty::Change => {
                ctx.talk.warn(&format!("the output is not complete ({error}), but what was asked for was done."))?;
                Ok(code)
            }
            Duty::Answer | Duty::Pour => Err(error.into()),
        },
        Some(_) | None => Ok(code),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the tool reads the clock")]
fn clock() -> Result<Timestamp, CliError> {
    Timestamp::try_from(jiff::Timestamp::now())
        .map_err(|error| CliError::new(Kind::Unavailable, format!("the clock of this machine is wrong: {error}.")))
}

#[expect(clippy::disallowed_methods, reason = "the one place where the tool draws random bytes")]
fn entropy() -> Result<[u8; 16], CliError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::new(Kind::Unavailable, format!("this machine has no random numbers: {error}.")))?;
    Ok(bytes)
}

/// Prints what clap has to say: help to stdout, errors to stderr.
fn usage(error: &clap::Error) -> ExitCode {
    if let Some(error) = wrong_value(error) {
        return fail(&error);
    }
    let printed = error.print();
    match (printed, error.exit_code()) {
        (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(Kind::Unavailable.exit_code()),
        (_, 0) => ExitCode::SUCCESS,
        (_, _) => ExitCode::from(Kind::Usage.exit_code()),
    }
}

/// Puts an error about the value of a flag into our own form, which has room for the reason.
fn wrong_value(error: &clap::Error) -> Option<CliError> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = flag.split(' ').next().unwrap_or(flag);
    let reason = std::error::Error::source(error)?.to_string();
    let (what, hint) = reason.split_once(": ").unwrap_or((&reason, "--help explains the flags."));
    Some(CliError::usage(format!("{flag}: {what}.")).hint(hint))
}

fn fail(error: &CliError) -> ExitCode {
    if error.kind != Kind::BrokenPipe {
        let text = error.to_string();
        let (bad, message) = (style::BAD, text.strip_prefix("Error:").unwrap_or(&text));
        if writeln!(anstream::stderr(), "{bad}Error:{bad:#}{message}").is_err() {
            return ExitCode::from(error.kind.exit_code()); // nobody listens: the code says it
        }
    }
    ExitCode::from(error.kind.exit_code())
}

/// Prints traces of our own crates to standard error: never of those that might print bodies.
fn logs(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => "info",
        _ => "debug",
    };
    let crates = ["archive", "cluster", "graph", "restore"];
    let filter = crates.map(|name| format!("vmrewind_{name}={level}")).join(",");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(true).init();
}
