//! `log`: what happened, in order.
//!
//! Does not: judge; gaps and bounds in time stand among the records.

use std::io::Write as _;

use clap::Args;
use futures::{StreamExt as _, pin_mut};
use vmrewind_archive::{Archive, ArchiveError, At, Damage, SeqRange, Told};
use vmrewind_model::{Change, ProofState, Record, RecordKey, Seq, Timestamp};

use crate::{
    args::Scope,
    at::Instant,
    certainty::{Touched, state_name},
    context::Ctx,
    error::{CliError, Kind},
    missing::not_there,
    moment::{Moment, locate},
    names::{Target, Types, parse_targets},
    output::{API_VERSION, Format, Table, choose, style, to_line},
    record::{damage_line, line, micros},
    timeline::Follower,
};

/// Show the timeline of an object, or of everything
///
/// Changes of status and bookkeeping are folded, phases and conditions apart; --all shows them. A line tells between which
/// instants a change happened where the archive knows only that. Gaps stand in their place, and so does what is lost because a
/// segment of the archive is damaged; after that the exit code is 7, unless --allow-damage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubectl vmrewind log vm/db-1 -n prod\n  kubectl vmrewind log -A --since -2h\n  \
    kubectl vmrewind log -A --all -o jsonl    # every record of the archive")]
pub(crate) struct LogArgs {
    /// TYPE, TYPE NAME… or TYPE/NAME…; everything in the namespace if left out
    #[arg(value_name = "TYPE[/NAME]")]
    what: Vec<String>,
    #[command(flatten)]
    scope: Scope,
    /// Only what was recorded after this instant (the forms of --at)
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    since: Option<Instant>,
    /// Only what was recorded up to this instant (the forms of --at)
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    until: Option<Instant>,
    /// Fold nothing, and take changes of managedFields and the like for changes
    #[arg(long)]
    all: bool,
    /// Form of the answer: table, json, jsonl; the latter two have every record, folded or not
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json", "jsonl"]))]
    output: Format,
}

/// Which records are shown.
struct Window {
    after: (Seq, Timestamp),
    until: (Seq, Timestamp),
}

impl Window {
    fn begins_after(&self, record: &Record) -> bool {
        record.seq <= self.after.0 || record.t <= self.after.1
    }

    fn ended_before(&self, record: &Record) -> bool {
        record.seq > self.until.0 || record.t > self.until.1
    }

    /// Tells whether what a damaged segment held may lie in the window.
    fn shows(&self, damage: &Damage) -> bool {
        let (first, last) = damage.held.map_or((Seq(0), Seq(u64::MAX)), |held| (held.first, held.last));
        let early = last <= self.after.0 || damage.before.is_some_and(|before| before <= self.after.1);
        let late = first > self.until.0 || damage.after.is_some_and(|after| after >= self.until.1);
        !early && !late
    }
}

/// Shows what happened.
pub(crate) async fn run(ctx: &mut Ctx, args: LogArgs) -> Result<u8, CliError> {
    let archive = ctx.archive().await?;
    let types = ctx.types(&archive, &args.what).await?;
    let targets = parse_targets(&types, &args.what)?;
    let namespace = ctx.namespaces(&args.scope)?;
    let touched = Touched::of(&targets, namespace.as_deref());
    let window = window(ctx, &archive, &args, &targets, namespace.as_deref()).await?;
    warn_about_capture(ctx, &archive, &touched).await?;
    let filter = |key: &RecordKey| touched.object(&key.object);
    let history = archive.told(&filter, SeqRange::ALL);
    pin_mut!(history);
    let mut damaged = 0;
    let mut printer = Printer::new(ctx, &args, &types, targets.len() == 1 && targets[0].name.is_some());
    let mut about_objects = false;
    while let Some(told) = history.next().await {
        let record = match told? {
            Told::Record(record) => *record,
            Told::Damage(damage) => {
                if window.shows(&damage) {
                    damaged += usize::from(!damage.accounted);
                    printer.damage(ctx, &damage)?;
                }
                continue;
            }
        };
        if window.ended_before(&record) {
            break;
        }
        about_objects |= record.change.key().is_some();
        let wanted = match &record.change {
            Change::Gap(gap) => match &gap.object {
                Some(key) => touched.object(key),
                None => touched.resource(&gap.resource),
            },
            Change::Heartbeat => targets.is_empty(),
            _ => true,
        };
        if wanted {
            printer.take(ctx, &record, window.begins_after(&record))?;
        }
    }
    printer.finish(ctx)?;
    match targets.as_slice() {
        _ if damaged > 0 && !ctx.global.allow_damage => Err(CliError::new(
            Kind::Damaged,
            format!("the timeline has {damaged} hole(s), where segments of the archive are damaged."),
        )
        .hint("the lines with damage tell what is lost; with --allow-damage this is no failure.")),
        [target] if !about_objects && target.name.is_some() => {
            let key = target.key(namespace.as_deref().unwrap_or_default());
            let key = key.ok_or_else(|| CliError::bug("an object without a name was accepted."))?;
            let moment = Moment::read(ctx, &archive, Instant::Latest, None, &|_| false).await?;
            Err(not_there(ctx, &archive, &moment, &target.type_, &key).await?)
        }
        _ => Ok(0),
    }
}

