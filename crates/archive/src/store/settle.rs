//! Creating with certainty: what became of a create whose answer says nothing is found out by reading.
//!
//! Does not: send other bytes than the first time, or decide what it means that somebody else was faster.

use std::time::Duration;

use bytes::Bytes;

use super::{Created, LARGEST, Store};
use crate::ArchiveError;

/// How often the same bytes are sent within one call, before the caller may back off.
pub(crate) const ATTEMPTS: u32 = 3;

/// What stands under a name after an attempt to create it.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Our bytes, and they are durable.
    Ours,
    /// Somebody else's bytes.
    Theirs(Bytes),
    /// Nothing, and why.
    Nothing(ArchiveError),
}

impl Store {
    /// Tries once to create an object, and finds out what stands under its name then.
    ///
    /// # Errors
    /// As [`Self::create`], and those of reading: then it is not known what stands there.
    pub(crate) async fn settle_once(&self, name: &str, bytes: &Bytes) -> Result<Settled, ArchiveError> {
        let unknown = match self.create(name, bytes.clone()).await? {
            Created::Yes => return Ok(Settled::Ours),
            Created::Exists => None,
            Created::Unknown(error) => Some(error),
        };
        match self.get(name, LARGEST).await? {
            Some(found) if found == *bytes => {
                self.make_durable(name).await?;
                Ok(Settled::Ours)
            }
            Some(found) => Ok(Settled::Theirs(found)),
            None => Ok(Settled::Nothing(unknown.unwrap_or_else(|| {
                let source = "it says that the name is taken, but nothing is there".into();
                ArchiveError::Unavailable { what: format!("create {name}"), source }
            }))),
        }
    }

    /// Creates an object, in a few attempts; returns what else stands under its name.
    ///
    /// # Errors
    /// As [`Self::settle_once`], and [`ArchiveError::Unavailable`] if nothing stands there after the last attempt.
    pub(crate) async fn settle(&self, name: &str, bytes: &Bytes) -> Result<Option<Bytes>, ArchiveError> {
        let mut failures = 0;
        loop {
            match self.settle_once(name, bytes).await? {
                Settled::Ours => return Ok(None),
                Settled::Theirs(found) => return Ok(Some(found)),
                Settled::Nothing(error) => {
                    failures += 1;
                    if failures == ATTEMPTS {
                        return Err(error);
                    }
                    self.rest(failures).await;
                }
            }
        }
    }

    /// Waits before a create is tried once more, after so many failures (from 1).
    pub(crate) async fn rest(&self, failures: u32) {
        if let Some(pause) = self.patience.pause(failures, Duration::ZERO) {
            tokio::time::sleep(pause).await;
        }
    }
}
