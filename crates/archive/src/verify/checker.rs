//! Puts together what was seen of one slot after the other, and finds out what is wrong with the whole.
//!
//! Does not: read anything.

use std::collections::BTreeMap;

use vmrewind_model::{ObjectKey, Seq};

use super::{
    Checked, Note, NoteKind, Problem, Slots, Symptom,
    gaps::Openings,
    history::{History, Misfit},
    look::{Look, MOST, Objects, Seen},
    report::Loss,
    resumes::{Claim, Resumes},
};
use crate::{
    Damage, Head, ResumeMap, Segment, SegmentSummary, SeqRange,
    format::{Code, fault::Fault, link::Before},
    paths, read,
};

/// Something that is wrong, or something that is odd.
type What = Result<Symptom, NoteKind>;

/// Most notes that are kept.
const NOTES: usize = 1000;

/// All that is known after some slots.
pub(super) struct Checker {
    deep: bool,
    /// The segment before, if it is known well enough to be compared with.
    before: Option<Before>,
    /// The nearest segment before whose end can be read.
    earlier: Option<SegmentSummary>,
    damaged: Vec<Damaged>,
    /// Of how many of those, the last ones, it is not known what they held: what comes next may tell.
    waiting: usize,
    resumes: Resumes,
    history: History,
    openings: Openings,
    /// Seqs of the records that were read.
    seqs: Slots,
    problems: Vec<Problem>,
    notes: Vec<Note>,
    more_notes: u64,
    checked: Checked,
    /// First and last slots of windows of which every byte is as it was written.
    intact: Vec<[u64; 2]>,
}

/// Segments that are damaged or missing.
struct Damaged {
    damage: Damage,
    /// The last slot, if several are missing.
    last: u64,
    earlier: Option<SegmentSummary>,
    resources: Vec<vmrewind_model::ResourceId>,
}

/// What the checker leaves.
pub(super) struct Verdict {
    pub(super) problems: Vec<Problem>,
    pub(super) accounted: Vec<Problem>,
    pub(super) notes: Vec<Note>,
    pub(super) more_notes: u64,
    pub(super) checked: Checked,
}

impl Checker {
    /// Begins before the first slot.
    pub(super) fn new(deep: bool) -> Self {
        Self {
            deep,
            before: Some(Before::first()),
            earlier: None,
            damaged: Vec::new(),
            waiting: 0,
            resumes: Resumes::default(),
            history: History::default(),
            openings: Openings::default(),
            seqs: Slots::default(),
            problems: Vec::new(),
            notes: Vec::new(),
            more_notes: 0,
            checked: Checked::default(),
            intact: Vec::new(),
        }
    }

    /// Takes the slots of a window that holds all their records, as they were written.
    pub(super) fn stands_in_a_window(&mut self, slots: [u64; 2]) {
        self.intact.push(slots);
    }

    /// Takes what is wrong with something that is no segment.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Takes something odd.
    pub(super) fn note(&mut self, note: Note) {
        if self.notes.len() < NOTES { self.notes.push(note) } else { self.more_notes += 1 }
    }

    /// Takes slots that nothing lies in, though something lies behind them.
    pub(super) fn missing(&mut self, first: u64, last: u64) {
        let what = if first == last { "it is not there" } else { "it is not there, nor are those after it" };
        let damage = read::damaged(first, Fault::new(Code::Missing, what));
        self.damage(damage, last, None);
    }

    /// Takes what was seen of the next slot.
    pub(super) fn take(&mut self, look: Look) {
        let Look { slot, whole, read, seen } = look;
        self.checked.read += read;
        self.checked.found.insert(slot);
        if whole {
            self.checked.whole.insert(slot);
        }
        match seen {
            Seen::End(end) => self.end(&end.0, &end.1),
            Seen::Whole(segment, objects) => self.whole(&segment, objects),
            Seen::Damaged(damage, own, left) => {
                if let Some(left) = &left {
                    // What is left tells what is captured from now on, though nothing is compared with it.
                    self.resumes.take(slot, &left.resume);
                }
                self.damage(*damage, slot, own.as_ref());
            }
        }
    }

