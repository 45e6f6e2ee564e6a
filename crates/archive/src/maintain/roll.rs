//! Segments to the shortest windows.
//!
//! Does not: touch a segment that is damaged or does not follow the one before it.

use std::{ops::Range, sync::Arc};

use futures::TryStreamExt as _;
use vmrewind_model::{Digest, Timestamp};

use super::{
    Door, Rules,
    broken::Start,
    plan::{interval, is_due},
    write,
};
use crate::{
    Archive, ArchiveError, Code, Damage, Part, Segment, SegmentSummary,
    format::{
        SeqRange,
        bundle::{Draft, Earliest, Known, Leaves, SortKey, Window},
        fault::Fault,
        line::Line,
        link::Before,
    },
    manifest::Rolled,
    read,
    timeline::Proofs,
};

/// Segments that follow each other and are to become one window.
struct Group {
    first: SegmentSummary,
    last: SegmentSummary,
    head: Digest,
    lines: Vec<Line>,
    bytes: usize,
    /// What is known at its end.
    known: Vec<Known>,
}

/// What came of a run of slots.
#[derive(Default)]
pub(super) struct Run {
    pub(super) windows: Vec<Rolled>,
    pub(super) damage: Vec<Damage>,
    /// True if there was more than one manifest should name at once.
    pub(super) more: bool,
}

/// What is to be rolled up.
pub(super) struct Job {
    pub(super) slots: Range<u64>,
    /// The `prev` of the window behind them, if there is one.
    pub(super) behind: Option<Digest>,
    /// The newest instant of the log.
    pub(super) newest: Timestamp,
}

/// Rolls up what is due of a run of slots; what was not rolled up before them is read for what it says of the resources.
pub(super) async fn run(
    archive: &Archive,
    rules: &Rules,
    door: &Door<'_>,
    job: Job,
    start: Start,
) -> Result<Run, ArchiveError> {
    let Job { slots, behind, newest } = job;
    let level = rules.lowest;
    let mut done = Run::default();
    let before = start.bundle.as_deref();
    let mut proofs = before.map_or_else(Proofs::default, |before| Proofs::of_known(&before.known));
    let before = before.map_or_else(Before::first, |before| Before { head: before.head(), digest_known: true });
    let mut group: Option<Group> = None;
    let mut parts = std::pin::pin!(read::parts_behind(archive.clone(), start.slot..=slots.end - 1, Some(before)));
    let mut slot = start.slot - 1;
    while let Some(part) = parts.try_next().await? {
        slot += 1;
        let segment = match part {
            Part::Whole(segment) => segment,
            Part::Damaged(damage, left) => {
                end(archive, rules, door, group.take(), &mut done).await?;
                if let Some(left) = left {
                    proofs.add(&left.summary, &left.resume);
                }
                if slots.contains(&slot) {
                    done.damage.push(*damage);
                }
                continue;
            }
        };
        let summary = segment.summary.clone();
        if slot < slots.start {
            proofs.add(&summary, &segment.resume);
            continue;
        }
        if !is_due(level, summary.t_last, newest) {
            break;
        }
        let held = interval(level, summary.t_last);
        // A fence that begins anew names no predecessor.
        let anew = summary.fence && summary.segment > 1 && summary.prev == Digest([0; 32]);
        let other = group.as_ref().is_some_and(|group| {
            !group.lines.is_empty() && interval(level, group.last.t_last) != held || group.bytes >= rules.most_raw
        });
        if anew || other {
            end(archive, rules, door, group.take(), &mut done).await?;
            if done.windows.len() >= rules.windows_at_once {
                done.more = true;
                return Ok(done);
            }
        }
        proofs.add(&summary, &segment.resume);
        group.get_or_insert_with(|| Group::new(&segment)).add(segment, &proofs);
    }
    // What stands behind must follow.
    let follows = |group: &Group, behind: Digest| {
        group.last.segment + 1 < slots.end || behind == Digest([0; 32]) || behind == group.head
    };
    match (group, behind) {
        (Some(group), Some(behind)) if !follows(&group, behind) => {
            let detail = "it is not the segment that the one behind it follows";
            done.damage.push(read::damaged(group.last.segment, Fault::new(Code::Chain, detail)));
        }
        (group, _) => end(archive, rules, door, group, &mut done).await?,
    }
    Ok(done)
}

impl Group {
    fn new(segment: &Segment) -> Self {
        let (first, last) = (segment.summary.clone(), segment.summary.clone());
        Self { first, last, head: segment.digest, lines: Vec::new(), bytes: 0, known: Vec::new() }
    }

    fn add(&mut self, segment: Segment, proofs: &Proofs) {
        (self.last, self.head) = (segment.summary, segment.digest);
        self.bytes += segment.lines.iter().map(|line| line.text.len()).sum::<usize>();
        self.lines.extend(segment.lines);
        self.known = proofs.known();
    }
}

/// Writes the window of a group; fences alone make none.
async fn end(
    archive: &Archive,
    rules: &Rules,
    door: &Door<'_>,
    group: Option<Group>,
    done: &mut Run,
) -> Result<(), ArchiveError> {
    let Some(group) = group.filter(|group| !group.lines.is_empty()) else { return Ok(()) };
    let mut earliest = Earliest::default();
    group.lines.iter().for_each(|line| earliest.add(line));
    let window = Window {
        level: rules.lowest,
        slots: [group.first.segment, group.last.segment],
        seqs: SeqRange::new(group.first.seqs.first, group.last.seqs.last),
        times: [group.first.t_first, group.last.t_last],
        prev: group.first.prev,
        head: group.head,
        earliest,
    };
    let draft = Arc::new(Draft {
        home: archive.home(),
        window,
        point: None,
        epoch: group.last.epoch,
        nonce: group.last.nonce,
        known: group.known,
        salt: (door.salt)(),
        software: rules.software.clone(),
    });
    let mut lines = group.lines;
    let sorted = archive.cpu.run(move || {
        lines.sort_by_cached_key(|line| (SortKey::of(line), line.head.seq));
        lines
    });
    let mut leaves = Leaves::with_room(draft.window.records());
    let mut sink = write::Sink::new(archive, draft, rules.cut)?;
    for line in sorted.await? {
        leaves.add(&line);
        sink.push(line).await?;
    }
    done.windows.push(sink.finish(leaves).await?);
    Ok(())
}
