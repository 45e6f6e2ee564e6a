//! Looks at one slot: at its end, or at all of it.
//!
//! Does not: compare it with others.

use bytes::Bytes;
use vmrewind_model::{ObjectKey, Rv, Seq};

use crate::{
    Archive, ArchiveError, Damage, ResumeMap, Segment, SegmentSummary,
    format::{
        Code,
        decode::{self, Broken, Peek},
        fault::{Checked, Fault},
        home::Home,
    },
    paths, read,
    store::LARGEST,
};

/// How much of the end of a segment is read at once: footer, index and a complete resume map of usual size.
const END: u64 = 16 * 1024;

/// Most objects of one segment that are told to be wrong one by one.
pub(super) const MOST: usize = 20;

/// What was seen.
pub(super) enum Seen {
    /// The end, which is as it was written.
    End(Box<(SegmentSummary, ResumeMap)>),
    /// All of it, as it was written, and what was found out about its objects if that was asked for.
    Whole(Box<Segment>, Option<Objects>),
    /// It is damaged or not there. What its own end tells, if anything; and what may be used of it.
    Damaged(Box<Damage>, Option<SegmentSummary>, Option<Box<Segment>>),
}

/// What is in the objects of a segment.
pub(super) struct Objects {
    /// The version inside of the object of each line, in order; none if there is no object, or if it is wrong.
    pub(super) versions: Vec<Option<Rv>>,
    /// Those that are wrong, at most [`MOST`].
    pub(super) wrong: Vec<Wrong>,
    /// How many there are, and how many of them are wrong.
    pub(super) counts: (u64, u64),
}

/// An object that is not as it should be.
pub(super) struct Wrong {
    pub(super) seq: Seq,
    pub(super) key: Option<ObjectKey>,
    pub(super) fault: Fault,
}

/// A slot that was looked at, and how many bytes that took.
pub(super) struct Look {
    pub(super) slot: u64,
    pub(super) whole: bool,
    pub(super) read: u64,
    pub(super) seen: Seen,
}

/// Reads the end of what lies in `slot` and has `size` bytes. If something is wrong with it, reads all of it, to say what
/// is wrong in the words of one who reads all of it, and what is left.
pub(super) async fn end(archive: &Archive, slot: u64, size: u64) -> Result<Look, ArchiveError> {
    let name = paths::segment(slot);
    let (mut length, mut read) = (END.min(size), 0);
    let front = if archive.home().is_sealed() { size.min(decode::FRONT) } else { 0 };
    let front = if front == 0 { Some(Bytes::new()) } else { archive.store.range_if_there(&name, 0..front).await? };
    let Some(front) = front else { return Ok(Look { slot, whole: false, read, seen: missing(slot) }) };
    read += front.len() as u64;
    loop {
        let tail = if size == 0 {
            Some(Bytes::new())
        } else {
            archive.store.range_if_there(&name, size - length..size).await?
        };
        let Some(tail) = tail else { return Ok(Look { slot, whole: false, read, seen: missing(slot) }) };
        read += length;
        match decode::peek_index(&front, &tail, size, &archive.home(), slot) {
            Ok(Peek::Done(end)) => return Ok(Look { slot, whole: false, read, seen: Seen::End(end) }),
            Ok(Peek::Longer(longer)) if longer > length => length = longer,
            Ok(Peek::Longer(_)) => {
                return Err(ArchiveError::Bug(format!("the end of segment {slot} has no beginning")));
            }
            Err(_) => break,
        }
    }
    let look = all(archive, slot, false).await?;
    Ok(Look { read: read + look.read, ..look })
}

/// Reads all of what lies in `slot`, and its objects one by one if `deep`.
pub(super) async fn all(archive: &Archive, slot: u64, deep: bool) -> Result<Look, ArchiveError> {
    let Some(bytes) = archive.store.get(&paths::segment(slot), LARGEST).await? else {
        return Ok(Look { slot, whole: true, read: 0, seen: missing(slot) });
    };
    let (home, read) = (archive.home(), bytes.len() as u64);
    let seen = archive.cpu.run(move || judge(&bytes, &home, slot, deep)).await?;
    Ok(Look { slot, whole: true, read, seen })
}

/// What lies in `slot` is not there.
pub(super) fn missing(slot: u64) -> Seen {
    let fault = Fault::new(Code::Missing, "it is not there");
    Seen::Damaged(Box::new(read::damaged(slot, fault)), None, None)
}

fn judge(bytes: &Bytes, home: &Home, slot: u64, deep: bool) -> Seen {
    match decode::decode_or_salvage(bytes, home.clone(), slot) {
        Ok(segment) => {
            let objects = deep.then(|| objects(&segment));
            Seen::Whole(Box::new(segment), objects)
        }
        Err(broken) => {
            let Broken { fault, salvaged } = *broken;
            // In an encrypted archive nothing vouches for an end whose index is not right.
            let own = match decode::peek(bytes, bytes.len() as u64, home.clone(), slot) {
                Ok(Peek::Done(end)) if !home.is_sealed() => Some(end.0),
                Ok(_) | Err(_) => None,
            };
            let own = salvaged.as_ref().map(|left| left.summary.clone()).or(own);
            let mut damage = read::damaged(slot, fault);
            if let Some(own) = &own {
                damage = damage.with_summary(own);
            }
            Seen::Damaged(Box::new(damage), own, salvaged.map(Box::new))
        }
    }
}

fn objects(segment: &Segment) -> Objects {
    let mut found = Objects { versions: Vec::with_capacity(segment.lines.len()), wrong: Vec::new(), counts: (0, 0) };
    for (line, object) in segment.objects() {
        found.counts.0 += u64::from(line.object.is_some());
        found.versions.push(object.as_ref().ok().copied().flatten());
        if let Checked::Err(fault) = object {
            found.counts.1 += 1;
            if found.wrong.len() < MOST {
                let key = line.head.key.as_ref().map(|key| key.object.clone());
                found.wrong.push(Wrong { seq: line.head.seq, key, fault });
            }
        }
    }
    found
}
