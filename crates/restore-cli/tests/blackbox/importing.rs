//! `import`: out of an export and out of Velero backups, good and hostile; and what the archive then says.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use vmrewind_testkit::build::{Build, namespace, secret, vm};

use crate::{
    exporting::{lines, ran, unpack},
    harness::{Ran, Story, Told},
    schema,
    site::{Site, story},
    stories::*,
};

/// A world with something of everything: present, absent and withheld.
fn world() -> Told {
    morning().added(&tls()).withheld(&secret("hidden")).commit().wait(60).commit().write()
}

/// What `dump` says, without where it stands in the archive.
fn dump(told: &Told, place: &str, flags: &str) -> Vec<Value> {
    let ran = ran(told, &format!("dump -A --show-secrets --archive {place}{flags}"), 0);
    let mut all = lines(&ran.stdout);
    for line in &mut all {
        let members = line.as_object_mut().expect("an object");
        ["seq", "t", "lo"].iter().for_each(|place| drop(members.remove(*place)));
    }
    all
}

/// What the reader in Python finds: nothing, or lines.
fn python(place: &str) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("VMREWIND_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let output = Command::new(python)
        .arg(root.join("spec/reader.py"))
        .args(["verify", "--facts", place])
        .output()
        .expect("the reader runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A tarball as a tool of no particular care makes it.
fn tarball(told: &Told, name: &str, files: &[(&str, &[u8])]) -> String {
    let path = told.file(name);
    let out = flate2::write::GzEncoder::new(fs::File::create(&path).expect("made"), flate2::Compression::fast());
    let mut tar = tar::Builder::new(out);
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(1_795_341_600);
        tar.append_data(&mut header, path, *content).expect("added");
    }
    tar.into_inner().expect("ended").finish().expect("ended");
    path
}

fn text(object: &Build) -> Vec<u8> {
    object.clone().rv(7).json().to_string().into_bytes()
}

const VM: &str = "resources/virtualmachines.kubevirt.io/namespaces/prod/db-1.json";
const VERSION: (&str, &[u8]) = ("metadata/version", b"1.1.0\n");

fn import(told: &Told, file: &str, flags: &str, code: i32) -> (Ran, String) {
    let place = told.file("imported");
    let ran = ran(told, &format!("import {file} --archive {place}{flags}"), code);
    if code != 0 {
        assert!(!Path::new(&place).exists(), "{}", ran.all());
        let parent = Path::new(&place).parent().expect("a parent");
        let left: Vec<_> = fs::read_dir(parent).expect("listed").flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
    }
    (ran, place)
}

#[test]
fn an_export_of_everything_comes_back_as_it_was() {
    let told = world();
    let file = told.file("all.tar.zst");
    ran(&told, &format!("export -A --format tar --show-secrets -f {file}"), 0);
    let (ran_, place) = import(&told, &file, " -o json", 0);
    schema::check("archive-import", &ran_.json());
    assert_eq!(dump(&told, &place, ""), dump(&told, &told.place().display().to_string(), ""));
    assert_eq!((&ran_.json()["unproven"], &ran_.json()["from"]), (&Value::Null, &json!("export")));
    ran(&told, &format!("verify --deep --archive {place}"), 0);
    let (well, said) = python(&place);
    assert!(well, "{said}");
    ran(&told, &format!("get vm -A --archive {place}"), 0);
    ran(&told, &format!("graph vm/web -n prod --archive {place}"), 0);
    ran(&told, &format!("get vm -A --at 2026-11-22T11:59:00Z --archive {place}"), 6);
    ran(&told, &format!("get vm -A --at 2026-11-22T10:15:00Z --archive {place}"), 6);
    ran(&told, &format!("diff seq:1 latest -A --archive {place} --allow-gaps"), 1);
    let info = ran(&told, &format!("info --archive {place} -o json"), 0).json();
    let machines =
        info["resources"].as_array().expect("resources").iter().find(|one| one["resource"] == "virtualmachines");
    let machines = machines.expect("machines");
    assert_eq!(machines["provenSince"], machines["provenAt"], "one instant, and no other");
    assert!(machines["detail"].as_str().expect("text").contains("nothing later is known"), "{machines}");
    let gaps = info["gaps"].as_array().expect("gaps");
    let open =
        gaps.iter().find(|gap| gap["resource"] == "virtualmachines" && gap["to"].is_null()).expect("an open gap");
    assert_eq!((&open["from"], &open["cause"]), (&ran_.json()["t"], &json!("stalled")), "for whoever goes on with it");
    let config = ran(&told, &format!("graph vm/db-1 -n prod --archive {place}"), 2);
    assert!(config.stderr.contains("db-1"), "it was deleted before: {}", config.all());
}

#[test]
fn a_velero_backup_of_everything_comes_back_as_far_as_velero_can_hold_it() {
    let told = world();
    let backup = told.file("monday");
    ran(&told, &format!("export -A --format velero --show-secrets -f {backup}"), 0);
    let (ran_, place) = import(&told, &format!("{backup}/monday.tar.gz"), " -o json", 0);
    schema::check("archive-import", &ran_.json());
    assert_eq!((&ran_.json()["from"], &ran_.json()["tFrom"]), (&json!("velero"), &json!("the end of the backup")));
    let mut before = dump(&told, &told.place().display().to_string(), "");
    before.retain(|line| line["presence"] == "present"); // a backup cannot hold what is withheld
    assert_eq!(dump(&told, &place, " --allow-gaps"), before);
    assert_eq!(
        ran_.json()["t"],
        ran(&told, "info -o json", 0).json()["head"]["t"],
        "the annotation is finer than seconds"
    );
    ran(&told, &format!("verify --deep --archive {place}"), 0);
    assert!(python(&place).0);
    assert!(ran_.stderr.contains("exported from an archive"), "{}", ran_.all());
    assert_eq!(ran_.json()["proven"], 0, "what was withheld or never captured is not known to be absent");
    let whats = ["vm -A", "pods -A", "pvc -A", "secret -A", "configmap -A", "secret/hidden -n prod", "vm/none -n prod"];
    for what in whats {
        ran(&told, &format!("get {what} --archive {place}"), 6);
    }
    // Nobody's word changes that, and the tarball alone tells where it comes from.
    let alone = told.file("alone.tar.gz");
    fs::copy(format!("{backup}/monday.tar.gz"), &alone).expect("copied");
    let before = fs::read_to_string(format!("{backup}/velero-backup.json")).expect("there");
    let mut denied: Value = serde_json::from_str(&before).expect("JSON");
    drop(denied["metadata"].as_object_mut().expect("an object").remove("annotations"));
    let other = told.file("denied.json");
    fs::write(&other, denied.to_string()).expect("written");
    for flags in [String::new(), format!(" --backup-json {other}")] {
        fs::remove_dir_all(&place).expect("removed");
        let (said, place) = import(&told, &alone, &format!("{flags} --complete -o json"), 0);
        assert_eq!(said.json()["proven"], 0, "{}", said.all());
        assert!(said.stderr.contains("withheld or never captured"), "{}", said.all());
        for what in whats {
            ran(&told, &format!("get {what} --archive {place}"), 6);
        }
    }
}

#[test]
fn a_part_proves_nothing_and_says_so() {
    let told = world();
    let file = told.file("part.tar.gz");
    ran(&told, &format!("export vm/web -n prod --format tar --show-secrets -f {file}"), 0);
    let (made, place) = import(&told, &file, "", 0);
    assert!(made.stderr.contains("not everything is proven"), "{}", made.all());
    let refused = ran(&told, &format!("get vm -A --archive {place}"), 6);
    assert!(refused.stderr.contains("not known to be all there was"), "{}", refused.all());
    assert!(ran(&told, &format!("get vm -A --archive {place} --allow-gaps"), 0).stdout.contains("web"));
    assert!(python(&place).0);
}

#[test]
fn a_backup_as_velero_writes_it_is_taken_at_its_word_and_no_further() {
    let told = world();
    let (db, system) = (vm("db-1"), namespace("kube-system"));
    let files = |extra: &[(&'static str, Vec<u8>)]| {
        let mut files = BTreeMap::from([
            (VM, text(&db)),
            ("resources/virtualmachines.kubevirt.io/v1-preferredversion/namespaces/prod/db-1.json", text(&db)),
            (
                "resources/virtualmachines.kubevirt.io/v1alpha3/namespaces/prod/db-1.json",
                text(&db.clone().set("apiVersion", "kubevirt.io/v1alpha3")),
            ),
            ("resources/namespaces/cluster/kube-system.json", text(&system)),
        ]);
        files.extend(extra.iter().cloned());
        files
    };
    let write = |name: &str, files: &BTreeMap<&str, Vec<u8>>| {
        let all: Vec<(&str, &[u8])> =
            [VERSION].into_iter().chain(files.iter().map(|(path, content)| (*path, content.as_slice()))).collect();
        tarball(&told, name, &all)
    };
    let nightly = write("nightly.tar.gz", &files(&[("notes/readme", b"x".to_vec())]));
    let (made, place) = import(&told, &nightly, " -o json", 0);
    let answer = made.json();
    assert_eq!(
        (&answer["cluster"], &answer["tFrom"]),
        (&system.clone().json()["metadata"]["uid"], &json!("the newest file of the backup"))
    );
    assert_eq!((&answer["otherVersions"], &answer["foreign"]), (&json!(1), &json!(["notes/readme"])));
    assert_eq!(answer["t"], "2026-11-22T10:00:00.000000Z");
    assert!(made.stderr.contains("no velero-backup.json"), "{}", made.all());
    ran(&told, &format!("get vm -A --archive {place}"), 6);
    fs::remove_dir_all(&place).expect("removed");

    let (_, place) = import(&told, &nightly, " --complete --time 2026-11-01T00:00:00Z --cluster mine", 0);
    ran(&told, &format!("get vm -A --archive {place}"), 6);
    let info = ran(&told, &format!("info -o json --archive {place}"), 0).json();
    assert_eq!((&info["cluster"], &info["head"]["t"]), (&json!("mine"), &json!("2026-11-01T00:00:00.000000Z")));
    fs::remove_dir_all(&place).expect("removed");

    let described = |spec: Value| {
        json!({"kind": "Backup", "metadata": {"name": "nightly"}, "spec": spec,
        "status": {"phase": "Completed", "startTimestamp": "2026-11-22T09:00:00Z", "completionTimestamp": "2026-11-22T09:05:00Z",
            "progress": {"totalItems": 2, "itemsBackedUp": 2}, "warnings": 7}})
    };
    let beside = told.file("velero-backup.json");
    // Whatever the description says: without the user's word nothing is proven, and with it what is included and no more.
    fs::write(&beside, described(json!({})).to_string()).expect("written");
    let (made, place) = import(&told, &nightly, "", 0);
    assert!(made.stderr.contains("--complete says so") && made.stderr.contains("7 warning(s)"), "{}", made.all());
    ran(&told, &format!("get vm -A --archive {place}"), 6);
    fs::remove_dir_all(&place).expect("removed");
    let (_, place) = import(&told, &nightly, " --complete", 0);
    ran(&told, &format!("get vm -A --archive {place}"), 0);
    ran(&told, &format!("get pvc -A --archive {place}"), 6);
    fs::remove_dir_all(&place).expect("removed");
    fs::write(&beside, described(json!({"includedResources": ["virtualmachines.kubevirt.io"]})).to_string())
        .expect("written");
    let (made, place) = import(&told, &nightly, " --complete", 0);
    assert!(made.stderr.contains("not to hold all namespaces"), "{}", made.all());
    ran(&told, &format!("get vm -A --archive {place}"), 0);
    ran(&told, &format!("get namespaces --archive {place}"), 6);
    fs::remove_dir_all(&place).expect("removed");
    let more = write("nightly.tar.gz", &files(&[("resources/secrets/namespaces/prod/s.json", text(&secret("s")))]));
    let (made, place) = import(&told, &more, " --complete", 0);
    assert!(made.stderr.contains("counts 2 object(s)") && made.stderr.contains("holds 3"), "{}", made.all());
    ran(&told, &format!("get vm -A --archive {place}"), 6);
    fs::remove_dir_all(&place).expect("removed");
    // The list of resources is exact.
    let nightly = write("nightly.tar.gz", &files(&[("notes/readme", b"x".to_vec())]));
    fs::write(&beside, described(json!({})).to_string()).expect("written");
    let list = told.file("nightly-resource-list.json.gz");
    let named = |list: &str, machine: &str| {
        let file = fs::File::create(list).expect("made");
        let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let text = json!({"kubevirt.io/v1/VirtualMachine": [machine], "v1/Namespace": ["kube-system"]});
        serde_json::to_writer(&mut out, &text).expect("written");
        out.finish().expect("ended");
    };
    named(&list, "prod/db-2");
    let (made, place) = import(&told, &nightly, " --complete", 0);
    assert!(made.stderr.contains("names other virtualmachines.kubevirt.io"), "{}", made.all());
    ran(&told, &format!("get vm -A --archive {place}"), 6);
    ran(&told, &format!("get namespaces --archive {place}"), 0);
    fs::remove_dir_all(&place).expect("removed");
    named(&list, "prod/db-1");
    let (_, place) = import(&told, &nightly, " --complete", 0);
    ran(&told, &format!("get vm -A --archive {place}"), 0);
    fs::remove_dir_all(&place).expect("removed");
    fs::write(&list, "x").expect("written");
    import(&told, &nightly, " --complete", 7);
    fs::remove_file(&list).expect("removed");

    fs::write(&beside, described(json!({"includedNamespaces": ["prod"]})).to_string()).expect("written");
    let (_, place) = import(&told, &nightly, " --complete", 0);
    ran(&told, &format!("get vm -n prod --archive {place}"), 0);
    ran(&told, &format!("get vm -n test --archive {place}"), 6);
    let detail = ran(&told, &format!("info --archive {place}"), 0).stdout;
    assert!(detail.contains("read from 2026-11-22T09:00:00Z on"), "{detail}");
    fs::remove_dir_all(&place).expect("removed");

    let other = write("other.tar.gz", &files(&[]));
    let (made, place) = import(&told, &other, "", 0);
    assert!(made.stderr.contains("describes the backup \"nightly\", not this file"), "{}", made.all());
    fs::remove_dir_all(&place).expect("removed");
    let (_, place) = import(&told, &other, &format!(" --complete --backup-json {beside}"), 0);
    ran(&told, &format!("get vm -n prod --archive {place}"), 0);
}

#[test]
fn a_cluster_that_is_not_told_is_derived_from_the_content_and_said_so() {
    let told = world();
    let file = tarball(&told, "a.tar.gz", &[VERSION, (VM, &text(&vm("db-1")))]);
    let (made, place) = import(&told, &file, "", 0);
    assert!(made.stdout.contains("imported-") && made.stdout.contains("--cluster"), "{}", made.all());
    let cluster = |place: &str| ran(&told, &format!("info -o json --archive {place}"), 0).json()["cluster"].clone();
    let first = cluster(&place);
    fs::remove_dir_all(&place).expect("removed");
    let (_, place) = import(&told, &file, "", 0);
    assert_eq!(cluster(&place), first, "the same content, the same name");
}

#[test]
fn what_an_archive_cannot_hold_becomes_a_gap_with_its_reason() {
    let told = world();
    let twice = br#"{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"bad","name":"bad"}}"#;
    let versionless = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "new", "namespace": "prod"}});
    let large = format!("{{\"apiVersion\":\"v1\",\"a\":\"{}\"}}", "x".repeat(9 << 20));
    let file = tarball(
        &told,
        "a.tar.gz",
        &[
            VERSION,
            (VM, &text(&vm("db-1"))),
            ("resources/virtualmachines.kubevirt.io/namespaces/prod/bad.json", twice),
            ("resources/virtualmachines.kubevirt.io/namespaces/prod/new.json", versionless.to_string().as_bytes()),
            ("resources/configmaps/namespaces/prod/large.json", large.as_bytes()),
        ],
    );
    let describes = told.file("describes.json");
    let text = json!({"kind": "Backup", "metadata": {"name": "a"}, "status": {"phase": "Completed",
        "completionTimestamp": "2026-11-22T10:00:00Z", "progress": {"totalItems": 4, "itemsBackedUp": 4}}});
    fs::write(&describes, text.to_string()).expect("written");
    let (made, place) = import(&told, &file, &format!(" --complete --backup-json {describes} -o json"), 0);
    schema::check("archive-import", &made.json());
    assert_eq!(made.json()["gaps"].as_array().map(Vec::len), Some(3), "{}", made.all());
    let info = ran(&told, &format!("info --archive {place}"), 0).stdout;
    for name in ["VirtualMachine.kubevirt.io/prod/bad", "VirtualMachine.kubevirt.io/prod/new", "ConfigMap/prod/large"] {
        assert!(info.contains(name) && info.contains("unrecordable"), "{name}: {info}");
    }
    ran(&told, &format!("get vm/db-1 -n prod --archive {place}"), 0);
    ran(&told, &format!("get vm -n prod --archive {place}"), 6);
    ran(&told, &format!("verify --deep --archive {place}"), 0);
    assert!(python(&place).0);
}

