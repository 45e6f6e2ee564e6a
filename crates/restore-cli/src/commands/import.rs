//! `import`: a new archive out of a Velero backup, or of our own export.
//!
//! Does not: add to an archive that exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};
use vmrewind_archive::{ArchiveError, ArchiveUrl, NewArchive, NewKeys, Store};
use vmrewind_model::{ProofState, Timestamp};

use crate::{
    at,
    context::Ctx,
    error::{CliError, Kind},
    output::{Format, choose, envelope, style, to_json, to_yaml},
    portable::{
        incoming::{self, Incoming, Origin, bad},
        intake::{self, Facts, Intake, Listed},
        limits,
        record::{self, Made},
        unpack::{LIMITS, Members},
        velero,
    },
    record::micros,
};

/// Make a new archive out of a Velero backup or an export
///
/// FILE is the tarball of a Velero backup, or what export --format tar wrote; its content tells which. The archive that --archive
/// names is made, and must not exist. It holds one instant: each object once, as it was then. Proven is that instant alone, as far
/// as an export says so, and of a Velero backup nothing without --complete: reading it at another instant, or a type that may be
/// incomplete, is uncertain (exit code 6) unless --allow-gaps is given.
///
/// The file is read and checked in full before anything is made. Objects that an archive cannot hold become gaps.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl vmrewind import nightly.tar.gz --archive /var/lib/imported\n  kubectl vmrewind import \
    all.tar.zst --archive s3://bucket/one-instant"
)]
pub(crate) struct ImportArgs {
    /// The tarball: .tar, .tar.gz or .tar.zst
    #[arg(value_name = "FILE")]
    filename: PathBuf,
    /// What describes a Velero backup; otherwise the velero-backup.json beside FILE, if it is that of FILE
    #[arg(long, value_name = "FILE")]
    backup_json: Option<PathBuf>,
    /// The instant for which a Velero backup counts, instead of its end
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Timestamp>,
    /// The uid of the cluster's namespace kube-system, if FILE does not tell it
    #[arg(long, value_name = "UID")]
    cluster: Option<String>,
    /// Take a Velero backup for complete: every object of the types that its velero-backup.json includes, if the numbers agree
    #[arg(long)]
    complete: bool,
    /// Encrypt the archive to this age recipient (age1…); give at least two, of which one is kept offline
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    /// A single recipient is enough: with its key, everything is lost
    #[arg(long)]
    single_recipient: bool,
    /// Do not encrypt the archive, although it is made in a remote store: who can read that reads everything, Secrets too
    #[arg(long, conflicts_with = "recipients")]
    plain: bool,
    /// Form of the answer: table, json, yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json", "yaml"]))]
    output: Format,
}

fn time(text: &str) -> Result<Timestamp, String> {
    match text.parse::<at::Instant>()? {
        at::Instant::Time(time) => Ok(time),
        _ => Err("expected a time with a zone, for example 2026-09-03T14:03:07Z".to_owned()),
    }
}

/// Most bytes of a description of a backup.
const DESCRIPTION: u64 = 4 << 20;
/// Most bytes of a list of resources, unpacked.
const LISTED: u64 = 256 << 20;

