//! The order of lines in a bundle.
//!
//! Does not: know seqs; lines of one key are in the order of these.

use std::fmt::Write as _;

use vmrewind_model::{ObjectKey, RecordKey};

use crate::format::line::Line;

/// What lines are sorted by: the key text, that is home, namespace, name, group and kind, joined by U+0000; empty for a line
/// without a key. No element holds U+0000, so that key texts sort as their elements do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SortKey(Vec<u8>);

impl SortKey {
    /// The sort key of a line.
    pub(crate) fn of(line: &Line) -> Self {
        line.head.key.as_ref().map_or_else(Self::default, Self::of_key)
    }

    fn of_key(key: &RecordKey) -> Self {
        let object = &key.object;
        let elements = [&key.home, &object.namespace, &object.name, &object.group, &object.kind];
        let mut text = Vec::with_capacity(elements.iter().map(|element| element.len() + 1).sum());
        for (n, element) in elements.into_iter().enumerate() {
            if n > 0 {
                text.push(0);
            }
            text.extend_from_slice(element.as_bytes());
        }
        Self(text)
    }

    /// Namespace, name, group and kind of an object, joined by U+0000.
    pub(crate) fn text_of(object: &ObjectKey) -> Vec<u8> {
        [&*object.namespace, &object.name, &object.group, &object.kind].join("\0").into_bytes()
    }

    /// Returns the key text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }

    /// Tells whether lines of both go into one member.
    pub(crate) fn shares_member(&self, other: &Self) -> bool {
        self.0.is_empty() == other.0.is_empty() && self.home() == other.home()
    }

    /// The home; empty if there is none.
    pub(crate) fn home(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Namespace, name, group and kind, joined by U+0000; none for a line without a key.
    pub(crate) fn object(&self) -> Option<&[u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        Some(&self.0[end + 1..])
    }

    /// Returns the name of the `n`th member of lines of a bundle, counted from 1.
    pub(crate) fn member_name(&self, n: u64) -> String {
        const MOST: usize = 80;
        let mut name = String::new();
        write!(name, "{n:08}-").expect("writing to memory does not fail");
        for byte in self.home().iter().take(MOST) {
            let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            name.push(if plain { char::from(*byte) } else { '_' });
        }
        name + ".jsonl"
    }
}
