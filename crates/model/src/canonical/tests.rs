use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn canonical(text: &str) -> String {
    String::from_utf8(canonicalize(text.as_bytes()).expect(text)).expect("UTF-8")
}

#[test]
fn sorts_members_by_their_utf8_bytes_and_drops_whitespace() {
    assert_eq!(canonical(" { \"b\" : 1 , \"a\" : [ 1 , { } ] , \"\" : null } "), r#"{"":null,"a":[1,{}],"b":1}"#);
    // U+FFFF sorts before U+10000 by UTF-8 bytes, after it by UTF-16 units.
    assert_eq!(canonical("{\"\u{10000}\":1,\"\u{ffff}\":2}"), "{\"\u{ffff}\":2,\"\u{10000}\":1}");
}

#[test]
fn compares_names_by_what_they_say_and_not_by_how_they_are_escaped() {
    assert_eq!(canonical(r#"{"b":1,"\u0061":2}"#), r#"{"a":2,"b":1}"#);
}

#[test]
fn copies_number_tokens_verbatim() {
    for token in ["10.10", "1e3", "1E+3", "-0", "123456789012345678901234567890", "0.1000"] {
        assert_eq!(canonical(token), token);
    }
}

#[test]
fn writes_the_shortest_escapes() {
    assert_eq!(
        canonical(r#""\u0041\/\u000a\u001F\u007f\u00e9\ud83d\ude00\"\\\b\f\r\t""#),
        "\"A/\\n\\u001f\u{7f}\u{e9}\u{1f600}\\\"\\\\\\b\\f\\r\\t\""
    );
}

#[test]
fn adds_missing_members_in_their_place_and_never_replaces_one() {
    let defaults = [("apiVersion", "v1"), ("kind", "Secret")];
    let text =
        |input: &str| String::from_utf8(canonicalize_with(input.as_bytes(), &defaults).expect("JSON")).expect("UTF-8");
    assert_eq!(text(r#"{"metadata":{}}"#), r#"{"apiVersion":"v1","kind":"Secret","metadata":{}}"#);
    assert_eq!(text(r#"{"kind":"Pod"}"#), r#"{"apiVersion":"v1","kind":"Pod"}"#);
    assert_eq!(text("{}"), r#"{"apiVersion":"v1","kind":"Secret"}"#);
}

#[test]
fn refuses_what_is_not_one_json_value() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "tru",
        "nullx",
        "1 2",
        "\"",
        "\"\\x\"",
        "\"\n\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\u12\"",
        "NaN",
        "\u{feff}1",
        "[1}",
        "{\"a\" 1}",
    ] {
        assert!(matches!(canonicalize(text.as_bytes()), Err(CanonicalError::Syntax { .. })), "{text:?}");
    }
    assert!(matches!(canonicalize(b"\"\xff\""), Err(CanonicalError::Syntax { what: "invalid UTF-8", at: 1 })));
}

#[test]
fn refuses_duplicate_members_also_when_escaped_differently() {
    assert!(matches!(canonicalize(br#"{"a":1,"\u0061":2}"#), Err(CanonicalError::DuplicateMember { .. })));
}

#[test]
fn refuses_what_is_deeper_or_larger_than_the_limits() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(canonicalize(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(matches!(canonicalize(nested(MAX_DEPTH + 1).as_bytes()), Err(CanonicalError::TooDeep { .. })));
    let large = vec![b' '; MAX_BYTES + 1];
    assert_eq!(canonicalize(&large), Err(CanonicalError::TooLarge { len: MAX_BYTES + 1 }));
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn is_equal_in_value_and_stable(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.expect("serialisable");
        let once = canonicalize(&text).expect("JSON");
        prop_assert_eq!(&serde_json::from_slice::<Value>(&once).expect("JSON"), &value);
        prop_assert_eq!(&canonicalize(&once).expect("JSON"), &once);
    }

    #[test]
    fn what_it_accepts_is_json_and_it_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(once) = canonicalize(&bytes) {
            prop_assert!(serde_json::from_slice::<Value>(&once).is_ok() || once.iter().any(u8::is_ascii_digit));
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_yields_json(value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec(&value).expect("serialisable");
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(once) = canonicalize(&text) {
            prop_assert_eq!(&canonicalize(&once).expect("canonical bytes are JSON"), &once);
        }
    }
}