async fn window(
    ctx: &Ctx,
    archive: &Archive,
    args: &LogArgs,
    targets: &[Target],
    namespace: Option<&str>,
) -> Result<Window, CliError> {
    let object = match targets {
        [target] => target.key(namespace.unwrap_or_default()),
        _ => None,
    };
    let place = async |instant: Option<Instant>, none: (Seq, Timestamp)| -> Result<_, CliError> {
        let Some(instant) = instant else { return Ok(none) };
        Ok(match locate(ctx, archive, instant, object.as_ref()).await? {
            At::Latest => {
                // Behind a damaged head, nothing is known to be newer than its records can be.
                let head = match archive.head().await {
                    Err(ArchiveError::Damaged(_)) => archive.head_behind_damage().await?,
                    head => head?,
                };
                (head.seq, none.1)
            }
            At::Time(time) => (none.0, time),
            At::Seq(seq) => (seq, none.1),
        })
    };
    Ok(Window {
        after: place(args.since, (Seq(0), Timestamp::MIN)).await?,
        until: place(args.until, (Seq(u64::MAX), Timestamp::MAX)).await?,
    })
}

/// Says which of the resources are not captured now: the timeline cannot show what is not in the archive.
async fn warn_about_capture(ctx: &mut Ctx, archive: &Archive, touched: &Touched) -> Result<(), CliError> {
    let timeline = archive.timeline().await?;
    for proof in timeline.proofs.iter().filter(|proof| touched.resource(&proof.entry.id)) {
        let entry = &proof.entry;
        if matches!(entry.state, ProofState::Denied | ProofState::Stalled) {
            let proven = entry.proven_at.map_or_else(|| "never proven".to_owned(), |at| format!("proven up to {at}"));
            let detail = if entry.detail.is_empty() { String::new() } else { format!(" ({})", entry.detail) };
            ctx.talk.warn(&format!("{} is {}{detail}: {proven}.", entry.id, state_name(entry.state)))?;
        }
    }
    Ok(())
}

/// Prints records as they come.
struct Printer<'a> {
    format: Format,
    all: bool,
    follower: Follower,
    table: Option<Table>,
    types: &'a Types,
    one_object: bool,
    folded: usize,
    printed: usize,
    skipped: usize,
}

impl<'a> Printer<'a> {
    fn new(ctx: &Ctx, args: &LogArgs, types: &'a Types, one_object: bool) -> Self {
        let headers: &[&str] = if one_object {
            &["TIME", "SEQ", "RV", "VERB", "MANAGER", "WHAT"]
        } else {
            &["TIME", "SEQ", "RV", "VERB", "OBJECT", "MANAGER", "WHAT"]
        };
        Self {
            format: args.output.clone(),
            all: args.all,
            follower: Follower::new(ctx.masker(), args.all),
            table: (args.output == Format::Table).then(|| Table::new(headers)),
            types,
            one_object,
            folded: 0,
            printed: 0,
            skipped: 0,
        }
    }

