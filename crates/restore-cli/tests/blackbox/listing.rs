//! `get`, `show` and `dump`.

use serde_json::Value;
use vmrewind_model::Digest;

use crate::{schema, stories::*};

#[test]
fn lists_objects_as_kubectl_does() {
    insta::assert_snapshot!(morning().write().run("get vm -n prod --at 2026-11-22T10:15:00Z").all(), @r#"
    NAME   STATUS    READY   AGE
    db-1   Running           325d
    web    Stopped           325d
    --- stderr
    As of 2026-11-22T10:15:00Z, record 11:
    "#);
}

#[test]
fn lists_several_types_in_all_namespaces() {
    insta::assert_snapshot!(morning().write().run("get vm,pvc,dv,secret -A --at 2026-11-22T10:15:00Z -o wide").all(), @r#"
    NAMESPACE   NAME                              STATUS    READY   RUN      CPU   MEMORY   AGE    SEQ   RV    RECORDED
    prod        virtualmachine.kubevirt.io/db-1   Running           Always   2     8Gi      325d   11    110   2026-11-22T10:10:10.000011Z
    prod        virtualmachine.kubevirt.io/web    Stopped           Halted   2     1Gi      325d   7     107   2026-11-22T10:00:10.000007Z

    NAMESPACE   NAME                              STATUS   VOLUME         CAPACITY   ACCESS MODES   STORAGECLASS   VOLUMEMODE   AGE    SEQ   RV    RECORDED
    prod        persistentvolumeclaim/db-1-data   Bound    pv-db-1-data   10Gi                      fast           Block        325d   3     103   2026-11-22T10:00:10.000003Z
    prod        persistentvolumeclaim/db-1-root   Bound    pv-db-1-root   10Gi                      fast           Block        325d   5     105   2026-11-22T10:00:10.000005Z

    NAMESPACE   NAME                                   PHASE       PROGRESS   RESTARTS   SOURCE     AGE    SEQ   RV    RECORDED
    prod        datavolume.cdi.kubevirt.io/db-1-root   Succeeded   100.0%                registry   325d   4     104   2026-11-22T10:00:10.000004Z

    NAMESPACE   NAME              TYPE     DATA   AGE    SEQ   RV    RECORDED
    prod        secret/db-1-tls   Opaque   1      325d   2     102   2026-11-22T10:00:10.000002Z
    --- stderr
    As of 2026-11-22T10:15:00Z, record 11:
    "#);
}

#[test]
fn finds_types_by_each_of_their_names() {
    let told = morning().write();
    let by = |word: &str| told.run(&format!("get {word} -n prod -o name --at seq:8")).all();
    for word in ["vm", "vms", "virtualmachine", "virtualmachines", "VirtualMachine", "virtualmachines.kubevirt.io"] {
        assert_eq!(by(word), "virtualmachine.kubevirt.io/db-1\nvirtualmachine.kubevirt.io/web\n", "{word}");
    }
    assert_eq!(
        told.run("get vm/db-1 pvc/db-1-data -n prod -o name --at seq:8").all(),
        "virtualmachine.kubevirt.io/db-1\npersistentvolumeclaim/db-1-data\n"
    );
}

#[test]
fn selects_by_label() {
    let told = morning().write();
    assert_eq!(told.run("get vm -A -l app=web -o name --at seq:8").all(), "virtualmachine.kubevirt.io/web\n");
    assert_eq!(told.run("get vm -A -l app!=web -o name --at seq:8").all(), "virtualmachine.kubevirt.io/db-1\n");
}

#[test]
fn fills_json_path_templates() {
    let told = morning().write();
    let ran = told.run_words(&[
        "get",
        "vm",
        "-A",
        "--at",
        "seq:8",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name}={.spec.template.spec.domain.memory.guest}{\"\\n\"}{end}",
    ]);
    assert_eq!(ran.all(), "db-1=4Gi\nweb=1Gi\n\n");
}

#[test]
fn names_an_instant_in_each_way() {
    let told = morning().write();
    let memory = |at: &str| {
        told.run_words(&[
            "get",
            "vm/db-1",
            "-n",
            "prod",
            "--at",
            at,
            "-o",
            "jsonpath={.spec.template.spec.domain.memory.guest}",
        ])
        .stdout
    };
    for (at, expected) in [
        ("2026-11-22T10:05:00Z", "4Gi\n"),
        ("2026-11-22T11:05:00+01:00", "4Gi\n"),
        ("-1h50m", "4Gi\n"),
        ("-1h45m", "8Gi\n"),
        ("seq:6", "4Gi\n"),
        ("seq:11", "8Gi\n"),
        ("rv:106", "4Gi\n"),
        ("rv:110", "8Gi\n"),
        ("before-delete", "8Gi\n"),
    ] {
        assert_eq!(memory(at), expected, "{at}");
    }
}

#[test]
fn before_delete_is_just_before_the_deletion_began() {
    let told = morning().write();
    let ran = told.run("get vm/db-1 -n prod --at before-delete -o json");
    let answer = ran.json();
    schema::check("archived-object", &answer);
    assert_eq!(answer["at"]["seq"], 11);
    assert!(answer["item"]["object"]["metadata"].get("deletionTimestamp").is_none());
}

#[test]
fn a_deleted_object_is_reported_with_the_way_to_see_it() {
    insta::assert_snapshot!(morning().write().run("show vm/db-1 -n prod").all(), @r#"
    --- stderr
    Proven up to 2026-11-22T10:30:00.000014Z (1h29m ago), the oldest being virtualmachines.kubevirt.io.
    Error: VirtualMachine.kubevirt.io/prod/db-1 does not exist at latest (2026-11-22T10:30:00.000014Z).
    Hint: it was deleted at 2026-11-22T10:30:00.000013Z (1h29m ago); use --at before-delete to see it as it was.
    [exit status: 2]
    "#);
}

#[test]
fn shows_one_object_as_yaml() {
    insta::assert_snapshot!(morning().write().run("show vm/web -n prod").stdout, @r#"
    apiVersion: kubevirt.io/v1
    kind: VirtualMachine
    metadata:
      creationTimestamp: "2026-01-01T00:00:00Z"
      generation: 1
      labels:
        app: web
      name: web
      namespace: prod
      resourceVersion: "107"
      uid: virtualmachine-web-uid
    spec:
      runStrategy: Halted
      template:
        metadata:
          labels:
            vm: web
        spec:
          domain:
            cpu:
              cores: 2
            devices: {}
            memory:
              guest: 1Gi
    status:
      printableStatus: Stopped
    "#);
}

#[test]
fn raw_bytes_hash_to_the_content_id() {
    let told = morning().write();
    let line = told.run("log vm/web -n prod -o jsonl").lines().remove(0);
    let id = line["contentId"].as_str().expect("a content id").to_owned();
    let raw = told.run("show vm/web -n prod --raw").stdout;
    assert_eq!(Digest::of(raw.as_bytes()).to_string(), id);
    assert_eq!(told.run(&format!("show {id} --raw")).stdout, raw);
    let unknown = told.run(&format!("show sha256:{}", "0".repeat(64)));
    assert_eq!(unknown.code, 2);
}

#[test]
fn dumps_every_object_on_a_line_of_its_own() {
    let told = morning().write();
    let lines = told.run("dump -A --at seq:8").lines();
    let names: Vec<String> = lines
        .iter()
        .map(|line| {
            format!("{}/{}", line["kind"].as_str().unwrap_or_default(), line["name"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        names,
        [
            "Namespace/prod",
            "VirtualMachine/db-1",
            "PersistentVolumeClaim/db-1-data",
            "PersistentVolumeClaim/db-1-root",
            "DataVolume/db-1-root",
            "Secret/db-1-tls",
            "VirtualMachine/web"
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<Vec<_>>()
    );
    for line in &lines {
        schema::check("dump-line", line);
    }
}

#[test]
fn numbers_keep_their_tokens() {
    let object = vmrewind_testkit::build::vm("odd").set("spec.big", Value::from(u64::MAX)).json().to_string();
    let object =
        object.replace("\"big\":18446744073709551615", "\"big\":123456789012345678901234567890,\"tenth\":0.10");
    let story = crate::harness::Story::new().added_bytes(object.as_bytes());
    let told = story.write();
    for words in ["dump -A", "show vm/odd -n prod -o json", "get vm -n prod -o json", "show vm/odd -n prod --raw"] {
        let shown = told.run(words).stdout;
        assert!(shown.contains("123456789012345678901234567890") && shown.contains("0.10"), "{words}: {shown}");
    }
}

#[test]
fn withheld_objects_are_listed_but_not_shown() {
    let told = crate::harness::Story::new().withheld(&tls()).write();
    assert!(told.run("get secret -n prod").stdout.contains("<withheld>"));
    let ran = told.run("show secret/db-1-tls -n prod");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("its content is withheld"), "{}", ran.stderr);
    schema::check("dump-line", &told.run("dump -A").lines()[0]);
    schema::check("archived-object-list", &told.run("get secret -A -o json").json());
}
