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
        let live = bench.get(object).await?;
        stage.done(&prove(&state, object, live.as_ref(), plan).with_context(|| format!("the proof for {at}"))?)?;
    }
    Ok(())
}

/// Proves that a live object equals the one of a dumped state, and says so in a line.
fn prove(state: &[Value], object: &ObjectName<'_>, live: Option<&Value>, plan: &str) -> anyhow::Result<String> {
    let named = format!("{} {}/{}", object.kind, object.namespace, object.name);
    let is_it = |line: &&Value| {
        line["kind"] == object.kind && line["namespace"] == object.namespace && line["name"] == object.name
    };
    let archived = state.iter().find(is_it).with_context(|| format!("{named} is not in the archive"))?;
    let live = live.with_context(|| format!("{named} does not exist"))?;
    let (then, now) = (essence(&archived["object"]), essence(live));
    ensure!(then == now, "{named} differs:\nthen {then:#}\nnow  {now:#}");
    let incarnation = if archived["uid"] != live["metadata"]["uid"] {
        "created anew"
    } else if is_replaced(plan, object) {
        "replaced in place"
    } else {
        "never touched"
    };
    let content = text(&archived["contentId"]).chars().take(19).collect::<String>();
    Ok(format!("{named:<42} equals {content}…  ({incarnation})"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vmrewind_testkit::bench::vm;

    use super::*;

    fn machine(memory: &str) -> Value {
        json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "spec": {"memory": memory},
            "metadata": {"name": "a", "namespace": "prod", "uid": "1", "labels": {"app": "a"}},
        })
    }

    fn captured(object: &Value) -> Vec<Value> {
        vec![json!({
            "kind": "VirtualMachine", "namespace": "prod", "name": "a", "uid": "1", "contentId": "sha256:00",
            "object": object,
        })]
    }

    #[test]
    fn the_proof_holds_for_what_equals_the_captured_object_and_says_how_it_came_to_be() {
        let said = |live: &Value, plan: &str| {
            prove(&captured(&machine("2Gi")), &vm("prod", "a"), Some(live), plan).expect("it holds")
        };
        assert!(said(&machine("2Gi"), "").ends_with("(never touched)"));
        let replaced = "  1  replace  VirtualMachine.kubevirt.io/prod/a  as it was";
        assert!(said(&machine("2Gi"), replaced).ends_with("(replaced in place)"));
        let mut anew = machine("2Gi");
        anew["metadata"]["uid"] = json!("2");
        anew["status"] = json!({"ready": true});
        assert!(said(&anew, "").ends_with("(created anew)"));
    }

    #[test]
    fn the_proof_fails_for_an_object_that_was_tampered_with_is_lacking_or_was_never_captured() {
        let failed = |state: &[Value], live: Option<&Value>| {
            prove(state, &vm("prod", "a"), live, "").expect_err("it must fail").to_string()
        };
        let state = captured(&machine("2Gi"));
        assert!(failed(&state, Some(&machine("512Mi"))).contains("differs"));
        assert!(failed(&captured(&machine("512Mi")), Some(&machine("2Gi"))).contains("differs"));
        let mut relabelled = machine("2Gi");
        relabelled["metadata"]["labels"]["app"] = json!("b");
        assert!(failed(&state, Some(&relabelled)).contains("differs"));
        assert!(failed(&state, None).contains("does not exist"));
        assert!(failed(&[], Some(&machine("2Gi"))).contains("not in the archive"));
    }
}
