//! Records for tests.
//!
//! Does not: appear in anything that is shipped.

use proptest::prelude::*;
use uuid::Uuid;
use vmrewind_model::{
    Change, Digest, Epoch, Era, Gap, GapCause, ObjectKey, ObjectOp, ProofState, RawObject, Record, RecordKey,
    ResourceId, ResumeEntry, Rv, Seq, Timestamp,
};

use crate::{
    ResumeMap, SecretKey,
    format::{
        encode::Draft,
        home::{Home, Keys, Lock, RootKey, Seed},
    },
};

/// The archive of all samples.
pub(crate) const ARCHIVE: Uuid = Uuid::from_u128(0x0f0e_0d0c_0b0a_4908_8706_0504_0302_0100);

/// The instant `micros` after the beginning of all samples.
pub(crate) fn t(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + micros).expect("in range")
}

/// The key of a virtual machine.
pub(crate) fn vm_key(name: &str, uid: &str) -> RecordKey {
    let object = ObjectKey::new("kubevirt.io", "VirtualMachine", "prod", name);
    RecordKey { home: format!("prod/{name}"), object, uid: uid.into() }
}

/// The state of the object that a key names.
pub(crate) fn object(key: &RecordKey, rv: u64, extra: &str) -> RawObject {
    let ObjectKey { namespace, name, group, kind } = &key.object;
    let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let uid = &key.uid;
    let value = serde_json::json!({
        "apiVersion": api_version, "kind": kind, "spec": {"text": extra, "obj": {",\"obj\":": 1}},
        "metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": rv.to_string()},
    });
    RawObject::from_server(value.to_string().as_bytes()).expect("valid")
}

/// A change that sets a state.
pub(crate) fn set(op: ObjectOp, key: RecordKey, rv: u64, from_seq: Option<u64>) -> Change {
    let object = object(&key, rv, "x");
    Change::Object { op, key, rv: Rv(rv), object, from_seq: from_seq.map(Seq) }
}

/// A record `seq` microseconds after the beginning.
pub(crate) fn record(seq: u64, change: Change) -> Record {
    Record { seq: Seq(seq), t: t(seq.cast_signed()), lo: None, era: Era(1), change }
}

/// A gap in the virtual machines.
pub(crate) fn gap(from: i64, to: Option<i64>, opened: Option<u64>) -> Gap {
    Gap {
        resource: ResourceId::new("kubevirt.io", "virtualmachines", ""),
        object: None,
        from: t(from),
        to: to.map(t),
        cause: GapCause::Expired,
        detail: String::new(),
        opened: opened.map(Seq),
    }
}

/// What is known of a resource.
pub(crate) fn resume(resource: &str, rv: u64, proven_at: i64) -> ResumeEntry {
    ResumeEntry {
        id: ResourceId::new("kubevirt.io", resource, ""),
        kind: "Kind".into(),
        api_version: "kubevirt.io/v1".into(),
        rv: Some(Rv(rv)),
        proven_at: Some(t(proven_at)),
        state: ProofState::Live,
        era: Era(1),
        detail: String::new(),
    }
}

/// The root key of an encrypted archive.
pub(crate) const ROOT_KEY: [u8; 32] = [0x52; 32];

/// The `n`th secret key.
pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::new([n; 32])
}

/// An encrypted archive for the first two keys, opened with the first; what is random in it is always the same.
pub(crate) fn sealed() -> Home {
    Home { archive: ARCHIVE, lock: lock_of(ROOT_KEY) }
}

/// As [`sealed`], with another root key.
pub(crate) fn lock_of(root: [u8; 32]) -> Lock {
    lock(root, &[1, 2])
}

/// As [`sealed`], for other recipients.
pub(crate) fn lock_to(recipients: &[u8]) -> Lock {
    lock(ROOT_KEY, recipients)
}

fn lock(root: [u8; 32], recipients: &[u8]) -> Lock {
    let recipients = recipients.iter().map(|n| secret(*n).recipient()).collect();
    let (root, seed) = (RootKey(zeroize::Zeroizing::new(root)), Some(Seed::new([5; 32])));
    Lock::Open(Keys { recipients, root, own: vec![secret(1)], seed }.into())
}

/// A segment in slot 2 of a writer whose fence is in slot 1.
pub(crate) fn draft(records: Vec<Record>) -> Draft {
    Draft {
        home: ARCHIVE.into(),
        slot: 2,
        epoch: Epoch(1),
        nonce: [7; 16],
        prev: Digest::of(b"before"),
        after: (Seq(0), t(0)),
        fence: None,
        software: "test 1".into(),
        records,
        resume: ResumeMap { complete: false, entries: vec![resume("virtualmachines", 9, 1)] },
    }
}

