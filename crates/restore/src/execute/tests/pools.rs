//! Pools: paused until they own their machines.

use vmrewind_testkit::build::pool;

use super::*;

fn owned() -> Vec<Build> {
    let pool = pool("web").uid("old-pool");
    let machine = |name: &str| vm(name).owned_by(&pool);
    vec![machine("web-0"), machine("web-1"), pool]
}

fn paused(stage: &Stage) -> serde_json::Value {
    stage.fake.live(&key("VirtualMachinePool/web")).expect("there")["spec"]["paused"].clone()
}

#[test]
fn a_pool_is_created_paused_gets_its_machines_and_goes_on_last() {
    let stage = Stage::of(Scene::captured(owned()).roots(&["VirtualMachinePool/web"]));
    assert!(stage.plan.refusals.is_empty(), "{}", shown(&stage.plan));
    let outcome = stage.execute().expect("executed");
    assert!(outcome.verification.is_good(), "{:?}", outcome.verification);
    let log = stage.fake.log();
    let at =
        |line: &str| log.iter().position(|one| one.starts_with(line)).unwrap_or_else(|| panic!("{line} in {log:?}"));
    let owned = at("patch VirtualMachine.kubevirt.io/prod/web-0");
    let goes_on = at("patch VirtualMachinePool.pool.kubevirt.io/prod/web");
    assert!(at("create VirtualMachinePool.pool.kubevirt.io/prod/web") < owned && owned < goes_on, "{log:?}");
    let uid = stage.fake.live(&key("VirtualMachinePool/web")).expect("there")["metadata"]["uid"].clone();
    for name in ["VirtualMachine/web-0", "VirtualMachine/web-1"] {
        let machine = stage.fake.live(&key(name)).expect("there");
        assert_eq!(machine["metadata"]["ownerReferences"][0]["uid"], uid);
    }
    assert!(paused(&stage).is_null(), "as captured");
}

#[test]
fn a_pool_whose_restore_is_cut_stays_paused_and_makes_nothing() {
    let stage = Stage::of(Scene::captured(owned()).roots(&["VirtualMachinePool/web"]));
    let before_power = stage.plan.writes().filter(|step| step.action != Action::Power).count();
    stage.stop_after.store(before_power, Ordering::Relaxed);
    assert_eq!(stage.execute().expect_err("stopped").kind(), ErrorKind::Cancelled);
    assert_eq!(paused(&stage), true);
}

#[test]
fn a_pool_that_was_paused_stays_paused() {
    let mut objects = owned();
    let pool = objects.pop().expect("the pool").set("spec.paused", true);
    objects.push(pool);
    let stage = Stage::of(Scene::captured(objects).roots(&["VirtualMachinePool/web"]));
    assert!(!stage.plan.steps.iter().any(|step| step.action == Action::Power), "{}", shown(&stage.plan));
    assert!(stage.execute().expect("executed").verification.is_good());
    assert_eq!(paused(&stage), true);
}

#[test]
fn an_undo_pauses_the_pool_before_it_takes_its_machines_away() {
    let stage = Stage::of(Scene::captured(owned()).roots(&["VirtualMachinePool/web"]));
    stage.execute().expect("executed");
    let before = stage.fake.log().len();
    let outcome = stage.undo();
    assert!(outcome.left.is_empty(), "{outcome:?}");
    let log = stage.fake.log()[before..].to_vec();
    assert_eq!(log[0], "patch VirtualMachinePool.pool.kubevirt.io/prod/web", "{log:?}");
    assert!(stage.fake.live(&key("VirtualMachinePool/web")).is_none());
}
