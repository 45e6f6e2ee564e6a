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
    insta::assert_snapshot!(shown.join("\n"), @r#"
    Archive:  01234567-89ab-4def-8123-456789abcdef
    Cluster:  11111111-2222-3333-4444-555555555555
    From:     2026-11-22T10:00:10.000001Z
    Until:    2026-11-22T10:10:00.000005Z (1h49m ago)
    EPOCH   WRITER     SEGMENTS   FROM                   TO
    1       07070707   1-3        2026-11-22T10:00:00Z   2026-11-22T10:10:00.000005Z
    RESOURCE                                                      KIND                                STATE   PROVEN SINCE           PROVEN UP TO                  AGE     DETAIL
    secrets                                                       Secret                              live    2026-11-22T10:00:00Z   2026-11-22T10:10:00.000005Z   1h49m
    virtualmachines.kubevirt.io                                   VirtualMachine                      live    2026-11-22T10:00:00Z   2026-11-22T10:10:00.000005Z   1h49m
    GAP IN                        FROM                          TO                            LENGTH   CAUSE     DETAIL
    virtualmachines.kubevirt.io   2026-11-22T10:05:00.000002Z   2026-11-22T10:10:00.000004Z   5m       expired   the watch fell behind
    "#);
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
