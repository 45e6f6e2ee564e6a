//! Writes lines.

use std::io::Write as _;

use vmrewind_model::{Change, Record, RecordKey, Seq};

use super::{
    super::{limits, root},
    OBJECT,
};

/// Appends the line of `record` to `out`, and returns its leaf of the event root.
///
/// # Errors
/// Which rule of the format the record breaks. `out` is then to be thrown away.
pub(crate) fn write(out: &mut Vec<u8>, record: &Record) -> Result<[u8; 32], String> {
    let start = out.len();
    let op = record.change.op().letter();
    put(out, format_args!(r#"{{"seq":{},"t":{},"op":"{op}""#, record.seq, record.t.micros()));
    if let Some(key) = record.change.key() {
        check_key(key)?;
        out.extend_from_slice(br#","k":"#);
        json(out, key)?;
    }
    match record.era.0 {
        0 => return Err("eras start at 1".into()),
        1 => {}
        era => put(out, format_args!(r#","era":{era}"#)),
    }
    if let Some(lo) = record.lo {
        if lo >= record.t {
            return Err("lo is not before t".into());
        }
        put(out, format_args!(r#","lo":{}"#, lo.micros()));
    }
    let object = change(out, record)?;
    let head = out.len() - start;
    if head > limits::HEAD {
        return Err(format!("{head} bytes besides the object are more than {}", limits::HEAD));
    }
    let leaf = match object {
        None => {
            out.push(b'}');
            root::leaf(&out[start..], None)
        }
        Some(object) => {
            let leaf = root::leaf(&out[start..], Some(&object.content_id()));
            out.extend_from_slice(OBJECT.as_bytes());
            out.extend_from_slice(object.bytes());
            out.push(b'}');
            leaf
        }
    };
    out.push(b'\n');
    Ok(leaf)
}

/// Writes what only some ops have, and returns the object to be written behind it.
fn change<'a>(out: &mut Vec<u8>, record: &'a Record) -> Result<Option<&'a vmrewind_model::RawObject>, String> {
    match &record.change {
        Change::Object { key, rv, object, from_seq, .. } => {
            check_object(key, *rv, object)?;
            from(out, record.seq, *from_seq)?;
            return Ok(Some(object));
        }
        Change::Deleted { key, rv, object, inferred } => {
            if *inferred {
                out.extend_from_slice(br#","i":1"#);
            }
            match (object, rv) {
                (Some(object), Some(rv)) => {
                    check_object(key, *rv, object)?;
                    return Ok(Some(object));
                }
                (Some(_), None) => return Err("a deletion with a state has a resource version".into()),
                (None, Some(rv)) => put(out, format_args!(r#","rv":"{rv}""#)),
                (None, None) => {}
            }
        }
        Change::Unobserved { reason, .. } => text(out, "reason", reason)?,
        Change::Absent { key, from_seq } => {
            if !key.uid.is_empty() {
                return Err("an absent object has no uid".into());
            }
            from(out, record.seq, *from_seq)?;
        }
        Change::Withheld { rv, reason, .. } => {
            put(out, format_args!(r#","rv":"{rv}""#));
            text(out, "reason", reason)?;
        }
        Change::Gap(gap) => {
            check_text("detail", &gap.detail)?;
            if gap.to.is_some_and(|to| to < gap.from) {
                return Err("a gap ends before it begins".into());
            }
            if gap.opened.is_some_and(|opened| opened.0 == 0 || opened >= record.seq || gap.to.is_none()) {
                return Err("a gap names itself, or closes without an end".into());
            }
            out.extend_from_slice(br#","gap":"#);
            json(out, gap)?;
        }
        Change::Heartbeat => {}
    }
    Ok(None)
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

fn json(out: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), String> {
    serde_json::to_writer(out, value).map_err(|error| error.to_string())
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) -> Result<(), String> {
    check_text(name, value)?;
    put(out, format_args!(r#","{name}":"#));
    json(out, &value)
}

fn from(out: &mut Vec<u8>, seq: Seq, from: Option<Seq>) -> Result<(), String> {
    if let Some(from) = from {
        if from.0 == 0 || from >= seq {
            return Err("a record is back-dated to itself or to a later one".into());
        }
        put(out, format_args!(r#","from":{from}"#));
    }
    Ok(())
}

/// Checks a text that is meant for people.
pub(crate) fn check_text(name: &str, value: &str) -> Result<(), String> {
    if value.len() > limits::TEXT {
        return Err(format!("{} bytes of {name} are more than {}", value.len(), limits::TEXT));
    }
    Ok(())
}

fn check_key(key: &RecordKey) -> Result<(), String> {
    let object = &key.object;
    let parts = [&key.home, &object.namespace, &object.name, &object.group, &object.kind, &key.uid];
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > limits::KEY {
        return Err(format!("a key of {length} bytes is longer than {}", limits::KEY));
    }
    if object.name.is_empty() || object.kind.is_empty() {
        return Err("a key lacks name or kind".into());
    }
    Ok(())
}

/// Checks that key and resource version are those of the object.
fn check_object(key: &RecordKey, rv: vmrewind_model::Rv, object: &vmrewind_model::RawObject) -> Result<(), String> {
    if object.bytes().len() > limits::OBJECT {
        return Err(format!("{} is larger than {} bytes", key.object, limits::OBJECT));
    }
    let head = object.head().map_err(|error| format!("the state of {}: {error}", key.object))?;
    if head.key != key.object || head.uid != key.uid {
        return Err(format!("the state of {} is that of {} with uid {:?}", key.object, head.key, head.uid));
    }
    if head.rv != rv {
        return Err(format!("the state of {} has resource version {}, not {rv}", key.object, head.rv));
    }
    Ok(())
}
