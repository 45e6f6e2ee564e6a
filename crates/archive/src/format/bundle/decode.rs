//! The bytes of a bundle to lines: all of them, or frame by frame behind what its end says.
//!
//! Does not: check what only all parts of a window show together.

use std::cmp::Ordering;

use bytes::Bytes;
use vmrewind_model::{Digest, Epoch, Op, Seq};

use super::{Earliest, Known, Leaves, Point, Public, SortKey, Window, digest, filter, meta::Meta, point::Sieved};
use crate::{
    Head,
    format::{
        Code, SeqRange,
        age::Opener,
        decode::{End, index_of, lines, position},
        fault::{Checked, Fault, demand, time},
        footer::{self, Footer, Kind, flag},
        frame::Unpacker,
        home::Home,
        index::{FrameEntry, Index},
        limits,
        line::Line,
        meta, public, tarball,
    },
};

/// What the end of a bundle says: enough to read each of its frames by itself.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    footer: Footer,
    pub(crate) window: Window,
    /// What a checkpoint says besides; none if this is a part of a window of history.
    pub(crate) point: Option<Point>,
    pub(crate) epoch: Epoch,
    pub(crate) nonce: [u8; 16],
    pub(crate) records: u64,
    /// Event root over its lines.
    pub(crate) root: Digest,
    /// What is known of every resource at the end of the window.
    pub(crate) known: Vec<Known>,
    pub(super) index: Index,
    /// What opens its frames; none if they are plain.
    opener: Option<Opener>,
    /// Which part of its window it should be, from 1; none if that is not known.
    pub(crate) part: Option<u32>,
}

/// What the end of a bundle says, if that much of it was read.
pub(crate) enum Peek {
    /// All of it.
    Done(Box<Bundle>),
    /// The index begins earlier: this many bytes of the end are needed.
    Longer(u64),
}

/// Reads the end of a bundle of a kind and of `home` that is `size` bytes long.
///
/// `front` is its beginning: at least [`super::super::decode::FRONT`] bytes, or all of it, if bodies are encrypted.
pub(crate) fn peek(kind: Kind, front: &[u8], tail: &Bytes, size: u64, home: &Home) -> Checked<Peek> {
    let footer = footer_of(kind, tail, size, home)?;
    let end = match End::read(front, tail, size, &footer, home)? {
        End::Done(end) => end,
        End::Longer(needed) => return Ok(Peek::Longer(needed)),
    };
    let public: Public = public::unwrap(&end.public).map_err(|fault| fault.at(footer.body_length))?;
    let index = index_of(&end.index, &end.public, &footer, home, &mut Unpacker::new()?);
    let index = index.map_err(|fault| fault.at(footer.index_offset))?;
    check_index(&index, &footer).map_err(|fault| fault.at(footer.index_offset))?;
    Bundle::of(footer, public, index, end.opener).map(|bundle| Peek::Done(Box::new(bundle)))
}

