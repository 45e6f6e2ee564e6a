//! When a batch of records becomes a segment: by age, by size, one at a time.
//!
//! Does not: read a clock, compress, or store.

use std::{collections::VecDeque, time::Duration};

use vmrewind_model::{Change, Record, ResumeEntry, Timestamp};

/// What a record costs beside its object.
const RECORD_BYTES: usize = 300;
/// A segment is never asked to hold more than this before compression, whatever the settings say; the archive's own
/// limit lies above it.
const MOST: usize = 56 << 20;

/// When batches are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A batch is cut this long after what its first record tells of arrived.
    pub linger: Duration,
    /// While an object is being fetched that a record of the batch names, it is cut this much later at most.
    pub hold: Duration,
    /// A batch is cut at this many bytes before compression.
    pub raw: usize,
    /// A batch is cut at this many bytes after compression, estimated by the batches before it.
    pub compressed: usize,
    /// When this many bytes wait for the store, reading stops until half of them are stored.
    pub buffer: usize,
}

/// What one segment is to hold.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Its records.
    pub records: Vec<Record>,
    /// What is known of resources after the last of them.
    pub resume: Vec<ResumeEntry>,
    /// Whether that is every resource.
    pub complete: bool,
    /// Its size before compression, roughly.
    pub raw: usize,
}

/// When the open batch is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// At this instant.
    At(Timestamp),
    /// Not while nothing comes.
    Never,
}

/// Collects records into batches.
#[derive(Debug)]
pub struct Batcher {
    limits: Limits,
    open: Batch,
    since: Option<Timestamp>,
    sealed: VecDeque<Batch>,
    in_flight: Option<usize>,
    waiting: usize,
    /// Compressed size of a raw kibibyte, as of the last batches.
    per_kib: usize,
    over: bool,
}

impl Batcher {
    /// Begins with nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Batch::default(),
            since: None,
            sealed: VecDeque::new(),
            in_flight: None,
            waiting: 0,
            per_kib: 256,
            over: false,
        }
    }

    /// Takes the records of one step, of which the input arrived at `since`. True if the batch is now to be sealed.
    ///
    /// More than a segment can hold is cut between records. The parts before the last one say nothing of resources:
    /// what is known of them holds only once all of the step's records are stored.
    pub fn push(&mut self, records: Vec<Record>, since: Timestamp) -> bool {
        for record in records {
            let bytes = size(&record);
            if self.is_full() || (!self.is_empty() && self.open.raw + bytes > MOST) {
                self.seal(Vec::new(), false);
            }
            self.open.raw += bytes;
            self.waiting += bytes;
            self.since.get_or_insert(since);
            self.open.records.push(record);
        }
        self.is_full()
    }

    fn is_full(&self) -> bool {
        !self.is_empty()
            && (self.open.raw >= self.limits.raw || self.open.raw / 1024 * self.per_kib >= self.limits.compressed)
    }

    /// When the open batch is to be sealed. While a segment is being stored it grows on, up to its size.
    #[must_use]
    pub fn due(&self, now: Timestamp, fetching: bool) -> Due {
        let Some(since) = self.since else { return Due::Never };
        if self.is_full() {
            return Due::Now;
        }
        if self.in_flight.is_some() || !self.sealed.is_empty() {
            return Due::Never;
        }
        let wait = if fetching { self.limits.linger + self.limits.hold } else { self.limits.linger };
        let at = since.plus(wait);
        if at <= now { Due::Now } else { Due::At(at) }
    }

    /// Whether the open batch holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.records.is_empty()
    }

    /// Seals the open batch with what is known of resources at this very point.
    pub fn seal(&mut self, resume: Vec<ResumeEntry>, complete: bool) {
        self.since = None;
        let mut batch = std::mem::take(&mut self.open);
        batch.resume = resume;
        batch.complete = complete;
        self.sealed.push_back(batch);
    }

    /// Returns the next batch to be stored, if none is being stored.
    pub fn take(&mut self) -> Option<Batch> {
        if self.in_flight.is_some() {
            return None;
        }
        let batch = self.sealed.pop_front()?;
        self.in_flight = Some(batch.raw);
        Some(batch)
    }

    /// The batch taken last is durable; `raw` and `bytes` are its sizes before and after compression.
    pub fn stored(&mut self, raw: u64, bytes: u64) {
        if let Some(size) = self.in_flight.take() {
            self.waiting -= size;
        }
        if raw >= 64 << 10 {
            let seen = usize::try_from(bytes.saturating_mul(1024) / raw).unwrap_or(1024).clamp(16, 1024);
            self.per_kib = (self.per_kib * 3 + seen).div_ceil(4);
        }
    }

    /// Bytes that wait for the store.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether something is being stored or waits to be.
    #[must_use]
    pub fn busy(&self) -> bool {
        self.in_flight.is_some() || !self.sealed.is_empty()
    }

    /// Tells when the buffer has become full (true) or has room again (false); none while nothing changed.
    pub fn pressure(&mut self) -> Option<bool> {
        if !self.over && self.waiting > self.limits.buffer {
            self.over = true;
            return Some(true);
        }
        if self.over && self.waiting <= self.limits.buffer / 2 {
            self.over = false;
            return Some(false);
        }
        None
    }
}

