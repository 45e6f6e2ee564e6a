//! `completion`: scripts for shells, and the hook through which kubectl completes its plugins.
//!
//! Does not: know what can be completed; all of them ask `__complete`.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use crate::{context::Ctx, error::CliError};

/// Print a script that completes the command line in a shell
///
/// For the shell itself: source <(kubectl-vmrewind completion bash). For `kubectl vmrewind`: write the output of
/// `completion kubectl` to an executable file named kubectl_complete-vmrewind in a directory of the PATH.
/// Names of objects come from the archive that --archive or VMREWIND_ARCHIVE names, deleted ones as well.
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

const BASH: &str = r#"# Completes kubectl-vmrewind in bash.
_kubectl_vmrewind() {
    local line files=0
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :0) files=1 ;;
        :*) ;;
        *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <(kubectl-vmrewind __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [ "$files" = 1 ]; then compopt -o default 2>/dev/null; fi
}
complete -F _kubectl_vmrewind kubectl-vmrewind
"#;

const ZSH: &str = r#"#compdef kubectl-vmrewind
# Completes kubectl-vmrewind in zsh.
_kubectl-vmrewind() {
    local line files=0 word
    local -a candidates
    while IFS= read -r line; do
        case $line in
        :0) files=1 ;;
        :*) ;;
        *) word=${line%%$'\t'*}; candidates+=("${word//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <(kubectl-vmrewind __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#candidates} )) && _describe kubectl-vmrewind candidates
    (( files )) && _files
}
compdef _kubectl-vmrewind kubectl-vmrewind
"#;

const FISH: &str = r#"# Completes kubectl-vmrewind in fish.
function __kubectl_vmrewind_complete
    set -l words (commandline -opc)
    kubectl-vmrewind __complete -- $words[2..-1] (commandline -ct) 2>/dev/null | string match --invert --regex '^:'
end
complete -c kubectl-vmrewind -f -a '(__kubectl_vmrewind_complete)'
"#;

/// kubectl calls it with the words after `kubectl vmrewind`
/// (`kubernetes/kubernetes: staging/src/k8s.io/kubectl/pkg/cmd/plugin/plugin_completion.go`).
const KUBECTL: &str = r#"#!/bin/sh
# Answers kubectl when it completes `kubectl vmrewind`.
exec kubectl-vmrewind __complete -- "$@"
"#;

/// Prints the script.
pub(crate) fn run(ctx: &mut Ctx, args: &CompletionArgs) -> Result<u8, CliError> {
    let script = match args.shell {
        ShellName::Bash => BASH,
        ShellName::Zsh => ZSH,
        ShellName::Fish => FISH,
        ShellName::Kubectl => KUBECTL,
    };
    write!(ctx.out, "{script}")?;
    Ok(0)
}
