//! Sets of slots, as ranges: what lies in an archive is contiguous, or nearly so.
//!
//! Does not: know what is in a slot.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr};

/// A set of slots. Its text form is that of the slots in gaps of cause `damage`: `3-5,9`; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots(BTreeMap<u64, u64>);

/// A text that is no set of slots.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no set of slots: expected ranges in order, as in 3-5,9")]
pub struct SlotsError(String);

impl Slots {
    /// Adds a slot.
    pub fn insert(&mut self, slot: u64) {
        self.insert_all(slot..=slot);
    }

    /// Adds all slots of a range.
    pub fn insert_all(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        while let Some((&begin, &end)) = self.0.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.0.remove(&begin);
            (first, last) = (first.min(begin), last.max(end));
        }
        self.0.insert(first, last);
    }

    /// Tells whether a slot is in it.
    #[must_use]
    pub fn contains(&self, slot: u64) -> bool {
        self.0.range(..=slot).next_back().is_some_and(|(_, last)| slot <= *last)
    }

    /// Tells whether all slots of another set are in it.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        let inside = |first: &u64, last: &u64| self.0.range(..=first).next_back().is_some_and(|(_, end)| last <= end);
        other.0.iter().all(|(first, last)| inside(first, last))
    }

    /// Adds all slots of another set.
    pub fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|(first, last)| self.insert_all(*first..=*last));
    }

    /// Returns how many slots are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |count, (first, last)| count + (last - first).saturating_add(1))
    }

    /// Returns the ranges of it in order: no two of them touch.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.0.iter().map(|(first, last)| *first..=*last)
    }
}

impl FromIterator<u64> for Slots {
    fn from_iter<T: IntoIterator<Item = u64>>(slots: T) -> Self {
        let mut set = Self::default();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.0.iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        f.write_str(&texts.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Slots {
    type Err = SlotsError;

    fn from_str(text: &str) -> Result<Self, SlotsError> {
        let mut set = Self::default();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.parse(), last.parse()) {
                (Ok(first), Ok(last)) if first <= last => set.insert_all(first..=last),
                _ => return Err(SlotsError(text.to_owned())),
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_nothing_else(slots in prop::collection::vec(0_u64..40, 0..60)) {
            let set: Slots = slots.iter().copied().collect();
            let plain: BTreeSet<u64> = slots.into_iter().collect();
            prop_assert_eq!(set.count(), plain.len() as u64);
            for slot in 0..41 {
                prop_assert_eq!(set.contains(slot), plain.contains(&slot));
            }
            prop_assert_eq!(set.to_string().parse::<Slots>(), Ok(set.clone()));
            let flat: Vec<u64> = set.ranges().flatten().collect();
            prop_assert_eq!(flat, plain.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_set_is_inside_of_another_or_not() {
        let set: Slots = "1-5,9".parse().expect("good");
        assert!(set.contains_all(&"2-3,9".parse().expect("good")) && set.contains_all(&Slots::default()));
        assert!(!set.contains_all(&"5-6".parse().expect("good")) && !set.contains_all(&"10".parse().expect("good")));
    }

    #[test]
    fn what_is_no_set_of_slots_is_refused() {
        for text in ["a", "3-", "5-3", "1,,2", "-1"] {
            assert!(text.parse::<Slots>().is_err(), "{text}");
        }
        assert_eq!("".parse::<Slots>().expect("empty").count(), 0);
    }
}
