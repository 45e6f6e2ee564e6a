//! Makes checkpoints: what still matters at the end of a window. See `spec/checkpoints.md`, section 5.
//!
//! Does not: hold more than one frame of each window, the lines of one object, and a few bytes for each object.

use std::{collections::BTreeSet, sync::Arc};

use vmrewind_model::{Digest, Gap, GapCause, Seq, Timestamp};

use super::{Door, Rules, merge::Input, sieve::Sieve, write};
use crate::{
    Archive, ArchiveError, Part,
    damage::slots_of,
    format::{
        SeqRange,
        bundle::{Bundle, Draft, Earliest, Leaves, Point, Window},
        line::Line,
    },
    manifest::Rolled,
    read,
    state::holes,
    window,
};

/// So many windows are read side by side at most.
const FAN_IN: usize = 64;

/// So many records of windows are read for one checkpoint at most: some 50 bytes of memory are needed for each.
const MOST_RECORDS: u64 = 1 << 22;

/// What a checkpoint is made from.
pub(super) struct Job<'a> {
    pub(super) windows: &'a [Rolled],
    /// The window that it ends with.
    pub(super) end: usize,
    pub(super) checkpoints: &'a [Rolled],
}

/// Makes a checkpoint; none if it cannot be made of what is there now, or if it would be empty. Of more than is read at once, one
/// for an earlier window is made.
pub(super) async fn make(
    archive: &Archive,
    rules: &Rules,
    door: &Door<'_>,
    job: &Job<'_>,
) -> Result<Option<Rolled>, ArchiveError> {
    let windows = &job.windows[..=job.end];
    let Some(last) = windows.last() else { return Ok(None) };
    if windows.iter().any(|rolled| rolled.stale) {
        return Ok(None);
    }
    let older = |base: &&Rolled| base.window.slots[1] < last.window.slots[1];
    let bases = job.checkpoints.iter().rev().filter(older).map(Some).chain([None]);
    for base in bases {
        let windows = &windows[..at_once(windows, base)];
        let Some(last) = windows.last() else { return Ok(None) };
        if job.checkpoints.iter().any(|other| other.window.slots[1] == last.window.slots[1]) {
            continue; // it is there, and of no use for what comes behind
        }
        let making = Making { archive, rules, door, windows, last, base };
        match Box::pin(making.run()).await? {
            // Of more parts or records than a manifest may name, nobody could use it.
            Outcome::Made(made) => return Ok(made.check_checkpoint().is_ok().then_some(*made)),
            Outcome::NotFromThis => {}
            Outcome::NotAtAll => return Ok(None),
        }
    }
    Ok(None)
}

/// How many of the windows one checkpoint that goes on from a base may end with.
fn at_once(windows: &[Rolled], base: Option<&Rolled>) -> usize {
    let slot = base.map_or(0, |base| base.window.slots[1]);
    let first = windows.partition_point(|rolled| rolled.window.slots[1] <= slot);
    let mut records = 0_u64;
    let fits = windows[first..].iter().take(FAN_IN).take_while(|rolled| {
        records = records.saturating_add(rolled.window.records());
        records <= MOST_RECORDS
    });
    first + fits.count()
}

/// What came of making a checkpoint from another one.
enum Outcome {
    Made(Box<Rolled>),
    /// Another base may do.
    NotFromThis,
    /// Nor will any other.
    NotAtAll,
}

struct Making<'a> {
    archive: &'a Archive,
    rules: &'a Rules,
    door: &'a Door<'a>,
    windows: &'a [Rolled],
    last: &'a Rolled,
    base: Option<&'a Rolled>,
}

impl<'a> Making<'a> {
    /// The slot, the seq and the first seq of ends of what it goes on from.
    fn start(&self) -> (u64, Seq, Seq) {
        let start = self.base.and_then(|base| Some((base, base.point.as_ref()?)));
        start
            .map_or((0, Seq(0), Seq(1)), |(base, point)| (base.window.slots[1], base.window.seqs.last, point.ends_from))
    }

    /// The windows behind what it goes on from.
    fn behind(&self) -> impl Iterator<Item = &'a Rolled> + use<'a> {
        let (slot, ..) = self.start();
        self.windows.iter().filter(move |rolled| rolled.window.slots[1] > slot)
    }

    async fn run(&self) -> Result<Outcome, ArchiveError> {
        let (slot, seq, ends_from) = self.start();
        let reaches_back = |rolled: &Rolled| rolled.window.earliest.from.is_some_and(|from| from < ends_from);
        if self.base.is_some() && self.behind().any(reaches_back) {
            return Ok(Outcome::NotFromThis);
        }
        // What lies in no window is a fence, or else there is no checkpoint.
        let Some(holes) = holes::uncovered(self.windows, slot + 1..=self.last.window.slots[1]) else {
            return Ok(Outcome::NotAtAll);
        };
        for hole in holes {
            if !matches!(read::part(self.archive, hole).await?, Part::Whole(segment) if segment.summary.records == 0) {
                return Ok(Outcome::NotAtAll);
            }
        }
        let mut own = Vec::new();
        if let Some((base, point)) = self.base.and_then(|base| Some((base, base.point.as_ref()?))) {
            let put_back = holes::first_put_back(self.archive, self.windows, base.window.slots[1]).await?;
            if put_back.is_some() || !point.without.is_empty() {
                return Ok(Outcome::NotFromThis);
            }
            own = self.keyless(base).await?;
        }
        let mut later = Vec::new();
        for rolled in self.behind() {
            later.extend(self.keyless(rolled).await?.into_iter().filter(|line| line.head.seq > seq));
        }
        if own.iter().chain(&later).any(passes_over) {
            return Ok(Outcome::NotAtAll);
        }
        let known: BTreeSet<Seq> = own.iter().map(|line| line.head.seq).collect();
        let opened = |line: &Line| line.head.gap.as_ref().and_then(|gap| gap.opened);
        if later.iter().filter_map(opened).any(|opened| opened <= seq && !known.contains(&opened)) {
            return Ok(Outcome::NotFromThis);
        }
        Ok(self.write().await?.map_or(Outcome::NotAtAll, |made| Outcome::Made(made.into())))
    }

