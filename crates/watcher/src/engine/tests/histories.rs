//! Random histories with random deaths: nothing acknowledged is lost, nothing is invented, nothing is twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::json;
use vmrewind_model::{Change, ObjectKey, RawObject};

use super::{
    rig::{POD, Rig, SECRET, VM, rules},
    server::Server,
};
use crate::engine::{Action, Failure, Rules, Ticket};

#[derive(Clone, Debug)]
enum Act {
    Put(&'static str, u8, u8),
    Delete(&'static str, u8),
    Answer,
    /// On the oldest watch, or on the newest.
    Deliver(&'static str, bool),
    EndWatch(&'static str, bool, bool),
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
        10 => (plural(), any::<bool>()).prop_map(|(plural, newest)| Act::Deliver(plural, newest)),
        2 => (plural(), any::<bool>(), any::<bool>()).prop_map(|(plural, newest, clean)| Act::EndWatch(plural, newest, clean)),
        4 => Just(Act::Commit),
        1 => Just(Act::Crash),
        1 => Just(Act::ForgetWatches),
        3 => Just(Act::Tick),
    ]
}

fn pick(rig: &Rig, plural: &str, newest: bool) -> Option<Ticket> {
    let watches = rig.watches_of(&Rig::id(plural));
    if newest { watches.last().copied() } else { watches.first().copied() }
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
        Act::Deliver(plural, newest) => {
            if let Some(ticket) = pick(rig, plural, *newest)
                && rig.asked.iter().all(|asked| !matches!(asked, Action::Watch(_, of, ..) if *of == ticket))
            {
                rig.deliver_on(ticket);
            }
        }
        Act::EndWatch(plural, newest, clean) => {
            if let Some(ticket) = pick(rig, plural, *newest) {
                rig.end(ticket, if *clean { Ok(()) } else { Err(Failure::Unavailable("cut".into())) });
            }
        }
        Act::Commit => rig.commit(),
        Act::Crash => rig.crash_with(rig.rules.clone()),
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

/// `PROPTEST_CASES` asks for more histories than these.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(600), max_shrink_iters: 4_000, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_acknowledged_is_lost_nothing_invented_and_none_twice(
        acts in prop::collection::vec(acts(), 1..160),
        watch in prop_oneof![Just(3), Just(8), Just(50)],
    ) {
        let mut rig = Rig::with(Rules { watch_timeout: Duration::from_secs(watch), ..rules() });
        rig.start();
        rig.commit();
        let mut acknowledged = 0;
        for act in &acts {
            perform(&mut rig, act);
            prop_assert!(rig.committed.len() >= acknowledged);
            acknowledged = rig.committed.len();
        }
        // Nobody ends watches here, so that one may have been given up for silent at the very last.
        for seconds in [35, 35, 35, 35, 2] {
            rig.tick(seconds);
            rig.settle();
        }
        let reasons = rig.state.status(rig.now).reasons();
        prop_assert!(reasons.is_empty(), "{reasons:?}");
        let forgot = acts.iter().any(|act| matches!(act, Act::ForgetWatches));
        check(&rig, forgot)?;
    }
    #[test]
    fn while_each_watch_lives_until_the_next_one_has_taken_over_nothing_is_late(
        acts in prop::collection::vec(acts(), 1..160),
    ) {
        // Silence is no failure here, and what both watches bring the running one brings first: what the next one alone
        // brings is late, since the running one may have stalled.
        let patience = Duration::from_secs(10_000);
        let mut rig =
            Rig::with(Rules { watch_timeout: Duration::from_secs(3), request_timeout: patience, ..rules() });
        rig.start();
        let mut ticks = 0;
        for act in &acts {
            // What others are told of before is late as well: none may lag behind.
            if matches!(act, Act::Tick) {
                ticks += 1;
                for plural in [VM, SECRET, POD] {
                    for _ in 0..acts.len() {
                        perform(&mut rig, &Act::Deliver(plural, false));
                    }
                }
                for _ in 0..if ticks % 2 == 0 { 64 } else { 0 } {
                    perform(&mut rig, &Act::Answer);
                }
            }
            if let Act::Deliver(plural, true) = act {
                for _ in 0..acts.len() {
                    perform(&mut rig, &Act::Deliver(plural, false));
                }
            }
            if !matches!(act, Act::EndWatch(..) | Act::Crash | Act::ForgetWatches) {
                perform(&mut rig, act);
            }
        }
        rig.settle();
        for record in rig.records() {
            let machine = record.change.key().is_some_and(|key| key.object.kind == "VirtualMachine");
            prop_assert!(!machine || record.lo.is_none(), "{}", super::rig::line(record));
        }
        check(&rig, false)?;
    }
}