/// Reads all of a bundle of a kind and of `home`, which should be the `part`th of its window or checkpoint, verifies it, and hands in
/// its lines in order.
pub(crate) fn whole(
    kind: Kind,
    bytes: &Bytes,
    home: impl Into<Home>,
    part: u32,
    mut each: impl FnMut(&Line),
) -> Checked<Bundle> {
    let (home, size) = (home.into(), bytes.len() as u64);
    let footer = footer_of(kind, bytes, size, &home)?;
    let hashed = Digest::of(&bytes[..bytes.len() - footer::LEN]) == footer.body_sha256;
    demand(hashed, Code::BodyHash, "bytes were changed")?;
    let Peek::Done(mut bundle) = peek(kind, bytes, bytes, size, &home)? else {
        return Err(Fault::new(Code::FooterField, "its index lies before its beginning"));
    };
    bundle.part = Some(part);
    let mut unpacker = Unpacker::new()?;
    let mut entries = filter::Entries::default();
    let mut earliest = Earliest::default();
    let mut flags = 0;
    let mut leaves = Leaves::default();
    let mut last: Option<(SortKey, u64)> = None;
    let mut sieved = bundle.point.as_ref().map(Sieved::new);
    for n in 0..bundle.index.frames.len() {
        let entry = &bundle.index.frames[n];
        let place = bundle.place(n);
        let stored = bytes.slice(position(place.start)?..position(place.end)?);
        for line in bundle.frame(n, &stored, &mut unpacker).map_err(|fault| fault.at(entry.offset))? {
            let (key, seq) = (SortKey::of(&line), line.head.seq.0);
            let order = last.as_ref().map_or(Ordering::Less, |(before, last)| (before, *last).cmp(&(&key, seq)));
            check_order(order).map_err(|fault| fault.at(entry.offset))?;
            if let Some(sieved) = &mut sieved {
                sieved.take(&key, &line).map_err(|fault| fault.at(entry.offset))?;
            }
            entries.add(&key);
            earliest.add(&line);
            flags |= flags_of(&line);
            leaves.add(&line);
            last = Some((key, seq));
            each(&line);
        }
    }
    demand(entries.filter() == bundle.index.filter, Code::Index, "the filter is not that of its objects")?;
    let known = flag::GAPS | flag::LATE | flag::BACK_DATED;
    demand(bundle.footer.flags & known == flags, Code::Flags, "the flags differ from the records")?;
    let history = bundle.point.is_none();
    let reach = !history || bundle.window.earliest.holds(earliest);
    demand(reach, Code::Public, "lines reach back farther than it says")?;
    leaves.check()?;
    if history && bundle.records == bundle.window.records() {
        demand(bundle.window.earliest == earliest, Code::Public, "no line reaches back as far as it says")?;
    }
    demand(home.root(leaves.root())? == bundle.root, Code::Root, "the event root does not match the records")?;
    Ok(*bundle)
}

/// Checks how a line stands to the next one.
fn check_order(order: Ordering) -> Checked<()> {
    demand(order != Ordering::Equal, Code::Seq, "a line is there twice")?;
    demand(order == Ordering::Less, Code::Index, "lines are not in order")
}

fn flags_of(line: &Line) -> u32 {
    let set = [
        (flag::GAPS, line.head.op == Some(Op::Gap)),
        (flag::LATE, line.head.lo.is_some()),
        (flag::BACK_DATED, line.head.from.is_some()),
    ];
    set.iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag)
}

fn footer_of(kind: Kind, tail: &[u8], size: u64, home: &Home) -> Checked<Footer> {
    demand(size <= limits::SEGMENT, Code::TooLarge, "it is larger than a bundle may be")?;
    let short = || Fault::new(Code::Truncated, format!("it has {size} bytes, fewer than a footer"));
    let footer = Footer::parse(tail.last_chunk().ok_or_else(short)?, kind)
        .map_err(|fault| fault.at(size - footer::LEN as u64))?;
    footer.check_bundle(kind, size)?;
    home.owns(&footer)?;
    Ok(footer)
}

/// Checks what an index says of frames with keys.
fn check_index(index: &Index, footer: &Footer) -> Checked<()> {
    let filter = index.filter_probes == filter::PROBES
        && !index.filter.is_empty()
        && index.filter_bits == index.filter.len() as u64 * 8;
    demand(filter, Code::Index, "the filter is not as it should be")?;
    let mut last: &[u8] = &[];
    for (n, frame) in index.frames.iter().enumerate() {
        if n == 0 && frame.records == 0 {
            let empty = frame.first_key.is_empty() && frame.last_key.is_empty() && frame.members == 1;
            let zero = [frame.first_seq, frame.last_seq] == [0; 2] && [frame.first_time, frame.last_time] == [0; 2];
            demand(empty && zero, Code::Index, "a frame without lines has keys, seqs or times")?;
            continue;
        }
        demand(frame.records > 0, Code::Index, "a frame has no lines")?;
        let keys = *last <= *frame.first_key && frame.first_key <= frame.last_key;
        demand(keys, Code::Index, "the keys of the frames are not in order")?;
        let seqs = frame.first_seq <= frame.last_seq
            && footer.seqs[0] <= frame.first_seq
            && frame.last_seq <= footer.seqs[1]
            && frame.first_time <= frame.last_time
            && footer.times[0] <= frame.first_time
            && frame.last_time <= footer.times[1];
        demand(seqs, Code::Count, "a frame holds other seqs or times than the footer says")?;
        last = &frame.last_key;
    }
    Ok(())
}

