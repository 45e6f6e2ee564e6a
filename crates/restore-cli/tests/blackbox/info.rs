//! `info`.

use crate::{harness::Story, schema, stories::*};
use vmrewind_model::GapCause;

#[test]
fn shows_what_the_archive_holds_and_how_well_it_is_proven() {
    let told = gap().write();
    let all = told.run("info").all();
    let shown: Vec<&str> = all
        .lines()
        .filter(|line| {
            [
                "Archive",
                "Cluster",
                "From",
                "Until",
                "Records",
                "EPOCH",
                "1 ",
                "RESOURCE",
                "virtualmachines.kubevirt.io ",
                "secrets",
                "GAP",
            ]
            .iter()
            .any(|begin| line.starts_with(begin))
        })
        .filter(|line| !line.starts_with("Records"))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"");
}

#[test]
fn json_fits_its_schema() {
    let ran = gap().write().run("info -o json");
    assert_eq!(ran.code, 0, "{}", ran.all());
    schema::check("archive-info", &ran.json());
    assert_eq!(ran.json()["gaps"][0]["cause"], "expired");
}

#[test]
fn says_which_kind_and_which_verb_is_denied() {
    let ran = morning().denied("", "secrets", "list").write().run("info");
    let secrets = ran.stdout.lines().find(|line| line.starts_with("secrets")).expect("a row");
    assert!(secrets.contains("denied") && secrets.contains("list is forbidden"), "{secrets}");
}

#[test]
fn an_open_gap_is_shown_as_open() {
    let story = Story::new().added(&database()).gap_opens("kubevirt.io", "virtualmachines", GapCause::Stalled);
    let ran = story.commit().write().run("info");
    let gap = ran.stdout.lines().find(|line| line.contains("stalled") && line.contains("open")).expect("a row");
    assert!(gap.starts_with("virtualmachines.kubevirt.io"), "{gap}");
}

#[test]
fn fails_when_proof_is_older_than_asked_for() {
    let told = morning().commit().write();
    assert_eq!(told.run("info --max-age 24h").code, 0);
    let ran = told.run("info --max-age 5m");
    assert_eq!(ran.code, 6);
    assert!(ran.stderr.contains("Error: the archive is older than 5m"), "{}", ran.stderr);
    assert!(ran.stderr.contains("virtualmachines.kubevirt.io: proven up to"), "{}", ran.stderr);
    assert!(ran.stdout.contains("RESOURCE"), "the table is printed all the same");
}

#[test]
fn a_damaged_segment_is_named_with_what_is_still_readable() {
    for (name, damage) in [("truncated", true), ("flipped", false)] {
        let told = morning().write();
        let victim = told.segments()[2].clone();
        let mut bytes = std::fs::read(&victim).expect("readable");
        let middle = bytes.len() / 3;
        if damage {
            bytes.truncate(bytes.len() - 10);
        } else {
            bytes[middle] ^= 1;
        }
        make_writable(&victim);
        std::fs::write(&victim, bytes).expect("writable");
        let ran = told.run("info");
        assert_eq!(ran.code, 7, "{name}: {}", ran.all());
        let number = victim.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        assert!(ran.stdout.contains("DAMAGE") && ran.stdout.contains(&number), "{name}: {}", ran.all());
        assert!(ran.stderr.contains("Hint:"), "{name}: {}", ran.stderr);
        schema::check("archive-info", &told.run("info -o json").json());
    }
}

fn make_writable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("ours");
}
