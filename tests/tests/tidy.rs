//! Keeps the structure as `docs/architecture.md` describes it: each test prints the rule that was broken.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace above this crate").to_owned()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn is_test_code(path: &Path) -> bool {
    let path = path.strip_prefix(root()).expect("below the workspace");
    path.starts_with("tests")
        || path.starts_with("bench")
        || path.starts_with("crates/testkit")
        || path.components().any(|part| part.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

#[test]
fn crates_depend_on_each_other_only_as_the_architecture_allows() {
    let allowed = BTreeMap::from([
        ("vmrewind-model", vec![]),
        ("vmrewind-graph", vec!["vmrewind-model"]),
        ("vmrewind-archive", vec!["vmrewind-model"]),
        ("vmrewind-cluster", vec!["vmrewind-model"]),
        ("vmrewind-testkit", vec!["vmrewind-model"]),
        ("vmrewind-watcher", vec!["vmrewind-archive", "vmrewind-cluster", "vmrewind-graph", "vmrewind-model"]),
        ("vmrewind-restore", vec!["vmrewind-archive", "vmrewind-cluster", "vmrewind-graph", "vmrewind-model"]),
        (
            "vmrewind-cli",
            vec!["vmrewind-archive", "vmrewind-cluster", "vmrewind-graph", "vmrewind-model", "vmrewind-restore"],
        ),
    ]);
    let metadata =
        MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata");
    let mut seen = BTreeSet::new();
    for package in &metadata.packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            assert!(
                ["vmrewind-tests", "vmrewind-bench"].contains(&package.name.as_str()),
                "{} has no row in the table of crates",
                package.name
            );
            continue;
        };
        seen.insert(package.name.as_str());
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
            assert!(
                !dependency.name.starts_with("vmrewind-") || allowed.contains(&dependency.name.as_str()),
                "{} must not know {}",
                package.name,
                dependency.name
            );
        }
    }
    assert_eq!(seen.len(), allowed.len(), "a crate of the table is gone: {seen:?}");
}

#[test]
fn pure_crates_have_no_async_no_kubernetes_and_no_store() {
    let metadata =
        MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata");
    let mut checked = 0;
    for package in
        metadata.packages.iter().filter(|package| ["vmrewind-model", "vmrewind-graph"].contains(&package.name.as_str()))
    {
        checked += 1;
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
            for banned in ["tokio", "kube", "object_store", "futures", "reqwest", "k8s-openapi"] {
                assert_ne!(dependency.name, banned, "{} is pure", package.name);
            }
        }
    }
    assert_eq!(checked, 2);
    let format = root().join("crates/archive/src/format");
    let files = rust_files(&format);
    assert!(!files.is_empty(), "the format modules are gone");
    for file in files.iter().filter(|file| !is_test_code(file)) {
        let text = fs::read_to_string(file).expect("readable");
        for banned in ["tokio", "object_store", "async fn", ".await"] {
            assert!(!text.contains(banned), "{} is sync and knows bytes only, but contains {banned}", file.display());
        }
    }
}

#[test]
fn nothing_makes_json_lose_order_or_numbers() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .exec()
        .expect("cargo metadata");
    let id = &metadata.packages.iter().find(|package| package.name.as_str() == "serde_json").expect("serde_json").id;
    let nodes = metadata.resolve.expect("resolved").nodes;
    let features = &nodes.iter().find(|node| &node.id == id).expect("resolved").features;
    for banned in ["preserve_order", "arbitrary_precision"] {
        assert!(
            features.iter().all(|feature| feature.as_str() != banned),
            "a dependency turns on serde_json/{banned}, which changes digests"
        );
    }
}

