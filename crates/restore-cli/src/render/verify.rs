//! What a check of the archive found, for people and as JSON.
//!
//! Does not: check anything.

use std::io::Write as _;

use serde_json::{Value, json};
use vmrewind_archive::{
    Code, SeqRange,
    verify::{About, Depth, HistoryChecked, Note, Problem, Report, Sample, Symptom},
};

use crate::{
    error::CliError,
    output::{Out, envelope, size, style},
    record::micros,
};

/// Which sample was read.
pub(crate) struct Sampled {
    /// What was asked for.
    pub(crate) sample: Sample,
    /// How many segments are covered now, and how often all were; none if that is not remembered.
    pub(crate) covered: Option<(u64, u64)>,
}

/// Prints a report.
///
/// # Errors
/// Those of the output.
pub(crate) fn print(out: &mut Out, report: &Report, sampled: Option<&Sampled>) -> Result<(), CliError> {
    let (bold, bad, warn) = (style::HEADING, style::BAD, style::WARN);
    let checked = &report.checked;
    let archive = report.identity.as_ref().map_or_else(
        || "not known: archive.json cannot be read".to_owned(),
        |identity| format!("{}, format {}", identity.archive, identity.format),
    );
    let spans = match (checked.from, checked.to) {
        (Some(from), Some(to)) => format!("{from} to {to}"),
        _ => "nothing".to_owned(),
    };
    let segments = counted(checked.found.count(), "segment");
    let holds = format!(
        "{} in {segments}, {}, {}",
        counted(checked.records, "record"),
        size(checked.bytes),
        counted(checked.epochs, "writer")
    );
    let mut rows = vec![("Archive", archive), ("Place", report.place.clone()), ("Spans", spans), ("Holds", holds)];
    rows.extend(rolled_up(report).map(|text| ("Rolled up", text)));
    rows.extend(looked_at(report).into_iter().map(|text| ("Checked", text)));
    rows.extend(sampled.map(|sampled| ("Sample", sample_text(sampled, report))));
    rows.extend(left_out(report).into_iter().map(|text| ("Not checked", text)));
    let mut before = "";
    for (name, text) in rows {
        let title = if name == before { String::new() } else { format!("{name}:") };
        writeln!(out, "{bold}{title:<12}{bold:#} {text}")?;
        before = name;
    }
    writeln!(out)?;
    for problem in &report.problems {
        writeln!(out, "{bad}PROBLEM{bad:#} {}", headline(problem))?;
        details(out, problem)?;
    }
    for problem in &report.accounted {
        writeln!(out, "{warn}RECORDED{warn:#} {}", headline(problem))?;
        details(out, problem)?;
    }
    for note in &report.notes {
        writeln!(out, "NOTE {}", note_text(note))?;
    }
    if report.more_notes > 0 {
        writeln!(out, "NOTE {} more are left out", report.more_notes)?;
    }
    let count = |n: usize, one: &str| counted(n as u64, one);
    let mut sum =
        if report.problems.is_empty() { "No problems".to_owned() } else { count(report.problems.len(), "problem") };
    if !report.accounted.is_empty() {
        sum.push_str(&format!(", {} that gaps account for", count(report.accounted.len(), "damaged part")));
    }
    let notes = report.notes.len() as u64 + report.more_notes;
    if notes > 0 {
        sum.push_str(&format!(", {}", counted(notes, "note")));
    }
    writeln!(out, "{sum}.")?;
    Ok(())
}

/// Says what was rolled up; none if there is no manifest.
fn rolled_up(report: &Report) -> Option<String> {
    let history = &report.checked.history;
    if history.manifests == 0 {
        return None;
    }
    let (segments, windows) = (counted(history.slots.count(), "segment"), counted(history.windows, "window"));
    let bundles = format!("{}, {}", counted(history.bundles, "bundle"), size(history.bytes));
    let checkpoints = match history.checkpoints {
        0 => String::new(),
        n => format!(" and {}", counted(n, "checkpoint")),
    };
    let mut text = format!("{segments} in {windows}{checkpoints} ({bundles}), manifest {}", history.newest);
    if history.replaced.0 > 0 {
        text.push_str(&format!(
            "; {} that were replaced, {}",
            counted(history.replaced.0, "bundle"),
            size(history.replaced.1)
        ));
    }
    Some(text)
}

