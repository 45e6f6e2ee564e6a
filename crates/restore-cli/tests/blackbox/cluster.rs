//! `plan`, `restore`, `apply`, `undo` and `diff live` against a real control plane.

use serde_json::json;
use vmrewind_testkit::build::secret;

use crate::{
    harness::Story,
    schema, secrets,
    site::{Site, machine, newest_journal, story},
};

#[test]
fn a_deleted_machine_is_planned_restored_found_unchanged_and_taken_back() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let restore = "restore vm/app -n prod --at before-delete";

    let plan = site.run(&told, "plan vm/app -n prod --at before-delete");
    assert_eq!(plan.code, 0, "{}", plan.all());
    assert!(
        plan.stdout.contains("create") && plan.stdout.contains("VirtualMachine.kubevirt.io/prod/app"),
        "{}",
        plan.stdout
    );
    let shown = plan.stdout.replace(&site.uid, "[CLUSTER]");
    insta::with_settings!({filters => vec![("Plan [0-9a-f]{12}", "Plan [ID]")]}, {
        insta::assert_snapshot!(shown, @r#"
        Plan [ID]: 2 create
          from  2026-11-22T10:00:00.000005Z (1h59m ago), record 5 of archive 01234567-89ab-4def-8123-456789abcdef
          to    cluster [CLUSTER] (the cluster it was captured from, v1.36.3)

        Steps, in this order
          #   ACTION   OBJECT                                REMARK
          1   create   Secret/prod/app-key                   4 changes to what was captured (-v lists them)
          2   create   VirtualMachine.kubevirt.io/prod/app   6 changes to what was captured (-v lists them)

        Identities that change or collide
          MACHINE    FIELD           BEFORE    AFTER                                  ALSO USED BY
          prod/app   firmware UUID   (unset)   df486514-42bf-5c4a-a715-6692a5c39bba
        "#);
    });
    assert!(plan.stderr.contains(&format!("cluster {}", site.uid)), "the target is named: {}", plan.stderr);

    for dry in ["client", "server"] {
        let ran = site.run(&told, &format!("{restore} --dry-run {dry}"));
        assert_eq!(ran.code, 0, "{}", ran.all());
        assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
    }
    let asked = site.run(&told, restore);
    assert_eq!(asked.code, 2, "{}", asked.all());
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    assert_eq!(site.machine(), None, "nothing was done so far");

    let ran = site.run(&told, &format!("{restore} --yes"));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.stdout.contains("Verified:"), "{}", ran.stdout);
    let back = site.machine().expect("the machine");
    for path in ["/spec/runStrategy", "/spec/template/spec/volumes", "/spec/template/spec/domain/memory"] {
        assert_eq!(back.pointer(path), machine().json().pointer(path), "{path}");
    }
    assert!(site.get("", "Secret", "app-key").is_some());

    let again = site.run(&told, &format!("{restore} --yes -o json"));
    assert_eq!(again.code, 0, "{}", again.all());
    schema::check("restore-outcome", &again.json());
    assert_eq!(again.json()["done"], 0);

    let live = site.run(&told, "diff before-delete live vm/app -n prod");
    assert!(live.code <= 1, "{}", live.all());

    let id = newest_journal(&site, &told);
    let undone = site.run(&told, &format!("undo {id} --yes -o json"));
    assert_eq!(undone.code, 0, "{}", undone.all());
    schema::check("undo-outcome", &undone.json());
    site.wait_until_gone("kubevirt.io", "VirtualMachine", "app");
    site.wait_until_gone("", "Secret", "app-key");
}

