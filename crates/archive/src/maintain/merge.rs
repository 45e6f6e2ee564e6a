//! Windows to a longer one: side by side, frame by frame.
//!
//! Does not: hold more than one frame of each.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::{Door, Rules, write};
use crate::{
    Archive, ArchiveError, Code,
    format::{
        SeqRange,
        bundle::{Draft, Earliest, Leaves, SortKey, Window},
        fault::Fault,
        line::Line,
    },
    manifest::Rolled,
    window::{self, Opened},
};

/// A window or a checkpoint that is being read.
pub(super) struct Input<'a> {
    archive: &'a Archive,
    rolled: &'a Rolled,
    /// The part that is being read, and the number of the next one.
    opened: Option<Opened>,
    next_part: usize,
    /// Runs of frames of the part that were not fetched yet, and frames that were not decoded yet.
    runs: VecDeque<std::ops::Range<usize>>,
    frames: VecDeque<(usize, Bytes)>,
    lines: VecDeque<(SortKey, Line)>,
    leaves: Leaves,
    last: Option<(SortKey, u64)>,
}

impl<'a> Input<'a> {
    pub(super) fn new(archive: &'a Archive, rolled: &'a Rolled) -> Self {
        Self {
            archive,
            rolled,
            opened: None,
            next_part: 0,
            runs: VecDeque::new(),
            frames: VecDeque::new(),
            lines: VecDeque::new(),
            leaves: Leaves::default(),
            last: None,
        }
    }

    /// Makes sure that there is a next line; false at the end.
    pub(super) async fn fill(&mut self) -> Result<bool, ArchiveError> {
        while self.lines.is_empty() {
            if let (Some(opened), Some((n, stored))) = (&self.opened, self.frames.pop_front()) {
                self.lines = opened.keyed(self.archive, n, stored).await?.into();
            } else if let (Some(opened), Some(run)) = (&self.opened, self.runs.pop_front()) {
                self.frames = opened.fetch(self.archive, run).await?.into();
            } else if self.next_part < self.rolled.parts.len() {
                let opened = window::open(self.archive, self.rolled, self.next_part).await?;
                self.next_part += 1;
                self.runs = opened.runs(|_, _| true).into();
                self.opened = Some(opened);
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn first(&self) -> Option<(&SortKey, u64)> {
        self.lines.front().map(|(key, line)| (key, line.head.seq.0))
    }

    /// Takes the next line, and checks that it belongs behind the one before.
    pub(super) fn take(&mut self) -> Result<Option<Line>, ArchiveError> {
        let Some((key, line)) = self.lines.pop_front() else { return Ok(None) };
        let place = (key, line.head.seq.0);
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return Err(self.damaged(Code::Index, "lines are not in order"));
        }
        self.last = Some(place);
        self.leaves.add(&line);
        Ok(Some(line))
    }

    /// Checks that all lines came, by their root, and returns their leaves.
    pub(super) async fn finish(mut self) -> Result<Leaves, ArchiveError> {
        let mut leaves = std::mem::take(&mut self.leaves);
        let (root, leaves) = self.archive.cpu.run(move || (leaves.root(), leaves)).await?;
        let root = self.archive.home().root(root);
        if root.is_ok_and(|root| root == self.rolled.root) {
            return Ok(leaves);
        }
        Err(self.damaged(Code::Root, "the event root does not match the records"))
    }

    fn damaged(&self, code: Code, detail: &str) -> ArchiveError {
        let part = self.next_part.saturating_sub(1);
        window::damaged(&self.rolled.parts[part], Fault::new(code, detail)).into()
    }
}

/// Makes one window out of several that follow each other.
pub(super) async fn merge(
    archive: &Archive,
    rules: &Rules,
    door: &Door<'_>,
    windows: &[Rolled],
    level: u16,
) -> Result<Rolled, ArchiveError> {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
        return Err(ArchiveError::Bug("no windows to merge".into()));
    };
    let end = window::open(archive, last, 0).await?;
    let mut earliest = Earliest::default();
    windows.iter().for_each(|rolled| earliest.join(rolled.window.earliest));
    let draft = Arc::new(Draft {
        home: archive.home(),
        window: Window {
            level,
            slots: [first.window.slots[0], last.window.slots[1]],
            seqs: SeqRange::new(first.window.seqs.first, last.window.seqs.last),
            times: [first.window.times[0], last.window.times[1]],
            prev: first.window.prev,
            head: last.window.head,
            earliest,
        },
        point: None,
        epoch: end.bundle.epoch,
        nonce: end.bundle.nonce,
        known: end.bundle.known.clone(),
        salt: (door.salt)(),
        software: rules.software.clone(),
    });
    let records = draft.window.records();
    let mut inputs: Vec<Input<'_>> = windows.iter().map(|rolled| Input::new(archive, rolled)).collect();
    let mut sink = write::Sink::new(archive, draft, rules.cut)?;
    loop {
        for input in &mut inputs {
            input.fill().await?;
        }
        let next = (0..inputs.len()).filter(|n| inputs[*n].first().is_some()).min_by_key(|n| inputs[*n].first());
        let Some(next) = next else { break };
        if let Some(line) = inputs[next].take()? {
            sink.push(line).await?;
        }
    }
    let mut leaves = Leaves::with_room(records);
    for input in inputs {
        leaves.join(&input.finish().await?);
    }
    sink.finish(leaves).await
}
