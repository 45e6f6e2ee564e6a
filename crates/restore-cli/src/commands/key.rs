//! `key`: makes identities, and tells and changes whom an archive is encrypted to.
//!
//! Does not: encrypt anything anew. What was written before stays as it is.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;
use vmrewind_archive::{Archive, ArchiveError, KeyFile, Recipient, Recipients, SecretKey};

use crate::{
    context::Ctx,
    error::{CliError, Kind},
    executing::confirm,
    output::{Format, Table, choose, envelope, to_json, to_yaml},
    record::micros,
};

/// Make keys, and tell or change whom an archive is encrypted to
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    Generate(GenerateArgs),
    List(ListArgs),
    Add(AddArgs),
    Rotate(RotateArgs),
}

/// Make a key: an identity file for those who read, and its recipient, which is printed
#[derive(Debug, Args)]
struct GenerateArgs {
    /// File to write, which must not exist; only its owner can read it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// List whom the archive is encrypted to, and since when
#[derive(Debug, Args)]
struct ListArgs {
    /// Form of the answer: table, json, yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json", "yaml"]))]
    output: Format,
}

/// Encrypt what is written from now on to one more recipient
#[derive(Debug, Args)]
struct AddArgs {
    /// Recipients (age1…) to add
    #[arg(value_name = "RECIPIENT", required = true)]
    recipients: Vec<String>,
    /// Do not ask about those who are recipients already
    #[arg(short, long)]
    yes: bool,
}

/// Encrypt what is written from now on to these recipients and no others
#[derive(Debug, Args)]
struct RotateArgs {
    /// Recipient (age1…); give at least two, of which one is kept offline
    #[arg(long = "recipient", value_name = "RECIPIENT", required = true)]
    recipients: Vec<String>,
    /// A single recipient is enough: with its key, everything is lost
    #[arg(long)]
    single_recipient: bool,
}

/// Runs the verb.
pub(crate) async fn run(ctx: &mut Ctx, args: KeyArgs) -> Result<u8, CliError> {
    match args.command {
        KeyCommand::Generate(args) => generate(ctx, &args),
        KeyCommand::List(args) => list(ctx, &args).await,
        KeyCommand::Add(args) => add(ctx, &args).await,
        KeyCommand::Rotate(args) => rotate(ctx, &args).await,
    }
}

fn generate(ctx: &mut Ctx, args: &GenerateArgs) -> Result<u8, CliError> {
    let key = SecretKey::new(ctx.secret()?);
    let recipient = key.recipient();
    let text = format!("# created: {}\n# public key: {recipient}\n{}\n", ctx.now, *key.reveal());
    write_new(&args.file, text.as_bytes())?;
    writeln!(ctx.out, "{recipient}")?;
    ctx.out.flush()?;
    let file = args.file.display();
    ctx.talk
        .note(&format!("{file} opens whatever is encrypted to this recipient. Keep a copy of it in another place."))?;
    Ok(0)
}

/// Writes a file that did not exist, for its owner alone; nothing is left of it if that fails.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot write {}: {error}.", path.display());
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => CliError::new(Kind::Conflict, message)
                .hint("a key is never overwritten: what is encrypted to it would be lost. Choose another name."),
            _ => CliError::new(Kind::Unavailable, message),
        }
    };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| match fs::remove_file(path) {
        Ok(()) => failed(error),
        Err(left) => failed(std::io::Error::other(format!("{error}, and half of it is left ({left})"))),
    })
}

async fn list(ctx: &mut Ctx, args: &ListArgs) -> Result<u8, CliError> {
    let archive = Archive::open(ctx.store()?).await?;
    let archive = if ctx.global.identity.is_empty() { archive } else { ctx.unlocked(archive).await? };
    if !archive.identity().encrypted {
        let message = format!("{} is not encrypted.", archive.store().place());
        return Err(CliError::new(Kind::Refused, message)
            .hint("whether an archive is encrypted is decided when it is made; see docs/threat-model.md."));
    }
    let files = archive.key_files().await?;
    let verified = archive.is_unlocked();
    let fingerprint = archive.fingerprint().map(|fingerprint| fingerprint.to_string());
    let answer = || {
        envelope(
            "KeyList",
            json!({"verified": verified, "fingerprint": fingerprint, "items": files.iter().map(item).collect::<Vec<_>>()}),
        )
    };
    match args.output {
        Format::Json => write!(ctx.out, "{}", to_json(&answer())?)?,
        Format::Yaml => write!(ctx.out, "{}", to_yaml(&answer())?)?,
        _ => {
            let mut table = Table::new(&["N", "VALID FROM", "RECIPIENTS"]);
            for file in &files {
                for (n, recipient) in file.recipients.iter().enumerate() {
                    let first = n == 0;
                    let head = |text: String| if first { text } else { String::new() };
                    table.row(
                        &mut ctx.out,
                        vec![head(file.n.to_string()), head(file.valid_from.to_string()), recipient.to_string()],
                    )?;
                }
            }
            table.finish(&mut ctx.out)?;
            if let Some(fingerprint) = &fingerprint {
                writeln!(ctx.out, "Fingerprint of the key: {fingerprint}")?;
            }
        }
    }
    ctx.out.flush()?;
    if !verified {
        ctx.talk.warn("without an identity it was not checked who wrote this: give --identity FILE.")?;
    }
    Ok(0)
}

