//! Intervals of which it is not known what happened: they open and close with a record each.
//!
//! Does not: decide when proof is lost; see `watch.rs` and `list.rs`.

use std::collections::BTreeMap;

use vmrewind_archive::MAX_TEXT;
use vmrewind_model::{Change, Gap, GapCause, ObjectKey, ResourceId, Seq, Timestamp};

use super::{State, io::Out};

/// The gaps that are open, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    pub(super) open: BTreeMap<(ResourceId, Option<ObjectKey>), OpenGap>,
}

/// A gap of which the end is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenGap {
    pub(super) opened: Seq,
    pub(super) from: Timestamp,
    pub(super) cause: GapCause,
}

impl Gaps {
    pub(super) fn replay(&mut self, seq: Seq, gap: &Gap) {
        let about = (gap.resource.clone(), gap.object.clone());
        if gap.to.is_none() {
            self.open.insert(about, OpenGap { opened: seq, from: gap.from, cause: gap.cause });
        } else if gap.opened.is_some() {
            self.open.remove(&about);
        }
    }
}

/// Cuts what a record or a resume entry says to what the format holds.
pub(super) fn cut(mut text: String) -> String {
    const MORE: &str = "…";
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT - MORE.len()));
        text.push_str(MORE);
    }
    text
}

impl State {
    /// Opens a gap, unless one about the same is open already.
    pub(super) fn open_gap(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        object: Option<ObjectKey>,
        from: Timestamp,
        cause: GapCause,
        detail: String,
    ) {
        let about = (id.clone(), object.clone());
        if self.gaps.open.contains_key(&about) {
            return;
        }
        let gap = Gap { resource: id.clone(), object, from, to: None, cause, detail: cut(detail), opened: None };
        let opened = self.record(out, Change::Gap(gap), None);
        self.gaps.open.insert(about, OpenGap { opened, from, cause });
    }

    /// Closes a gap. `lossless`: everything that happened in it has been received after all, so that it ends
    /// where it began; what was received late says so itself.
    pub(super) fn close_gap(&mut self, out: &mut Out, id: &ResourceId, object: Option<&ObjectKey>, lossless: bool) {
        let Some(open) = self.gaps.open.remove(&(id.clone(), object.cloned())) else { return };
        let to = if lossless { open.from } else { self.order.next_t(out.at) };
        let detail = if lossless { "everything was received after all" } else { "" };
        let gap = Gap {
            resource: id.clone(),
            object: object.cloned(),
            from: open.from,
            to: Some(to.max(open.from)),
            cause: open.cause,
            detail: detail.to_owned(),
            opened: Some(open.opened),
        };
        self.record(out, Change::Gap(gap), None);
    }

    pub(super) fn close_object_gap(&mut self, out: &mut Out, id: &ResourceId, key: &ObjectKey) {
        if !self.gaps.open.is_empty() {
            self.close_gap(out, id, Some(key), false);
        }
    }

    /// Records a gap that was found after the fact: it ends now.
    pub(super) fn one_gap(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        object: Option<ObjectKey>,
        from: Timestamp,
        cause: GapCause,
        detail: String,
    ) {
        let to = self.order.next_t(out.at).max(from);
        let gap = Gap { resource: id.clone(), object, from, to: Some(to), cause, detail: cut(detail), opened: None };
        self.record(out, Change::Gap(gap), None);
    }
}
