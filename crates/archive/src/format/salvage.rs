//! Which records of a damaged segment are provably intact.
//!
//! Does not: repair, or hand the records out.

use bytes::Bytes;
use vmrewind_model::{Digest, Seq};
use zstd::zstd_safe::find_frame_compressed_size;

use super::{
    Code, SeqRange, decode,
    fault::Fault,
    footer::Footer,
    frame::{FrameHeader, Unpacker},
    limits, tarball,
};

/// Adds to `fault` which frames still match the index, if the index itself is intact, and which does not.
pub(super) fn by_index(bytes: &Bytes, footer: &Footer, mut fault: Fault) -> Fault {
    let Ok(mut unpacker) = Unpacker::new() else { return fault };
    let Ok(index) = decode::index(bytes, footer, &mut unpacker) else {
        return without_footer(bytes, fault);
    };
    for frame in &index.frames {
        let stored = usize::try_from(frame.offset).ok().and_then(|at| bytes.get(at..at + frame.length as usize));
        if stored.is_some_and(|stored| Digest::of(stored).0 == frame.sha256) {
            if frame.records > 0 && fault.code == Code::BodyHash {
                add(&mut fault.readable, SeqRange::new(Seq(frame.first_seq), Seq(frame.last_seq)));
            }
        } else if fault.offset.is_none() {
            fault.offset = Some(frame.offset);
        }
    }
    fault
}

/// Adds to `fault` what complete frames at the beginning hold: each carries a checksum of its own.
pub(super) fn without_footer(bytes: &Bytes, mut fault: Fault) -> Fault {
    let Ok(mut unpacker) = Unpacker::new() else { return fault };
    let mut at = 0;
    let mut total = 0;
    while let Some(records) = next_frame(bytes, &mut at, &mut total, &mut unpacker) {
        for seq in records {
            add(&mut fault.readable, SeqRange::new(seq, seq));
        }
    }
    fault
}

/// Reads the frame at `at` and moves on behind it; returns the seqs of its lines. None if it is broken.
fn next_frame(bytes: &Bytes, at: &mut usize, total: &mut u64, unpacker: &mut Unpacker) -> Option<Vec<Seq>> {
    let rest = bytes.get(*at..)?;
    let header = FrameHeader::parse(rest).ok()?;
    *total = total.saturating_add(header.content);
    if header.content > limits::FRAME || *total > limits::CONTENT {
        return None;
    }
    let length = find_frame_compressed_size(rest).ok()?;
    let frame = Bytes::from(unpacker.unpack(rest.get(..length)?, header.content).ok()?);
    let mut seqs = Vec::new();
    let mut member_at = 0;
    while member_at < frame.len() {
        let Ok(member) = tarball::member(&frame, member_at) else { break };
        member_at = member.end;
        if !member.name.starts_with("events") {
            continue;
        }
        let Ok(lines) = decode::lines(&frame, &member) else { break };
        seqs.extend(lines.map_while(Result::ok).map(|line| line.head.seq));
    }
    *at += length;
    Some(seqs)
}

/// Adds a range, joined with the last one if it goes on from it.
fn add(ranges: &mut Vec<SeqRange>, range: SeqRange) {
    match ranges.last_mut() {
        Some(last) if last.last.0.checked_add(1) == Some(range.first.0) => last.last = range.last,
        _ => ranges.push(range),
    }
}
