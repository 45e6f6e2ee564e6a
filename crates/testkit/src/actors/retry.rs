//! How long a reconciliation that failed waits for its next try.
//!
//! Does not: wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Returns the wait after a number of failures in a row: doubled from [`FIRST`] up to [`LONGEST`].
fn wait(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST.saturating_mul(doubled).min(LONGEST)
}

/// How often each object failed in a row, by uid.
#[derive(Debug, Default)]
pub(super) struct Failures {
    // A lock rather than a channel: the error policy has to answer at once.
    in_a_row: Mutex<HashMap<String, u32>>,
}

impl Failures {
    /// Notes a failure, and returns how long to wait before the next try.
    pub(super) fn failed(&self, uid: &str) -> Duration {
        let mut in_a_row = self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = in_a_row.entry(uid.to_owned()).or_default();
        *failures = failures.saturating_add(1);
        wait(*failures)
    }

    /// Notes a success.
    pub(super) fn succeeded(&self, uid: &str) {
        self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew_after_a_success() {
        let failures = Failures::default();
        let waits: Vec<u128> = (0..8).map(|_| failures.failed("a").as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(failures.failed("b"), FIRST, "another object has failed for the first time");
        failures.succeeded("a");
        assert_eq!(failures.failed("a"), FIRST);
        assert_eq!(wait(u32::MAX), LONGEST);
    }
}
