//! `info`: what the archive holds, and how well it is proven.
//!
//! Does not: read objects; it reads the ends of all segments and the gap records.

use std::{io::Write as _, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use vmrewind_archive::{Archive, Proof, Timeline};
use vmrewind_model::{ProofState, Timestamp};

use crate::{
    age,
    certainty::{cause, state_name},
    context::{Ctx, around},
    error::{CliError, Kind},
    output::{Format, Table, choose, envelope, size, style, to_json, to_yaml},
    record::{damage_json, micros},
};

/// Show what the archive holds and how well it is proven
///
/// Exit code 6 if --max-age is given and a captured resource is not proven up to that long ago; 7 if a part of the
/// archive is damaged. Both still print what there is.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Fail if a captured resource is proven only up to an instant longer ago than this, for example 5m
    #[arg(long, value_name = "DURATION", value_parser = age::parse)]
    max_age: Option<Duration>,
    /// Form of the answer: table, json, yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json", "yaml"]))]
    output: Format,
}

/// Shows the archive from far away.
pub(crate) async fn run(ctx: &mut Ctx, args: InfoArgs) -> Result<u8, CliError> {
    let archive = ctx.archive().await?;
    let timeline = archive.survey().await?;
    match args.output {
        Format::Json => write!(ctx.out, "{}", to_json(&answer(ctx.now, &archive, &timeline))?)?,
        Format::Yaml => write!(ctx.out, "{}", to_yaml(&answer(ctx.now, &archive, &timeline))?)?,
        _ => print(ctx, &archive, &timeline)?,
    }
    ctx.out.flush()?;
    if !timeline.damage.is_empty() {
        return Err(CliError::new(
            Kind::Damaged,
            format!("{} part(s) of the archive are damaged; the first: {}.", timeline.damage.len(), timeline.damage[0]),
        )
        .hint(around(&timeline.damage[0])));
    }
    args.max_age.map_or(Ok(0), |limit| too_old(ctx.now, &timeline, limit))
}

/// Fails if a captured resource is proven only up to an instant longer ago than `limit`.
fn too_old(now: Timestamp, timeline: &Timeline, limit: Duration) -> Result<u8, CliError> {
    let mut old: Vec<String> = timeline
        .proofs
        .iter()
        .filter(|proof| proof.current && proof.entry.state != ProofState::Removed)
        .filter(|proof| proof.entry.proven_at.is_none_or(|proven| now.since(proven) > limit))
        .map(|proof| {
            let proven = proof.entry.proven_at.map_or_else(
                || "never proven".to_owned(),
                |proven| format!("proven up to {proven}, {}", age::ago(now, proven)),
            );
            format!("  - {}: {proven} ({}).", proof.entry.id, described(proof))
        })
        .collect();
    if timeline.proofs.is_empty() {
        old.push("  - no resource was ever captured.".to_owned());
    }
    if old.is_empty() {
        return Ok(0);
    }
    let limit = age::human(limit);
    Err(CliError::new(Kind::Uncertain, format!("the archive is older than {limit}:\n{}", old.join("\n")))
        .hint("look whether the watcher runs, and at its log and metrics."))
}

fn described(proof: &Proof) -> String {
    let state = state_name(proof.entry.state);
    if proof.entry.detail.is_empty() { state } else { format!("{state}: {}", proof.entry.detail) }
}

