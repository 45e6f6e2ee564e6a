//! `copy`: mirrors an archive into another store or directory.
//!
//! Does not: decide what is copied, or verify; crate `archive` does.

use std::io::Write as _;

use clap::Args;
use serde_json::{Value, json};
use vmrewind_archive::{
    Amount, Archive, ArchiveError, ArchiveUrl, Copied, CopyOptions, Cpu, Newest, Store, copy, copyable,
};

use crate::{
    age,
    context::Ctx,
    error::{CliError, Kind},
    output::{Format, choose, envelope, size, style, to_json, to_yaml},
    record::{damage_json, micros},
};

/// Mirror the archive into another store or directory
///
/// Copies what the target lacks, byte for byte and in the order in which it was written, so that the target is at every moment an
/// archive that ends a little earlier. Every segment is verified before it is written. Stopped anywhere, the next run goes on there.
/// Nothing is ever overwritten or deleted; a watcher may go on writing to the source, but must not write to the target.
///
/// Exit code 5 if the target is another archive or has segments that the source lacks, 7 if an object in the target differs, or if
/// a segment of the source is damaged (all before it is copied; --allow-damage copies it as it is, and says so).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl vmrewind copy s3://backup/vms --archive /var/lib/vmrewind\n  kubectl vmrewind copy \
    /var/lib/vmrewind s3://backup/vms --quick -o json"
)]
pub(crate) struct CopyArgs {
    /// Where to copy to, or from where and to where; without the first, --archive is copied
    #[arg(required = true, num_args = 1..=2, value_name = "[FROM] TO")]
    places: Vec<String>,
    /// Compare only the newest segment that both have, which names all before it by their hashes, and not all of them
    #[arg(long)]
    quick: bool,
    /// Form of the answer: table, json, yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json", "yaml"]))]
    output: Format,
}

/// Mirrors the archive.
pub(crate) async fn run(ctx: &mut Ctx, args: CopyArgs) -> Result<u8, CliError> {
    let url = |text: &str| text.parse::<ArchiveUrl>().map_err(|error| CliError::from(ArchiveError::from(error)));
    let (source, to) = match args.places.as_slice() {
        [to] => (ctx.store()?, url(to)?),
        [from, to] => (Store::open(&url(from)?)?, url(to)?),
        _ => return Err(CliError::bug("copy takes one place or two.")),
    };
    if Archive::open(source.clone()).await?.identity().encrypted {
        let message = format!("{} is encrypted, and encrypted archives cannot be copied yet.", source.place());
        return Err(CliError::new(Kind::Refused, message).hint(
            "nothing was made. Until then let the store itself copy it: replication, or a snapshot of the volume.",
        ));
    }
    // Nothing is made for what cannot be copied.
    copyable(&source).await?;
    let target = Store::open_or_make(&to)?;
    if source.place() == target.place() {
        return Err(CliError::usage(format!("{} cannot be copied onto itself.", source.place()))
            .hint("name another place to copy to."));
    }
    let options = CopyOptions { allow_damage: ctx.global.allow_damage, quick: args.quick };
    let copied = {
        let bar = ctx.bar("copying segments");
        copy(&source, &target, Cpu::Blocking, options, &bar).await.map_err(|error| stopped(error, &target))?
    };
    match args.output {
        Format::Json => write!(ctx.out, "{}", to_json(&answer(&copied))?)?,
        Format::Yaml => write!(ctx.out, "{}", to_yaml(&answer(&copied))?)?,
        _ => print(ctx, &copied)?,
    }
    ctx.out.flush()?;
    for damage in &copied.damage {
        ctx.talk.warn(&format!("the source is damaged, and so is the copy: {damage}."))?;
    }
    if copied.foreign_count > 0 {
        let names = copied.foreign.join(", ");
        let more = if copied.foreign.len() as u64 == copied.foreign_count { "" } else { " …" };
        ctx.talk.warn(&format!("not copied, because they are no objects of an archive: {names}{more}"))?;
    }
    Ok(0)
}

/// Says what to do about a copy that stopped.
fn stopped(error: ArchiveError, target: &Store) -> CliError {
    if let ArchiveError::Damaged(damage) = &error
        && damage.segment.is_some()
    {
        let message = format!("the copy stopped at a damaged segment of the source: {damage}.");
        return CliError::new(Kind::Damaged, message).hint(format!(
            "{} holds everything before it. --allow-damage copies it as it is and goes on; if another copy of the archive has it \
             intact, put that in its place first.",
            target.place()
        ));
    }
    error.into()
}

fn print(ctx: &mut Ctx, copied: &Copied) -> Result<(), CliError> {
    let bold = style::HEADING;
    let amount = |amount: Amount| format!("{} segments, {}", amount.segments, size(amount.bytes));
    let now = ctx.now;
    let newest = |newest: &Newest| match (newest.slot, newest.t) {
        (0, _) => format!("{}: no segments", newest.place),
        (slot, Some(t)) => format!("{}: segment {slot}, up to {t} ({})", newest.place, age::ago(now, t)),
        (slot, None) => format!("{}: segment {slot}, which is damaged", newest.place),
    };
    let there = if copied.made { "nothing: it was empty".to_owned() } else { amount(copied.there) };
    let rows = [
        ("Archive", copied.identity.archive.to_string()),
        ("Copied", amount(copied.copied)),
        ("There", there),
        ("From", newest(&copied.source)),
        ("To", newest(&copied.target)),
    ];
    for (name, value) in rows {
        writeln!(ctx.out, "{bold}{:<9}{bold:#} {value}", format!("{name}:"))?;
    }
    Ok(())
}

fn answer(copied: &Copied) -> Value {
    let amount = |amount: Amount| json!({"segments": amount.segments, "bytes": amount.bytes});
    let newest = |newest: &Newest| json!({"place": newest.place, "segment": newest.slot, "seq": newest.seq, "t": newest.t.map(micros)});
    envelope(
        "ArchiveCopy",
        json!({
            "archive": copied.identity.archive.to_string(), "made": copied.made, "copied": amount(copied.copied),
            "there": amount(copied.there), "source": newest(&copied.source), "target": newest(&copied.target),
            "damage": copied.damage.iter().map(damage_json).collect::<Vec<_>>(),
            "foreign": copied.foreign, "foreignCount": copied.foreign_count,
        }),
    )
}