    /// Reads the lines without a key of a window or a checkpoint.
    async fn keyless(&self, rolled: &Rolled) -> Result<Vec<Line>, ArchiveError> {
        let mut all = Vec::new();
        for n in 0..rolled.parts.len() {
            let opened = window::open(self.archive, rolled, n).await?;
            let runs = opened.runs(Bundle::is_keyless);
            for run in &runs {
                for (frame, stored) in opened.fetch(self.archive, run.clone()).await? {
                    let lines = opened.lines(self.archive, frame, stored).await?;
                    all.extend(lines.into_iter().filter(|line| line.head.gap.is_some()).map(|line| line.detached()));
                }
            }
            // They are the first of all.
            if runs.is_empty() {
                break;
            }
        }
        Ok(all)
    }

    /// Merges the sources, and writes what still matters of them.
    async fn write(&self) -> Result<Option<Rolled>, ArchiveError> {
        let (_, seq, _) = self.start();
        let all = self.base.into_iter().chain(self.behind());
        let mut sources: Vec<Input<'a>> = all.map(|rolled| Input::new(self.archive, rolled)).collect();
        let Some(t) = self.last_time().await? else { return Ok(None) };
        let draft = self.draft(t).await?;
        let ends_from = draft.point.as_ref().map_or(Seq(1), |point| point.ends_from);
        let mut sieve = Sieve::new(ends_from, self.last.window.times[1]);
        let mut sink = write::Sink::new(self.archive, Arc::new(draft), self.rules.cut)?;
        let mut leaves = Leaves::default();
        loop {
            for source in &mut sources {
                source.fill().await?;
            }
            let next = (0..sources.len()).filter(|n| sources[*n].first().is_some()).min_by_key(|n| sources[*n].first());
            let Some(next) = next else { break };
            let of_base = next == 0 && self.base.is_some();
            let Some(line) = sources[next].take()? else { continue };
            if !of_base && line.head.seq <= seq {
                continue; // what it goes on from has told of it
            }
            if !sieve.take(&line) {
                return Ok(None);
            }
            for kept in sieve.ready.drain(..) {
                leaves.add(&kept);
                sink.push(kept).await?;
            }
        }
        sieve.flush();
        for kept in sieve.ready.drain(..) {
            leaves.add(&kept);
            sink.push(kept).await?;
        }
        for source in sources {
            source.finish().await?;
        }
        if leaves.is_empty() { Ok(None) } else { sink.finish(leaves).await.map(Some) }
    }

    /// Returns the time of the last record; none if it is not there.
    async fn last_time(&self) -> Result<Option<Timestamp>, ArchiveError> {
        let seq = self.last.window.seqs.last;
        for n in 0..self.last.parts.len() {
            let opened = window::open(self.archive, self.last, n).await?;
            for run in opened.runs(|bundle, n| bundle.ends_with(n, seq)) {
                for (frame, stored) in opened.fetch(self.archive, run).await? {
                    let lines = opened.lines(self.archive, frame, stored).await?;
                    if let Some(line) = lines.iter().find(|line| line.head.seq == seq) {
                        return Ok(Some(line.head.t));
                    }
                }
            }
        }
        Ok(None)
    }

    async fn draft(&self, t: Timestamp) -> Result<Draft, ArchiveError> {
        let window = &self.last.window;
        let recent = self.windows.iter().find(|rolled| rolled.window.times[1] > window.times[1].minus(self.rules.ends));
        let (.., before) = self.start();
        let ends_from = recent.map_or(window.seqs.last.next(), |rolled| rolled.window.seqs.first).max(before);
        let first = self.base.or(self.windows.first()).map_or(window.times[0], |first| first.window.times[0]);
        let end = window::open(self.archive, self.last, 0).await?;
        Ok(Draft {
            home: self.archive.home(),
            window: Window {
                level: 0,
                slots: [1, window.slots[1]],
                seqs: SeqRange::new(Seq(1), window.seqs.last),
                times: [first, window.times[1]],
                prev: Digest([0; 32]),
                head: window.head,
                earliest: Earliest::default(),
            },
            point: Some(Point { ends_from, t, without: Vec::new() }),
            epoch: end.bundle.epoch,
            nonce: end.bundle.nonce,
            known: end.bundle.known.clone(),
            salt: (self.door.salt)(),
            software: self.rules.software.clone(),
        })
    }
}

/// Tells whether a line says that slots were passed over as damaged: what was recorded behind them says nothing of what they held.
fn passes_over(line: &Line) -> bool {
    let damage = |gap: &&Gap| gap.cause == GapCause::Damage && gap.object.is_none();
    line.head.gap.as_ref().filter(damage).is_some_and(|gap| slots_of(&gap.detail).next().is_some())
}
