//! Which segments are read in full if not all of them are.
//!
//! Does not: draw random numbers; the caller hands in a seed.

use vmrewind_model::Digest;

use super::Slots;

/// Which share of the segments is read in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The share, in parts of a million.
    pub parts: u32,
    /// Decides which.
    pub seed: u64,
    /// Those that were read in earlier runs: others come first.
    pub covered: Slots,
}

/// Chooses among slots: the share of all, rounded up; those that are not covered first, in an order that only the seed
/// and the slot decide.
pub(super) fn choose(slots: &[u64], sample: &Sample) -> Slots {
    let count = (slots.len() as u64).saturating_mul(sample.parts.into()).div_ceil(1_000_000);
    let place = |slot: u64| {
        let Digest(digest) = Digest::of(&[sample.seed.to_le_bytes(), slot.to_le_bytes()].concat());
        (sample.covered.contains(slot), digest)
    };
    let mut order: Vec<(bool, [u8; 32], u64)> =
        slots.iter().map(|slot| (place(*slot).0, place(*slot).1, *slot)).collect();
    order.sort_unstable();
    order.into_iter().take(usize::try_from(count).unwrap_or(usize::MAX)).map(|(_, _, slot)| slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(parts: u32, seed: u64, covered: &str) -> Sample {
        Sample { parts, seed, covered: covered.parse().expect("good") }
    }

    #[test]
    fn the_share_is_rounded_up_and_the_seed_decides() {
        let slots: Vec<u64> = (1..=200).collect();
        let chosen = |parts, seed| choose(&slots, &sample(parts, seed, ""));
        assert_eq!(chosen(10_000, 1).count(), 2);
        assert_eq!(chosen(1, 1).count(), 1);
        assert_eq!(chosen(0, 1).count(), 0);
        assert_eq!(chosen(1_000_000, 1).to_string(), "1-200");
        assert_eq!(chosen(50_000, 1), chosen(50_000, 1));
        assert_ne!(chosen(50_000, 1), chosen(50_000, 2));
    }

    #[test]
    fn repeated_runs_cover_everything_whatever_their_seeds() {
        let slots: Vec<u64> = (1..=97).collect();
        let mut covered = Slots::default();
        for run in 0..10 {
            let chosen = choose(&slots, &Sample { parts: 100_000, seed: run * 7, covered: covered.clone() });
            assert_eq!(chosen.count(), 10);
            covered.extend(&chosen);
        }
        assert_eq!(covered.to_string(), "1-97");
    }
}
