//! The proof that what exists equals what was captured, object by object.
//!
//! Does not: use the rules of the product: both sides are read anew and compared as they are, see `essence`.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use vmrewind_testkit::bench::{Bench, ObjectName};
use vmrewind_tests::{Tool, essence};

use crate::stage::Stage;

/// Compares live objects with the state of the archive at an instant, and prints a line for each. `plan` is the printed
/// plan that made them so.
pub(crate) async fn equal(
    stage: &Stage,
    bench: &Bench,
    tool: &Tool,
    at: &str,
    objects: &[ObjectName<'_>],
    plan: &str,
) -> anyhow::Result<()> {
    let state = tool.ok(&["dump", "-A", "--at", at, "--show-secrets"]).await?.lines()?;
    for object in objects {
        let named = format!("{} {}/{}", object.kind, object.namespace, object.name);
        let archived = state
            .iter()
            .find(|line| {
                line["kind"] == object.kind && line["namespace"] == object.namespace && line["name"] == object.name
            })
            .with_context(|| format!("{named} is not in the archive at {at}"))?;
        let live = bench.get(object).await?.with_context(|| format!("{named} does not exist"))?;
        let (then, now) = (essence(&archived["object"]), essence(&live));
        ensure!(then == now, "{named} differs:\nthen {then:#}\nnow  {now:#}");
        let incarnation = if archived["uid"] != live["metadata"]["uid"] {
            "created anew"
        } else if is_replaced(plan, object) {
            "replaced in place"
        } else {
            "never touched"
        };
        let content = text(&archived["contentId"]).chars().take(19).collect::<String>();
        stage.done(&format!("{named:<42} equals {content}…  ({incarnation})"))?;
    }
    Ok(())
}

/// Tells whether a printed plan has a step that replaces an object.
fn is_replaced(plan: &str, object: &ObjectName<'_>) -> bool {
    plan.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "replace", key, ..] = words[..] else { return false };
        let kind = key.split(['.', '/']).next();
        kind == Some(object.kind) && key.ends_with(&format!("/{}/{}", object.namespace, object.name))
    })
}

/// Returns a machine's MAC address, firmware UUID and serial.
pub(crate) fn identity(machine: &Value) -> [String; 3] {
    let domain = &machine["spec"]["template"]["spec"]["domain"];
    let interface = &domain["devices"]["interfaces"][0]["macAddress"];
    [interface, &domain["firmware"]["uuid"], &domain["firmware"]["serial"]].map(|value| text(value).to_owned())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
