//! `diff`: two instants compared, or an instant and the cluster.
//!
//! Does not: change anything; what a restore would change is said by `plan`.

use std::{collections::BTreeMap, io::Write as _};

use clap::Args;
use serde_json::{Value, json};
use similar::TextDiff;
use vmrewind_archive::{Archive, Presence};
use vmrewind_model::{ObjectKey, RawObject, RecordKey};

use crate::{
    args::Scope,
    at::{Instant, Side},
    certainty::{self, Touched},
    context::{Ctx, unreadable},
    describe::changes,
    error::CliError,
    live,
    mask::Masker,
    missing::not_there,
    moment::Moment,
    names::{Types, parse_targets},
    objects::{instant, present},
    output::{Format, choose, envelope, style, to_json, to_yaml},
};

/// Compare two instants, or an instant with the cluster
///
/// Exit code 0 if nothing differs, 1 if something does, above 1 on an error. Secret values are shown as numbers: equal
/// values have equal numbers.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl vmrewind diff -1h latest vm/db-1 -n prod\n  kubectl vmrewind diff before-delete live vm/db-1\n  \
    kubectl vmrewind diff 2026-09-03T14:00:00Z 2026-09-03T15:00:00Z -A"
)]
pub(crate) struct DiffArgs {
    /// The earlier side: an instant (the forms of --at)
    #[arg(value_name = "A", allow_hyphen_values = true)]
    a: Side,
    /// The later side: an instant, or live for the cluster as it is now
    #[arg(value_name = "B", allow_hyphen_values = true)]
    b: Side,
    /// TYPE, TYPE NAME… or TYPE/NAME…; everything in the namespace if left out
    #[arg(value_name = "TYPE[/NAME]")]
    what: Vec<String>,
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Compare bookkeeping too: managedFields, resourceVersion, status
    #[arg(long)]
    all: bool,
    /// Form of the answer: table (unified), json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json"]))]
    output: Format,
}

/// The objects of one side, and how the side is called.
struct World {
    label: String,
    instant: Value,
    objects: BTreeMap<ObjectKey, RawObject>,
}

/// An object that differs.
struct Difference {
    key: ObjectKey,
    before: Option<Value>,
    after: Option<Value>,
}

/// Compares.
pub(crate) async fn run(ctx: &mut Ctx, args: DiffArgs) -> Result<u8, CliError> {
    let archive = ctx.archive().await?;
    let types = ctx.types(&archive, &args.what).await?;
    let targets = parse_targets(&types, &args.what)?;
    let namespace = ctx.namespaces(&args.scope)?;
    let touched = Touched::of(&targets, namespace.as_deref());
    let anchor = match targets.as_slice() {
        [target] => target.key(namespace.as_deref().unwrap_or_default()),
        _ => None,
    };
    let (a, b) = match (args.a, args.b) {
        (Side::Live, Side::Live) => return Err(CliError::usage("both sides are live: nothing can differ.")),
        (Side::Archive(a), Side::Archive(b)) => (
            archived(ctx, &archive, a, anchor.as_ref(), &touched).await?,
            archived(ctx, &archive, b, anchor.as_ref(), &touched).await?,
        ),
        (Side::Archive(a), Side::Live) => {
            let a = archived(ctx, &archive, a, anchor.as_ref(), &touched).await?;
            let b = from_cluster(ctx, &archive, &types, &touched, namespace.as_deref(), &a).await?;
            (a, b)
        }
        (Side::Live, Side::Archive(b)) => {
            let b = archived(ctx, &archive, b, anchor.as_ref(), &touched).await?;
            let a = from_cluster(ctx, &archive, &types, &touched, namespace.as_deref(), &b).await?;
            (a, b)
        }
    };
    if let (Some(key), [target]) = (&anchor, targets.as_slice())
        && !a.objects.contains_key(key)
        && !b.objects.contains_key(key)
    {
        let moment = Moment::read(ctx, &archive, Instant::Latest, None, &|_| false).await?;
        return Err(not_there(ctx, &archive, &moment, &target.type_, key).await?);
    }
    let found = compare(ctx, &a, &b, args.all)?;
    match args.output {
        Format::Json => json_answer(ctx, &a, &b, &found)?,
        _ => unified(ctx, &a, &b, &found)?,
    }
    Ok(u8::from(!found.is_empty()))
}

