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
fn encryption_that_does_not_exist_yet_is_refused_and_so_is_a_missing_archive() {
    let encrypted = Flags { secrets: Some(Secrets::EncryptOnly), ..flags("/archive") };
    let error = Settings::load(encrypted).expect_err("refused");
    assert!(error.to_string().contains("encrypt-only") && error.hint().is_some());
    assert!(Settings::load(Flags::default()).is_err());
}
