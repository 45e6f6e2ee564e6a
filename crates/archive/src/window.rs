//! Reads the lines of windows: part by part, frame by frame, verified.
//!
//! Does not: put them into the order of time.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::{
    Archive, ArchiveError, Code, Damage,
    format::{
        bundle::{self, Bundle, Peek, SortKey},
        decode::FRONT,
        fault::{Checked, Fault, demand},
        frame::Unpacker,
        line::Line,
    },
    manifest::{PartRef, Rolled},
    read,
};

/// How much of the end of a part is read at once: footer, public frame and index of usual size.
const TAIL: u64 = 64 * 1024;

/// Frames that lie side by side are fetched together up to this many bytes.
const AT_ONCE: u64 = 1 << 20;

/// Slots that are read together.
pub(crate) enum Piece<'a> {
    Window(&'a Rolled),
    Slots(RangeInclusive<u64>),
}

/// What the slots behind `from` and up to `newest` are read from, in order. The first window may hold slots before, too.
pub(crate) fn layout(windows: &[Rolled], from: u64, newest: u64) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut next = from + 1;
    for rolled in windows.iter().filter(|rolled| rolled.window.slots[1] > from) {
        let [first, last] = rolled.window.slots;
        if next < first {
            pieces.push(Piece::Slots(next..=first - 1));
        }
        pieces.push(Piece::Window(rolled));
        next = last + 1;
    }
    if next <= newest {
        pieces.push(Piece::Slots(next..=newest));
    }
    pieces
}

