//! A work queue like the one of every Kubernetes controller: a key is never worked on twice at once, and a
//! key that changes while it is worked on is worked on again.
//!
//! Does not: order keys beyond first come, first served.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::kinds::Key;

#[derive(Debug, Default)]
struct Lanes {
    waiting: VecDeque<Key>,
    queued: HashSet<Key>,
    working: HashSet<Key>,
}

/// Keys to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    // A lock rather than a channel: adding must see what is already waiting.
    lanes: Mutex<Lanes>,
    added: Notify,
}

impl Queue {
    /// Adds a key, unless it is waiting already.
    pub(crate) fn add(&self, key: Key) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.queued.insert(key.clone()) && !lanes.working.contains(&key) {
            lanes.waiting.push_back(key);
            self.added.notify_one();
        }
    }

    /// Waits for a key and takes it; give it back with [`Self::done`].
    pub(crate) async fn take(&self) -> Key {
        loop {
            let added = self.added.notified();
            if let Some(key) = self.try_take() {
                return key;
            }
            added.await;
        }
    }

    fn try_take(&self) -> Option<Key> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = lanes.waiting.pop_front()?;
        lanes.queued.remove(&key);
        lanes.working.insert(key.clone());
        if !lanes.waiting.is_empty() {
            self.added.notify_one();
        }
        Some(key)
    }

    /// Ends the work on a key.
    pub(crate) fn done(&self, key: &Key) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.working.remove(key);
        if lanes.queued.contains(key) {
            lanes.waiting.push_back(key.clone());
            self.added.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Kind;
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(Kind::Vm, "prod", name)
    }

    #[test]
    fn a_key_added_twice_is_taken_once() {
        let queue = Queue::default();
        queue.add(key("a"));
        queue.add(key("a"));
        assert_eq!(queue.try_take(), Some(key("a")));
        assert_eq!(queue.try_take(), None);
    }

    #[test]
    fn a_key_added_while_it_is_worked_on_is_taken_again_once_that_is_done() {
        let queue = Queue::default();
        queue.add(key("a"));
        assert_eq!(queue.try_take(), Some(key("a")));
        queue.add(key("a"));
        assert_eq!(queue.try_take(), None);
        queue.done(&key("a"));
        assert_eq!(queue.try_take(), Some(key("a")));
    }
}
