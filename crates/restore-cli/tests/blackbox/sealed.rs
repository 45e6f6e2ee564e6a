//! Encrypted archives: what opens them, what does not, and the verb `key`.

use std::os::unix::fs::PermissionsExt as _;

use vmrewind_archive::SecretKey;
use vmrewind_testkit::build::vm;

use crate::harness::{Story, Told, run_alone};

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::new([n; 32])
}

pub(crate) fn story() -> Story {
    Story::new().added(&vm("db-1"))
}

/// An archive that is encrypted to the first two keys, and the files of the first three.
pub(crate) fn sealed() -> (Told, [String; 3]) {
    let told = story().write_sealed(&[secret(1), secret(2)]);
    let files = [1, 2, 3].map(|n| {
        let file = told.file(&format!("key-{n}"));
        std::fs::write(&file, secret(n).reveal().as_bytes()).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
        file
    });
    (told, files)
}

#[test]
fn every_verb_that_reads_reads_an_encrypted_archive_as_a_plain_one() {
    let ((told, files), plain) = (sealed(), story().write());
    for words in
        ["log -A --all -o jsonl", "get vm -A -o json", "dump --at latest", "show vm/db-1 -n prod --raw", "deleted -A"]
    {
        let open = told.run(&format!("{words} --identity {}", files[1]));
        assert_eq!((open.code, &open.stdout), (0, &plain.run(words).stdout), "{words}: {}", open.all());
    }
    let mut command = told.command();
    command.env("VMREWIND_IDENTITY", &files[0]).args(["verify", "--deep"]);
    let verified = command.output().expect("it runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn without_the_right_key_every_verb_ends_with_12_and_says_what_to_give() {
    let (told, files) = sealed();
    for words in
        ["info", "log -A", "get vm -A", "verify", "dump --at latest", "plan vm/db-1 -n prod", "log -A --allow-damage"]
    {
        for key in ["".to_owned(), format!(" --identity {}", files[2])] {
            let ran = told.run(&format!("{words}{key}"));
            assert_eq!(ran.code, 12, "{words}{key}: {}", ran.all());
            assert!(ran.stdout.is_empty() && ran.stderr.contains("--identity FILE"), "{}", ran.all());
        }
    }
    let both = told.run(&format!("get vm -A --identity {} --identity {}", files[2], files[1]));
    assert_eq!(both.code, 0, "{}", both.all());
}

#[test]
fn an_archive_that_is_not_encrypted_is_refused_if_an_identity_is_given() {
    let plain = story().write();
    let file = plain.file("key");
    std::fs::write(&file, secret(1).reveal().as_bytes()).expect("written");
    for words in ["get vm -A", "verify", "key list"] {
        let ran = plain.run(&format!("{words} --identity {file}"));
        assert!(ran.code == 12 && ran.stderr.contains("not encrypted"), "{}", ran.all());
    }
}

#[test]
fn files_that_hold_no_identity_are_refused_by_name() {
    let (told, _) = sealed();
    for (text, word) in [
        ("", "no age secret key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "SSH"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ\n", "plugin"),
        ("age-encryption.org/v1\n-> scrypt", "passphrase"),
    ] {
        let file = told.file("other");
        std::fs::write(&file, text).expect("written");
        let ran = told.run(&format!("get vm -A --identity {file}"));
        assert!(ran.code == 2 && ran.stderr.contains(word), "{}", ran.all());
    }
    let none = told.run("get vm -A --identity /nowhere/key");
    assert!(none.code == 2 && none.stderr.contains("/nowhere/key"), "{}", none.all());
}

#[test]
fn a_key_is_made_for_its_owner_alone_and_never_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key").display().to_string();
    let made = run_alone(&["key", "generate", &file]);
    assert_eq!(made.code, 0, "{}", made.all());
    let text = std::fs::read_to_string(&file).expect("written");
    let key = SecretKey::read_file(&text).expect("a key").remove(0);
    assert_eq!(made.stdout.trim_end(), key.recipient().to_string());
    assert!(!made.all().contains("SECRET-KEY"));
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let again = run_alone(&["key", "generate", &file]);
    assert!(again.code == 5 && again.stderr.contains("never overwritten"), "{}", again.all());
    assert_eq!(std::fs::read_to_string(&file).expect("there"), text);
    let other = dir.path().join("other").display().to_string();
    assert_ne!(run_alone(&["key", "generate", &other]).stdout, made.stdout);
}