#[test]
fn files_that_lie_make_nothing() {
    let told = world();
    let good = text(&vm("db-1"));
    let other = text(&vm("other"));
    type Files<'a> = Vec<(&'a str, &'a [u8])>;
    let cases: Vec<(&str, Files<'_>)> = vec![
        ("holds another object", vec![VERSION, (VM, &other)]),
        ("is not JSON", vec![VERSION, (VM, b"{\"a\":")]),
        ("lacks apiVersion, kind or a name", vec![VERSION, (VM, b"[]")]),
        ("is there twice", vec![VERSION, (VM, &good), (VM, &good)]),
        ("are not the same", vec![
            VERSION,
            (VM, &good),
            ("resources/virtualmachines.kubevirt.io/v1-preferredversion/namespaces/prod/db-1.json", b"{\"apiVersion\":\"kubevirt.io/v1\",\"kind\":\"VirtualMachine\",\"metadata\":{\"name\":\"db-1\",\"namespace\":\"prod\",\"resourceVersion\":\"9\"}}"),
        ]),
        ("more than one kind", vec![
            VERSION,
            (VM, &good),
            ("resources/virtualmachines.kubevirt.io/namespaces/prod/x.json", b"{\"apiVersion\":\"kubevirt.io/v1\",\"kind\":\"Other\",\"metadata\":{\"name\":\"x\",\"namespace\":\"prod\",\"resourceVersion\":\"9\"}}"),
        ]),
        ("neither an export", vec![(VM, &good)]),
        ("format \"2.0.0\"", vec![("metadata/version", b"2.0.0\n"), (VM, &good)]),
        ("no object in it", vec![VERSION]),
        ("manifest is not as it should be", vec![("manifest.json", b"{}")]),
    ];
    for (why, files) in cases {
        let file = tarball(&told, "bad.tar.gz", &files);
        let (ran, _) = import(&told, &file, "", 7);
        assert!(ran.stderr.contains(why), "{why}: {}", ran.all());
    }
    let whole = fs::read(tarball(&told, "good.tar.gz", &[VERSION, (VM, &good)])).expect("there");
    let cut = told.file("cut.tar.gz");
    fs::write(&cut, &whole[..whole.len() - 9]).expect("written");
    import(&told, &cut, "", 7);
    import(&told, &told.file("none.tar.gz"), "", 2);
}

