//! What lies in the archive, by names and sizes alone.
//!
//! Does not: read any object.

use vmrewind_model::Digest;

use crate::{
    format::{footer::Kind, limits},
    paths,
};

/// What a listing shows.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Slots that are taken, and the size of what lies there; in order once [`Self::sort`] was called.
    pub(super) slots: Vec<(u64, u64)>,
    /// Numbers of manifests; in order once [`Self::sort`] was called.
    pub(super) manifests: Vec<u64>,
    /// Bundles of history and of checkpoints, and the size of what lies there.
    pub(super) bundles: Vec<((Kind, Digest), u64)>,
    /// What lies among the segments or the manifests and is none.
    pub(super) strange: Vec<String>,
    /// What has a name that this version does not know.
    pub(super) unknown: Vec<String>,
}

impl Layout {
    /// Adds a listed name and its size.
    pub(super) fn add(&mut self, name: &str, size: u64) {
        let below = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        match paths::parse_manifest(name) {
            Some(n) if (1..=limits::NUMBER).contains(&n) => return self.manifests.push(n),
            _ => {}
        }
        if let Some(bundle) = paths::parse_bundle(name) {
            return self.bundles.push((bundle, size));
        }
        match paths::parse_segment(name) {
            Some(slot) if (1..=limits::NUMBER).contains(&slot) => self.slots.push((slot, size)),
            _ if below(paths::LOG) || below(paths::MANIFESTS) => self.strange.push(name.to_owned()),
            _ if name == paths::IDENTITY || below(paths::PROBE) || paths::parse_keys(name).is_some() => {}
            _ => self.unknown.push(name.to_owned()),
        }
    }

    /// Puts everything into the order of the names.
    pub(super) fn sort(&mut self) {
        self.slots.sort_unstable();
        self.slots.dedup_by_key(|(slot, _)| *slot);
        self.manifests.sort_unstable();
        self.manifests.dedup();
        self.bundles.sort_unstable();
        self.bundles.dedup();
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
        assert_eq!((layout.strange.len(), layout.manifests.len()), (4, 0));
        let digest = Digest::of(b"x");
        for name in
            ["man/0000000000000002", "man/1", "man/0000000000000000", "hist/x", &paths::bundle(Kind::History, &digest)]
        {
            layout.add(name, 8);
        }
        layout.sort();
        assert_eq!((layout.manifests, layout.bundles), (vec![2], vec![((Kind::History, digest), 8)]));
        assert_eq!(layout.strange[4..], ["man/0000000000000000", "man/1"]);
        assert_eq!(layout.unknown[0], "hist/x");
    }
}
