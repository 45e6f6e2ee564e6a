//! `verify`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use vmrewind_archive::{Archive, Door, Rules, Store};

use crate::{
    harness::{Ran, Told},
    schema,
    stories::*,
};

fn ran(told: &Told, words: &str, code: i32) -> Ran {
    let ran = told.run(words);
    assert_eq!(ran.code, code, "{words}: {}", ran.all());
    ran
}

/// The morning, with a changed bit in the segment in which the machine got more memory (records 9 to 11).
fn damaged() -> Told {
    let told = morning().commit().write();
    change(&told.segments()[2], |bytes| bytes[40] ^= 1);
    told
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).expect("readable");
    change(&mut bytes);
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(file, bytes).expect("writable");
}

#[test]
fn an_archive_that_is_whole_has_no_problems_and_it_is_said_what_that_proves() {
    let told = morning().commit().write();
    let ends = ran(&told, "verify", 0);
    insta::assert_snapshot!(masked(&ends), @r"
    Archive:     01234567-89ab-4def-8123-456789abcdef, format 0.1
    Place:       [ARCHIVE]
    Spans:       2026-11-22T10:00:00Z to 2026-11-22T10:40:00.000015Z
    Holds:       15 records in 5 segments, N KiB, 1 writer
    Checked:     names, and the ends of 5 segments: footer, resume map, index, and their order
    Not checked: what stands before the indexes, and that each segment was written after the one before it: --data
                 objects, and what records say of each other: --deep
                 whether segments were cut off at the end, and what archive.json says of the cluster

    No problems.
    ");
    let deep = ran(&told, "verify --deep", 0);
    insta::assert_snapshot!(masked(&deep), @r"
    Archive:     01234567-89ab-4def-8123-456789abcdef, format 0.1
    Place:       [ARCHIVE]
    Spans:       2026-11-22T10:00:00Z to 2026-11-22T10:40:00.000015Z
    Holds:       15 records in 5 segments, N KiB, 1 writer
    Checked:     names, and the ends of 5 segments: footer, resume map, index, and their order
                 every byte of 5 of 5 segments (N KiB)
                 13 objects, and what 15 records say of each other
    Not checked: whether segments were cut off at the end, and what archive.json says of the cluster

    No problems.
    ");
    for depth in ["ends", "data", "deep"] {
        let flag = if depth == "ends" { String::new() } else { format!(" --{depth}") };
        let json = ran(&told, &format!("verify{flag} -o json"), 0).json();
        schema::check("archive-verification", &json);
        assert_eq!(
            (&json["depth"], &json["problems"], &json["notes"]),
            (&depth.into(), &serde_json::json!([]), &serde_json::json!([]))
        );
    }
    let recorded = ran(&told, "log -A --all -o jsonl", 0).lines();
    let objects = recorded.iter().filter(|line| !line["contentId"].is_null()).count();
    assert_eq!(ran(&told, "verify --deep -o json", 0).json()["objects"], objects, "every object that log tells of");
}

/// Sizes depend on the version of zstd.
fn masked(ran: &Ran) -> String {
    let text = ran.all();
    let word = |word: &str| word.parse::<f64>().is_ok();
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 1..words.len() {
            if words[at].starts_with("KiB") && word(words[at - 1].trim_start_matches('(')) {
                let opening = if words[at - 1].starts_with('(') { "(" } else { "" };
                words[at - 1] = format!("{opening}N");
            }
        }
        words.join(" ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn damage_is_found_by_data_with_what_is_lost_and_what_to_do() {
    let told = damaged();
    ran(&told, "verify", 0);
    let data = ran(&told, "verify --data", 7);
    let shown: Vec<&str> = data.stdout.lines().skip_while(|line| !line.starts_with("PROBLEM")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    PROBLEM E_BODY_HASH in log/0000/0000000000000003 at byte 0: bytes were changed
      Lost:   records 9 to 11, observed after 2026-11-22T10:10:10.000008Z and before 2026-11-22T10:10:10.000012Z, of any of the 35 resources that were captured then
      Do:     if a copy of the archive has log/0000/0000000000000003 intact, put that in its place. What lies before it reads as always (--at 2026-11-22T10:10:10.000008Z). Otherwise a watcher goes on behind it with --pass-over-damage, which records a gap and looks at everything anew, and --allow-damage reads on without it.
    1 problem.
    ");
    insta::assert_snapshot!(data.stderr, @r"
    Error: the archive has a problem: E_BODY_HASH in log/0000/0000000000000003: bytes were changed.
    Hint: if a copy of the archive has log/0000/0000000000000003 intact, put that in its place. What lies before it reads as always (--at 2026-11-22T10:10:10.000008Z). Otherwise a watcher goes on behind it with --pass-over-damage, which records a gap and looks at everything anew, and --allow-damage reads on without it.
    ");
    let json = ran(&told, "verify --data -o json", 7).json();
    schema::check("archive-verification", &json);
    let problem = &json["problems"][0];
    assert_eq!((&problem["code"], &problem["firstSegment"]), (&"E_BODY_HASH".into(), &3.into()));
    assert_eq!((&problem["lost"][0]["first"], &problem["lost"][0]["last"]), (&9.into(), &11.into()));
    let yaml = ran(&told, "verify --data -o yaml", 7).stdout;
    assert!(yaml.contains("kind: ArchiveVerification") && yaml.contains("code: E_BODY_HASH"), "{yaml}");
}

#[test]
fn a_sample_is_remembered_so_that_repeated_runs_read_everything() {
    let told = damaged();
    let mut codes = Vec::new();
    let mut read = Vec::new();
    for run in 1..=5 {
        let json: serde_json::Value =
            serde_json::from_str(&told.run("verify --data --sample 20% -o json").stdout).expect("JSON");
        schema::check("archive-verification", &json);
        assert_eq!(json["segments"]["read"], 1, "{json}");
        codes.push(json["problems"].as_array().expect("a list").len());
        read.push(json["segments"]["which"].as_str().expect("text").to_owned());
        assert_eq!(json["sample"]["covered"], run.min(json["segments"]["found"].as_u64().expect("a number")));
    }
    let found = told.segments().len();
    read.truncate(found);
    read.sort();
    read.dedup();
    assert_eq!(
        (read.len(), codes[..found].iter().sum::<usize>()),
        (found, 1),
        "{read:?}: each once, and the damage once"
    );
    let seeded = |seed: u64| ran_which(&told, &format!("verify --deep --sample 40% --seed {seed} -o json"));
    assert_eq!(seeded(3), seeded(3), "a seed chooses by itself");
    let file = fs::read_dir(Path::new(&told.file(".local/state/vmrewind/verify"))).expect("remembered").next();
    let file = file.expect("a file").expect("listed");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    let bad = told.run("verify --data --sample 1% --state-dir /proc/nowhere");
    assert_eq!(bad.code, 8, "{}", bad.all());
}

fn ran_which(told: &Told, words: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(&told.run(words).stdout).expect("JSON");
    json["segments"]["which"].as_str().expect("text").to_owned()
}

#[test]
fn a_sample_needs_something_to_sample_and_shares_are_percentages() {
    let told = morning().write();
    assert!(ran(&told, "verify --sample 1%", 2).stderr.contains("--sample needs --data or --deep"));
    assert!(ran(&told, "verify --data --sample 101%", 2).stderr.contains("percentage"));
    assert!(ran(&told, "verify --data --seed 1", 2).stderr.contains("--sample"));
}

#[test]
fn an_archive_without_identity_is_checked_and_an_empty_place_is_none() {
    let told = morning().write();
    fs::remove_file(told.place().join("archive.json")).expect("removed");
    let lost = ran(&told, "verify --data --sample 50%", 7);
    assert!(
        lost.stdout.contains("E_IDENTITY in archive.json") && lost.stdout.contains("not remembered"),
        "{}",
        lost.stdout
    );
    fs::remove_dir_all(told.place()).expect("removed");
    fs::create_dir(told.place()).expect("made");
    ran(&told, "verify", 10);
    fs::remove_dir(told.place()).expect("removed");
    ran(&told, "verify --deep", 10);
}

#[test]
fn a_cut_and_a_missing_segment_are_found_without_reading_bodies() {
    let told = morning().commit().write();
    let segments = told.segments();
    change(&segments[1], |bytes| bytes.truncate(bytes.len() - 3));
    let cut = ran(&told, "verify -o json", 7).json();
    assert_eq!(
        (&cut["problems"][0]["code"], &cut["problems"][0]["firstSegment"]),
        (&"E_FOOTER_MAGIC".into(), &2.into())
    );
    fs::remove_file(&segments[1]).expect("removed");
    let gone = ran(&told, "verify", 7);
    assert!(gone.stdout.contains("PROBLEM E_MISSING in log/0000/0000000000000002: it is not there"), "{}", gone.stdout);
    assert!(gone.stdout.contains("--pass-over-damage") && gone.stderr.contains("Hint:"), "{}", gone.all());
}

/// The morning, rolled up.
fn rolled_up() -> Told {
    let told = morning().commit().write();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(&told.place().display().to_string().parse().expect("a path")).expect("a directory");
        let archive = Archive::open(store).await.expect("an archive");
        let now = "2026-11-22T11:00:00Z".parse().expect("a time");
        let door = Door { now: &|| now, salt: &|| [7; 16] };
        let done = vmrewind_archive::maintain(&archive, &Rules::of(&archive, "test 1"), door).await.expect("rolled up");
        assert!(done.standing > 0, "{done:?}");
    });
    told
}

#[test]
fn what_was_rolled_up_is_checked_along_with_the_log_and_nothing_is_lost_if_it_is_damaged() {
    let told = rolled_up();
    let good = ran(&told, "verify --deep", 0).stdout;
    for part in [
        "\nRolled up:   ",
        "manifest 1\n",
        "1 manifest, and the ends of ",
        " beside their segments\n",
        "No problems.\n",
    ] {
        assert!(good.contains(part), "{part:?} is not in {good}");
    }
    let bundles = fs::read_dir(told.place().join("hist")).expect("it is there");
    let bundle = bundles.map(|file| file.expect("listed").path()).min().expect("a bundle");
    change(&bundle, |bytes| bytes[450] ^= 1);
    assert!(ran(&told, "verify", 0).stdout.contains("whether"), "its end is as it was");
    let bad = ran(&told, "verify --data", 7);
    let name = format!("hist/{}", bundle.file_name().and_then(|name| name.to_str()).expect("a name"));
    for part in
        [&format!("PROBLEM E_BODY_HASH in {name}"), "  Lost:   no record\n", "nothing is lost as long as segments "]
    {
        assert!(bad.stdout.contains(part), "{part:?} is not in {}", bad.stdout);
    }
    let json = ran(&told, "verify --data -o json", 7).json();
    schema::check("archive-verification", &json);
    assert_eq!((&json["problems"][0]["object"], &json["problems"][0]["lost"]), (&name.into(), &serde_json::json!([])));
    assert_eq!(json["history"]["windows"]["read"], json["history"]["windows"]["found"]);
    fs::remove_file(told.place().join("man/0000000000000001")).expect("removed");
    let unnamed = ran(&told, "verify -o json", 0).json();
    schema::check("archive-verification", &unnamed);
    assert_eq!(unnamed["notes"][0]["kind"], "unnamed-bundles");
}
