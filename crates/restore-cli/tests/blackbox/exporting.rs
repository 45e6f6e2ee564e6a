//! `export`: YAML for kubectl, our own tarball, a Velero backup; what is refused, left out, or not certain.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use vmrewind_model::ObjectKey;
use vmrewind_testkit::build::{Build, dv, pvc, secret, vm};

use crate::{
    harness::{Ran, Story, Told},
    schema, secrets,
    site::{Site, story},
    stories::*,
};

pub(crate) fn ran(told: &Told, words: &str, code: i32) -> Ran {
    let ran = told.run(words);
    assert_eq!(ran.code, code, "{words}: {}", ran.all());
    ran
}

/// The files of a tarball, by path.
pub(crate) fn unpack(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let reader: Box<dyn Read> = if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::read::GzDecoder::new(bytes))
    } else {
        Box::new(zstd::stream::read::Decoder::new(bytes).expect("zstd"))
    };
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(reader).entries().expect("a tarball") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        assert!(files.insert(path, content).is_none(), "a path twice");
    }
    files
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The machine of the morning with all that it needs, before it was deleted.
const DB: &str = "export vm/db-1 -n prod --at 2026-11-22T10:15:00Z";

#[test]
fn one_machine_as_yaml_comes_in_the_order_in_which_kubectl_can_apply_it() {
    let told = morning().write();
    let ran = ran(&told, &format!("{DB} --format yaml --show-secrets"), 0);
    let kinds: Vec<&str> = ran.stdout.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert_eq!(kinds.last(), Some(&"VirtualMachine"), "{}", ran.stdout);
    assert!(kinds.contains(&"Secret") && kinds.contains(&"PersistentVolumeClaim"), "{kinds:?}");
    let place = |kind: &str| kinds.iter().position(|other| *other == kind).expect(kind);
    assert!(place("Secret") < place("PersistentVolumeClaim"));
    for gone in ["resourceVersion:", "uid:", "managedFields:", "creationTimestamp:", "status:"] {
        assert!(!ran.stdout.lines().any(|line| line.trim_start().starts_with(gone)), "{gone}: {}", ran.stdout);
    }
    let head: Vec<&str> = ran.stdout.lines().take_while(|line| line.starts_with('#')).collect();
    let head = head.join("\n");
    for told in ["01234567-89ab-4def-8123-456789abcdef", "[ARCHIVE]", "2026-11-22T10:15:00Z, record", "EMPTY disks"] {
        assert!(head.contains(told), "{told}: {head}");
    }
    assert!(ran.stdout.contains(STORED_PASSWORD));
    let alone = told.run(&format!("{DB} --format yaml --no-graph"));
    assert_eq!((alone.code, alone.stdout.matches("\nkind: ").count()), (0, 1), "{}", alone.all());
    let raw = told.run(&format!("{DB} --format yaml --no-graph --raw"));
    assert!(raw.stdout.contains("resourceVersion:"), "{}", raw.all());
}

