//! The bytes of a segment to records, each step verified before the next.
//!
//! Does not: go on after a fault; `salvage.rs` finds what is still readable.

use bytes::Bytes;
use uuid::Uuid;
use vmrewind_model::{Digest, Op};

use super::{
    Code, ResumeMap, Segment, SegmentSummary,
    age::Opener,
    encode::{INDEX_NAME, lines_name},
    fault::{Checked, Fault, demand},
    footer::{self, Footer, Kind, flag},
    frame::Unpacker,
    home::Home,
    index::{self, FrameEntry, Index},
    limits,
    line::{self, Line},
    meta::{self, Meta},
    public,
    root::Tree,
    salvage, tarball,
};

/// In every so-many-th slot the resume map is complete.
const COMPLETE_EVERY: u64 = 64;

/// Reads and verifies the segment that should stand in `slot` of `archive`.
pub(crate) fn decode(bytes: &Bytes, home: impl Into<Home>, slot: u64) -> Checked<Segment> {
    let home = home.into();
    let footer = footer(bytes, bytes.len() as u64)?;
    belongs(&footer, &home, slot)?;
    parts(bytes, &footer, &home)
}

/// A segment that cannot be read in full.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// What is wrong, with the records that are still readable.
    pub(crate) fault: Fault,
    /// What is left of it; none if it is not even known what it was.
    pub(crate) salvaged: Option<Segment>,
}

/// As [`decode`], and finds out what is left of a segment that is damaged.
pub(crate) fn decode_or_salvage(bytes: &Bytes, home: impl Into<Home>, slot: u64) -> Result<Segment, Box<Broken>> {
    let home = home.into();
    decode(bytes, home.clone(), slot).map_err(|mut fault| {
        let salvaged = salvage::salvage(bytes, &home, slot);
        if let Some(salvaged) = &salvaged {
            fault.readable = salvage::ranges(&salvaged.lines);
        }
        if fault.code == Code::BodyHash {
            fault.offset = fault.offset.or_else(|| first_changed(bytes, &home));
        }
        Box::new(Broken { fault, salvaged })
    })
}

/// Finds the first frame that is not as the index says, if the index can be read.
fn first_changed(bytes: &Bytes, home: &Home) -> Option<u64> {
    let footer = footer(bytes, bytes.len() as u64).ok().filter(|_| !home.is_sealed())?;
    let index = index(bytes, bytes, &footer, home, &mut Unpacker::new().ok()?).ok();
    let Some(index) = index else { return Some(footer.index_offset) };
    let changed = |entry: &&FrameEntry| {
        let start = usize::try_from(entry.offset).ok();
        let stored = start.and_then(|start| bytes.get(start..start + entry.length as usize));
        stored.is_none_or(|stored| Digest::of(stored).0 != entry.sha256)
    };
    // If every frame is intact, it is the resume map that was changed.
    Some(index.frames.iter().find(changed).map_or(footer.body_length, |entry| entry.offset))
}

/// What the end of a segment says.
pub(crate) enum Peek {
    /// All of it.
    Done(Box<(SegmentSummary, ResumeMap)>),
    /// The resume map begins earlier: this many bytes of the end are needed.
    Longer(u64),
}

/// Reads the end of the segment that should stand in `slot` of `archive` and is `size` bytes long.
pub(crate) fn peek(tail: &Bytes, size: u64, home: impl Into<Home>, slot: u64) -> Checked<Peek> {
    let footer = footer(tail, size)?;
    belongs(&footer, &home.into(), slot)?;
    let needed = size - footer.body_length;
    let Some(from) = (tail.len() as u64).checked_sub(needed) else { return Ok(Peek::Longer(needed)) };
    let from = position(from)?;
    let resume = public::decode(&tail.slice(from..tail.len() - footer::LEN))?;
    check_complete(&footer, &resume)?;
    Ok(Peek::Done(Box::new((SegmentSummary::of(&footer, size), resume))))
}

/// Reads the end of a segment of which all bytes are there. In an encrypted archive all of it is read and verified: its end alone
/// could be anybody's.
pub(crate) fn end_of(bytes: &Bytes, home: Home, slot: u64) -> Checked<(SegmentSummary, ResumeMap)> {
    if home.is_sealed() {
        return decode(bytes, home, slot).map(|segment| (segment.summary, segment.resume));
    }
    match peek(bytes, bytes.len() as u64, home, slot)? {
        Peek::Done(end) => Ok(*end),
        Peek::Longer(_) => Err(Fault::new(Code::FooterField, "its resume map lies before its beginning")),
    }
}