/// Makes the archive.
pub(crate) async fn run(ctx: &mut Ctx, args: ImportArgs) -> Result<u8, CliError> {
    let keys = keys(ctx, &args)?;
    let place = Place::of(&ctx.url()?, &crate::portable::unique((ctx.entropy)()?))?;
    if args.cluster.as_deref().is_some_and(|cluster| cluster.is_empty() || cluster.len() > limits::CLUSTER) {
        return Err(CliError::usage("--cluster is empty, or too long."));
    }
    let incoming = incoming::read(&args.filename, LIMITS)?;
    if incoming.objects.is_empty() {
        return Err(bad("there is no object in it"));
    }
    let described = description(ctx, &args, &incoming)?;
    let (backup, listed) = described.map_or((None, None), |(backup, listed)| (Some(backup), listed));
    if let Some(count) =
        backup.as_ref().and_then(|backup| backup["status"]["warnings"].as_u64()).filter(|count| *count > 0)
    {
        ctx.talk.warn(&format!("velero-backup.json tells of {count} warning(s); see the backup's results."))?;
    }
    let facts = Facts { backup, listed, time: args.time, cluster: args.cluster.clone(), complete: args.complete };
    let intake = intake::plan(&incoming, &facts)?;
    let new = NewArchive {
        archive: uuid::Builder::from_random_bytes((ctx.entropy)()?).into_uuid(),
        cluster: intake.cluster.clone(),
        created: ctx.now,
        software: format!("kubectl-vmrewind {} (import)", env!("CARGO_PKG_VERSION")),
        keys,
    };
    let (nonce, seed) = ((ctx.entropy)()?, ctx.secret()?);
    let members = Members::open(&args.filename, LIMITS)?;
    let made = {
        let bar = ctx.bar("recording objects");
        let now = || (ctx.clock)();
        let store = place.open()?;
        let made =
            Box::pin(record::record(&store, (new, seed), nonce, (&incoming, &intake), members, &now, &bar)).await;
        place.settle(made)?
    };
    let place = ctx.url()?.to_string();
    match args.output {
        Format::Json => write!(ctx.out, "{}", to_json(&answer(&place, &incoming, &intake, &made))?)?,
        Format::Yaml => write!(ctx.out, "{}", to_yaml(&answer(&place, &incoming, &intake, &made))?)?,
        _ => print(ctx, &place, &incoming, &intake, &made)?,
    }
    ctx.out.flush()?;
    if let Some(fingerprint) = made.fingerprint {
        ctx.talk.note(&format!("It is encrypted; the fingerprint of its key is {fingerprint}."))?;
    }
    warn(ctx, &incoming, &intake)?;
    Ok(0)
}

/// Decides whether the archive is encrypted, and to whom. In a remote store that is not left to chance.
fn keys(ctx: &Ctx, args: &ImportArgs) -> Result<Option<NewKeys>, CliError> {
    if args.recipients.is_empty() {
        if args.single_recipient {
            return Err(CliError::usage("a single recipient is enough, but there is none.").hint("give --recipient."));
        }
        let url = ctx.url()?.to_string();
        if url.contains("://") && !args.plain {
            let message = format!("nothing was done: the archive in {url} would not be encrypted.");
            return Err(CliError::new(Kind::Refused, message).hint(
                "encrypt it (--recipient age1… --recipient age1…), or say --plain if everybody who can read the store may read it.",
            ));
        }
        return Ok(None);
    }
    let recipients = super::key::some(&args.recipients, args.single_recipient)?;
    Ok(Some(NewKeys { recipients, root_key: ctx.secret()?, seed: ctx.secret()? }))
}

