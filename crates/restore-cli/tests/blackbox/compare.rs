//! `diff`.

use crate::{harness::Story, schema, stories::*};

#[test]
fn shows_what_changed_between_two_instants() {
    insta::assert_snapshot!(morning().write().run("diff seq:8 seq:11 vm/db-1 -n prod").all(), @r#"
    --- VirtualMachine.kubevirt.io/prod/db-1 seq:8 (2026-11-22T10:00:10.000008Z)
    +++ VirtualMachine.kubevirt.io/prod/db-1 seq:11 (2026-11-22T10:10:10.000011Z)
    @@ -41,7 +41,7 @@
                   bus: virtio
                 name: db-1-tls
             memory:
    -          guest: 4Gi
    +          guest: 8Gi
           volumes:
           - name: db-1-data
             persistentVolumeClaim:
    [exit status: 1]
    "#);
}

#[test]
fn says_by_its_exit_code_whether_something_differs() {
    let told = morning().write();
    assert_eq!(told.run("diff seq:8 seq:8 -A").code, 0);
    assert_eq!(told.run("diff seq:8 seq:10 vm/db-1 -n prod").code, 0, "status and bookkeeping are noise");
    assert_eq!(told.run("diff seq:8 seq:10 vm/db-1 -n prod --all").code, 1);
    assert_eq!(told.run("diff seq:8 seq:11 -A").code, 1);
    assert!(told.run("diff seq:8 nonsense -A").code > 1);
    assert!(told.run("diff seq:8 seq:11 vm/unknown -n prod").code > 1);
}

#[test]
fn created_and_deleted_objects_are_compared_with_nothing() {
    let ran = morning().write().run("diff seq:11 seq:14 -A");
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("--- VirtualMachine.kubevirt.io/prod/db-1 seq:11"), "{}", ran.stdout);
    assert!(ran.stdout.contains("+++ /dev/null seq:14"), "{}", ran.stdout);
}

#[test]
fn ages_and_named_instants_may_stand_on_both_sides() {
    let ran = morning().write().run("diff -1h50m before-delete vm/db-1 -n prod");
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(ran.stdout.contains("+          guest: 8Gi"), "{}", ran.stdout);
}

#[test]
fn masked_values_are_told_apart_by_numbers() {
    let changed = tls().set("data.password", "c2Vjb25kLXBhc3N3b3Jk");
    let told = Story::new().added(&database()).added(&tls()).modified(&changed).write();
    let ran = told.run("diff seq:2 seq:3 secret/db-1-tls -n prod");
    insta::assert_snapshot!(ran.all(), @r#"
    --- Secret/prod/db-1-tls seq:2 (2026-11-22T10:00:00.000002Z)
    +++ Secret/prod/db-1-tls seq:3 (2026-11-22T10:00:00.000003Z)
    @@ -1,6 +1,6 @@
     apiVersion: v1
     data:
    -  password: "<masked #1>"
    +  password: "<masked #2>"
     kind: Secret
     metadata:
       creationTimestamp: "2026-01-01T00:00:00Z"
    [exit status: 1]
    "#);
}

#[test]
fn json_fits_its_schema() {
    let ran = morning().write().run("diff seq:8 seq:14 -A -o json");
    assert_eq!(ran.code, 1);
    schema::check("diff", &ran.json());
    let fields = morning().write().run("diff seq:8 seq:11 vm -n prod -o json").json();
    assert_eq!(fields["objects"][0]["fields"][0]["path"], "spec.template.spec.domain.memory.guest");
}

#[test]
fn uncertain_sides_are_refused() {
    let ran = gap().write().run("diff 2026-11-22T10:01:00Z 2026-11-22T10:07:00Z vm/db-1 -n prod");
    assert_eq!(ran.code, 6, "{}", ran.all());
}

#[test]
fn live_without_a_cluster_is_an_error_with_a_hint() {
    let ran = morning().write().run("diff seq:8 live vm/db-1 -n prod");
    assert!(ran.code > 1, "{}", ran.all());
    assert!(ran.stderr.contains("no kubeconfig was found") && ran.stderr.contains("Hint:"), "{}", ran.stderr);
}
