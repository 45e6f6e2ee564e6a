//! Which objects are never put back.
//!
//! Does not: know the target, or what else is restored.

use serde_json::Value;

use super::core::TOKEN_TYPE;
use crate::{
    kinds::{Capture, kind_row},
    names, template, view,
};

/// Whether an object can be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can.
    Restore,
    /// It never is.
    Skip {
        /// The rule's stable name in kebab-case.
        rule: &'static str,
        /// Why, in a sentence that names no content.
        reason: String,
    },
}

fn skip(rule: &'static str, reason: impl Into<String>) -> Verdict {
    Verdict::Skip { rule, reason: reason.into() }
}

/// Judges an object by itself. Volumes (`PersistentVolume`) pass: whether one is put back depends on where a
/// disk's data come from.
#[must_use]
pub fn verdict(object: &Value) -> Verdict {
    let (group, kind) = view::group_kind(object);
    match kind_row(group, kind).map(|row| row.capture) {
        Some(Capture::Operation) => return skip("operation", "It is an operation: it would run again."),
        Some(Capture::Site) => return skip("site", "It belongs to the cluster it was recorded in."),
        Some(Capture::Always | Capture::ByName) | None => {}
    }
    let is = |known| template::is(object, known);
    if is(names::POD) {
        of_pod(object)
    } else if is(names::VMI) {
        of_instance(object)
    } else if is(names::REVISION) {
        of_revision(object)
    } else if is(names::CLAIM) {
        of_claim(object)
    } else if is(names::SECRET) {
        of_secret(object)
    } else if is(names::CONFIG_MAP) {
        match view::name(object) {
            "kube-root-ca.crt" | "openshift-service-ca.crt" => {
                skip("root-certificates", "The control plane makes it in every namespace.")
            }
            _ => Verdict::Restore,
        }
    } else if is(names::SERVICE_ACCOUNT) {
        of_service_account(object)
    } else {
        Verdict::Restore
    }
}

fn of_pod(pod: &Value) -> Verdict {
    match view::label(pod, names::APP_LABEL) {
        "virt-launcher" => skip("launcher-pod", "virt-controller makes a new one when the machine starts."),
        "hotplug-disk" => skip("hotplug-pod", "virt-controller makes a new one when the disk is plugged in."),
        _ => skip("pod", "Pods are made by what owns them."),
    }
}

fn of_instance(vmi: &Value) -> Verdict {
    let owner = view::owners(vmi).find(|owner| owner.is(names::VM) || owner.is(names::REPLICA_SET));
    owner.map_or(Verdict::Restore, |owner| {
        skip("owned-instance", format!("{} {} makes it again.", owner.kind, owner.name))
    })
}

fn of_revision(revision: &Value) -> Verdict {
    if view::name(revision).starts_with(names::START_REVISION_PREFIX) {
        return skip("start-revision", "It tells what the old instance was started with.");
    }
    if view::owners(revision).any(|owner| owner.is(names::POOL)) {
        return skip("pool-revision", "The pool's controller makes its own.");
    }
    Verdict::Restore
}

fn of_claim(claim: &Value) -> Verdict {
    let temporary = ["prime-", "tmp-pvc-"].iter().any(|prefix| view::name(claim).starts_with(prefix));
    if temporary && view::owners(claim).any(|owner| owner.is(names::CLAIM)) {
        return skip("import-claim", "CDI made it for the time of an import.");
    }
    if !view::label(claim, "restore.kubevirt.io/cleanup-backend-pvc").is_empty() {
        return skip("replaced-state-claim", "A restore had replaced it, and it was waiting to be deleted.");
    }
    Verdict::Restore
}

/// A token that the control plane made has the account's name and a random suffix.
fn of_secret(secret: &Value) -> Verdict {
    let account = view::annotation(secret, "kubernetes.io/service-account.name");
    let made = !account.is_empty() && view::name(secret).starts_with(&format!("{account}-token-"));
    if view::text(secret, "type") == TOKEN_TYPE && made {
        return skip("made-token", "The control plane made it for a service account.");
    }
    Verdict::Restore
}

fn of_service_account(account: &Value) -> Verdict {
    let plain = ["metadata.labels", "metadata.annotations", "imagePullSecrets"]
        .iter()
        .all(|path| view::at(account, path).is_none());
    if view::name(account) == "default" && plain {
        return skip("default-service-account", "The control plane makes it in every namespace.");
    }
    Verdict::Restore
}