async fn archived(
    ctx: &mut Ctx,
    archive: &Archive,
    asked: Instant,
    anchor: Option<&ObjectKey>,
    touched: &Touched,
) -> Result<World, CliError> {
    let filter = |key: &RecordKey| touched.object(&key.object);
    let moment = Moment::read(ctx, archive, asked, anchor, &filter).await?;
    certainty::check(ctx, &moment, touched)?;
    let mut objects = BTreeMap::new();
    for (key, entry) in moment.state.objects.iter().filter(|(key, _)| touched.object(key)) {
        if let Some(object) = present(entry) {
            objects.insert(key.clone(), object.clone());
        } else if entry.presence == Presence::Withheld {
            ctx.talk.warn(&format!("{key} is not compared: its content is withheld."))?;
        }
    }
    Ok(World { label: moment.label(), instant: instant(&moment.state), objects })
}

async fn from_cluster(
    ctx: &mut Ctx,
    archive: &Archive,
    types: &Types,
    touched: &Touched,
    namespace: Option<&str>,
    other: &World,
) -> Result<World, CliError> {
    let cluster = ctx.cluster().await?;
    let identity = cluster.identity().await?;
    if identity.uid != archive.identity().cluster {
        ctx.talk.warn(&format!(
            "the archive is of cluster {}, this is cluster {}: the two are different clusters.",
            archive.identity().cluster,
            identity.uid
        ))?;
    }
    let objects = live::objects(ctx, &cluster, types, touched, namespace, &other.objects).await?;
    Ok(World { label: format!("live ({})", ctx.now), instant: Value::from("live"), objects })
}

fn compare(ctx: &Ctx, a: &World, b: &World, all: bool) -> Result<Vec<Difference>, CliError> {
    let mut keys: Vec<&ObjectKey> = a.objects.keys().chain(b.objects.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut masker: Masker = ctx.masker();
    let mut side = |object: Option<&RawObject>| -> Result<Option<Value>, CliError> {
        let Some(object) = object else { return Ok(None) };
        let mut value = object.value().map_err(unreadable)?;
        if !all {
            vmrewind_graph::noise(&mut value);
        }
        Ok(Some(masker.comparable(&value)))
    };
    let mut found = Vec::new();
    for key in keys {
        let (a, b) = (a.objects.get(key), b.objects.get(key));
        if a.is_some_and(|a| b.is_some_and(|b| a.bytes() == b.bytes())) {
            continue;
        }
        let (before, after) = (side(a)?, side(b)?);
        if before != after {
            found.push(Difference { key: key.clone(), before, after });
        }
    }
    Ok(found)
}

fn unified(ctx: &mut Ctx, a: &World, b: &World, found: &[Difference]) -> Result<(), CliError> {
    for Difference { key, before, after } in found {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| Ok(String::new()), to_yaml);
        let (old, new) = (text(before)?, text(after)?);
        let header = |world: &World, value: &Option<Value>| match value {
            Some(_) => format!("{key} {}", world.label),
            None => format!("/dev/null {}", world.label),
        };
        let diff = TextDiff::from_lines(&old, &new);
        let mut printed = diff.unified_diff();
        let printed = printed.context_radius(3).header(&header(a, before), &header(b, after)).to_string();
        for line in printed.lines() {
            let colour = match line.as_bytes().first() {
                Some(b'-') => style::BAD,
                Some(b'+') => style::GOOD,
                Some(b'@') => style::DIM,
                _ => anstyle::Style::new(),
            };
            writeln!(ctx.out, "{colour}{line}{colour:#}")?;
        }
    }
    ctx.out.flush()?;
    if found.is_empty() {
        ctx.talk.note(&format!("Nothing differs between {} and {}.", a.label, b.label))?;
    }
    Ok(())
}

fn json_answer(ctx: &mut Ctx, a: &World, b: &World, found: &[Difference]) -> Result<(), CliError> {
    let items: Vec<Value> = found
        .iter()
        .map(|Difference { key, before, after }| {
            let (change, fields) = match (before, after) {
                (None, _) => ("added", Vec::new()),
                (_, None) => ("removed", Vec::new()),
                (Some(before), Some(after)) => {
                    let fields = changes(before, after).into_iter();
                    let field = |change: crate::describe::FieldChange| {
                        json!({"path": change.path, "before": change.before, "after": change.after})
                    };
                    ("changed", fields.map(field).collect())
                }
            };
            json!({"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name,
                "change": change, "fields": fields})
        })
        .collect();
    let answer = envelope("Diff", json!({"a": a.instant, "b": b.instant, "objects": items}));
    write!(ctx.out, "{}", to_json(&answer)?)?;
    Ok(())
}
