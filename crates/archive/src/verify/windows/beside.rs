//! What the segments of a window say, and whether the window says the same.
//!
//! Does not: read anything. It holds the leaves of one window.

use vmrewind_model::{Digest, Timestamp};

use super::{
    super::look::{Look, Seen},
    look::Found,
};
use crate::{
    ResumeMap, SegmentSummary,
    format::{
        Code,
        bundle::{Earliest, Known},
        fault::Fault,
    },
    manifest::Rolled,
    timeline::Proofs,
};

/// What was seen of the segments so far.
#[derive(Default)]
pub(super) struct Beside {
    proofs: Proofs,
    /// True if something was missing or damaged: then it is not known any more what the segments, put together, say of the
    /// resources, since it may have been otherwise when the window was made.
    unsure: bool,
    group: Group,
}

/// What was seen of the segments of one window.
#[derive(Default)]
pub(super) struct Group {
    first: Option<SegmentSummary>,
    last: Option<(SegmentSummary, Option<Digest>)>,
    /// Seqs and leaves, in order.
    leaves: Vec<(u64, [u8; 32])>,
    earliest: Earliest,
    /// How many of its slots were read in full.
    whole: u64,
    /// What is known at its end; none if that is not sure.
    known: Option<Vec<Known>>,
}

impl Beside {
    /// Takes the next slot; `window` are the ends of the window that it may lie in.
    pub(super) fn take(&mut self, look: &Look, window: Option<[u64; 2]>) {
        let inside = window.filter(|[first, last]| (*first..=*last).contains(&look.slot));
        let (summary, map, digest): (&SegmentSummary, &ResumeMap, Option<Digest>) = match &look.seen {
            Seen::End(end) => (&end.0, &end.1, None),
            Seen::Whole(segment, _) => (&segment.summary, &segment.resume, Some(segment.digest)),
            Seen::Damaged(..) => return self.missing(),
        };
        self.proofs.add(summary, map);
        let Some([first, last]) = inside else { return };
        if look.slot == first {
            self.group.first = Some(summary.clone());
        }
        if look.slot == last {
            self.group.last = Some((summary.clone(), digest));
        }
        if let Seen::Whole(segment, _) = &look.seen {
            self.group.whole += 1;
            for line in &segment.lines {
                self.group.leaves.push((line.head.seq.0, line.leaf));
                self.group.earliest.add(line);
            }
        }
    }

    /// Returns what is known of the resources, if that is sure.
    pub(super) fn known(&self) -> Option<Vec<Known>> {
        (!self.unsure).then(|| self.proofs.known())
    }

    /// Ends a window.
    pub(super) fn end(&mut self) -> Group {
        Group { known: self.known(), ..std::mem::take(&mut self.group) }
    }

    /// Some slots are missing.
    pub(super) fn missing(&mut self) {
        self.unsure = true;
    }
}

impl Group {
    /// Compares the window with its segments, as far as both were read; what is wrong, and with which part.
    pub(super) fn compare(&self, rolled: &Rolled, found: &Found) -> Vec<(usize, Fault)> {
        let mut wrong = Vec::new();
        let mut demand = |holds: bool, part: usize, code: Code, detail: String| {
            if !holds {
                wrong.push((part, Fault::new(code, detail)));
            }
        };
        let Some(bundle) = &found.bundle else { return wrong };
        let window = &bundle.window;
        if let Some(first) = &self.first {
            let said = (window.prev, window.seqs.first, window.times[0]);
            let same = said == (first.prev, first.seqs.first, first.t_first);
            demand(same, 0, Code::Chain, format!("it begins otherwise than segment {}", first.segment));
        }
        if let Some((last, digest)) = &self.last {
            let ends: (_, Timestamp) = (window.seqs.last, window.times[1]);
            let same =
                ends == (last.seqs.last, last.t_last) && (bundle.epoch, bundle.nonce) == (last.epoch, last.nonce);
            let head = digest.is_none_or(|digest| digest == window.head);
            demand(same && head, 0, Code::Chain, format!("it ends otherwise than segment {}", last.segment));
        }
        let all = self.whole == window.slots[1] + 1 - window.slots[0];
        if let Some(leaves) = &found.leaves {
            let place = |seq: u64| leaves.binary_search_by_key(&seq, |(seq, ..)| *seq).ok().map(|at| &leaves[at]);
            let other = self.leaves.iter().find(|(seq, leaf)| place(*seq).is_none_or(|(_, held, _)| held != leaf));
            if let Some((seq, _)) = other {
                let part = place(*seq).map_or(0, |(_, _, part)| *part);
                demand(false, part, Code::Root, format!("record {seq} differs from what its segment holds"));
            }
            let missing = all && self.leaves.len() != leaves.len();
            demand(!missing, 0, Code::Root, "it holds records that its segments do not".to_owned());
        }
        let reach = !all || self.earliest == rolled.window.earliest;
        demand(reach, 0, Code::Public, "its lines reach back otherwise than those of its segments".to_owned());
        let known = self.known.as_ref().filter(|_| self.last.is_some() && !rolled.stale);
        let known = known.is_none_or(|known| *known == bundle.known);
        let detail = "what is known of the resources at its end is not what the segments up to there say";
        demand(known, 0, Code::Public, detail.to_owned());
        wrong
    }
}