/// Says what was looked at, one sentence for each depth.
fn looked_at(report: &Report) -> Vec<String> {
    let checked = &report.checked;
    let (found, whole) = (checked.found.count(), checked.whole.count());
    let mut texts = vec![format!(
        "names, and the ends of {}: footer, resume map, index, and their order",
        counted(found, "segment")
    )];
    let history = &checked.history;
    if history.manifests > 0 {
        let (manifests, bundles) = (counted(history.manifests, "manifest"), counted(history.bundles, "bundle"));
        texts.push(format!("{manifests}, and the ends of {bundles}"));
    }
    if report.depth >= Depth::Data {
        texts.push(format!("every byte of {whole} of {} ({})", counted(found, "segment"), size(checked.read)));
    }
    if report.depth >= Depth::Data && history.windows > 0 {
        let (read, windows) = (history.windows_read, counted(history.windows, "window"));
        let points = match history.checkpoints {
            0 => String::new(),
            all => format!(", and of {} of {}", history.checkpoints_read, counted(all, "checkpoint")),
        };
        let beside = if report.depth == Depth::Deep { ", beside their segments" } else { "" };
        texts.push(format!("every byte of {read} of {windows}{points} ({}){beside}", size(history.read)));
    }
    if report.depth == Depth::Deep {
        let objects = counted(checked.objects, "object");
        texts.push(format!("{objects}, and what {} say of each other", counted(checked.records_read, "record")));
    }
    texts
}

/// Says what was not looked at, and what is therefore not proven.
fn left_out(report: &Report) -> Vec<String> {
    let checked = &report.checked;
    let unread = checked.found.count().saturating_sub(checked.whole.count());
    let mut texts = Vec::new();
    if report.depth == Depth::Ends {
        texts.push(
            "what stands before the indexes, and that each segment was written after the one before it: --data"
                .to_owned(),
        );
    } else if unread > 0 {
        texts.push(format!("what stands before the index in {}", counted(unread, "segment")));
    }
    let history = &checked.history;
    let windows = history.windows.saturating_sub(history.windows_read);
    if report.depth >= Depth::Data && windows > 0 {
        texts.push(format!("what stands before the index in the bundles of {}", counted(windows, "window")));
    }
    if report.depth == Depth::Data && history.windows > 0 {
        texts.push("whether windows hold what their segments hold: --deep".to_owned());
    }
    if report.depth == Depth::Deep && history.checkpoints_alone > 0 {
        let checkpoints = counted(history.checkpoints_alone, "checkpoint");
        texts.push(format!("whether {checkpoints} hold what the log comes to: not all of that was read, or can be"));
    }
    if report.depth >= Depth::Data && checked.unchained > 0 {
        let segments = counted(checked.unchained, "segment");
        texts.push(format!("the predecessor of {segments}: it was not read in full, or cannot be"));
    }
    if report.depth == Depth::Deep && unread > 0 {
        texts.push("what records say of each other across segments that were not read".to_owned());
    }
    if report.depth < Depth::Deep {
        texts.push("objects, and what records say of each other: --deep".to_owned());
    }
    texts.push("whether segments were cut off at the end, and what archive.json says of the cluster".to_owned());
    texts
}

fn sample_text(sampled: &Sampled, report: &Report) -> String {
    let Sample { parts, seed, .. } = sampled.sample;
    let percent = format!("{}.{:04}", parts / 10_000, parts % 10_000);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    let covered = match sampled.covered {
        Some((covered, rounds)) => {
            let all = report.checked.found.count();
            format!("{covered} of {} covered by samples so far, all of them {rounds} times", counted(all, "segment"))
        }
        None => "not remembered, because archive.json cannot be read".to_owned(),
    };
    format!("{percent}%, seed {seed}; {covered}")
}