    fn take(&mut self, ctx: &mut Ctx, record: &Record, too_early: bool) -> Result<(), CliError> {
        if self.table.is_none() {
            return if too_early { Ok(()) } else { self.json(ctx, record) };
        }
        if too_early {
            self.skipped += 1;
            self.follower.skip(record);
            return Ok(());
        }
        if matches!(record.change, Change::Heartbeat) && !self.all {
            return Ok(());
        }
        let row = self.follower.row(record)?;
        if row.minor && !self.all {
            self.folded += 1;
            return Ok(());
        }
        self.unfold(ctx)?;
        let colour = match row.verb {
            "added" => style::GOOD,
            "deleted" => style::BAD,
            verb if verb.starts_with("gap") => style::BAD,
            "unobserved" | "absent" | "withheld" => style::WARN,
            _ => anstyle::Style::new(),
        };
        let mut cells = vec![
            micros(record.t),
            record.seq.to_string(),
            record.change.rv().map(|rv| rv.to_string()).unwrap_or_default(),
            format!("{colour}{}{colour:#}", row.verb),
        ];
        if !self.one_object {
            cells.push(self.subject(record));
        }
        cells.extend([row.manager, row.what]);
        self.printed += 1;
        if let Some(table) = &mut self.table {
            table.row(&mut ctx.out, cells)?;
        }
        Ok(())
    }

    /// Shows that a segment is damaged, in its place.
    fn damage(&mut self, ctx: &mut Ctx, damage: &Damage) -> Result<(), CliError> {
        self.unfold(ctx)?;
        let Some(table) = &mut self.table else { return self.json_line(ctx, &damage_line(damage)) };
        let time = damage.after.map(micros).unwrap_or_default();
        let mut cells = vec![time, String::new(), String::new(), format!("{0}damage{0:#}", style::BAD)];
        if !self.one_object {
            cells.push(format!("segment {}", damage.segment.unwrap_or_default()));
        }
        cells.extend([String::new(), damage.to_string()]);
        self.printed += 1;
        table.row(&mut ctx.out, cells)?;
        Ok(())
    }

    /// Names what a record is about, in a form that can be typed.
    fn subject(&self, record: &Record) -> String {
        match &record.change {
            Change::Gap(gap) => gap.object.as_ref().map_or_else(|| gap.resource.to_string(), ToString::to_string),
            change => change.key().map_or_else(String::new, |key| self.types.short_key(&key.object)),
        }
    }

    /// Says how many records were folded since the last line.
    fn unfold(&mut self, ctx: &mut Ctx) -> Result<(), CliError> {
        let folded = std::mem::take(&mut self.folded);
        if let (Some(table), true) = (&mut self.table, folded > 0) {
            let (dim, s) = (style::DIM, if folded == 1 { "" } else { "s" });
            table.note(
                &mut ctx.out,
                format!("{dim}… {folded} change{s} of status or bookkeeping only (--all shows them){dim:#}"),
            )?;
            self.printed += 1;
        }
        Ok(())
    }

    fn json(&mut self, ctx: &mut Ctx, record: &Record) -> Result<(), CliError> {
        self.json_line(ctx, &line(record))
    }

    fn json_line(&mut self, ctx: &mut Ctx, line: &serde_json::Value) -> Result<(), CliError> {
        let text = to_line(line)?;
        if self.format == Format::Json {
            let before = if self.printed == 0 {
                format!("{{\"apiVersion\":\"{API_VERSION}\",\"kind\":\"Timeline\",\"items\":[\n")
            } else {
                ",\n".to_owned()
            };
            write!(ctx.out, "{before}{text}")?;
        } else {
            writeln!(ctx.out, "{text}")?;
        }
        self.printed += 1;
        Ok(())
    }

    fn finish(mut self, ctx: &mut Ctx) -> Result<(), CliError> {
        self.unfold(ctx)?;
        if self.format == Format::Json {
            if self.printed == 0 {
                write!(ctx.out, "{{\"apiVersion\":\"{API_VERSION}\",\"kind\":\"Timeline\",\"items\":[")?;
            }
            writeln!(ctx.out, "\n]}}")?;
        }
        match self.table.take() {
            Some(table) if !table.is_empty() => table.finish(&mut ctx.out)?,
            Some(_) if self.skipped > 0 => {
                ctx.talk.note(&format!("No records in that time, {} before it.", self.skipped))?;
            }
            Some(_) => ctx.talk.note("No records; -A shows all namespaces and what has none.")?,
            None => {}
        }
        Ok(())
    }
}
