//! Lengths of time as people write and read them.
//!
//! Does not: read a clock.

use std::time::Duration;

use vmrewind_model::Timestamp;

/// Writes a length of time in at most two units, rounded down: `3d4h`, `12m`, `45s`, `0s`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => two(hours, "h", minutes, "m"),
        (days, hours, _) if days < 10 => two(days, "d", hours, "h"),
        (days, _, _) => format!("{days}d"),
    }
}

/// Writes how long before `now` something was: `12m ago`, `just now`, or `in 5s` if it lies ahead.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    if then > now {
        return format!("in {}", human(then.since(now)));
    }
    match now.since(then) {
        short if short < Duration::from_secs(1) => "just now".to_owned(),
        other => format!("{} ago", human(other)),
    }
}

/// Parses a length of time such as `2h30m`, `45s`, `1w2d` or `250ms`.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a length of time such as 2h30m, 45s or 7d");
    let mut micros: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit: u64 = match &rest[..letters] {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            _ => return Err(wrong()),
        };
        micros = number.checked_mul(unit).and_then(|part| micros.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    Ok(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_at_most_two_units() {
        let written: Vec<_> =
            [0, 59, 61, 3_599, 3_600, 9_000, 90_000, 900_000].map(|s| human(Duration::from_secs(s))).to_vec();
        assert_eq!(written, ["0s", "59s", "1m1s", "59m", "1h", "2h30m", "1d1h", "10d"]);
    }

    #[test]
    fn parses_lengths_of_time_and_refuses_the_rest() {
        assert_eq!(parse("2h30m"), Ok(Duration::from_secs(9_000)));
        assert_eq!(parse("1w1d"), Ok(Duration::from_secs(691_200)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "5", "h", "2x", "-2h", "2h 30m", "99999999999999999999h", "99999999999999w"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