/// Tells whether all bytes of an object are other ones than its footer was made for.
pub(crate) fn was_changed(object: &[u8], kind: Kind) -> bool {
    let footer = object.last_chunk().and_then(|end| Footer::parse(end, kind).ok());
    footer.is_none_or(|footer| Digest::of(&object[..object.len() - footer::LEN]) != footer.body_sha256)
}

/// The end of an object from the index on, if that much of it was read.
pub(super) enum End {
    Done(Ended),
    /// This many bytes of the end are needed.
    Longer(u64),
}

/// The end of an object from the index on.
pub(super) struct Ended {
    /// The index frame.
    pub(super) index: Bytes,
    /// The public frame.
    pub(super) public: Bytes,
    /// What opens the body; none if it is plain.
    pub(super) opener: Option<Opener>,
}

impl End {
    /// Takes the index frame and the public frame out of the end of an object; `front` is its beginning, if it is encrypted.
    pub(super) fn read(front: &[u8], tail: &Bytes, size: u64, footer: &Footer, home: &Home) -> Checked<Self> {
        let opener = home.opener(front, footer)?;
        let index = footer.index_offset..footer.content();
        let place = opener.as_ref().map_or(index.clone(), |opener| opener.stored(index.clone()));
        let needed = size - place.start;
        let Some(from) = (tail.len() as u64).checked_sub(needed) else { return Ok(Self::Longer(needed)) };
        let from = position(from)?;
        let body = position(tail.len() as u64 - (size - footer.body_length))?;
        let public = tail.slice(body..tail.len() - footer::LEN);
        let index = match &opener {
            None => tail.slice(from..body),
            Some(opener) => opener.open(index, &tail[from..body])?.into(),
        };
        Ok(Self::Done(Ended { index, public, opener }))
    }
}

/// How much of the beginning of an encrypted object is needed to read the rest: its age header and the nonce.
pub(crate) const FRONT: u64 = limits::AGE_HEADER as u64 + 16;

/// As [`peek`], and reads the index, which stands before the resume map, and in an encrypted archive vouches for it. `front` is
/// the beginning of an encrypted segment: at least [`FRONT`] bytes, or all of it.
pub(crate) fn peek_index(front: &[u8], tail: &Bytes, size: u64, home: &Home, slot: u64) -> Checked<Peek> {
    let footer = footer(tail, size)?;
    belongs(&footer, home, slot)?;
    let end = match End::read(front, tail, size, &footer, home)? {
        End::Done(end) => end,
        End::Longer(needed) => return Ok(Peek::Longer(needed)),
    };
    let resume = public::decode(&end.public).map_err(|fault| fault.at(footer.body_length))?;
    let index = index_of(&end.index, &end.public, &footer, home, &mut Unpacker::new()?);
    index.map_err(|fault| fault.at(footer.index_offset))?;
    check_complete(&footer, &resume)?;
    Ok(Peek::Done(Box::new((SegmentSummary::of(&footer, size), resume))))
}

/// Returns which archive an object of `size` bytes with this end says that it belongs to.
pub(crate) fn archive_of(tail: &[u8], size: u64) -> Option<Uuid> {
    footer(tail, size).ok().map(|footer| footer.archive)
}

/// Reads the footer at the end of `bytes`, which are the end of an object of `size` bytes.
pub(super) fn footer(bytes: &[u8], size: u64) -> Checked<Footer> {
    demand(size <= limits::SEGMENT, Code::TooLarge, "it is larger than a segment may be")?;
    let short = || Fault::new(Code::Truncated, format!("it has {size} bytes, fewer than a footer"));
    let footer = Footer::parse(bytes.last_chunk().ok_or_else(short)?, Kind::Log)
        .map_err(|fault| fault.at(size - footer::LEN as u64))?;
    footer.check_segment(size)?;
    Ok(footer)
}

pub(super) fn belongs(footer: &Footer, home: &Home, slot: u64) -> Checked<()> {
    home.owns(footer)?;
    let name = format!("it is segment {}", footer.slots[0]);
    demand(footer.slots[0] == slot, Code::Name, &name)
}

fn check_complete(footer: &Footer, resume: &ResumeMap) -> Checked<()> {
    let due = footer.slots[0].is_multiple_of(COMPLETE_EVERY);
    demand(!due || resume.complete, Code::Public, "the resume map of this slot is not complete")?;
    if footer.has(flag::ENCRYPTED) {
        public::check_silent(resume.entries.iter())?;
    }
    demand(footer.has(flag::COMPLETE) == resume.complete, Code::Flags, "the flag for a complete resume map is wrong")
}

