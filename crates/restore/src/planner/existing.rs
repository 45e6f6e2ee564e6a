//! What to do about an object, given what is live in its place.
//!
//! Does not: make the object.

use serde_json::Value;
use vmrewind_graph as graph;
use vmrewind_model::ObjectKey;

use super::Draft;
use crate::{
    conflict,
    error::RestoreError,
    json::{is_deleting, text, uid},
    options::{OnConflict, RunningVm},
    plan::{Action, LiveRef, RefusalKind, Step},
    power::{self, Power},
    realise::digest,
    view::Seen,
};

impl Draft<'_> {
    /// Decides what to do about an object, given what is live. None if the step was added already.
    pub(super) fn action(
        &mut self,
        key: &ObjectKey,
        place: &ObjectKey,
        object: &Value,
        keep: bool,
        power: &Power,
    ) -> Result<Option<Decided>, RestoreError> {
        let live = match self.view.objects.get(place) {
            None => return Err(RestoreError::Bug(format!("{place} was not looked for in the target"))),
            Some(Seen::Unreadable(reason)) => {
                self.note(key, Action::Refuse, format!("it could not be read: {reason}"));
                let message = format!("{place} could not be read: {reason}");
                self.refuse(RefusalKind::Unreadable, place, message, "Grant the right to read it, or exclude it.");
                return Ok(None);
            }
            Some(Seen::Absent) => return Ok(Some(Decided::new(self.step(key), Action::Create))),
            Some(Seen::Present(live)) => live,
        };
        if is_deleting(live) {
            self.note(key, Action::Refuse, "the live object is being deleted");
            let message = format!("{place} is being deleted");
            self.refuse(RefusalKind::BeingDeleted, place, message, "Wait until it is gone, then plan again.");
            return Ok(None);
        }
        // What a live machine without a UUID shows to its guest is the one derived from its name.
        let mut seen = live.clone();
        graph::mutate::fill_legacy_firmware_uuid(&mut seen, &place.name);
        let paths = conflict::compare(object, &seen);
        let mut decided = Decided::new(self.step(key), Action::Unchanged);
        decided.power = PowerOf::Object;
        decided.step.live = Some(live_ref(live, true)?);
        if paths.is_empty() {
            return Ok(Some(decided));
        }
        let differs = format!("differs at {}", shown(&paths));
        if keep {
            self.note(key, Action::Keep, format!("it exists and is used as it is; it {differs}"));
            return Ok(None);
        }
        match self.request.on_conflict {
            OnConflict::Skip => {
                self.note(key, Action::Skip, format!("conflict: it exists and {differs}; it stays as it is"));
                return Ok(None);
            }
            OnConflict::Fail => {
                self.note(key, Action::Refuse, format!("it exists and {differs}"));
                let message = format!("{place} exists and {differs}");
                let hint =
                    "Choose --on-conflict=skip to leave it, or --on-conflict=replace to bring back the captured state.";
                self.refuse(RefusalKind::Conflict, place, message, hint);
                return Ok(None);
            }
            OnConflict::Replace => {}
        }
        if let Some(path) = conflict::immutable(place, &paths, live) {
            if place.is("apps", "ControllerRevision") {
                decided.action = Action::Recreate;
                decided.step.notes.push(format!("{path} cannot be changed, so it is deleted and created again"));
                return Ok(Some(decided));
            }
            self.note(key, Action::Refuse, format!("{path} differs and cannot be changed"));
            let message = format!("{place}: {path} differs and cannot be changed in place");
            self.refuse(
                RefusalKind::Immutable,
                place,
                message,
                "Choose --on-conflict=skip, or delete the object yourself.",
            );
            return Ok(None);
        }
        if let Some((what, name)) = busy(place, live) {
            self.note(key, Action::Refuse, format!("{what} {name} is working on it"));
            let message = format!("{place} differs, and KubeVirt refuses changes while {what} {name} works on it");
            self.refuse(
                RefusalKind::Busy,
                place,
                message,
                format!("Wait until {what} {name} has ended, then plan again."),
            );
            return Ok(None);
        }
        decided.action = Action::Replace;
        let runs = place.is("kubevirt.io", "VirtualMachine") && self.runs(place);
        decided.step.effects = conflict::effects(place, &paths, runs && self.request.running == RunningVm::Live);
        match (runs, self.request.running) {
            (true, RunningVm::Refuse) => {
                self.note(key, Action::Refuse, "it is running");
                let message = format!("{place} is running and {differs}");
                let hint = "Add --live to replace it while it runs, or --stop to stop it first.";
                self.refuse(RefusalKind::RunningVm, place, message, hint);
                return Ok(None);
            }
            (true, RunningVm::Live) => {
                decided.step.notes.push("it is replaced while it runs".to_owned());
            }
            (true, RunningVm::Stop) => {
                let mut stop = self.step(key);
                stop.action = Action::Stop;
                stop.source = None;
                stop.live = Some(live_ref(live, false)?);
                self.out.steps.push(stop);
                decided.power = PowerOf::Last;
            }
            (false, _) if power.halt || power.pause => decided.power = PowerOf::Last,
            (false, _) => {}
        }
        Ok(Some(decided))
    }

    /// Tells whether the machine runs in the target.
    fn runs(&self, place: &ObjectKey) -> bool {
        let instance = ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &place.namespace, &place.name);
        self.view.live(&instance).is_some_and(power::is_running)
    }
}

/// Names the operation of KubeVirt that bars changes to a machine, if there is one
/// (`kubevirt/kubevirt: pkg/storage/admitters/vm-storage-status.go`).
fn busy<'a>(place: &ObjectKey, live: &'a Value) -> Option<(&'static str, &'a str)> {
    let operations = [
        ("VirtualMachineSnapshot", text(live, "status.snapshotInProgress")),
        ("VirtualMachineRestore", text(live, "status.restoreInProgress")),
    ];
    let machine = place.is("kubevirt.io", "VirtualMachine");
    operations.into_iter().find(|(_, name)| machine && !name.is_empty())
}

/// What to do about an object.
pub(super) struct Decided {
    pub(super) step: Step,
    pub(super) action: Action,
    pub(super) power: PowerOf,
}

/// When the power state is put back.
pub(super) enum PowerOf {
    /// In a step of its own, last.
    Last,
    /// With the object itself.
    Object,
}

impl Decided {
    fn new(step: Step, action: Action) -> Self {
        Self { step, action, power: PowerOf::Last }
    }
}

fn live_ref(live: &Value, compared: bool) -> Result<LiveRef, RestoreError> {
    let digest = if compared { Some(digest(&graph::comparable(live))?) } else { None };
    Ok(LiveRef { uid: uid(live).to_owned(), digest })
}

/// Names the first few paths.
pub(super) fn shown(paths: &[String]) -> String {
    let first = paths.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > 3 { format!("{first} and {} more", paths.len() - 3) } else { first }
}