#[test]
fn a_claim_that_an_import_makes_again_is_left_out_and_named() {
    let disk = dv("root");
    let made = pvc("root").owned_by(&disk);
    let told = Story::new().wait(5).added(&disk).added(&made).added(&pvc("data")).commit().wait(60).write();
    let ran = ran(&told, "export -n prod --format yaml", 0);
    assert!(ran.stdout.contains("#   PersistentVolumeClaim/prod/root: imported"), "{}", ran.stdout);
    assert!(ran.stdout.contains("#   PersistentVolumeClaim/prod/data\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("Left out: PersistentVolumeClaim/prod/root"), "{}", ran.stderr);
}

#[test]
fn no_file_holds_masked_values_and_none_holds_secrets_unless_asked() {
    let told = secrets::story().write();
    for format in ["yaml", "yaml --raw", "tar", "velero"] {
        let path = told.file("refused");
        let ran = ran(&told, &format!("export -A --format {format} -f {path}"), 1);
        assert!(ran.stderr.contains("--show-secrets") && !Path::new(&path).exists(), "{}", ran.all());
    }
    let ran = ran(&told, "export -n prod --format yaml --at seq:1 --without-secrets", 2);
    assert!(ran.stderr.contains("nothing to export"), "{}", ran.all());
    let told = morning().write();
    let ran = told.run(&format!("{DB} --format yaml --without-secrets"));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(
        ran.stdout.contains("#   Secret/prod/db-1-tls: a Secret") && !ran.stdout.contains("(masked)"),
        "{}",
        ran.all()
    );
    for planted in secrets::PLANTED {
        assert!(!ran.all().contains(planted), "{}", ran.all());
    }
}

#[test]
fn our_tarball_holds_the_exact_bytes_and_the_same_question_gives_the_same_file() {
    let told = morning().write();
    let (one, two, gz) = (told.file("one.tar.zst"), told.file("two.tar.zst"), told.file("three.tar.gz"));
    for path in [&one, &two, &gz] {
        ran(&told, &format!("export -A --format tar --show-secrets -f {path}"), 0);
    }
    let bytes = fs::read(&one).expect("written");
    assert_eq!(bytes, fs::read(&two).expect("written"));
    assert_eq!(fs::metadata(&one).expect("written").permissions().mode() & 0o777, 0o600);
    let files = unpack(&bytes);
    assert_eq!(files, unpack(&fs::read(&gz).expect("written")));
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    schema::check("archive-export", &manifest);
    let dump = lines(&told.run("dump -A --show-secrets").stdout);
    assert_eq!((files.len() - 1, manifest["objects"].as_array().map(Vec::len)), (dump.len(), Some(dump.len())));
    for (line, held) in dump.iter().zip(manifest["objects"].as_array().expect("objects")) {
        assert_eq!((&held["contentId"], &held["uid"]), (&line["contentId"], &line["uid"]));
        let content = &files[held["path"].as_str().expect("a path")];
        assert_eq!(vmrewind_model::Digest::of(content).to_string(), line["contentId"].as_str().expect("an id"));
    }
    assert_eq!(manifest["missing"][0]["presence"], "absent", "the ConfigMap that was looked for");
    let proven = |resource: &Value| resource["provenAt"].is_string();
    assert!(manifest["resources"].as_array().expect("resources").iter().all(proven), "{manifest}");
    let part = told.file("part.tar.zst");
    ran(&told, &format!("{DB} --format tar --show-secrets -f {part}"), 0);
    let manifest: Value =
        serde_json::from_slice(&unpack(&fs::read(&part).expect("written"))["manifest.json"]).expect("JSON");
    schema::check("archive-export", &manifest);
    assert!(
        !manifest["resources"].as_array().expect("resources").iter().any(proven),
        "a part proves nothing: {manifest}"
    );
}

#[test]
fn standard_output_gets_the_very_bytes_of_the_file() {
    let told = morning().write();
    for (format, name) in [("tar", "one.tar.zst"), ("velero", "one.tar.gz"), ("yaml", "one.yaml")] {
        let path = told.file(name);
        let words = format!("export -A --format {format} --show-secrets");
        ran(&told, &format!("{words} -f {path}"), 0);
        let mut command = told.command();
        let output = command.args(words.split(' ')).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, fs::read(&path).expect("written"), "{format}");
        let full = fs::File::options().write(true).open("/dev/full").expect("a full device");
        let mut command = told.command();
        let output = command.args(words.split(' ')).stdout(full).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(8) && !said.contains("written to standard output"), "{format}: {said}");
    }
}

#[test]
fn the_name_of_a_claim_adds_no_document() {
    let evil = "x\u{2028}---\u{2028}kind: Evil\u{2029}\u{85}---";
    let machine = vm("evil")
        .set("spec.template.spec.volumes", json!([{"name": "v", "persistentVolumeClaim": {"claimName": evil}}]));
    let told = Story::new().wait(5).added(&machine).commit().wait(60).write();
    let ran = ran(&told, "export vm/evil -n prod --format yaml --allow-gaps", 0);
    assert!(ran.stdout.contains("kind: Evil"), "{}", ran.stdout);
    assert!(ran.stderr.contains("Named, and not here: PersistentVolumeClaim/prod/x --- kind: Evil"), "{}", ran.stderr);
    assert!(!ran.all().contains(['\u{2028}', '\u{2029}', '\u{85}']), "{:?}", ran.all());
    assert_eq!(ran.stdout.lines().filter(|line| line.starts_with("---")).count(), 1, "{}", ran.stdout);
}

