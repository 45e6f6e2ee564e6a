//! What the segments tell apart from their records: who wrote when, what is proven, what is missing.
//!
//! Does not: keep records, other than those of gaps.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use vmrewind_model::{Epoch, Gap, GapCause, ResourceId, ResumeEntry, Seq, Timestamp};

use crate::{
    Archive, ArchiveError, Damage, GapSpan, Head, Part, Proof, ResumeMap, Segment, SegmentSummary, damage,
    format::{bundle::Known, line::Line},
    read,
};

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
    /// What was seen to be damaged: all there is if it was made by [`crate::Archive::survey`].
    pub damage: Vec<Damage>,
    named: Named,
}

/// The resources, each with the last record up to the end of the segment that first named it.
pub(crate) type Named = BTreeMap<ResourceId, Seq>;

impl Timeline {
    /// Tells whether the watcher has passed over some damage and recorded so; see [`Damage::accounted`].
    #[must_use]
    pub fn accounts_for(&self, damage: &Damage) -> bool {
        let mut damage = [damage.clone()];
        damage::account(&mut damage, &self.named, &self.gaps);
        damage[0].accounted
    }

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
pub(crate) struct Proofs {
    proofs: BTreeMap<ResourceId, Proof>,
    /// The last record up to the segment that first named each resource.
    pub(crate) named: Named,
}

impl Proofs {
    /// Adds the resume map of the next segment.
    pub(crate) fn add(&mut self, summary: &SegmentSummary, map: &ResumeMap) {
        if map.complete {
            self.proofs.values_mut().for_each(|proof| proof.current = false);
        }
        for entry in &map.entries {
            let since = self.proofs.get(&entry.id).and_then(|proof| proof.since).or(entry.proven_at);
            self.proofs.insert(entry.id.clone(), Proof { entry: entry.clone(), since, current: true });
            self.named.entry(entry.id.clone()).or_insert(summary.seqs.last);
        }
    }

    /// Goes on from what a window says of every resource at its end.
    pub(crate) fn of_known(known: &[Known]) -> Self {
        let mut proofs = Self::default();
        for Known { entry, since, named, current } in known {
            let proof = Proof { entry: entry.clone(), since: *since, current: *current };
            proofs.proofs.insert(entry.id.clone(), proof);
            proofs.named.insert(entry.id.clone(), *named);
        }
        proofs
    }

    /// Returns what a window that ends here says.
    pub(crate) fn known(&self) -> Vec<Known> {
        let known = |(id, proof): (&ResourceId, &Proof)| Known {
            entry: proof.entry.clone(),
            since: proof.since,
            named: self.named.get(id).copied().unwrap_or_default(),
            current: proof.current,
        };
        self.proofs.iter().map(known).collect()
    }

    pub(crate) fn finish(self) -> Vec<Proof> {
        self.proofs.into_values().collect()
    }
}

/// The gaps, put together record by record.
#[derive(Debug, Default)]
pub(crate) struct Gaps(BTreeMap<Seq, GapSpan>);

impl Gaps {
    /// Adds the gap records among the next lines.
    pub(crate) fn add(&mut self, lines: &[Line]) {
        for line in lines {
            if let Some(gap) = &line.head.gap {
                self.record(line.head.seq, gap);
            }
        }
    }

    fn record(&mut self, seq: Seq, gap: &Gap) {
        let opened = gap.opened.unwrap_or(seq);
        let closed = gap.to.map(|_| seq);
        // A record that closes a gap says all that is known of it in the end, but need not say again why it opened.
        let mut gap = gap.clone();
        if let Some(before) = self.0.get(&opened).filter(|_| gap.detail.is_empty()) {
            gap.detail.clone_from(&before.gap.detail);
        }
        self.0.insert(opened, GapSpan { gap, opened, closed });
    }

    /// Tells whether a gap is known that this record opened.
    pub(crate) fn knows(&self, opened: Seq) -> bool {
        self.0.contains_key(&opened)
    }

    /// The slots that gaps of cause `damage` name that opened up to `seq`.
    pub(crate) fn damaged_slots(&self, seq: Seq) -> Vec<(u64, u64)> {
        let of_damage = self
            .0
            .values()
            .filter(|span| span.opened <= seq && span.gap.cause == GapCause::Damage && span.gap.object.is_none());
        of_damage.flat_map(|span| damage::slots_of(&span.gap.detail)).collect()
    }

    pub(crate) fn spans(&self) -> Vec<GapSpan> {
        self.0.values().cloned().collect()
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
        self.proofs.add(&summary, resume);
        if let Some(segment) = segment {
            self.gaps.add(&segment.lines);
        }
        self.segments.push(summary);
    }

    /// Adds a segment that was read in full, or what is left of it.
    async fn part(&mut self, archive: &Archive, part: Part) -> Result<(), ArchiveError> {
        match part {
            Part::Whole(segment) => self.add(segment.summary.clone(), &segment.resume, Some(&segment)),
            Part::Damaged(damage, left) => {
                self.damage.push(read::surround(archive, *damage).await?);
                if let Some(left) = left {
                    self.proofs.add(&left.summary, &left.resume);
                    self.gaps.add(&left.lines);
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, head: Head) -> Timeline {
        let gaps = self.gaps.spans();
        damage::account(&mut self.damage, &self.proofs.named, &gaps);
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
            named: self.proofs.named.clone(),
            proofs: self.proofs.finish(),
            gaps,
            damage: self.damage,
        }
    }
}

/// Reads the ends of all segments, and the segments that have gap records.
pub(crate) async fn from_ends(archive: &Archive) -> Result<Timeline, ArchiveError> {
    let mut builder = Builder::default();
    builder.damage.extend(archive.rolled_up().await?.damage);
    let head = archive.head_behind_damage().await?;
    let mut ends = std::pin::pin!(read::ends(archive, 1..=head.segment));
    let mut slot = 0;
    while let Some(end) = ends.next().await {
        slot += 1;
        match end {
            Ok((summary, resume)) if !summary.gaps => builder.add(summary, &resume, None),
            // What its end does not tell, the whole of it may.
            Ok(_) => builder.part(archive, read::part(archive, slot).await?).await?,
            Err(ArchiveError::Damaged(damage)) => {
                let part = match read::part(archive, slot).await? {
                    Part::Whole(_) => Part::Damaged(damage, None), // good by itself, but it does not follow
                    part @ Part::Damaged(..) => part,
                };
                builder.part(archive, part).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(builder.finish(head))
}

/// Reads and verifies all segments, and lists those that are damaged.
pub(crate) async fn from_segments(archive: &Archive) -> Result<Timeline, ArchiveError> {
    let mut builder = Builder::default();
    builder.damage.extend(archive.rolled_up().await?.damage);
    let newest = archive.extent().await?;
    let mut head = Head::EMPTY;
    let mut parts = std::pin::pin!(read::parts(archive.clone(), 1..=newest));
    while let Some(part) = parts.try_next().await? {
        if let Part::Whole(segment) = &part {
            head = segment.summary.head(segment.digest);
        }
        builder.part(archive, part).await?;
    }
    Ok(builder.finish(head))
}
