//! The power state of a machine: created switched off, put back last.
//!
//! Does not: talk to KubeVirt.

use serde_json::Value;
use vmrewind_graph::{Presence, World as _, mutate};
use vmrewind_model::ObjectKey;

use crate::{
    json::{is_deleting, text},
    mutation::Mutation,
    options::RunStrategy,
    world::World,
};

/// What becomes of the power state of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Power {
    /// The object is created switched off.
    pub(crate) halt: bool,
    /// The object is a pool, and is created paused.
    pub(crate) pause: bool,
    /// The state that it ends with, where that is not the one after `halt` or as captured.
    pub(crate) set: Option<Mutation>,
    /// A start is asked for at the end.
    pub(crate) start: bool,
    /// What the user should know.
    pub(crate) warning: Option<String>,
}

/// Decides. `vm` is the sanitised machine, `was_running` whether its instance ran when it was captured.
///
/// With `Once` and `RerunOnFailure` KubeVirt boots a machine that has no instance, even if it had finished before it
/// was captured (`kubevirt/kubevirt: pkg/virt-controller/watch/vm/vm.go`); with `Manual` it waits to be asked.
pub(crate) fn decide(vm: &Value, wanted: &RunStrategy, was_running: bool) -> Power {
    let strategy = |strategy: &str| Some(Mutation::Power { to: mutate::Power::RunStrategy(strategy.to_owned()) });
    if let RunStrategy::Set(wanted) = wanted {
        return Power { halt: wanted != "Halted", set: strategy(wanted), ..Power::default() };
    }
    let captured = match mutate::power(vm) {
        mutate::Power::Unset | mutate::Power::Running(false) => return Power::default(),
        mutate::Power::Running(true) => {
            let set = Some(Mutation::Power { to: mutate::Power::Running(true) });
            return Power { halt: true, set, ..Power::default() };
        }
        mutate::Power::RunStrategy(captured) => captured,
    };
    match captured.as_str() {
        "Halted" => Power::default(),
        "Manual" => Power { halt: true, set: strategy("Manual"), start: was_running, ..Power::default() },
        // What gets its old strategy back from an annotation does not come here (rule receiver-run-strategy).
        "WaitAsReceiver" => Power {
            halt: true,
            warning: Some(
                "it was waiting to receive a migration that nobody sends any more, and nothing tells how it ran before: \
                 it is left Halted; choose --run-strategy yourself"
                    .to_owned(),
            ),
            ..Power::default()
        },
        "Once" | "RerunOnFailure" if !was_running => Power {
            halt: true,
            warning: Some(format!(
                "it was not running when it was captured, and run strategy {captured} would boot it: it is left Halted; \
                 set the strategy yourself, or choose --run-strategy={captured}"
            )),
            ..Power::default()
        },
        _ => Power { halt: true, set: strategy(&captured), ..Power::default() },
    }
}

/// Decides about a pool: it must own its machines before it counts them. Unpaused it would make others in the place
/// of those that it does not own yet, and with fewer replicas it would delete those that it owns
/// (`kubevirt/kubevirt: pkg/virt-controller/watch/pool/pool.go`).
pub(crate) fn decide_pool(pool: &Value) -> Power {
    let paused = pool["spec"].get("paused").and_then(Value::as_bool);
    if paused == Some(true) {
        return Power::default();
    }
    Power { pause: true, set: Some(Mutation::Paused { to: paused }), ..Power::default() }
}

/// Tells whether the machine's instance ran at the instant.
pub(crate) fn was_running(world: &World, vm: &ObjectKey) -> bool {
    let instance = ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &vm.namespace, &vm.name);
    match world.get(&instance) {
        Presence::Present(instance) => is_running(instance),
        Presence::Absent => false,
        Presence::Withheld | Presence::Unknown => {
            world.value(vm).is_some_and(|vm| text(vm, "status.printableStatus") == "Running")
        }
    }
}

/// Tells whether an instance runs or is about to.
pub(crate) fn is_running(instance: &Value) -> bool {
    !is_deleting(instance) && !matches!(text(instance, "status.phase"), "Succeeded" | "Failed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(strategy: &str, was_running: bool) -> Power {
        decide(&json!({"spec": {"runStrategy": strategy}}), &RunStrategy::Keep, was_running)
    }

    fn running(running: bool) -> Option<Mutation> {
        Some(Mutation::Power { to: mutate::Power::Running(running) })
    }

    fn strategy(strategy: &str) -> Option<Mutation> {
        Some(Mutation::Power { to: mutate::Power::RunStrategy(strategy.into()) })
    }

    #[test]
    fn a_machine_that_was_always_on_is_created_off_and_switched_on_last() {
        let power = of("Always", true);
        assert!(power.halt && !power.start);
        assert_eq!(power.set, strategy("Always"));
    }

    #[test]
    fn a_halted_machine_needs_nothing() {
        assert_eq!(of("Halted", false), Power::default());
    }

    #[test]
    fn running_goes_back_into_the_field_it_came_from() {
        let power = decide(&json!({"spec": {"running": true}}), &RunStrategy::Keep, true);
        assert_eq!(power.set, running(true));
        assert_eq!(decide(&json!({"spec": {"running": false}}), &RunStrategy::Keep, false), Power::default());
    }

    #[test]
    fn an_override_wins_and_takes_the_place_of_running() {
        let power = decide(&json!({"spec": {"running": true}}), &RunStrategy::Set("Halted".into()), true);
        assert_eq!((power.halt, power.set), (false, strategy("Halted")));
        let power = decide(&json!({"spec": {"runStrategy": "Halted"}}), &RunStrategy::Set("Always".into()), false);
        assert_eq!((power.halt, power.set), (true, strategy("Always")));
    }

    #[test]
    fn a_manual_machine_is_started_only_if_it_ran() {
        assert!(of("Manual", true).start);
        let power = of("Manual", false);
        assert!(!power.start && power.set == strategy("Manual"));
    }

    #[test]
    fn a_machine_that_waited_for_a_migration_of_unknown_origin_is_left_halted_with_a_warning() {
        let power = of("WaitAsReceiver", true);
        assert!(power.halt && power.set.is_none() && !power.start, "{power:?}");
        assert!(power.warning.expect("a warning").contains("--run-strategy"));
    }

    #[test]
    fn a_machine_that_had_finished_is_not_booted_again() {
        for name in ["Once", "RerunOnFailure"] {
            let power = of(name, false);
            assert!(power.halt && power.set.is_none() && power.warning.is_some());
            assert_eq!(of(name, true).set, strategy(name));
        }
    }
}
