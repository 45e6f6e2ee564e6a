//! Whether gaps are closed by what names them.
//!
//! Does not: put them together; see [`crate::Timeline`].

use std::collections::BTreeMap;

use vmrewind_model::{Gap, GapCause, ObjectKey, ResourceId, Seq};

use super::Slots;
use crate::{Code, damage, format::line::Line};

use super::{NoteKind, Symptom};

/// The gaps that were opened, by the seq of the record that did.
#[derive(Debug, Default)]
pub(super) struct Openings(BTreeMap<Seq, (ResourceId, Option<ObjectKey>)>);

impl Openings {
    /// Takes the next record; `read` are the seqs of all records so far that were seen.
    pub(super) fn take(&mut self, line: &Line, read: &Slots) -> Option<(Result<Symptom, NoteKind>, String)> {
        let gap = line.head.gap.as_ref()?;
        let about = (gap.resource.clone(), gap.object.clone());
        let Some(opened) = gap.opened else {
            self.0.insert(line.head.seq, about);
            return nameless(gap);
        };
        match self.0.get(&opened) {
            Some(before) if *before == about => None,
            Some(_) => {
                Some((Err(NoteKind::OddGap), format!("it closes gap {opened}, which was opened for something else")))
            }
            None if read.contains(opened.0) => {
                Some((Ok(Symptom::Code(Code::Line)), format!("it closes gap {opened}, which did not open one")))
            }
            None => None, // that record cannot be read
        }
    }
}

fn nameless(gap: &Gap) -> Option<(Result<Symptom, NoteKind>, String)> {
    let nothing = gap.cause == GapCause::Damage && damage::slots_of(&gap.detail).next().is_none();
    nothing.then(|| {
        (Err(NoteKind::OddDamage), "a gap of cause damage names no slots, so that it accounts for none".to_owned())
    })
}
