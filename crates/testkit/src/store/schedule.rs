//! Which call fails, and how.
//!
//! Does not: carry failures out; see [`super::FaultyStore`].

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Notify;

use super::Script;

/// What a store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Store an object.
    Put,
    /// Read an object, or a part of it.
    Get,
    /// Ask whether an object is there, and how large it is.
    Head,
    /// List names.
    List,
    /// Delete an object.
    Delete,
}

/// How a call fails.
#[derive(Clone, Debug)]
pub enum How {
    /// An error comes back, and nothing was done.
    Before,
    /// Everything was done, and an error comes back.
    After,
    /// Only so many bytes arrive: of a put, which then reports an error; of a get, which does not. A list leaves out so
    /// many of its last names.
    Torn(usize),
    /// Nothing is done until somebody notifies.
    Slow(Arc<Notify>),
    /// Everything is done, and no answer ever comes.
    LostAnswer,
    /// Somebody else stores these bytes under the name first.
    Race(Bytes),
    /// Nothing is done, and the service answers with this HTTP status.
    Status(u16),
    /// Everything is done, or nothing, and in place of an answer there is an error after so long.
    TimedOut {
        /// Whether it is done.
        done: bool,
        /// After how long.
        after: Duration,
    },
}

/// One failure: the `nth` (from 0) of the matching calls fails, once.
#[derive(Clone, Debug)]
pub struct Fault {
    call: Option<Call>,
    prefix: String,
    nth: u64,
    how: How,
}

impl Fault {
    /// The `nth` (from 0) of all calls fails.
    #[must_use]
    pub fn any(nth: u64, how: How) -> Self {
        Self { call: None, prefix: String::new(), nth, how }
    }

    /// The `nth` (from 0) of the calls of one kind fails.
    #[must_use]
    pub fn on(call: Call, nth: u64, how: How) -> Self {
        Self { call: Some(call), prefix: String::new(), nth, how }
    }

    /// Only calls for names with this prefix count.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }
}

/// The failures that are still to come, and the calls that came.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    faults: Vec<Fault>,
    script: Option<Script>,
    pub(super) calls: Vec<(Call, String)>,
    /// What was stored, each with the number of calls before it.
    stored: Vec<(String, usize)>,
}

impl Schedule {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
        self.script = None;
    }

    pub(super) fn follow(&mut self, script: Script) {
        self.script = Some(script);
    }

    /// Notes that a name was stored, or perhaps.
    pub(super) fn stored(&mut self, name: &str) {
        if self.stored.iter().all(|(known, _)| known != name) {
            self.stored.push((name.to_owned(), self.calls.len()));
        }
    }

    /// Tells whether a name was stored within the last `calls` calls.
    pub(super) fn is_news(&self, name: &str, calls: usize) -> bool {
        self.stored.iter().any(|(known, at)| known == name && at + calls > self.calls.len())
    }

    /// Notes a call, and returns how it fails, if it does. Of several failures due at once, the first wins.
    pub(super) fn next(&mut self, call: Call, name: &str) -> Option<How> {
        self.calls.push((call, name.to_owned()));
        let mut due = None;
        for (n, fault) in self.faults.iter_mut().enumerate() {
            if fault.call.is_some_and(|only| only != call) || !name.starts_with(&fault.prefix) {
                continue;
            }
            match fault.nth.checked_sub(1) {
                Some(left) => fault.nth = left,
                None => due = due.or(Some(n)),
            }
        }
        let due = due.map(|n| self.faults.remove(n).how);
        due.or_else(|| self.script.as_mut()?.next(call))
    }
}
