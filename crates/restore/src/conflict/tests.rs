use serde_json::json;

use super::*;

#[test]
fn says_what_cannot_be_changed() {
    let claim = ObjectKey::new("", "PersistentVolumeClaim", "a", "b");
    let paths = |all: &[&str]| all.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
    assert_eq!(immutable(&claim, &paths(&["spec.storageClassName"]), &json!({})), Some("spec.storageClassName"));
    assert_eq!(immutable(&claim, &paths(&["metadata.labels.x", "spec.resources.requests.storage"]), &json!({})), None);
    let secret = ObjectKey::new("", "Secret", "a", "b");
    assert_eq!(immutable(&secret, &paths(&["data.k"]), &json!({"immutable": true})), Some("data.k"));
    assert_eq!(immutable(&secret, &paths(&["data.k"]), &json!({})), None);
}

#[test]
fn a_running_machines_template_takes_effect_at_its_next_start() {
    let vm = ObjectKey::new("kubevirt.io", "VirtualMachine", "a", "b");
    let paths = ["spec.template.spec.domain.memory.guest".to_owned(), "metadata.labels.x".to_owned()];
    let when = |runs| effects(&vm, &paths, runs).into_iter().map(|effect| effect.when).collect::<Vec<_>>();
    assert_eq!(when(true), ["restart", "now"]);
    assert_eq!(when(false), ["now", "now"]);
}