fn size(record: &Record) -> usize {
    let object = match &record.change {
        Change::Object { object, .. } => object.bytes().len(),
        Change::Deleted { object, .. } => object.as_ref().map_or(0, |object| object.bytes().len()),
        Change::Unobserved { .. }
        | Change::Absent { .. }
        | Change::Withheld { .. }
        | Change::Gap(_)
        | Change::Heartbeat => 0,
    };
    let key = record.change.key().map_or(0, |key| {
        let object = &key.object;
        let names = [&object.group, &object.kind, &object.namespace, &object.name, &key.home, &key.uid];
        names.into_iter().map(String::len).sum()
    });
    object + key + RECORD_BYTES
}

#[cfg(test)]
mod tests {
    use vmrewind_model::{Era, Seq};

    use super::*;

    fn limits() -> Limits {
        Limits {
            linger: Duration::from_millis(250),
            hold: Duration::from_millis(1_000),
            raw: 10 * RECORD_BYTES,
            compressed: 1 << 20,
            buffer: 20 * RECORD_BYTES,
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_millis(millis))
    }

    fn records(count: u64) -> Vec<Record> {
        (0..count)
            .map(|n| Record { seq: Seq(n + 1), t: at(n), lo: None, era: Era(1), change: Change::Heartbeat })
            .collect()
    }

    #[test]
    fn cuts_a_batch_when_its_first_record_has_lingered() {
        let mut batcher = Batcher::new(limits());
        assert_eq!(batcher.due(at(0), false), Due::Never);
        assert!(!batcher.push(records(1), at(0)));
        assert!(!batcher.push(records(1), at(200)));
        assert_eq!(batcher.due(at(200), false), Due::At(at(250)));
        assert_eq!(batcher.due(at(250), false), Due::Now);
    }

    #[test]
    fn waits_a_little_longer_for_an_object_that_a_record_names() {
        let mut batcher = Batcher::new(limits());
        batcher.push(records(1), at(0));
        assert_eq!(batcher.due(at(250), true), Due::At(at(1_250)));
        assert_eq!(batcher.due(at(1_250), true), Due::Now);
    }

    #[test]
    fn one_batch_is_stored_at_a_time_while_the_next_one_grows() {
        let mut batcher = Batcher::new(limits());
        batcher.push(records(1), at(0));
        batcher.seal(Vec::new(), false);
        assert_eq!(batcher.take().map(|batch| batch.records.len()), Some(1));
        batcher.push(records(3), at(10));
        assert_eq!(batcher.due(at(9_000), false), Due::Never);
        assert!(batcher.take().is_none());
        batcher.stored(0, 0);
        assert_eq!(batcher.due(at(9_000), false), Due::Now);
    }

    #[test]
    fn a_full_batch_is_cut_even_while_another_is_stored() {
        let mut batcher = Batcher::new(limits());
        batcher.push(records(1), at(0));
        batcher.seal(Vec::new(), false);
        assert!(batcher.take().is_some());
        assert!(batcher.push(records(10), at(0)));
        assert_eq!(batcher.due(at(0), false), Due::Now);
    }

    #[test]
    fn a_batch_is_cut_by_its_estimated_compressed_size_too() {
        let mut batcher = Batcher::new(Limits { raw: usize::MAX, compressed: 4096, ..limits() });
        assert!(!batcher.push(records(30), at(0)));
        assert!(batcher.push(records(25), at(0)), "16500 raw bytes at a ratio of four");
    }

    #[test]
    fn a_step_that_is_larger_than_a_segment_is_cut_and_only_its_last_part_says_what_is_known() {
        let mut batcher = Batcher::new(limits());
        assert!(!batcher.push(records(25), at(0)));
        batcher.seal(Vec::new(), true);
        let mut parts = Vec::new();
        while let Some(batch) = batcher.take() {
            parts.push((batch.records.first().map(|record| record.seq.0), batch.records.len(), batch.complete));
            batcher.stored(0, 0);
        }
        assert_eq!(parts, [(Some(1), 10, false), (Some(11), 10, false), (Some(21), 5, true)]);
        assert_eq!(batcher.waiting(), 0);
    }

    #[test]
    fn no_setting_makes_a_batch_larger_than_what_the_archive_takes() {
        let mut batcher = Batcher::new(Limits { raw: usize::MAX, compressed: usize::MAX, ..limits() });
        batcher.push(records(MOST as u64 / RECORD_BYTES as u64 + 1), at(0));
        assert!(batcher.take().is_some_and(|batch| batch.raw <= MOST));
    }

    #[test]
    fn tells_once_that_the_buffer_is_full_and_once_that_it_has_room() {
        let mut batcher = Batcher::new(limits());
        batcher.push(records(21), at(0));
        assert_eq!(batcher.pressure(), Some(true));
        assert_eq!(batcher.pressure(), None);
        batcher.seal(Vec::new(), false);
        assert!(batcher.take().is_some());
        batcher.stored(0, 0);
        assert_eq!(batcher.pressure(), None, "11 of 20 wait");
        assert!(batcher.take().is_some());
        batcher.stored(0, 0);
        assert_eq!(batcher.pressure(), Some(false));
        assert_eq!(batcher.waiting(), RECORD_BYTES);
    }
}