fn headline(problem: &Problem) -> String {
    let mut text = format!("{} in {}", problem.symptom, problem.object);
    if let Some((first, last)) = problem.slots.filter(|(first, last)| first != last) {
        text.push_str(&format!(" (segments {first} to {last})"));
    }
    if let Some(offset) = problem.offset {
        text.push_str(&format!(" at byte {offset}"));
    }
    text.push_str(&format!(": {}", problem.detail));
    if let Some(key) = &problem.key {
        text.push_str(&format!(" ({key})"));
    }
    text
}

fn details(out: &mut Out, problem: &Problem) -> Result<(), CliError> {
    writeln!(out, "  Lost:   {}", lost(problem))?;
    if !problem.loss.readable.is_empty() {
        writeln!(out, "  Intact: {} of it", ranges(&problem.loss.readable))?;
    }
    writeln!(out, "  Do:     {}", advice(problem))?;
    Ok(())
}

/// So many resources are named; the JSON names all.
const FEW: usize = 4;

/// Says what is lost.
fn lost(problem: &Problem) -> String {
    let loss = &problem.loss;
    let mut text = match &loss.records {
        Some(records) if records.is_empty() => return "no record".to_owned(),
        Some(records) => ranges(records),
        None => "an unknown number of records".to_owned(),
    };
    let bounds = [loss.after.map(|t| format!("after {t}")), loss.before.map(|t| format!("before {t}"))];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    if !bounds.is_empty() {
        text.push_str(&format!(", observed {}", bounds.join(" and ")));
    }
    match &loss.resources[..] {
        [] => {}
        few if few.len() <= FEW => {
            let names: Vec<String> = few.iter().map(ToString::to_string).collect();
            text.push_str(&format!(", of any of: {}", names.join(", ")));
        }
        many => text.push_str(&format!(", of any of the {} resources that were captured then", many.len())),
    }
    text
}

/// Says what to do about a problem.
pub(crate) fn advice(problem: &Problem) -> String {
    let Symptom::Code(code) = problem.symptom else { return DEFECT.to_owned() };
    let object = &problem.object;
    match code {
        _ if problem.about == About::Records => DEFECT.to_owned(),
        Code::Identity | Code::TooLarge if problem.about == About::Archive => {
            "nothing opens the archive without it: put a copy of it back. Its segments name the archive that they belong to; only \
             the uid of the cluster stands nowhere else."
                .to_owned()
        }
        _ if problem.about == About::Manifests => {
            format!(
                "nothing is lost: manifests only tell where the log was rolled up, and the log itself is whole unless another problem \
                 says otherwise. If a copy of the archive has {object} intact, put that in its place. If it is the newest one, reading \
                 stops at it until then; --allow-damage reads the log alone, more slowly."
            )
        }
        _ if problem.about == About::Bundles => {
            let (first, last) = problem.slots.unwrap_or_default();
            format!(
                "nothing is lost as long as segments {first} to {last} are there: they are read in its place, more slowly. If a copy of \
                 the archive has {object} intact, put that in its place; no program makes it anew."
            )
        }
        _ if problem.about == About::Checkpoints => {
            "nothing is lost as long as what it stands for is there: that is read in its place, more slowly. A maintainer that meets it \
             leaves it out and makes another one."
                .to_owned()
        }
        _ if problem.about == About::Archive => {
            "reading passes over it; if you know that it was put there by hand, move it out of the archive.".to_owned()
        }
        _ if problem.accounted => {
            format!("nothing: gaps of cause damage say where it matters. An intact copy of {object} would bring back what is lost.")
        }
        Code::Missing | Code::Chain | Code::Seq | Code::Time | Code::Epoch | Code::Archive | Code::Name => format!(
            "stop the watcher and keep a copy: somebody removed or replaced segments. If another copy of the archive has {object} \
             intact, put that in its place. {}",
            around(problem)
        ),
        _ => format!(
            "if a copy of the archive has {object} intact, put that in its place. {}",
            around(problem)
        ),
    }
}

const DEFECT: &str = "nothing is lost by it, but the program that wrote it made a mistake: please report it with this output. \
    Compare the object with the cluster before you restore it from here.";