#[test]
fn every_rust_file_is_reached_by_a_mod() {
    let mut orphans = Vec::new();
    let mut roots = 0;
    for dir in fs::read_dir(root().join("crates")).expect("crates").flatten() {
        let src = dir.path().join("src");
        let mut reached = BTreeSet::new();
        for entry in ["lib.rs", "main.rs"].map(|name| src.join(name)) {
            if entry.exists() {
                roots += 1;
                reach(&entry, &src, &mut reached);
            }
        }
        orphans.extend(rust_files(&src).into_iter().filter(|file| !reached.contains(file)));
    }
    assert!(roots >= 8, "only {roots} crate roots were found");
    assert!(orphans.is_empty(), "no mod reaches these files, so their tests never run: {orphans:#?}");
}

/// Adds `file` and every file that its `mod` lines name. `dir` is where its modules live.
fn reach(file: &Path, dir: &Path, reached: &mut BTreeSet<PathBuf>) {
    reached.insert(file.to_owned());
    let text = fs::read_to_string(file).expect("readable");
    for line in text.lines().map(str::trim) {
        let line = line.split_once("mod ").filter(|(before, _)| before.is_empty() || before.starts_with("pub"));
        let Some(name) = line.and_then(|(_, rest)| rest.strip_suffix(';')) else { continue };
        for child in [dir.join(format!("{name}.rs")), dir.join(name).join("mod.rs")] {
            if child.exists() {
                reach(&child, &dir.join(name), reached);
            }
        }
    }
}