#[test]
fn a_plan_file_is_carried_out_as_it_is_or_not_at_all() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let file = told.file("plan.json");
    let planned = site.run(&told, &format!("plan vm/app -n prod --at before-delete -o {file}"));
    assert_eq!(planned.code, 0, "{}", planned.all());

    site.create(&secret("app-key").to_post());
    let drifted = site.run(&told, &format!("apply -f {file} --yes"));
    assert_eq!(drifted.code, 4, "{}", drifted.all());
    assert!(drifted.stderr.contains("app-key"), "{}", drifted.stderr);
    assert_eq!(site.machine(), None);
    let dry = site.run(&told, &format!("apply -f {file} --dry-run=server"));
    assert_eq!(dry.code, 4, "a dry run says what the real one would: {}", dry.all());
    let list = site.run(&told, "undo -o json").json();
    assert_eq!(list["items"], json!([]), "a restore that never began leaves no journal");

    site.delete("", "Secret", "app-key");
    let applied = site.run(&told, &format!("apply -f {file} --yes -o json"));
    assert_eq!(applied.code, 0, "{}", applied.all());
    schema::check("restore-outcome", &applied.json());
    assert_eq!(applied.json()["verified"], true);
    assert!(site.machine().is_some());

    let other = story().write_for("another-cluster");
    let plan = site.run(&told, "plan vm/app -n prod --at before-delete -o json").stdout;
    std::fs::write(&file, plan.replace("\"uuid\"", "\"uuid \"")).expect("written");
    let broken = site.run(&other, &format!("apply -f {file} --yes"));
    assert_eq!(broken.code, 7, "{}", broken.all());
}

#[test]
fn what_exists_and_differs_is_touched_only_on_request_and_put_back_by_undo() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let mut changed = machine().set("spec.template.spec.domain.memory.guest", "2Gi").to_post();
    changed["metadata"]["labels"] = json!({"by": "hand"});
    site.create(&changed);
    site.create(&secret("app-key").to_post());
    let memory = || site.machine().expect("there")["spec"]["template"]["spec"]["domain"]["memory"]["guest"].clone();

    let restore = "restore vm/app -n prod --at before-delete --yes";
    let refused = site.run(&told, restore);
    assert_eq!(refused.code, 5, "{}", refused.all());
    assert_eq!(memory(), "2Gi");
    let skipped = site.run(&told, &format!("{restore} --on-conflict skip"));
    assert_eq!((skipped.code, memory()), (0, "2Gi".into()), "{}", skipped.all());

    let replaced = site.run(&told, &format!("{restore} --on-conflict replace"));
    assert_eq!(replaced.code, 0, "{}", replaced.all());
    assert!(replaced.stdout.contains("When changes take effect"), "{}", replaced.stdout);
    assert_eq!(memory(), "1Gi");
    let id = newest_journal(&site, &told);
    let undone = site.run(&told, &format!("undo {id} --yes"));
    assert_eq!(undone.code, 0, "{}", undone.all());
    assert_eq!(memory(), "2Gi");
    assert_eq!(site.machine().expect("there")["metadata"]["labels"]["by"], "hand");
}

