//! `deleted`: the recycle bin.
//!
//! Does not: restore; it prints the command that does.

use std::{collections::BTreeMap, io::Write as _};

use clap::Args;
use futures::{StreamExt as _, pin_mut};
use serde_json::json;
use vmrewind_archive::{At, SeqRange};
use vmrewind_graph::Verdict;
use vmrewind_model::{Change, ObjectKey, RawObject, Record, RecordKey, Seq, Timestamp};

use crate::{
    age,
    args::Scope,
    at::Instant,
    certainty::{Touched, gap_sentence},
    context::{Ctx, unreadable},
    error::CliError,
    moment::locate,
    names::Types,
    output::{Format, Table, choose, envelope, to_json},
    record::{manager, micros},
};

/// List objects that were deleted and are still gone
///
/// Objects that are never restored, such as launcher pods and machine instances of a VM, are left out unless --all.
#[derive(Debug, Args)]
pub(crate) struct DeletedArgs {
    #[command(flatten)]
    scope: Scope,
    /// Only what was deleted after this instant (the forms of --at)
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    since: Option<Instant>,
    /// List objects that are never restored too
    #[arg(long)]
    all: bool,
    /// Form of the answer: table, json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json"]))]
    output: Format,
}

/// What is known of an object that was deleted.
struct Gone {
    begun: Seq,
    t: Timestamp,
    lo: Option<Timestamp>,
    seq: Seq,
    inferred: bool,
    uid: String,
    last: Option<RawObject>,
}

/// Lists what was deleted.
pub(crate) async fn run(ctx: &mut Ctx, args: DeletedArgs) -> Result<u8, CliError> {
    let archive = ctx.archive().await?;
    let touched = Touched::All(ctx.namespaces(&args.scope)?);
    let since = match args.since {
        None => At::Seq(Seq(0)),
        Some(instant) => Box::pin(locate(ctx, &archive, instant, None)).await?,
    };
    let filter = |key: &RecordKey| touched.object(&key.object);
    let history = archive.history(&filter, SeqRange::ALL);
    pin_mut!(history);
    let mut bin = Bin::default();
    while let Some(record) = history.next().await {
        bin.take(&record?);
    }
    for span in archive.timeline().await?.gaps.iter().filter(|span| touched.resource(&span.gap.resource)) {
        ctx.talk.warn(&format!("deletions may be missing: {}", gap_sentence(span)))?;
    }
    let after = |gone: &Gone| match since {
        At::Time(time) => gone.t > time,
        At::Seq(seq) => gone.seq > seq,
        At::Latest => false,
    };
    let mut rows = Vec::new();
    for (key, gone) in bin.gone.into_iter().filter(|(_, gone)| after(gone)) {
        if args.all || restorable(&key, &gone)? {
            rows.push((key, gone));
        }
    }
    rows.sort_by_key(|(_, gone)| gone.seq);
    match args.output {
        Format::Json => json_answer(ctx, &rows),
        _ => table(ctx, &rows),
    }
}

/// Follows which objects are gone.
#[derive(Default)]
struct Bin {
    last: BTreeMap<ObjectKey, (String, Vec<u8>)>,
    dying: BTreeMap<ObjectKey, (String, Seq)>,
    gone: BTreeMap<ObjectKey, Gone>,
}

impl Bin {
    fn take(&mut self, record: &Record) {
        let Some(key) = record.change.key() else { return };
        match &record.change {
            Change::Object { object, .. } => {
                self.gone.remove(&key.object);
                let dying = object.head().is_ok_and(|head| head.deletion_timestamp.is_some());
                let known = self.dying.get(&key.object).is_some_and(|(uid, _)| *uid == key.uid);
                if dying && !known {
                    self.dying.insert(key.object.clone(), (key.uid.clone(), record.counts_from()));
                }
                self.last.insert(key.object.clone(), (key.uid.clone(), object.bytes().to_vec()));
            }
            Change::Withheld { .. } => {
                self.gone.remove(&key.object);
            }
            Change::Deleted { inferred, object, .. } => {
                let begun = self.dying.remove(&key.object).filter(|(uid, _)| *uid == key.uid);
                let kept = self.last.remove(&key.object).filter(|(uid, _)| *uid == key.uid);
                let kept = kept.map(|(_, bytes)| RawObject::from_archive(bytes.into()));
                let gone = Gone {
                    begun: begun.map_or(record.seq, |(_, seq)| seq),
                    t: record.t,
                    lo: record.lo,
                    seq: record.seq,
                    inferred: *inferred,
                    uid: key.uid.clone(),
                    last: object.clone().or(kept),
                };
                self.gone.insert(key.object.clone(), gone);
            }
            Change::Unobserved { .. } | Change::Absent { .. } | Change::Gap(_) | Change::Heartbeat => {}
        }
    }
}

/// Tells whether an object would be restored: by its last state, or by its kind where that is not recorded.
fn restorable(key: &ObjectKey, gone: &Gone) -> Result<bool, CliError> {
    Ok(match &gone.last {
        Some(object) => matches!(vmrewind_graph::verdict(&object.value().map_err(unreadable)?), Verdict::Restore),
        None => !key.is("", "Pod"),
    })
}

fn table(ctx: &mut Ctx, rows: &[(ObjectKey, Gone)]) -> Result<u8, CliError> {
    if rows.is_empty() {
        ctx.talk.note(
            "Nothing that was deleted is still gone; -A covers all namespaces, --all also what is never restored.",
        )?;
        return Ok(0);
    }
    let types = Types::built_in();
    let mut table = Table::new(&["OBJECT", "DELETED", "AGO", "SEQ", "LAST CHANGED BY", "REMARK"]);
    for (key, gone) in rows {
        let last = gone.last.as_ref().map(RawObject::value).transpose().map_err(unreadable)?;
        let mut remarks = Vec::new();
        if gone.inferred {
            remarks.push("found by a later list".to_owned());
        }
        if let Some(lo) = gone.lo {
            remarks.push(format!("between {} and {}", micros(lo), micros(gone.t)));
        }
        if gone.last.is_none() {
            remarks.push("content not recorded".to_owned());
        }
        table.row(
            &mut ctx.out,
            vec![
                types.short_key(key),
                micros(gone.t),
                age::human(ctx.now.since(gone.t)),
                gone.seq.to_string(),
                last.as_ref().and_then(manager).unwrap_or_default(),
                remarks.join("; "),
            ],
        )?;
    }
    table.finish(&mut ctx.out)?;
    ctx.out.flush()?;
    ctx.talk.note("A deletion names nobody. To bring one back: kubectl vmrewind restore OBJECT --at before-delete")?;
    Ok(0)
}

fn json_answer(ctx: &mut Ctx, rows: &[(ObjectKey, Gone)]) -> Result<u8, CliError> {
    let items: Vec<_> = rows
        .iter()
        .map(|(key, gone)| {
            json!({"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name, "uid": gone.uid,
                "seq": gone.seq, "begunSeq": gone.begun, "t": micros(gone.t), "lo": gone.lo.map(micros),
                "inferred": gone.inferred, "contentId": gone.last.as_ref().map(|object| object.content_id().to_string())})
        })
        .collect();
    write!(ctx.out, "{}", to_json(&envelope("DeletedList", json!({"items": items})))?)?;
    Ok(0)
}