/// Returns the last slot that windows tell of, if it lies behind `newest`; else 0. No window holds the newest segment, so that they
/// tell of the one behind them, too. A manifest alone is not believed in this: a bundle has to say the same.
pub(crate) async fn successor(archive: &Archive, windows: &[Rolled], newest: u64) -> Result<u64, ArchiveError> {
    for rolled in windows.iter().rev().take_while(|rolled| rolled.window.slots[1] >= newest) {
        match open(archive, rolled, 0).await {
            Ok(_) => return Ok(rolled.window.slots[1] + 1),
            Err(ArchiveError::Damaged(damage)) => tracing::warn!(%damage, "where the log ends is not known from it"),
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

/// Says whose bytes are damaged.
pub(crate) fn damaged(part: &PartRef, fault: Fault) -> Damage {
    fault.in_object(part.name(), None)
}

/// A part of a window, of which the end was read.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) bundle: std::sync::Arc<Bundle>,
    part: PartRef,
    /// Its last bytes, and where they begin.
    tail: (u64, Bytes),
}

/// Reads the end of part `n` of a window, and that it is the part that the manifest names.
pub(crate) async fn open(archive: &Archive, rolled: &Rolled, n: usize) -> Result<Opened, ArchiveError> {
    let part = &rolled.parts[n];
    let wrong = |fault: Fault| ArchiveError::from(damaged(part, fault));
    let name = part.name();
    let mut length = TAIL;
    let home = archive.home();
    let front = if home.is_sealed() { 0..part.size.min(FRONT) } else { 0..0 };
    loop {
        let start = part.size.saturating_sub(length);
        let ends = async {
            let tail = archive.store.range_if_there(&name, start..part.size);
            if front.is_empty() {
                return Ok(tail.await?.map(|tail| (Bytes::new(), tail)));
            }
            let (front, tail) =
                futures::future::try_join(archive.store.range_if_there(&name, front.clone()), tail).await?;
            Ok(front.zip(tail))
        };
        let (front, tail) = match ends.await {
            Ok(Some(ends)) => ends,
            Ok(None) => return Err(wrong(Fault::new(Code::Missing, "it is not there"))),
            Err(error) => {
                let size = archive.store.size(&name).await?;
                let cut = size.is_some_and(|size| size != part.size);
                let detail = "it has another size than the manifest says";
                return Err(if cut { wrong(Fault::new(Code::Count, detail)) } else { error });
            }
        };
        let (front, own, size, kind, home) = (front.clone(), tail.clone(), part.size, part.kind, home.clone());
        let peeked = archive.cpu.run(move || bundle::peek(kind, &front, &own, size, &home)).await?;
        let peeked = match peeked {
            Ok(peeked) => peeked,
            Err(fault) => {
                return Err(wrong(read::why_shut(archive, &name, (part.kind, Some(part.digest)), fault).await?));
            }
        };
        match peeked {
            Peek::Done(mut bundle) => {
                bundle.part = Some(number(n));
                belongs(&bundle, rolled, n).map_err(wrong)?;
                return Ok(Opened { bundle: (*bundle).into(), part: part.clone(), tail: (start, tail) });
            }
            Peek::Longer(longer) if longer > length => length = longer,
            Peek::Longer(_) => return Err(ArchiveError::Bug(format!("the end of {name} has no beginning"))),
        }
    }
}

/// The number of a part in its own words: they count from 1.
pub(crate) fn number(n: usize) -> u32 {
    u32::try_from(n + 1).expect("a window has at most 4,096 parts")
}

/// Checks that a bundle is the part of a window that a manifest names.
pub(crate) fn belongs(bundle: &Bundle, rolled: &Rolled, n: usize) -> Checked<()> {
    let part = &rolled.parts[n];
    let same = (&bundle.window, &bundle.point) == (&rolled.window, &rolled.point);
    demand(same, Code::Count, "it is of another window or checkpoint than the manifest says")?;
    demand(bundle.records == part.records, Code::Count, "it has another number of records than the manifest says")?;
    let whole = rolled.parts.len() > 1 || bundle.root == rolled.root;
    demand(whole, Code::Count, "it has another event root than the manifest says")
}

impl Opened {
    /// Returns how many bytes were read of it.
    pub(crate) fn fetched(&self) -> u64 {
        self.tail.1.len() as u64
    }

    /// Returns the runs of frames that `test` passes, each run to be fetched at once.
    pub(crate) fn runs(&self, test: impl Fn(&Bundle, usize) -> bool) -> Vec<std::ops::Range<usize>> {
        let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
        for n in (0..self.bundle.frames()).filter(|n| test(&self.bundle, *n)) {
            match runs.last_mut() {
                Some(run) if run.end == n && self.span(run.start, n) <= AT_ONCE => run.end = n + 1,
                _ => runs.push(n..n + 1),
            }
        }
        runs
    }

    fn span(&self, first: usize, last: usize) -> u64 {
        self.bundle.place(last).end - self.bundle.place(first).start
    }

    /// Fetches a run of frames.
    pub(crate) async fn fetch(
        &self,
        archive: &Archive,
        run: std::ops::Range<usize>,
    ) -> Result<Vec<(usize, Bytes)>, ArchiveError> {
        let (first, last) = (self.bundle.place(run.start), self.bundle.place(run.end - 1));
        let (start, tail) = &self.tail;
        let whole = if *start <= first.start {
            slice(tail, *start, first.start..last.end)
        } else {
            archive.store.range(&self.part.name(), first.start..last.end).await?
        };
        let frame = |n: usize| (n, slice(&whole, first.start, self.bundle.place(n)));
        Ok(run.map(frame).collect())
    }

    /// Decodes a frame.
    pub(crate) async fn lines(&self, archive: &Archive, n: usize, stored: Bytes) -> Result<Vec<Line>, ArchiveError> {
        self.decoded(archive, n, stored, |lines| lines).await
    }

    /// Decodes a frame, each line with what it is sorted by.
    pub(crate) async fn keyed(
        &self,
        archive: &Archive,
        n: usize,
        stored: Bytes,
    ) -> Result<Vec<(SortKey, Line)>, ArchiveError> {
        let keyed = |lines: Vec<Line>| lines.into_iter().map(|line| (SortKey::of(&line), line)).collect();
        self.decoded(archive, n, stored, keyed).await
    }

    async fn decoded<T: Send + 'static>(
        &self,
        archive: &Archive,
        n: usize,
        stored: Bytes,
        then: impl FnOnce(Vec<Line>) -> T + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let bundle = std::sync::Arc::clone(&self.bundle);
        let read = archive.cpu.run(move || {
            let lines = bundle.frame(n, &stored, &mut Unpacker::new()?);
            lines.map(then).map_err(|fault| fault.at(bundle.place(n).start))
        });
        Ok(read.await?.map_err(|fault| damaged(&self.part, fault))?)
    }
}

fn slice(bytes: &Bytes, start: u64, range: std::ops::Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset - start).expect("what is in memory has an offset that fits");
    bytes.slice(at(range.start)..at(range.end))
}
