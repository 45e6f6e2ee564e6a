//! What the records of one object say one after the other: `spec/ordering.md`, 4.3.
//!
//! Does not: hold names or states; per object it keeps hashes and the newest version.

use std::collections::HashMap;

use vmrewind_model::{Digest, Op, RecordKey, Rv};

use crate::format::line::Line;

/// What is known of every object that had a record since the last hole.
#[derive(Debug)]
pub(super) struct History {
    objects: HashMap<[u8; 16], Known>,
    /// True if every record so far was seen: what is not known was never there.
    complete: bool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    stage: Stage,
    uid: [u8; 8],
    home: [u8; 8],
    era: u32,
    /// The newest version since the object was last not there.
    rv: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Present, or withheld.
    There,
    Absent,
    Ended,
}

/// A record that does not fit what was known before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It breaks a promise.
    Fact(String),
    /// It is odd, but a reader gives the same answer.
    Odd(&'static str),
}

impl Default for History {
    fn default() -> Self {
        Self { objects: HashMap::new(), complete: true }
    }
}

impl History {
    /// Records are missing here: nothing is known of any object any more.
    pub(super) fn hole(&mut self) {
        self.objects.clear();
        self.complete = false;
    }

    /// Takes the next record; `version` is that inside of its object, if it has one.
    pub(super) fn take(&mut self, line: &Line, version: Option<Rv>) -> Option<Misfit> {
        let (op, key) = (line.head.op?, line.head.key.as_ref()?);
        let id = identity(key);
        let known = self.objects.get(&id).copied();
        let (misfit, next) = match op {
            Op::Gap | Op::Heartbeat => return None,
            Op::Deleted | Op::Unobserved => self.ends(known, key),
            Op::Absent => absent(known, key, line.head.from.is_some()),
            Op::Added | Op::Modified | Op::Seen | Op::Withheld => {
                self.is_there(known, key, line, version.or(line.head.rv))
            }
        };
        self.objects.insert(id, next);
        misfit
    }

    /// Tells whether it is known that an object was not there.
    fn was_gone(&self, known: Option<Known>) -> bool {
        known.map_or(self.complete, |known| known.stage != Stage::There)
    }

    fn ends(&self, known: Option<Known>, key: &RecordKey) -> (Option<Misfit>, Known) {
        let uid = short(&key.uid);
        match known {
            Some(known) if known.stage == Stage::There && known.uid == uid => {
                (None, Known { stage: Stage::Ended, ..known })
            }
            Some(known) if known.stage == Stage::There => {
                (Some(Misfit::Odd("it ends another incarnation than the one that was there")), known)
            }
            _ => {
                let misfit = self.was_gone(known).then_some(Misfit::Odd("it ends what was not there"));
                let ended = known.unwrap_or(Known { stage: Stage::Ended, uid, home: short(&key.home), era: 0, rv: 0 });
                (misfit, ended)
            }
        }
    }

    fn is_there(
        &self,
        known: Option<Known>,
        key: &RecordKey,
        line: &Line,
        version: Option<Rv>,
    ) -> (Option<Misfit>, Known) {
        let (uid, home, era) = (short(&key.uid), short(&key.home), line.head.era.0);
        let there = known.filter(|known| known.stage == Stage::There);
        let same = there.filter(|known| known.uid == uid);
        if let (Some(known), None) = (there, same) {
            // A back-dated state does not say what is there now.
            if line.head.from.is_some() {
                return (None, known);
            }
        }
        let newer = |known: &Known| known.era != era || version.is_none_or(|version| known.rv < version.0);
        let misfit = if there.is_some() && same.is_none() {
            Some(Misfit::Fact("it has a new uid, and no record ended the object of the old one".to_owned()))
        } else if let (Some(known), Some(version)) = (same.filter(|known| !newer(known)), version) {
            Some(Misfit::Fact(format!("it is of version {version}, and version {} was recorded before", known.rv)))
        } else if same.is_some_and(|known| known.home != home) {
            Some(Misfit::Odd("its home is another than before"))
        } else if line.head.op == Some(Op::Modified) && self.was_gone(known) {
            Some(Misfit::Odd("it changes what was not there"))
        } else if line.head.op == Some(Op::Added) && same.is_some() {
            Some(Misfit::Odd("it creates what was there"))
        } else {
            None
        };
        let before = same.filter(|known| known.era == era).map_or(0, |known| known.rv);
        let rv = version.map_or(before, |version| version.0.max(before));
        (misfit, Known { stage: Stage::There, uid, home, era, rv })
    }
}

fn absent(known: Option<Known>, key: &RecordKey, back_dated: bool) -> (Option<Misfit>, Known) {
    match known {
        Some(known) if known.stage == Stage::There && back_dated => (None, known),
        Some(known) if known.stage == Stage::There => (
            Some(Misfit::Odd("it says that the object is absent, and no record ended it")),
            Known { stage: Stage::Absent, ..known },
        ),
        _ => (None, Known { stage: Stage::Absent, uid: [0; 8], home: short(&key.home), era: 0, rv: 0 }),
    }
}

/// Returns what stands for an object: it is not known that two objects ever had the same.
fn identity(key: &RecordKey) -> [u8; 16] {
    let object = &key.object;
    let parts = [&object.namespace, &object.name, &object.group, &object.kind];
    let mut bytes = Vec::with_capacity(128);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    first(&Digest::of(&bytes))
}

fn short(text: &str) -> [u8; 8] {
    first(&Digest::of(text.as_bytes()))
}

fn first<const N: usize>(Digest(digest): &Digest) -> [u8; N] {
    let (first, _) = digest.split_first_chunk().expect("a digest is longer than that");
    *first
}
