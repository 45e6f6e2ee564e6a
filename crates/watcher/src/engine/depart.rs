//! Objects that leave a watch with a label selector: deleted, or only without the label?
//!
//! Does not: believe the watch, which says "deleted" for both.

use std::time::Duration;

use vmrewind_model::{ObjectKey, RawObject, ResourceId};

use super::{
    State,
    io::{Action, Failure, Out, Ticket},
    objects::End,
    resource::{Departure, Trouble},
};

/// A GET that decides is tried again after this long.
const RETRY: Duration = Duration::from_secs(2);

impl State {
    /// An object left a watch that has a selector: a GET decides whether it was deleted.
    pub(super) fn depart(&mut self, out: &mut Out, id: &ResourceId, key: ObjectKey, mut departure: Departure) {
        let ticket = self.ticket();
        departure.ticket = Some(ticket);
        let Some(resource) = self.resources.get_mut(id) else { return };
        resource.departures.insert(key.clone(), departure);
        out.act(Action::Get(id.clone(), ticket, key));
    }

    /// Something arrives under the key of an object that left: that decides it as well.
    pub(super) fn returned(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        key: &ObjectKey,
        uid: &str,
        rv: vmrewind_model::Rv,
    ) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        if resource.departures.get(key).is_some_and(|departure| departure.rv < rv)
            && let Some(departure) = resource.departures.remove(key)
        {
            let exists = departure.uid == uid;
            self.departed(out, id, key, departure, exists);
        }
    }

    pub(super) fn departed(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        key: &ObjectKey,
        departure: Departure,
        exists: bool,
    ) {
        let Departure { uid, rv, object, lo, .. } = departure;
        if exists {
            self.unobserve(out, key, rv, "it left the selector of its watch", lo);
        } else if let Some(object) = object {
            self.delete(out, id, End { key, uid: &uid, rv: Some(rv), object: Some(object), lo });
        } else {
            self.infer_deletion(out, id, key, rv, lo);
        }
    }

    /// Takes the GET that decides a departure; false if it is none.
    pub(super) fn departure_fetched(
        &mut self,
        out: &mut Out,
        id: &ResourceId,
        ticket: Ticket,
        key: &ObjectKey,
        result: &Result<Option<RawObject>, Failure>,
    ) -> bool {
        let Some(resource) = self.resources.get_mut(id) else { return false };
        let Some(departure) = resource.departures.get_mut(key).filter(|departure| departure.ticket == Some(ticket))
        else {
            return false;
        };
        match result {
            Ok(object) => {
                let head = object.as_ref().and_then(|object| object.head().ok());
                let exists = head.is_some_and(|head| head.uid == departure.uid);
                if let Some(departure) = resource.departures.remove(key) {
                    self.departed(out, id, key, departure, exists);
                }
            }
            Err(failure) => {
                departure.ticket = None;
                departure.retry = out.now.plus(RETRY);
                if let Failure::Forbidden(what) = failure {
                    resource.trouble = Some(Trouble::Denied(what.clone()));
                }
            }
        }
        true
    }
}
