//! `get`: objects as they were, in the manner of kubectl.
//!
//! Does not: read definitions of types for their columns.

use std::io::Write as _;

use clap::Args;
use serde_json::{Value, json};
use vmrewind_archive::{Entry, Presence};
use vmrewind_model::{ObjectKey, RecordKey};
use vmrewind_restore::LabelSelector;

use crate::{
    args::{AtArg, Scope},
    at::Instant,
    certainty::{self, Touch, Touched},
    columns::{age_at, columns},
    context::Ctx,
    error::CliError,
    mask::Masker,
    missing::not_there,
    moment::Moment,
    names::{Target, TypeName, parse_targets, refuse_selector_with_names},
    objects::{Archived, instant, present, value},
    output::{API_VERSION, Format, Table, choose, to_json, to_yaml},
};

/// List objects as they were
///
/// Types are named as for kubectl: vm, virtualmachines, virtualmachines.kubevirt.io, also vm,pvc,secret. Ages are those at
/// the instant.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl vmrewind get vm -A --at 2026-09-03T14:03:07Z\n  kubectl vmrewind get vm/db-1 -n prod \
    --at before-delete -o yaml\n  kubectl vmrewind get pvc -n prod --at -2h -o jsonpath='{.items[*].metadata.name}'"
)]
pub(crate) struct GetArgs {
    /// TYPE, TYPE NAME… or TYPE/NAME…
    #[arg(required = true, value_name = "TYPE[/NAME]")]
    what: Vec<String>,
    #[command(flatten)]
    at: AtArg,
    #[command(flatten)]
    scope: Scope,
    /// Label selector, as for kubectl: app=db,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<LabelSelector>,
    /// Leave the header line out
    #[arg(long)]
    no_headers: bool,
    /// Form of the answer: table, wide, json, yaml, name, jsonpath=…
    #[arg(short, long, value_name = "FORMAT", default_value = "table",
        value_parser = choose(&["table", "wide", "json", "yaml", "name", "jsonpath=…"]))]
    output: Format,
}

/// One target and what was found for it.
struct Found<'a> {
    type_: &'a TypeName,
    objects: Vec<(&'a ObjectKey, &'a Entry)>,
}

/// Lists objects.
pub(crate) async fn run(ctx: &mut Ctx, args: GetArgs) -> Result<u8, CliError> {
    let archive = ctx.archive().await?;
    let types = ctx.types(&archive, &args.what).await?;
    let targets = parse_targets(&types, &args.what)?;
    refuse_selector_with_names(&targets, args.selector.is_some())?;
    let namespace = ctx.namespaces(&args.scope)?;
    let touches: Vec<Touch> = targets.iter().map(|target| touch(target, namespace.as_deref())).collect();
    let touched = Touched::Some(touches.clone());
    let anchor = match targets.as_slice() {
        [target] => target.key(namespace.as_deref().unwrap_or_default()),
        _ => None,
    };
    let filter = |key: &RecordKey| touched.object(&key.object);
    let moment = Moment::read(ctx, &archive, args.at.at, anchor.as_ref(), &filter).await?;
    certainty::check(ctx, &moment, &touched)?;
    let mut all = Vec::new();
    for (target, touch) in targets.iter().zip(&touches) {
        let mut objects = Vec::new();
        for (key, entry) in moment.state.objects.iter().filter(|(key, _)| touch.object(key)) {
            if entry.presence != Presence::Absent && selected(entry, args.selector.as_ref())? {
                objects.push((key, entry));
            }
        }
        if let (true, Some(key)) = (objects.is_empty(), target.key(namespace.as_deref().unwrap_or_default())) {
            return Err(not_there(ctx, &archive, &moment, &target.type_, &key).await?);
        }
        all.push(Found { type_: &target.type_, objects });
    }
    let single = targets.len() == 1 && targets[0].name.is_some();
    print(ctx, &args, &moment, &all, namespace.as_deref(), single)?;
    Ok(0)
}

fn touch(target: &Target, namespace: Option<&str>) -> Touch {
    Touch::new(&target.type_, target.namespace.as_deref().or(namespace), target.name.as_deref())
}

fn selected(entry: &Entry, selector: Option<&LabelSelector>) -> Result<bool, CliError> {
    let Some(selector) = selector else { return Ok(true) };
    let Some(object) = present(entry) else { return Ok(false) };
    Ok(selector.matches(&value(object, &Masker::new(false))?))
}