    /// Takes an end.
    fn end(&mut self, summary: &SegmentSummary, resume: &ResumeMap) {
        if self.follows(summary) {
            self.resumes(summary, resume);
            if summary.records > 0 {
                self.unread();
            }
            self.before = Some(Before::of(summary, None));
        }
    }

    /// Takes a segment that was read in full.
    fn whole(&mut self, segment: &Segment, objects: Option<Objects>) {
        let summary = &segment.summary;
        if !self.follows(summary) {
            return;
        }
        self.checked.records_read += summary.records;
        match objects {
            Some(objects) => self.records(segment, &objects),
            None => self.unread(),
        }
        self.resumes(summary, &segment.resume);
        self.before = Some(Before::of(summary, Some(segment.digest)));
    }

    /// Checks that a segment follows the one before, as far as that is known; if not, it is damaged.
    fn follows(&mut self, summary: &SegmentSummary) -> bool {
        if let Some(Err(fault)) = self.before.as_ref().map(|before| before.check(summary)) {
            let damage = read::damaged(summary.segment, fault).with_summary(summary);
            self.damage(damage, summary.segment, Some(summary));
            return false;
        }
        if self.before.as_ref().is_none_or(|before| !before.digest_known) {
            self.checked.unchained += 1;
        }
        self.found(summary);
        self.checked.records += summary.records;
        self.checked.epochs += u64::from(summary.fence);
        self.checked.from = self.checked.from.or(Some(summary.t_first));
        self.checked.to = Some(summary.t_last);
        true
    }

    /// Remembers the end of a segment, which also tells what those before it held.
    fn found(&mut self, summary: &SegmentSummary) {
        let known = self.damaged.len() - self.waiting;
        for damaged in &mut self.damaged[known..] {
            damaged.damage = damaged.damage.clone().between(damaged.earlier.as_ref(), Some(summary));
        }
        self.waiting = 0;
        self.earlier = Some(summary.clone());
    }

    /// Takes damage, with what its own end tells.
    fn damage(&mut self, damage: Damage, last: u64, own: Option<&SegmentSummary>) {
        let resources = self.resumes.captured();
        let earlier = self.earlier.clone();
        match own {
            Some(own) => {
                self.found(own);
                self.damaged.push(Damaged { damage, last, earlier, resources });
            }
            None => {
                let damage = damage.between(earlier.as_ref(), None);
                self.damaged.push(Damaged { damage, last, earlier, resources });
                self.waiting += 1;
            }
        }
        self.before = None;
        self.resumes.hole();
        self.history.hole();
    }

    /// The records of a segment are not looked at.
    fn unread(&mut self) {
        if self.deep {
            self.history.hole();
        }
    }

    fn resumes(&mut self, summary: &SegmentSummary, map: &ResumeMap) {
        // A fence that begins anew knows only what was left of the segment before it, which may be whole again.
        if summary.prev == Head::EMPTY.digest {
            self.resumes.hole();
        }
        for detail in self.resumes.take(summary.segment, map) {
            self.odd(NoteKind::ResumeBack, summary.segment, None, detail);
        }
    }