impl Bundle {
    fn of(footer: Footer, public: Public, index: Index, opener: Option<Opener>) -> Checked<Self> {
        let broken = |detail: &str| Fault::new(Code::Public, detail).at(footer.body_length);
        if !public.complete {
            return Err(broken("the resume map of a window is complete"));
        }
        public::check_entries(public.entries.iter().map(|known| &known.entry))?;
        if footer.has(flag::ENCRYPTED) {
            public::check_silent(public.entries.iter().map(|known| &known.entry))?;
        }
        let head = digest(&public.head).ok_or_else(|| broken("the head is no digest"))?;
        let earliest = public.earliest;
        let since = public.entries.iter().filter_map(|known| known.since);
        for instant in [earliest.gap, earliest.lo].into_iter().flatten().chain(since) {
            time(instant.micros(), Code::Public)?;
        }
        let instant = |micros| time(micros, Code::FooterField);
        let window = Window {
            level: footer.level,
            slots: footer.slots,
            seqs: SeqRange::new(Seq(footer.seqs[0]), Seq(footer.seqs[1])),
            times: [instant(footer.times[0])?, instant(footer.times[1])?],
            prev: footer.prev,
            head,
            earliest,
        };
        let point = public.checkpoint;
        if Point::kind(point.as_ref()).number() != footer.kind {
            return Err(broken("only a checkpoint says what a checkpoint says"));
        }
        if let Some(point) = &point {
            point.check(&window, Code::Public).map_err(|fault| fault.at(footer.body_length))?;
            if earliest != Earliest::default() {
                return Err(broken("a checkpoint does not reach back"));
            }
        }
        let (epoch, nonce, records, root) = (Epoch(footer.epoch), footer.nonce, footer.records, footer.root);
        let known = public.entries;
        Ok(Self { footer, window, point, epoch, nonce, records, root, known, index, opener, part: None })
    }

    /// Returns the head of a log that ends with the window.
    pub(crate) fn head(&self) -> Head {
        let Window { slots, seqs, times, head, .. } = &self.window;
        Head { segment: slots[1], epoch: self.epoch, nonce: self.nonce, seq: seqs.last, t: times[1], digest: *head }
    }

    /// Returns how many frames it has.
    pub(crate) fn frames(&self) -> usize {
        self.index.frames.len()
    }

    /// Returns where the `n`th frame lies.
    pub(crate) fn place(&self, n: usize) -> std::ops::Range<u64> {
        let content = self.content(n);
        self.opener.as_ref().map_or(content.clone(), |opener| opener.stored(content))
    }

    /// Returns where the `n`th frame lies in the content of the body.
    fn content(&self, n: usize) -> std::ops::Range<u64> {
        let entry = &self.index.frames[n];
        entry.offset..entry.offset + u64::from(entry.length)
    }

    /// Tells whether the `n`th frame holds lines without a key.
    pub(crate) fn is_keyless(&self, n: usize) -> bool {
        let entry = &self.index.frames[n];
        entry.records > 0 && entry.first_key.is_empty()
    }

    /// Tells whether it may hold lines of an object: namespace, name, group and kind, joined by U+0000.
    pub(crate) fn may_hold(&self, object: &[u8]) -> bool {
        filter::may_hold_object(&self.index.filter, object)
    }

