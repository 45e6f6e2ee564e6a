//! Namespaces, Secrets and ServiceAccounts: what the control plane fills in.
//!
//! Does not: judge whether a Secret may be read.

use serde_json::Value;

use super::Rule;
use crate::{edit::Edit, view};

const NAMESPACE: Rule = Rule {
    id: "namespace-server-fields",
    reason: "the server sets it when the namespace is created",
    source: "kubernetes/kubernetes: pkg/registry/core/namespace/strategy.go",
};

const TOKEN: Rule = Rule {
    id: "service-account-token",
    reason: "the server issues a new token for the new account",
    source: "vmware-tanzu/velero: pkg/restore/actions/secret_action.go",
};

const TOKEN_REFERENCE: Rule = Rule {
    id: "service-account-token-reference",
    reason: "it names a token that the server made for the old account",
    source: "vmware-tanzu/velero: pkg/restore/actions/service_account_action.go",
};

pub(super) const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

pub(super) fn sanitise_namespace(edit: &mut Edit<'_>) {
    edit.remove_keys(&NAMESPACE, "metadata.labels", |key| key == "kubernetes.io/metadata.name");
    edit.remove_items(&NAMESPACE, "spec.finalizers", |item| item == "kubernetes");
    edit.remove_if(&NAMESPACE, "spec", |spec| spec.as_object().is_some_and(serde_json::Map::is_empty));
}

pub(super) fn sanitise_secret(edit: &mut Edit<'_>) {
    if view::text(edit.object, "type") == TOKEN_TYPE {
        edit.remove_keys(&TOKEN, "metadata.annotations", |key| key == "kubernetes.io/service-account.uid");
        edit.remove_keys(&TOKEN, "data", |key| matches!(key, "token" | "ca.crt" | "namespace"));
    }
}

pub(super) fn sanitise_service_account(edit: &mut Edit<'_>) {
    let prefix = format!("{}-token-", view::name(edit.object));
    edit.remove_items(&TOKEN_REFERENCE, "secrets", |item: &Value| view::text(item, "name").starts_with(&prefix));
}
