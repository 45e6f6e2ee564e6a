use vmrewind_archive::{
    Code, Damage, Entry, Features, FormatVersion, GapSpan, Identity, Late, Presence as Held, Proof, State,
};
use vmrewind_graph::World as _;
use vmrewind_model::{Change, Era, Gap, GapCause, ObjectOp, Record, RecordKey, ResourceId, ResumeEntry, Rv};
use vmrewind_testkit::build::vm;

use super::*;

const T: &str = "2026-11-22T10:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn proof(group: &str, resource: &str, kind: &str, state: ProofState, proven_at: &str) -> Proof {
    let entry = ResumeEntry {
        id: ResourceId::new(group, resource, ""),
        kind: kind.to_owned(),
        api_version: "v1".to_owned(),
        rv: Some(Rv(5)),
        proven_at: Some(time(proven_at)),
        state,
        era: Era(1),
        detail: String::new(),
    };
    Proof { entry, since: Some(time("2026-11-22T09:00:00Z")), current: true }
}

fn key_of(group: &str, kind: &str, name: &str) -> ObjectKey {
    ObjectKey::new(group, kind, "prod", name)
}

fn state() -> State {
    let entry = |seq: u64, key: &ObjectKey, presence, change| {
        let record = Record { seq: Seq(seq), t: time(T), lo: None, era: Era(1), change };
        (key.clone(), Entry { record, presence })
    };
    let record_key = |key: &ObjectKey| RecordKey { home: String::new(), object: key.clone(), uid: "u".to_owned() };
    let (web, hidden, absent) = (
        key_of("kubevirt.io", "VirtualMachine", "web"),
        key_of("", "Secret", "hidden"),
        key_of("", "Secret", "absent"),
    );
    let object = Change::Object {
        op: ObjectOp::Seen,
        key: record_key(&web),
        rv: Rv(1),
        object: vm("web").raw(),
        from_seq: None,
    };
    let withheld = Change::Withheld { key: record_key(&hidden), rv: Rv(2), reason: "setting".to_owned() };
    let nothing = Change::Absent { key: record_key(&absent), from_seq: None };
    State {
        seq: Seq(9),
        t: time(T),
        objects: [
            entry(1, &web, Held::Present, object),
            entry(2, &hidden, Held::Withheld, withheld),
            entry(3, &absent, Held::Absent, nothing),
        ]
        .into(),
        proofs: vec![
            proof("kubevirt.io", "virtualmachines", "VirtualMachine", ProofState::Live, "2026-11-22T10:00:01Z"),
            proof("", "persistentvolumeclaims", "PersistentVolumeClaim", ProofState::Denied, "2026-11-22T09:30:00Z"),
            proof("cdi.kubevirt.io", "datavolumes", "DataVolume", ProofState::Live, "2026-11-22T10:00:01Z"),
            proof("", "secrets", "Secret", ProofState::Live, "2026-11-22T10:00:01Z"),
        ],
        late: Vec::new(),
        damage: Vec::new(),
        gaps: vec![GapSpan {
            gap: Gap {
                resource: ResourceId::new("cdi.kubevirt.io", "datavolumes", ""),
                object: None,
                from: time("2026-11-22T09:59:00Z"),
                to: None,
                cause: GapCause::Expired,
                detail: String::new(),
                opened: None,
            },
            opened: Seq(4),
            closed: None,
        }],
    }
}

fn of(state: &State) -> World {
    let identity = Identity {
        encrypted: false,
        format: FormatVersion { major: 0, minor: 1 },
        features: Features::default(),
        archive: uuid::Uuid::from_u128(7),
        cluster: "cluster-1".to_owned(),
        created: time(T),
        software: "test".to_owned(),
    };
    World::of(state, &identity)
}

fn world() -> World {
    of(&state())
}