#[test]
fn an_export_that_was_changed_is_not_imported() {
    let told = world();
    let file = told.file("all.tar.gz");
    ran(&told, &format!("export -A --format tar --show-secrets -f {file}"), 0);
    let good = unpack(&fs::read(&file).expect("written"));
    let machine = "objects/virtualmachines.kubevirt.io/namespaces/prod/web.json";
    let changed: Vec<u8> = String::from_utf8_lossy(&good[machine]).replace("\"1Gi\"", "\"2Gi\"").into_bytes();
    let spaced = [b" ", good[machine].as_slice()].concat();
    for (content, why) in [
        (Some(changed), "not the object that the manifest names"),
        (Some(spaced), "not as it was exported"),
        (None, "is missing"),
    ] {
        let mut files: BTreeMap<&str, &[u8]> =
            good.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        match &content {
            Some(content) => drop(files.insert(machine, content)),
            None => drop(files.remove(machine)),
        }
        let bad = tarball(&told, "bad.tar.gz", &files.into_iter().collect::<Vec<_>>());
        let (ran, _) = import(&told, &bad, "", 7);
        assert!(ran.stderr.contains(why), "{why}: {}", ran.all());
    }
}

#[test]
fn a_manifest_that_lies_or_says_what_no_archive_holds_makes_nothing() {
    let told = world();
    let file = told.file("all.tar.gz");
    ran(&told, &format!("export -A --format tar --show-secrets -f {file}"), 0);
    let good = unpack(&fs::read(&file).expect("written"));
    let manifest: Value = serde_json::from_slice(&good["manifest.json"]).expect("JSON");
    let withheld = manifest["missing"].as_array().expect("missing").iter().find(|one| one["presence"] == "withheld");
    let withheld = withheld.expect("a withheld Secret").clone();
    let held = manifest["objects"][0]["key"].clone();
    let missing = |name: &str, value: Value| {
        let mut one = withheld.clone();
        one["key"]["name"] = json!("other");
        *one.pointer_mut(name).expect("there") = value;
        ("missing", one)
    };
    let mut absent = missing("/presence", json!("absent"));
    absent.1["key"] = held;
    let mut nameless = manifest["resources"][0].clone();
    (nameless["resource"], nameless["kind"]) = (json!("things"), json!(""));
    let mut cases = vec![
        ("says twice", ("missing", withheld.clone())),
        ("is not there, and it is", absent),
        ("says too much", missing("/reason", json!("x".repeat(100_000)))),
        ("longer than Kubernetes allows", missing("/uid", json!("x".repeat(2_000)))),
        ("lacks its name", missing("/key/name", json!(""))),
        ("lacks its name or its kind", missing("/key/kind", json!(""))),
        ("a type without a name", ("resources", nameless)),
    ];
    cases.extend([
        ("names no cluster", ("cluster", json!(""))),
        ("names no cluster", ("cluster", json!("x".repeat(100_000)))),
    ]);
    cases.push(("names no archive", ("archive", json!("x".repeat(100_000)))));
    for (why, (member, value)) in cases {
        let mut changed = manifest.clone();
        match &mut changed[member] {
            Value::Array(all) => all.push(value),
            other => *other = value,
        }
        let text = changed.to_string();
        let mut files: BTreeMap<&str, &[u8]> =
            good.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        files.insert("manifest.json", text.as_bytes());
        let bad = tarball(&told, "bad.tar.gz", &files.into_iter().collect::<Vec<_>>());
        let (ran, _) = import(&told, &bad, "", 7);
        assert!(ran.stderr.contains(why) && ran.stderr.contains("nothing was made"), "{why}: {}", ran.all());
    }
}

