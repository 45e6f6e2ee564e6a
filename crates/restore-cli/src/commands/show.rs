//! `show`: one object as it was.
//!
//! Does not: show several; `get` and `dump` do.

use std::io::Write as _;

use clap::Args;
use futures::{StreamExt as _, pin_mut};
use vmrewind_archive::{Archive, SeqRange};
use vmrewind_model::{Digest, RawObject, RecordKey};

use crate::{
    args::{AtArg, OneNamespace},
    certainty::{self, Touch, Touched},
    context::Ctx,
    error::{CliError, Kind},
    missing::not_there,
    moment::Moment,
    names::parse_one,
    objects::{present, shown, value},
    output::{Format, choose, to_json, to_yaml},
};

/// Show one object as it was
///
/// The object is named as TYPE/NAME or TYPE NAME at an instant, or by its content id, sha256:…, which log and dump print
/// and which names one state for ever. The answer is the object itself, so that it can be piped on; get -o json wraps
/// it into what the archive says of it.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// TYPE/NAME, TYPE NAME or sha256:…
    #[arg(required = true, num_args = 1..=2, value_name = "TYPE/NAME")]
    what: Vec<String>,
    #[command(flatten)]
    at: AtArg,
    #[command(flatten)]
    scope: OneNamespace,
    /// Print exactly the stored bytes, without a line break at the end
    ///
    /// Their SHA-256 is the content id. Objects with secret values need --show-secrets.
    #[arg(long, conflicts_with = "output")]
    raw: bool,
    /// Form of the answer: yaml, json, jsonpath=…
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml", value_parser = choose(&["yaml", "json", "jsonpath=…"]))]
    output: Format,
}

/// Shows one object.
pub(crate) async fn run(ctx: &mut Ctx, args: ShowArgs) -> Result<u8, CliError> {
    let archive = ctx.archive().await?;
    if let [word] = args.what.as_slice()
        && word.starts_with("sha256:")
    {
        let id: Digest =
            word.parse().map_err(|error: vmrewind_model::DigestParseError| CliError::usage(format!("{error}.")))?;
        let object = by_content(&archive, id).await?;
        return print(ctx, &args, &object);
    }
    let types = ctx.types(&archive, &args.what).await?;
    let target = parse_one(&types, &args.what)?;
    let namespace = ctx.namespace(args.scope.namespace.as_deref())?;
    let key = target.key(&namespace).ok_or_else(|| CliError::bug("an object without a name was accepted."))?;
    let touched = Touched::Some(vec![Touch::new(&target.type_, Some(&key.namespace), Some(&key.name))]);
    let filter = |other: &RecordKey| other.object == key;
    let moment = Moment::read(ctx, &archive, args.at.at, Some(&key), &filter).await?;
    certainty::check(ctx, &moment, &touched)?;
    let Some(entry) =
        moment.state.objects.get(&key).filter(|entry| entry.presence != vmrewind_archive::Presence::Absent)
    else {
        return Err(not_there(ctx, &archive, &moment, &target.type_, &key).await?);
    };
    let Some(object) = present(entry) else {
        return Err(CliError::new(
            Kind::Refused,
            format!("{key} existed at {}, but its content is withheld.", moment.label()),
        )
        .hint("the watcher's setting capture.secrets decides whether secrets are recorded."));
    };
    print(ctx, &args, object)
}

fn print(ctx: &mut Ctx, args: &ShowArgs, object: &RawObject) -> Result<u8, CliError> {
    let masker = ctx.masker();
    if args.raw {
        if masker.mask(&mut object.value().map_err(crate::context::unreadable)?) > 0 {
            return Err(CliError::new(
                Kind::Refused,
                "the stored bytes hold secret values, which are masked otherwise.",
            )
            .hint("add --show-secrets to print them as they are."));
        }
        ctx.out.write_all(object.bytes())?;
        return Ok(0);
    }
    match &args.output {
        Format::Json => write!(ctx.out, "{}", to_json(&shown(object, &masker)?)?)?,
        Format::JsonPath(template) => writeln!(ctx.out, "{}", template.fill(&value(object, &masker)?))?,
        _ => write!(ctx.out, "{}", to_yaml(&value(object, &masker)?)?)?,
    }
    Ok(0)
}

/// Finds the state with this content id: any record that holds it will do, since they all hold the same bytes.
async fn by_content(archive: &Archive, id: Digest) -> Result<RawObject, CliError> {
    let records = archive.records(SeqRange::ALL);
    pin_mut!(records);
    while let Some(record) = records.next().await {
        if let Some(object) = record?.change.object()
            && object.content_id() == id
        {
            return Ok(object.clone());
        }
    }
    Err(CliError::usage(format!("the archive holds no state {id}."))
        .hint("log -o jsonl and dump print the content ids that there are."))
}
