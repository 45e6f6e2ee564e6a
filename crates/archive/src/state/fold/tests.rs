use proptest::prelude::*;
use vmrewind_model::{Change, ObjectOp, Op, RecordKey, Rv, Seq};

use super::*;
use crate::{
    Presence, Segment,
    format::{decode::decode, encode::encode},
    kept::Candidate,
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

/// The seqs of the records up to `last` that a checkpoint keeps.
fn kept(all: &Segment, last: Seq, ends_from: Seq) -> Vec<Seq> {
    let mut objects: BTreeMap<ObjectKey, Candidate<Seq, Seq>> = BTreeMap::new();
    for line in all.lines.iter().filter(|line| line.head.seq <= last) {
        let key = line.head.key.as_ref().expect("every record here has one");
        let seq = line.head.seq;
        objects.entry(key.object.clone()).or_default().take(&line.head, || seq, || seq);
    }
    objects.values().flat_map(|candidate| candidate.kept(ends_from)).copied().collect()
}

proptest! {
    #[test]
    fn what_a_checkpoint_keeps_and_what_follows_comes_to_the_same_as_everything(
        history in any_history(),
        cut in 1_u64..14,
        ends in any::<prop::sample::Index>(),
    ) {
        let last = cut.min(history.len() as u64);
        let ends_from = Seq(1 + ends.index(usize::try_from(last).expect("small") + 1) as u64);
        let all = segment(history.clone());
        let kept = kept(&all, Seq(last), ends_from);
        let follows = |record: &Record| record.seq > Seq(last) && record.counts_from() >= ends_from;
        let counted: Vec<Record> =
            history.iter().filter(|record| record.seq <= Seq(last) || follows(record)).cloned().collect();
        for at in last..=history.len() as u64 {
            let mut fold = Fold::default();
            let used = |line: &Line| {
                let head = &line.head;
                kept.contains(&head.seq) || head.seq > Seq(last) && head.counts_from() >= ends_from
            };
            fold.add(all.as_lines(), |line| used(line) && line.head.counts_from() <= Seq(at)).expect("good objects");
            let found: BTreeMap<ObjectKey, (Seq, Presence)> =
                fold.finish().into_iter().map(|(key, entry)| (key, (entry.record.seq, entry.presence))).collect();
            prop_assert_eq!(found, by_the_rule(&counted, Seq(at)), "kept {:?} of {} from {:?}, at {}", &kept, last, ends_from, at);
        }
    }
}

#[test]
fn what_nobody_can_ask_for_any_more_is_not_kept() {
    let key = |name: &str| samples::vm_key(name, "u1");
    let set = |name: &str, seq| samples::record(seq, samples::set(ObjectOp::Modified, key(name), seq, None));
    let gone = |name: &str, seq| {
        samples::record(seq, Change::Deleted { key: key(name), rv: None, object: None, inferred: true })
    };
    let all =
        segment(vec![set("a", 1), set("b", 2), set("a", 3), gone("b", 4), set("c", 5), gone("c", 6), set("a", 7)]);
    let kept = |ends_from| {
        let mut kept = kept(&all, Seq(7), Seq(ends_from));
        kept.sort_unstable();
        kept.into_iter().map(|seq| seq.0).collect::<Vec<u64>>()
    };
    assert_eq!(kept(8), [7], "states that stand");
    assert_eq!(kept(6), [6, 7], "and ends that a later record may lie before");
    assert_eq!(kept(5), [5, 6, 7], "and what they ended");
    assert_eq!(kept(1), [2, 4, 5, 6, 7]);
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
