use proptest::prelude::*;
use serde_json::{Value, json};
use vmrewind_testkit::build::{Build, config_map, dv, pod, revision, secret, vm, vmi};

use super::*;
use crate::edges::tests::any_json;

const SECRET: &str = "PLANTED-7f3a";

fn masked(build: Build) -> (Value, usize) {
    let mut object = build.json();
    let hidden = mask_secrets(&mut object);
    (object, hidden)
}

#[test]
fn values_of_a_secret_are_hidden_and_its_keys_stay() {
    let object = secret("tls").set("data", json!({"a": SECRET, "b": 7})).set("stringData", json!({"c": SECRET}));
    let (object, hidden) = masked(object);
    assert_eq!(object["data"], json!({"a": MASK, "b": MASK}));
    assert_eq!(object["stringData"], json!({"c": MASK}));
    assert_eq!(hidden, 3);
}

#[test]
fn a_config_map_is_shown_but_for_windows_answer_files() {
    let data = json!({"settings": "shown", "Autounattend.xml": SECRET, "unattend.xml": SECRET});
    let (object, hidden) = masked(config_map("c").set("data", data));
    assert_eq!(object["data"], json!({"settings": "shown", "Autounattend.xml": MASK, "unattend.xml": MASK}));
    assert_eq!(hidden, 2);
}

#[test]
fn references_to_secrets_are_shown() {
    let machine = vm("web").with_cloud_init_secret("ci").with_ssh_key("keys").json();
    let mut copy = machine.clone();
    assert_eq!(mask_secrets(&mut copy), 0);
    assert_eq!(copy, machine);
}

#[test]
fn masking_twice_hides_nothing_more() {
    let (mut object, hidden) = masked(vm("web").with_cloud_init(SECRET));
    assert_eq!((hidden, mask_secrets(&mut object)), (1, 0));
}

#[test]
fn a_password_in_an_import_url_is_hidden_and_the_host_is_shown() {
    let url = |url: &str| {
        masked(dv("a").set("spec.source", json!({"http": {"url": url}}))).0["spec"]["source"]["http"]["url"].clone()
    };
    assert_eq!(url(&format!("https://me:{SECRET}@images.test/a@b.img")), format!("https://{MASK}@images.test/a@b.img"));
    assert_eq!(url("https://images.test/a@b.img"), "https://images.test/a@b.img");
    let signed = |mark: char| url(&format!("https://me:{SECRET}@images.test/a.img{mark}X-Amz-Signature={SECRET}"));
    assert_eq!(
        signed('?'),
        format!("https://{MASK}@images.test/a.img?{MASK}"),
        "a signed URL is as good as a password"
    );
    assert_eq!(signed('#'), format!("https://{MASK}@images.test/a.img#{MASK}"));
    assert_eq!(url(&format!("https://images.test?{MASK}")), format!("https://images.test?{MASK}"), "once");
}

/// Objects with a secret in every place that the product knows, each with junk beside it.
fn planted(junk: &Value) -> Vec<Value> {
    let cloud_init = |kind: &str, member: &str| json!({kind: {member: SECRET, "other": junk}});
    let mut all = Vec::new();
    for kind in ["cloudInitNoCloud", "cloudInitConfigDrive"] {
        for member in ["userData", "userDataBase64", "networkData", "networkDataBase64"] {
            all.push(vm("web").with_volume("ci", cloud_init(kind, member)));
            all.push(vmi("web").with_volume("ci", cloud_init(kind, member)));
        }
    }
    let inline = vm("web").with_cloud_init(SECRET).json();
    let applied = "kubectl.kubernetes.io/last-applied-configuration";
    let ignition = "kubevirt.io/ignitiondata";
    let content = Build::namespaced("snapshot.kubevirt.io/v1beta1", "VirtualMachineSnapshotContent", "c");
    let export = Build::namespaced("export.kubevirt.io/v1", "VirtualMachineExport", "e");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret("s").set("data.x", SECRET).json(), junk]});
    let typed = json!({"apiVersion": "v1", "kind": "SecretList", "items": [{"data": {"x": SECRET}}]});
    all.extend([
        secret("s").set("data", json!({"x": SECRET, "deep": {"y": SECRET}})),
        secret("s").set("data", SECRET),
        secret("s").set("stringData", json!({"x": SECRET})),
        secret("s").annotation(applied, SECRET),
        vm("web").annotation(applied, SECRET),
        vmi("web").annotation(ignition, SECRET),
        vm("web").member("spec.template.metadata.annotations", ignition, SECRET),
        config_map("c").set("data", json!({"UNATTEND.XML": SECRET})),
        config_map("c").set("binaryData", json!({"autounattend.xml": SECRET})),
        revision("revision-start-vm-u-1", &vm("web")).set("data", inline.clone()),
        content.set("spec.source.virtualMachine", inline),
        dv("a").set("spec.source", json!({"http": {"extraHeaders": [SECRET, junk]}})),
        dv("a").set("spec.source", json!({"http": {"url": format!("https://u:{SECRET}@x.test/")}})),
        dv("a").annotation("cdi.kubevirt.io/storage.clone.token", SECRET),
        dv("a").annotation("cdi.kubevirt.io/storage.extended.clone.token", SECRET),
        export.set("status.links.external", json!({"token": SECRET, "other": junk})),
        pod("p").set("spec.containers.0.env", json!([{"name": "STANDALONE_VMI", "value": SECRET}, junk])),
        Build::from_json(list),
        Build::from_json(typed),
    ]);
    all.into_iter().map(Build::json).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_planted_secret_survives(junk in any_json()) {
        for mut object in planted(&junk) {
            prop_assert!(object.to_string().contains(SECRET));
            prop_assert!(mask_secrets(&mut object) > 0, "{}", object);
            prop_assert!(!object.to_string().contains(SECRET), "{}", object);
        }
    }
}
