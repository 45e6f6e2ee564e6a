//! Nothing shows a secret unless asked to.

use vmrewind_testkit::build::vm;

use crate::{harness::Story, stories::*};

/// Cloud-init data in clear and as KubeVirt takes it encoded.
const USER_DATA: &str = "#cloud-config\npassword: correct-horse-battery";

pub(crate) fn story() -> Story {
    let volume = serde_json::json!({"name": "ci", "cloudInitNoCloud": {"userData": USER_DATA}});
    let machine = vm("web").push("spec.template.spec.volumes", volume);
    let other = vm("web").push(
        "spec.template.spec.volumes",
        serde_json::json!({"name": "ci", "cloudInitNoCloud": {"userData": format!("{USER_DATA}-two")}}),
    );
    Story::new()
        .added(&tls().annotation(
            "kubectl.kubernetes.io/last-applied-configuration",
            &format!("{{\"data\":\"{STORED_PASSWORD}\"}}"),
        ))
        .added(&machine)
        .modified(&other)
        .modified(&tls().set("data.password", "c2Vjb25kLXBhc3N3b3Jk"))
}

const READS: [&str; 14] = [
    "dump -A",
    "get secret,vm -A -o yaml",
    "get secret,vm -A -o json",
    "get secret,vm -A -o wide",
    "get secret -A -o jsonpath={.items[*].data}",
    "show secret/db-1-tls -n prod",
    "show vm/web -n prod -o json",
    "log -A --all",
    "log -A -o jsonl",
    "diff seq:2 latest -A",
    "diff seq:2 latest -A -o json",
    "diff seq:2 latest -A --all",
    "graph vm/web -n prod",
    "graph vm/web -n prod -o json",
];

/// The planted secrets, as they are stored and as they are meant.
pub(crate) const PLANTED: [&str; 4] = [STORED_PASSWORD, PASSWORD, "correct-horse-battery", "c2Vjb25kLXBhc3N3b3Jk"];

#[test]
fn no_answer_shows_a_secret() {
    let told = story().write();
    for words in READS {
        let ran = told.run(words);
        assert!(ran.code <= 1 && !ran.stdout.is_empty(), "{words}: {}", ran.all());
        for secret in PLANTED {
            assert!(!ran.all().contains(secret), "{words} shows {secret}: {}", ran.all());
        }
    }
}

#[test]
fn the_planted_secrets_are_there_to_be_shown() {
    let told = story().write();
    let dump = told.run("dump -A --show-secrets --at seq:2").stdout;
    assert!(dump.contains(STORED_PASSWORD) && dump.contains("correct-horse-battery"), "{dump}");
    let log = told.run("log -A --show-secrets").stdout;
    assert!(log.contains("c2Vjb25kLXBhc3N3b3Jk"), "{log}");
}

#[test]
fn raw_bytes_of_a_secret_need_the_flag() {
    let told = story().write();
    let ran = told.run("show secret/db-1-tls -n prod --raw");
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(told.run("show secret/db-1-tls -n prod --raw --show-secrets").stdout.contains("c2Vjb25k"));
    let id = told.run("log secret -A -o jsonl").lines()[0]["contentId"].as_str().expect("an id").to_owned();
    assert!(!told.run(&format!("show {id}")).stdout.contains(STORED_PASSWORD));
}
