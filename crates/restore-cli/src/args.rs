//! The command line: the flags that all verbs share, and the list of verbs.
//!
//! Does not: describe the flags of one verb; those stand in the file of the verb.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use vmrewind_archive::Fingerprint;
use vmrewind_model::Timestamp;

use crate::{at::Instant, commands};

/// What the tool does, in its help.
///
/// Replays any recorded point in time of KubeVirt virtual machines and all they depend on
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-vmrewind",
    bin_name = "kubectl vmrewind",
    about = "Looks into a VMRewind archive and puts back what it holds",
    long_about = None,
    disable_version_flag = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 1 differs, or refused by policy; 2 usage, or unknown name; 3 partly done (journal kept); \
        4 plan drifted; 5 conflict; 6 gap, unproven or uncertain at the instant asked for; 7 damaged archive, or \
        verification failed; \
        8 not reachable or not allowed, nothing was done; 10 no archive; 11 fenced; 12 wrong key; 70 fault of the program; \
        130 interrupted (safe)."
)]
pub(crate) struct Cli {
    /// Flags of all verbs.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The verb.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of all verbs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Archive to read: a directory, file:///dir, s3://bucket/prefix, gs://… or az://…
    #[arg(long, global = true, value_name = "URL", env = "VMREWIND_ARCHIVE", hide_env_values = true)]
    pub(crate) archive: Option<String>,
    /// Age identity file that opens an encrypted archive; may be repeated
    #[arg(long, global = true, value_name = "FILE", env = "VMREWIND_IDENTITY")]
    pub(crate) identity: Vec<PathBuf>,
    /// Fingerprint of the key of the encrypted archive, as key list shows it: another archive is refused
    #[arg(long, global = true, value_name = "FINGERPRINT", env = "VMREWIND_FINGERPRINT")]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Path of the kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig file
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// User to impersonate towards the cluster
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) as_user: Option<String>,
    /// Group to impersonate towards the cluster; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub(crate) as_group: Vec<String>,
    /// Name under which the cluster notes who changed a field
    #[arg(long, global = true, value_name = "NAME", default_value = "vmrewind")]
    pub(crate) field_manager: String,
    /// Show the values of secrets, which are masked otherwise
    #[arg(long, global = true)]
    pub(crate) show_secrets: bool,
    /// Accept answers that touch a gap or a resource that is not proven at the instant
    #[arg(long, global = true)]
    pub(crate) allow_gaps: bool,
    /// Accept answers that touch a change of which only bounds in time are known
    #[arg(long, global = true)]
    pub(crate) allow_late: bool,
    /// Pass over damaged segments of the archive: what they held is lost to the answer, which says so
    #[arg(long, global = true)]
    pub(crate) allow_damage: bool,
    /// Say less: warnings and errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more; twice for traces of the requests
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Take this as the present, instead of the clock
    #[arg(long, global = true, value_name = "TIME", env = "VMREWIND_NOW", hide = true)]
    pub(crate) now: Option<Timestamp>,
}

/// The namespace that names belong to.
#[derive(Clone, Debug, Args)]
pub(crate) struct Scope {
    /// Namespace; the default is the one of the kubeconfig's context, as with kubectl
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
}

/// The namespace of one object.
#[derive(Clone, Debug, Args)]
pub(crate) struct OneNamespace {
    /// Namespace; the default is the one of the kubeconfig's context, as with kubectl
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// The instant that a question is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct AtArg {
    /// Instant: 2026-09-03T14:03:07Z, -2h30m, latest, seq:N, rv:N (of the named object) or before-delete
    #[arg(long, value_name = "INSTANT", default_value = "latest", allow_hyphen_values = true)]
    pub(crate) at: Instant,
}

/// The verbs. What each does stands with its flags, and so does its help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Info(commands::info::InfoArgs),
    Log(commands::log::LogArgs),
    Get(commands::get::GetArgs),
    Show(commands::show::ShowArgs),
    Dump(commands::dump::DumpArgs),
    Diff(commands::diff::DiffArgs),
    Graph(commands::graph::GraphArgs),
    Deleted(commands::deleted::DeletedArgs),
    Plan(Box<commands::plan::PlanArgs>),
    Restore(Box<commands::restore::RestoreArgs>),
    Apply(commands::apply::ApplyArgs),
    Undo(commands::undo::UndoArgs),
    Verify(commands::verify::VerifyArgs),
    Copy(commands::copy::CopyArgs),
    Export(Box<commands::export::ExportArgs>),
    Import(commands::import::ImportArgs),
    Key(commands::key::KeyArgs),
    Completion(commands::completion::CompletionArgs),
    #[command(name = "__complete", hide = true)]
    Complete(commands::complete::CompleteArgs),
    Version(commands::version::VersionArgs),
}

/// What a verb owes to its caller when its output goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It changes something: it goes on, and its exit code tells what became of that.
    Change,
    /// It works out one answer: its exit code is part of it, and an answer that was cut short is no answer.
    Answer,
    /// It prints as much as is read, and its exit code judges nothing.
    Pour,
}

impl Command {
    /// Returns the duty of a verb.
    pub(crate) fn duty(&self) -> Duty {
        match self {
            Self::Restore(_) | Self::Apply(_) | Self::Undo(_) | Self::Copy(_) | Self::Import(_) | Self::Key(_) => {
                Duty::Change
            }
            Self::Log(_) | Self::Dump(_) | Self::Complete(_) | Self::Completion(_) | Self::Version(_) => Duty::Pour,
            Self::Info(_)
            | Self::Get(_)
            | Self::Show(_)
            | Self::Diff(_)
            | Self::Graph(_)
            | Self::Deleted(_)
            | Self::Plan(_)
            | Self::Export(_)
            | Self::Verify(_) => Duty::Answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_age_may_follow_a_flag_or_stand_as_an_argument() {
        let cli = Cli::try_parse_from(["x", "get", "vm", "--at", "-2h30m", "-n", "prod"]).expect("valid");
        assert!(matches!(cli.command, Command::Get(_)));
        let cli = Cli::try_parse_from(["x", "diff", "-2h30m", "latest", "vm/db-1", "-n", "prod"]).expect("valid");
        let Command::Diff(diff) = cli.command else { panic!("not a diff") };
        assert_eq!(diff.scope.namespace.as_deref(), Some("prod"));
    }
}