/// Reads everything before the footer.
fn parts(bytes: &Bytes, footer: &Footer, home: &Home) -> Checked<Segment> {
    let end = bytes.len() - footer::LEN;
    demand(Digest::of(&bytes[..end]) == footer.body_sha256, Code::BodyHash, "bytes were changed")?;
    let public = position(footer.body_length)?;
    let resume = public::decode(&bytes.slice(public..end)).map_err(|fault| fault.at(footer.body_length))?;
    let body = home.body(bytes, footer)?;
    let mut unpacker = Unpacker::new()?;
    let index = index(&body, bytes, footer, home, &mut unpacker).map_err(|fault| fault.at(footer.index_offset))?;
    let mut content = Content::new(footer);
    for entry in &index.frames {
        content.frame(&body, entry, &mut unpacker).map_err(|fault| fault.at(entry.offset))?;
    }
    let (lines, software) = content.finish(footer, home)?;
    check_complete(footer, &resume)?;
    Ok(Segment {
        summary: SegmentSummary::of(footer, bytes.len() as u64),
        digest: Digest::of(bytes),
        resume,
        software,
        lines,
    })
}

/// Reads the index frame in the content of a body, and checks that it fits the footer.
pub(super) fn index(
    body: &Bytes,
    object: &Bytes,
    footer: &Footer,
    home: &Home,
    unpacker: &mut Unpacker,
) -> Checked<Index> {
    let frame = &body[position(footer.index_offset)?..position(footer.content())?];
    let public = &object[position(footer.body_length)?..object.len() - footer::LEN];
    index_of(frame, public, footer, home, unpacker)
}

/// As [`index`], from the index frame and the public frame alone.
pub(super) fn index_of(
    frame: &[u8],
    public: &[u8],
    footer: &Footer,
    home: &Home,
    unpacker: &mut Unpacker,
) -> Checked<Index> {
    let hash = home.index_hash(footer, public, frame)?;
    demand(hash == footer.index_sha256, Code::IndexHash, "the index was changed")?;
    let size = u64::from(footer.index_content);
    demand(size <= limits::INDEX, Code::Limit, "the index is too large")?;
    let content = unpacker.unpack(frame, size)?;
    let member = tarball::member(&content, 0)?;
    let alone = member.name == INDEX_NAME && content[member.end..] == tarball::END;
    demand(alone, Code::Tar, "the index frame holds something else than the index")?;
    let index = index::decode(&content[member.content])?;
    if footer.kind == Kind::Log.number() {
        let plain = index.filter.is_empty() && index.filter_bits == 0 && index.filter_probes == 0;
        let keyless = index.frames.iter().all(|frame| frame.first_key.is_empty() && frame.last_key.is_empty());
        demand(plain && keyless, Code::Index, "a log segment has neither filter nor keys")?;
    }
    let mut offset = 0;
    let (mut members, mut records, mut total) = (0, 0, 0);
    for frame in &index.frames {
        demand(frame.offset == offset && frame.length > 0, Code::Index, "frames overlap or leave holes")?;
        offset += u64::from(frame.length);
        members += u64::from(frame.members);
        records += u64::from(frame.records);
        total += u64::from(frame.content);
    }
    demand(offset == footer.index_offset, Code::Index, "the frames do not end where the index begins")?;
    let totals = [members, records, index.members, index.records];
    let said = [footer.members, footer.records, footer.members, footer.records];
    demand(totals == said, Code::Count, "index and footer count differently")?;
    let small = index.frames.iter().all(|frame| u64::from(frame.content) <= limits::FRAME);
    let most = if footer.kind == Kind::Log.number() { limits::CONTENT } else { limits::HISTORY_CONTENT };
    demand(small && total <= most, Code::Limit, "it holds too much")?;
    Ok(index)
}

/// Most members of lines: their names have four digits.
const MEMBERS: usize = 10_000;

/// What was read of a segment so far.
struct Content<'a> {
    footer: &'a Footer,
    /// How many members of lines there were, and whether the lines were cut into several.
    members: usize,
    cut: bool,
    software: Option<String>,
    lines: Vec<Line>,
    tree: Tree,
}

impl<'a> Content<'a> {
    fn new(footer: &'a Footer) -> Self {
        Self { footer, members: 0, cut: false, software: None, lines: Vec::new(), tree: Tree::default() }
    }

