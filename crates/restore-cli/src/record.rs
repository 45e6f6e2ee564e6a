//! A record in words and as a line of JSON.
//!
//! Does not: show content of objects.

use serde_json::{Value, json};
use vmrewind_archive::{Damage, SeqRange};
use vmrewind_model::{Change, Op, Record, Timestamp};

/// Returns the word for what happened.
pub(crate) fn verb(record: &Record) -> &'static str {
    match record.change.op() {
        Op::Added => "added",
        Op::Modified => "modified",
        Op::Deleted => "deleted",
        Op::Seen => "seen",
        Op::Unobserved => "unobserved",
        Op::Absent => "absent",
        Op::Withheld => "withheld",
        Op::Heartbeat => "heartbeat",
        Op::Gap => "gap",
    }
}

/// Writes an instant with all six decimals, so that columns align and every line has the same form.
pub(crate) fn micros(time: Timestamp) -> String {
    format!("{:.6}", jiff::Timestamp::from(time))
}

/// Returns one line of `log -o jsonl`: every member is always there, null where it has no meaning.
pub(crate) fn line(record: &Record) -> Value {
    let key = record.change.key();
    let object = key.map(|key| &key.object);
    let reason = match &record.change {
        Change::Unobserved { reason, .. } | Change::Withheld { reason, .. } => Some(reason),
        _ => None,
    };
    let gap = match &record.change {
        Change::Gap(gap) => Some(json!({
            "group": gap.resource.group,
            "resource": gap.resource.resource,
            "scope": gap.resource.scope,
            "object": gap.object.as_ref().map(ToString::to_string),
            "from": micros(gap.from),
            "to": gap.to.map(micros),
            "cause": gap.cause,
            "detail": gap.detail,
            "opened": gap.opened,
        })),
        _ => None,
    };
    json!({
        "seq": record.seq,
        "t": micros(record.t),
        "lo": record.lo.map(micros),
        "op": record.change.op(),
        "group": object.map(|object| &object.group),
        "kind": object.map(|object| &object.kind),
        "namespace": object.map(|object| &object.namespace),
        "name": object.map(|object| &object.name),
        "uid": key.map(|key| &key.uid),
        "resourceVersion": record.change.rv(),
        "era": record.era,
        "inferred": record.change.inferred(),
        "fromSeq": record.change.back_dated_to(),
        "contentId": record.change.object().map(|object| object.content_id().to_string()),
        "reason": reason,
        "gap": gap,
    })
}

/// Returns the line of `log -o jsonl` that stands in the place of a damaged segment: the members of a record, and what is damaged.
pub(crate) fn damage_line(damage: &Damage) -> Value {
    json!({
        "seq": null, "t": null, "lo": null, "op": "damage", "group": null, "kind": null, "namespace": null, "name": null,
        "uid": null, "resourceVersion": null, "era": null, "inferred": false, "fromSeq": null, "contentId": null,
        "reason": null, "gap": null,
        "damage": damage_json(damage),
    })
}

/// Writes damage as it stands in `log` and `info`.
pub(crate) fn damage_json(damage: &Damage) -> Value {
    let range = |range: &SeqRange| json!({"first": range.first, "last": range.last});
    let lost = damage.lost().map(|lost| lost.iter().map(range).collect::<Vec<_>>());
    json!({"object": damage.object, "segment": damage.segment, "code": damage.code.as_str(), "offset": damage.offset,
        "detail": damage.detail, "after": damage.after.map(micros), "before": damage.before.map(micros), "lost": lost,
        "readable": damage.readable.iter().map(range).collect::<Vec<_>>(), "accounted": damage.accounted})
}

/// Returns who made the newest change that an object tells of: the manager of its newest `managedFields` entry.
pub(crate) fn manager(object: &Value) -> Option<String> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let newest = entries.iter().max_by_key(|entry| entry["time"].as_str())?;
    let name = newest["manager"].as_str()?;
    Some(match newest["subresource"].as_str() {
        Some(subresource) if !subresource.is_empty() => format!("{name}/{subresource}"),
        _ => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use vmrewind_model::{Era, Gap, GapCause, ResourceId, Seq};

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + micros).expect("in range")
    }

    #[test]
    fn times_always_have_six_decimals() {
        assert_eq!(micros(at(0)), "2027-01-15T08:00:00.000000Z");
        assert_eq!(micros(at(120)), "2027-01-15T08:00:00.000120Z");
    }

    #[test]
    fn a_line_has_every_member_whatever_happened() {
        let gap = Gap {
            resource: ResourceId::new("", "secrets", ""),
            object: None,
            from: at(0),
            to: None,
            cause: GapCause::Denied,
            detail: "list".to_owned(),
            opened: None,
        };
        let record = |change| Record { seq: Seq(3), t: at(0), lo: None, era: Era(1), change };
        let gap = line(&record(Change::Gap(gap)));
        let beat = line(&record(Change::Heartbeat));
        let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&gap), names(&beat));
        assert_eq!((&gap["op"], &gap["gap"]["cause"]), (&json!("G"), &json!("denied")));
        assert_eq!(beat["t"], json!("2027-01-15T08:00:00.000000Z"));
    }

    #[test]
    fn the_newest_manager_made_the_change() {
        let object = json!({"metadata": {"managedFields": [
            {"manager": "kubectl", "time": "2026-11-22T10:00:00Z"},
            {"manager": "virt-controller", "time": "2026-11-22T10:00:05Z", "subresource": "status"},
        ]}});
        assert_eq!(manager(&object).as_deref(), Some("virt-controller/status"));
        assert_eq!(manager(&json!({"metadata": {}})), None);
    }
}
