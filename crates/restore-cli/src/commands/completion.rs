//! `completion`: scripts for shells, and the hook through which kubectl completes its plugins.
//!
//! Does not: complete names of objects; that needs an archive at hand at every key press.

use std::io::Write as _;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use crate::{args::Cli, context::Ctx, error::CliError};

/// Print a script that completes the command line in a shell
///
/// For the shell itself: source <(kubectl-vmrewind completion bash). For `kubectl vmrewind`: write the output of
/// `completion kubectl` to an executable file named kubectl_complete-vmrewind in a directory of the PATH.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// Which shell, or kubectl for the hook of kubectl's own completion
    #[arg(value_enum)]
    shell: ShellName,
}

/// What can be completed in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShellName {
    Bash,
    Zsh,
    Fish,
    Kubectl,
}

/// Prints the script.
pub(crate) fn run(ctx: &mut Ctx, args: &CompletionArgs) -> Result<u8, CliError> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
        ShellName::Kubectl => {
            write!(ctx.out, "{}", kubectl_hook())?;
            return Ok(0);
        }
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command().bin_name("kubectl-vmrewind"), "kubectl-vmrewind", &mut script);
    ctx.out.write_all(&script)?;
    Ok(0)
}

/// Returns a script that answers kubectl: candidates one per line, then a colon and a directive
/// (`kubernetes/kubernetes: staging/src/k8s.io/kubectl/pkg/cmd/plugin/plugin_completion.go`).
fn kubectl_hook() -> String {
    let mut command = Cli::command();
    command.build();
    let long = |command: &clap::Command| -> Vec<String> {
        let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
        flags.filter_map(|flag| flag.get_long().map(|name| format!("--{name}"))).collect()
    };
    let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let mut script = String::from("#!/bin/sh\n# Answers kubectl when it completes `kubectl vmrewind`.\n");
    script.push_str("last=\nfor last; do :; done\nverb=$1\n");
    script.push_str("if [ $# -le 1 ]; then\n");
    script.push_str(&format!("  printf '%s\\n' {}\n  echo :4\n  exit\nfi\n", verbs.join(" ")));
    script.push_str("case $last in\n-*)\n  case $verb in\n");
    for verb in command.get_subcommands() {
        script.push_str(&format!("  {}) printf '%s\\n' {} ;;\n", verb.get_name(), long(verb).join(" ")));
    }
    script.push_str("  esac\n  echo :4 ;;\n*) echo :0 ;;\nesac\n");
    script
}