    /// Reads a frame and compares it with what the index says.
    fn frame(&mut self, bytes: &Bytes, entry: &FrameEntry, unpacker: &mut Unpacker) -> Checked<()> {
        let start = position(entry.offset)?;
        let stored = &bytes[start..start + entry.length as usize];
        demand(Digest::of(stored).0 == entry.sha256, Code::FrameHash, "the frame was changed")?;
        let content = Bytes::from(unpacker.unpack(stored, u64::from(entry.content))?);
        demand(!content.is_empty(), Code::Tar, "the frame holds no member")?;
        let before = self.lines.len();
        let (mut at, mut members) = (0, 0);
        while at < content.len() {
            let member = tarball::member(&content, at)?;
            self.member(&content, &member)?;
            at = member.end;
            members += 1;
        }
        let lines = &self.lines[before..];
        let (seqs, times) = match (lines.first(), lines.last()) {
            (Some(first), Some(last)) => {
                ([first.head.seq.0, last.head.seq.0], [first.head.t.micros(), last.head.t.micros()])
            }
            _ => ([0; 2], [0; 2]),
        };
        let same = members == entry.members
            && lines.len() as u64 == u64::from(entry.records)
            && seqs == [entry.first_seq, entry.last_seq]
            && times == [entry.first_time, entry.last_time];
        demand(same, Code::Count, "the frame holds something else than the index says")
    }

    fn member(&mut self, frame: &Bytes, member: &tarball::Member) -> Checked<()> {
        if self.software.is_none() {
            demand(member.name == meta::NAME, Code::Tar, "the first member is not meta.json")?;
            self.software = Some(Meta::check(&frame[member.content.clone()], self.footer)?);
            return Ok(());
        }
        let n = self.members;
        self.cut |= n == 0 && member.name != lines_name(0, 1);
        let named = if self.cut { n < MEMBERS && member.name == lines_name(n, 2) } else { n == 0 };
        demand(named, Code::Tar, "a member is none that belongs there")?;
        demand(!member.content.is_empty(), Code::Tar, "a member is empty")?;
        self.members += 1;
        for line in lines(frame, member)? {
            let line = line?;
            let seq = self.footer.seqs[0] + self.lines.len() as u64;
            demand(line.head.seq.0 == seq, Code::Seq, "a seq does not follow the one before")?;
            let later = self.lines.last().is_none_or(|last| last.head.t < line.head.t);
            demand(later, Code::Time, "a time is not after the one before")?;
            demand(seq <= self.footer.seqs[1], Code::Count, "there are more records than the footer says")?;
            self.tree.push(line.leaf);
            self.lines.push(line);
        }
        Ok(())
    }

    /// Compares all that was read with the footer.
    fn finish(self, footer: &Footer, home: &Home) -> Checked<(Vec<Line>, String)> {
        let lines = self.lines;
        demand(!self.cut || self.members > 1, Code::Tar, "lines that were not cut are named as if they were")?;
        demand(lines.len() as u64 == footer.records, Code::Count, "there are fewer records than the footer says")?;
        if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
            let times = [first.head.t.micros(), last.head.t.micros()];
            demand(times == footer.times, Code::Time, "the footer has other times than the records")?;
        }
        let has = |test: fn(&Line) -> bool| lines.iter().any(test);
        let flags = [
            (flag::GAPS, has(|line| line.head.op == Some(Op::Gap))),
            (flag::LATE, has(|line| line.head.lo.is_some())),
            (flag::BACK_DATED, has(|line| line.head.from.is_some())),
        ];
        let same = flags.iter().all(|&(flag, set)| footer.has(flag) == set);
        demand(same, Code::Flags, "the flags differ from the records")?;
        demand(home.root(self.tree.root())? == footer.root, Code::Root, "the event root does not match the records")?;
        let software = self.software.ok_or_else(|| Fault::new(Code::Tar, "there is no meta.json"))?;
        Ok((lines, software))
    }
}

/// Reads the lines of a member one by one.
pub(super) fn lines<'a>(
    frame: &'a Bytes,
    member: &tarball::Member,
) -> Checked<impl Iterator<Item = Checked<Line>> + 'a> {
    let start = member.content.start;
    let text = std::str::from_utf8(&frame[member.content.clone()])
        .map_err(|_| Fault::new(Code::Line, "the lines are not UTF-8"))?;
    demand(text.ends_with('\n'), Code::Line, "the last line is cut")?;
    let mut at = 0;
    Ok(std::iter::from_fn(move || {
        let rest = &text[at..];
        let end = rest.find('\n')?;
        let line = line::parse(frame, start + at, &rest[..end]);
        at += end + 1;
        Some(line)
    }))
}

/// Turns an offset that was checked against the size of the object into a position in memory.
pub(super) fn position(offset: u64) -> Checked<usize> {
    usize::try_from(offset).map_err(|_| Fault::new(Code::TooLarge, "it does not fit into memory"))
}
