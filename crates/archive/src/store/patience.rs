//! How long a service that fails is asked again.
//!
//! Does not: repeat a create; what became of one that failed is found out by reading.

use std::time::Duration;

/// How long a service that fails is asked again, and how long it may take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How often the same is asked at most; at least once.
    pub tries: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// So long after the first try began no other one begins.
    pub total: Duration,
    /// How long one try may take; none: as long as it takes.
    pub answer: Option<Duration>,
}

impl Patience {
    /// Asks once and waits for the answer.
    pub const NONE: Self =
        Self { tries: 1, first: Duration::ZERO, longest: Duration::ZERO, total: Duration::ZERO, answer: None };

    /// What a service gets: six tries, with pauses of 6.2 s between them, or two if it leaves the first without an answer.
    /// Together that is well below the stall rule of five minutes, so that a writer hears of trouble while it may still go on.
    pub const SERVICE: Self = Self {
        tries: 6,
        first: Duration::from_millis(200),
        longest: Duration::from_secs(5),
        total: Duration::from_secs(90),
        answer: Some(Duration::from_secs(80)),
    };

    /// Returns how long to pause after so many failures (from 1), when `passed` went by since the first try began; none
    /// if it is enough.
    #[must_use]
    pub fn pause(&self, failures: u32, passed: Duration) -> Option<Duration> {
        const DOUBLINGS: u32 = 16;
        if failures >= self.tries {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS));
        let pause = doubled.min(self.longest);
        (passed.saturating_add(pause) < self.total).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(patience: Patience, each: Duration) -> Vec<u128> {
        let mut passed = Duration::ZERO;
        let next = |failures| {
            passed += each;
            let pause = patience.pause(failures, passed)?;
            passed += pause;
            Some(pause.as_millis())
        };
        (1..1000).map_while(next).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_with_the_tries() {
        assert_eq!(pauses(Patience::SERVICE, Duration::ZERO), [200, 400, 800, 1600, 3200]);
        let longer = Patience { tries: 9, total: Duration::MAX, ..Patience::SERVICE };
        assert_eq!(pauses(longer, Duration::ZERO), [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert_eq!(pauses(Patience::NONE, Duration::ZERO), []);
    }

    #[test]
    fn a_service_that_takes_long_to_fail_is_asked_less_often() {
        assert_eq!(pauses(Patience::SERVICE, Duration::from_secs(30)), [200, 400]);
        let answer = Patience::SERVICE.answer.expect("bounded");
        assert_eq!(pauses(Patience::SERVICE, answer), [200], "one answer may be lost");
        assert_eq!(pauses(Patience::SERVICE, Duration::from_secs(95)), []);
    }

    #[test]
    fn all_tries_together_stay_below_the_stall_rule() {
        let Patience { total, answer, .. } = Patience::SERVICE;
        assert!(total + answer.expect("bounded") < Duration::from_secs(5 * 60));
    }
}