#[test]
fn what_the_archive_holds_is_there_with_its_seq_and_content_id() {
    let world = world();
    let web = key_of("kubevirt.io", "VirtualMachine", "web");
    assert_eq!(world.value(&web), Some(&vm("web").json()));
    let source = Source { seq: Seq(1), content_id: vm("web").raw().content_id() };
    assert_eq!(world.source(&web), Some(source));
    assert_eq!((world.archive().seq, world.archive().cluster.as_str()), (Seq(9), "cluster-1"));
    assert_eq!(world.get(&key_of("", "Secret", "hidden")), Presence::Withheld);
    assert_eq!(world.keys().count(), 1);
}

#[test]
fn absence_is_only_where_it_is_proven() {
    let world = world();
    let get = |group: &str, kind: &str| world.get(&key_of(group, kind, "other"));
    assert_eq!(get("kubevirt.io", "VirtualMachine"), Presence::Absent, "the resource is proven");
    assert_eq!(get("", "PersistentVolumeClaim"), Presence::Unknown, "reading it was denied before then");
    assert_eq!(get("cdi.kubevirt.io", "DataVolume"), Presence::Unknown, "a gap is open");
    assert_eq!(get("snapshot.storage.k8s.io", "VolumeSnapshot"), Presence::Unknown, "it was never captured");
    assert_eq!(get("", "Secret"), Presence::Unknown, "only those that something names are captured");
    assert_eq!(world.get(&key_of("", "Secret", "absent")), Presence::Absent, "it was looked for");
}

#[test]
fn what_damage_may_hide_is_not_known_to_be_absent() {
    let mut state = state();
    state.damage.push(Damage {
        object: "log/0000/0000000000000002".to_owned(),
        segment: Some(2),
        code: Code::BodyHash,
        offset: None,
        detail: String::new(),
        readable: Vec::new(),
        held: None,
        after: Some(time("2026-11-22T09:58:00Z")),
        before: Some(time("2026-11-22T09:59:00Z")),
        accounted: false,
    });
    assert_eq!(state.doubtful().count(), 1);
    let world = of(&state);
    assert_eq!(world.get(&key_of("kubevirt.io", "VirtualMachine", "other")), Presence::Unknown);
    assert_eq!(world.get(&key_of("", "Secret", "absent")), Presence::Unknown, "it may have been created since");
    assert!(matches!(world.get(&key_of("kubevirt.io", "VirtualMachine", "web")), Presence::Present(_)));
}

#[test]
fn what_came_late_or_lies_in_a_gap_of_its_own_is_not_known_to_be_absent() {
    let machine = |name: &str| key_of("kubevirt.io", "VirtualMachine", name);
    let mut state = state();
    let record = state.objects[&machine("web")].record.clone();
    let key = RecordKey { home: String::new(), object: machine("late"), uid: "u".to_owned() };
    state.late.push(Late { key, lo: time("2026-11-22T09:59:59Z"), t: time("2026-11-22T10:00:01Z"), record });
    let mut span = state.gaps[0].clone();
    span.gap.object = Some(machine("unread"));
    span.gap.resource = ResourceId::new("kubevirt.io", "virtualmachines", "");
    state.gaps.push(span);
    let world = of(&state);
    assert_eq!(world.get(&machine("late")), Presence::Unknown);
    assert_eq!(world.get(&machine("unread")), Presence::Unknown);
    assert_eq!(world.get(&machine("other")), Presence::Absent, "its resource is proven");
}

#[test]
fn an_object_that_cannot_be_parsed_is_an_error_and_not_absent() {
    let mut state = state();
    let broken = key_of("kubevirt.io", "VirtualMachine", "web");
    let raw = RawObject::from_archive(b"{\"kind\":".as_slice().into());
    let entry = state.objects.get_mut(&broken).expect("there");
    let Change::Object { object, .. } = &mut entry.record.change else { panic!("an object") };
    *object = raw;
    let world = of(&state);
    assert_eq!(world.get(&broken), Presence::Unknown);
    assert!(matches!(world.check_readable(&broken), Err(RestoreError::Unreadable { seq: 1, .. })));
    assert!(world.check_readable(&key_of("", "Secret", "hidden")).is_ok());
}
