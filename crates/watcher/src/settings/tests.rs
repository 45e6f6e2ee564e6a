//! Settings: precedence, refusals, defaults.

use super::*;

fn flags(archive: &str) -> Flags {
    Flags { archive: Some(archive.to_owned()), ..Flags::default() }
}

#[test]
fn a_flag_wins_over_the_file() {
    let file = File::parse("archive: /from/file\ntiming: {linger: 10ms, audit: 1h}\nnamespaces: [a]\n").expect("valid");
    let flags = Flags { linger: Some(Span::millis(5)), ..flags("/from/flag") };
    let settings = Settings::merge(flags, file);
    assert_eq!(settings.archive, "/from/flag");
    assert_eq!(settings.timing.linger, Span::millis(5));
    assert_eq!(settings.timing.audit, Span::seconds(3600));
    assert_eq!(settings.namespaces, ["a"]);
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_name() {
    let error = File::parse("timing: {lingre: 10ms}\n").expect_err("unknown");
    assert!(error.to_string().contains("lingre"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("did you mean `linger`?"));
}

#[test]
fn a_number_without_a_unit_and_a_foreign_kind_are_refused() {
    assert!(File::parse("timing: {linger: 10}\n").is_err());
    assert!(File::parse("kind: Deployment\n").is_err());
    assert!("64".parse::<Bytes>().is_err());
}

#[test]
fn what_config_prints_can_be_read_as_a_file() {
    let settings = Settings::load(flags("/archive")).expect("valid");
    let text = settings.to_yaml().expect("printable");
    let again = Settings::merge(Flags::default(), File::parse(&text).expect("readable"));
    assert_eq!(again, settings);
}

#[test]
fn readable_secrets_go_to_a_remote_store_only_if_that_is_said() {
    assert!(Settings::load(flags("s3://bucket/prefix")).is_err());
    let said = Flags { secrets: Some(Secrets::Store), ..flags("s3://bucket/prefix") };
    assert!(Settings::load(said).is_ok());
}

#[test]
fn an_archive_must_be_named() {
    assert!(Settings::load(Flags::default()).is_err());
}

#[test]
fn an_encrypted_archive_has_two_recipients_unless_one_is_meant_and_only_x25519_ones() {
    let recipient = |n: u8| vmrewind_archive::SecretKey::new([n; 32]).recipient().to_string();
    let to = |recipients: &[String], single_recipient| {
        Settings::load(Flags { recipients: recipients.to_vec(), single_recipient, ..flags("s3://bucket/prefix") })
    };
    let two = to(&[recipient(1), recipient(2)], false).expect("two, and so a remote store may hold Secrets");
    assert_eq!(two.encryption.told().expect("valid").map(|told| told.as_slice().len()), Some(2));
    assert!(to(&[recipient(1)], true).is_ok());
    let pinned = |fingerprint: &str, recipients: &[String]| {
        let (recipients, fingerprint) = (recipients.to_vec(), Some(fingerprint.to_owned()));
        Settings::load(Flags { recipients, fingerprint, ..flags("/var/lib/archive") })
    };
    let fingerprint = "00112233445566778899aabbccddeeff";
    let both = [recipient(1), recipient(2)];
    let pin = pinned(fingerprint, &both).expect("valid").encryption.pin().expect("valid").expect("given");
    assert_eq!(pin.to_string(), fingerprint);
    assert!(pinned(&fingerprint[1..], &both).expect_err("too short").to_string().contains("no fingerprint"));
    assert!(pinned(fingerprint, &[]).expect_err("nobody").to_string().contains("no recipients"));
    for (recipients, single, word) in [
        (vec![recipient(1)], false, "single recipient"),
        (vec![recipient(1), recipient(1)], false, "single recipient"),
        (vec![], true, "there is none"),
        (vec![recipient(1), "ssh-ed25519 AAAA".to_owned()], false, "SSH"),
        (vec![recipient(1), "age1yubikey1qqq".to_owned()], false, "plugin"),
    ] {
        let error = to(&recipients, single).expect_err(word);
        assert!(error.to_string().contains(word) && error.hint().is_some(), "{error}");
    }
}
