//! A plan for people: what happens, where the data of every volume comes from, and what stands against it.
//!
//! Does not: decide anything; the plan is a value, and all of it is shown.

use std::io::{self, Write};

use vmrewind_model::{ObjectKey, Timestamp};
use vmrewind_restore::{Action, Check, DataSource, IdentityField, RestorePlan, Step};

use crate::{
    age,
    output::{Table, style},
};

/// Prints a plan. With `rules`, each step lists the rules and changes that make its object.
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn print(out: &mut dyn Write, plan: &RestorePlan, now: Timestamp, rules: bool) -> io::Result<()> {
    heading(out, plan, now)?;
    volumes(out, plan)?;
    steps(out, plan, rules)?;
    effects(out, plan)?;
    identities(out, plan)?;
    missing(out, plan)?;
    for warning in &plan.warnings {
        let (warn, about) = (style::WARN, warning.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default());
        writeln!(out, "{warn}Warning:{warn:#} {about}{}", warning.message)?;
    }
    refusals(out, plan)
}

fn title(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let bold = style::HEADING;
    writeln!(out, "\n{bold}{text}{bold:#}")
}

fn heading(out: &mut dyn Write, plan: &RestorePlan, now: Timestamp) -> io::Result<()> {
    let bold = style::HEADING;
    let archive = &plan.archive;
    writeln!(out, "{bold}Plan {}{bold:#}: {}", plan.id, verdict(plan))?;
    writeln!(
        out,
        "  from  {} ({}), record {} of archive {}",
        archive.t,
        age::ago(now, archive.t),
        archive.seq,
        archive.uuid
    )?;
    let other =
        if plan.target.cluster == archive.cluster { "the cluster it was captured from" } else { "another cluster" };
    writeln!(out, "  to    cluster {} ({other}, {})", plan.target.cluster, plan.target.server)
}

/// Says in one line what the plan would do.
fn verdict(plan: &RestorePlan) -> String {
    let list = |counts: &std::collections::BTreeMap<String, usize>| {
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    };
    let mut text = list(&plan.summary.actions);
    if text.is_empty() {
        text.push_str("nothing");
    }
    if !plan.summary.volumes.is_empty() {
        text.push_str(&format!("; data of volumes: {}", list(&plan.summary.volumes)));
    }
    match plan.refusals.len() {
        0 if plan.is_noop() => text.push_str("; nothing to do: everything is as it was"),
        0 => {}
        1 => text.push_str("; REFUSED for 1 reason"),
        count => text.push_str(&format!("; REFUSED for {count} reasons")),
    }
    text
}

fn volumes(out: &mut dyn Write, plan: &RestorePlan) -> io::Result<()> {
    if plan.volumes.is_empty() {
        return Ok(());
    }
    title(out, "Volumes: where the data comes from")?;
    let mut table = Table::new(&["  MACHINE", "VOLUME", "CLAIM", "DATA", "WHY"]);
    for volume in &plan.volumes {
        let style = match volume.data_source {
            DataSource::None => style::BAD,
            DataSource::Blank | DataSource::Reimport => style::WARN,
            DataSource::Keep | DataSource::Rebind | DataSource::NotNeeded => anstyle::Style::new(),
        };
        let vm = volume.vm.as_ref().map_or_else(|| "-".to_owned(), |vm| vm.name.clone());
        table.row(
            out,
            vec![
                format!("  {vm}"),
                if volume.volume.is_empty() { "-".to_owned() } else { volume.volume.clone() },
                format!("{}/{}", volume.claim.namespace, volume.claim.name),
                format!("{style}{}{style:#}", volume.data_source.text()),
                volume.why.clone(),
            ],
        )?;
    }
    table.finish(out)
}

fn steps(out: &mut dyn Write, plan: &RestorePlan, rules: bool) -> io::Result<()> {
    title(out, "Steps, in this order")?;
    let mut table = Table::new(&["  #", "ACTION", "OBJECT", "REMARK"]);
    for step in &plan.steps {
        let style = match step.action {
            Action::Create | Action::Start | Action::Power => style::GOOD,
            Action::Replace
            | Action::Recreate
            | Action::ReleaseOwner
            | Action::Stop
            | Action::ReleaseVolume
            | Action::PatchOwner => style::WARN,
            Action::Refuse => style::BAD,
            Action::Unchanged | Action::Keep | Action::Skip => style::DIM,
        };
        table.row(
            out,
            vec![
                format!("  {}", step.id),
                format!("{style}{}{style:#}", step.action.text()),
                object(step),
                remark(step, rules),
            ],
        )?;
        if rules {
            for line in made_by(step) {
                table.note(out, format!("      {}{line}{:#}", style::DIM, style::DIM))?;
            }
        }
    }
    table.finish(out)
}

