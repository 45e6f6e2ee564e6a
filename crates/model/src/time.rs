//! Instants as the archive keeps them: whole microseconds since 1970 in UTC.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z, within the years 2000 to 2200.
///
/// Its text form is RFC 3339 in UTC with up to six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Why a number or a text is no [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// The instant lies outside the years an archive may hold.
    #[error("{0} microseconds since 1970 lie outside the years 2000 to 2200")]
    OutOfRange(i64),
    /// The text is not RFC 3339 with a zone.
    #[error("{text:?} is not an RFC 3339 time with a zone: {reason}")]
    Syntax {
        /// The text as given.
        text: String,
        /// What the parser says.
        reason: String,
    },
}

impl Timestamp {
    /// 2000-01-01T00:00:00Z, the earliest instant that can be stored.
    pub const MIN: Self = Self(946_684_800_000_000);
    /// 2200-01-01T00:00:00Z, the latest instant that can be stored.
    pub const MAX: Self = Self(7_258_118_400_000_000);

    /// Takes microseconds since 1970.
    ///
    /// # Errors
    /// [`TimestampError::OutOfRange`] outside of [`Self::MIN`] to [`Self::MAX`].
    pub fn from_micros(micros: i64) -> Result<Self, TimestampError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&micros) {
            Ok(Self(micros))
        } else {
            Err(TimestampError::OutOfRange(micros))
        }
    }

    /// Returns microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Returns the instant `duration` later, at most [`Self::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(Self::MAX.0))
    }

    /// Returns the instant `duration` earlier, at least [`Self::MIN`].
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).max(Self::MIN.0))
    }

    /// Returns how long after `earlier` this is, zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl TryFrom<jiff::Timestamp> for Timestamp {
    type Error = TimestampError;

    fn try_from(time: jiff::Timestamp) -> Result<Self, TimestampError> {
        Self::from_micros(time.as_microsecond())
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(time: Timestamp) -> Self {
        Self::from_microsecond(time.0).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        jiff::Timestamp::from(*self).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| TimestampError::Syntax {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
        time.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_rfc_3339_to_the_microsecond() {
        let time: Timestamp = "2026-11-22T14:03:07.000001Z".parse().expect("valid");
        assert_eq!(time.to_string(), "2026-11-22T14:03:07.000001Z");
        assert_eq!("2026-11-22T15:03:07.000001+01:00".parse(), Ok(time));
    }

    #[test]
    fn refuses_a_time_without_a_zone_and_years_that_cannot_be() {
        assert!(matches!("2026-11-22T14:03:07".parse::<Timestamp>(), Err(TimestampError::Syntax { .. })));
        assert!(matches!("1970-01-01T00:00:00Z".parse::<Timestamp>(), Err(TimestampError::OutOfRange(0))));
        assert!(Timestamp::from_micros(i64::MAX).is_err());
    }
}
