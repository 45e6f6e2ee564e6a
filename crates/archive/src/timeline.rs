//! What the segments tell apart from their records: who wrote when, what is proven, what is missing.
//!
//! Does not: keep records, other than those of gaps.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use vmrewind_model::{Epoch, Gap, ResourceId, ResumeEntry, Seq, Timestamp};

use crate::{Archive, ArchiveError, Damage, GapSpan, Head, Proof, ResumeMap, Segment, SegmentSummary, read};

/// The whole archive from far away.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The end of the log.
    pub head: Head,
    /// The instant of the first record; none in an archive without any.
    pub first: Option<Timestamp>,
    /// How many records there are.
    pub records: u64,
    /// How many bytes the segments take.
    pub bytes: u64,
    /// Every readable segment in order.
    pub segments: Vec<SegmentSummary>,
    /// The writers in order.
    pub reigns: Vec<Reign>,
    /// What is known of each resource that was ever captured.
    pub proofs: Vec<Proof>,
    /// Every gap, in the order in which they opened.
    pub gaps: Vec<GapSpan>,
    /// What is damaged; empty unless it was made by [`crate::Archive::survey`].
    pub damage: Vec<Damage>,
}

impl Timeline {
    /// Returns the newest resume map: what a new owner puts into its fence, and where its watches go on.
    #[must_use]
    pub fn resume(&self) -> Vec<ResumeEntry> {
        self.proofs.iter().filter(|proof| proof.current).map(|proof| proof.entry.clone()).collect()
    }
}

/// The time in which one writer led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Its number.
    pub epoch: Epoch,
    /// The writer's nonce.
    pub nonce: [u8; 16],
    /// Slot of its fence.
    pub first: u64,
    /// Its newest slot.
    pub last: u64,
    /// Instant of its fence.
    pub from: Timestamp,
    /// Instant of its newest segment.
    pub to: Timestamp,
}

/// What the archive proves, put together segment by segment.
#[derive(Debug, Default)]
pub(crate) struct Proofs(BTreeMap<ResourceId, Proof>);

impl Proofs {
    /// Adds the resume map of the next segment.
    pub(crate) fn add(&mut self, map: &ResumeMap) {
        if map.complete {
            self.0.values_mut().for_each(|proof| proof.current = false);
        }
        for entry in &map.entries {
            let since = self.0.get(&entry.id).and_then(|proof| proof.since).or(entry.proven_at);
            self.0.insert(entry.id.clone(), Proof { entry: entry.clone(), since, current: true });
        }
    }

    pub(crate) fn finish(self) -> Vec<Proof> {
        self.0.into_values().collect()
    }
}

/// The gaps, put together record by record.
#[derive(Debug, Default)]
pub(crate) struct Gaps(BTreeMap<Seq, GapSpan>);

impl Gaps {
    /// Adds the gap records of the next segment.
    pub(crate) fn add(&mut self, segment: &Segment) {
        for line in &segment.lines {
            if let Some(gap) = &line.head.gap {
                self.record(line.head.seq, gap);
            }
        }
    }

    fn record(&mut self, seq: Seq, gap: &Gap) {
        let opened = gap.opened.unwrap_or(seq);
        let closed = gap.to.map(|_| seq);
        // A record that closes a gap says all that is known of it in the end.
        self.0.insert(opened, GapSpan { gap: gap.clone(), opened, closed });
    }

    pub(crate) fn finish(self) -> Vec<GapSpan> {
        self.0.into_values().collect()
    }
}

/// All of a timeline, put together segment by segment.
#[derive(Default)]
struct Builder {
    segments: Vec<SegmentSummary>,
    proofs: Proofs,
    gaps: Gaps,
    damage: Vec<Damage>,
}

impl Builder {
    fn add(&mut self, summary: SegmentSummary, resume: &ResumeMap, segment: Option<&Segment>) {
        self.proofs.add(resume);
        if let Some(segment) = segment {
            self.gaps.add(segment);
        }
        self.segments.push(summary);
    }

    fn finish(self, head: Head) -> Timeline {
        let mut reigns: Vec<Reign> = Vec::new();
        for summary in &self.segments {
            match reigns.last_mut() {
                Some(reign) if reign.epoch == summary.epoch => {
                    (reign.last, reign.to) = (summary.segment, summary.t_last);
                }
                _ => reigns.push(Reign {
                    epoch: summary.epoch,
                    nonce: summary.nonce,
                    first: summary.segment,
                    last: summary.segment,
                    from: summary.t_first,
                    to: summary.t_last,
                }),
            }
        }
        Timeline {
            head,
            first: self.segments.iter().find(|summary| summary.records > 0).map(|summary| summary.t_first),
            records: self.segments.iter().map(|summary| summary.records).sum(),
            bytes: self.segments.iter().map(|summary| summary.bytes).sum(),
            segments: self.segments,
            reigns,
            proofs: self.proofs.finish(),
            gaps: self.gaps.finish(),
            damage: self.damage,
        }
    }
}

/// Reads the ends of all segments, and the segments that have gap records.
pub(crate) async fn from_ends(archive: &Archive) -> Result<Timeline, ArchiveError> {
    let head = archive.head().await?;
    let mut builder = Builder::default();
    let mut ends = std::pin::pin!(read::ends(archive, 1..=head.segment));
    while let Some((summary, resume)) = ends.try_next().await? {
        let segment = if summary.gaps { Some(read::segment(archive, summary.segment).await?) } else { None };
        builder.add(summary, &resume, segment.as_ref());
    }
    Ok(builder.finish(head))
}

/// Reads and verifies all segments, and lists those that are damaged.
pub(crate) async fn from_segments(archive: &Archive) -> Result<Timeline, ArchiveError> {
    let mut builder = Builder::default();
    let newest = match archive.newest().await {
        // The segments behind a hole are found by listing, which is the best that can be had.
        Err(ArchiveError::Damaged(_)) => archive.store.last_slot().await?,
        newest => newest?,
    };
    let mut head = Head::EMPTY;
    let mut segments = std::pin::pin!(read::chain(archive.clone(), 1..=newest));
    while let Some(segment) = segments.next().await {
        match segment {
            Ok(segment) => {
                head = segment.summary.head(segment.digest);
                builder.add(segment.summary.clone(), &segment.resume, Some(&segment));
            }
            Err(ArchiveError::Damaged(damage)) => builder.damage.push(damage),
            Err(error) => return Err(error),
        }
    }
    Ok(builder.finish(head))
}