#[test]
fn an_object_that_no_reader_can_hold_is_a_gap_with_the_true_reason() {
    let told = world();
    let huge = br#"{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"bad","namespace":"prod","resourceVersion":"9"},"n":1e999}"#;
    let bad = ("resources/virtualmachines.kubevirt.io/namespaces/prod/bad.json", huge.as_slice());
    let file = tarball(&told, "a.tar.gz", &[VERSION, (VM, &text(&vm("db-1"))), bad]);
    let (made, _) = import(&told, &file, "", 0);
    assert!(made.stderr.contains("prod/bad cannot be recorded"), "{}", made.all());
    assert!(!made.stderr.contains("nested"), "{}", made.all());
}

#[test]
fn what_cannot_be_read_twice_is_not_called_damaged() {
    let told = world();
    let pipe = told.file("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    for file in [pipe.as_str(), "-"] {
        let (ran, _) = import(&told, file, "", 2);
        assert!(ran.stderr.contains("reads FILE twice; save it to a file first"), "{}", ran.all());
    }
    let (ran, _) = import(&told, &told.file("."), "", 2);
    assert!(ran.stderr.contains("is a directory"), "{}", ran.all());
}

#[test]
fn an_archive_that_exists_is_never_touched() {
    let told = world();
    let file = tarball(&told, "a.tar.gz", &[VERSION, (VM, &text(&vm("db-1")))]);
    let before = told.segments().len();
    ran(&told, &format!("import {file} --archive {}", told.place().display()), 5);
    assert_eq!(told.segments().len(), before);
    let full = told.file("full");
    fs::create_dir(&full).expect("made");
    fs::write(Path::new(&full).join("x"), "x").expect("written");
    ran(&told, &format!("import {file} --archive {full}"), 2);
    let empty = told.file("empty");
    fs::create_dir(&empty).expect("made");
    let number = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&empty).expect("there"));
    let before = number();
    ran(&told, &format!("import {file} --archive {empty}"), 0);
    assert_eq!(number(), before, "it may be a mount point, which nothing can be renamed over");
    ran(&told, &format!("verify --deep --archive {empty}"), 0);
    ran(&told, &format!("import {file} --archive {empty}"), 5);
    ran(&told, &format!("import {file} --archive {}/a/b/c", told.file("nowhere")), 10);
}