/// Reads what describes a Velero backup: the file that is named, or the one beside the tarball if it is about that.
fn description(
    ctx: &mut Ctx,
    args: &ImportArgs,
    incoming: &Incoming,
) -> Result<Option<(Value, Option<Listed>)>, CliError> {
    let beside = args.filename.with_file_name(velero::BACKUP);
    let path = match (&args.backup_json, &incoming.origin) {
        (Some(path), _) => path.as_path(),
        (None, Origin::Velero) if beside.exists() => beside.as_path(),
        (None, _) => return Ok(None),
    };
    let cannot = |error: std::io::Error| CliError::usage(format!("cannot read {}: {error}.", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(cannot)?.take(DESCRIPTION + 1).read_to_end(&mut bytes).map_err(cannot)?;
    let backup = serde_json::from_slice::<Value>(&bytes).ok().filter(|value| value["kind"] == "Backup");
    let backup = backup.filter(|_| bytes.len() as u64 <= DESCRIPTION);
    let Some(backup) = backup else {
        return Err(bad(format!("{} does not describe a Velero backup", path.display())));
    };
    let name = backup["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let about =
        args.filename.file_name().and_then(|file| file.to_str()).is_some_and(|file| file == format!("{name}.tar.gz"));
    if args.backup_json.is_none() && !about {
        ctx.talk.warn(&format!(
            "{} describes the backup {name:?}, not this file, and was not used; --backup-json uses it all the same.",
            path.display()
        ))?;
        return Ok(None);
    }
    let plain = !name.is_empty() && !name.contains(['/', '\\']);
    let list = plain.then(|| path.with_file_name(format!("{name}-{}.gz", velero::LIST)));
    let listed = list.filter(|list| list.exists()).map(|list| listed(&list)).transpose()?;
    Ok(Some((backup, listed)))
}

/// Reads a backup's list of resources.
fn listed(path: &Path) -> Result<Listed, CliError> {
    let broken = |why: &dyn std::fmt::Display| bad(format!("{} is no list of resources: {why}", path.display()));
    let file =
        File::open(path).map_err(|error| CliError::usage(format!("cannot read {}: {error}.", path.display())))?;
    let mut text = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(file).take(LISTED + 1);
    reader.read_to_end(&mut text).map_err(|error| broken(&error))?;
    if text.len() as u64 > LISTED {
        return Err(broken(&"it is too large"));
    }
    let list: BTreeMap<String, BTreeSet<String>> = serde_json::from_slice(&text).map_err(|error| broken(&error))?;
    let mut listed = Listed::new();
    for (type_, names) in list {
        let (version, kind) = type_.rsplit_once('/').ok_or_else(|| broken(&"a type has no version"))?;
        let group = version.split_once('/').map_or("", |(group, _)| group);
        listed.entry((group.to_owned(), kind.to_owned())).or_default().extend(names);
    }
    Ok(listed)
}

/// Where the archive is made.
enum Place {
    /// In a service, or in an empty directory that exists, which may be a mount point: where it will be.
    There(ArchiveUrl),
    /// A new directory, which appears when all of it is there.
    New { path: PathBuf, fresh: PathBuf },
}

impl Place {
    /// Refuses a place where something is.
    fn of(url: &ArchiveUrl, unique: &str) -> Result<Self, CliError> {
        let text = url.to_string();
        if text.contains("://") {
            return Ok(Self::There(url.clone()));
        }
        let path = PathBuf::from(text);
        if path.join("archive.json").exists() {
            return Err(CliError::new(Kind::Conflict, format!("{} is an archive already.", path.display()))
                .hint("choose an empty place: import makes a new archive."));
        }
        if fs::symlink_metadata(&path).is_ok() {
            let empty = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
            return if empty {
                Ok(Self::There(url.clone()))
            } else {
                Err(CliError::usage(format!("{} is neither empty nor missing.", path.display()))
                    .hint("choose an empty place, or a new directory below it: import makes a new archive."))
            };
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| CliError::usage(format!("{} cannot be made.", path.display())))?;
        let fresh = path.with_file_name(format!(".{name}.importing-{unique}"));
        Ok(Self::New { path, fresh })
    }

    fn open(&self) -> Result<Store, CliError> {
        match self {
            Self::There(url) => Ok(Store::open(url)?),
            Self::New { fresh, .. } => {
                let url = fresh.display().to_string().parse::<ArchiveUrl>().map_err(ArchiveError::from)?;
                if fs::symlink_metadata(fresh).is_ok() {
                    // Somebody else's, who may be at work.
                    return Err(CliError::new(Kind::Unavailable, format!("{} exists already.", fresh.display()))
                        .hint("try again: the next run takes another name."));
                }
                Ok(Store::open_or_make(&url)?)
            }
        }
    }

    /// Gives a new directory its name, or takes away what was not finished.
    fn settle(&self, made: Result<Made, CliError>) -> Result<Made, CliError> {
        let Self::New { path, fresh } = self else {
            return made.map_err(|error| {
                let hint = "if an archive.json is there now, the import was not finished: that archive proves nothing; delete it, and import \
                            again.";
                let known = error.hint.as_ref().map_or_else(String::new, |known| format!("{known} "));
                error.hint(format!("{known}{hint}"))
            });
        };
        let named = made.and_then(|made| named(fresh, path).map(|()| made));
        if named.is_err() && fresh.exists() {
            fs::remove_dir_all(fresh)?;
        }
        named
    }
}

fn named(fresh: &Path, path: &Path) -> Result<(), CliError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::rename(fresh, path)
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(|error| CliError::new(Kind::Unavailable, format!("cannot give {} its name: {error}.", path.display())))
}

/// Says what must not be missed.
fn warn(ctx: &mut Ctx, incoming: &Incoming, intake: &Intake) -> Result<(), CliError> {
    for broken in &incoming.broken {
        ctx.talk.warn(&format!("{} cannot be recorded and is a gap: {}.", broken.key, broken.reason))?;
    }
    if let Some(why) = &intake.unproven {
        ctx.talk.warn(&format!("not everything is proven: {why}. Answers that touch it need --allow-gaps."))?;
    }
    if incoming.other_versions > 0 {
        let count = incoming.other_versions;
        ctx.talk
            .note(&format!("{count} file(s) hold an object again in another API version, and were passed over."))?;
    }
    if incoming.foreign_count > 0 {
        let (names, count) = (incoming.foreign.join(", "), incoming.foreign_count);
        ctx.talk.warn(&format!("{count} file(s) are no objects, and were passed over: {names}"))?;
    }
    Ok(())
}

fn origin(incoming: &Incoming) -> &'static str {
    match incoming.origin {
        Origin::Export(_) => "export",
        Origin::Velero => "velero",
    }
}

fn proven(intake: &Intake) -> usize {
    intake.resources.iter().filter(|entry| entry.state == ProofState::Live).count()
}

fn print(ctx: &mut Ctx, place: &str, incoming: &Incoming, intake: &Intake, made: &Made) -> Result<(), CliError> {
    let bold = style::HEADING;
    let types = format!("{} of {} types are proven, at that instant alone", proven(intake), intake.resources.len());
    let rows = [
        ("Archive", made.identity.archive.to_string()),
        ("Place", place.to_owned()),
        ("Cluster", format!("{} ({})", intake.cluster, intake.cluster_from)),
        ("Instant", format!("{} ({})", intake.t, intake.t_from)),
        ("Holds", format!("{} object(s) in {} segments", incoming.objects.len(), made.head.segment)),
        ("Proven", types),
    ];
    for (name, value) in rows {
        writeln!(ctx.out, "{bold}{:<9}{bold:#} {value}", format!("{name}:"))?;
    }
    Ok(())
}

fn answer(place: &str, incoming: &Incoming, intake: &Intake, made: &Made) -> Value {
    let gaps: Vec<Value> = incoming
        .broken
        .iter()
        .map(|broken| json!({"object": broken.key.to_string(), "reason": broken.reason}))
        .collect();
    envelope(
        "ArchiveImport",
        json!({
            "archive": made.identity.archive.to_string(), "place": place, "from": origin(incoming),
            "cluster": intake.cluster, "clusterFrom": intake.cluster_from, "t": micros(intake.t), "tFrom": intake.t_from,
            "objects": incoming.objects.len(), "records": made.head.seq, "segments": made.head.segment,
            "types": intake.resources.len(), "proven": proven(intake), "unproven": intake.unproven, "gaps": gaps,
            "otherVersions": incoming.other_versions, "foreign": incoming.foreign, "foreignCount": incoming.foreign_count,
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_made_beside_under_a_name_of_its_own_and_an_empty_one_is_filled_in_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let url = |name: &str| -> ArchiveUrl { dir.path().join(name).display().to_string().parse().expect("a place") };
        let fresh = dir.path().join(".new.importing-7");
        fs::create_dir(&fresh).expect("made");
        fs::write(fresh.join("x"), "theirs").expect("written");
        let place = Place::of(&url("new"), "7").expect("nothing is there");
        assert_eq!(place.open().expect_err("the name is taken").kind, Kind::Unavailable);
        assert_eq!(fs::read(fresh.join("x")).expect("there"), b"theirs");
        assert!(Place::of(&url("new"), "8").expect("nothing is there").open().is_ok());
        fs::create_dir(dir.path().join("mount")).expect("made");
        assert!(matches!(Place::of(&url("mount"), "7"), Ok(Place::There(_))));
        fs::write(dir.path().join("mount/x"), "x").expect("written");
        assert_eq!(Place::of(&url("mount"), "7").err().expect("it is not empty").kind, Kind::Usage);
    }
}
