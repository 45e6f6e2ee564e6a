//! Random histories with random deaths: nothing acknowledged is lost, nothing is invented, nothing is twice.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use vmrewind_model::{Change, ObjectKey, RawObject};

use super::rig::{POD, Rig, SECRET, Server, VM};
use crate::engine::Failure;

#[derive(Clone, Debug)]
enum Act {
    Put(&'static str, u8, u8),
    Delete(&'static str, u8),
    Answer,
    Deliver(&'static str),
    EndWatch(&'static str, bool),
    Commit,
    Crash,
    ForgetWatches,
    Tick,
}

fn acts() -> impl Strategy<Value = Act> {
    let plural = || prop_oneof![Just(VM), Just(SECRET), Just(POD)];
    let kind = || prop_oneof![Just("VirtualMachine"), Just("Secret"), Just("Pod")];
    prop_oneof![
        8 => (kind(), 0u8..3, 0u8..4).prop_map(|(kind, name, spec)| Act::Put(kind, name, spec)),
        3 => (kind(), 0u8..3).prop_map(|(kind, name)| Act::Delete(kind, name)),
        10 => Just(Act::Answer),
        10 => plural().prop_map(Act::Deliver),
        2 => (plural(), any::<bool>()).prop_map(|(plural, clean)| Act::EndWatch(plural, clean)),
        4 => Just(Act::Commit),
        1 => Just(Act::Crash),
        1 => Just(Act::ForgetWatches),
        3 => Just(Act::Tick),
    ]
}

fn perform(rig: &mut Rig, act: &Act) {
    match act {
        Act::Put(kind, name, spec) => {
            let spec = match *kind {
                "VirtualMachine" => {
                    json!({"n": spec, "secrets": (0..*spec).map(|i| i.to_string()).collect::<Vec<_>>()})
                }
                "Pod" => json!({"label": if spec % 2 == 0 { "yes" } else { "no" }, "n": spec}),
                _ => json!({"n": spec}),
            };
            rig.server.put(kind, &name.to_string(), spec);
        }
        Act::Delete(kind, name) => {
            rig.server.delete(kind, &name.to_string());
        }
        Act::Answer => {
            rig.answer();
        }
        Act::Deliver(plural) => {
            let id = Rig::id(plural);
            if rig.asked.iter().all(|asked| !matches!(asked, crate::engine::Action::Watch(of, ..) if *of == id)) {
                rig.deliver(&id);
            }
        }
        Act::EndWatch(plural, clean) => {
            let id = Rig::id(plural);
            rig.asked.retain(|asked| !matches!(asked, crate::engine::Action::Watch(of, ..) if *of == id));
            rig.end_watch(&id, if *clean { Ok(()) } else { Err(Failure::Unavailable("cut".into())) });
        }
        Act::Commit => rig.commit(),
        Act::Crash => rig.crash(),
        Act::ForgetWatches => rig.server.window = rig.server.rv,
        Act::Tick => rig.tick(1),
    }
}

/// What the archive says exists now.
fn newest(rig: &Rig) -> BTreeMap<ObjectKey, RawObject> {
    let mut state = BTreeMap::new();
    for record in rig.records() {
        match &record.change {
            Change::Object { key, object, .. } => {
                state.insert(key.object.clone(), object.clone());
            }
            Change::Deleted { key, .. } | Change::Unobserved { key, .. } | Change::Absent { key, .. } => {
                state.remove(&key.object);
            }
            Change::Withheld { .. } | Change::Gap(_) | Change::Heartbeat => {}
        }
    }
    state
}

fn check(rig: &Rig, forgot: bool) -> Result<(), TestCaseError> {
    let mut seen = BTreeSet::new();
    let mut uids: BTreeMap<ObjectKey, String> = BTreeMap::new();
    for pair in rig.records().windows(2) {
        prop_assert!(pair[0].seq.next() == pair[1].seq && pair[0].t < pair[1].t);
    }
    for record in rig.records() {
        let Some(key) = record.change.key() else { continue };
        if let Change::Object { rv, object, .. } = &record.change {
            prop_assert!(seen.insert((key.uid.clone(), *rv)), "twice: {}", super::rig::line(record));
            let sent =
                rig.server.writes.iter().any(|write| {
                    write.rv == rv.0 && write.body.as_ref().is_some_and(|body| Server::raw(body) == *object)
                });
            prop_assert!(sent, "invented: {}", super::rig::line(record));
            let live = uids.insert(key.object.clone(), key.uid.clone());
            prop_assert!(live.is_none_or(|uid| uid == key.uid), "two live: {}", super::rig::line(record));
        } else if !matches!(record.change, Change::Absent { .. }) {
            let ended = uids.remove(&key.object);
            prop_assert!(
                ended.as_deref().is_none_or(|uid| uid == key.uid),
                "ended another: {}",
                super::rig::line(record)
            );
        }
    }
    // The end state is that of the server: all VMs, the pods that are selected, the secrets that are named.
    let state = newest(rig);
    let mut named = BTreeSet::new();
    for body in rig.server.live.values() {
        for name in body["spec"]["secrets"].as_array().into_iter().flatten() {
            named.insert(name.as_str().expect("a name").to_owned());
        }
    }
    for (key, body) in &rig.server.live {
        let recorded = state.get(key);
        let expected = match key.kind.as_str() {
            "Secret" => named.contains(&key.name),
            "Pod" => body["spec"]["label"] == "yes",
            _ => true,
        };
        if expected {
            prop_assert_eq!(recorded, Some(&Server::raw(body)), "{}", key);
        } else if key.kind == "Pod" {
            prop_assert_eq!(recorded, None, "{}", key);
        }
    }
    for key in state.keys() {
        prop_assert!(rig.server.live.contains_key(key), "{key} does not exist");
    }
    // Every version of every VM is there, unless watches were forgotten: then one that both began and ended
    // meanwhile cannot be known.
    if !forgot {
        for write in rig.server.writes.iter().filter(|write| write.key.kind == "VirtualMachine") {
            if let Some(body) = &write.body {
                let uid = body["metadata"]["uid"].as_str().expect("a uid").to_owned();
                prop_assert!(seen.contains(&(uid, vmrewind_model::Rv(write.rv))), "lost: {} {}", write.key, write.rv);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_nothing_invented_and_none_twice(acts in prop::collection::vec(acts(), 1..160)) {
        let mut rig = Rig::started();
        rig.commit();
        let mut acknowledged = 0;
        for act in &acts {
            perform(&mut rig, act);
            prop_assert!(rig.committed.len() >= acknowledged);
            acknowledged = rig.committed.len();
        }
        for _ in 0..4 {
            rig.tick(35);
            rig.settle();
        }
        let reasons = rig.state.status(rig.now).reasons();
        prop_assert!(reasons.is_empty(), "{reasons:?}");
        let forgot = acts.iter().any(|act| matches!(act, Act::ForgetWatches));
        check(&rig, forgot)?;
    }
}