fn print(
    ctx: &mut Ctx,
    args: &GetArgs,
    moment: &Moment,
    all: &[Found<'_>],
    namespace: Option<&str>,
    single: bool,
) -> Result<(), CliError> {
    let masker = ctx.masker();
    let one = match all {
        [Found { objects, .. }] if single => objects.first().filter(|_| objects.len() == 1),
        _ => None,
    };
    let flat = || all.iter().flat_map(|found| found.objects.iter().copied());
    match &args.output {
        Format::Json => {
            let text = match one {
                Some((key, entry)) => archived(moment, Archived::of(key, entry, &masker)?)?,
                None => list(moment, flat(), &masker)?,
            };
            write!(ctx.out, "{text}")?;
        }
        Format::Yaml | Format::JsonPath(_) => {
            let items: Vec<Value> = flat()
                .filter_map(|(_, entry)| present(entry))
                .map(|object| value(object, &masker))
                .collect::<Result<_, _>>()?;
            let document = match (one, items.as_slice()) {
                (Some(_), [item]) => item.clone(),
                _ => json!({"apiVersion": "v1", "kind": "List", "items": items}),
            };
            match &args.output {
                Format::JsonPath(template) => write!(ctx.out, "{}", template.fill(&document))?,
                _ => write!(ctx.out, "{}", to_yaml(&document)?)?,
            }
            if let Format::JsonPath(_) = args.output {
                writeln!(ctx.out)?;
            }
        }
        Format::Name => {
            for found in all {
                for (key, _) in &found.objects {
                    writeln!(ctx.out, "{}/{}", found.type_.prefix(), key.name)?;
                }
            }
        }
        _ => tables(ctx, args, moment, all, namespace)?,
    }
    Ok(())
}

/// Writes one object with what the archive says of it.
///
/// # Errors
/// If it has no form in JSON.
fn archived(moment: &Moment, object: Archived) -> Result<String, CliError> {
    #[derive(serde::Serialize)]
    struct Item {
        item: Archived,
    }
    to_json(&Enveloped {
        api_version: API_VERSION,
        kind: "ArchivedObject",
        at: instant(&moment.state),
        inner: Item { item: object },
    })
}

fn list<'a>(
    moment: &Moment,
    objects: impl Iterator<Item = (&'a ObjectKey, &'a Entry)>,
    masker: &Masker,
) -> Result<String, CliError> {
    #[derive(serde::Serialize)]
    struct Items {
        items: Vec<Archived>,
    }
    let items = objects.map(|(key, entry)| Archived::of(key, entry, masker)).collect::<Result<_, _>>()?;
    to_json(&Enveloped {
        api_version: API_VERSION,
        kind: "ArchivedObjectList",
        at: instant(&moment.state),
        inner: Items { items },
    })
}

/// The envelope of an answer that holds objects, which must keep their number tokens.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Enveloped<T> {
    api_version: &'static str,
    kind: &'static str,
    at: Value,
    #[serde(flatten)]
    inner: T,
}

fn tables(
    ctx: &mut Ctx,
    args: &GetArgs,
    moment: &Moment,
    all: &[Found<'_>],
    namespace: Option<&str>,
) -> Result<(), CliError> {
    if all.iter().all(|found| found.objects.is_empty()) {
        let place =
            namespace.map_or_else(|| "in any namespace".to_owned(), |namespace| format!("in namespace {namespace}"));
        ctx.talk.note(&format!("No objects {place} at {}.", moment.label()))?;
        return Ok(());
    }
    if moment.asked != Instant::Latest {
        ctx.talk.note(&format!("As of {}, record {}:", moment.state.t, moment.state.seq))?;
    }
    let wide = args.output == Format::Wide;
    let masker = ctx.masker();
    let mut first = true;
    for found in all.iter().filter(|found| !found.objects.is_empty()) {
        if !std::mem::take(&mut first) {
            writeln!(ctx.out)?;
        }
        let type_ = found.type_;
        let with_namespace = namespace.is_none() && type_.namespaced;
        let columns = columns(&type_.group, &type_.kind, wide);
        let mut headers = Vec::new();
        if with_namespace {
            headers.push("NAMESPACE");
        }
        headers.push("NAME");
        headers.extend(columns.iter().map(|(header, _)| *header));
        headers.push("AGE");
        if wide {
            headers.extend(["SEQ", "RV", "RECORDED"]);
        }
        let mut table = if args.no_headers { Table::bare(headers.len()) } else { Table::new(&headers) };
        for (key, entry) in &found.objects {
            let object = present(entry).map(|object| value(object, &masker)).transpose()?;
            let name = if all.len() > 1 { format!("{}/{}", type_.prefix(), key.name) } else { key.name.clone() };
            let mut cells = if with_namespace { vec![key.namespace.clone(), name] } else { vec![name] };
            match &object {
                Some(object) => {
                    cells.extend(columns.iter().map(|(_, find)| find(object)));
                    cells.push(age_at(object, moment.state.t));
                }
                None => {
                    cells.extend(columns.iter().map(|_| "<withheld>".to_owned()));
                    cells.push("<unknown>".to_owned());
                }
            }
            if wide {
                let record = &entry.record;
                cells.push(record.seq.to_string());
                cells.push(record.change.rv().map(|rv| rv.to_string()).unwrap_or_default());
                cells.push(record.t.to_string());
            }
            table.row(&mut ctx.out, cells)?;
        }
        table.finish(&mut ctx.out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::envelope;

    #[test]
    fn an_answer_with_objects_has_the_same_envelope_as_any_other() {
        let plain = envelope("K", json!({"at": 1, "items": []}));
        let typed = Enveloped { api_version: API_VERSION, kind: "K", at: json!(1), inner: json!({"items": []}) };
        assert_eq!(serde_json::to_value(&typed).expect("JSON"), plain);
    }
}
