use proptest::prelude::*;
use vmrewind_model::{Change, ObjectOp, RecordKey, Rv};

use super::*;
use crate::{
    Segment,
    format::{decode::decode, encode::encode},
    samples,
};

fn segment(records: Vec<Record>) -> Segment {
    let encoded = encode(&samples::draft(records)).expect("records that may be written");
    decode(&encoded.bytes, samples::ARCHIVE, 2).expect("what was just written")
}

/// The rule of `spec/ordering.md`, section 4.1, word for word: sort, then apply one by one.
fn by_the_rule(records: &[Record], at: Seq) -> BTreeMap<ObjectKey, (Seq, Presence)> {
    let mut counting: Vec<&Record> = records.iter().filter(|record| record.counts_from() <= at).collect();
    counting.sort_by_key(|record| (record.counts_from(), record.seq));
    let mut states: BTreeMap<ObjectKey, (Seq, Presence, String)> = BTreeMap::new();
    for record in counting {
        let Some(key) = record.change.key() else { continue };
        let presence = match record.change.op() {
            Op::Added | Op::Modified | Op::Seen => Presence::Present,
            Op::Withheld => Presence::Withheld,
            Op::Absent => Presence::Absent,
            _ => {
                if states.get(&key.object).is_some_and(|(_, _, uid)| *uid == key.uid) {
                    states.remove(&key.object);
                }
                continue;
            }
        };
        states.insert(key.object.clone(), (record.seq, presence, key.uid.clone()));
    }
    states.into_iter().map(|(key, (seq, presence, _))| (key, (seq, presence))).collect()
}

/// Folds as `state_at` does: whole segments first, then what is later but back-dated.
fn folded(records: &[Record], at: Seq, cut: usize) -> BTreeMap<ObjectKey, (Seq, Presence)> {
    let mut fold = Fold::default();
    let all = segment(records.to_vec());
    let split = Seq(cut as u64);
    for part in [|seq: Seq, split: Seq| seq <= split, |seq: Seq, split: Seq| seq > split] {
        fold.add(all.as_lines(), |line| part(line.head.seq, split) && line.head.counts_from() <= at)
            .expect("good objects");
    }
    fold.finish().into_iter().map(|(key, entry)| (key, (entry.record.seq, entry.presence))).collect()
}

fn any_history() -> impl Strategy<Value = Vec<Record>> {
    let one = (0_u8..7, 0_u8..2, 0_u8..3, any::<prop::sample::Index>(), any::<bool>());
    prop::collection::vec(one, 1..14).prop_map(|steps| {
        let change = |seq: u64, (op, name, uid, from, back): (u8, u8, u8, prop::sample::Index, bool)| {
            let key = samples::vm_key(&format!("vm-{name}"), &format!("u{uid}"));
            let from = (back && seq > 1).then(|| 1 + from.index(usize::try_from(seq).expect("small") - 1) as u64);
            match op {
                0 => samples::set(ObjectOp::Added, key, seq, from),
                1 => samples::set(ObjectOp::Modified, key, seq, from),
                2 => samples::set(ObjectOp::Seen, key, seq, from),
                3 => Change::Deleted { key, rv: None, object: None, inferred: true },
                4 => Change::Unobserved { key, reason: String::new() },
                5 => Change::Absent { key: RecordKey { uid: String::new(), ..key }, from_seq: from.map(Seq) },
                _ => Change::Withheld { key, rv: Rv(1), reason: String::new() },
            }
        };
        (1..).zip(steps).map(|(seq, step)| samples::record(seq, change(seq, step))).collect()
    })
}

proptest! {
    #[test]
    fn folding_in_log_order_equals_the_rule_for_every_history_and_moment(history in any_history(), cut in 0_usize..14) {
        for at in 1..=history.len() as u64 {
            prop_assert_eq!(folded(&history, Seq(at), cut), by_the_rule(&history, Seq(at)), "at {}", at);
        }
    }
}

#[test]
fn a_late_deletion_of_an_old_incarnation_does_not_remove_the_new_one() {
    let key = |uid| samples::vm_key("db-1", uid);
    let history = [
        samples::record(1, samples::set(ObjectOp::Added, key("old"), 1, None)),
        samples::record(2, samples::set(ObjectOp::Added, key("new"), 3, None)),
        samples::record(3, Change::Deleted { key: key("old"), rv: None, object: None, inferred: true }),
    ];
    assert_eq!(folded(&history, Seq(3), 3)[&key("").object].0, Seq(2));
}
