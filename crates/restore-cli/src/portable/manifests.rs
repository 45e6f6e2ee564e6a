//! YAML that `kubectl apply -f` takes: what a restore would write, in the order in which it would.
//!
//! Does not: sanitise; the rules of crate `graph` do.

use std::io::Write;

use serde_json::Value;
use vmrewind_archive::Store;
use vmrewind_graph::{Verdict, mutate, sanitise, verdict, wave};
use vmrewind_model::{ObjectKey, RawObject};

use super::gather::{Export, Item};
use crate::{
    context::unreadable,
    error::CliError,
    output::{breaks, to_yaml},
};

/// Groups of volume snapshots.
const SNAPSHOTS: [&str; 2] = ["snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io"];

/// Makes the form in which an object is applied: without what only a server sets, and without kubectl's own note.
pub(crate) fn applicable(object: &mut Value) {
    sanitise(object);
    mutate::drop_last_applied(object);
}

/// Returns why an object is not for applying, if it is not: what a restore would not write either.
pub(crate) fn not_applied(export: &Export<'_>, item: &Item<'_>) -> Option<String> {
    let value = item.object.value().ok()?;
    if let Verdict::Skip { rule, reason } = verdict(&value) {
        return Some(format!("{rule}: {reason}"));
    }
    if item.key.is("", "PersistentVolume") {
        return Some("volume: a provisioner makes volumes.".to_owned());
    }
    if SNAPSHOTS.contains(&item.key.group.as_str()) {
        return Some("snapshot: one made now would hold today's data.".to_owned());
    }
    importer(export, item.object, &item.key.namespace)
        .map(|key| format!("imported: CDI makes it again for {key}, and a claim that exists would be in its way."))
}

/// Finds the DataVolume in the export that owns a claim.
fn importer(export: &Export<'_>, claim: &RawObject, namespace: &str) -> Option<ObjectKey> {
    let head = claim.head().ok().filter(|head| head.key.is("", "PersistentVolumeClaim"))?;
    let owner = head.owners.iter().find(|owner| owner.kind == "DataVolume")?;
    let key = ObjectKey::new("cdi.kubevirt.io", "DataVolume", namespace, &owner.name);
    export.items.iter().any(|item| *item.key == key).then_some(key)
}

/// Writes the documents, each in the order of the waves of a restore; `raw` ones as they were captured.
///
/// # Errors
/// If an object cannot be read, or not be written.
pub(crate) fn write(out: &mut dyn Write, export: &Export<'_>, store: &Store, raw: bool) -> Result<(), CliError> {
    comment(out, &heading(export, store, raw))?;
    let mut items: Vec<&Item<'_>> = export.items.iter().collect();
    items.sort_by_key(|item| (wave(&item.key.group, &item.key.kind), item.key));
    for item in items {
        let mut value = item.object.value().map_err(unreadable)?;
        if !raw {
            applicable(&mut value);
        }
        writeln!(out, "---")?;
        comment(out, &[format!("{}, record {}", item.key, item.entry.record.seq)])?;
        write!(out, "{}", to_yaml(&value)?)?;
    }
    Ok(())
}

/// Says what this is, and what it lacks.
fn heading(export: &Export<'_>, store: &Store, raw: bool) -> Vec<String> {
    let form = if raw { "as they were captured" } else { "for kubectl apply -f" };
    let mut lines = vec![
        format!("{} object(s) of {}, {form}.", export.items.len(), export.label),
        format!("Archive:  {} in {}", export.identity.archive, store.place()),
        format!("Cluster:  {}", export.identity.cluster),
        format!("Instant:  {}, record {}", export.t, export.seq),
    ];
    let mut list = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            lines.push(title.to_owned());
            lines.extend(rows.iter().map(|row| format!("  {row}")));
        }
    };
    list("Not certain:", export.uncertain.clone());
    let sentences = |rows: Vec<(ObjectKey, String)>| rows.into_iter().map(|(_, sentence)| sentence).collect();
    list("Left out:", sentences(export.why_left_out()));
    list("Named, and not here:", sentences(export.not_here()));
    if !raw {
        let claims: Vec<String> = export
            .items
            .iter()
            .filter(|item| item.key.is("", "PersistentVolumeClaim"))
            .map(|item| item.key.to_string())
            .collect();
        list("Without data: where these claims do not exist, applying them makes NEW, EMPTY disks:", claims);
    }
    lines
}

fn comment(out: &mut dyn Write, lines: &[String]) -> Result<(), CliError> {
    for line in lines {
        writeln!(out, "# {}", line.replace(breaks, " "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_comment() {
        // Line breaks of YAML 1.1, and what no terminal should be sent.
        for c in [
            '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{202e}', '\u{2066}', '\u{1b}', '\0',
            '\u{fffe}',
        ] {
            let mut out = Vec::new();
            comment(&mut out, &[format!("x{c}---{c}kind: Evil")]).expect("written");
            assert_eq!(String::from_utf8_lossy(&out), "# x --- kind: Evil\n", "{c:?}");
        }
    }
}