#[test]
fn a_velero_backup_has_the_layout_that_velero_reads() {
    let told = morning().write();
    let path = told.file("monday");
    ran(&told, &format!("{DB} --format velero --show-secrets -f {path}"), 0);
    let file = |name: &str| fs::read(Path::new(&path).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let tarball = file("monday.tar.gz");
    let files = unpack(&tarball);
    assert_eq!(files["metadata/version"], b"1.1.0\n");
    let machine = "resources/virtualmachines.kubevirt.io/namespaces/prod/db-1.json";
    let preferred = "resources/virtualmachines.kubevirt.io/v1-preferredversion/namespaces/prod/db-1.json";
    assert_eq!(files[machine], files[preferred]);
    assert!(files.contains_key("resources/secrets/namespaces/prod/db-1-tls.json"), "{:?}", files.keys());
    let object: Value = serde_json::from_slice(&files[machine]).expect("JSON");
    assert_eq!(object["metadata"]["name"], "db-1");
    let backup: Value = serde_json::from_slice(&file("velero-backup.json")).expect("JSON");
    assert_eq!(
        (&backup["kind"], &backup["metadata"]["name"], &backup["status"]["phase"], &backup["status"]["formatVersion"]),
        (&json!("Backup"), &json!("monday"), &json!("Completed"), &json!("1.1.0"))
    );
    assert_eq!(backup["status"]["completionTimestamp"], "2026-11-22T10:15:00Z");
    let mut list = String::new();
    let zipped = file("monday-resource-list.json.gz");
    flate2::read::GzDecoder::new(&zipped[..]).read_to_string(&mut list).expect("gzip");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["kubevirt.io/v1/VirtualMachine"], json!(["prod/db-1"]));
    assert_eq!(list["v1/Secret"], json!(["prod/db-1-tls"]));
    let alone = told.file("alone.tar.gz");
    ran(&told, &format!("{DB} --format velero --show-secrets -f {alone}"), 0);
    assert_eq!(fs::read(&alone).expect("written"), tarball, "the same question gives the same bytes");
    let upper = told.file("Monday");
    ran(&told, &format!("{DB} --format velero --show-secrets -f {upper}"), 2);
}

#[test]
fn a_velero_backup_says_what_is_not_certain_left_out_or_not_here() {
    let told =
        gap().withheld(&secret("hidden")).absent(ObjectKey::new("", "ConfigMap", "prod", "none")).commit().write();
    let path = told.file("part");
    let words = "export -A --allow-gaps --without-secrets --format";
    let ran_ = ran(&told, &format!("{words} velero -f {path}"), 0);
    let zipped = |name: &str| {
        let mut text = String::new();
        let bytes = fs::read(Path::new(&path).join(format!("part-{name}.gz"))).expect("written");
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
        text
    };
    let tar_path = told.file("part.tar.zst");
    let same = ran(&told, &format!("{words} tar -f {tar_path}"), 0);
    let yaml = ran(&told, &format!("{words} yaml"), 0);
    for said in [&ran_, &same, &yaml] {
        assert!(
            said.stderr.contains("Named, and not here: Secret/prod/hidden: its content is not recorded"),
            "{}",
            said.all()
        );
        assert!(said.stderr.contains("Named, and not here: ConfigMap/prod/none: known not to exist"), "{}", said.all());
    }
    let results: Value = serde_json::from_str(&zipped("results")).expect("JSON");
    let inside = results["warnings"]["namespaces"]["prod"].as_array().expect("warnings of prod");
    let logs = zipped("logs");
    for said in ["Secret/prod/hidden", "ConfigMap/prod/none", "Left out: Secret/prod/db-1-tls"] {
        assert!(inside.iter().any(|text| text.as_str().is_some_and(|text| text.contains(said))), "{said}: {results}");
        assert!(logs.lines().any(|line| line.contains("level=warning") && line.contains(said)), "{said}: {logs}");
    }
    let whole = results["warnings"]["velero"].as_array().map_or(0, Vec::len);
    let text = fs::read(Path::new(&path).join("velero-backup.json")).expect("written");
    let backup: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(backup["status"]["warnings"], json!(whole + inside.len()), "{results}");
    // The tarball alone tells it, too.
    let files = unpack(&fs::read(Path::new(&path).join("part.tar.gz")).expect("written"));
    let described: Value = serde_json::from_slice(&files["metadata/vmrewind.json"]).expect("JSON");
    schema::check("archive-export", &described);
    let manifest: Value =
        serde_json::from_slice(&unpack(&fs::read(&tar_path).expect("written"))["manifest.json"]).expect("JSON");
    for member in ["missing", "leftOut", "uncertain", "resources"] {
        assert_eq!(described[member], manifest[member], "{member}");
    }
    assert!(files.contains_key(described["objects"][0]["path"].as_str().expect("a path")), "{described}");
}

