//! Which objects of an archive a copy takes along: the one list of them.
//!
//! Does not: read any object.

use crate::{format::limits, paths};

/// What lies under a name, as far as a copy is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `archive.json`: copied first, byte for byte.
    Identity,
    /// A segment of the log: copied in the order of the slots.
    Log,
    /// What the log was rolled up into. It is not copied: whoever maintains the copy makes it anew out of the log.
    RolledUp,
    /// Left by the test of a store: not part of the archive.
    Probe,
    /// Part of the archive as the format knows or reserves it, but nothing that a copy can take along.
    NotCopied,
    /// No object of the archive: it stays where it is, and the copy says so.
    Foreign,
}

/// Names that `spec/format.md` 1 gives to parts of an archive, beside the ones that are copied. A family that a copy learns to
/// take along leaves this list and becomes a member of [`Family`].
const NOT_COPIED: [&str; 5] = ["keys", "list", "log", "pin", "state"];

/// Tells what lies under a name.
pub(super) fn family(name: &str) -> Family {
    let below = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    match paths::parse_segment(name) {
        Some(slot) if (1..=limits::NUMBER).contains(&slot) => Family::Log,
        _ if name == paths::IDENTITY => Family::Identity,
        _ if below(paths::PROBE) => Family::Probe,
        _ if [paths::HISTORY, paths::CHECKPOINTS, paths::MANIFESTS].into_iter().any(below) => Family::RolledUp,
        _ if below(paths::LOG) => Family::Foreign,
        _ if NOT_COPIED.iter().any(|prefix| below(prefix)) => Family::NotCopied,
        _ => Family::Foreign,
    }
}

/// How many names are listed at most.
const NAMES: usize = 16;

/// What lies beside the segments, by a listing.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// The first object that is part of the archive and cannot be copied.
    pub(super) not_copied: Option<String>,
    /// The first few of what is no object of the archive.
    pub(super) foreign: Vec<String>,
    /// How much of that there is.
    pub(super) foreign_count: u64,
}

impl Beside {
    /// Adds a listed name.
    pub(super) fn add(&mut self, name: &str) {
        match family(name) {
            Family::Identity | Family::Log | Family::RolledUp | Family::Probe => {}
            Family::NotCopied => {
                if self.not_copied.as_deref().is_none_or(|first| name < first) {
                    self.not_copied = Some(name.to_owned());
                }
            }
            Family::Foreign => {
                self.foreign_count += 1;
                let at = self.foreign.partition_point(|other| other.as_str() < name);
                self.foreign.insert(at, name.to_owned());
                self.foreign.truncate(NAMES);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_the_format_reserves_is_copied_or_refused() {
        for name in ["keys/a", "list/1", "pin/a", "state/1", "log/0001/0000000000000001"] {
            assert_eq!(family(name), Family::NotCopied, "{name}");
        }
        for name in ["ckpt/1", "hist/1", "man/1"] {
            assert_eq!(family(name), Family::RolledUp, "{name}");
        }
        assert_eq!(family("archive.json"), Family::Identity);
        assert_eq!(family("log/0000/0000000000000001"), Family::Log);
        assert_eq!(family("probe/x-1"), Family::Probe);
        for name in ["notes.txt", "log/0000/x", "log/0000/0000000000000000", "manual/1"] {
            assert_eq!(family(name), Family::Foreign, "{name}");
        }
    }

    #[test]
    fn the_first_names_are_kept_in_order_and_all_are_counted() {
        let mut beside = Beside::default();
        (0..40).rev().for_each(|n| beside.add(&format!("note-{n:02}")));
        ["pin/2", "list/1"].iter().for_each(|name| beside.add(name));
        assert_eq!((beside.foreign_count, beside.foreign.len()), (40, NAMES));
        assert_eq!((beside.foreign[0].as_str(), beside.not_copied.as_deref()), ("note-00", Some("list/1")));
    }
}