#[test]
fn what_cannot_be_done_safely_is_refused_with_a_way_out() {
    let site = Site::start();
    let told = story().write_for(&site.uid);

    let lost = site.run(&told, "restore vm/disk -n prod --at before-delete --yes");
    assert_eq!(lost.code, 1, "{}", lost.all());
    let shown = lost.stdout.replace(&site.uid, "[CLUSTER]");
    insta::with_settings!({filters => vec![("Plan [0-9a-f]{12}", "Plan [ID]")]}, {
        insta::assert_snapshot!(shown, @r#"
        Plan [ID]: 1 create, 1 refuse; data of volumes: 1 none; REFUSED for 1 reason
          from  2026-11-22T10:01:00.000007Z (1h58m ago), record 7 of archive 01234567-89ab-4def-8123-456789abcdef
          to    cluster [CLUSTER] (the cluster it was captured from, v1.36.3)

        Volumes: where the data comes from
          MACHINE   VOLUME      CLAIM            DATA   WHY
          disk      disk-data   prod/disk-data   none   the claim is gone, so its data cannot be shown to exist

        Steps, in this order
          #   ACTION   OBJECT                                 REMARK
          1   refuse   PersistentVolumeClaim/prod/disk-data   the claim is gone, so its data cannot be shown to exist
          2   create   VirtualMachine.kubevirt.io/prod/disk   6 changes to what was captured (-v lists them)

        Identities that change or collide
          MACHINE     FIELD           BEFORE    AFTER                                  ALSO USED BY
          prod/disk   firmware UUID   (unset)   221efc1c-d97b-5bf8-a0bb-f6800a32c466

        Why this cannot be carried out
          PersistentVolumeClaim/prod/disk-data: volume disk-data of VirtualMachine disk (claim disk-data): the claim is gone, so its data cannot be shown to exist
            Hint: Choose --volumes keep,disk/disk-data=blank (an empty disk), or create the claim with its data yourself.
        "#);
    });
    assert!(lost.stdout.contains("disk-data") && lost.stdout.contains("Hint:"), "{}", lost.stdout);

    let nowhere = site.run(&told, "restore vm/app -n prod --at before-delete --namespace-map prod=test --yes");
    assert_eq!(nowhere.code, 1, "{}", nowhere.all());
    assert!(nowhere.stdout.contains("--create-namespace"), "{}", nowhere.stdout);

    let kubeconfig = site.plane.kubeconfig_of("reader").display().to_string();
    let forbidden =
        told.run_words(&["plan", "vm/app", "-n", "prod", "--at", "before-delete", "--kubeconfig", &kubeconfig]);
    assert_eq!(forbidden.code, 8, "{}", forbidden.all());
    assert!(forbidden.stderr.contains("forbidden") && forbidden.stderr.contains("Hint:"), "{}", forbidden.stderr);

    let unknown = told.run_words(&[
        "plan",
        "vm/app",
        "-n",
        "prod",
        "--at",
        "before-delete",
        "--kubeconfig",
        &kubeconfig,
        "--context",
        "x",
    ]);
    assert_eq!(unknown.code, 2, "{}", unknown.all());
    assert!(unknown.stderr.contains("no context \"x\""), "{}", unknown.stderr);
}

#[test]
fn neither_a_plan_nor_a_restore_nor_its_undo_shows_a_secret() {
    let site = Site::start();
    let told = secrets::story().write_for(&site.uid);
    let what = "secret/db-1-tls vm/web -n prod -v";
    let calls = ["plan -o json", "plan", "restore --yes", "undo --yes"];
    for call in calls {
        let (verb, flags) = call.split_once(' ').unwrap_or((call, ""));
        let id = if verb == "undo" { format!("{} -v", newest_journal(&site, &told)) } else { what.to_owned() };
        let ran = site.run(&told, format!("{verb} {id} {flags}").trim_end());
        assert_eq!(ran.code, 0, "{call}: {}", ran.all());
        assert!(ran.all().contains("db-1-tls"), "{call}: {}", ran.all());
        for secret in secrets::PLANTED {
            assert!(!ran.all().contains(secret), "{call} shows {secret}: {}", ran.all());
        }
    }
}

#[test]
fn a_copy_goes_into_another_namespace_with_a_new_identity() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let ran = site.run(
        &told,
        "restore vm/app -n prod --at before-delete --namespace-map test --create-namespace --run-strategy Halted --yes",
    );
    assert_eq!(ran.code, 0, "{}", ran.all());
    let target = site.types.by_kind("kubevirt.io", "VirtualMachine").expect("served").target(Some("test"));
    let copy = site.runtime.block_on(site.cluster.get(&target, "app")).expect("an answer");
    assert!(copy.is_some(), "{}", ran.all());
    assert_eq!(site.machine(), None, "the original stays away");
}

#[test]
fn a_restore_is_carried_out_although_nobody_reads_what_it_says() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let kubeconfig = site.plane.kubeconfig().display().to_string();
    let script = format!(
        "set -o pipefail; {} restore vm/app -n prod --at before-delete --yes --archive {} --kubeconfig {kubeconfig} \
         --journal-dir {} 2>&1 | true",
        env!("CARGO_BIN_EXE_kubectl-vmrewind"),
        told.place().display(),
        told.file("journals"),
    );
    let status = std::process::Command::new("bash").args(["-c", &script]).status().expect("bash");
    assert_eq!(status.code(), Some(0));
    assert!(site.machine().is_some(), "the exit code 0 means that it was restored");
}

#[test]
fn undo_needs_no_archive_and_a_namespace_that_stays_is_no_failure() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let ran = site.run(
        &told,
        "restore vm/app -n prod --at before-delete --namespace-map test --create-namespace --run-strategy Halted --yes",
    );
    assert_eq!(ran.code, 0, "{}", ran.all());
    let id = newest_journal(&site, &told);
    let undone = site.run(&told, &format!("undo {id} --yes --archive {}", told.file("nowhere")));
    assert_eq!(undone.code, 0, "{}", undone.all());
    assert!(undone.stderr.contains("Namespace/test stays") && !undone.stderr.contains("FAILED"), "{}", undone.stderr);
}

