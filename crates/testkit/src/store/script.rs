//! Failures drawn from a seed: which calls fail, and how.
//!
//! Does not: draw what no store that is to be trusted does (a torn put, or one that overwrites); those are for schedules.

use std::time::Duration;

use super::{Call, How};

/// Draws from a seed whether the next call fails, and how. The same seed and the same calls give the same failures.
#[derive(Clone, Debug)]
pub struct Script {
    state: u64,
    one_in: u64,
    slow: Duration,
    lost: bool,
    spared: Vec<Call>,
}

impl Script {
    /// Makes a script in which one call of five fails, and what times out takes 20 s.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed, one_in: 5, slow: Duration::from_secs(20), lost: true, spared: Vec::new() }
    }

    /// Sets that one call of so many fails.
    #[must_use]
    pub fn one_in(mut self, calls: u64) -> Self {
        self.one_in = calls.max(1);
        self
    }

    /// Sets how long what times out takes.
    #[must_use]
    pub fn slow(mut self, slow: Duration) -> Self {
        self.slow = slow;
        self
    }

    /// Leaves out answers that never come, for callers that would wait for ever.
    #[must_use]
    pub fn always_answering(mut self) -> Self {
        self.lost = false;
        self
    }

    /// Lets no call of this kind fail.
    #[must_use]
    pub fn sparing(mut self, call: Call) -> Self {
        self.spared.push(call);
        self
    }

    /// Draws a number below `below`: `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
    pub fn draw(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    /// Returns how the next call fails, if it does.
    pub(super) fn next(&mut self, call: Call) -> Option<How> {
        const STATUSES: [u16; 4] = [429, 500, 502, 503];
        if self.draw(self.one_in) != 0 || self.spared.contains(&call) {
            return None;
        }
        let status = How::Status(STATUSES[usize::try_from(self.draw(4)).unwrap_or_default()]);
        let timed_out = |done| How::TimedOut { done, after: self.slow };
        let lost = if self.lost { How::LostAnswer } else { How::Before };
        let all = match call {
            // S3 answers 409 when another create of the name is under way; some stores answer 412 in its place.
            Call::Put => vec![
                How::Before,
                How::After,
                status,
                How::Status(409),
                How::Status(412),
                timed_out(true),
                timed_out(false),
                lost,
            ],
            Call::Get => vec![How::Before, How::Torn(7), How::Torn(0), status, timed_out(false), lost],
            Call::Head => vec![How::Before, status, timed_out(false), lost],
            Call::List => vec![How::Before, How::Torn(1), How::Torn(5)],
            Call::Delete => vec![How::Before],
        };
        let n = self.draw(all.len() as u64);
        all.into_iter().nth(usize::try_from(n).unwrap_or_default())
    }
}
