//! The grammar of an instant: `--at`, the two sides of `diff`, `--since` and `--until`.
//!
//! Does not: look into an archive; see [`crate::moment`] for what an instant means there.

use std::{fmt, str::FromStr, time::Duration};

use vmrewind_model::{Rv, Seq, Timestamp, TimestampError};

use crate::age;

/// An instant as a user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instant {
    /// The newest state that the archive holds.
    Latest,
    /// A time on the clock.
    Time(Timestamp),
    /// So long before now.
    Ago(Duration),
    /// Just after the record of this number.
    Seq(Seq),
    /// When the named object had this resource version.
    Rv(Rv),
    /// Just before the newest deletion of the named object began.
    BeforeDelete,
}

/// The forms an instant may have, for messages.
pub(crate) const FORMS: &str =
    "a time with a zone (2026-09-03T14:03:07Z), an age (-2h30m), latest, seq:N, rv:N or before-delete";

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(age) = text.strip_prefix('-') {
            return Ok(Self::Ago(age::parse(age)?));
        }
        if let Some(number) = text.strip_prefix("seq:") {
            let seq = number.parse().map_err(|_| format!("{number:?} is not the number of a record"))?;
            return Ok(Self::Seq(Seq(seq)));
        }
        if let Some(version) = text.strip_prefix("rv:") {
            return Ok(Self::Rv(version.parse().map_err(|error: vmrewind_model::RvError| error.to_string())?));
        }
        match text {
            "latest" => Ok(Self::Latest),
            "before-delete" => Ok(Self::BeforeDelete),
            _ if text.starts_with("pin:") => Err("named points (pin:NAME) are not supported yet".to_owned()),
            _ => time(text).map(Self::Time),
        }
    }
}

/// Parses a time, and tells a time that only lacks its zone from other texts.
fn time(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(time) => Ok(time),
        Err(TimestampError::OutOfRange(_)) => Err(format!("{text:?} lies outside the years 2000 to 2200")),
        Err(TimestampError::Syntax { .. }) => {
            let zoned = format!("{text}Z");
            if zoned.parse::<Timestamp>().is_ok() {
                return Err(format!(
                    "{text:?} has no time zone, and guessing one could restore the wrong state: \
                     write {zoned} for UTC, or add an offset such as +02:00"
                ));
            }
            if let Ok(date) = text.parse::<jiff::civil::Date>() {
                return Err(format!("{text:?} is a day, not an instant: write for example {date}T00:00:00Z"));
            }
            Err(format!("{text:?} is not an instant: expected {FORMS}"))
        }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Time(time) => time.fmt(f),
            Self::Ago(age) => write!(f, "-{}", age::human(*age)),
            Self::Seq(seq) => write!(f, "seq:{seq}"),
            Self::Rv(rv) => write!(f, "rv:{rv}"),
            Self::BeforeDelete => f.write_str("before-delete"),
        }
    }
}

/// One side of `diff`: an instant of the archive, or the cluster as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The archive at an instant.
    Archive(Instant),
    /// The cluster.
    Live,
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "live" { Ok(Self::Live) } else { text.parse().map(Self::Archive) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_every_form() {
        let parse = |text: &str| text.parse::<Instant>().expect(text);
        assert_eq!(parse("latest"), Instant::Latest);
        assert_eq!(parse("seq:81234"), Instant::Seq(Seq(81_234)));
        assert_eq!(parse("rv:7781234"), Instant::Rv(Rv(7_781_234)));
        assert_eq!(parse("before-delete"), Instant::BeforeDelete);
        assert_eq!(parse("-2h30m"), Instant::Ago(Duration::from_secs(9_000)));
        assert_eq!(parse("2026-09-03T16:03:07+02:00"), parse("2026-09-03T14:03:07Z"));
    }

    #[test]
    fn refuses_a_time_without_a_zone_and_says_how_to_write_it() {
        let error = "2026-09-03T14:03:07".parse::<Instant>().expect_err("no zone");
        assert!(error.contains("no time zone"), "{error}");
        assert!(error.contains("2026-09-03T14:03:07Z"), "{error}");
        let error = "2026-09-03 14:03".parse::<Instant>().expect_err("no zone");
        assert!(error.contains("no time zone"), "{error}");
    }

    #[test]
    fn refuses_what_is_no_instant() {
        for text in [
            "",
            "yesterday",
            "2h",
            "-",
            "-2",
            "seq:",
            "seq:-1",
            "rv:abc",
            "rv:007",
            "pin:x",
            "2026-09-03",
            "1970-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<Instant>().is_err(), "{text}");
        }
    }

    #[test]
    fn live_is_a_side_of_a_comparison_but_no_instant() {
        assert_eq!("live".parse(), Ok(Side::Live));
        assert!("live".parse::<Instant>().is_err());
    }
}