/// Names the object of a step, and the captured one where it has another name.
fn object(step: &Step) -> String {
    if step.key == step.from { step.key.to_string() } else { format!("{} (from {})", step.key, place(&step.from)) }
}

fn place(key: &ObjectKey) -> String {
    if key.namespace.is_empty() { key.name.clone() } else { format!("{}/{}", key.namespace, key.name) }
}

fn remark(step: &Step, rules: bool) -> String {
    let mut remarks = step.notes.clone();
    let changes = step.rules.len() + step.mutations.len();
    if changes > 0 && !rules && step.action.writes() {
        remarks.push(format!("{changes} changes to what was captured (-v lists them)"));
    }
    if let Some(owner) = &step.owner {
        remarks.push(format!("owner {owner}"));
    }
    match &step.check {
        None => {}
        Some(Check::Ok { pruned, warnings }) => {
            remarks.push("the server would accept it".to_owned());
            if !pruned.is_empty() {
                remarks.push(format!("it would drop {}", pruned.join(", ")));
            }
            remarks.extend(warnings.iter().map(|warning| format!("it warns: {warning}")));
        }
        Some(Check::Refused { reason }) => remarks.push(format!("THE SERVER WOULD REFUSE IT: {reason}")),
        Some(Check::NotCheckableYet { reason }) => remarks.push(format!("cannot be checked yet: {reason}")),
    }
    remarks.join("; ")
}

/// Lists what makes the object of a step out of the captured one.
fn made_by(step: &Step) -> Vec<String> {
    let rules = step.rules.iter().map(|rule| format!("{} {}: {}", rule.rule, rule.path, rule.reason));
    let changes = step.mutations.iter().map(|mutation| {
        let text = serde_json::to_string(mutation).unwrap_or_default();
        format!("change {text}")
    });
    rules.chain(changes).collect()
}

/// Says what takes effect at once and what only when the machine starts again.
fn effects(out: &mut dyn Write, plan: &RestorePlan) -> io::Result<()> {
    let with_effects: Vec<&Step> = plan.steps.iter().filter(|step| !step.effects.is_empty()).collect();
    if with_effects.is_empty() {
        return Ok(());
    }
    title(out, "When changes take effect")?;
    for step in with_effects {
        for (when, words) in [("now", "at once"), ("restart", "when it starts again")] {
            let paths: Vec<&str> =
                step.effects.iter().filter(|effect| effect.when == when).map(|effect| effect.path.as_str()).collect();
            if !paths.is_empty() {
                writeln!(out, "  {} {words}: {}", step.key, paths.join(", "))?;
            }
        }
    }
    Ok(())
}

fn identities(out: &mut dyn Write, plan: &RestorePlan) -> io::Result<()> {
    let rows: Vec<_> =
        plan.identities.iter().filter(|row| row.before != row.after || !row.also_used_by.is_empty()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    title(out, "Identities that change or collide")?;
    let mut table = Table::new(&["  MACHINE", "FIELD", "BEFORE", "AFTER", "ALSO USED BY"]);
    for row in rows {
        let field = match row.field {
            IdentityField::Mac => format!("MAC of {}", row.interface),
            IdentityField::Serial => "serial".to_owned(),
            IdentityField::FirmwareUuid => "firmware UUID".to_owned(),
        };
        let shown = |value: &str| if value.is_empty() { "(unset)".to_owned() } else { value.to_owned() };
        let others: Vec<String> = row.also_used_by.iter().map(place).collect();
        table.row(
            out,
            vec![format!("  {}", place(&row.vm)), field, shown(&row.before), shown(&row.after), others.join(", ")],
        )?;
    }
    table.finish(out)
}

fn missing(out: &mut dyn Write, plan: &RestorePlan) -> io::Result<()> {
    if plan.missing.is_empty() {
        return Ok(());
    }
    title(out, "Needed, but not there at that instant")?;
    let mut table = Table::new(&["  TARGET", "NEEDED BY", "AT", "STRENGTH", "ARCHIVE", "CLUSTER"]);
    for row in &plan.missing {
        table.row(
            out,
            vec![
                format!("  {}", row.target),
                row.from.to_string(),
                row.path.clone(),
                row.strength.clone(),
                row.presence.clone(),
                row.in_target.clone(),
            ],
        )?;
    }
    table.finish(out)
}

fn refusals(out: &mut dyn Write, plan: &RestorePlan) -> io::Result<()> {
    if plan.refusals.is_empty() {
        return Ok(());
    }
    title(out, "Why this cannot be carried out")?;
    for refusal in &plan.refusals {
        let bad = style::BAD;
        writeln!(out, "  {bad}{}{bad:#}: {}", refusal.key, refusal.message)?;
        writeln!(out, "    Hint: {}", refusal.hint)?;
    }
    Ok(())
}
