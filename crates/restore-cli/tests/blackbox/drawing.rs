//! `graph`.

use crate::{schema, stories::*};

#[test]
fn draws_what_a_machine_needs() {
    insta::assert_snapshot!(morning().write().run("graph vm/db-1 -n prod --at seq:8").all(), @r#"
    VirtualMachine.kubevirt.io/prod/db-1
    ├─ StorageClass.storage.k8s.io/fast [absent]  spec.dataVolumeTemplates[0].spec.storage.storageClassName
    ├─ VirtualMachineInstance.kubevirt.io/prod/db-1 [absent]  status.created
    ├─ ! PersistentVolumeClaim/prod/db-1-data  spec.template.spec.volumes[0].persistentVolumeClaim.claimName
    │  ├─ StorageClass.storage.k8s.io/fast [absent]  spec.storageClassName
    │  └─ ! PersistentVolume/pv-db-1-data [absent]  spec.volumeName
    ├─ ! PersistentVolumeClaim/prod/db-1-root  spec.template.spec.volumes[1].dataVolume.name
    │  ├─ StorageClass.storage.k8s.io/fast [absent]  spec.storageClassName
    │  └─ ! PersistentVolume/pv-db-1-root [absent]  spec.volumeName
    ├─ DataVolume.cdi.kubevirt.io/prod/db-1-root  spec.dataVolumeTemplates[0].metadata.name, spec.template.spec.volumes[1].dataVolume.name
    │  ├─ StorageClass.storage.k8s.io/fast [absent]  spec.storage.storageClassName
    │  └─ ! PersistentVolumeClaim/prod/db-1-root (see above)  status.claimName
    └─ ! Secret/prod/db-1-tls  spec.template.spec.volumes[2].secret.secretName
    4 missing, 2 of them needed for it to work.
    "#);
}

#[test]
fn draws_what_needs_a_secret() {
    insta::assert_snapshot!(morning().write().run("graph secret/db-1-tls -n prod --at seq:8 --reverse").all(), @r#"
    Secret/prod/db-1-tls
    └─ ! VirtualMachine.kubevirt.io/prod/db-1  spec.template.spec.volumes[2].secret.secretName
    "#);
}

#[test]
fn missing_objects_stay_in_the_drawing() {
    let story = crate::harness::Story::new().added(&vmrewind_testkit::build::vm("web")).added(&database());
    let ran = story.write().run("graph vm/db-1 -n prod --at seq:2");
    assert!(ran.stdout.contains("PersistentVolumeClaim/prod/db-1-data [absent]"), "{}", ran.all());
    assert!(ran.stdout.contains("Secret/prod/db-1-tls [unknown]"), "{}", ran.all());
    assert!(ran.stdout.contains("missing"), "{}", ran.all());
}

#[test]
fn every_format_holds_every_object() {
    let told = morning().write();
    let graph = told.run("graph vm/db-1 -n prod --at seq:8 -o json").json();
    schema::check("graph", &graph);
    let nodes = graph["nodes"].as_array().expect("nodes").len();
    assert!(nodes > 3);
    let dot = told.run("graph vm/db-1 -n prod --at seq:8 -o dot").stdout;
    assert_eq!(dot.lines().filter(|line| line.contains("[label=")).count(), nodes, "{dot}");
    let mermaid = told.run("graph vm/db-1 -n prod --at seq:8 -o mermaid").stdout;
    assert_eq!(mermaid.lines().filter(|line| line.contains("[\"")).count(), nodes, "{mermaid}");
}

#[test]
fn an_object_that_is_not_there_is_an_error() {
    let ran = morning().write().run("graph vm/db-9 -n prod --at seq:8");
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("did you mean db-1?"), "{}", ran.stderr);
}
