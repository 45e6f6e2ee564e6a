//! `export`: objects of one instant as one file, for kubectl, for Velero, or to be imported again.
//!
//! Does not: know the forms of the files; see [`crate::portable`].

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use vmrewind_archive::Archive;
use vmrewind_graph::{Deps, closure};
use vmrewind_model::{ObjectKey, RecordKey};
use vmrewind_restore::{LabelSelector, World};

use crate::{
    args::{AtArg, Scope},
    certainty::{self, Touch, Touched},
    consulted::Consulted,
    context::{Ctx, is_definition, unreadable},
    error::{CliError, Kind},
    missing::not_there,
    moment::Moment,
    names::{Target, Types, anchor, parse_targets, refuse_selector_with_names},
    objects::present,
    portable::{
        deliver,
        gather::{Choice, Export, gather},
        manifest::{self, Selected},
        manifests,
        pack::{Pack, Packing, part},
        place, velero,
    },
};

/// Write objects of one instant into one file
///
/// Objects that are named (or selected by type or -l) come with everything they need, as for plan; with -n or -A alone,
/// everything in scope comes. What is left out or not certain stands in the file.
///
/// yaml: for kubectl apply -f, without what only a server sets and without what a restore would not write; with --raw, as
/// captured. tar: one file per object with its exact bytes, and manifest.json; import makes an archive of it. velero: a
/// directory as it lies in backups/ of Velero's bucket, named after the backup; as .tar.gz or to standard output, its
/// tarball alone.
///
/// Secrets are never written masked: objects with secret values need --show-secrets, or --without-secrets for a file without
/// Secrets. Files are readable by their owner only, appear when all of them is written, and replace nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl vmrewind export vm/db-1 -n prod --at before-delete --format yaml --show-secrets -f db-1.yaml\n  \
    kubectl vmrewind export -A --format tar --show-secrets -f all.tar.zst\n  kubectl vmrewind export -n prod --format velero \
    --show-secrets -f prod-monday && aws s3 cp --recursive prod-monday s3://bucket/backups/prod-monday"
)]
pub(crate) struct ExportArgs {
    /// TYPE, TYPE NAME… or TYPE/NAME…; with -n or -A alone: everything in scope
    #[arg(value_name = "TYPE[/NAME]")]
    what: Vec<String>,
    #[command(flatten)]
    at: AtArg,
    #[command(flatten)]
    scope: Scope,
    /// Label selector, as for kubectl
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<LabelSelector>,
    /// Only what is named or selected, without what it needs
    #[arg(long)]
    no_graph: bool,
    /// Form of the file
    #[arg(long, value_enum, value_name = "FORM")]
    format: Form,
    /// File to write, or - for standard output; .tar.gz and .tar.zst say how a tarball is compressed (zstd otherwise)
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "-")]
    filename: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,
    /// Leave objects as they were captured (yaml)
    #[arg(long)]
    raw: bool,
    /// Leave Secrets out, and say so in the file
    #[arg(long, conflicts_with = "show_secrets")]
    without_secrets: bool,
}

/// A form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Tar,
    Yaml,
    Velero,
}