#[test]
fn a_machine_that_was_handed_over_as_a_file_is_restored_from_it() {
    let site = Site::start();
    let from: Story = story();
    let told = from.write_for(&site.uid);
    let file = told.file("app.tar.zst");
    let exported = told.run(&format!("export vm/app -n prod --at before-delete --format tar --show-secrets -f {file}"));
    assert_eq!(exported.code, 0, "{}", exported.all());
    let place = told.file("imported");
    ran(&told, &format!("import {file} --archive {place}"), 0);
    let refused = site.run(&told, &format!("plan vm/app -n prod --archive {place}"));
    assert_eq!(refused.code, 6, "{}", refused.all());
    let restored = site.run(&told, &format!("restore vm/app -n prod --archive {place} --allow-gaps --yes"));
    assert_eq!(restored.code, 0, "{}", restored.all());
    assert!(site.machine().is_some() && site.get("", "Secret", "app-key").is_some());
}

#[test]
fn an_import_of_an_export_is_planned_from_without_any_allowance_and_one_of_a_backup_with_it() {
    let site = Site::start();
    let told = story().write_for(&site.uid);
    for (format, file) in [("tar", "all.tar.zst"), ("velero", "monday")] {
        let file = told.file(file);
        let words = format!("export -A --at seq:5 --format {format} --show-secrets -f {file}");
        ran(&told, &words, 0);
        let place = told.file(format);
        let source = if format == "tar" { file } else { format!("{file}/monday.tar.gz") };
        let flags = if format == "tar" { "" } else { " --complete" };
        ran(&told, &format!("import {source} --archive {place} --cluster {}{flags}", site.uid), 0);
        let words = format!("plan vm/app -n prod --archive {place}");
        if format == "velero" {
            assert_eq!(site.run(&told, &words).code, 6, "it may lack whole types");
        }
        let allow = if format == "tar" { "" } else { " --allow-gaps" };
        let plan = site.run(&told, &format!("{words}{allow}"));
        assert_eq!(plan.code, 0, "{format}: {}", plan.all());
        assert!(plan.stdout.contains("create   VirtualMachine.kubevirt.io/prod/app"), "{format}: {}", plan.stdout);
    }
}
