//! What is wrong with an object of the archive, what it held, and what of it can still be read.
//!
//! Does not: repair, or decide whether an answer may be given in spite of it.

use std::fmt;

use vmrewind_model::{GapCause, Seq, Timestamp};

use crate::{Code, GapSpan, SegmentSummary, format::SeqRange, timeline::Named};

/// What is wrong with one object of the archive, what it held, and what of it can still be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Damage {
    /// Name of the object in the store.
    pub object: String,
    /// Its slot, if it is a segment.
    pub segment: Option<u64>,
    /// What is wrong: stable, listed in `spec/format.md`.
    pub code: Code,
    /// Where, in bytes from the start of the object, if that can be told.
    pub offset: Option<u64>,
    /// More, for people.
    pub detail: String,
    /// The records of the object that are provably as they were written.
    pub readable: Vec<SeqRange>,
    /// The records that it held, as far as its own end, its `meta.json` or its neighbours tell.
    pub held: Option<SeqRange>,
    /// Its records were observed after this instant; none if nothing before it can be read.
    pub after: Option<Timestamp>,
    /// Its records were observed before this instant; none if nothing after it can be read.
    pub before: Option<Timestamp>,
    /// True if the watcher has passed over it and recorded so: a gap of cause `damage` names it, for every resource
    /// that was captured. What it held is lost all the same.
    pub accounted: bool,
}

impl Damage {
    /// Tells whether an answer for `t` may lack what it held.
    #[must_use]
    pub fn touches(&self, t: Timestamp) -> bool {
        self.after.is_none_or(|after| after < t)
    }

    /// Returns the records that it held and that cannot be read any more; none if it is not known what it held.
    #[must_use]
    pub fn lost(&self) -> Option<Vec<SeqRange>> {
        let SeqRange { first: Seq(mut next), last: Seq(last) } = self.held?;
        let mut lost = Vec::new();
        for range in &self.readable {
            if next < range.first.0 {
                lost.push(SeqRange::new(Seq(next), Seq(range.first.0 - 1)));
            }
            next = next.max(range.last.0.saturating_add(1));
        }
        if next <= last {
            lost.push(SeqRange::new(Seq(next), Seq(last)));
        }
        Some(lost)
    }

    /// Adds what it held, which its own end or `meta.json` tells.
    pub(crate) fn with_summary(mut self, own: &SegmentSummary) -> Self {
        self.held = Some(own.seqs);
        self.after = Some(if own.fence { own.t_first } else { just_before(own.t_first) });
        self.before = Some(own.t_last.plus(std::time::Duration::from_micros(1)));
        self
    }

    /// Adds between what it stood, which the nearest readable segments tell.
    pub(crate) fn between(mut self, earlier: Option<&SegmentSummary>, later: Option<&SegmentSummary>) -> Self {
        let first = earlier.map_or(Seq(1), |earlier| earlier.seqs.last.next());
        self.held = later.map(|later| SeqRange::new(first, Seq(later.seqs.first.0.saturating_sub(1))));
        self.after = earlier.map(|earlier| earlier.t_last);
        self.before = later.map(|later| later.t_first);
        self
    }

    /// Adds that it stood behind a record and an instant that something else than segments tells of.
    pub(crate) fn behind(mut self, seq: Seq, t: Timestamp) -> Self {
        self.after = Some(self.after.map_or(t, |after| after.max(t)));
        if let Some(held) = self.held.as_mut().filter(|held| held.first <= seq) {
            held.first = seq.next();
        }
        self
    }
}

/// Returns the last instant before `t`.
fn just_before(t: Timestamp) -> Timestamp {
    Timestamp::from_micros(t.micros().saturating_sub(1)).unwrap_or(Timestamp::MIN)
}

