//! Reads lines.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use vmrewind_model::{Digest, Era, Gap, Op, RecordKey, Rv, Seq};

use super::{
    super::{
        Code,
        fault::{Checked, Fault, demand, time},
        limits, root,
        strict::{self, Form},
    },
    Line, LineHead, OBJECT,
};

/// The members of a head, as they stand there. Members that are not known are passed over.
#[derive(Deserialize)]
struct Members<'a> {
    seq: u64,
    t: i64,
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    k: Option<RecordKey>,
    #[serde(default, deserialize_with = "present")]
    era: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    lo: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    i: Option<u8>,
    #[serde(default, deserialize_with = "present")]
    from: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    rv: Option<Rv>,
    #[serde(default, deserialize_with = "present")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "present")]
    gap: Option<Gap>,
    #[serde(default, deserialize_with = "present")]
    skip: Option<u8>,
}

/// Reads a member that is there: null is none.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(member: D) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}

/// Reads one line, without its line feed. `frame` holds it, at `start`; the object's bytes are a slice of it.
pub(crate) fn parse(frame: &Bytes, start: usize, line: &str) -> Checked<Line> {
    demand(line.len() <= limits::OBJECT + limits::HEAD + 8, Code::Limit, "a line is too long")?;
    let broken = |detail: &str| Fault::new(Code::Line, detail);
    demand(line.starts_with('{') && line.ends_with('}'), Code::Line, "a line is not one JSON object")?;
    let (head, object) = match line.find(OBJECT) {
        None => (line, None),
        Some(at) => (&line[..at], Some(at + OBJECT.len()..line.len() - 1)),
    };
    demand(head.len() <= limits::HEAD, Code::Limit, "the head of a line is too long")?;
    let members = match object {
        None => members(head)?,
        Some(_) => {
            let mut closed = String::with_capacity(head.len() + 1);
            closed.push_str(head);
            closed.push('}');
            members(&closed)?
        }
    };
    let object = match object {
        None => None,
        Some(range) if range.start >= range.end => return Err(broken("the object of a line is empty")),
        Some(range) => {
            demand(range.len() <= limits::OBJECT, Code::Limit, "an object is too large")?;
            let body = frame.slice(start + range.start..start + range.end);
            demand(body.starts_with(b"{") && body.ends_with(b"}"), Code::Line, "the object of a line is none")?;
            Some(body)
        }
    };
    shape(&members, object.is_some())?;
    let content_id = object.as_deref().map(Digest::of);
    let text = frame.slice(start..start + line.len());
    Ok(Line { leaf: root::leaf(head.as_bytes(), content_id.as_ref()), head: members, object, text })
}

/// Reads the members of a head and checks each by itself.
fn members(head: &str) -> Checked<LineHead> {
    demand(strict::is_object(head, Form::Compact), Code::Line, "the head of a line is not written as it should be")?;
    let members: Members<'_> = serde_json::from_str(head).map_err(|error| {
        Fault::new(Code::Line, format!("the head of a line is not as it should be, column {}", error.column()))
    })?;
    demand((1..=limits::NUMBER).contains(&members.seq), Code::Seq, "a seq is out of range")?;
    let known = Op::ALL.into_iter().find(|op| members.op.chars().eq([op.letter()]));
    let letter = matches!(members.op.as_bytes(), [b'A'..=b'Z']);
    demand(letter && matches!(members.skip, None | Some(1)), Code::Line, "an op is no letter, or skip is not 1")?;
    demand(known.is_some() || members.skip == Some(1), Code::Op, "an op is not known")?;
    demand(!matches!(members.era, Some(0 | 1)), Code::Line, "era is not a number from 2")?;
    demand(matches!(members.i, None | Some(1)), Code::Line, "i is not 1")?;
    let head = LineHead {
        seq: Seq(members.seq),
        t: time(members.t, Code::Time)?,
        op: known,
        key: members.k,
        era: Era(members.era.unwrap_or(1)),
        lo: members.lo.map(|lo| time(lo, Code::Time)).transpose()?,
        inferred: members.i.is_some(),
        from: members.from.map(Seq),
        rv: members.rv,
        reason: members.reason,
        gap: members.gap,
    };
    demand(head.lo.is_none_or(|lo| lo < head.t), Code::Time, "lo is not before t")?;
    demand(head.from.is_none_or(|from| from.0 > 0 && from < head.seq), Code::Seq, "from is not before seq")?;
    if let Some(gap) = &head.gap {
        gap_shape(gap, head.seq)?;
    }
    Ok(head)
}

/// Checks that the members are those that the op has.
fn shape(head: &LineHead, object: bool) -> Checked<()> {
    if let Some(key) = &head.key {
        let object = &key.object;
        let parts = [&key.home, &object.namespace, &object.name, &object.group, &object.kind, &key.uid];
        demand(parts.iter().map(|part| part.len()).sum::<usize>() <= limits::KEY, Code::Limit, "a key is too long")?;
        demand(!object.name.is_empty() && !object.kind.is_empty(), Code::Line, "a key lacks name or kind")?;
        demand(!parts.iter().any(|part| part.contains('\0')), Code::Line, "a key holds U+0000")?;
    }
    let Some(op) = head.op else { return Ok(()) };
    let (objects, versions): (&[bool], &[bool]) = match op {
        Op::Added | Op::Modified | Op::Seen => (&[true], &[false]),
        Op::Deleted => (&[true, false], if object { &[false] } else { &[true, false] }),
        Op::Withheld => (&[false], &[true]),
        Op::Unobserved | Op::Absent | Op::Gap | Op::Heartbeat => (&[false], &[false]),
    };
    let fits = objects.contains(&object)
        && versions.contains(&head.rv.is_some())
        && head.key.is_some() != matches!(op, Op::Gap | Op::Heartbeat)
        && head.gap.is_some() == (op == Op::Gap)
        && head.reason.is_some() == matches!(op, Op::Unobserved | Op::Withheld)
        && (!head.inferred || op == Op::Deleted)
        && (head.from.is_none() || matches!(op, Op::Added | Op::Modified | Op::Seen | Op::Absent));
    demand(fits, Code::Line, "a line lacks a member that its op needs, or has one that it must not have")?;
    demand(
        op != Op::Absent || head.key.as_ref().is_some_and(|key| key.uid.is_empty()),
        Code::Line,
        "an absent object has a uid",
    )?;
    let long = |text: &str| text.len() > limits::TEXT;
    demand(!head.reason.as_deref().is_some_and(long), Code::Limit, "a reason is too long")?;
    Ok(())
}

fn gap_shape(gap: &Gap, seq: Seq) -> Checked<()> {
    demand(gap.detail.len() <= limits::TEXT, Code::Limit, "the detail of a gap is too long")?;
    for instant in [Some(gap.from), gap.to].into_iter().flatten() {
        time(instant.micros(), Code::Line)?;
    }
    demand(gap.to.is_none_or(|to| gap.from <= to), Code::Line, "a gap ends before it begins")?;
    let names_earlier = |opened: Seq| opened.0 > 0 && opened < seq && gap.to.is_some();
    demand(gap.opened.is_none_or(names_earlier), Code::Line, "a gap names itself, or closes without an end")
}
