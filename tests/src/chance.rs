//! Chance that can be repeated: everything random in a scenario is drawn from one printed seed.
//!
//! Does not: resist anybody.

use std::hash::{BuildHasher as _, RandomState};

/// Environment variable with the seed to be used again.
pub const SEED: &str = "VMREWIND_SEED";

/// A source of numbers.
#[derive(Debug, Clone)]
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// Starts with the seed of the environment, or a new one, which the caller is to print.
    pub fn new() -> Self {
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one("seed"));
        Self { seed, state: seed }
    }

    /// Returns the seed it started with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Draws a number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % limit as u64).unwrap_or_default()
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