/// Notes which damage the watcher has passed over and recorded.
pub(crate) fn account(damage: &mut [Damage], named: &Named, gaps: &[GapSpan]) {
    for damage in damage {
        let Some(slot) = damage.segment else { continue };
        let names = |span: &&GapSpan| {
            let gap = &span.gap;
            gap.cause == GapCause::Damage
                && gap.object.is_none()
                && damage.after.is_none_or(|after| gap.from <= after)
                && slots_of(&gap.detail).any(|(first, last)| first <= slot && slot <= last)
        };
        let spans: Vec<&GapSpan> = gaps.iter().filter(names).collect();
        let Some(recorded) = spans.iter().map(|span| span.opened).min() else { continue };
        let mut before = named.iter().filter(|(_, named)| **named < recorded);
        damage.accounted = before.all(|(id, _)| spans.iter().any(|span| span.gap.resource == *id));
    }
}

/// Writes slots as the detail of a gap of cause `damage` holds them: `segments 3-5,9`.
#[must_use]
pub fn damage_detail(slots: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &slot in slots {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(slot) => *last = slot,
            _ => ranges.push((slot, slot)),
        }
    }
    let texts = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    format!("segments {}", texts.collect::<Vec<_>>().join(","))
}

/// Reads what [`damage_detail`] writes; what does not look like it names no slots.
pub(crate) fn slots_of(detail: &str) -> impl Iterator<Item = (u64, u64)> + '_ {
    let ranges = detail.strip_prefix("segments ").unwrap_or_default().split(',');
    ranges.filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    })
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged: {} ({}", self.object, self.detail, self.code)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        f.write_str(")")?;
        let bounds = [self.after.map(|t| format!("after {t}")), self.before.map(|t| format!("before {t}"))];
        let bounds = bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let observed = if bounds.is_empty() { String::new() } else { format!(", observed {bounds}") };
        match self.lost() {
            Some(lost) if lost.is_empty() => f.write_str("; no record is lost")?,
            Some(lost) => write!(f, "; lost: {}{observed}", ranges(&lost))?,
            None if observed.is_empty() => {}
            None => write!(f, "; lost: an unknown number of records{observed}")?,
        }
        if !self.readable.is_empty() {
            write!(f, "; still readable: {}", ranges(&self.readable))?;
        }
        Ok(())
    }
}

fn ranges(ranges: &[SeqRange]) -> String {
    let texts = ranges.iter().map(|range| match range.first == range.last {
        true => format!("record {}", range.first),
        false => format!("records {} to {}", range.first, range.last),
    });
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> SeqRange {
        SeqRange::new(Seq(first), Seq(last))
    }

    fn damage(held: Option<SeqRange>, readable: &[SeqRange]) -> Damage {
        let fault = crate::format::fault::Fault::new(Code::BodyHash, "bytes were changed");
        let mut damage = fault.in_object("log/0000/0000000000000003".into(), Some(3));
        (damage.held, damage.readable) = (held, readable.to_vec());
        damage
    }

    #[test]
    fn what_is_lost_is_what_it_held_without_what_is_readable() {
        let lost = |readable: &[SeqRange]| damage(Some(range(5, 9)), readable).lost().expect("known");
        assert_eq!(lost(&[]), [range(5, 9)]);
        assert_eq!(lost(&[range(5, 6), range(8, 8)]), [range(7, 7), range(9, 9)]);
        assert_eq!(lost(&[range(5, 9)]), []);
        assert_eq!(damage(Some(range(5, 4)), &[]).lost(), Some(vec![]), "a fence has no records");
        assert_eq!(damage(None, &[]).lost(), None);
    }

    #[test]
    fn slots_read_back_as_they_are_written() {
        let detail = damage_detail(&[3, 4, 5, 9]);
        assert_eq!(detail, "segments 3-5,9");
        assert_eq!(slots_of(&detail).collect::<Vec<_>>(), [(3, 5), (9, 9)]);
        assert_eq!(slots_of("the watch fell behind").count(), 0);
    }

    #[test]
    fn it_says_what_is_lost_between_which_instants_and_what_is_readable() {
        let mut damage = damage(Some(range(5, 9)), &[range(5, 6)]);
        damage.after = Some("2026-11-22T10:00:00Z".parse().expect("a time"));
        assert_eq!(
            damage.to_string(),
            "log/0000/0000000000000003 is damaged: bytes were changed (E_BODY_HASH); lost: records 7 to 9, observed after \
             2026-11-22T10:00:00Z; still readable: records 5 to 6"
        );
    }
}