    /// Tells whether the `n`th frame may hold lines with seqs of a range.
    pub(crate) fn touches(&self, n: usize, range: SeqRange) -> bool {
        let entry = &self.index.frames[n];
        entry.records > 0 && entry.first_seq <= range.last.0 && range.first.0 <= entry.last_seq
    }

    /// Tells whether the `n`th frame holds nothing later than this seq, and this seq.
    pub(crate) fn ends_with(&self, n: usize, seq: Seq) -> bool {
        self.index.frames[n].last_seq == seq.0
    }

    /// Reads the `n`th frame and compares it with what the index says.
    pub(crate) fn frame(&self, n: usize, stored: &[u8], unpacker: &mut Unpacker) -> Checked<Vec<Line>> {
        let entry = &self.index.frames[n];
        let opened = self.opener.as_ref().map(|opener| opener.open(self.content(n), stored)).transpose()?;
        let stored = opened.as_deref().unwrap_or(stored);
        demand(Digest::of(stored).0 == entry.sha256, Code::FrameHash, "the frame was changed")?;
        let content = Bytes::from(unpacker.unpack(stored, u64::from(entry.content))?);
        demand(!content.is_empty(), Code::Tar, "the frame holds no member")?;
        let before: u64 = self.index.frames[..n].iter().map(|frame| u64::from(frame.members)).sum();
        // The first member is meta.json, so that members of lines count from 1.
        let mut number = before;
        let (mut at, mut members) = (0, 0);
        let mut all: Vec<Line> = Vec::new();
        while at < content.len() {
            let member = tarball::member(&content, at)?;
            if number == 0 {
                demand(member.name == meta::NAME, Code::Tar, "the first member is not meta.json")?;
                let own = Meta::check(&content[member.content.clone()], &self.footer, self.window.head)?;
                let expected = self.part.is_none_or(|part| part == own.part);
                demand(expected, Code::Meta, "it is another part than the manifest says")?;
            } else {
                self.member(&content, &member, number, &mut all)?;
            }
            number += 1;
            members += 1;
            at = member.end;
        }
        self.compare(entry, members, &all)?;
        Ok(all)
    }

    fn member(&self, content: &Bytes, member: &tarball::Member, number: u64, all: &mut Vec<Line>) -> Checked<()> {
        demand(!member.content.is_empty(), Code::Tar, "a member is empty")?;
        let mut first: Option<SortKey> = None;
        for line in lines(content, member)? {
            let line = line?;
            let key = SortKey::of(&line);
            let range = self.window.seqs.contains(line.head.seq);
            demand(range, Code::Seq, "a seq is none of the window")?;
            let [from, to] = self.window.times;
            demand(from <= line.head.t && line.head.t <= to, Code::Time, "a time lies outside of the window")?;
            match &first {
                Some(first) => demand(first.shares_member(&key), Code::Tar, "a member holds several homes")?,
                None => {
                    demand(member.name == key.member_name(number), Code::Tar, "a member has another name")?;
                    first = Some(key);
                }
            }
            all.push(line);
        }
        Ok(())
    }

    /// Compares the lines of a frame with what the index says.
    fn compare(&self, entry: &FrameEntry, members: u32, lines: &[Line]) -> Checked<()> {
        let ends = |line: &Line| (line.head.seq.0, line.head.t.micros());
        let first = lines.iter().map(ends).min().unwrap_or_default();
        let last = lines.iter().map(ends).max().unwrap_or_default();
        let key = |line: Option<&Line>| line.map(SortKey::of).unwrap_or_default();
        let same = members == entry.members
            && lines.len() as u64 == u64::from(entry.records)
            && [first.0, last.0] == [entry.first_seq, entry.last_seq]
            && [first.1, last.1] == [entry.first_time, entry.last_time]
            && key(lines.first()).text() == entry.first_key
            && key(lines.last()).text() == entry.last_key;
        demand(same, Code::Count, "the frame holds something else than the index says")
    }
}