/// Says how to read and go on without what is lost.
fn around(problem: &Problem) -> String {
    let before = problem
        .loss
        .after
        .map_or_else(String::new, |after| format!("What lies before it reads as always (--at {after}). "));
    format!(
        "{before}Otherwise a watcher goes on behind it with --pass-over-damage, which records a gap and looks at everything anew, \
         and --allow-damage reads on without it."
    )
}

fn ranges(ranges: &[SeqRange]) -> String {
    let texts = ranges.iter().map(|range| match range.first == range.last {
        true => format!("record {}", range.first),
        false => format!("records {} to {}", range.first, range.last),
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn note_text(note: &Note) -> String {
    let key = note.key.as_ref().map_or_else(String::new, |key| format!(" ({key})"));
    format!("{} in {}: {}{key}", note.kind.as_str(), note.object, note.detail)
}

fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Returns a report as JSON.
pub(crate) fn answer(report: &Report, sampled: Option<&Sampled>) -> Value {
    let checked = &report.checked;
    let depth = match report.depth {
        Depth::Ends => "ends",
        Depth::Data => "data",
        Depth::Deep => "deep",
    };
    let sample = sampled.map(|sampled| {
        json!({"partsPerMillion": sampled.sample.parts, "seed": sampled.sample.seed,
            "covered": sampled.covered.map(|(covered, _)| covered), "rounds": sampled.covered.map(|(_, rounds)| rounds)})
    });
    envelope(
        "ArchiveVerification",
        json!({
            "archive": report.identity.as_ref().map(|identity| identity.archive.to_string()), "place": report.place,
            "depth": depth, "sample": sample, "from": checked.from.map(micros), "to": checked.to.map(micros),
            "segments": {"found": checked.found.count(), "read": checked.whole.count(), "which": checked.whole.to_string(),
                "predecessorNotChecked": checked.unchained},
            "bytes": {"found": checked.bytes, "read": checked.read}, "history": history_json(&checked.history),
            "records": {"found": checked.records, "read": checked.records_read}, "objects": checked.objects,
            "writers": checked.epochs, "notChecked": left_out(report),
            "problems": report.problems.iter().map(problem_json).collect::<Vec<_>>(),
            "accounted": report.accounted.iter().map(problem_json).collect::<Vec<_>>(),
            "notes": report.notes.iter().map(note_json).collect::<Vec<_>>(), "moreNotes": report.more_notes,
        }),
    )
}

fn history_json(history: &HistoryChecked) -> Value {
    let some = |(count, bytes): (u64, u64)| json!({"bundles": count, "bytes": bytes});
    json!({
        "manifests": history.manifests, "newestManifest": history.newest,
        "windows": {"found": history.windows, "read": history.windows_read}, "segments": history.slots.to_string(),
        "checkpoints": {
            "found": history.checkpoints, "read": history.checkpoints_read, "notCompared": history.checkpoints_alone,
        },
        "bundles": history.bundles, "bytes": {"found": history.bytes, "read": history.read},
        "replaced": some(history.replaced), "unnamed": some(history.unnamed),
    })
}

fn problem_json(problem: &Problem) -> Value {
    let range = |range: &SeqRange| json!({"first": range.first, "last": range.last});
    let all = |all: &[SeqRange]| all.iter().map(range).collect::<Vec<_>>();
    let loss = &problem.loss;
    json!({
        "code": problem.symptom.as_str(), "object": problem.object, "firstSegment": problem.slots.map(|(first, _)| first),
        "lastSegment": problem.slots.map(|(_, last)| last), "offset": problem.offset, "detail": problem.detail,
        "key": problem.key.as_ref().map(ToString::to_string), "lost": loss.records.as_deref().map(all),
        "readable": all(&loss.readable), "after": loss.after.map(micros), "before": loss.before.map(micros),
        "resources": loss.resources.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "advice": advice(problem),
    })
}

fn note_json(note: &Note) -> Value {
    json!({"kind": note.kind.as_str(), "object": note.object, "segment": note.slot, "detail": note.detail,
        "key": note.key.as_ref().map(ToString::to_string)})
}