fn print(ctx: &mut Ctx, archive: &Archive, timeline: &Timeline) -> Result<(), CliError> {
    let (now, identity, head) = (ctx.now, archive.identity(), &timeline.head);
    let out = &mut ctx.out;
    let bold = style::HEADING;
    let until = if timeline.first.is_some() { head.t.to_string() } else { "-".to_owned() };
    let from = timeline.first.map_or_else(|| "nothing recorded yet".to_owned(), |first| first.to_string());
    let rows = [
        ("Archive", identity.archive.to_string()),
        ("Place", archive.store().place().to_owned()),
        ("Cluster", identity.cluster.clone()),
        ("Format", format!("{}, made by {} at {}", identity.format, identity.software, identity.created)),
        ("From", from),
        ("Until", if until == "-" { until } else { format!("{until} ({})", age::ago(now, head.t)) }),
        ("Records", format!("{} in {} segments, {}", timeline.records, timeline.segments.len(), size(timeline.bytes))),
    ];
    for (name, value) in rows {
        writeln!(out, "{bold}{:<9}{bold:#} {value}", format!("{name}:"))?;
    }
    writeln!(out)?;
    let mut writers = Table::new(&["EPOCH", "WRITER", "SEGMENTS", "FROM", "TO"]);
    for reign in &timeline.reigns {
        let nonce: String = reign.nonce[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let segments = format!("{}-{}", reign.first, reign.last);
        writers
            .row(out, vec![reign.epoch.to_string(), nonce, segments, reign.from.to_string(), reign.to.to_string()])?;
    }
    finish(writers, out)?;
    let mut proofs = Table::new(&["RESOURCE", "KIND", "STATE", "PROVEN SINCE", "PROVEN UP TO", "AGE", "DETAIL"]);
    for proof in &timeline.proofs {
        let entry = &proof.entry;
        let state = state_name(entry.state);
        let state = match entry.state {
            _ if !proof.current => format!("{state} (no longer captured)"),
            ProofState::Live => state,
            _ => format!("{}{state}{:#}", style::WARN, style::WARN),
        };
        proofs.row(
            out,
            vec![
                entry.id.to_string(),
                entry.kind.clone(),
                state,
                proof.since.map_or_else(|| "never".to_owned(), |since| since.to_string()),
                entry.proven_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
                entry.proven_at.map(|at| age::human(now.since(at))).unwrap_or_default(),
                entry.detail.clone(),
            ],
        )?;
    }
    finish(proofs, out)?;
    let mut gaps = Table::new(&["GAP IN", "FROM", "TO", "LENGTH", "CAUSE", "DETAIL"]);
    for span in &timeline.gaps {
        let gap = &span.gap;
        let open = format!("{}open{:#}", style::BAD, style::BAD);
        gaps.row(
            out,
            vec![
                gap.object.as_ref().map_or_else(|| gap.resource.to_string(), ToString::to_string),
                gap.from.to_string(),
                gap.to.map_or(open, |to| to.to_string()),
                age::human(gap.to.unwrap_or(now).since(gap.from)),
                cause(gap.cause),
                gap.detail.clone(),
            ],
        )?;
    }
    if gaps.is_empty() {
        writeln!(out, "No gaps.")?;
    } else {
        gaps.finish(out)?;
    }
    for damage in &timeline.damage {
        writeln!(out, "{}DAMAGE{:#} {damage}", style::BAD, style::BAD)?;
    }
    Ok(())
}

/// Prints a table and an empty line after it; nothing if it has no rows.
fn finish(table: Table, out: &mut crate::output::Out) -> Result<(), CliError> {
    if !table.is_empty() {
        table.finish(out)?;
        writeln!(out)?;
    }
    Ok(())
}

fn answer(now: Timestamp, archive: &Archive, timeline: &Timeline) -> Value {
    let identity = archive.identity();
    let head = &timeline.head;
    let hex = |nonce: &[u8; 16]| nonce.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let writers: Vec<Value> = timeline
        .reigns
        .iter()
        .map(|reign| {
            json!({"epoch": reign.epoch, "nonce": hex(&reign.nonce), "firstSegment": reign.first,
                "lastSegment": reign.last, "from": micros(reign.from), "to": micros(reign.to)})
        })
        .collect();
    let proofs: Vec<Value> = timeline
        .proofs
        .iter()
        .map(|proof| {
            let entry = &proof.entry;
            json!({"group": entry.id.group, "resource": entry.id.resource, "scope": entry.id.scope, "kind": entry.kind,
                "apiVersion": entry.api_version, "state": entry.state, "era": entry.era, "current": proof.current,
                "provenSince": proof.since.map(micros), "provenAt": entry.proven_at.map(micros),
                "ageSeconds": entry.proven_at.map(|at| now.since(at).as_secs()), "detail": entry.detail})
        })
        .collect();
    let gaps: Vec<Value> = timeline
        .gaps
        .iter()
        .map(|span| {
            let gap = &span.gap;
            json!({"group": gap.resource.group, "resource": gap.resource.resource, "scope": gap.resource.scope,
                "object": gap.object.as_ref().map(ToString::to_string), "from": micros(gap.from), "to": gap.to.map(micros),
                "cause": gap.cause, "detail": gap.detail, "opened": span.opened, "closed": span.closed})
        })
        .collect();
    envelope(
        "ArchiveInfo",
        json!({
            "archive": identity.archive.to_string(), "place": archive.store().place(), "cluster": identity.cluster,
            "format": identity.format.to_string(), "software": identity.software, "created": micros(identity.created),
            "head": {"segment": head.segment, "epoch": head.epoch, "seq": head.seq, "t": micros(head.t)},
            "first": timeline.first.map(micros), "records": timeline.records, "bytes": timeline.bytes,
            "segments": timeline.segments.len(), "writers": writers, "resources": proofs, "gaps": gaps,
            "damage": timeline.damage.iter().map(damage_json).collect::<Vec<_>>(),
        }),
    )
}