/// Where the file goes.
enum Place<'a> {
    Stdout(Packing),
    File(&'a Path, Packing),
    /// A directory, and the name of the backup in it.
    Backup(&'a Path, String),
}

/// Writes the file.
pub(crate) async fn run(ctx: &mut Ctx, args: ExportArgs) -> Result<u8, CliError> {
    let place = destination(&args)?;
    let archive = ctx.archive().await?;
    let mut types = ctx.types(&archive, &args.what).await?;
    let targets = parse_targets(&types, &args.what)?;
    refuse_selector_with_names(&targets, args.selector.is_some())?;
    let namespace = ctx.namespaces(&args.scope)?;
    let anchor = anchor(&targets, namespace.as_deref(), args.scope.namespace.as_deref());
    let scope = Touched::All(namespace.clone());
    let whole = targets.is_empty() && args.selector.is_none();
    let filter = |key: &RecordKey| !whole || scope.object(&key.object) || key.object.is("", "Namespace");
    let moment = Moment::read(ctx, &archive, args.at.at, anchor.as_ref(), &filter).await?;
    for entry in moment.state.objects.iter().filter(|(key, _)| is_type(key)).map(|(_, entry)| entry) {
        if let Some(object) = present(entry) {
            types.add_definition(&object.value().map_err(unreadable)?);
        }
    }
    let choice = if whole {
        everything(&moment, scope, namespace)
    } else {
        selected(ctx, &archive, &moment, &types, &targets, &args, namespace).await?
    };
    certainty::check(ctx, &moment, &choice.touched)?;
    let mut export = gather(ctx, archive.identity(), &moment, &types, choice)?;
    narrow(ctx, &mut export, &args)?;
    if export.items.is_empty() {
        return Err(CliError::usage(format!("there is nothing to export at {}.", moment.label()))
            .hint("get lists what there is; -A covers all namespaces."));
    }
    let unique = crate::portable::unique((ctx.entropy)()?);
    write(&archive, &export, &args, &place, &unique)?;
    for (_, sentence) in export.why_left_out() {
        ctx.talk.note(&format!("Left out: {sentence}"))?;
    }
    for (_, sentence) in export.not_here() {
        ctx.talk.note(&format!("Named, and not here: {sentence}"))?;
    }
    let (count, what) = (export.items.len(), moment.label());
    let place = match &place {
        Place::Stdout(_) => "standard output".to_owned(),
        Place::File(path, _) | Place::Backup(path, _) => path.display().to_string(),
    };
    ctx.talk.note(&format!("{count} object(s) as of {what} written to {place}."))?;
    Ok(0)
}

fn is_type(key: &ObjectKey) -> bool {
    is_definition(&RecordKey { home: String::new(), object: key.clone(), uid: String::new() })
}

/// Finds out where the file goes, and refuses a place that is taken, before any work is done.
fn destination(args: &ExportArgs) -> Result<Place<'_>, CliError> {
    if args.raw && args.format != Form::Yaml {
        return Err(CliError::usage(
            "--raw is about --format yaml; the other forms hold objects as they were captured.",
        ));
    }
    let path = args.filename.as_path();
    let default = if args.format == Form::Velero { Packing::Gzip } else { Packing::Zstd };
    if path == Path::new("-") {
        if args.format != Form::Yaml && io::stdout().is_terminal() {
            return Err(CliError::usage("a tarball is nothing for a terminal.").hint("name a file with -f."));
        }
        return Ok(Place::Stdout(default));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let place = match args.format {
        Form::Velero if ends(&[".tar.gz", ".tgz"]) => Ok(Place::File(path, Packing::Gzip)),
        Form::Velero if is_backup_name(name) => Ok(Place::Backup(path, name.to_owned())),
        Form::Velero => Err(CliError::usage(format!("{name:?} cannot be the name of a Velero backup."))
            .hint("use lower-case letters, digits, - and dots; or FILE.tar.gz for the tarball alone.")),
        Form::Tar if ends(&[".gz", ".tgz"]) => Ok(Place::File(path, Packing::Gzip)),
        Form::Tar | Form::Yaml => Ok(Place::File(path, default)),
    }?;
    let what = if matches!(place, Place::Backup(..)) { deliver::What::Directory } else { deliver::What::File };
    deliver::check(path, args.overwrite, what)?;
    Ok(place)
}

/// Tells whether Kubernetes takes this as the name of a Backup.
fn is_backup_name(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 253 && name.chars().all(inside) && end(name.chars().next()) && end(name.chars().next_back())
}

/// Chooses all that lies in a namespace, the namespace itself included, or all there is.
fn everything(moment: &Moment, touched: Touched, namespace: Option<String>) -> Choice {
    let itself = |key: &ObjectKey| key.is("", "Namespace") && Some(&key.name) == namespace.as_ref();
    let inside = moment.state.objects.keys().filter(|key| touched.object(key) || itself(key));
    let keys = inside.cloned().collect();
    Choice { keys, selected: Selected { roots: Vec::new(), namespace, graph: false }, touched }
}

/// Chooses what is named or selected, and what it needs.
async fn selected(
    ctx: &Ctx,
    archive: &Archive,
    moment: &Moment,
    types: &Types,
    targets: &[Target],
    args: &ExportArgs,
    namespace: Option<String>,
) -> Result<Choice, CliError> {
    let touches: Vec<Touch> = targets
        .iter()
        .map(|target| {
            let place = target.namespace.as_deref().or(namespace.as_deref());
            Touch::new(&target.type_, place, target.name.as_deref())
        })
        .collect();
    let direct = if touches.is_empty() { Touched::All(namespace.clone()) } else { Touched::Some(touches.clone()) };
    let mut roots = BTreeSet::new();
    for (key, entry) in moment.state.objects.iter().filter(|(key, _)| direct.object(key)) {
        let wanted = match (&args.selector, present(entry)) {
            (Some(selector), Some(object)) => selector.matches(&object.value().map_err(unreadable)?),
            (Some(_), None) => false,
            (None, _) => entry.presence != vmrewind_archive::Presence::Absent,
        };
        if wanted {
            roots.insert(key.clone());
        }
    }
    for target in targets {
        if let Some(key) = target.key(namespace.as_deref().unwrap_or_default()).filter(|_| namespace.is_some())
            && !roots.contains(&key)
        {
            return Err(not_there(ctx, archive, moment, &target.type_, &key).await?);
        }
    }
    if roots.is_empty() {
        return Err(CliError::usage(format!("nothing is selected at {}.", moment.label()))
            .hint("get lists what there is; give the same --at; -A covers all namespaces."));
    }
    let named: Vec<ObjectKey> = roots.iter().cloned().collect();
    let world = World::of(&moment.state, archive.identity());
    let consulted = Consulted::new(&world);
    let deps = if args.no_graph { Deps::None } else { Deps::All };
    let graph = closure(&consulted, &named, deps);
    let touched = consulted.touched(types).with(&direct);
    let selected =
        Selected { roots: named.iter().map(ToString::to_string).collect(), namespace: None, graph: !args.no_graph };
    roots.extend(graph.nodes.into_keys());
    Ok(Choice { keys: roots, selected, touched })
}

/// Leaves out what does not belong into this form, and refuses secrets that are not to be shown.
fn narrow(ctx: &Ctx, export: &mut Export<'_>, args: &ExportArgs) -> Result<(), CliError> {
    if args.without_secrets {
        export.leave_out(|item| item.key.is("", "Secret").then(|| "a Secret (--without-secrets).".to_owned()));
    }
    let applied = args.format == Form::Yaml && !args.raw;
    if applied {
        let reasons: Vec<Option<String>> =
            export.items.iter().map(|item| manifests::not_applied(export, item)).collect();
        let reasons: std::collections::BTreeMap<ObjectKey, String> =
            export.items.iter().zip(reasons).filter_map(|(item, reason)| Some((item.key.clone(), reason?))).collect();
        export.leave_out(|item| reasons.get(item.key).cloned());
    }
    if ctx.global.show_secrets {
        return Ok(());
    }
    let plain = |value: &mut serde_json::Value| {
        if applied {
            manifests::applicable(value);
        }
    };
    let secret = export.secret(plain)?;
    let Some(first) = secret.first() else { return Ok(()) };
    let more = if secret.len() == 1 { String::new() } else { format!(" and {} more", secret.len() - 1) };
    let hint = "--show-secrets writes them (the file is readable by its owner only); --without-secrets leaves Secrets out. Nothing is \
                ever written masked.";
    Err(CliError::new(
        Kind::Refused,
        format!("{first}{more} hold(s) secret values, which are not written unless asked for."),
    )
    .hint(hint))
}

fn write(
    archive: &Archive,
    export: &Export<'_>,
    args: &ExportArgs,
    place: &Place<'_>,
    unique: &str,
) -> Result<(), CliError> {
    let content = |out: &mut dyn Write, packing: Packing| match args.format {
        Form::Yaml => manifests::write(out, export, archive.store(), args.raw),
        Form::Tar => tarball(out, export, packing),
        Form::Velero => backup(out, export, packing),
    };
    match place {
        Place::Stdout(packing) => {
            // Not through the stream of answers: that takes bytes away which look like colours, and hides errors.
            let mut out = io::BufWriter::new(io::stdout().lock());
            content(&mut out, *packing)?;
            Ok(out.flush()?)
        }
        Place::File(path, packing) => deliver::file(path, args.overwrite, unique, |out| content(out, *packing)),
        Place::Backup(path, name) => {
            let mut tarball = Vec::new();
            backup(&mut tarball, export, Packing::Gzip)?;
            let mut files = velero::beside(name, export)?;
            files.push((format!("{name}.tar.gz"), tarball));
            deliver::directory(path, args.overwrite, unique, &files)
        }
    }
}

/// Writes our own tarball: the manifest first, then the objects in the order of their keys.
fn tarball(out: &mut dyn Write, export: &Export<'_>, packing: Packing) -> Result<(), CliError> {
    let path = |item: &crate::portable::gather::Item<'_>| {
        let scope = match item.key.namespace.as_str() {
            "" => velero::CLUSTER.to_owned(),
            namespace => format!("{}/{}", velero::NAMESPACES, part(namespace)?),
        };
        Ok(format!("{}/{}/{scope}/{}.json", place::OBJECTS, part(&item.type_)?, part(&item.key.name)?))
    };
    let described = export.manifest(path)?;
    let mut pack = Pack::new(out, packing, 0o600, export.t)?;
    pack.add(manifest::NAME, crate::output::to_json(&described)?.as_bytes())?;
    for (item, held) in export.items.iter().zip(&described.objects) {
        pack.add(&held.path, item.object.bytes())?;
    }
    pack.finish()
}

/// Writes the tarball of a Velero backup.
fn backup(out: &mut dyn Write, export: &Export<'_>, packing: Packing) -> Result<(), CliError> {
    let mut pack = Pack::new(out, packing, velero::MODE, export.t)?;
    pack.add(velero::VERSION_FILE, format!("{}\n", velero::FORMAT_VERSION).as_bytes())?;
    let described = export.manifest(|item| velero::paths(item).map(|[plain, _]| plain))?;
    pack.add(velero::DESCRIBED, crate::output::to_json(&described)?.as_bytes())?;
    for item in &export.items {
        for path in velero::paths(item)? {
            pack.add(&path, item.object.bytes())?;
        }
    }
    pack.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_backups_are_names_of_kubernetes() {
        for name in ["prod-monday", "a", "db-1.2026"] {
            assert!(is_backup_name(name), "{name}");
        }
        for name in ["", "Prod", "-a", "a.", "a_b", "a/b"] {
            assert!(!is_backup_name(name), "{name}");
        }
    }
}