#[test]
fn production_files_stay_short_and_have_telling_names() {
    let mut problems = Vec::new();
    let files = rust_files(&root().join("crates"));
    assert!(files.len() > 50, "only {} files were found", files.len());
    for file in files {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if ["utils", "util", "helpers", "helper", "common", "misc"].contains(&stem.as_str()) {
            problems.push(format!("{}: name the concept, not the drawer", file.display()));
        }
        if is_test_code(&file) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        let production = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
        if production > 500 {
            problems.push(format!("{}: {production} lines; split by concept at 400", file.display()));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn names_of_stored_objects_are_built_in_one_file() {
    let src = root().join("crates/archive/src");
    let mut problems = Vec::new();
    for file in rust_files(&src) {
        if file.file_name().is_some_and(|name| name == "paths.rs") || is_test_code(&file) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        for (number, line) in text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate() {
            if line.contains("\"log/")
                || line.contains("\"archive.json\"")
                || line.contains(":016x}") && line.contains('/')
            {
                problems.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(problems.is_empty(), "only paths.rs knows the names of stored objects: {problems:#?}");
}

#[test]
fn module_docs_say_what_the_module_does_not_do() {
    let mut problems = Vec::new();
    for name in ["model", "graph", "archive", "cluster", "watcher", "restore"] {
        let file = root().join("crates").join(name).join("src/lib.rs");
        let text = fs::read_to_string(&file).expect("readable");
        if !text.lines().any(|line| line.starts_with("//! Does not:") || line.starts_with("//! **Does not:**")) {
            problems.push(file);
        }
    }
    assert!(problems.is_empty(), "these crates do not say what they leave to others: {problems:#?}");
}

#[test]
fn changelog_fragments_say_what_kind_of_change_they_are() {
    let mut fragments = 0;
    for entry in fs::read_dir(root().join("changelog.d")).expect("changelog.d").flatten() {
        if entry.file_name() == "README.md" {
            continue;
        }
        fragments += 1;
        let text = fs::read_to_string(entry.path()).expect("readable");
        let kinds = ["added:", "changed:", "fixed:", "removed:"];
        assert!(
            kinds.iter().any(|kind| text.starts_with(kind)),
            "{} starts with none of {kinds:?}",
            entry.path().display()
        );
    }
    assert!(fragments > 0);
}

/// The code that decides which bytes an archive has, without comments and tests, as one digest.
fn format_code() -> String {
    let src = root().join("crates/archive/src");
    let mut files = rust_files(&src.join("format"));
    files.extend(rust_files(&src.join("manifest")));
    files.extend(rust_files(&src.join("keys")));
    files.extend(["identity.rs", "keys.rs", "manifest.rs"].map(|name| src.join(name)));
    let mut code = String::new();
    for file in files.iter().filter(|file| !is_test_code(file)) {
        let name = file.strip_prefix(&src).expect("below the sources").display();
        code.push_str(&format!("// {name}\n"));
        let text = fs::read_to_string(file).expect("readable");
        for line in text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]") {
            if !line.is_empty() && !line.starts_with("//") {
                code.push_str(line);
                code.push('\n');
            }
        }
    }
    vmrewind_model::Digest::of(code.as_bytes()).hex()
}

/// The documents of the specification.
const DOCUMENTS: [&str; 5] = ["format.md", "ordering.md", "bundles.md", "manifests.md", "encryption.md"];

/// The specification with its vectors, as one digest.
fn specification() -> String {
    let spec = root().join("spec");
    let vectors = fs::read_dir(spec.join("vectors")).expect("vectors").flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = vectors.chain(DOCUMENTS.map(|name| spec.join(name))).collect();
    files.sort();
    let read = |file: &PathBuf| fs::read(file).expect("readable");
    let text: Vec<u8> = files.iter().flat_map(read).collect();
    vmrewind_model::Digest::of(&text).hex()
}

#[test]
fn the_format_does_not_change_without_its_specification() {
    let pin = root().join("spec/format.sha256");
    let pinned = fs::read_to_string(&pin).unwrap_or_default();
    let (code, spec) = (format_code(), specification());
    let has = |name: &str, digest: &str| pinned.lines().any(|line| line == format!("{digest}  {name}"));
    if has("code", &code) {
        return;
    }
    match std::env::var("VMREWIND_UPDATE_FORMAT").as_deref() {
        Ok("no-byte-changed") => {}
        Ok(_) => assert!(!has("specification", &spec), "the code of the format changed, but spec/ is as it was"),
        Err(_) => panic!(
            "the code of the format changed (crates/archive/src/format or identity.rs). If that changes what is written or what is \
             refused, change spec/ and its vectors, then run\n  VMREWIND_UPDATE_FORMAT=1 cargo test -p vmrewind-tests --test tidy\n\
             If not one byte and not one code is different, the value is no-byte-changed instead of 1."
        ),
    }
    fs::write(&pin, format!("{code}  code\n{spec}  specification\n")).expect("written");
}

#[test]
fn no_text_has_a_conflict_left_from_a_merge() {
    fn texts(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && !["target", ".git", ".venv"].iter().any(|other| name == *other) {
                texts(&path, found);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    let (mut files, mut conflicts) = (Vec::new(), Vec::new());
    texts(&root(), &mut files);
    assert!(files.iter().any(|path| path.ends_with("docs/watcher.md")), "the documents are looked at");
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_default(); // what is not text has no lines
        let marks = ["<".repeat(7), ">".repeat(7)];
        conflicts.extend(
            text.lines()
                .filter(|line| marks.iter().any(|mark| line.starts_with(mark.as_str())))
                .map(|line| format!("{}: {line}", path.display())),
        );
    }
    assert_eq!(conflicts, [""; 0]);
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).expect("readable");
    let words = text.split('`').skip(1).step_by(2);
    let named: BTreeSet<&str> = words
        .filter(|word| word.matches('_').count() >= 3)
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'))
        .collect();
    assert!(named.len() > 10, "the tests are recognised: {named:?}");
    let mut tests = BTreeSet::new();
    for file in rust_files(&root().join("crates")) {
        let code = fs::read_to_string(&file).expect("readable");
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let test = pair[0].starts_with("#[test]") || pair[0].starts_with("#[tokio::test");
            let name = pair[1].trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            tests.extend(name.filter(|_| test).map(ToOwned::to_owned));
        }
    }
    let missing: Vec<&&str> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/threat-model.md names tests that do not exist: {missing:?}");
}