fn item(file: &KeyFile) -> serde_json::Value {
    let recipients: Vec<String> = file.recipients.iter().map(ToString::to_string).collect();
    json!({"n": file.n, "validFrom": micros(file.valid_from), "recipients": recipients, "software": file.software})
}

fn read(recipients: &[String]) -> Result<Vec<Recipient>, CliError> {
    let read = |text: &String| {
        text.parse().map_err(|error| {
            CliError::usage(format!("{text:?}: {error}."))
                .hint("`kubectl vmrewind key generate` prints the recipient of a new key.")
        })
    };
    recipients.iter().map(read).collect()
}

async fn add(ctx: &mut Ctx, args: &AddArgs) -> Result<u8, CliError> {
    let archive = encrypted(ctx).await?;
    let mut recipients = archive.recipients().unwrap_or_default().to_vec();
    let added = read(&args.recipients)?;
    if let Some(there) = added.iter().find(|recipient| recipients.contains(recipient)) {
        return Err(CliError::new(Kind::Refused, format!("the archive is encrypted to {there} already.")));
    }
    // A store can hold back the newest file of keys: then somebody who was left out is in it again.
    if !recipients.is_empty() {
        ctx.talk.note("The archive is encrypted to these as well, as far as its store tells, and will stay so:")?;
        for recipient in &recipients {
            ctx.talk.note(&format!("  {recipient}"))?;
        }
        confirm(ctx, args.yes, "Is everybody in this list still to read what is written from now on?")?;
    }
    recipients.extend(added);
    change(ctx, &archive, &Recipients::new(recipients, true)?).await?;
    ctx.talk.note("What was written before stays as it is: whoever was added cannot read it.")?;
    Ok(0)
}

async fn rotate(ctx: &mut Ctx, args: &RotateArgs) -> Result<u8, CliError> {
    let archive = encrypted(ctx).await?;
    let recipients = some(&args.recipients, args.single_recipient)?;
    let before = archive.recipients().unwrap_or_default();
    let out: Vec<String> =
        before.iter().filter(|recipient| !recipients.as_slice().contains(recipient)).map(ToString::to_string).collect();
    change(ctx, &archive, &recipients).await?;
    if !out.is_empty() {
        let out = out.join(", ");
        ctx.talk.warn(&format!(
            "old objects stay readable by the old key: {out} still opens all that was written before."
        ))?;
    }
    Ok(0)
}

/// Reads whom to encrypt to.
///
/// # Errors
/// If one is no recipient, or there are too few or too many.
pub(super) fn some(recipients: &[String], single: bool) -> Result<Recipients, CliError> {
    Recipients::new(read(recipients)?, single).map_err(|error| match error {
        ArchiveError::Input { reason } => CliError::new(Kind::Refused, format!("{reason}."))
            .hint("give a second recipient, whose key is kept offline; or say --single-recipient if that is meant."),
        error => error.into(),
    })
}

async fn encrypted(ctx: &mut Ctx) -> Result<Archive, CliError> {
    let archive = Archive::open(ctx.store()?).await?;
    if archive.identity().encrypted {
        return ctx.unlocked(archive).await;
    }
    let message = format!("{} is not encrypted, and cannot become so.", archive.store().place());
    Err(CliError::new(Kind::Refused, message)
        .hint("begin a new archive: vmrewind-watcher run --recipient age1… --recipient age1…"))
}

async fn change(ctx: &mut Ctx, archive: &Archive, recipients: &Recipients) -> Result<(), CliError> {
    let software = concat!("kubectl-vmrewind ", env!("CARGO_PKG_VERSION"));
    let file = archive.encrypt_to(recipients, ctx.now, software).await?;
    writeln!(ctx.out, "From now on the archive is encrypted to (keys {}):", file.n)?;
    for recipient in &file.recipients {
        writeln!(ctx.out, "  {recipient}")?;
    }
    if let Some(fingerprint) = archive.fingerprint() {
        writeln!(ctx.out, "The fingerprint of its key stays {fingerprint}.")?;
    }
    ctx.out.flush()?;
    ctx.talk.note(
        "Configure the same recipients for the watcher and restart it: until then it goes on with the old ones, and \
                   it does not start with others.",
    )?;
    Ok(())
}
