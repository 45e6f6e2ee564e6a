//! The journal: what was about to be done, what was done, and what was there before. Written before and after
//! each step, synced to disk, readable by its owner only.
//!
//! The file is JSON lines: first a header with the whole plan, then one entry per line
//! (`spec/schemas/journal.schema.json`). A torn last line, as a crash leaves it, is cut off when it is opened.
//!
//! Does not: know what a step means.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vmrewind_model::{Digest, ObjectKey, Timestamp};

use crate::{
    error::RestoreError,
    key_text,
    plan::{API_VERSION, RestorePlan},
    time_text,
};

#[cfg(test)]
mod tests;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalHeader {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `RestoreJournal`.
    pub kind: String,
    /// When it was begun.
    #[serde(with = "time_text")]
    pub created: Timestamp,
    /// The plan that is carried out.
    pub plan: RestorePlan,
}

/// A further line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    #[serde(with = "time_text")]
    pub t: Timestamp,
    /// Which step of the plan.
    pub step: u32,
    /// Which object.
    #[serde(with = "key_text")]
    pub key: ObjectKey,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// It is about to be done, or, if it is done already, about to be taken back.
    Intent {
        /// The live object before, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Value>,
    },
    /// It is done.
    Done {
        /// Uid of the object.
        uid: String,
        /// Its resource version after it.
        resource_version: String,
        /// Digest of its comparable form after it.
        digest: Option<Digest>,
        /// What is worth knowing, for example the server's warnings.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// It failed, and certainly changed nothing.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was taken back.
    Undone {
        /// How.
        note: String,
    },
}

/// How far a step has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progressed {
    /// Not begun, or failed with certainty.
    Open,
    /// Begun, and nothing is known of its end.
    Begun,
    /// Done.
    Done,
    /// Taken back.
    Undone,
}

/// A journal that is open for writing. Only one process can have it open.
pub struct Journal {
    path: PathBuf,
    file: File,
    header: JournalHeader,
    entries: Vec<Entry>,
    /// Places in `entries`, by step.
    of_step: BTreeMap<u32, Vec<usize>>,
    /// A write failed: the last line may be torn.
    torn: bool,
}

impl Journal {
    /// Begins a journal in a new file.
    ///
    /// # Errors
    /// [`RestoreError::File`] if the file exists or cannot be written.
    pub fn create(path: &Path, plan: &RestorePlan, now: Timestamp) -> Result<Self, RestoreError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let at = |source| RestoreError::File { path: path.to_owned(), source };
        let file = fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(path).map_err(at)?;
        let header = JournalHeader {
            api_version: API_VERSION.to_owned(),
            kind: "RestoreJournal".to_owned(),
            created: now,
            plan: plan.clone(),
        };
        lock(&file, path)?;
        let mut journal =
            Self { path: path.to_owned(), file, header, entries: Vec::new(), of_step: BTreeMap::new(), torn: false };
        let line = serde_json::to_string(&journal.header).map_err(|error| RestoreError::Bug(error.to_string()))?;
        journal.write(&line)?;
        // The name must survive a crash as well.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(at)?;
        Ok(journal)
    }

    /// Opens a journal to go on with it or to take it back.
    ///
    /// # Errors
    /// [`RestoreError::File`] if it cannot be read or another process has it open, [`RestoreError::Format`] if it is
    /// no journal or damaged other than by a torn last line.
    pub fn open(path: &Path) -> Result<Self, RestoreError> {
        let at = |source| RestoreError::File { path: path.to_owned(), source };
        let bad = |reason: String| RestoreError::Format { path: path.to_owned(), reason };
        let file = fs::OpenOptions::new().append(true).read(true).open(path).map_err(at)?;
        // Before it is read: what another process writes must not be cut off.
        lock(&file, path)?;
        let text = fs::read(path).map_err(at)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let text = std::str::from_utf8(&text[..whole]).map_err(|error| bad(error.to_string()))?;
        let mut lines = text.lines();
        let first = lines.next().ok_or_else(|| bad("it is empty".to_owned()))?;
        let header: JournalHeader = serde_json::from_str(first).map_err(|_| bad("it is no journal".to_owned()))?;
        if header.api_version != API_VERSION || header.kind != "RestoreJournal" {
            return Err(bad(format!(
                "expected {API_VERSION} RestoreJournal, found {} {}",
                header.api_version, header.kind
            )));
        }
        let entry =
            |(number, line)| serde_json::from_str(line).map_err(|_| bad(format!("line {} is no entry", number + 2)));
        let entries = lines.enumerate().map(entry).collect::<Result<Vec<Entry>, _>>()?;
        let mut of_step: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            of_step.entry(entry.step).or_default().push(place);
        }
        let journal = Self { path: path.to_owned(), file, header, entries, of_step, torn: false };
        let length = u64::try_from(whole).map_err(|_| bad("it is too long".to_owned()))?;
        journal.file.set_len(length).map_err(at)?;
        Ok(journal)
    }

    /// Returns the plan that is carried out.
    #[must_use]
    pub fn plan(&self) -> &RestorePlan {
        &self.header.plan
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// Returns the entries so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the entries about a step, in order.
    fn of(&self, step: u32) -> impl DoubleEndedIterator<Item = &Entry> {
        let places = self.of_step.get(&step).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.entries.get(*place))
    }

    /// Tells how far a step has come.
    pub(crate) fn progressed(&self, step: u32) -> Progressed {
        self.of(step).fold(Progressed::Open, |before, entry| {
            match entry.event {
                // About to be taken back: it is done until that has happened.
                Event::Intent { .. } if before == Progressed::Done => Progressed::Done,
                Event::Intent { .. } => Progressed::Begun,
                Event::Done { .. } => Progressed::Done,
                Event::Failed { .. } => Progressed::Open,
                Event::Undone { .. } => Progressed::Undone,
            }
        })
    }

    /// Returns the object that was there before a step first began, if there was one.
    pub(crate) fn previous(&self, step: u32) -> Option<&Value> {
        self.of(step).find_map(|entry| match &entry.event {
            Event::Intent { previous } => Some(previous.as_ref()),
            _ => None,
        })?
    }

    /// Returns uid and digest that a step left.
    pub(crate) fn result(&self, step: u32) -> Option<(&str, Option<Digest>)> {
        self.of(step).rev().find_map(|entry| match &entry.event {
            Event::Done { uid, digest, .. } => Some((uid.as_str(), *digest)),
            _ => None,
        })
    }

    /// Writes an entry and syncs it to disk before returning.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<(), RestoreError> {
        let line = serde_json::to_string(&entry).map_err(|error| RestoreError::Bug(error.to_string()))?;
        self.write(&line)?;
        self.of_step.entry(entry.step).or_default().push(self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    fn write(&mut self, line: &str) -> Result<(), RestoreError> {
        let at = |source| RestoreError::File { path: self.path.clone(), source };
        if self.torn {
            return Err(at(std::io::Error::other("an earlier entry could not be written")));
        }
        let written = self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_data());
        // Part of the line may be there: nothing may follow it, so that opening can cut it off.
        self.torn = written.is_err();
        written.map_err(at)
    }
}

fn lock(file: &File, path: &Path) -> Result<(), RestoreError> {
    file.try_lock().map_err(|error| {
        let source = match error {
            fs::TryLockError::Error(source) => source,
            fs::TryLockError::WouldBlock => std::io::Error::other("another process is working with this journal"),
        };
        RestoreError::File { path: path.to_owned(), source }
    })
}
