use serde_json::json;

use super::*;

#[test]
fn builds_a_running_machine_with_a_secret() {
    let vm = vm("web").running().with_secret("tls").json();
    assert_eq!(vm["spec"]["runStrategy"], "Always");
    assert_eq!(vm["spec"]["template"]["spec"]["volumes"], json!([{"name": "tls", "secret": {"secretName": "tls"}}]));
    assert_eq!(vm["metadata"]["namespace"], "prod");
}

#[test]
fn writes_below_the_instance_spec_of_each_kind() {
    for (build, path) in [
        (vm("a"), "/spec/template/spec/volumes/0/name"),
        (vmi("a"), "/spec/volumes/0/name"),
        (replica_set("a"), "/spec/template/spec/volumes/0/name"),
        (pool("a"), "/spec/virtualMachineTemplate/spec/template/spec/volumes/0/name"),
    ] {
        assert_eq!(build.with_pvc("disk").json().pointer(path), Some(&json!("disk")), "{path}");
    }
}

#[test]
fn a_posted_object_has_nothing_that_the_server_sets() {
    let object = vm("web").running().managed_by("kubectl").to_post();
    assert_eq!(object["metadata"], json!({"name": "web", "namespace": "prod"}));
    assert!(object.get("status").is_none());
}

#[test]
fn a_built_object_can_be_recorded() {
    let head = launcher_pod("virt-launcher-web", &vmi("web")).raw().head().expect("head");
    assert_eq!(head.key.to_string(), "Pod/prod/virt-launcher-web");
    assert_eq!(head.owners[0].uid, "virtualmachineinstance-web-uid");
}
