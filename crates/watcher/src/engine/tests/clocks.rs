//! Times that cannot be trusted, and times in which nobody looked.

use std::time::Duration;

use serde_json::json;
use vmrewind_model::Rv;

use super::rig::{POD, Rig, VM, at};
use crate::engine::{Action, Input, Moment, Probe, step};

#[test]
fn a_clock_ahead_of_the_servers_or_behind_it_stops_everything_until_it_is_right() {
    for (side, date) in
        [("ahead", at(2).minus(Duration::from_secs(61))), ("behind", at(2).plus(Duration::from_secs(61)))]
    {
        let mut rig = Rig::started();
        rig.server.put("VirtualMachine", "a", json!({}));
        rig.tick(2);
        rig.date = Some(date);
        rig.end_watch(&Rig::id(POD), Ok(()));
        while rig.answer() {}
        assert!(rig.watches.is_empty());
        assert!(!rig.state.may_commit());
        let reasons = rig.state.status(rig.now).reasons();
        assert!(reasons.iter().any(|reason| reason.starts_with("clock") && reason.contains(side)), "{reasons:?}");
        assert!(rig.lines().is_empty());
        rig.date = Some(rig.now);
        rig.tick(6);
        rig.settle();
        assert!(rig.state.may_commit());
        assert_eq!(rig.lines(), ["A VirtualMachine/a 101 late"]);
    }
}

#[test]
fn an_answer_that_comes_while_the_clock_is_wrong_is_no_record_and_is_asked_for_again() {
    let mut rig = Rig::started();
    rig.server.put("Secret", "s", json!({}));
    rig.server.put("VirtualMachine", "a", json!({"secrets": ["s"]}));
    rig.deliver(&Rig::id(VM));
    let asked = rig.asked.iter().position(|asked| matches!(asked, Action::Get(..))).expect("its Secret is asked for");
    let get = rig.asked.remove(asked).expect("there");
    rig.tick(2);
    rig.date = Some(rig.now.minus(Duration::from_secs(3_600)));
    rig.end_watch(&Rig::id(POD), Ok(()));
    while rig.answer() {}
    assert!(!rig.state.may_commit());
    let before = rig.lines();
    rig.asked.push_back(get);
    for _ in 0..4 {
        while rig.answer() {}
        rig.tick(1);
    }
    assert_eq!(rig.lines(), before, "nothing is recorded at such a time");
    rig.date = Some(rig.now);
    rig.tick(30);
    rig.settle();
    assert!(rig.state.may_commit());
    assert!(rig.lines().iter().any(|line| line.contains("Secret/s")), "{:?}", rig.lines());
}

#[test]
fn after_a_standstill_no_time_is_trusted_until_the_server_has_told_its() {
    let mut rig = Rig::started();
    rig.now = rig.now.plus(Duration::from_secs(120));
    rig.input(Input::Tick);
    assert!(!rig.state.may_commit());
    rig.date = Some(rig.now);
    rig.settle();
    assert!(rig.state.may_commit());
}

#[test]
fn what_happened_while_the_process_stood_still_is_late() {
    let mut rig = Rig::started();
    rig.tick(1);
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.now = rig.now.plus(Duration::from_secs(33));
    rig.deliver(&Rig::id(VM));
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101 late"]);
    assert!(rig.records()[0].lo <= Some(at(1)));
    assert!(rig.state.status(rig.now).reasons().is_empty());
}

#[test]
fn a_version_that_was_asked_for_before_a_standstill_does_not_count_after_it() {
    let mut rig = Rig::started();
    rig.tick(2);
    rig.end_watch(&Rig::id(VM), Ok(()));
    let Some(Action::Probe(id, ticket)) = rig.asked.pop_front() else { panic!("a probe") };
    let probe = Probe { rv: Rv(rig.server.rv), date: None, asked: rig.now };
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.now = rig.now.plus(Duration::from_secs(33));
    rig.input(Input::Probed(id, ticket, Ok(probe)));
    rig.settle();
    assert_eq!(rig.lines(), ["A VirtualMachine/a 101 late"]);
}

#[test]
fn a_clock_that_is_set_back_stops_no_timer_and_records_go_on_after_all_proof() {
    let mut rig = Rig::started();
    rig.server.put("VirtualMachine", "a", json!({}));
    rig.tick(30);
    rig.settle();
    let proven = rig.entry(VM).proven_at.expect("proven");
    // The wall clock goes back by forty seconds; time passes on.
    let back = Duration::from_secs(40);
    for _ in 0..20 {
        rig.now = rig.now.plus(Duration::from_secs(1));
        let wall = rig.now.minus(back);
        for action in step(&mut rig.state, Input::Tick, Moment { steady: rig.now, wall, arrived: wall }) {
            assert!(!matches!(action, Action::Record(_)), "{action:?}");
            rig.asked.push_back(action);
        }
    }
    assert!(rig.asked.iter().any(|action| matches!(action, Action::Probe(..))), "watches are renewed in time");
    rig.server.put("VirtualMachine", "a", json!({"x": 1}));
    let (id, wall) = (Rig::id(VM), rig.now.minus(back));
    let ticket = rig.watch_of(&id);
    let event = rig.server.events(&id, 101).pop_front().expect("one").1;
    let moment = Moment { steady: rig.now, wall, arrived: wall };
    let actions = step(&mut rig.state, Input::Watched(id, ticket, event), moment);
    let Some(Action::Record(record)) = actions.first() else { panic!("{actions:?}") };
    assert!(record.t > proven, "what was proven stays as it was");
    assert!(record.t.since(wall) < Duration::from_secs(60), "and never more than a minute ahead");
}

#[test]
fn what_arrived_before_something_else_was_recorded_proves_nothing_of_later() {
    let mut rig = Rig::started();
    rig.tick(1);
    let (id, arrived) = (Rig::id(VM), rig.now);
    let ticket = rig.watch_of(&id);
    rig.now = rig.now.plus(Duration::from_millis(40));
    rig.input(Input::Heartbeat);
    rig.now = rig.now.plus(Duration::from_millis(10));
    rig.server.rv = 200;
    let bookmark = crate::engine::Event::Bookmark(Rv(200));
    let moment = Moment { steady: rig.now, wall: rig.now, arrived };
    step(&mut rig.state, Input::Watched(id, ticket, bookmark), moment);
    assert_eq!(rig.entry(VM).proven_at, Some(arrived));
}
