//! `__complete`: what may stand where somebody pressed the tab key. Called by the scripts of `completion`.
//!
//! Answers as kubectl's own completion does: a candidate per line, with its description after a tab, then `:4`, or
//! `:0` where a file name may stand (`spf13/cobra: completions.go`).
//!
//! Does not: fail. What cannot be found out is not offered.

use std::{collections::BTreeSet, io::Write as _};

use clap::{Arg, Args, Command, CommandFactory as _};
use futures::{StreamExt as _, pin_mut};
use vmrewind_archive::{Archive, SeqRange};
use vmrewind_model::{ObjectKey, RecordKey};

use crate::{
    args::Cli,
    context::Ctx,
    error::CliError,
    names::{TypeName, Types},
    output::Talk,
};

/// More candidates than anybody reads.
const MOST: usize = 500;

/// Complete the command line
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// What was typed after the name of the tool; the last word, which may be empty, is completed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Prints the candidates.
pub(crate) async fn run(ctx: &mut Ctx, args: CompleteArgs) -> Result<u8, CliError> {
    let (typed, current) = match args.words.split_last() {
        Some((current, typed)) => (typed.to_vec(), current.clone()),
        None => (Vec::new(), String::new()),
    };
    let mut command = Cli::command();
    command.build();
    let answer = answer(ctx, &command, &typed, &current).await;
    for (candidate, description) in answer.candidates.iter().filter(|(word, _)| word.starts_with(&current)).take(MOST) {
        let tab = if description.is_empty() { "" } else { "\t" };
        writeln!(ctx.out, "{candidate}{tab}{description}")?;
    }
    writeln!(ctx.out, ":{}", if answer.files { 0 } else { 4 })?;
    Ok(0)
}

#[derive(Default)]
struct Answer {
    candidates: Vec<(String, String)>,
    files: bool,
}

impl Answer {
    fn of(words: impl IntoIterator<Item = String>) -> Self {
        Self { candidates: words.into_iter().map(|word| (word, String::new())).collect(), files: false }
    }
}

async fn answer(ctx: &mut Ctx, command: &Command, typed: &[String], current: &str) -> Answer {
    let words = Words::of(command, typed);
    let Some(verb) = words.verb else {
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let described = |verb: &Command| (verb.get_name().to_owned(), help(verb.get_about()));
        return Answer { candidates: verbs.map(described).collect(), files: false };
    };
    if let Some(flag) = words.open {
        return value(ctx, &words, flag).await;
    }
    if current.starts_with('-') {
        let flags = verb.get_arguments().filter(|flag| !flag.is_hide_set());
        let named = flags.filter_map(|flag| Some((format!("--{}", flag.get_long()?), help(flag.get_help()))));
        return Answer { candidates: named.collect(), files: false };
    }
    match verb.get_name() {
        "undo" => Answer::default(),
        "completion" => verb.get_positionals().next().map_or_else(Answer::default, possible),
        "diff" if words.rest.len() < 2 => instants(true),
        "diff" => objects(ctx, &words, &words.rest[2..], current).await,
        "apply" | "info" | "verify" | "version" => Answer::default(),
        "copy" | "import" => Answer { candidates: Vec::new(), files: true },
        _ => objects(ctx, &words, &words.rest, current).await,
    }
}

/// What was typed, taken apart.
struct Words<'a> {
    verb: Option<&'a Command>,
    /// The flag whose value comes next.
    open: Option<&'a Arg>,
    /// Flags and their values.
    flags: Vec<(&'a str, &'a str)>,
    /// What is no flag, after the verb.
    rest: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn of(command: &'a Command, typed: &'a [String]) -> Self {
        let mut words = Self { verb: None, open: None, flags: Vec::new(), rest: Vec::new() };
        for word in typed {
            let known = words.verb.unwrap_or(command);
            if let Some(flag) = words.open.take() {
                words.flags.push((flag.get_id().as_str(), word));
            } else if let Some(long) = word.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let flag = known.get_arguments().find(|flag| flag.get_long() == Some(name));
                words.flag(flag, value);
            } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
                let flag = known.get_arguments().find(|flag| flag.get_short() == short.chars().next());
                words.flag(flag, short.get(1..).filter(|value| !value.is_empty()));
            } else if words.verb.is_none() {
                words.verb = command.find_subcommand(word);
            } else {
                words.rest.push(word);
            }
        }
        words
    }

    fn flag(&mut self, flag: Option<&'a Arg>, value: Option<&'a str>) {
        let Some(flag) = flag else { return };
        match value {
            Some(value) => self.flags.push((flag.get_id().as_str(), value)),
            None if flag.get_action().takes_values() => self.open = Some(flag),
            None => self.flags.push((flag.get_id().as_str(), "")),
        }
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| *value)
    }
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

