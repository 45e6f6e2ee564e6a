//! Puts the states of objects together out of lines.
//!
//! Does not: read segments, or hold more records than may still matter; the rule itself is in `crate::kept`.

use std::collections::BTreeMap;

use vmrewind_model::{ObjectKey, Record};

use super::Entry;
use crate::{
    ArchiveError,
    format::{Lines, line::Line},
    kept::Candidate,
};

/// Collects records in any order.
#[derive(Debug, Default)]
pub(super) struct Fold {
    objects: BTreeMap<ObjectKey, Candidate<Held, ()>>,
}

/// A record, or the line that it is made of if it still matters after the segment was read.
#[derive(Debug)]
enum Held {
    Line(usize),
    Record(Box<Record>),
}

impl Fold {
    /// Adds the lines that pass `test`.
    ///
    /// # Errors
    /// If an object that is needed has no resource version.
    pub(super) fn add(&mut self, lines: Lines<'_>, test: impl Fn(&Line) -> bool) -> Result<(), ArchiveError> {
        let mut touched = Vec::new();
        for (n, line) in lines.lines.iter().enumerate().filter(|(_, line)| test(line)) {
            let (Some(_), Some(key)) = (line.head.op, &line.head.key) else { continue };
            if !self.objects.contains_key(&key.object) {
                self.objects.insert(key.object.clone(), Candidate::default());
            }
            let candidate = self.objects.get_mut(&key.object).expect("it was just made sure of");
            if candidate.take(&line.head, || Held::Line(n), || ()) {
                touched.push(&key.object);
            }
        }
        for key in touched {
            let Some(set) = self.objects.get_mut(key).and_then(|candidate| candidate.set.as_mut()) else { continue };
            let Held::Line(n) = set.held else { continue };
            if let Some(record) = lines.record(&lines.lines[n])? {
                set.held = Held::Record(Box::new(record));
            }
        }
        Ok(())
    }

    /// Returns what is there in the end.
    pub(super) fn finish(self) -> BTreeMap<ObjectKey, Entry> {
        let alive = self.objects.into_iter().filter_map(|(key, candidate)| {
            let set = candidate.standing()?;
            match set.held {
                Held::Record(record) => Some((key, Entry { record: *record, presence: set.presence })),
                Held::Line(_) => None,
            }
        });
        alive.collect()
    }
}

#[cfg(test)]
mod tests;
