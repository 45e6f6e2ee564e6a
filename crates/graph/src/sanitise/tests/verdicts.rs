//! What is put back at all.

use super::*;

#[test]
fn what_others_make_again_is_never_put_back() {
    let machine = vm("web");
    assert_eq!(skip_rule(launcher_pod("virt-launcher-web-x", &vmi("web"))), Some("launcher-pod"));
    assert_eq!(skip_rule(pod("hp").label("kubevirt.io", "hotplug-disk")), Some("hotplug-pod"));
    assert_eq!(skip_rule(pod("other")), Some("pod"));
    assert_eq!(skip_rule(vmi_of(&machine)), Some("owned-instance"));
    assert_eq!(skip_rule(vmi("web-a").owned_by(&replica_set("web"))), Some("owned-instance"));
    assert_eq!(skip_rule(revision("revision-start-vm-uid-2", &machine)), Some("start-revision"));
    assert_eq!(skip_rule(revision("web-1", &pool("web"))), Some("pool-revision"));
    assert_eq!(skip_rule(pvc("prime-1").owned_by(&pvc("root"))), Some("import-claim"));
    assert_eq!(skip_rule(pvc("s").label("restore.kubevirt.io/cleanup-backend-pvc", "x")), Some("replaced-state-claim"));
    assert_eq!(skip_rule(config_map("kube-root-ca.crt")), Some("root-certificates"));
    assert_eq!(skip_rule(service_account("default")), Some("default-service-account"));
    let operation = Build::namespaced("kubevirt.io/v1", "VirtualMachineInstanceMigration", "m");
    assert_eq!(skip_rule(operation), Some("operation"));
    assert_eq!(skip_rule(Build::namespaced("kubevirt.io/v1", "KubeVirt", "kubevirt")), Some("site"));
    let token = secret("robot-token-abcde")
        .set("type", "kubernetes.io/service-account-token")
        .annotation("kubernetes.io/service-account.name", "robot");
    assert_eq!(skip_rule(token), Some("made-token"));
}

#[test]
fn what_users_made_is_put_back() {
    let machine = vm("web");
    let own_token = secret("mine")
        .set("type", "kubernetes.io/service-account-token")
        .annotation("kubernetes.io/service-account.name", "robot");
    let pulling = service_account("default").set("imagePullSecrets", json!([{"name": "pull"}]));
    for object in [
        vmi("alone"),
        vmi("adopted-by-others").owned_by(&config_map("x")),
        revision("web-small-1", &machine),
        machine,
        pvc("root").owned_by(&dv("root")),
        pvc("prime-number"),
        secret("tls"),
        config_map("settings"),
        own_token,
        pulling,
        namespace("prod"),
        pool("web"),
        replica_set("web"),
    ] {
        assert_eq!(skip_rule(object.clone()), None, "{}", object.name());
    }
}