/// One record of every shape that the format knows.
pub(crate) fn every_shape() -> Vec<Record> {
    let vm = || vm_key("db-1", "u1");
    let absent = || RecordKey { uid: String::new(), ..vm_key("gone \"\u{1}é", "") };
    let deleted = |rv: Option<u64>, object: Option<RawObject>, inferred| Change::Deleted {
        key: vm(),
        rv: rv.map(Rv),
        object,
        inferred,
    };
    let about_one = Gap { object: Some(vm().object), detail: "why".into(), ..gap(0, Some(3), None) };
    let changes = vec![
        set(ObjectOp::Added, vm(), 5, None),
        set(ObjectOp::Modified, vm(), 6, None),
        set(ObjectOp::Seen, vm_key("db-2", ""), u64::MAX, Some(1)),
        deleted(Some(7), Some(object(&vm(), 7, "last")), false),
        deleted(Some(8), None, false),
        deleted(None, None, true),
        Change::Unobserved { key: vm(), reason: "left the selector".into() },
        Change::Absent { key: absent(), from_seq: None },
        Change::Absent { key: absent(), from_seq: Some(Seq(2)) },
        Change::Withheld { key: vm(), rv: Rv(9), reason: "capture.secrets".into() },
        Change::Gap(gap(1, None, None)),
        Change::Gap(gap(1, Some(4), Some(11))),
        Change::Gap(about_one),
        Change::Heartbeat,
    ];
    let mut records: Vec<Record> = (1..).zip(changes).map(|(seq, change)| record(seq, change)).collect();
    records[1].era = Era(2);
    records[5].lo = Some(t(-5));
    records
}

/// Any record that may be written, with this seq.
pub(crate) fn any_record(seq: u64) -> impl Strategy<Value = Record> {
    let text = || "[a-z0-9\"\\\\\u{1}é,:{}]{0,12}";
    let name = "[a-z0-9.\"-]{1,12}";
    let key = (text(), text(), name, text(), "[A-Z][a-z]{0,8}", text()).prop_map(
        |(home, namespace, name, group, kind, uid)| {
            let group = group.replace('/', "");
            RecordKey { home, object: ObjectKey { namespace, name, group, kind }, uid }
        },
    );
    let shape = (0_u8..10, any::<u64>(), text(), any::<bool>(), 0..seq);
    let place = (0_i64..1000, prop::option::of(1_i64..50), 1_u32..4);
    (key, shape, place).prop_map(move |(key, (shape, rv, text, flag, before), (offset, lo, era))| {
        let from_seq = (before > 0 && flag).then_some(Seq(before));
        let state = |op| Change::Object { op, rv: Rv(rv), object: object(&key, rv, &text), key: key.clone(), from_seq };
        let change = match shape {
            0 => state(ObjectOp::Added),
            1 => state(ObjectOp::Modified),
            2 => state(ObjectOp::Seen),
            3 => Change::Deleted { rv: Some(Rv(rv)), object: Some(object(&key, rv, &text)), key, inferred: false },
            4 => Change::Deleted { rv: (!flag).then_some(Rv(rv)), object: None, key, inferred: flag },
            5 => Change::Unobserved { key, reason: text },
            6 => Change::Absent { key: RecordKey { uid: String::new(), ..key }, from_seq },
            7 => Change::Withheld { key, rv: Rv(rv), reason: text },
            8 => Change::Gap(Gap { detail: text, ..gap(0, flag.then_some(5), None) }),
            _ => Change::Heartbeat,
        };
        let t = t(seq.cast_signed() * 1000 + offset);
        let lo = lo.map(|lo| Timestamp::from_micros(t.micros() - lo).expect("in range"));
        Record { seq: Seq(seq), t, lo, era: Era(era), change }
    })
}

/// Some records that follow each other.
pub(crate) fn any_records() -> impl Strategy<Value = Vec<Record>> {
    (1_usize..20).prop_flat_map(|count| (1..=count as u64).map(any_record).collect::<Vec<_>>())
}

/// Changes bytes in one of many ways; the same seed, the same change.
pub(crate) fn mutated(good: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % limit.max(1)
    };
    let mut bytes = good.to_vec();
    for _ in 0..=below(3) {
        let at = below(bytes.len());
        let length = 1 + below(40).min(bytes.len() - at - 1);
        match below(5) {
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at..at + length].iter_mut().for_each(|byte| *byte = u8::try_from(below(256)).expect("a byte")),
            2 => drop(bytes.drain(at..at + length)),
            3 => drop(bytes.splice(at..at, good[..length].iter().copied())),
            _ => {
                let other = below(bytes.len() - length + 1);
                for n in 0..length {
                    bytes.swap(at + n, other + n);
                }
            }
        }
    }
    bytes
}
