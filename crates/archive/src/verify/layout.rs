//! What lies in the archive, by names and sizes alone.
//!
//! Does not: read any object.

use crate::{format::limits, paths};

/// What a listing shows.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Slots that are taken, and the size of what lies there; in order once [`Self::sort`] was called.
    pub(super) slots: Vec<(u64, u64)>,
    /// An object of the manifests, which this version does not have.
    pub(super) manifest: Option<String>,
    /// What lies among the segments and is none.
    pub(super) strange: Vec<String>,
    /// What has a name that this version does not know.
    pub(super) unknown: Vec<String>,
}

impl Layout {
    /// Adds a listed name and its size.
    pub(super) fn add(&mut self, name: &str, size: u64) {
        let below = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        match paths::parse_segment(name) {
            Some(slot) if (1..=limits::NUMBER).contains(&slot) => self.slots.push((slot, size)),
            _ if below(paths::LOG) => self.strange.push(name.to_owned()),
            _ if below(paths::MANIFESTS) => self.manifest = Some(name.to_owned()),
            _ if name == paths::IDENTITY || below(paths::PROBE) => {}
            _ => self.unknown.push(name.to_owned()),
        }
    }

    /// Puts everything into the order of the names.
    pub(super) fn sort(&mut self) {
        self.slots.sort_unstable();
        self.slots.dedup_by_key(|(slot, _)| *slot);
        self.strange.sort_unstable();
        self.unknown.sort_unstable();
    }

    /// Returns the ranges of slots before the last one that are not listed, each with both its ends.
    pub(super) fn holes(&self) -> Vec<(u64, u64)> {
        let mut next = 1;
        let mut holes = Vec::new();
        for (slot, _) in &self.slots {
            if next < *slot {
                holes.push((next, slot - 1));
            }
            next = slot + 1;
        }
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_into_segments_strange_ones_and_unknown_ones() {
        let mut layout = Layout::default();
        let names = [
            "log/0000/0000000000000005",
            "archive.json",
            "probe/x-1",
            "log/0000/0000000000000002",
            "log/0000/0000000000000000",
            "log/0000/8000000000000000",
            "log/0000/000000000000000A",
            "log/0000/0000000000000001/x",
            "log/0001/0000000000000001",
            "notes.txt",
        ];
        names.iter().for_each(|name| layout.add(name, 7));
        layout.sort();
        assert_eq!(layout.slots, [(2, 7), (5, 7)]);
        assert_eq!(layout.holes(), [(1, 1), (3, 4)]);
        assert_eq!(layout.unknown, ["log/0001/0000000000000001", "notes.txt"]);
        let strange = ["0000", "0001/x", "000A"].map(|end| format!("log/0000/000000000000{end}"));
        assert_eq!(layout.strange[..3], strange);
        assert_eq!((layout.strange.len(), layout.manifest.clone()), (4, None));
        layout.add("man/1", 1);
        assert_eq!(layout.manifest.as_deref(), Some("man/1"));
    }
}