fn possible(arg: &Arg) -> Answer {
    Answer::of(arg.get_possible_values().iter().map(|value| value.get_name().to_owned()))
}

fn instants(live: bool) -> Answer {
    let words = [("latest", "the newest record"), ("before-delete", "just before the named object was deleted")];
    let mut candidates: Vec<(String, String)> = words.map(|(word, what)| (word.to_owned(), what.to_owned())).into();
    if live {
        candidates.push(("live".to_owned(), "the cluster".to_owned()));
    }
    Answer { candidates, files: false }
}

/// Completes the value of a flag.
async fn value(ctx: &mut Ctx, words: &Words<'_>, flag: &Arg) -> Answer {
    match flag.get_id().as_str() {
        "at" => instants(false),
        "namespace" | "exclude_namespace" => {
            let keys = keys(ctx, words, &|key| key.object.is("", "Namespace")).await;
            Answer::of(keys.into_iter().map(|key| key.name))
        }
        "archive" | "kubeconfig" | "filename" | "journal_dir" | "backup_json" | "output"
            if flag.get_possible_values().is_empty() =>
        {
            Answer { candidates: Vec::new(), files: true }
        }
        _ => possible(flag),
    }
}

/// Completes `TYPE/NAME`, `TYPE` or `NAME`.
async fn objects(ctx: &mut Ctx, words: &Words<'_>, before: &[&str], current: &str) -> Answer {
    let slashed = current.split_once('/').map(|(word, _)| word);
    let bare = before.first().filter(|word| !word.contains('/')).copied();
    let types = Types::built_in();
    let Some(word) = slashed.or(bare) else {
        return Answer::of(types.all().map(TypeName::shortest).collect::<BTreeSet<_>>());
    };
    let Some(Ok(type_)) = types.find(word) else { return Answer::default() };
    let namespace = match words.value("all_namespaces") {
        Some(_) => None,
        None => ctx.namespace(words.value("namespace")).ok(),
    };
    let of_type = |key: &RecordKey| key.object.is(&type_.group, &type_.kind);
    let keys = keys(ctx, words, &of_type).await.into_iter();
    let here = keys.filter(|key| !type_.namespaced || namespace.as_ref().is_none_or(|name| *name == key.namespace));
    let prefix = slashed.map(|word| format!("{word}/")).unwrap_or_default();
    Answer::of(here.map(|key| format!("{prefix}{}", key.name)).collect::<BTreeSet<_>>())
}

/// Lists what the archive ever held: what is to be restored is gone by now.
async fn keys(ctx: &mut Ctx, words: &Words<'_>, filter: &(dyn Fn(&RecordKey) -> bool + Sync)) -> BTreeSet<ObjectKey> {
    if let Some(url) = words.value("archive") {
        ctx.global.archive = Some(url.to_owned());
    }
    // A shell that completes shows nothing else.
    ctx.talk = Talk::new(Box::new(std::io::sink()), true);
    let mut keys = BTreeSet::new();
    let Ok(archive) = ctx.archive().await else { return keys };
    let archive: Archive = archive;
    let history = archive.history(filter, SeqRange::ALL);
    pin_mut!(history);
    while let Some(Ok(record)) = history.next().await {
        keys.extend(record.change.key().map(|key| key.object.clone()));
    }
    keys
}
