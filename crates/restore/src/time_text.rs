//! Serde form of instants: text with all six decimals, so that every one of them has the same form and sorts as text.
//!
//! Does not: read a clock.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use vmrewind_model::Timestamp;

/// Writes an instant.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference to the field")]
pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&padded(&time.to_string()))
}

fn padded(text: &str) -> String {
    let plain = text.trim_end_matches('Z');
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    format!("{whole}.{fraction:0<6}Z")
}

/// Reads it back.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_has_six_decimals() {
        for (text, expected) in [
            ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00.000000Z"),
            ("2026-11-22T12:00:00.5Z", "2026-11-22T12:00:00.500000Z"),
            ("2026-11-22T12:00:00.000002Z", "2026-11-22T12:00:00.000002Z"),
        ] {
            let time: Timestamp = text.parse().expect("a time");
            assert_eq!(padded(&time.to_string()), expected);
            assert_eq!(expected.parse::<Timestamp>().expect("a time"), time);
        }
    }
}