    /// Looks at every record of a segment.
    fn records(&mut self, segment: &Segment, objects: &Objects) {
        let slot = segment.summary.segment;
        let (count, wrong) = objects.counts;
        self.checked.objects += count;
        for one in &objects.wrong {
            let range = SeqRange::new(one.seq, one.seq);
            let loss = Loss { records: Some(vec![range]), ..Loss::default() };
            self.about(Symptom::Code(one.fault.code), slot, one.key.clone(), one.fault.detail.clone(), loss);
        }
        if wrong > objects.wrong.len() as u64 {
            let detail = format!("{} more objects of it are wrong", wrong - objects.wrong.len() as u64);
            self.about(Symptom::Code(Code::Object), slot, None, detail, Loss { records: None, ..Loss::default() });
        }
        let mut told = Limited::default();
        for (line, version) in segment.lines.iter().zip(&objects.versions) {
            let (seq, key) = (line.head.seq, line.head.key.as_ref().map(|key| &key.object));
            self.seqs.insert(seq.0);
            let mut found: Vec<(What, String)> = Vec::new();
            match self.history.take(line, *version) {
                Some(Misfit::Fact(detail)) => found.push((Ok(Symptom::Fact), detail)),
                Some(Misfit::Odd(detail)) => found.push((Err(NoteKind::OddRecord), detail.to_owned())),
                None => {}
            }
            match self.resumes.claim(line, *version) {
                Some(Claim::Proof(detail)) => found.push((Ok(Symptom::Fact), detail)),
                Some(Claim::Version(detail)) => found.push((Err(NoteKind::OddRecord), detail)),
                None => {}
            }
            found.extend(self.openings.take(line, &self.seqs));
            for (what, detail) in found {
                if told.allow(what) {
                    self.found_in_record(what, slot, (seq, key), &detail);
                }
            }
        }
        for (what, count) in told.rest() {
            let detail = format!("{count} more records of it are like that");
            match what {
                Ok(symptom) => self.about(symptom, slot, None, detail, Loss::nothing()),
                Err(kind) => self.odd(kind, slot, None, detail),
            }
        }
    }

    fn found_in_record(&mut self, what: What, slot: u64, (seq, key): (Seq, Option<&ObjectKey>), detail: &str) {
        let detail = format!("record {seq}: {detail}");
        match what {
            Ok(symptom) => self.about(symptom, slot, key.cloned(), detail, Loss::nothing()),
            Err(kind) => self.odd(kind, slot, key.cloned(), detail),
        }
    }

    fn about(&mut self, symptom: Symptom, slot: u64, key: Option<ObjectKey>, detail: String, loss: Loss) {
        let problem = Problem::harmless(symptom, &paths::segment(slot), Some(slot), detail);
        self.problems.push(Problem { key, loss, ..problem });
    }

    fn odd(&mut self, kind: NoteKind, slot: u64, key: Option<ObjectKey>, detail: String) {
        self.note(Note { kind, object: paths::segment(slot), slot: Some(slot), detail, key });
    }

    /// Tells whether anything is damaged that gaps may account for.
    pub(super) fn is_damaged(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// Returns what was found; `accounts` tells whether gaps tell of all that a damaged segment held.
    pub(super) fn finish(mut self, accounts: impl Fn(&Damage) -> bool) -> Verdict {
        let mut accounted = Vec::new();
        for Damaged { mut damage, last, resources, .. } in self.damaged {
            let first = damage.segment.unwrap_or(last);
            damage.accounted = (first..=last).all(|slot| accounts(&Damage { segment: Some(slot), ..damage.clone() }));
            let mut problem = Problem::of(damage, last, &resources);
            if self.intact.iter().any(|window| window[0] <= first && last <= window[1]) {
                problem.stands_in_a_window();
            }
            if problem.accounted { accounted.push(problem) } else { self.problems.push(problem) }
        }
        // What is no segment comes first; of one slot, what was found first.
        self.problems.sort_by_key(|problem| problem.slots);
        let Self { problems, notes, more_notes, checked, .. } = self;
        Verdict { problems, accounted, notes, more_notes, checked }
    }
}

/// Lets only so many findings of one kind through.
#[derive(Default)]
struct Limited(BTreeMap<&'static str, (What, usize)>);

impl Limited {
    fn allow(&mut self, what: What) -> bool {
        let name = what.map_or_else(NoteKind::as_str, Symptom::as_str);
        let (_, count) = self.0.entry(name).or_insert((what, 0));
        *count += 1;
        *count <= MOST
    }

    /// Returns how many of each kind were too many.
    fn rest(self) -> impl Iterator<Item = (What, usize)> {
        self.0.into_values().filter(|(_, count)| *count > MOST).map(|(what, count)| (what, count - MOST))
    }
}