#[test]
fn recipients_are_listed_added_and_rotated_and_it_is_said_what_old_keys_still_open() {
    let (told, files) = sealed();
    let to = |n: u8| secret(n).recipient().to_string();
    let listed = told.run("key list");
    assert!(listed.code == 0 && listed.stderr.contains("not checked"), "{}", listed.all());
    let listed = told.run(&format!("key list -o json --identity {}", files[0])).json();
    crate::schema::check("key-list", &listed);
    assert_eq!(
        (&listed["verified"], listed["items"][0]["recipients"].as_array().map(Vec::len)),
        (&true.into(), Some(2))
    );
    let shut = told.run(&format!("key add {}", to(3)));
    assert_eq!(shut.code, 12, "{}", shut.all());
    let asked = told.run(&format!("key add {} --identity {}", to(3), files[0]));
    assert!(asked.code == 2 && asked.stderr.contains(&to(1)) && asked.stderr.contains(&to(2)), "{}", asked.all());
    assert_eq!(
        told.run(&format!("key list -o json --identity {}", files[0])).json()["items"].as_array().map(Vec::len),
        Some(1)
    );
    let added = told.run(&format!("key add {} --yes --identity {}", to(3), files[0]));
    assert!(
        added.code == 0 && added.stdout.contains(&to(3)) && added.stderr.contains("cannot read it"),
        "{}",
        added.all()
    );
    for verify in ["verify", "verify --data", "verify --deep"] {
        let late = told.run(&format!("{verify} --identity {}", files[2]));
        assert_eq!(late.code, 12, "{verify}: {}", late.all());
    }
    let twice = told.run(&format!("key add {} --identity {}", to(3), files[0]));
    assert!(twice.code == 1 && twice.stderr.contains("already"), "{}", twice.all());
    let rotate = |words: &str| told.run(&format!("key rotate {words} --identity {}", files[0]));
    let few = rotate(&format!("--recipient {}", to(2)));
    assert!(few.code == 1 && few.stderr.contains("--single-recipient"), "{}", few.all());
    let rotated = rotate(&format!("--recipient {} --recipient {}", to(2), to(3)));
    assert!(rotated.code == 0 && rotated.stderr.contains("stay readable by the old key"), "{}", rotated.all());
    assert!(rotated.stderr.contains(&to(1)) && !rotated.stdout.contains(&to(1)), "{}", rotated.all());
    let listed = told.run(&format!("key list -o json --identity {}", files[2])).json();
    crate::schema::check("key-list", &listed);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(3));
    let ssh = told.run(&format!("key add ssh-ed25519 --identity {}", files[1]));
    assert!(ssh.code == 2 && ssh.stderr.contains("SSH"), "{}", ssh.all());
    let plain = story().write().run(&format!("key add {}", to(3)));
    assert!(plain.code == 1 && plain.stderr.contains("not encrypted"), "{}", plain.all());
}

#[test]
fn a_copy_of_an_encrypted_archive_is_refused_by_the_name_of_what_it_lacks() {
    let (told, files) = sealed();
    let target = told.file("copy");
    let ran = told.run(&format!("copy {target} --identity {}", files[0]));
    assert!(ran.code == 1 && ran.stderr.contains("encrypted archives cannot be copied yet"), "{}", ran.all());
    assert!(!std::path::Path::new(&target).exists(), "nothing was made");
}
