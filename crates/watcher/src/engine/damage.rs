//! Segments of the archive that cannot be read: what they held is lost, so that every resource gets a gap and is listed anew.
//!
//! Does not: find damage; see `driver/opening.rs`.

use vmrewind_model::{GapCause, ResourceId, Timestamp};

use super::{State, io::Out};

/// What the replay passed over.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    /// Nothing is certain after this instant.
    after: Timestamp,
    /// The slots, as the detail of a gap names them.
    detail: String,
}

impl State {
    /// Says after the replay that it passed over segments: nothing is certain after `after`. `detail` names their slots,
    /// see [`vmrewind_archive::damage_detail`].
    pub fn lose(&mut self, after: Timestamp, detail: String) {
        self.lost = Some(Lost { after, detail });
    }

    /// Opens a gap for every resource of the archive, all in one segment: from then on the damage is accounted for.
    pub(super) fn account_for_damage(&mut self, out: &mut Out) {
        let Some(Lost { after, detail }) = self.lost.take() else { return };
        let ids: Vec<ResourceId> = self.retired.keys().cloned().collect();
        for id in ids {
            let Some(entry) = self.retired.get_mut(&id) else { continue };
            entry.proven_at = entry.proven_at.map(|proven| proven.min(after));
            let from = entry.proven_at.unwrap_or(after);
            self.close_gap(out, &id, None, false);
            self.open_gap(out, &id, None, from, GapCause::Damage, detail.clone());
        }
    }

    /// Tells whether a resource must be listed and compared by content, because the archive lost changes of it.
    pub(super) fn is_damaged(&self, id: &ResourceId) -> bool {
        self.gaps.open.get(&(id.clone(), None)).is_some_and(|gap| gap.cause == GapCause::Damage)
    }
}