#[test]
fn nothing_is_replaced_and_nothing_half_made_is_left() {
    let told = morning().write();
    let path = told.file("out.yaml");
    fs::write(&path, "mine").expect("written");
    ran(&told, &format!("{DB} --format yaml --show-secrets -f {path}"), 5);
    assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
    ran(&told, &format!("{DB} --format yaml --show-secrets -f {path} --overwrite"), 0);
    assert!(fs::read_to_string(&path).expect("there").starts_with("# "));
    let nowhere: PathBuf = Path::new(&told.file("none")).join("out.yaml");
    ran(&told, &format!("{DB} --format yaml --show-secrets -f {}", nowhere.display()), 8);
}

#[test]
fn what_is_no_file_is_never_replaced() {
    let told = morning().write();
    let (pipe, link, target) = (told.file("pipe"), told.file("link"), told.file("target"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    fs::write(&target, "old").expect("written");
    std::os::unix::fs::symlink(&target, &link).expect("linked");
    for path in [&pipe, &link] {
        let refused = ran(&told, &format!("{DB} --format yaml --show-secrets -f {path} --overwrite"), 2);
        assert!(refused.stderr.contains("no regular file"), "{}", refused.all());
    }
    use std::os::unix::fs::FileTypeExt as _;
    assert!(fs::symlink_metadata(&pipe).expect("there").file_type().is_fifo() && Path::new(&link).is_symlink());
    assert_eq!(fs::read_to_string(&target).expect("there"), "old");
}

#[test]
fn an_uncertain_instant_writes_nothing_unless_allowed_and_then_says_so_in_the_file() {
    let told = gap().write();
    let path = told.file("out.tar.zst");
    let words = "export vm -n prod --at 2026-11-22T10:07:00Z --show-secrets --format";
    let refused = ran(&told, &format!("{words} tar -f {path}"), 6);
    assert!(refused.stderr.contains("uncertain") && !Path::new(&path).exists(), "{}", refused.all());
    ran(&told, &format!("{words} tar -f {path} --allow-gaps"), 0);
    let files = unpack(&fs::read(&path).expect("written"));
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    assert!(manifest["uncertain"][0].as_str().expect("a sentence").contains("gap in virtualmachines"), "{manifest}");
    let yaml = ran(&told, &format!("{words} yaml --allow-gaps"), 0);
    assert!(yaml.stdout.contains("# Not certain:\n#   gap in virtualmachines"), "{}", yaml.stdout);
    let told = outage().write();
    ran(&told, "export vm -n prod --at 2026-11-22T10:07:00Z --show-secrets --format yaml", 6);
    ran(&told, "export vm -n prod --at 2026-11-22T10:07:00Z --show-secrets --format yaml --allow-late", 0);
}

#[test]
fn names_types_labels_and_scopes_select_as_they_do_elsewhere() {
    let other: Build = vm("other").namespace("test");
    let told = morning().added(&other).commit().wait(60).write();
    let count = |words: &str| {
        let ran = ran(&told, &format!("export {words} --format yaml --raw --show-secrets"), 0);
        ran.stdout.lines().filter(|line| line.starts_with("kind: ")).count()
    };
    assert_eq!(count("vm -A --no-graph"), 2, "web and other");
    assert_eq!(count("-n test"), 1);
    assert_eq!(count("-l app=web -n prod --no-graph"), 1);
    ran(&told, "export vm/none -n prod --format yaml", 2);
    ran(&told, "export -n empty --format yaml", 2);
    ran(&told, "export vm/web -l app=web -n prod --format yaml", 2);
    ran(&told, "export vm/web -n prod --format tar --raw", 2);
}

#[test]
fn a_server_takes_the_yaml_of_a_machine_in_its_order() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    let ran = ran(&told, "export vm/app -n prod --at before-delete --format yaml --show-secrets", 0);
    let documents: Vec<Value> = ran
        .stdout
        .split("\n---\n")
        .skip(1)
        .map(|text| serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}")))
        .collect();
    assert!(documents.len() >= 2, "{}", ran.stdout);
    for document in documents.iter().filter(|document| document["kind"] != "Namespace") {
        site.create(document);
    }
    assert!(site.machine().is_some() && site.get("", "Secret", "app-key").is_some());
    let live = site.run(&told, "diff before-delete live vm/app -n prod");
    assert!(live.code <= 1, "{}", live.all());
}
