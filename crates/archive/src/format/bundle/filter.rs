//! Which homes and objects a bundle holds, for sure not or perhaps.
//!
//! Does not: say where; see the first and last keys in the index.

use std::collections::BTreeSet;

use vmrewind_model::Digest;

use super::SortKey;

/// Bits of the filter for each entry.
const BITS: u64 = 10;

/// How many bits an entry sets.
pub(crate) const PROBES: u8 = 7;

/// The entries of a filter, by what of their hash counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries(BTreeSet<(u64, u64)>);

impl Entries {
    /// Adds home and object of a line.
    pub(crate) fn add(&mut self, key: &SortKey) {
        if let Some(object) = key.object() {
            self.0.insert(hash(1, key.home()));
            self.0.insert(hash(2, object));
        }
    }

    /// Returns the filter: its bytes, eight bits each.
    pub(crate) fn filter(&self) -> Vec<u8> {
        let length = (self.0.len() as u64 * BITS).div_ceil(8).max(1);
        let mut filter = vec![0; usize::try_from(length).expect("there are fewer entries than bytes in memory")];
        for entry in &self.0 {
            for bit in bits(*entry, length * 8) {
                filter[bit / 8] |= 1 << (bit % 8);
            }
        }
        filter
    }
}

fn hash(what: u8, text: &[u8]) -> (u64, u64) {
    let mut entry = Vec::with_capacity(text.len() + 1);
    entry.push(what);
    entry.extend_from_slice(text);
    let Digest(digest) = Digest::of(&entry);
    let number = |at: usize| digest[at..at + 8].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (number(0), number(8))
}

/// The bits of an entry in a filter of `size` bits.
fn bits((first, step): (u64, u64), size: u64) -> impl Iterator<Item = usize> {
    (0..u128::from(PROBES)).map(move |n| {
        let bit = (u128::from(first) + n * u128::from(step)) % u128::from(size);
        usize::try_from(bit).expect("a filter fits into memory")
    })
}

/// Tells whether a filter may hold a home. No read asks for a whole home yet.
#[cfg(test)]
pub(crate) fn may_hold_home(filter: &[u8], home: &[u8]) -> bool {
    may_hold(filter, hash(1, home))
}

/// Tells whether a filter may hold an object: namespace, name, group and kind, joined by U+0000.
pub(crate) fn may_hold_object(filter: &[u8], object: &[u8]) -> bool {
    may_hold(filter, hash(2, object))
}

fn may_hold(filter: &[u8], entry: (u64, u64)) -> bool {
    bits(entry, filter.len() as u64 * 8).all(|bit| filter[bit / 8] & 1 << (bit % 8) != 0)
}