#[test]
fn what_is_said_and_what_is_shown_come_in_one_order() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let kubeconfig = site.plane.kubeconfig().display().to_string();
    let script = format!(
        "{} restore vm/app -n prod --at before-delete --yes --archive {} --kubeconfig {kubeconfig} --journal-dir {} 2>&1",
        env!("CARGO_BIN_EXE_kubectl-vmrewind"),
        told.place().display(),
        told.file("journals"),
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash");
    let text = String::from_utf8(output.stdout).expect("text");
    let places: Vec<Option<usize>> =
        ["Target:", "Plan ", "Journal ", ": done", "Restored", "Verified", "To take it back"]
            .map(|word| text.find(word))
            .into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in\n{text}");
}

#[test]
fn a_dependency_that_was_deleted_first_is_named_with_an_instant_that_has_it() {
    let site = Site::start();
    let told = Story::new()
        .added(&vmrewind_testkit::build::namespace("prod"))
        .added(&secret("app-key"))
        .added(&machine())
        .commit()
        .wait(60)
        .deleted(&secret("app-key"))
        .deleted(&machine())
        .write_for(&site.uid);
    let ran = site.run(&told, "plan vm/app -n prod --at before-delete");
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(ran.stdout.contains("Needed, but not there at that instant"), "{}", ran.stdout);
    let hint = ran.stdout.lines().find(|line| line.contains("Hint:")).expect("a hint").trim().to_owned();
    assert!(ran.stdout.contains("it was deleted at 2026-11-22T10:01:00.000004Z (record 4)"), "{}", ran.all());
    let first = "kubectl vmrewind restore secret/app-key -n prod --at seq:3";
    assert_eq!(
        hint,
        format!(
            "Hint: Run `{first}` first, then this again, or restore everything as it was before that with --at seq:3, \
             or go on without it with --allow-missing."
        )
    );
    assert_eq!(ran.all().matches("Hint:").count(), 2, "one for the refusal, one for the end: {}", ran.all());
    assert!(!ran.all().contains("elect it too") && !ran.all().contains("still there"), "{}", ran.all());
    // Both ways work as they are written.
    assert_eq!(site.run(&told, "plan vm/app -n prod --at seq:3").code, 0);
    let back = site.run(&told, &format!("{} --yes", first.trim_start_matches("kubectl vmrewind ")));
    assert_eq!(back.code, 0, "{}", back.all());
    let file = told.file("plan.json");
    let plan = site.run(&told, &format!("plan vm/app -n prod --at before-delete -o {file}"));
    assert_eq!(plan.code, 0, "{}", plan.all());
    let applied = site.run(&told, &format!("apply -f {file} --yes"));
    assert_eq!(applied.code, 0, "{}", applied.all());
}

#[test]
fn a_namespace_by_name_says_that_it_comes_empty() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let ran = site.run(&told, "plan ns/prod --at seq:1");
    assert!(ran.stderr.contains("comes without what was in it"), "{}", ran.all());
}

#[test]
fn a_dry_run_that_the_server_would_refuse_is_not_done() {
    let site = Site::start();
    let told = Story::new()
        .added(&vmrewind_testkit::build::namespace("prod"))
        .added(&secret("app-key"))
        .commit()
        .wait(60)
        .deleted(&secret("app-key"))
        .write_for(&site.uid);
    let kubeconfig = site.plane.kubeconfig_of("looker").display().to_string();
    for verb in ["plan", "restore --yes"] {
        let words = format!("{verb} secret/app-key -n prod --at before-delete --kubeconfig {kubeconfig}");
        let ran = told.run(&format!("{words} --dry-run=server"));
        assert_eq!(ran.code, 1, "{}", ran.all());
        assert!(ran.stdout.contains("THE SERVER WOULD REFUSE IT"), "{}", ran.all());
        assert!(ran.stderr.contains("the server would refuse 1 step"), "{}", ran.all());
    }
}
